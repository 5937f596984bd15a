//! What entries, releases and words of images come to: applications, bases, and what can be stood on. Read when somebody asks and
//! something has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use road::application::{Applications, Statement};
use road::base::Bases;
use road::lineage::{BaseIndex, releases};
use road::names::BaseName;
use road::paving::Paving;
use time::OffsetDateTime;
use tokio::sync::{Mutex, watch};

use crate::application::words;
use crate::base::release;
use crate::{Store, StoreError, application, base, paving};

/// One state of all.
#[derive(Debug, Default)]
pub struct RoadEntries {
    /// Whose repositories are.
    pub applications: Applications,
    /// What images may stand on.
    pub bases: Bases,
    /// Since when bases are retired, of those that are.
    pub retired: BTreeMap<BaseName, OffsetDateTime>,
    /// The rest of the catalogue.
    pub paving: Paving,
    /// The releases of these bases.
    pub releases: BaseIndex,
    /// The change of [`Store::entries`] that it takes in.
    pub change: u64,
}

/// The last state that was read.
#[derive(Default)]
pub(crate) struct RoadCache {
    read: ArcSwapOption<RoadEntries>,
    /// Whoever reads; the others wait for it.
    turn: Mutex<()>,
}

impl RoadCache {
    fn at(&self, change: u64) -> Option<Arc<RoadEntries>> {
        self.read.load_full().filter(|read| read.change >= change)
    }
}

impl Store {
    /// Changes whenever applications, bases, their releases, or words of images have changed.
    pub fn entries(&self) -> watch::Receiver<u64> {
        self.inner.entries.subscribe()
    }

    /// The state that takes in every change that was acknowledged by now.
    pub async fn road(&self) -> Result<Arc<RoadEntries>, StoreError> {
        let cache = &self.inner.road;
        let wanted = *self.inner.entries.borrow();
        if let Some(read) = cache.at(wanted) {
            return Ok(read);
        }
        let _turn = cache.turn.lock().await;
        if let Some(read) = cache.at(wanted) {
            return Ok(read);
        }
        let read = Arc::new(self.read_road().await?);
        cache.read.store(Some(Arc::clone(&read)));
        Ok(read)
    }

    async fn read_road(&self) -> Result<RoadEntries, StoreError> {
        // Before anything is read: what changes meanwhile is read again.
        let change = *self.inner.entries.borrow();
        let on = self.inner.db.read();
        let entries = application::all(on).await?;
        let said = words::all(on).await?;
        let bases = base::all(on).await?;
        let retired = base::retired(on).await?;
        let pushed = release::all(on).await?;
        let entries_of_road = paving::all(on).await?;
        // It computes; a thread that serves connections must not.
        tokio::task::spawn_blocking(move || {
            let bases = Bases::build(bases).map_err(|error| StoreError::damaged(error.to_string()))?;
            let entries_of_road = entries_of_road.into_iter().map(|stored| stored.entry).collect();
            let paving = Paving::build(&bases, entries_of_road)
                .map_err(|error| StoreError::damaged(error.to_string()))?;
            let releases = BaseIndex::build(releases(&bases, pushed));
            Ok(RoadEntries {
                applications: applications(entries, said)?,
                releases: releases.map_err(|error| StoreError::damaged(error.to_string()))?,
                bases,
                paving,
                retired,
                change,
            })
        })
        .await?
    }
}

/// What whoever pushes writes never keeps what administrators declare from counting.
fn applications(entries: Vec<Statement>, said: Vec<Statement>) -> Result<Applications, StoreError> {
    let all = entries.iter().cloned().chain(said).collect();
    let built = Applications::build(all).or_else(|error| {
        tracing::error!(%error, "what images say about their applications does not count");
        Applications::build(entries)
    });
    built.map_err(|error| StoreError::damaged(error.to_string()))
}

#[cfg(test)]
mod tests;
