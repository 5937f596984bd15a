//! What was and what was not possible when a base moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
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

    /// As far as somebody may pull it.
    pub(crate) async fn of(
        &self,
        base: &BaseName,
        may_pull: &MayPull,
    ) -> Result<RebaseReport, RebasingError> {
        let road = self.store.road().await.map_err(|error| failed(error.into()))?;
        let entry = road.bases.get(base).filter(|entry| may_pull(&entry.repository));
        let Some(entry) = entry else {
            let why = format!("there is no base `{base}`: `roadbed base list` shows those that there are");
            return Err(RebasingError::NoBase(why));
        };
        let signer = entry.signer.clone();
        let reported = self.reported(base, &road).await.map_err(failed)?;
        let stopped_by = self.store.rebases_stopped_by().await;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let (mut items, mut more_items) = (Vec::new(), 0);
        for item in reported.into_iter().filter(|item| may_pull(&item.repository)) {
            *counts.entry(item.state.as_str().to_owned()).or_default() += 1;
            if items.len() < MAX_REPORTED {
                items.push(item);
            } else {
                more_items += 1;
            }
        }
        Ok(RebaseReport {
            base: base.clone(),
            stopped_by: stopped_by.map_err(|error| failed(error.into()))?,
            releases: releases(road.releases.of_base(base).collect(), signer.as_deref()),
            signer,
            counts,
            items,
            more_items,
        })
    }

    async fn reported(&self, base: &BaseName, road: &RoadEntries) -> Result<Vec<RebaseItemEntry>> {
        let items: Vec<RebaseItem> = self
            .store
            .rebase_items(base, &targets(road, base), MAX_ITEMS)
            .await?;
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

/// Those that images follow to, and newer ones that they do not.
fn releases(of_base: Vec<&Release>, signer: Option<&str>) -> Vec<ReportedRelease> {
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
        moves_nothing: match (release.is_target, signer) {
            (true, _) => String::new(),
            (false, Some(signer)) => {
                format!("it is not in the channel that images follow, or not signed by {signer}")
            }
            (false, None) => "it is not in the channel that images follow".to_owned(),
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
        let told = releases(all.iter().collect(), Some("platform"));
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
}
