//! Whom a question is about, as people write it.

use std::str::FromStr;

use maturity::facts::ORGANISATION;
use maturity::words::{Subject, SubjectKind, WordError};

/// An application by its bare name, the organisation by its kind, everybody by kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whom(pub(crate) Subject);

impl FromStr for Whom {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        if text.contains(':') {
            return text.parse().map(Self);
        }
        if text == SubjectKind::Org.as_str() {
            let name = ORGANISATION.parse()?;
            let kind = SubjectKind::Org;
            return Ok(Self(Subject { kind, name }));
        }
        text.parse().map(Subject::app).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_an_application() {
        for (text, subject) in [
            ("shop/checkout", "app:shop/checkout"),
            ("app:shop/checkout", "app:shop/checkout"),
            ("team:payments", "team:payments"),
            ("platform:default", "platform:default"),
            ("org", "org:organisation"),
            ("org:organisation", "org:organisation"),
        ] {
            assert_eq!(text.parse::<Whom>().unwrap().0.to_string(), subject);
        }
    }

    #[test]
    fn what_names_nobody_is_refused_with_what_to_write() {
        for text in [
            "",
            "a/b/c",
            "squad:x",
            "app:",
            "app:<script>",
            "\u{1b}[2J",
            "team: x",
        ] {
            let error = text.parse::<Whom>().unwrap_err().to_string();
            assert!(error.contains("write"), "{text:?}: {error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }
}
