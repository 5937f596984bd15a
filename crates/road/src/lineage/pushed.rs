//! From what lies in the repositories of bases to their releases: which one is current, and what took the place of the others.

use std::collections::BTreeMap;

use findings::Severity;
use oci::Digest;
use time::OffsetDateTime;

use super::{Release, Superseded};
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
/// moves nothing by that.
pub fn releases(bases: &Bases, pushed: Vec<Pushed>) -> Vec<Release> {
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

/// The releases of one base for one platform, the oldest first.
fn line_of(base: &BaseImage, line: Vec<Pushed>) -> Vec<Release> {
    let counts = |image: &Pushed| {
        let signer = base.signer.as_ref();
        signer.is_none_or(|signer| image.signed_by.contains(signer))
    };
    let is_at = |image: &Pushed, digest: &Digest| image.known_as.contains(digest) || image.digest == *digest;
    let is_named = |image: &Pushed| base.channels.values().any(|digest| is_at(image, digest));
    let counting: Vec<bool> = line.iter().map(counts).collect();
    let named: Vec<bool> = line.iter().map(is_named).collect();
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
        let superseded = successor.filter(|_| !is_current(place)).map(|at| Superseded {
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
        // Nor does a channel that points at one.
        entry.channels = base(&[("stable", "d")]).iter().next().unwrap().channels.clone();
        assert!(targets(&bases(&entry), signed(&["a", "c"])).is_empty());
    }

    #[test]
    fn what_is_of_no_declared_base_is_no_release() {
        let mut stranger = pushed("a", 1, "linux/amd64");
        stranger.base = "other".parse().unwrap();
        assert!(releases(&base(&[]), vec![stranger]).is_empty());
    }
}
