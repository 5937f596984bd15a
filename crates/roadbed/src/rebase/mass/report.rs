//! What was and what was not possible when a base moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use oci::Digest;
use road::base::BaseImage;
use road::lineage::Release;
use road::names::BaseName;
use store::{MAX_ITEMS, RebaseItem, RoadEntries, Store};
use web::wire::{RebaseItemEntry, RebaseReport, ReportedRelease};
use web::{MAX_REPORTED, MayPull, RebasingError};

use super::{MassSettings, moment_of, targets, turn_of};
use crate::incidents::IncidentService;
use crate::rebase::failed;

/// Newer releases that move nothing and are named, the newest first; those that images follow to are all named.
const MAX_UNCOUNTED: usize = 20;

/// Makes reports.
pub(crate) struct Reports {
    store: Store,
    incidents: Arc<IncidentService>,
    settings: MassSettings,
}

impl Reports {
    pub(super) fn new(store: Store, incidents: Arc<IncidentService>, settings: MassSettings) -> Self {
        Self {
            store,
            incidents,
            settings,
        }
    }

    /// As far as somebody may pull it: whoever may not pull the base is told of images that they may pull, and of the releases that
    /// these go to. Of the releases that images follow to now, or of the one that is named by its version or digest.
    pub(crate) async fn of(
        &self,
        base: &BaseName,
        release: Option<&str>,
        may_pull: &MayPull,
    ) -> Result<RebaseReport, RebasingError> {
        let road = self.store.road().await.map_err(|error| failed(error.into()))?;
        let no_base = || {
            let why = format!("there is no base `{base}`: `roadbed base list` shows those that there are");
            RebasingError::NoBase(why)
        };
        let entry = road.bases.get(base).ok_or_else(no_base)?;
        let known = self.store.reported_releases(base).await;
        let known = known.map_err(|error| failed(error.into()))?;
        let of: Vec<Digest> = match release {
            None => targets(&road, base),
            Some(name) => named(name, &road, base, &known),
        };
        let is_open = may_pull(&entry.repository);
        let reported = self.reported(base, &of, &road).await.map_err(failed)?;
        let reported: Vec<RebaseItemEntry> = reported
            .into_iter()
            .filter(|item| may_pull(&item.repository))
            .collect();
        if !is_open && reported.is_empty() {
            return Err(no_base());
        }
        if let Some(name) = release.filter(|_| of.is_empty()) {
            let name = policy::yaml::one_line(name, 200);
            let why = format!("base `{base}` has no release `{name}` of which there is a report");
            return Err(RebasingError::NoBase(why));
        }
        let stopped_by = self.store.rebases_stopped_by().await;
        let stopped_by = stopped_by.map_err(|error| failed(error.into()))?;
        let of_base: Vec<&Release> = road.releases.of_base(base).collect();
        let is_told = |release: &Digest| is_open || reported.iter().any(|item| item.release == *release);
        let signer = Signer {
            name: entry.signer.as_deref(),
            is_told: is_open,
        };
        let mut releases = releases(of_base.clone(), signer);
        releases.retain(|release| is_told(&release.digest));
        let why_nothing = if reported.is_empty() {
            why_nothing(entry, &releases, of_base.len())
        } else {
            String::new()
        };
        let earlier = known.iter().filter(|known| !of.contains(known) && is_told(known));
        let earlier = earlier.map(|digest| version_of(&of_base, digest)).collect();
        let (counts, items, more_items) = counted(reported);
        Ok(RebaseReport {
            base: base.clone(),
            stopped_by,
            releases,
            signer: entry.signer.clone().filter(|_| is_open),
            withheld: !is_open,
            why_nothing,
            earlier,
            counts,
            items,
            more_items,
        })
    }

    async fn reported(
        &self,
        base: &BaseName,
        releases: &[Digest],
        road: &RoadEntries,
    ) -> Result<Vec<RebaseItemEntry>> {
        let items: Vec<RebaseItem> = self.store.rebase_items(base, releases, MAX_ITEMS).await?;
        let now = moment_of(&self.store)?;
        let (turn, wishes) =
            turn_of(&self.store, (&items, road), &self.incidents, &self.settings, now).await?;
        let mut reported: Vec<RebaseItemEntry> = items.into_iter().map(RebaseItemEntry::from).collect();
        for (item, wishes) in reported.iter_mut().zip(&wishes) {
            wishes.ring.as_str().clone_into(&mut item.ring);
        }
        for (place, wait) in turn.wait {
            if let Some(item) = reported.get_mut(place) {
                item.reason = wait.to_string();
            }
        }
        Ok(reported)
    }
}

/// The releases of a base that are called so: several of one version for several platforms.
fn named(name: &str, road: &RoadEntries, base: &BaseName, known: &[Digest]) -> Vec<Digest> {
    let of_base = road.releases.of_base(base);
    let called = of_base
        .filter(|release| release.version == name)
        .map(|release| release.digest);
    let mut named: Vec<Digest> = called.collect();
    let digest = name.parse::<Digest>().ok();
    named.extend(digest.filter(|digest| known.contains(digest) && !named.contains(digest)));
    named
}

fn version_of(of_base: &[&Release], digest: &Digest) -> String {
    let known = of_base.iter().find(|release| release.digest == *digest);
    known.map_or_else(|| digest.to_string(), |release| release.version.clone())
}

type Counted = (BTreeMap<String, u64>, Vec<RebaseItemEntry>, u64);

/// How many stand in each state, those that are told, and how many more there are.
fn counted(reported: Vec<RebaseItemEntry>) -> Counted {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for item in &reported {
        *counts.entry(item.state.as_str().to_owned()).or_default() += 1;
    }
    let more_items = reported.len().saturating_sub(MAX_REPORTED) as u64;
    (
        counts,
        reported.into_iter().take(MAX_REPORTED).collect(),
        more_items,
    )
}

/// Why no tag follows, where none does.
fn why_nothing(base: &BaseImage, releases: &[ReportedRelease], all: usize) -> String {
    let uncounted = releases.iter().find(|release| !release.moves_nothing.is_empty());
    if !base.rebase.as_ref().is_some_and(|rebase| rebase.safe) {
        return format!(
            "the catalogue does not promise that one release of {} may take the place of another (`roadbed base set --rebase-safe`)",
            base.name
        );
    }
    if let Some(release) = uncounted {
        return format!(
            "release {} moves nothing: {}",
            release.version, release.moves_nothing
        );
    }
    match all {
        0 => "no release of the base was looked into yet".to_owned(),
        1 => "the base has one release".to_owned(),
        _ => "no image stands on another release of it".to_owned(),
    }
}

/// Who signs the releases of a base, if somebody is declared.
#[derive(Clone, Copy)]
struct Signer<'a> {
    name: Option<&'a str>,
    /// Whether whoever asks may pull the base: nobody else is told its signer.
    is_told: bool,
}

/// Those that images follow to, and newer ones that they do not.
fn releases(of_base: Vec<&Release>, signer: Signer<'_>) -> Vec<ReportedRelease> {
    let mut all = of_base;
    all.sort_by_key(|release| std::cmp::Reverse((release.released_at, release.digest)));
    let newest = |platform: &str| {
        let mut targets = all
            .iter()
            .filter(|release| release.is_target && release.platform == platform);
        targets.next().map(|release| release.released_at)
    };
    let is_newer = |release: &Release| {
        release.superseded.is_none() && newest(&release.platform).is_none_or(|at| release.released_at > at)
    };
    let mut uncounted = 0;
    let shown = all.iter().filter(|release| {
        if release.is_target {
            return true;
        }
        let is_named = is_newer(release) && uncounted < MAX_UNCOUNTED;
        uncounted += usize::from(is_named);
        is_named
    });
    let entries = shown.map(|release| ReportedRelease {
        digest: release.digest,
        version: release.version.clone(),
        platform: release.platform.clone(),
        moves_nothing: match (release.is_target, signer.name) {
            (true, _) => String::new(),
            (false, Some(name)) if !release.word.counts() => {
                let by = if signer.is_told {
                    name
                } else {
                    "whom its owner names"
                };
                format!("it is not in the channel that images follow, or not signed by {by}")
            }
            (false, _) => "it is not in the channel that images follow".to_owned(),
        },
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_images_follow_to_is_named_however_much_was_pushed_behind_it() {
        let release = |number: usize| Release {
            base: "java".parse().unwrap(),
            digest: oci::Digest::of(oci::Algorithm::Sha256, &number.to_be_bytes()),
            version: number.to_string(),
            diff_ids: Vec::new(),
            platform: "linux/amd64".to_owned(),
            released_at: time::OffsetDateTime::UNIX_EPOCH
                + time::Duration::days(i64::try_from(number).unwrap()),
            superseded: None,
            word: road::lineage::Word::Signer,
            is_target: number == 0,
        };
        let all: Vec<Release> = (0..=MAX_UNCOUNTED + 1).map(release).collect();
        let signer = Signer {
            name: Some("platform"),
            is_told: true,
        };
        let told = releases(all.iter().collect(), signer);
        assert_eq!(told.len(), MAX_UNCOUNTED + 1);
        let target = told.last().unwrap();
        assert_eq!(
            (target.version.as_str(), target.moves_nothing.as_str()),
            ("0", "")
        );
        assert_eq!(
            told[0].version,
            (MAX_UNCOUNTED + 1).to_string(),
            "the newest first"
        );
    }

    #[test]
    fn who_signs_a_base_is_told_to_those_who_may_pull_it_alone() {
        let release = Release {
            base: "java".parse().unwrap(),
            digest: oci::Digest::of(oci::Algorithm::Sha256, b"2"),
            version: "2".to_owned(),
            diff_ids: Vec::new(),
            platform: "linux/amd64".to_owned(),
            released_at: time::OffsetDateTime::UNIX_EPOCH,
            superseded: None,
            word: road::lineage::Word::Nobody,
            is_target: false,
        };
        for is_told in [true, false] {
            let signer = Signer {
                name: Some("platform"),
                is_told,
            };
            let told = releases(vec![&release], signer).remove(0).moves_nothing;
            assert!(told.contains("not signed by "), "{told}");
            assert_eq!(told.contains("platform"), is_told, "{told}");
        }
    }
}
