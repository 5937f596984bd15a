//! What names a manifest within a repository.

use std::fmt;
use std::str::FromStr;

use crate::text::serde_as_text;
use crate::{Digest, DigestError, Tag, TagError};

/// A tag or a digest, as in the path of the manifest endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A name that may move from one manifest to another.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// Why a text is neither tag nor digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It has no colon, and is no tag.
    #[error(transparent)]
    Tag(TagError),
    /// It has a colon, and is no digest.
    #[error(transparent)]
    Digest(DigestError),
}

impl Reference {
    /// The tag, if it is one.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => None,
        }
    }

    /// The digest, if it is one.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Reference::Tag(_) => None,
            Reference::Digest(digest) => Some(*digest),
        }
    }
}

/// A text with a colon is meant as a digest: no tag has one, and no digest is without.
impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            text.parse()
                .map(Reference::Digest)
                .map_err(ReferenceError::Digest)
        } else {
            text.parse().map(Reference::Tag).map_err(ReferenceError::Tag)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Tag(tag) => tag.fmt(f),
            Reference::Digest(digest) => digest.fmt(f),
        }
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Reference::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Reference::Digest(digest)
    }
}

serde_as_text!(Reference, "a tag or a digest");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    #[test]
    fn the_colon_decides() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        assert_eq!(digest.to_string().parse(), Ok(Reference::Digest(digest)));
        let tag: Reference = "sha256-abc".parse().unwrap();
        assert_eq!(tag.tag().unwrap(), "sha256-abc");
        assert_eq!(tag.digest(), None);
        assert!(matches!(
            "v1:2".parse::<Reference>(),
            Err(ReferenceError::Digest(_))
        ));
        assert!(matches!("-v1".parse::<Reference>(), Err(ReferenceError::Tag(_))));
        assert!(matches!(
            "".parse::<Reference>(),
            Err(ReferenceError::Tag(TagError::Empty))
        ));
    }
}
