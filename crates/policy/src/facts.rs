//! What is judged: one image in one repository, with its findings, as plain values.
//!
//! The binary fills these from reports, advisories and inventory. What is not known is `None` or an [`Unknown`], never an
//! innocent default.

pub(crate) mod fingerprint;
mod signature;

use std::collections::BTreeMap;

use findings::{Confidence, FindingKind, Severity};
use oci::{Algorithm, Digest, MediaType, RepoName};
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

pub use fingerprint::FindingsFingerprint;
pub use signature::Attached;

/// One image where it lies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subject {
    /// The repository.
    pub repo: RepoFacts,
    /// The image.
    pub image: ImageFacts,
    /// What runs it, where that is known (admission).
    pub workload: Option<WorkloadFacts>,
    /// Pulled within 30 days, imported as such, or seen in a cluster.
    pub in_use: bool,
    /// Who pushed it; cannot approve a waiver for it.
    pub pushed_by: Option<String>,
    /// All of its findings, in any order.
    pub findings: Vec<JudgedFinding>,
    /// The generation of the advisories that the findings were made with.
    pub advisory_generation: u64,
}

/// The repository of a [`Subject`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepoFacts {
    /// Its name.
    pub name: RepoName,
    /// Whose it is.
    pub team: Option<String>,
}

/// What runs a [`Subject`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkloadFacts {
    /// Namespace.
    pub namespace: String,
    /// Cluster.
    pub cluster: String,
}

/// The image of a [`Subject`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageFacts {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Media type of its manifest.
    pub media_type: Option<MediaType>,
    /// Compressed bytes of its layers.
    pub size: u64,
    /// When it says it was built.
    #[serde(with = "time::serde::rfc3339::option")]
    pub created: Option<OffsetDateTime>,
    /// Operating system and release, as `debian 12`.
    pub os: Option<String>,
    /// The last day on which that release gets fixes.
    pub os_ends: Option<Date>,
    /// Labels of its configuration.
    pub labels: BTreeMap<String, String>,
    /// Annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// Whom it runs as. Empty where it says nothing, and then it is root.
    pub user: String,
    /// The trusted signers whose signatures it has.
    pub signed_by: Vec<String>,
    /// What trusted signers attest, each as signer and predicate type with a space between them.
    pub attestations: Vec<String>,
    /// Everything that is attached as a signature or attestation, whether it counts or not.
    pub signatures: Vec<Attached>,
    /// When the first signer of these stops to be trusted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub signed_until: Option<OffsetDateTime>,
    /// Whether it was looked into.
    pub scanned: bool,
    /// What could not be found out.
    pub unknowns: Vec<Unknown>,
    /// The approved base that it stands on.
    pub base: Option<String>,
    /// Signature, chart or cache: nothing to judge. See [`classify`](crate::classify).
    pub not_applicable: bool,
}

/// Something that could not be found out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unknown {
    /// What kind.
    pub kind: UnknownKind,
    /// Which limit, ecosystem or layer it is about.
    #[serde(default)]
    pub detail: String,
}

/// The kinds of [`Unknown`], as conditions spell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownKind {
    /// No source of advisories covers an ecosystem.
    NoFeed,
    /// The operating system or its release is not known.
    NoOs,
    /// A layer, or a file in it, was beyond a limit.
    NotScannable,
    /// A layer is not what the configuration says.
    DiffIdMismatch,
    /// A layer lies elsewhere and was never seen.
    ForeignLayer,
    /// Parsers disagree about a layer.
    Ambiguous,
    /// A file that says what is installed cannot be read.
    MalformedEvidence,
    /// clamd was to look at a layer and did not.
    NotLookedAtByClamd,
    /// It could not be judged, however often it was tried.
    NotJudged,
    /// More findings than one decision looks at.
    TooManyFindings,
    /// A label, list or text was too long to be judged whole.
    FactsTooLong,
    /// It is judged by its SBOM, which tells of packages and of nothing else.
    OnlyPackages,
}

impl UnknownKind {
    /// The spelling in conditions and decisions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoFeed => "no-feed",
            Self::NoOs => "no-os",
            Self::NotScannable => "not-scannable",
            Self::DiffIdMismatch => "diff-id-mismatch",
            Self::ForeignLayer => "foreign-layer",
            Self::Ambiguous => "ambiguous",
            Self::MalformedEvidence => "malformed-evidence",
            Self::NotLookedAtByClamd => "not-looked-at-by-clamd",
            Self::NotJudged => "not-judged",
            Self::TooManyFindings => "too-many-findings",
            Self::FactsTooLong => "facts-too-long",
            Self::OnlyPackages => "only-packages",
        }
    }
}

/// One finding with all that rules may ask of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that rules ask for one by one"
)]
pub struct JudgedFinding {
    /// What kind.
    pub kind: FindingKind,
    /// The CVE if there is one, else the advisory's id, else the rule's.
    pub id: String,
    /// The same problem in the words of other sources.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// By the one rule for sources that differ.
    #[serde(default = "unknown_severity")]
    pub severity: Severity,
    /// What fixes it, in words. `None`: no fix is known.
    #[serde(default)]
    pub fix: Option<String>,
    /// Package name.
    #[serde(default)]
    pub package: String,
    /// Version that is installed.
    #[serde(default)]
    pub version: String,
    /// As OSV names it, with its release.
    #[serde(default)]
    pub ecosystem: String,
    /// Where the evidence lies.
    #[serde(default)]
    pub path: String,
    /// Layer of the evidence, counted from 0 at the bottom.
    #[serde(default)]
    pub layer: Option<u32>,
    /// Whether CISA knows that it is exploited.
    #[serde(default)]
    pub kev: bool,
    /// Probability of being exploited within 30 days.
    #[serde(default)]
    pub epss: Option<f64>,
    /// How sure it is that the package is what it is called.
    #[serde(default = "high_confidence")]
    pub confidence: Confidence,
    /// Whose advisory or which analyser.
    #[serde(default)]
    pub source: String,
    /// When the advisory was published.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub published: Option<OffsetDateTime>,
    /// When a fix was first known here.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub fix_known_at: Option<OffsetDateTime>,
    /// When the finding was first made here.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub first_seen: Option<OffsetDateTime>,
    /// Rule of the analyser that made it: of secrets, malware, configuration.
    #[serde(default)]
    pub rule: String,
    /// Pack of that rule; ours is `roadbed`.
    #[serde(default)]
    pub pack: String,
    /// A trusted signer says that it does not apply here, and why. Counts as waived.
    #[serde(default)]
    pub suppressed: Option<Suppression>,
    /// Something in the image takes the edge off.
    #[serde(default)]
    pub mitigated: bool,
    /// Known to be an example or test data: warned about, never refused.
    #[serde(default)]
    pub is_example: bool,
    /// It comes from the approved base.
    #[serde(default)]
    pub from_base: bool,
    /// Stands for all that the finding rests on and that is not among these fields: all that the evidence says of the package
    /// and the ranges by which sources call it affected, what was found in the file, or the layer that has it.
    #[serde(default)]
    pub evidence: String,
}

/// VEX of a signer who is trusted for the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// Who signed it.
    pub by: String,
    /// Why it does not apply.
    pub reason: String,
}

impl Subject {
    /// An image of which nothing is known but where it lies.
    pub fn new(repo: RepoName, digest: Digest) -> Self {
        let mut subject = Self::default();
        subject.repo.name = repo;
        subject.image.digest = digest;
        subject
    }
}

impl Default for RepoFacts {
    fn default() -> Self {
        let name = "example".parse().expect("a good name");
        Self { name, team: None }
    }
}

impl Default for ImageFacts {
    fn default() -> Self {
        Self {
            digest: Digest::of(Algorithm::Sha256, b""),
            media_type: None,
            size: 0,
            created: None,
            os: None,
            os_ends: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            user: String::new(),
            signed_by: Vec::new(),
            attestations: Vec::new(),
            signatures: Vec::new(),
            signed_until: None,
            scanned: true,
            unknowns: Vec::new(),
            base: None,
            not_applicable: false,
        }
    }
}

impl JudgedFinding {
    /// A finding of which nothing else is known.
    pub fn new(kind: FindingKind, id: impl Into<String>, severity: Severity) -> Self {
        Self {
            kind,
            id: id.into(),
            aliases: Vec::new(),
            severity,
            fix: None,
            package: String::new(),
            version: String::new(),
            ecosystem: String::new(),
            path: String::new(),
            layer: None,
            kev: false,
            epss: None,
            confidence: Confidence::High,
            source: String::new(),
            published: None,
            fix_known_at: None,
            first_seen: None,
            rule: String::new(),
            pack: String::new(),
            suppressed: None,
            mitigated: false,
            is_example: false,
            from_base: false,
            evidence: String::new(),
        }
    }

    /// Whether `id` names it, by any source's word.
    pub fn is_called(&self, id: &str) -> bool {
        self.id == id || self.aliases.iter().any(|alias| alias == id)
    }
}

fn unknown_severity() -> Severity {
    Severity::Unknown
}

fn high_confidence() -> Confidence {
    Confidence::High
}
