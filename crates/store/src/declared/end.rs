//! When an account ends, as it is declared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::Timestamp;

/// How an account without an end is written. Leaving the field out means something else: as it is.
const NEVER: &str = "never";

/// An end: `never`, or a moment in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum End {
    /// The account has no end.
    Never,
    /// It is over after this moment.
    At(Timestamp),
}

/// Why a text is no end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no end date; write it like 2027-01-31T00:00:00Z, or never")]
pub struct EndError {
    text: String,
}

impl End {
    /// The moment, if there is one.
    pub fn moment(self) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::At(moment) => Some(moment),
        }
    }
}

impl From<Option<Timestamp>> for End {
    fn from(moment: Option<Timestamp>) -> Self {
        moment.map_or(Self::Never, Self::At)
    }
}

impl FromStr for End {
    type Err = EndError;

    fn from_str(text: &str) -> Result<Self, EndError> {
        if text == NEVER {
            return Ok(Self::Never);
        }
        let moment = Timestamp::from_rfc3339(text).map(Self::At);
        moment.ok_or_else(|| EndError {
            text: text.chars().take(40).collect(),
        })
    }
}

impl TryFrom<String> for End {
    type Error = EndError;

    fn try_from(text: String) -> Result<Self, EndError> {
        text.parse()
    }
}

impl From<End> for String {
    fn from(end: End) -> Self {
        end.to_string()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str(NEVER),
            Self::At(moment) => fmt::Display::fmt(moment, f),
        }
    }
}

/// Reads a field that is there. `null` is refused: it could mean either that there is no end or that nothing is said
/// about it.
pub(super) fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<End>, D::Error> {
    End::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_reads_as_it_is_written() {
        for text in ["never", "2027-01-31T00:00:00Z"] {
            let end: End = text.parse().unwrap();
            assert_eq!(end.to_string(), text);
            let json = format!("\"{text}\"");
            assert_eq!(serde_json::from_str::<End>(&json).unwrap(), end);
            assert_eq!(serde_json::to_string(&end).unwrap(), json);
            assert_eq!(End::from(end.moment()), end);
        }
        for bad in ["", "Never", "tomorrow", "2027-01-31"] {
            assert!(bad.parse::<End>().is_err(), "{bad}");
        }
    }
}
