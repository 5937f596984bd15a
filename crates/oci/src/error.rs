//! The error answers of the distribution specification.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// What an error answer calls itself (distribution-spec, "Error Codes"), and a few that the specification
/// leaves to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The blob is not in this repository.
    BlobUnknown,
    /// The upload is in a state that the request does not fit.
    BlobUploadInvalid,
    /// No such upload, or not the caller's.
    BlobUploadUnknown,
    /// A digest is malformed, of an unknown algorithm, or not that of the content.
    DigestInvalid,
    /// A manifest names a blob or manifest that is not in the repository.
    ManifestBlobUnknown,
    /// A manifest is refused as it is.
    ManifestInvalid,
    /// No such manifest or tag in this repository.
    ManifestUnknown,
    /// The repository name is outside the grammar.
    NameInvalid,
    /// No such repository.
    NameUnknown,
    /// Content longer or shorter than announced, or than allowed.
    SizeInvalid,
    /// Who is asking is not known; a challenge comes along.
    Unauthorized,
    /// Who is asking is known and may not.
    Denied,
    /// The operation, or this form of it, is not offered.
    Unsupported,
    /// Too much at once; `Retry-After` comes along.
    TooManyRequests,

    // Not in the specification; spelt as other registries spell them where they have them.
    /// A `Range` or `Content-Range` that does not fit.
    RangeInvalid,
    /// The tag is outside the grammar.
    TagInvalid,
    /// A paging parameter is no number.
    PaginationNumberInvalid,
    /// A rule of the repository keeps the tag where it is.
    TagImmutable,
    /// A quota of the repository is used up.
    QuotaExceeded,
    /// The disk is full.
    StorageFull,
    /// Something needed is away for the moment; `Retry-After` comes along.
    Unavailable,
    /// A fault of the registry's own; details are in its log.
    Unknown,
}

impl ErrorCode {
    /// The spelling in the answer, such as `BLOB_UNKNOWN`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorCode::BlobUnknown => "BLOB_UNKNOWN",
            ErrorCode::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            ErrorCode::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            ErrorCode::DigestInvalid => "DIGEST_INVALID",
            ErrorCode::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            ErrorCode::ManifestInvalid => "MANIFEST_INVALID",
            ErrorCode::ManifestUnknown => "MANIFEST_UNKNOWN",
            ErrorCode::NameInvalid => "NAME_INVALID",
            ErrorCode::NameUnknown => "NAME_UNKNOWN",
            ErrorCode::SizeInvalid => "SIZE_INVALID",
            ErrorCode::Unauthorized => "UNAUTHORIZED",
            ErrorCode::Denied => "DENIED",
            ErrorCode::Unsupported => "UNSUPPORTED",
            ErrorCode::TooManyRequests => "TOOMANYREQUESTS",
            ErrorCode::RangeInvalid => "RANGE_INVALID",
            ErrorCode::TagInvalid => "TAG_INVALID",
            ErrorCode::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            ErrorCode::TagImmutable => "TAG_IMMUTABLE",
            ErrorCode::QuotaExceeded => "QUOTA_EXCEEDED",
            ErrorCode::StorageFull => "STORAGE_FULL",
            ErrorCode::Unavailable => "UNAVAILABLE",
            ErrorCode::Unknown => "UNKNOWN",
        }
    }

    /// The HTTP status that usually goes with it; an endpoint may know better.
    pub const fn status(self) -> u16 {
        match self {
            ErrorCode::BlobUploadInvalid
            | ErrorCode::DigestInvalid
            | ErrorCode::ManifestInvalid
            | ErrorCode::NameInvalid
            | ErrorCode::SizeInvalid
            | ErrorCode::TagInvalid
            | ErrorCode::PaginationNumberInvalid => 400,
            ErrorCode::Unauthorized => 401,
            ErrorCode::Denied | ErrorCode::QuotaExceeded => 403,
            ErrorCode::BlobUnknown
            | ErrorCode::BlobUploadUnknown
            | ErrorCode::ManifestBlobUnknown
            | ErrorCode::ManifestUnknown
            | ErrorCode::NameUnknown => 404,
            ErrorCode::Unsupported => 405,
            ErrorCode::TagImmutable => 409,
            ErrorCode::RangeInvalid => 416,
            ErrorCode::TooManyRequests => 429,
            ErrorCode::Unknown => 500,
            ErrorCode::Unavailable => 503,
            ErrorCode::StorageFull => 507,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The body of a failed request: `{"errors":[{"code","message","detail"}]}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorBody {
    /// At least one.
    pub errors: Vec<ErrorEntry>,
}

/// One error of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorEntry {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what is wrong and what to do.
    pub message: String,
    /// Anything more, such as the digest that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl ErrorEntry {
    /// An error without detail.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ErrorEntry {
        ErrorEntry {
            code,
            message: message.into(),
            detail: None,
        }
    }

    /// The same error with detail.
    #[must_use]
    pub fn with_detail(mut self, detail: Value) -> ErrorEntry {
        self.detail = Some(detail);
        self
    }
}

impl ErrorBody {
    /// An answer with one error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ErrorBody {
        ErrorEntry::new(code, message).into()
    }

    /// The answer's bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and JSON values always serialise")
    }
}

impl From<ErrorEntry> for ErrorBody {
    fn from(entry: ErrorEntry) -> Self {
        ErrorBody { errors: vec![entry] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_codes_of_the_specification() {
        for (code, text, status) in [
            (ErrorCode::BlobUnknown, "BLOB_UNKNOWN", 404),
            (ErrorCode::BlobUploadInvalid, "BLOB_UPLOAD_INVALID", 400),
            (ErrorCode::BlobUploadUnknown, "BLOB_UPLOAD_UNKNOWN", 404),
            (ErrorCode::DigestInvalid, "DIGEST_INVALID", 400),
            (ErrorCode::ManifestBlobUnknown, "MANIFEST_BLOB_UNKNOWN", 404),
            (ErrorCode::ManifestInvalid, "MANIFEST_INVALID", 400),
            (ErrorCode::ManifestUnknown, "MANIFEST_UNKNOWN", 404),
            (ErrorCode::NameInvalid, "NAME_INVALID", 400),
            (ErrorCode::NameUnknown, "NAME_UNKNOWN", 404),
            (ErrorCode::SizeInvalid, "SIZE_INVALID", 400),
            (ErrorCode::Unauthorized, "UNAUTHORIZED", 401),
            (ErrorCode::Denied, "DENIED", 403),
            (ErrorCode::Unsupported, "UNSUPPORTED", 405),
            (ErrorCode::TooManyRequests, "TOOMANYREQUESTS", 429),
        ] {
            assert_eq!(
                (code.as_str(), code.to_string().as_str(), code.status()),
                (text, text, status)
            );
        }
    }

    #[test]
    fn has_the_shape_of_the_specification() {
        let plain = ErrorBody::new(ErrorCode::TooManyRequests, "slow down");
        assert_eq!(
            plain.to_json(),
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#
        );
        let entry =
            ErrorEntry::new(ErrorCode::BlobUnknown, "no \"blob\"").with_detail(json!({"digest": "x"}));
        assert_eq!(
            ErrorBody::from(entry).to_json(),
            r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"no \"blob\"","detail":{"digest":"x"}}]}"#
        );
    }
}
