//! Names of Java classes.

use std::{fmt, str::FromStr};

use super::QuestionError;

/// Most characters of a class's name.
const CLASS_CHARACTERS: usize = 1_024;

/// The name of a class with its package: `org.apache.logging.log4j.core.lookup.JndiLookup`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JavaClass(String);

impl JavaClass {
    /// With dots.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without its package.
    pub fn simple_name(&self) -> &str {
        self.0.rsplit_once('.').map_or(self.as_str(), |(_, name)| name)
    }
}

impl FromStr for JavaClass {
    type Err = QuestionError;

    /// With dots, or as a path (`org/example/Name.class`).
    fn from_str(text: &str) -> Result<Self, QuestionError> {
        let refused = || QuestionError::Class(text.chars().take(80).collect());
        let name = text.strip_suffix(".class").unwrap_or(text).replace('/', ".");
        let is_part = |part: &str| {
            let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
            part.starts_with(|first: char| is_letter(first) && !first.is_numeric())
                && part.chars().all(is_letter)
        };
        if name.contains('.') && name.len() <= CLASS_CHARACTERS && name.split('.').all(is_part) {
            Ok(Self(name))
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for JavaClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is a class rather than a package: three parts or more, the first in small letters, the last with a capital.
/// `Newtonsoft.Json` is a package.
pub(super) fn looks_like_one(text: &str) -> bool {
    let path = text.strip_suffix(".class");
    let name = path.unwrap_or(text);
    let parts: Vec<&str> = name
        .split(if path.is_some() { ['.', '/'] } else { ['.', '.'] })
        .collect();
    let begins = |part: Option<&&str>, is: fn(char) -> bool| part.is_some_and(|part| part.starts_with(is));
    parts.len() >= 3
        && begins(parts.first(), char::is_lowercase)
        && begins(parts.last(), char::is_uppercase)
        && text.parse::<JavaClass>().is_ok()
}
