//! What was found in one layer, whatever image it belongs to.

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::{ChartFacts, ImageConfig, Listing, RebaseFacts, Severity, Unit};

mod expansion;

pub use expansion::memory_of_json;

/// Version of the form that reports are kept in.
pub const SCHEMA: u32 = 1;

/// How a layer is compressed, by its first bytes and not by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one or more members.
    Gzip,
    /// zstd, one or more frames.
    Zstd,
}

/// A unit where it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundUnit {
    /// Relative to the root of the file system, without a leading slash.
    pub path: String,
    /// What the file says.
    pub unit: Unit,
    /// The package of a distribution that the file belongs to (`dpkg python3-yaml`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
}

/// What kind of problem the bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ByteFindingKind {
    /// A key, token or password.
    Secret,
    /// What a malware rule or clamd knows.
    Malware,
    /// How a file lies in the image: setuid, writable by all, …
    Configuration,
}

/// A problem that belongs to a file, whichever image has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteFinding {
    /// What kind.
    pub kind: ByteFindingKind,
    /// Which rule says so.
    pub rule: String,
    /// What it is, in the words of the rule.
    pub title: String,
    /// By the word of the rule.
    pub severity: Severity,
    /// Relative to the root of the file system.
    pub path: String,
    /// Where it lies inside the file, outermost archive first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner_path: Vec<String>,
    /// The first line is 1. Not of binary files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What was found, with the secret part taken out (`AKIA…7Q`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// Tells two findings of one rule in one file apart without showing what was found: a keyed or plain hash of it, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Known to be an example or test data: warned about, never refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_example: bool,
    /// Which pack of rules: ours, or the name of a file of the operator's.
    pub pack: String,
}

/// Where parsers would disagree about the layer: a file may be hidden there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oddity {
    /// Which entry, as far as it can be named.
    pub path: String,
    /// What is odd (`two entries of one header disagree about the size`).
    pub what: String,
}

/// Name of what a file falls short of that cannot be read as what it looks like: a package's database that is damaged, an archive
/// that is none. What it would have said is not known.
pub const MALFORMED: &str = "file.malformed";

/// Name of what a layer falls short of that clamd was to look at and did not.
pub const NO_CLAMD: &str = "clamd";

/// Why a layer, or a part of it, could not be looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotScannable {
    /// The limit or rule that was exceeded, by its name (`layer.ratio`).
    pub limit: String,
    /// What happened, in words.
    pub detail: String,
    /// The file, if it is about one; the rest of the layer was looked into then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// The facts of one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// [`SCHEMA`] when it was made.
    pub schema: u32,
    /// Versions of the analysers and packs of rules that made it.
    pub analysers: String,
    /// The digest by which the registry keeps the layer.
    pub blob: Digest,
    /// The digest of the uncompressed bytes, as computed. `None` when they could not be read to their end.
    pub diff_id: Option<Digest>,
    /// How it is compressed.
    pub compression: Compression,
    /// Uncompressed bytes that were read.
    pub bytes: u64,
    /// Entries that were read.
    pub entries: u64,
    /// Of a blob that is the configuration of an image and no layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Box<ImageConfig>>,
    /// In the order of their paths.
    pub units: Vec<FoundUnit>,
    /// Paths that the layer deletes, of lower layers only.
    pub whiteouts: Vec<String>,
    /// Directories of which the layer hides all that lower layers put there.
    pub opaque: Vec<String>,
    /// Problems of files.
    pub findings: Vec<ByteFinding>,
    /// Entries that a parser might read in another way.
    pub oddities: Vec<Oddity>,
    /// What could not be looked into. Empty: all of it was.
    pub not_scannable: Vec<NotScannable>,
    /// Every path of the layer.
    pub listing: Listing,
    /// Tables of contents for lazy clients that were compared with the archive, by the digests by which manifests name them:
    /// of the compressed table of zstd:chunked, of the JSON of eStargz. `None`: nobody has looked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<Digest>>,
    /// What matters when another base is put below it. `None`: nobody has looked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebase: Option<Box<RebaseFacts>>,
    /// Of a blob that is the archive of a Helm chart and no layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<Box<ChartFacts>>,
}
