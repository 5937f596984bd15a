//! The words of the registry: digests, names, tags, media types, manifests, patterns, ranges and error codes.
//!
//! Everything that reaches Roadbed from outside as text becomes one of these types at the edge, once, or is
//! refused there. A [`RepoName`] in a function's signature therefore means that the name was checked; nothing
//! further in checks it again. Each type parses with [`FromStr`](std::str::FromStr), prints what it parsed,
//! and goes through the same parser under serde. Their grammars are those of the OCI distribution and image
//! specifications.
//!
//! The crate is pure: no I/O, no clock, no network, no async. It allocates little, because a pull goes
//! through it on every request.
//!
//! # What is here
//!
//! - [`Digest`], [`Algorithm`], [`Hasher`]: content addresses. `Copy`; printed without allocating.
//! - [`RepoName`], [`Tag`], [`Reference`]: what a path of the registry names.
//! - [`MediaType`] and the constants in [`media_type`].
//! - [`Manifest`] with [`Descriptor`] and [`Platform`]: what a manifest means. Its bytes are kept elsewhere
//!   and never made again from this. [`Manifest::parse`] is the one place where JSON of strangers is read,
//!   under [`ManifestLimits`].
//! - [`RepoPattern`] and [`PatternMap`]: which repositories a grant or a rule is about, and which rule wins.
//! - [`RangeRequest`] and [`ContentRange`]: byte ranges of downloads and of uploaded chunks.
//! - [`ErrorCode`] and [`ErrorBody`]: what a failed request answers.
//!
//! # Hostile input
//!
//! Every parser here is fed by strangers. None allocates in proportion to more than what it was given, all
//! lists are counted while they are read, and errors repeat at most a clipped and escaped piece of the input.
//! The bodies of the fuzz targets (`fuzz/` at the root of the repository) live in `tests/generated/`, where a
//! stable toolchain runs them too.
//!
//! Read first: `repo_name.rs` for how a checked text is made, then `manifest.rs`, then `pattern.rs`.

mod descriptor;
mod digest;
mod error;
mod manifest;
pub mod media_type;
mod pattern;
mod platform;
mod range;
mod reference;
mod repo_name;
mod tag;
mod text;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use error::{ErrorBody, ErrorCode, ErrorEntry};
pub use manifest::{Manifest, ManifestError, ManifestKind, ManifestLimits};
pub use media_type::{MediaType, MediaTypeError};
pub use pattern::{
    MAX_PATTERN_BYTES, MAX_WILDCARDS, PatternError, PatternMap, PatternTie, RepoPattern, Specificity,
};
pub use platform::Platform;
pub use range::{ContentRange, ContentRangeError, RangeRequest, ResolvedRange};
pub use reference::{Reference, ReferenceError};
pub use repo_name::{MAX_REPO_NAME_BYTES, RepoName, RepoNameError};
pub use tag::{MAX_TAG_BYTES, Tag, TagError};
