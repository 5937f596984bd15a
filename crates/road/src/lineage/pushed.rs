//! From what lies in the repositories of bases to their releases: which one is current, and what took the place of the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use findings::Severity;
use oci::Digest;
use time::OffsetDateTime;

use super::{Release, Superseded, Word};
use crate::base::{BaseImage, Bases};
use crate::names::BaseName;

/// An image that was pushed to the repository of a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Of which base.
    pub base: BaseName,
    /// Its manifest.
    pub digest: Digest,
    /// Its manifest, and the indexes that name it: by any of them a channel can point at it.
    pub known_as: Vec<Digest>,
    /// What it is called, such as its tag.
    pub version: String,
    /// `linux/amd64`: a release takes the place of those of its own platform.
    pub platform: String,
    /// Its layers from the bottom up, by what was computed of them.
    pub diff_ids: Vec<Digest>,
    /// When it was pushed.
    pub at: OffsetDateTime,
    /// When it was made, by its configuration, which a signature covers; 1970 where that does not say. `None`: nobody looked yet.
    pub made_at: Option<OffsetDateTime>,
    /// The trusted signers of it.
    pub signed_by: Vec<String>,
}

/// The channel that images follow where a base has it.
const FOLLOWED: &str = "stable";

/// The releases of all declared bases. What belongs to no declared base is left out.
///
/// Where a base declares channels, a release is current while one of them points at it, and those behind all channels are only
/// announced: nothing was superseded by them. Without channels the newest of a platform is current. Everything else was
/// superseded by the next current one that was pushed after it, at the moment of that push. Which problems the newer one is
/// without is not compared: an unknown severity counts as high.
///
/// Where a base declares a signer, what that signer has not signed is only announced: whoever may push to the repository of a base
/// moves nothing by that. Nor by pushing again what was signed long ago: what was made before a release that counted when it was
/// pushed is superseded by that one, unless a channel names it.
///
/// Layers that several bases have are of one: by the word of a declared signer before any other, then of the first. A copy is no
/// release.
pub fn releases(bases: &Bases, mut pushed: Vec<Pushed>) -> Vec<Release> {
    leave_out_copies(bases, &mut pushed);
    let mut lines: BTreeMap<(BaseName, String), Vec<Pushed>> = BTreeMap::new();
    for image in pushed {
        let line = (image.base.clone(), image.platform.clone());
        lines.entry(line).or_default().push(image);
    }
    let mut releases = Vec::new();
    for ((name, _), mut line) in lines {
        let Some(base) = bases.get(&name) else { continue };
        line.sort_by_key(|image| (image.at, image.digest));
        releases.extend(line_of(base, line));
    }
    releases
}

/// By whose word an image is a release.
fn word_of(base: &BaseImage, image: &Pushed) -> Word {
    match &base.signer {
        None => Word::Pusher,
        Some(signer) if image.signed_by.contains(signer) => Word::Signer,
        Some(_) => Word::Nobody,
    }
}

fn leave_out_copies(bases: &Bases, pushed: &mut Vec<Pushed>) {
    let mut owners: HashMap<&[Digest], (Reverse<Word>, OffsetDateTime, &BaseName)> = HashMap::new();
    for image in pushed.iter() {
        let Some(base) = bases.get(&image.base) else {
            continue;
        };
        let claim = (Reverse(word_of(base, image)), image.at, &image.base);
        let owner = owners.entry(&image.diff_ids).or_insert(claim);
        *owner = claim.min(*owner);
    }
    let is_own = |image: &Pushed| {
        let owner = owners.get(image.diff_ids.as_slice());
        owner.is_some_and(|(_, _, base)| **base == image.base)
    };
    let own: Vec<bool> = pushed.iter().map(is_own).collect();
    let mut own = own.into_iter();
    pushed.retain(|_| own.next().unwrap_or(false));
}

/// Of each image of a line, which is sorted by pushes, when a release was pushed before it that counts and was made later.
fn outdated(line: &[Pushed], words: &[Word]) -> Vec<Option<OffsetDateTime>> {
    let mut newest: Option<(OffsetDateTime, OffsetDateTime)> = None;
    let outdated = line.iter().zip(words).map(|(image, word)| {
        // Nothing is made after it was pushed, whatever it says.
        let made_at = image.made_at.filter(|_| word.counts())?.min(image.at);
        match newest {
            Some((newer, pushed_at)) if made_at < newer => Some(pushed_at),
            _ => {
                newest = Some((made_at, image.at));
                None
            }
        }
    });
    outdated.collect()
}

/// The releases of one base for one platform, the oldest first.
fn line_of(base: &BaseImage, line: Vec<Pushed>) -> Vec<Release> {
    let is_at = |image: &Pushed, digest: &Digest| image.known_as.contains(digest) || image.digest == *digest;
    let is_named = |image: &Pushed| base.channels.values().any(|digest| is_at(image, digest));
    let words: Vec<Word> = line.iter().map(|image| word_of(base, image)).collect();
    let outdated = outdated(&line, &words);
    let named: Vec<bool> = line.iter().map(is_named).collect();
    // Whoever sets the channel may go back.
    let counts = |place: usize| words[place].counts() && (named[place] || outdated[place].is_none());
    let counting: Vec<bool> = (0..line.len()).map(counts).collect();
    let followed: Vec<bool> = line
        .iter()
        .map(|image| {
            base.channels
                .get(FOLLOWED)
                .is_some_and(|digest| is_at(image, digest))
        })
        .collect();
    // Channels that point at nothing of this platform say nothing about it.
    let has_channels = named.contains(&true);
    let newest = counting.iter().rposition(|counts| *counts);
    let is_current = |place: usize| {
        counting[place]
            && if has_channels {
                named[place]
            } else {
                Some(place) == newest
            }
    };
    let is_followed = |place: usize| is_current(place) && (followed[place] || !followed.contains(&true));
    let mut successor: Option<OffsetDateTime> = None;
    let mut releases: Vec<Release> = Vec::with_capacity(line.len());
    for (place, image) in line.into_iter().enumerate().rev() {
        let by = outdated[place].or(successor).filter(|_| !is_current(place));
        let superseded = by.map(|at| Superseded {
            at,
            worst_fixed: Severity::Unknown,
        });
        if has_channels {
            successor = if is_current(place) {
                Some(image.at)
            } else {
                successor
            };
        } else if counting[place] {
            // Each is replaced by the next one that counts.
            successor = Some(image.at);
        }
        releases.push(Release {
            base: image.base,
            digest: image.digest,
            version: image.version,
            diff_ids: image.diff_ids,
            platform: image.platform,
            released_at: image.at,
            superseded,
            is_target: is_followed(place),
            word: words[place],
        });
    }
    releases.reverse();
    releases
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;
    use time::Duration;

    use super::*;
    use crate::base::{Lifecycle, Promise};

    const START: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

    fn digest(text: &str) -> Digest {
        Digest::of(Algorithm::Sha256, text.as_bytes())
    }

    fn base(channels: &[(&str, &str)]) -> Bases {
        let channels = channels.iter().map(|(name, of)| ((*name).to_owned(), digest(of)));
        Bases::build(vec![BaseImage {
            name: "java17".parse().unwrap(),
            owner: "platform".parse().unwrap(),
            contact: None,
            repository: "base/java17".parse().unwrap(),
            channels: channels.collect(),
            lifecycle: Lifecycle::Supported,
            supported_until: START + Duration::days(900),
            replaced_by: None,
            rebase: None,
            patch_within: Promise::default(),
            retire_notice: None,
            signer: None,
        }])
        .unwrap()
    }

    fn pushed(name: &str, day: i64, platform: &str) -> Pushed {
        Pushed {
            base: "java17".parse().unwrap(),
            digest: digest(name),
            known_as: vec![digest(&format!("index of {name}"))],
            version: name.to_owned(),
            platform: platform.to_owned(),
            diff_ids: vec![digest(&format!("layer of {name}"))],
            at: START + Duration::days(day),
            made_at: Some(START + Duration::days(day)),
            signed_by: Vec::new(),
        }
    }

    /// `name` and the day on which something took its place.
    fn told(bases: &Bases, pushed: Vec<Pushed>) -> Vec<(String, Option<i64>)> {
        let day = |release: &Release| release.superseded.map(|by| (by.at - START).whole_days());
        let all = releases(bases, pushed);
        all.iter()
            .map(|release| (release.version.clone(), day(release)))
            .collect()
    }

    fn four() -> Vec<Pushed> {
        ["c", "a", "d", "b"]
            .into_iter()
            .zip([3, 1, 4, 2])
            .map(|(name, day)| pushed(name, day, "linux/amd64"))
            .collect()
    }

    fn rows(rows: &[(&str, Option<i64>)]) -> Vec<(String, Option<i64>)> {
        rows.iter()
            .map(|(name, day)| ((*name).to_owned(), *day))
            .collect()
    }

    #[test]
    fn without_channels_each_is_replaced_by_the_next_one_of_its_platform() {
        let mut all = four();
        all.push(pushed("arm", 2, "linux/arm64"));
        let wanted = [
            ("a", Some(2)),
            ("b", Some(3)),
            ("c", Some(4)),
            ("d", None),
            ("arm", None),
        ];
        assert_eq!(told(&base(&[]), all), rows(&wanted));
    }

    #[test]
    fn channels_say_what_is_current_and_what_is_only_announced() {
        let wanted = [("a", Some(2)), ("b", None), ("c", None), ("d", None)];
        // By its manifest, or by the index that names it.
        assert_eq!(told(&base(&[("stable", "b")]), four()), rows(&wanted));
        assert_eq!(told(&base(&[("stable", "index of b")]), four()), rows(&wanted));
        let wanted = [("a", Some(2)), ("b", None), ("c", Some(4)), ("d", None)];
        assert_eq!(
            told(&base(&[("stable", "b"), ("next", "d")]), four()),
            rows(&wanted)
        );
        // One that points at nothing here.
        let wanted = [("a", Some(2)), ("b", Some(3)), ("c", Some(4)), ("d", None)];
        assert_eq!(told(&base(&[("stable", "elsewhere")]), four()), rows(&wanted));
    }

    /// The names of those that images follow to.
    fn targets(bases: &Bases, pushed: Vec<Pushed>) -> Vec<String> {
        let all = releases(bases, pushed).into_iter();
        all.filter(|release| release.is_target)
            .map(|release| release.version)
            .collect()
    }

    #[test]
    fn images_follow_the_stable_channel_where_there_is_one() {
        assert_eq!(targets(&base(&[]), four()), ["d"]);
        assert_eq!(targets(&base(&[("stable", "b"), ("next", "d")]), four()), ["b"]);
        assert_eq!(targets(&base(&[("lts", "c")]), four()), ["c"]);
    }

    #[test]
    fn what_the_declared_signer_has_not_signed_moves_nothing() {
        let mut entry = base(&[]).iter().next().unwrap().clone();
        entry.signer = Some("platform".to_owned());
        let signed = |names: &[&str]| {
            let mut all = four();
            for image in &mut all {
                let by = if names.contains(&image.version.as_str()) {
                    "platform"
                } else {
                    "stranger"
                };
                image.signed_by = vec![by.to_owned()];
            }
            all
        };
        let bases = |entry: &BaseImage| Bases::build(vec![entry.clone()]).unwrap();
        assert_eq!(targets(&bases(&entry), signed(&["a", "c"])), ["c"]);
        assert!(targets(&bases(&entry), signed(&[])).is_empty());
        // The stranger's take the place of nothing, and are replaced by what counts.
        let wanted = [("a", Some(3)), ("b", Some(3)), ("c", None), ("d", None)];
        assert_eq!(told(&bases(&entry), signed(&["a", "c"])), rows(&wanted));
        let words = releases(&bases(&entry), signed(&["a", "c"])).into_iter();
        let words: Vec<Word> = words.map(|release| release.word).collect();
        assert_eq!(words, [Word::Signer, Word::Nobody, Word::Signer, Word::Nobody]);
        // Nor does a channel that points at one.
        entry.channels = base(&[("stable", "d")]).iter().next().unwrap().channels.clone();
        assert!(targets(&bases(&entry), signed(&["a", "c"])).is_empty());
    }

    #[test]
    fn what_was_signed_long_ago_and_is_pushed_again_moves_nothing() {
        let mut entry = base(&[]).iter().next().unwrap().clone();
        entry.signer = Some("platform".to_owned());
        let mut all = four();
        all.push(pushed("ancient", 9, "linux/amd64"));
        for image in &mut all {
            image.signed_by = vec!["platform".to_owned()];
        }
        let ancient = all.last_mut().unwrap();
        ancient.made_at = Some(START - Duration::days(900));
        let bases = |entry: &BaseImage| Bases::build(vec![entry.clone()]).unwrap();
        assert_eq!(targets(&bases(&entry), all.clone()), ["d"]);
        // It is as old as it is: the release that was there before has taken its place.
        let state = |name: &str| {
            let all = told(&bases(&entry), all.clone());
            all.into_iter().find(|(version, _)| version == name).unwrap().1
        };
        assert_eq!((state("d"), state("ancient")), (None, Some(4)));
        // A stranger's that says it is of tomorrow makes nothing old.
        let mut of_tomorrow = pushed("of tomorrow", 3, "linux/amd64");
        of_tomorrow.made_at = Some(START + Duration::days(9_000));
        let mut with_it = all.clone();
        with_it.push(of_tomorrow);
        assert_eq!(targets(&bases(&entry), with_it), ["d"]);
        // Who sets the channel may go back; nor is what nobody has looked at older than anything.
        entry.channels = base(&[("stable", "ancient")])
            .iter()
            .next()
            .unwrap()
            .channels
            .clone();
        assert_eq!(targets(&bases(&entry), all.clone()), ["ancient"]);
        entry.channels.clear();
        all.last_mut().unwrap().made_at = None;
        assert_eq!(targets(&bases(&entry), all), ["ancient"]);
    }

    #[test]
    fn a_copy_of_another_bases_release_is_no_release() {
        let entry = |name: &str, signer: Option<&str>| {
            let mut entry = base(&[]).iter().next().unwrap().clone();
            entry.name = name.parse().unwrap();
            entry.repository = format!("base/{name}").parse().unwrap();
            entry.signer = signer.map(str::to_owned);
            entry
        };
        let of = |base: &str, day: i64, signed_by: &[&str]| Pushed {
            base: base.parse().unwrap(),
            signed_by: signed_by.iter().map(|name| (*name).to_owned()).collect(),
            ..pushed("same", day, "linux/amd64")
        };
        let owner = |mine: Option<&str>, theirs: Option<&str>, pushed: Vec<Pushed>| {
            let bases = Bases::build(vec![entry("java17", mine), entry("toys", theirs)]).unwrap();
            let all = releases(&bases, pushed);
            let names: Vec<String> = all.iter().map(|release| release.base.to_string()).collect();
            names.join(" ")
        };
        let both = |mine: &[&str], theirs: &[&str]| vec![of("toys", 5, theirs), of("java17", 2, mine)];
        assert_eq!(owner(None, None, both(&[], &[])), "java17");
        assert_eq!(owner(Some("a"), Some("b"), both(&["a"], &["a"])), "java17");
        assert_eq!(owner(Some("a"), Some("b"), both(&["a"], &["b"])), "java17");
        // Being there first helps nobody against the signer.
        let before = vec![of("toys", 1, &[]), of("java17", 2, &["a"])];
        assert_eq!(owner(Some("a"), None, before), "java17");
    }

    #[test]
    fn what_is_of_no_declared_base_is_no_release() {
        let mut stranger = pushed("a", 1, "linux/amd64");
        stranger.base = "other".parse().unwrap();
        assert!(releases(&base(&[]), vec![stranger]).is_empty());
    }
}
