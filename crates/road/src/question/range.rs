//! Ranges of versions, in the order of an ecosystem.

use std::{cmp::Ordering, fmt};

use findings::{Ecosystem, PackageKind, version};

use super::QuestionError;

/// Most bounds of a range.
const BOUNDS: usize = 8;

/// How a version is compared with that of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `=`
    Equal,
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// How it is compared.
    pub comparison: Comparison,
    /// With which version.
    pub version: String,
}

/// All bounds must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    bounds: Vec<Bound>,
}

/// Whether a version is in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Membership {
    /// It is not.
    Outside,
    /// It cannot be said: it has no place in the order, or it is not known which version it is.
    Unknown,
    /// It is.
    Inside,
}

/// Spellings, the longer ones first.
const SIGNS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("=", Comparison::Equal),
];

impl VersionRange {
    /// One version.
    pub fn exactly(version: impl Into<String>) -> Self {
        Self {
            bounds: vec![Bound {
                comparison: Comparison::Equal,
                version: version.into(),
            }],
        }
    }

    /// Reads `2.14.1`, `<2.15.0`, `>=2.4,<2.12.2`, `2.0-beta9..2.14.1` (with both ends), `2.4..` or `..2.14`.
    ///
    /// # Errors
    /// It is none of these.
    pub fn parse(text: &str) -> Result<Self, QuestionError> {
        let refused = || QuestionError::Range(text.chars().take(80).collect());
        let bound = |comparison, version: &str| Bound {
            comparison,
            version: version.trim().to_owned(),
        };
        let mut bounds = Vec::new();
        if let Some((first, last)) = text.split_once("..") {
            let ends = [(Comparison::AtLeast, first), (Comparison::AtMost, last)];
            let said = ends.into_iter().filter(|(_, version)| !version.trim().is_empty());
            bounds.extend(said.map(|(comparison, version)| bound(comparison, version)));
        } else {
            for part in text.split(',').map(str::trim) {
                let sign = SIGNS.iter().find(|(sign, _)| part.starts_with(sign));
                bounds.push(match sign {
                    Some((sign, comparison)) => bound(*comparison, &part[sign.len()..]),
                    None => bound(Comparison::Equal, part),
                });
            }
        }
        let is_version = |bound: &Bound| {
            let is_letter = |letter: char| !letter.is_whitespace() && !"<>=,@^|*!()[]".contains(letter);
            let version = bound.version.as_str();
            !version.is_empty() && !version.contains("..") && version.chars().all(is_letter)
        };
        if bounds.is_empty() || bounds.len() > BOUNDS || !bounds.iter().all(is_version) {
            return Err(refused());
        }
        Ok(Self { bounds })
    }

    /// Its ends.
    pub fn bounds(&self) -> &[Bound] {
        &self.bounds
    }

    /// Whether a version is in it.
    pub fn holds(&self, kind: PackageKind, version: &str) -> Membership {
        self.holds_between(kind, version, version)
    }

    /// Whether evidence that allows every version from `first` to `last` is in it.
    pub fn holds_between(&self, kind: PackageKind, first: &str, last: &str) -> Membership {
        let each = self.bounds.iter().map(|bound| bound.holds(kind, first, last));
        each.min().unwrap_or(Membership::Inside)
    }
}

impl Bound {
    fn holds(&self, kind: PackageKind, first: &str, last: &str) -> Membership {
        use Ordering::{Equal, Greater, Less};
        let order = |version| version::compare(order_of(kind), version, &self.version);
        let (Ok(first_order), Ok(last_order)) = (order(first), order(last)) else {
            let is_it = self.comparison == Comparison::Equal && first == last && first == self.version;
            return if is_it {
                Membership::Inside
            } else {
                Membership::Unknown
            };
        };
        let ends = [first_order, last_order];
        let is_in = |order: Ordering| match self.comparison {
            Comparison::Less => order == Less,
            Comparison::AtMost => order != Greater,
            Comparison::Greater => order == Greater,
            Comparison::AtLeast => order != Less,
            Comparison::Equal => order == Equal,
        };
        if ends.into_iter().all(is_in) {
            Membership::Inside
        } else if ends.into_iter().any(is_in) || ends == [Less, Greater] {
            Membership::Unknown
        } else {
            Membership::Outside
        }
    }
}

/// Whose order the versions of a kind have; distributions of one kind share it.
pub(super) fn order_of(kind: PackageKind) -> Ecosystem {
    kind.language_ecosystem().unwrap_or(match kind {
        PackageKind::Dpkg => Ecosystem::Debian,
        PackageKind::Apk => Ecosystem::Alpine,
        _ => Ecosystem::Rpm,
    })
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, bound) in self.bounds.iter().enumerate() {
            let sign = SIGNS
                .iter()
                .find(|(_, comparison)| *comparison == bound.comparison);
            // A version that is one of several bounds, or begins like a sign, needs its own.
            let sign = sign.map_or("", |(sign, _)| sign);
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{sign}{}", bound.version)?;
        }
        Ok(())
    }
}
