//! Questions about packages.

use std::fmt;

use findings::{Ecosystem, OsRelease, PackageKind, Purl, version};

use super::{
    QuestionError,
    range::{Membership, VersionRange, order_of},
};

/// A package, at some of its versions or at any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageQuestion {
    /// Who installed it; `None`: whoever.
    pub kind: Option<PackageKind>,
    /// Its name, as its ecosystem spells it. For Java also the artifact alone.
    pub name: String,
    /// Which versions; `None`: any.
    pub range: Option<VersionRange>,
    /// On which operating systems; `None`: on any.
    pub os: Option<OsQuestion>,
}

/// Which operating systems are meant. What is empty is not asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsQuestion {
    /// `debian`
    pub id: String,
    /// `12`
    pub version: String,
    /// `bookworm`
    pub codename: String,
}

impl OsQuestion {
    /// Whether it is this one.
    pub fn is(&self, os: &OsRelease) -> bool {
        let is_version = || {
            let rest = os.version.strip_prefix(&self.version);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        os.id.eq_ignore_ascii_case(&self.id)
            && (self.version.is_empty() || is_version())
            && (self.codename.is_empty() || os.codename.eq_ignore_ascii_case(&self.codename))
    }
}

impl PackageQuestion {
    /// Any version of whatever has this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            kind: None,
            name: name.into(),
            range: None,
            os: None,
        }
    }

    /// Whether a version is asked about.
    pub fn holds(&self, kind: PackageKind, version: &str) -> Membership {
        let range = self.range.as_ref();
        range.map_or(Membership::Inside, |range| range.holds(kind, version))
    }

    /// Whether evidence that allows every version from `first` to `last` is asked about.
    pub fn holds_between(&self, kind: PackageKind, first: &str, last: &str) -> Membership {
        let range = self.range.as_ref();
        range.map_or(Membership::Inside, |range| range.holds_between(kind, first, last))
    }
}

impl fmt::Display for PackageQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = self.kind {
            write!(f, "{}:", kind.purl_type())?;
        }
        f.write_str(&self.name)?;
        match &self.range {
            Some(range) => write!(f, "@{range}"),
            None => Ok(()),
        }
    }
}

pub(super) fn by_purl(text: &str) -> Result<PackageQuestion, QuestionError> {
    let purl = Purl::parse(text).map_err(QuestionError::Purl)?;
    let Some((package, os)) = purl.to_package() else {
        return Err(QuestionError::PurlType(purl.type_name.chars().take(40).collect()));
    };
    Ok(PackageQuestion {
        kind: Some(package.kind),
        name: package.name,
        range: Some(package.version)
            .filter(|version| !version.is_empty())
            .map(VersionRange::exactly),
        os: os.map(|os| OsQuestion {
            id: os.id,
            version: os.version,
            codename: os.codename,
        }),
    })
}

pub(super) fn by_name(text: &str) -> Result<PackageQuestion, QuestionError> {
    let (kind, rest) = split_kind(text)?;
    let (name, range) = match rest.rfind('@') {
        Some(0) | None => (rest, None),
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
    };
    check_name(name.trim(), kind)?;
    let name = name.trim().to_owned();
    let range = range.map(|range| VersionRange::parse(range.trim())).transpose()?;
    if let (Some(kind), Some(range)) = (kind, &range) {
        check_versions(kind, range)?;
    }
    let name = match kind {
        Some(PackageKind::Python) => Ecosystem::PyPi.comparable_name(&name).into_owned(),
        _ => name,
    };
    Ok(PackageQuestion {
        kind,
        name,
        range,
        os: None,
    })
}

/// The kind before the first colon; a group of Java has a dot or comes after `maven:`.
fn split_kind(text: &str) -> Result<(Option<PackageKind>, &str), QuestionError> {
    let end = text.rfind('@').filter(|at| *at > 0).unwrap_or(text.len());
    let Some((first, rest)) = text[..end]
        .split_once(':')
        .map(|(first, _)| (first, &text[first.len() + 1..]))
    else {
        return Ok((None, text));
    };
    let kind = match first.to_ascii_lowercase().as_str() {
        "java" => Some(PackageKind::Java),
        "go" => Some(PackageKind::Go),
        "rust" | "crates.io" => Some(PackageKind::Rust),
        "python" => Some(PackageKind::Python),
        "dpkg" | "debian" | "ubuntu" => Some(PackageKind::Dpkg),
        "alpine" => Some(PackageKind::Apk),
        "ruby" | "rubygems" => Some(PackageKind::Gem),
        "packagist" => Some(PackageKind::Composer),
        known => PackageKind::of_purl_type(known),
    };
    match kind {
        Some(kind) => Ok((Some(kind), rest)),
        None if first.contains('.') => Ok((Some(PackageKind::Java), text)),
        None => Err(QuestionError::Kind(first.chars().take(40).collect())),
    }
}

fn check_name(name: &str, kind: Option<PackageKind>) -> Result<(), QuestionError> {
    let cut = |text: &str| text.chars().take(80).collect::<String>();
    let sign = name.find(|letter: char| letter.is_whitespace() || "<>=".contains(letter));
    if let Some(at) = sign.filter(|at| *at > 0 && !name.starts_with('@')) {
        return Err(QuestionError::NoAt(format!(
            "{}@{}",
            cut(&name[..at]),
            cut(name[at..].trim())
        )));
    }
    let is_java = kind == Some(PackageKind::Java);
    if is_java && let Some((coordinates, version)) = split_third(name) {
        return Err(QuestionError::NoAt(format!(
            "{}@{}",
            cut(coordinates),
            cut(version)
        )));
    }
    let is_scope_only = name.starts_with('@') && !name.contains('/');
    if name.is_empty() || sign.is_some() || is_scope_only || (name.contains(':') && !is_java) {
        return Err(QuestionError::Name(cut(name)));
    }
    Ok(())
}

/// Java's `group:artifact:version`.
fn split_third(name: &str) -> Option<(&str, &str)> {
    (name.matches(':').count() > 1).then(|| name.rsplit_once(':'))?
}

/// A bound that has no place in the order would make every answer uncertain.
fn check_versions(kind: PackageKind, range: &VersionRange) -> Result<(), QuestionError> {
    let has_no_place = |version: &&str| version::compare(order_of(kind), version, version).is_err();
    let versions = range.bounds().iter().map(|bound| bound.version.as_str());
    match { versions }.find(has_no_place) {
        Some(version) => Err(QuestionError::Version {
            version: version.chars().take(80).collect(),
            kind: kind.purl_type(),
        }),
        None => Ok(()),
    }
}
