//! Tags.

use std::sync::Arc;

use crate::Digest;
use crate::text::{checked_text, excerpt};

/// Longest tag in bytes (distribution-spec, "Pulling manifests").
pub const MAX_TAG_BYTES: usize = 128;

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`. Orders by bytes, as tag lists do. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// Why a text is no tag. Answered to clients as `TAG_INVALID` or, where the specification has no such code,
/// `MANIFEST_INVALID`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Nothing there.
    #[error("tag is empty: give one such as v1")]
    Empty,
    /// Over [`MAX_TAG_BYTES`].
    #[error("tag has {bytes} bytes: at most {MAX_TAG_BYTES} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Outside the grammar.
    #[error(
        "tag `{tag}` is malformed at byte {at}: use letters, digits, `_`, `.` and `-`, and do not begin with `.` or `-`"
    )]
    Malformed {
        /// The tag, clipped and escaped.
        tag: String,
        /// Offset in bytes of the first one that does not fit.
        at: usize,
    },
}

checked_text!(Tag, TagError, check, "a tag such as v1");

impl Tag {
    /// For text that this crate itself made to fit.
    pub(crate) fn known_good(text: &str) -> Tag {
        debug_assert!(check(text).is_ok(), "not a tag: {text}");
        Tag(text.into())
    }

    /// The tag that is meant where none is named.
    pub fn latest() -> Tag {
        Tag::known_good("latest")
    }

    /// The manifest to which something is attached under this tag, if it is one of
    /// [`Digest::attachment_tags`](crate::Digest::attachment_tags). Of a hash that the tag has only a part of, none.
    pub fn attached_to(&self) -> Option<Digest> {
        let (fallback, _) = self.0.split_once('.').unwrap_or((&self.0, ""));
        let (algorithm, hex) = fallback.split_once('-')?;
        let digest: Digest = format!("{algorithm}:{hex}").parse().ok()?;
        digest.attachment_tags().contains(self).then_some(digest)
    }
}

fn check(tag: &str) -> Result<&str, TagError> {
    if tag.is_empty() {
        return Err(TagError::Empty);
    }
    if tag.len() > MAX_TAG_BYTES {
        return Err(TagError::TooLong { bytes: tag.len() });
    }
    let fits = |(at, byte): (usize, u8)| {
        byte.is_ascii_alphanumeric() || byte == b'_' || (at > 0 && matches!(byte, b'.' | b'-'))
    };
    match tag.bytes().enumerate().find(|&each| !fits(each)) {
        None => Ok(tag),
        Some((at, _)) => Err(TagError::Malformed {
            tag: excerpt(tag),
            at,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_grammar_allows() {
        let longest = "v".repeat(MAX_TAG_BYTES);
        for tag in ["v1", "_", "1.2.3-rc.1", "LATEST", "a--b..c__", longest.as_str()] {
            assert_eq!(tag.parse::<Tag>().unwrap(), tag);
        }
    }

    #[test]
    fn what_is_attached_under_a_tag_is_found_again() {
        let digest = Digest::of(crate::Algorithm::Sha256, b"an image");
        for tag in digest.attachment_tags() {
            assert_eq!(tag.attached_to(), Some(digest), "{tag}");
        }
        // Of a longer hash the tag has only a part.
        for tag in Digest::of(crate::Algorithm::Sha512, b"an image").attachment_tags() {
            assert_eq!(tag.attached_to(), None, "{tag}");
        }
        let hex = digest.hex();
        for other in ["v1", "sha256-", "sha256", ".sig"]
            .map(str::to_owned)
            .into_iter()
            .chain([
                format!("sha256-{hex}.sbom"),
                format!("sha256-{hex}.sig.sig"),
                format!("sha256-{}", &hex[1..]),
                format!("sha256-{}.sig", hex.to_uppercase()),
            ])
        {
            let attached = other.parse::<Tag>().ok().and_then(|tag| tag.attached_to());
            assert_eq!(attached, None, "{other}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_where() {
        for (tag, at) in [
            (".a", 0),
            ("-a", 0),
            ("a:b", 1),
            ("a/b", 1),
            ("a b", 1),
            ("a\0", 1),
            ("é", 0),
            ("a+b", 1),
        ] {
            let error = tag.parse::<Tag>().unwrap_err();
            assert_eq!(
                error,
                TagError::Malformed {
                    tag: excerpt(tag),
                    at
                }
            );
        }
        assert_eq!("".parse::<Tag>(), Err(TagError::Empty));
        let long = "v".repeat(MAX_TAG_BYTES + 1);
        assert_eq!(
            long.parse::<Tag>(),
            Err(TagError::TooLong {
                bytes: MAX_TAG_BYTES + 1
            })
        );
    }
}
