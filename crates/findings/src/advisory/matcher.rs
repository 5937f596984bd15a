//! Which advisories speak of which packages.

mod coverage;
mod lookup;

#[cfg(test)]
mod distributions;
#[cfg(test)]
mod log4j_tests;
#[cfg(test)]
pub(crate) mod speed;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use coverage::Coverage;

use self::lookup::{Fit, Lookup, lookups, module_fits};
use super::{
    evaluate::{Statement, Verdict},
    index::{AdvisoryIndex, Entry},
    limits::{COMPARISONS, MATCHES},
    rating::Rating,
    record::Database,
};
use crate::{Confidence, OsRelease, Package, version};

/// What to go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fix {
    /// The smallest version of the line that runs which the source does not call affected.
    Version(String),
    /// The source names none; it may say why (`no-dsa`, `end-of-life`).
    Unfixed(Option<String>),
    /// Whether the package is affected is uncertain already.
    Unknown,
}

impl Fix {
    /// The version, if there is one.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Version(version) => Some(version),
            Self::Unfixed(_) | Self::Unknown => None,
        }
    }

    /// In words, with the reason where there is no version.
    pub fn words(&self) -> String {
        match self {
            Self::Version(version) => format!("update to {version}"),
            Self::Unfixed(None) => "no fix".to_owned(),
            Self::Unfixed(Some(why)) => format!("no fix: {why}"),
            Self::Unknown => "whether there is a fix is not known".to_owned(),
        }
    }
}

/// One advisory that means one package, or may mean it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// Which of the packages that were asked about.
    pub package: usize,
    /// Id of the advisory.
    pub advisory: Arc<str>,
    /// Whose it is.
    pub database: Arc<Database>,
    /// The advisory, in a line.
    pub summary: Arc<str>,
    /// Why it is uncertain; `None`: it is affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertain: Option<String>,
    /// The range that hit, in words: `2.4 <= version < 2.12.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// What this source says to go to.
    pub fix: Fix,
    /// What this source rates it, for this package where it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
    /// How sure it is that the package is what the advisory means.
    pub confidence: Confidence,
    /// The package holds headers of a kernel, not the kernel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_headers_only: bool,
    #[serde(skip)]
    pub(crate) number: u32,
}

/// An advisory that speaks of the package, but not of the version that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) package: usize,
    pub(crate) number: u32,
}

/// What the advisories of an index say about some packages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matches {
    /// In the order of the packages.
    pub matches: Vec<Match>,
    /// For each package, whether anything speaks of its ecosystem and release at all.
    pub coverage: Vec<Coverage>,
    /// Whether there is more than [`MATCHES`], or was more to compare than [`COMPARISONS`].
    pub is_cut: bool,
    pub(crate) denials: Vec<Denial>,
    /// Entries that were compared.
    pub(crate) compared: usize,
}

/// Matches packages against all advisories of `index`. `os` is the release that the image runs.
///
/// Packages of a distribution are looked up by their source, in the advisories of its release and no other; those of a language
/// by their ecosystem. A package of a language that belongs to a package of the distribution is the distribution's to
/// judge: the caller leaves it out.
///
/// Packages of which little is said come first: whoever fills an image with packages of which much is said hides none of the
/// others behind the limits.
pub fn match_packages(packages: &[Package], os: Option<&OsRelease>, index: &AdvisoryIndex) -> Matches {
    match_among(packages, os, index, None)
}

/// Matches packages against some advisories only, by their numbers; `None`: against all.
pub(super) fn match_among(
    packages: &[Package],
    os: Option<&OsRelease>,
    index: &AdvisoryIndex,
    among: Option<&[u32]>,
) -> Matches {
    let mut found = Matches::default();
    let mut asked = Vec::with_capacity(packages.len());
    for (number, package) in packages.iter().enumerate() {
        let (lookups, coverage) = match lookups(package, os, index) {
            Ok(lookups) => {
                let coverage = Coverage::of(&lookups, index);
                (lookups, coverage)
            }
            Err(why) => (Vec::new(), Coverage::Unknown(why)),
        };
        found.coverage.push(coverage);
        asked.extend(lookups.into_iter().map(|lookup| {
            let entries = index.count_entries_of(lookup.ecosystem, &lookup.name);
            (entries, number, lookup)
        }));
    }
    asked.sort_by_key(|(entries, number, _)| (*entries, *number));
    let mut compared = 0_usize;
    for (entries, number, lookup) in &asked {
        compared = compared.saturating_add(*entries);
        if compared > COMPARISONS || found.is_cut {
            found.is_cut = true;
            break;
        }
        match_one(*number, &packages[*number], lookup, index, among, &mut found);
    }
    found.compared = compared;
    found.matches.sort_by_key(|found| found.package);
    found.denials.sort_by_key(|denial| denial.package);
    found
}

fn match_one(
    number: usize,
    package: &Package,
    lookup: &Lookup<'_>,
    index: &AdvisoryIndex,
    among: Option<&[u32]>,
    found: &mut Matches,
) {
    let is_valid = version::is_valid(lookup.ecosystem, &lookup.version);
    let entries: Vec<&Entry> = index
        .entries_of(lookup.ecosystem, &lookup.name)
        .filter(|entry| among.is_none_or(|among| among.contains(&entry.advisory)))
        .filter(|entry| lookup.means_release(entry.release.as_deref()))
        .filter(|entry| module_fits(entry.modularity.as_deref(), package) != Fit::No)
        .collect();
    for entries in entries.chunk_by(|left, right| left.advisory == right.advisory) {
        if found.matches.len() + found.denials.len() >= MATCHES {
            found.is_cut = true;
            return;
        }
        let mut entries = entries.to_vec();
        lookup.keep_own_updates(&mut entries);
        let statement = Statement {
            ecosystem: lookup.ecosystem,
            entries: &entries,
        };
        let mut verdict = judge(statement, package, lookup, is_valid);
        let is_doubtful = |entry: &&Entry| module_fits(entry.modularity.as_deref(), package) == Fit::Perhaps;
        if matches!(verdict, Verdict::Affected { .. }) && entries.iter().any(is_doubtful) {
            verdict = Verdict::Uncertain(
                "the advisory does not say which stream of the module it is about".to_owned(),
            );
        }
        let advisory = entries[0].advisory;
        match verdict {
            Verdict::NotAffected => found.denials.push(Denial {
                package: number,
                number: advisory,
            }),
            verdict => found
                .matches
                .extend(to_match(number, package, lookup, index, statement, verdict)),
        }
    }
}

fn judge(statement: Statement<'_>, package: &Package, lookup: &Lookup<'_>, is_valid: bool) -> Verdict {
    if let Some((first, last)) = &package.version_range {
        return statement.judge_evidence(first, last);
    }
    match statement.judge(&lookup.version) {
        Verdict::Affected {
            is_compared: true, ..
        }
        | Verdict::NotAffected
            if !is_valid && !lookup.version.is_empty() && statement.compares() =>
        {
            Verdict::Uncertain(format!(
                "`{}` is no version of {}",
                lookup.version, lookup.ecosystem
            ))
        }
        verdict => verdict,
    }
}

fn to_match(
    number: usize,
    package: &Package,
    lookup: &Lookup<'_>,
    index: &AdvisoryIndex,
    statement: Statement<'_>,
    verdict: Verdict,
) -> Option<Match> {
    let first = statement.entries.first()?;
    let advisory = index.advisory(first.advisory)?;
    let (range, uncertain) = match verdict {
        Verdict::Affected { range, .. } => (Some(range), None),
        Verdict::Uncertain(why) => (None, Some(why)),
        Verdict::NotAffected => return None,
    };
    let fix = if uncertain.is_some() {
        Fix::Unknown
    } else {
        let state = || {
            statement
                .entries
                .iter()
                .find_map(|entry| entry.fix_state.as_deref())
        };
        let version = statement.fix(lookup.latest_possible(package));
        version.map_or_else(|| Fix::Unfixed(state().map(str::to_owned)), Fix::Version)
    };
    let own: Vec<Rating> = statement
        .entries
        .iter()
        .flat_map(|entry| entry.ratings.iter().cloned())
        .collect();
    let derived = if advisory.database.is_derived() {
        Confidence::Medium
    } else {
        Confidence::High
    };
    Some(Match {
        package: number,
        advisory: advisory.id.clone(),
        database: advisory.database.clone(),
        summary: advisory.summary.clone(),
        uncertain,
        range,
        fix,
        ratings: if own.is_empty() {
            advisory.ratings.to_vec()
        } else {
            own
        },
        confidence: lookup.confidence.min(derived),
        is_headers_only: lookup::is_kernel_headers(package),
        number: first.advisory,
    })
}
