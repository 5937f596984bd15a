//! Tags that are versions: who fixes `1.4.1` pushes `1.4.2`, and the old tag stays what it is.

use oci::Tag;

/// Numbers of a version; more are no version that somebody counts on by hand.
const NUMBERS: usize = 6;

/// A tag such as `1.4.2`, `v2.0.1` or `1.4.2-alpine`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VersionTag<'a> {
    numbers: Vec<u64>,
    /// What follows them: variants of one version are different lines.
    variant: &'a str,
    /// How often it was put on a newer base without a build (`1.4.2-p1`); 0 for as it was built.
    rebased: u64,
}

impl<'a> VersionTag<'a> {
    /// At least two numbers with dots between them: one alone, such as `17`, is a tag that is moved.
    pub(super) fn of(tag: &'a str) -> Option<Self> {
        Self::read(tag).filter(|version| version.numbers.len() >= 2)
    }

    fn read(tag: &'a str) -> Option<Self> {
        let text = tag.strip_prefix('v').unwrap_or(tag);
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(text.len());
        let (numbers, variant) = text.split_at(end);
        let numbers: Vec<u64> = numbers
            .split('.')
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        let (variant, rebased) = without_rebase(variant);
        (1..=NUMBERS).contains(&numbers.len()).then_some(Self {
            numbers,
            variant,
            rebased,
        })
    }

    /// Whether a tag that is moved along, such as `1.4`, may name this version (`1.4.2`).
    fn is_below(&self, other: &Self) -> bool {
        self.variant == other.variant
            && self.numbers.len() > other.numbers.len()
            && self.numbers.starts_with(&other.numbers)
    }

    /// Whether whoever uses `other` is meant to go to this one: a later version with the same first number, of the same variant.
    pub(super) fn follows(&self, other: &Self) -> bool {
        self.variant == other.variant
            && self.numbers.len() == other.numbers.len()
            && self.numbers.first() == other.numbers.first()
            && (&self.numbers, self.rebased) > (&other.numbers, other.rebased)
    }
}

/// A tag without what `roadbed rebase` hangs on to it (`v1-p2`), and that number; 0 for as it was built.
fn without_rebase(tag: &str) -> (&str, u64) {
    let hung = tag.rsplit_once("-p");
    hung.and_then(|(built, number)| Some((built, number.parse().ok()?)))
        .unwrap_or((tag, 0))
}

/// Whether a tag may take the place of another one: it is a version, or what was made of a tag without a build.
pub(super) fn may_follow(tag: &str) -> bool {
    VersionTag::of(tag).is_some() || without_rebase(tag).1 > 0
}

/// Whether one of these follows a tag.
pub(super) fn has_follower<'a>(tag: &Tag, mut others: impl Iterator<Item = &'a str>) -> bool {
    let (built, rebased) = without_rebase(tag.as_str());
    let version = VersionTag::of(tag.as_str());
    others.any(|other| {
        let (other_built, other_rebased) = without_rebase(other);
        let is_later = |version| VersionTag::of(other).is_some_and(|other| other.follows(version));
        (other_built == built && other_rebased > rebased) || version.as_ref().is_some_and(is_later)
    })
}

/// Those of these that whoever uses a tag is meant to go to, the latest first: versions that the tag may be moved to, then ones that
/// follow it.
pub(super) fn latest_first<'a>(tag: &Tag, others: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let own = VersionTag::read(tag.as_str());
    let later = others.filter_map(|other| {
        let version = VersionTag::of(other);
        let is_below = own
            .as_ref()
            .zip(version.as_ref())
            .is_some_and(|(own, version)| version.is_below(own));
        let is_later = is_below || has_follower(tag, std::iter::once(other));
        let numbers = version.map(|version| version.numbers);
        is_later.then_some((is_below, numbers, without_rebase(other).1, other))
    });
    let mut later: Vec<_> = later.collect();
    later.sort_unstable_by(|a, b| b.cmp(a));
    later.into_iter().map(|(.., other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_of_the_same_line_follows() {
        let follows =
            |other: &'static str, tag: &str| has_follower(&tag.parse().unwrap(), std::iter::once(other));
        for (tag, other) in [
            ("1.4.1", "1.4.2"),
            ("1.4.1", "1.5.0"),
            ("v1.4.1", "1.4.2"),
            ("1.9.0", "1.10.0"),
            ("1.4.1-alpine", "1.4.2-alpine"),
            ("1.4.1", "1.4.1-p1"),
            ("1.4", "1.4-p1"),
            ("1.4.1-p9", "1.4.1-p10"),
            ("1.4.1-p2", "1.4.2"),
            ("1.4.1-alpine", "1.4.1-alpine-p1"),
            ("v1", "v1-p1"),
            ("latest-p1", "latest-p2"),
        ] {
            assert!(follows(other, tag), "{tag} {other}");
        }
        for (tag, other) in [
            ("1.4.1", "1.4.0"),
            ("1.4.1", "1.4.1"),
            ("1.4.1", "2.0.0"),
            ("1.4", "1.4.2"),
            ("17", "18"),
            ("prod", "1.4.2"),
            ("prod", "prod-preview"),
            ("prod-p1", "prod"),
            ("v1", "v2-p1"),
            ("1.4.1", "1.4.2-rc1"),
            ("1.4.1-alpine", "1.4.2"),
            ("1.4.1-p1", "1.4.1"),
            ("1.4.1", "1.4.1-preview"),
            ("1.99999999999999999999", "1.4"),
        ] {
            assert!(!follows(other, tag), "{tag} {other}");
        }
        assert!(
            !may_follow("1..1") && !may_follow("latest") && may_follow("1.4-rc1") && may_follow("latest-p1")
        );
    }

    #[test]
    fn the_newest_of_the_line_is_named() {
        for (tag, others, newest_one) in [
            ("1.4", &["1.4.2", "1.4.10", "1.5.0", "2.0.0"][..], Some("1.4.10")),
            ("1.4", &["1.4.2", "1.5"], Some("1.4.2")),
            ("1.4", &["1.4.2-alpine", "1.40.1", "1.3.9"], None),
            ("v1", &["v1.9.0", "v1.10.0", "v2.0.0"], Some("v1.10.0")),
            ("1-alpine", &["1.2.0-alpine", "1.3.0"], Some("1.2.0-alpine")),
            ("1.4.1", &["1.4.2", "1.5.0"], Some("1.5.0")),
            ("1.4.1", &["1.4.1-p1", "1.4.1-p2"], Some("1.4.1-p2")),
            ("prod", &["prod-p9", "prod-p10", "1.4.2"], Some("prod-p10")),
            ("latest", &["1.4.2"], None),
        ] {
            let found = latest_first(&tag.parse().unwrap(), others.iter().copied());
            assert_eq!(found.first().copied(), newest_one, "{tag} {others:?}");
        }
        let found = latest_first(&"1.4".parse().unwrap(), ["1.4-p1", "1.4.2", "1.4.10"].into_iter());
        assert_eq!(found, ["1.4.10", "1.4.2", "1.4-p1"]);
    }
}
