//! When two spellings of a name are the same package.

use std::borrow::Cow;

use super::Ecosystem;

impl Ecosystem {
    /// The spelling of a package's name that is the same for all spellings of it: what a matcher compares.
    ///
    /// Python's names are the same whatever their case and separators (PEP 503), those of `NuGet` and Composer whatever
    /// their case. Paths of Go modules do depend on it, but their package URLs must not (PURL-TYPES): without this, an SBOM
    /// of an image would have other findings than the image.
    pub fn comparable_name(self, name: &str) -> Cow<'_, str> {
        let has_capitals = || name.bytes().any(|byte| byte.is_ascii_uppercase());
        match self {
            Self::PyPi => Cow::Owned(python_name(name)),
            Self::Go | Self::NuGet | Self::Packagist if has_capitals() => {
                Cow::Owned(name.to_ascii_lowercase())
            }
            _ => Cow::Borrowed(name),
        }
    }
}

/// PEP 503: lower case, and one hyphen for any run of `-`, `_` and `.`.
fn python_name(name: &str) -> String {
    let mut normalised = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '-' | '_' | '.' if normalised.ends_with('-') => {}
            '-' | '_' | '.' => normalised.push('-'),
            letter => normalised.push(letter.to_ascii_lowercase()),
        }
    }
    normalised
}
