//! From matches to findings: what several sources say about one vulnerability of one package, side by side.

mod conflict;
mod shown;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

pub use conflict::Conflict;
pub use shown::{SeverityFrom, severity_by_probability};

use super::{
    epss::{Epss, EpssScore},
    index::{AdvisoryIndex, Vulnerability},
    kev::{Kev, KevEntry},
    limits::{COMPARISONS, MATCHES},
    matcher::{Coverage, Fix, Match, Matches, match_among, match_packages},
    mitigation::{Mitigation, mitigation},
    vex::VexNote,
};
use crate::{Confidence, Ecosystem, Finding, FindingKind, OsRelease, Package, Severity, version};

/// Whether the package has the vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A source says so, and nothing speaks against it.
    Affected,
    /// A source says so, but something that helps was seen.
    Mitigated(Mitigation),
    /// No source can tell, for this reason.
    Uncertain(String),
}

/// A source that speaks of the package but does not call its version affected.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Denied {
    /// Id of the advisory.
    pub advisory: Arc<str>,
    /// Whose it is.
    pub database: String,
}

/// One vulnerability of one package, with the word of every source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VulnerabilityFinding {
    /// The CVE if there is one.
    pub id: Arc<str>,
    /// All of its ids and those of the advisories, sorted.
    pub aliases: Vec<Arc<str>>,
    /// What it is, in a line.
    pub title: Arc<str>,
    /// Which of the packages that were asked about.
    pub package: usize,
    /// Whether the package has it. Affected, if any source says so.
    pub state: State,
    /// What is shown; see [`SeverityFrom`].
    pub severity: Severity,
    /// Where that comes from.
    pub severity_from: SeverityFrom,
    /// What each source says that calls it affected, or cannot tell.
    pub sources: Vec<Match>,
    /// Sources that do not call it affected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_by: Vec<Denied>,
    /// Where sources disagree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// The smallest version that satisfies every source that calls it affected.
    pub fix: Fix,
    /// It is known to be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kev: Option<KevEntry>,
    /// How probable it is to be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<EpssScore>,
    /// Of the surest source.
    pub confidence: Confidence,
    /// The package holds headers of a kernel, not the kernel: shown apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_headers_only: bool,
    /// What `OpenVEX` documents say, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vex: Vec<VexNote>,
}

impl VulnerabilityFinding {
    /// Whether the newest statement of a trusted signer says that it does not matter here. It stays in the list, marked.
    pub fn is_suppressed(&self) -> bool {
        self.vex
            .iter()
            .find(|note| note.is_trusted)
            .is_some_and(|note| note.status.suppresses())
    }

    /// As a finding of an image, at a place.
    pub fn to_finding(&self, layer: Option<usize>, path: &str, inner_path: &[String]) -> Finding {
        Finding {
            kind: FindingKind::Vulnerability,
            id: self.id.to_string(),
            aliases: self.aliases.iter().map(ToString::to_string).collect(),
            title: self.title.to_string(),
            severity: self.severity,
            layer,
            path: path.to_owned(),
            inner_path: inner_path.to_vec(),
            fix: self.fix.version().map(str::to_owned),
        }
    }
}

/// Everything that is known beside the packages.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    /// Advisories.
    pub index: &'a AdvisoryIndex,
    /// What is exploited.
    pub kev: Option<&'a Kev>,
    /// What is likely to be.
    pub epss: Option<&'a Epss>,
}

/// Findings of one image, each counted once for every advisory that speaks of it.
const TOLD: usize = 2 * MATCHES;

/// What is known against some packages, and of which of them nothing could be known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VulnerabilityReport {
    /// In the order of the packages, the worst of a package first.
    pub findings: Vec<VulnerabilityFinding>,
    /// One for each package.
    pub coverage: Vec<Coverage>,
    /// Whether there is more than is told, see `MATCHES`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

/// Matches packages and groups what was found by vulnerability.
///
/// An advisory that fixes many vulnerabilities is a source of each of them.
pub fn find_vulnerabilities(
    packages: &[Package],
    os: Option<&OsRelease>,
    knowledge: &Knowledge<'_>,
) -> VulnerabilityReport {
    let matches = match_packages(packages, os, knowledge.index);
    group(packages, os, knowledge, matches).0
}

/// What it took to find out what is known against packages. Packages of one image share the limits on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Advisories that speak of them, for and against.
    kept: usize,
    /// Entries that they were compared with.
    compared: usize,
    /// Findings, each counted once for every advisory that speaks of it.
    told: usize,
    /// It was too much for one package alone.
    is_cut: bool,
}

impl Effort {
    /// That of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            kept: self.kept.saturating_add(other.kept),
            compared: self.compared.saturating_add(other.compared),
            told: self.told.saturating_add(other.told),
            is_cut: self.is_cut || other.is_cut,
        }
    }

    /// Whether nothing was left out: then what [`find_vulnerabilities`] finds in packages is what is found in each of them, one after the
    /// other.
    pub fn is_within_limits(&self) -> bool {
        !self.is_cut && self.kept < MATCHES && self.compared <= COMPARISONS && self.told < TOLD
    }
}

/// Asks about one package as [`find_vulnerabilities`] does about those of an image, and says what it took.
pub fn find_in_package(
    package: &Package,
    os: Option<&OsRelease>,
    knowledge: &Knowledge<'_>,
) -> (VulnerabilityReport, Effort) {
    let packages = std::slice::from_ref(package);
    let matches = match_packages(packages, os, knowledge.index);
    let (kept, compared) = (matches.matches.len() + matches.denials.len(), matches.compared);
    let (report, told) = group(packages, os, knowledge, matches);
    let is_cut = report.is_cut;
    let effort = Effort {
        kept,
        compared,
        told,
        is_cut,
    };
    (report, effort)
}

/// Matches packages against the advisories about one vulnerability and no others: what a question about it costs does not depend
/// on how much else is known against the packages.
pub fn find_vulnerability(
    packages: &[Package],
    os: Option<&OsRelease>,
    knowledge: &Knowledge<'_>,
    vulnerability: &Vulnerability,
) -> VulnerabilityReport {
    let matches = match_among(packages, os, knowledge.index, Some(&vulnerability.advisories));
    let (mut report, _) = group(packages, os, knowledge, matches);
    report.findings.retain(|finding| finding.id == vulnerability.id);
    report
}

/// Also answers how many findings were told of, each once for every advisory.
fn group(
    packages: &[Package],
    os: Option<&OsRelease>,
    knowledge: &Knowledge<'_>,
    matches: Matches,
) -> (VulnerabilityReport, usize) {
    let Matches {
        matches,
        coverage,
        mut is_cut,
        denials,
        compared: _,
    } = matches;
    let index = knowledge.index;
    let mut groups: BTreeMap<(usize, u32), Group> = BTreeMap::new();
    let mut told = 0;
    for found in matches {
        let about = index
            .advisory(found.number)
            .map(|advisory| advisory.vulnerabilities.as_ref());
        for vulnerability in about.unwrap_or_default() {
            // One advisory can be about a thousand.
            if told >= TOLD {
                is_cut = true;
                break;
            }
            told += 1;
            groups
                .entry((found.package, *vulnerability))
                .or_default()
                .sources
                .push(found.clone());
        }
    }
    for denial in denials {
        let about = index
            .advisory(denial.number)
            .map(|advisory| advisory.vulnerabilities.as_ref());
        for vulnerability in about.unwrap_or_default() {
            if let Some(group) = groups.get_mut(&(denial.package, *vulnerability)) {
                group.denied_by.extend(denied(index, denial.number));
            }
        }
    }
    let mut findings: Vec<VulnerabilityFinding> = groups
        .into_iter()
        .filter_map(|((package, number), group)| {
            let vulnerability = index.vulnerability_number(number)?;
            Some(group.into_finding(packages.get(package)?, package, os, vulnerability, knowledge))
        })
        .collect();
    findings.sort_by(|left, right| {
        let worst_first = right.severity.cmp(&left.severity);
        left.package
            .cmp(&right.package)
            .then(worst_first)
            .then_with(|| left.id.cmp(&right.id))
    });
    let report = VulnerabilityReport {
        findings,
        coverage,
        is_cut,
    };
    (report, told)
}

fn denied(index: &AdvisoryIndex, number: u32) -> Option<Denied> {
    let advisory = index.advisory(number)?;
    Some(Denied {
        advisory: advisory.id.clone(),
        database: advisory.database.to_string(),
    })
}

/// What is said of one vulnerability of one package.
#[derive(Debug, Default)]
struct Group {
    sources: Vec<Match>,
    denied_by: Vec<Denied>,
}

impl Group {
    fn into_finding(
        mut self,
        package: &Package,
        number: usize,
        os: Option<&OsRelease>,
        vulnerability: &Vulnerability,
        knowledge: &Knowledge<'_>,
    ) -> VulnerabilityFinding {
        self.sources
            .sort_by(|left, right| left.advisory.cmp(&right.advisory));
        // An advisory may speak of a jar under several groups: one that hits is no denial.
        self.denied_by.retain(|denied| {
            self.sources
                .iter()
                .all(|source| source.advisory != denied.advisory)
        });
        self.denied_by.sort_unstable();
        self.denied_by.dedup();
        let kev = knowledge
            .kev
            .and_then(|kev| vulnerability.ids.iter().find_map(|id| kev.get(id)));
        let epss = knowledge
            .epss
            .and_then(|epss| vulnerability.ids.iter().find_map(|id| epss.get(id)));
        let (severity, severity_from) =
            shown::severity(&self.sources, vulnerability, knowledge.index, kev, epss);
        let ecosystem = ecosystem_of(package, os);
        let mut aliases: Vec<Arc<str>> = vulnerability.ids.to_vec();
        aliases.extend(self.sources.iter().map(|source| source.advisory.clone()));
        aliases.sort_unstable();
        aliases.dedup();
        VulnerabilityFinding {
            id: vulnerability.id.clone(),
            title: title(&self.sources, vulnerability, knowledge.index),
            package: number,
            state: state(package, &self.sources, &aliases),
            severity,
            severity_from,
            conflicts: conflict::conflicts(&self.sources, &self.denied_by),
            fix: fix(&self.sources, ecosystem),
            kev: kev.cloned(),
            epss,
            confidence: self
                .sources
                .iter()
                .map(|source| source.confidence)
                .max()
                .unwrap_or(Confidence::Low),
            is_headers_only: self.sources.iter().any(|source| source.is_headers_only),
            vex: Vec::new(),
            aliases,
            sources: self.sources,
            denied_by: self.denied_by,
        }
    }
}

fn ecosystem_of(package: &Package, os: Option<&OsRelease>) -> Option<Ecosystem> {
    let of_os = || os.and_then(Ecosystem::of_os).map(|(ecosystem, _)| ecosystem);
    package.kind.language_ecosystem().or_else(of_os)
}

fn state(package: &Package, sources: &[Match], aliases: &[Arc<str>]) -> State {
    let affects = sources.iter().any(|source| source.uncertain.is_none());
    if !affects {
        let why = sources.iter().find_map(|source| source.uncertain.clone());
        return State::Uncertain(why.unwrap_or_default());
    }
    let ids = aliases.iter().map(AsRef::as_ref);
    mitigation(&package.name, &package.mitigations, ids).map_or(State::Affected, State::Mitigated)
}

/// The first title among those that call it affected, else of any source of the same vulnerability.
fn title(sources: &[Match], vulnerability: &Vulnerability, index: &AdvisoryIndex) -> Arc<str> {
    let own = sources
        .iter()
        .map(|source| &source.summary)
        .find(|summary| !summary.is_empty());
    let any = || {
        index
            .advisories_of(vulnerability)
            .map(|advisory| &advisory.summary)
            .find(|summary| !summary.is_empty())
    };
    own.or_else(any)
        .cloned()
        .unwrap_or_else(|| vulnerability.id.clone())
}

/// The largest of the fixes: below it, at least one source calls the package affected. A source without a fix does not
/// take away what another one has; the conflict is shown.
fn fix(sources: &[Match], ecosystem: Option<Ecosystem>) -> Fix {
    let is_later = |left: &str, right: &str| {
        ecosystem.is_some_and(|ecosystem| {
            version::compare(ecosystem, left, right) == Ok(std::cmp::Ordering::Greater)
        })
    };
    let affecting = || sources.iter().filter(|source| source.uncertain.is_none());
    let largest = affecting()
        .filter_map(|source| source.fix.version())
        .reduce(|left, right| if is_later(right, left) { right } else { left });
    match largest {
        Some(version) => Fix::Version(version.to_owned()),
        None => affecting()
            .map(|source| source.fix.clone())
            .max_by_key(has_state)
            .unwrap_or(Fix::Unknown),
    }
}

fn has_state(fix: &Fix) -> bool {
    matches!(fix, Fix::Unfixed(Some(_)))
}
