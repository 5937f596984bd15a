//! From reports to the facts that rules are asked about.

use std::collections::BTreeMap;

use anyhow::Result;
use findings::{
    ByteFinding, FindingKind, OsRelease, Overlay, Package,
    advisory::{State, VulnerabilityFinding, find_vulnerabilities},
    configuration, end_of_life,
};
use oci::{Algorithm, Digest, Manifest, MediaType, RepoName};
use policy::{Applicability, ConfigShape, JudgedFinding, Peek, Subject, Unknown, UnknownKind, classify};
use store::Seen;
use time::OffsetDateTime;

use super::{
    attached::{self, Collected},
    evidence::Gathered,
    knowledge::Facts,
    matched::{Found, Mark, Placed, mark},
    moment,
    vex::{self, Vex},
};

/// Labels and annotations that rules can ask about.
const LABELS: usize = 200;

/// Id and rule of the finding that an image names a base which it does not stand on.
const LYING_BASE: &str = "lineage.lying-base";

/// Which image.
pub(crate) struct SubjectOf {
    /// Where it lies.
    pub(crate) repo: RepoName,
    /// Its manifest's digest.
    pub(crate) digest: Digest,
    /// Its manifest.
    pub(crate) manifest: Manifest,
    /// Its manifest's media type.
    pub(crate) media_type: MediaType,
    /// Who pushed it.
    pub(crate) pushed_by: Option<String>,
    /// Whether it was pulled lately.
    pub(crate) in_use: bool,
    /// What is attached to it as signatures.
    pub(crate) attached: Collected,
    /// The moment of judgement.
    pub(crate) now: OffsetDateTime,
    /// What it says of its base and is not true, in a line.
    pub(crate) lie: Option<String>,
    /// When its findings were first made here; those that are not among them are made now.
    pub(crate) seen: Seen,
}

/// The facts of an image.
pub(crate) fn subject_of(about: &SubjectOf, gathered: &Gathered, facts: &Facts) -> Result<Subject> {
    match Framed::of(about, gathered, facts)? {
        Framed::Nothing(subject) => Ok(*subject),
        Framed::Image(frame) => Ok(frame.into_subject(about, facts).0),
    }
}

/// The facts of an image but for what is known against its packages.
pub(super) enum Framed<'a> {
    /// There is nothing to judge.
    Nothing(Box<Subject>),
    Image(Box<Frame<'a>>),
}

/// What there is to judge of an image.
pub(super) struct Frame<'a> {
    /// Without findings.
    pub(super) subject: Subject,
    pub(super) packages: Vec<Placed<'a>>,
    pub(super) os: Option<&'a OsRelease>,
    pub(super) vex: Vex<'a>,
    /// What was found in files and in how the image is made.
    pub(super) others: Vec<JudgedFinding>,
}

impl<'a> Framed<'a> {
    pub(super) fn of(about: &'a SubjectOf, gathered: &'a Gathered, facts: &'a Facts) -> Result<Self> {
        let mut subject = Subject::new(about.repo.clone(), about.digest);
        subject.in_use = about.in_use;
        subject.pushed_by.clone_from(&about.pushed_by);
        subject.advisory_generation = facts.generation;
        subject.image.media_type = Some(about.media_type.clone());
        subject.image.size = about.manifest.layers.iter().map(|layer| layer.size).sum();
        subject.image.not_applicable = !is_image(&about.manifest, gathered);
        if subject.image.not_applicable {
            return Ok(Self::Nothing(Box::new(subject)));
        }
        let overlay = gathered.image.overlay()?;
        describe(&mut subject, about, gathered, &overlay);
        subject.image.scanned = gathered.image.layers.len() == about.manifest.layers.len();
        subject.image.unknowns.extend(gathered.unknowns.iter().cloned());
        let attested = attached::verify(&mut subject, &about.attached, &facts.signers, about.now);
        let digests: Vec<Digest> = std::iter::once(about.digest)
            .chain(about.attached.indexes.iter().copied())
            .collect();
        let vex = Vex::of(
            &about.repo,
            &digests,
            attested,
            &facts.vex,
            &facts.signers,
            about.now,
        );
        let ends = subject.image.signed_until.into_iter().chain(vex.first_end());
        subject.image.signed_until = ends.min();
        add_files(&mut subject, &overlay, gathered);
        add_configuration(&mut subject, about, gathered, &overlay);
        add_lie(&mut subject, about);
        let frame = Frame {
            others: std::mem::take(&mut subject.findings),
            packages: packages(&overlay),
            os: overlay.os,
            vex,
            subject,
        };
        Ok(Self::Image(Box::new(frame)))
    }
}

impl Frame<'_> {
    /// With what is known against the packages, and what stands for each finding.
    pub(super) fn into_subject(mut self, about: &SubjectOf, facts: &Facts) -> (Subject, Vec<Mark>) {
        let found = find(&mut self.subject, &self.packages, self.os, facts, &self.vex);
        self.with(found, about)
    }

    /// With what was found.
    pub(super) fn with(self, found: Found, about: &SubjectOf) -> (Subject, Vec<Mark>) {
        let mut subject = self.subject;
        let mut marks = add_found(&mut subject, found, self.os);
        marks.extend(self.others.iter().map(mark));
        subject.findings.extend(self.others);
        order_unknowns(&mut subject);
        for (finding, (key, _)) in subject.findings.iter_mut().zip(&marks) {
            let at = about.seen.at(*key).and_then(|at| moment(at).ok());
            finding.first_seen = Some(at.unwrap_or(about.now));
        }
        (subject, marks)
    }
}

/// Each once.
pub(super) fn order_unknowns(subject: &mut Subject) {
    subject.image.unknowns.sort_unstable();
    subject.image.unknowns.dedup();
}

/// Whatever a node can unpack or mount is an image, whatever its configuration calls itself.
pub(crate) fn is_image(manifest: &Manifest, gathered: &Gathered) -> bool {
    let shape = match &gathered.config {
        Some(config) if !config.diff_ids.is_empty() => ConfigShape::Image,
        _ => ConfigShape::Other,
    };
    let peeked: BTreeMap<Digest, Peek> = gathered
        .image
        .layers
        .iter()
        .map(|report| (report.blob, peek(report)))
        .collect();
    let peek = |layer: &oci::Descriptor| peeked.get(&layer.digest).copied().unwrap_or(Peek::Archive);
    matches!(classify(manifest, shape, peek), Applicability::Image)
}

/// What a layer showed itself to be.
fn peek(report: &findings::LayerReport) -> Peek {
    if report.config.is_some() {
        return Peek::Text;
    }
    let is_no_layer = report
        .not_scannable
        .iter()
        .any(|reason| reason.limit == crate::worker::NO_LAYER);
    if is_no_layer { Peek::Text } else { Peek::Archive }
}

fn describe(subject: &mut Subject, about: &SubjectOf, gathered: &Gathered, overlay: &Overlay<'_>) {
    let image = &mut subject.image;
    image.annotations = about
        .manifest
        .annotations
        .iter()
        .take(LABELS)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(config) = &gathered.config {
        image.labels = config.labels.iter().take(LABELS).cloned().collect();
        image.user.clone_from(&config.user);
        let rfc3339 = &time::format_description::well_known::Rfc3339;
        image.created = config
            .created
            .as_deref()
            .and_then(|created| OffsetDateTime::parse(created, rfc3339).ok());
    }
    image.os = overlay
        .os
        .map(|os| format!("{} {}", os.id, os.version).trim().to_owned());
    image.os_ends = overlay.os.and_then(end_of_life);
}

/// Packages of the running image with where they lie; what a distribution owns is the distribution's to judge.
fn packages<'a>(overlay: &Overlay<'a>) -> Vec<Placed<'a>> {
    overlay
        .units
        .iter()
        .filter(|unit| unit.found.owned_by.is_none())
        .flat_map(|unit| {
            let path = unit.found.path.as_str();
            let placed = unit
                .packages()
                .map(move |(package, layer)| (package, Some(layer), path));
            placed.collect::<Vec<_>>()
        })
        .collect()
}

/// Asks about packages with their layer and path.
pub(crate) fn add_vulnerabilities_of(
    subject: &mut Subject,
    placed: &[(&Package, Option<usize>, &str)],
    os: Option<&OsRelease>,
    facts: &Facts,
    vex: &Vex<'_>,
) {
    let found = find(subject, placed, os, facts, vex);
    add_found(subject, found, os);
}

fn find(
    subject: &mut Subject,
    placed: &[Placed<'_>],
    os: Option<&OsRelease>,
    facts: &Facts,
    vex: &Vex<'_>,
) -> Found {
    let remembered = vex.is_empty().then(|| facts.matched.of(placed, os, facts));
    match remembered.flatten() {
        Some(among) => among.found(),
        None => ask_of_all(subject, placed, os, facts, vex),
    }
}

/// Answers what stands for each finding.
fn add_found(subject: &mut Subject, found: Found, os: Option<&OsRelease>) -> Vec<Mark> {
    subject.findings.extend(found.findings);
    for kind in found.uncovered {
        let is_os = ["deb", "apk", "rpm"].contains(&kind);
        subject.image.unknowns.push(Unknown {
            kind: if is_os && os.is_none() {
                UnknownKind::NoOs
            } else {
                UnknownKind::NoFeed
            },
            detail: os_detail(kind, os),
        });
    }
    found.marks
}

/// Asks about all packages of an image at once.
pub(super) fn ask_of_all(
    subject: &mut Subject,
    placed: &[Placed<'_>],
    os: Option<&OsRelease>,
    facts: &Facts,
    vex: &Vex<'_>,
) -> Found {
    let packages: Vec<Package> = placed.iter().map(|(package, ..)| (*package).clone()).collect();
    let mut report = find_vulnerabilities(&packages, os, &facts.knowledge());
    if report.is_cut {
        subject.image.unknowns.push(Unknown {
            kind: UnknownKind::TooManyFindings,
            detail: "advisories".to_owned(),
        });
    }
    vex.apply(&mut report.findings, &packages, os);
    let judged = report.findings.iter().filter_map(|finding| {
        let (package, layer, path) = placed.get(finding.package)?;
        Some(judged(finding, (package, os), (*layer, path), facts))
    });
    let uncovered = report.coverage.iter().zip(&packages);
    let uncovered = uncovered.filter(|(coverage, _)| !coverage.is_covered());
    let findings: Vec<JudgedFinding> = judged.collect();
    Found {
        marks: findings.iter().map(mark).collect(),
        findings,
        uncovered: uncovered.map(|(_, package)| package.kind.purl_type()).collect(),
    }
}

fn os_detail(kind: &str, os: Option<&OsRelease>) -> String {
    match os {
        Some(os) if ["deb", "apk", "rpm"].contains(&kind) => {
            format!("{} {}", os.id, os.version).trim().to_owned()
        }
        _ => kind.to_owned(),
    }
}

pub(super) fn judged(
    finding: &VulnerabilityFinding,
    (package, os): (&Package, Option<&OsRelease>),
    (layer, path): (Option<usize>, &str),
    facts: &Facts,
) -> JudgedFinding {
    let mut judged = JudgedFinding::new(
        FindingKind::Vulnerability,
        finding.id.to_string(),
        finding.severity,
    );
    judged.aliases = finding.aliases.iter().map(ToString::to_string).collect();
    judged.fix = finding
        .fix
        .version()
        .map(|version| format!("update {} to {version}", package.advised().0));
    judged.package.clone_from(&package.name);
    judged.version.clone_from(&package.version);
    package.kind.purl_type().clone_into(&mut judged.ecosystem);
    path.clone_into(&mut judged.path);
    for inner in &package.inner_path {
        judged.path.push('!');
        judged.path.push_str(inner);
    }
    judged.layer = layer.and_then(|layer| u32::try_from(layer).ok());
    judged.kev = finding.kev.is_some();
    judged.epss = finding.epss.map(|score| f64::from(score.probability));
    judged.confidence = finding.confidence.min(package.confidence);
    judged.source = finding
        .sources
        .first()
        .map(|source| source.database.as_str().to_owned())
        .unwrap_or_default();
    judged.published = facts.index.vulnerability(&finding.id).and_then(|known| {
        facts
            .index
            .advisories_of(known)
            .filter_map(|advisory| advisory.published)
            .min()
    });
    judged.fix_known_at = facts.fixes.known_at(finding, package, os);
    judged.evidence = evidence_of(finding, package);
    // Headers of a kernel are no kernel: nothing of it runs in the image.
    judged.suppressed = vex::suppression(finding);
    judged.mitigated = matches!(finding.state, State::Mitigated(_)) || finding.is_headers_only;
    judged
}

/// Stands for all that the evidence says of the package, and for the ranges by which sources call it affected. What else they
/// change (words, severities, references) does not touch whether it is true.
fn evidence_of(finding: &VulnerabilityFinding, package: &Package) -> String {
    let mut sources: Vec<_> = finding
        .sources
        .iter()
        .map(|source| (&source.advisory, &source.range, &source.uncertain))
        .collect();
    sources.sort_unstable();
    let facts = serde_json::to_vec(&(package, sources)).unwrap_or_default();
    Digest::of(Algorithm::Sha256, &facts).hex()
}

fn add_files(subject: &mut Subject, overlay: &Overlay<'_>, gathered: &Gathered) {
    for found in &overlay.findings {
        let mut judged = of_file(found.finding, Some(found.layer));
        // What says nothing of its bytes rests on the layer.
        if judged.evidence.is_empty() && judged.kind == FindingKind::Malware {
            let layer = gathered.image.layers.get(found.layer);
            judged.evidence = layer.map(|report| report.blob.to_string()).unwrap_or_default();
        }
        subject.findings.push(judged);
    }
    let of_config = gathered.config_report.iter().flat_map(|report| &report.findings);
    for finding in of_config {
        subject.findings.push(of_file(finding, None));
    }
}

fn of_file(finding: &ByteFinding, layer: Option<usize>) -> JudgedFinding {
    use findings::ByteFindingKind as Kind;
    let kind = match finding.kind {
        Kind::Secret => FindingKind::Secret,
        Kind::Malware => FindingKind::Malware,
        Kind::Configuration => FindingKind::Configuration,
    };
    let mut judged = JudgedFinding::new(kind, finding.rule.clone(), finding.severity);
    judged.fix.clone_from(&finding.fix);
    judged.path.clone_from(&finding.path);
    judged.layer = layer.and_then(|layer| u32::try_from(layer).ok());
    judged.rule.clone_from(&finding.rule);
    judged.pack.clone_from(&finding.pack);
    judged.is_example = finding.is_example;
    judged.evidence = finding.fingerprint.clone().unwrap_or_default();
    judged
}

fn add_configuration(subject: &mut Subject, about: &SubjectOf, gathered: &Gathered, overlay: &Overlay<'_>) {
    for finding in &of_configuration(&about.manifest, gathered, overlay, about.now) {
        if finding.rule == "config.diff-ids" {
            subject.image.unknowns.push(Unknown {
                kind: UnknownKind::DiffIdMismatch,
                detail: String::new(),
            });
        }
        subject.findings.push(of_file(finding, None));
    }
}

/// Whoever passes an image off for what it is not has made it so: a finding of how it is made.
fn add_lie(subject: &mut Subject, about: &SubjectOf) {
    let Some(lie) = &about.lie else { return };
    let mut finding = JudgedFinding::new(FindingKind::Configuration, LYING_BASE, findings::Severity::High);
    LYING_BASE.clone_into(&mut finding.rule);
    "roadbed".clone_into(&mut finding.pack);
    finding.path.clone_from(lie);
    finding.fix = Some("build it on the base that it names, or take the annotation away".to_owned());
    finding.evidence = Digest::of(Algorithm::Sha256, lie.as_bytes()).hex();
    subject.findings.push(finding);
}

/// What the rules about how an image is made find.
pub(crate) fn of_configuration(
    manifest: &Manifest,
    gathered: &Gathered,
    overlay: &Overlay<'_>,
    now: OffsetDateTime,
) -> Vec<ByteFinding> {
    // Every image has one; a directory that is scanned as a layer was not made as an image.
    if manifest.config.is_none() {
        return Vec::new();
    }
    let annotations: Vec<(String, String)> = manifest
        .annotations
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    configuration::judge(&configuration::Subject {
        config: gathered.config.as_ref(),
        annotations: &annotations,
        overlay,
        diff_ids: &gathered.diff_ids,
        caches: &gathered.image.caches().unwrap_or_default(),
        today: now.date(),
    })
}
