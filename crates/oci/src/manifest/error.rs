//! Why a manifest is refused.

use crate::{DigestError, ErrorCode, MediaType, MediaTypeError};

/// Why a manifest is refused. Texts from the manifest are clipped and escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Over [`ManifestLimits::bytes`](crate::ManifestLimits::bytes).
    #[error("manifest has {bytes} bytes: at most {limit} are allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not JSON, or not of the shape of a manifest.
    #[error("manifest cannot be read at line {line}, column {column}: {problem}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser says.
        problem: String,
    },
    /// Docker's first manifest format.
    #[error(
        "manifest has schema version 1, which is no longer taken: push it again with a client from after 2016"
    )]
    Schema1,
    /// `schemaVersion` is not 2.
    #[error("manifest needs `schemaVersion` 2{}", found.map_or(String::new(), |found| format!(", not {found}")))]
    SchemaVersion {
        /// What it says, if anything.
        found: Option<u64>,
    },
    /// Neither an image manifest nor an index, in OCI's or Docker's type.
    #[error(
        "media type `{media_type}` is no manifest that is taken here: send an OCI or Docker image manifest or index"
    )]
    UnsupportedMediaType {
        /// The type, of the request or of the body.
        media_type: MediaType,
    },
    /// The body says one thing and the request another.
    #[error(
        "manifest says `{body}` but was sent as `{content_type}`: make Content-Type and mediaType the same"
    )]
    MediaTypeMismatch {
        /// `mediaType` in the body.
        body: MediaType,
        /// `Content-Type` of the request.
        content_type: MediaType,
    },
    /// Readable as image and as index: manifest confusion, CVE-2021-41190.
    #[error("manifest has `manifests` beside `config` or `layers`: send either an index or an image")]
    Ambiguous,
    /// No media type anywhere, and no field that tells.
    #[error(
        "manifest has neither `manifests` nor `config` and `layers`: it is no image manifest and no index"
    )]
    Unrecognised,
    /// A field of the other kind of manifest.
    #[error("field `{field}` does not belong in a manifest of type `{media_type}`")]
    Misplaced {
        /// The field.
        field: &'static str,
        /// The type of the manifest.
        media_type: MediaType,
    },
    /// A required field is not there.
    #[error("required field `{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// More entries than one of the [`ManifestLimits`](crate::ManifestLimits).
    #[error("too many {what}: at most {limit} are allowed")]
    TooMany {
        /// Of what: `layers`, `manifests`, `annotations`, `urls`, `os.features` or `custom fields`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A text over one of the [`ManifestLimits`](crate::ManifestLimits).
    #[error("field `{field}` has {bytes} bytes: at most {limit} are allowed")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Nested deeper than [`ManifestLimits::depth`](crate::ManifestLimits::depth).
    #[error("manifest is nested too deep: at most {limit} levels are allowed")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The same key twice in one object; readers differ on which one counts.
    #[error("key `{key}` is given twice in one object")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A key that clients written in Go would read as `field`.
    #[error(
        "key `{key}` would be read as `{field}` by some clients: spell it `{field}` or name it otherwise"
    )]
    AmbiguousKey {
        /// The key.
        key: String,
        /// The field of the specification.
        field: &'static str,
    },
    /// A text that is shown to people or put into headers holds a control character.
    #[error("field `{field}` holds a control character")]
    ControlCharacter {
        /// The field.
        field: &'static str,
    },
    /// A size that is negative, not a whole number, or over `i64::MAX`.
    #[error("field `size` must be a whole number from 0 to {}", i64::MAX)]
    Size,
    /// A media type in the body is malformed.
    #[error("field `mediaType` is invalid")]
    MediaType {
        /// What is wrong with it.
        #[source]
        source: MediaTypeError,
    },
    /// A digest in the body is malformed or of an unknown algorithm.
    #[error("field `digest` is invalid")]
    Digest {
        /// What is wrong with it.
        #[source]
        source: DigestError,
    },
}

impl ManifestError {
    /// The whole message for a client: the error and its cause.
    pub fn explain(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    /// The code that answers it: `SIZE_INVALID` over the size cap (status 413), `DIGEST_INVALID` for a
    /// digest, else `MANIFEST_INVALID`.
    pub fn code(&self) -> ErrorCode {
        match self {
            ManifestError::TooLarge { .. } => ErrorCode::SizeInvalid,
            ManifestError::Digest { .. } => ErrorCode::DigestInvalid,
            _ => ErrorCode::ManifestInvalid,
        }
    }
}
