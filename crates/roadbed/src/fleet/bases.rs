//! What the images of the index stand on.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use oci::Digest;
use store::RoadEntries;

use super::FleetService;

/// Images that are changed at a time: questions wait so long.
const AT_ONCE: usize = 500;

/// How many layers, from the bottom, are those of the longest known base.
pub(super) fn layers(road: &RoadEntries, diff_ids: &[Option<Digest>]) -> u32 {
    let lineage = road.releases.lineage(diff_ids);
    let layers = lineage.base().map_or(0, |base| base.layers);
    u32::try_from(layers).unwrap_or(u32::MAX)
}

/// Has all images stand on what is known now, if other releases of bases are. Questions go on while that is found out. Answers
/// whether anything has changed.
pub(super) async fn take(service: &Arc<FleetService>) -> Result<bool> {
    let road = service.store.road().await?;
    let taken = service.bases().clone();
    // Whose applications are, and what images say of that, changes far more often.
    let is_same = |taken: Arc<RoadEntries>| taken.change == road.change || taken.releases == road.releases;
    if taken.is_some_and(is_same) {
        service.bases().replace(road);
        return Ok(false);
    }
    let (asked, now) = (Arc::clone(service), Arc::clone(&road));
    let others = tokio::task::spawn_blocking(move || {
        let state = asked.read();
        let all = state.fleet.scope(|_| true, None);
        state
            .fleet
            .other_base_layers(&all, |diff_ids| layers(&now, diff_ids))
    });
    let others = others.await.context("what images stand on was lost")?;
    for some in others.chunks(AT_ONCE) {
        let mut state = service.write();
        for (key, layers) in some {
            state.fleet.set_base_layers(key, *layers);
        }
    }
    service.bases().replace(road);
    Ok(!others.is_empty())
}
