//! Reading package URLs, from right to left as purl-spec says ("How to parse a `purl` string").

use std::collections::BTreeMap;

use thiserror::Error;

use super::encoding::decode;
use crate::PackageKind;

/// Why a text is no package URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PurlError {
    /// Longer than [`ParsedPurl::MAX_LENGTH`].
    #[error("package url of {bytes} bytes, more than {}", ParsedPurl::MAX_LENGTH)]
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// It does not begin with `pkg:`.
    #[error("package url without `pkg:`")]
    NoScheme,
    /// The type is missing, or it is not made of letters, digits, `.`, `+` and `-`.
    #[error("package url without a valid type")]
    Type,
    /// There is no name.
    #[error("package url without a name")]
    NoName,
    /// A `%` that no two hexadecimal digits follow, or bytes that are no UTF-8.
    #[error("package url with broken percent-encoding")]
    Encoding,
    /// Names and versions go into pages and logs.
    #[error("package url with a control character")]
    ControlCharacter,
    /// A key that is empty, not of the allowed characters, or there twice.
    #[error("package url with an invalid or repeated qualifier")]
    Qualifier,
    /// More than [`ParsedPurl::MAX_QUALIFIERS`].
    #[error("package url with more than {} qualifiers", ParsedPurl::MAX_QUALIFIERS)]
    TooManyQualifiers,
}

/// A package URL in its parts, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedPurl {
    /// The type in lower case (`deb`, `maven`).
    pub type_name: String,
    /// The kind of package that the type stands for, if it is one that is known here.
    pub kind: Option<PackageKind>,
    /// What stands before the name, segments with `/` between.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The version.
    pub version: Option<String>,
    /// By key, in lower case; none is empty.
    pub qualifiers: BTreeMap<String, String>,
    /// A path inside the package.
    pub subpath: Option<String>,
}

impl ParsedPurl {
    /// Longest package URL that is read, in bytes: an SBOM may hold hundreds of thousands of them.
    pub const MAX_LENGTH: usize = 8 * 1024;
    /// Most qualifiers that one may have.
    pub const MAX_QUALIFIERS: usize = 32;

    pub(super) fn parse(text: &str) -> Result<Self, PurlError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(PurlError::TooLong { bytes: text.len() });
        }
        let (rest, subpath) = split_last(text, '#');
        let (rest, qualifiers) = split_last(rest, '?');
        let (scheme, rest) = rest.split_once(':').ok_or(PurlError::NoScheme)?;
        if !scheme.eq_ignore_ascii_case("pkg") {
            return Err(PurlError::NoScheme);
        }
        let (type_name, rest) = rest
            .trim_start_matches('/')
            .split_once('/')
            .ok_or(PurlError::NoName)?;
        let type_name = parse_type(type_name)?;
        let (path, version) = split_version(rest);
        let (namespace, name) = match path.trim_matches('/').rsplit_once('/') {
            Some((namespace, name)) => (parse_segments(namespace)?, decode(name)?),
            None => (None, decode(path.trim_matches('/'))?),
        };
        if name.is_empty() {
            return Err(PurlError::NoName);
        }
        Ok(Self {
            kind: PackageKind::of_purl_type(&type_name),
            type_name,
            namespace,
            name,
            version: version
                .map(decode)
                .transpose()?
                .filter(|version| !version.is_empty()),
            qualifiers: parse_qualifiers(qualifiers.unwrap_or_default())?,
            subpath: parse_subpath(subpath.unwrap_or_default())?,
        })
    }
}

fn split_last(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.rsplit_once(separator) {
        Some((rest, last)) => (rest, Some(last)),
        None => (text, None),
    }
}

/// The scope of an npm package may have an `@` that nobody encoded: the version's is behind the last slash.
fn split_version(text: &str) -> (&str, Option<&str>) {
    let name_start = text.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
    match text[name_start..].rfind('@') {
        Some(0) | None => (text, None),
        Some(at) => (&text[..name_start + at], Some(&text[name_start + at + 1..])),
    }
}

fn parse_type(text: &str) -> Result<String, PurlError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
    if text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_allowed) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(PurlError::Type)
    }
}

fn parse_segments(text: &str) -> Result<Option<String>, PurlError> {
    let segments: Vec<_> = text
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(decode)
        .collect::<Result<_, _>>()?;
    Ok(Some(segments.join("/")).filter(|namespace| !namespace.is_empty()))
}

fn parse_subpath(text: &str) -> Result<Option<String>, PurlError> {
    let segments = parse_segments(text)?.unwrap_or_default();
    let is_said = |segment: &&str| !matches!(*segment, "" | "." | "..");
    let path = segments.split('/').filter(is_said).collect::<Vec<_>>().join("/");
    Ok(Some(path).filter(|path| !path.is_empty()))
}

fn parse_qualifiers(text: &str) -> Result<BTreeMap<String, String>, PurlError> {
    let mut qualifiers = BTreeMap::new();
    for (count, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if count == ParsedPurl::MAX_QUALIFIERS {
            return Err(PurlError::TooManyQualifiers);
        }
        let (key, value) = pair.split_once('=').ok_or(PurlError::Qualifier)?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !key.starts_with(|first: char| first.is_ascii_alphabetic()) || !key.bytes().all(is_allowed) {
            return Err(PurlError::Qualifier);
        }
        let value = decode(value)?;
        if !value.is_empty() && qualifiers.insert(key.to_ascii_lowercase(), value).is_some() {
            return Err(PurlError::Qualifier);
        }
    }
    Ok(qualifiers)
}
