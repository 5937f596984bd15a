//! Who is affected: which images have a vulnerability, a package, a file or a class, and what their owners have to do.

mod handler;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use findings::{Confidence, Severity};
use oci::{Digest, RepoName};
use serde::{Deserialize, Serialize};
use store::Timestamp;
use thiserror::Error;
use utoipa::ToSchema;

pub(crate) use handler::*;

use crate::moment::Moment;

/// An answer that is on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<AffectedReport, AskingError>> + Send + 'a>>;

/// Which repositories whoever asks may pull from. What they may not is neither shown nor counted.
pub type MayPull = Arc<dyn Fn(&RepoName) -> bool + Send + Sync>;

/// Answers questions about all images. The program that serves the API puts that in.
pub trait Asking: Send + Sync {
    /// Who is affected by what is asked about.
    fn affected(&self, question: AffectedQuestion) -> Answering<'_>;

    /// Whether the answer needs much more work than others: it takes a place of its own.
    fn is_expensive(&self, question: &str, as_of: Option<Timestamp>) -> bool;
}

/// What is asked.
#[derive(Clone)]
pub struct AffectedQuestion {
    /// A CVE, a package with or without a range, the digest of a file, a class.
    pub text: String,
    /// As of when; `None`: now.
    pub as_of: Option<Timestamp>,
    /// Behind which image the page begins, as the page before said.
    pub after: Option<String>,
    /// Images on the page.
    pub limit: usize,
    /// Where.
    pub may_pull: MayPull,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskingError {
    /// What was asked is no question.
    #[error("{0}")]
    Malformed(String),
    /// Nothing that is known here tells what is asked about.
    #[error("{0}")]
    Unknown(String),
    /// It failed.
    #[error("the question could not be answered")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// Which images are affected, as far as was looked, and what their owners have to do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AffectedReport {
    /// The question as it was understood.
    pub question: String,
    /// `vulnerability`, `package`, `file` or `class`.
    pub kind: String,
    /// The answer in a line, with how much of it is known.
    pub headline: String,
    /// As of when, if that was asked. Tags are those of today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Moment>,
    /// What of the answer is not as of that moment, or is not known of it, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub as_of_notes: Vec<String>,
    /// Generation of the advisories that it rests on; of questions about a vulnerability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// What the advisories say; of questions about a vulnerability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vulnerability: Option<AffectedBy>,
    /// How many images.
    pub counts: AffectedCounts,
    /// How much was looked at.
    pub coverage: AffectedCoverage,
    /// By owner and application, those with the most images first.
    pub owners: Vec<AffectedOwner>,
    /// Owners that are not listed.
    #[serde(default)]
    pub more_owners: u64,
    /// The images, in the order of repositories and digests.
    pub items: Vec<AffectedImage>,
    /// Send it as `after` for the next page; missing on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A vulnerability as the advisories tell of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct AffectedBy {
    /// The CVE if there is one.
    pub id: String,
    /// All of its ids.
    pub aliases: Vec<String>,
    /// What it is, in a line. Missing where no image has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The worst that is shown of any image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub severity: Option<Severity>,
    /// Known to be exploited.
    pub kev: bool,
    /// How probable it is to be exploited, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<f32>,
    /// Versions that fix it, of all packages.
    pub fixes: Vec<String>,
}

/// How many images the answer has, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AffectedCounts {
    /// Images that have it.
    pub affected: u64,
    /// Images that have it and something that helps.
    pub mitigated: u64,
    /// Images that may have it.
    pub uncertain: u64,
    /// Images that would be counted above, had a trusted signer's VEX not said that it does not matter there. Not as of a moment.
    #[serde(default)]
    pub not_affected: u64,
    /// Images that would be counted above, had it not been waived. Not as of a moment.
    #[serde(default)]
    pub waived: u64,
    /// Images that have it only in a lower layer: something above hides it from what runs.
    #[serde(default)]
    pub lower_layer: u64,
    /// Of questions about a class: those of `affected` in which the class itself was seen. The others have a package that has it in
    /// this version, and nobody was seen to have taken it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_seen: Option<u64>,
}

/// How much was looked at. What is not known is no "no".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AffectedCoverage {
    /// Images that the caller may pull.
    pub images: u64,
    /// Those of which something could not be looked into.
    pub not_scannable: u64,
    /// Those that do not say which operating system they run.
    pub without_os: u64,
    /// Those that are still being looked into.
    pub waiting: u64,
    /// Those that nobody is known to own.
    pub without_owner: u64,
    /// As of a moment: images that were deleted since may be missing, because they are not kept for so long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost_images: bool,
    /// How much of the index stands, in percent; below 100 for some time after a start.
    pub indexed_percent: u8,
    /// Of questions about a file: layers whose files were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers_searched: Option<u64>,
    /// Of questions about a file: layers that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<u64>,
}

/// Images of one owner and application.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AffectedOwner {
    /// Whose; missing where nobody is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Which application; missing where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// How many images of the answer about which something is to be done.
    pub images: u64,
    /// Repositories with such images, at most 20.
    pub repositories: Vec<String>,
    /// How many more.
    #[serde(default)]
    pub more_repositories: u64,
    /// What is to be done, what helps most images first.
    pub actions: Vec<String>,
}

/// An image that has, or may have, what was asked about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AffectedImage {
    /// Where it lies.
    pub repository: String,
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Tags that name it, also through an index.
    pub tags: Vec<String>,
    /// `affected`, `mitigated` or `uncertain`; `not-affected` by VEX, `waived`, or `lower-layer`: something above hides it from what
    /// runs.
    pub state: String,
    /// Which application, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Whose, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Since when it is in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Moment>,
    /// When it was deleted; of answers as of a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Moment>,
    /// All of it was looked into.
    pub scannable: bool,
    /// What becomes of it when it is pulled today: `allow`, `warn`, `refuse`, `not-applicable` or `undecided`.
    pub decision: String,
    /// By whose word it does not count: VEX and waivers, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<String>,
    /// Where it has it.
    pub places: Vec<AffectedPlace>,
    /// How many more places.
    #[serde(default)]
    pub more_places: u64,
}

/// Where an image has what was asked about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AffectedPlace {
    /// The layer, counted from 0 at the bottom.
    pub layer: u64,
    /// Its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub layer_digest: Option<Digest>,
    /// `base`, `own`, or `unknown`: no base of the image is known.
    pub origin: String,
    /// Where it lies.
    pub path: String,
    /// Where in that, outermost archive first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner_path: Vec<String>,
    /// The package; missing of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<AffectedPackage>,
    /// `affected`, `mitigated`, `uncertain` or `lower-layer`.
    pub state: String,
    /// What was seen that may help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mitigations: Vec<String>,
    /// Of questions about a class, on what that rests: `class-seen`: the class lies here; `package-has-it`: the package has it in
    /// this version; `package-may-have-it`: nothing but the package's group and the beginning of the class's name agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// What the advisories say of it; of questions about a vulnerability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<AffectedFinding>,
}

/// A package at a place.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AffectedPackage {
    /// Type, as in a package URL.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Version; the first, where the evidence allows several.
    pub version: String,
    /// The last version that the evidence allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_version: Option<String>,
    /// The package of the distribution that the file belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
    /// How sure name and version are.
    #[schema(value_type = String)]
    pub confidence: Confidence,
}

/// What the advisories say of a package at a place.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AffectedFinding {
    /// What is shown of what the sources say.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// The version that fixes it, for the line that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The fix in words, with the reason where there is none.
    pub fix_words: String,
    /// What each source says.
    pub sources: Vec<AffectedSource>,
    /// Sources that speak of the package and do not call its version affected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_by: Vec<String>,
    /// Where the sources disagree, in words: whether it is affected, what fixes it, how bad it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// How sure it is that the package is what the advisories mean.
    #[schema(value_type = String)]
    pub confidence: Confidence,
    /// Known to be exploited.
    pub kev: bool,
    /// How probable it is to be exploited, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<f32>,
}

/// What one source says.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AffectedSource {
    /// Whose advisory.
    pub source: String,
    /// Which.
    pub advisory: String,
    /// What it rates it, the worst of its ratings.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// The range that hit, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The version that it names as the fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Why it cannot tell, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertain: Option<String>,
}
