//! What a start reads: everything that is known, and everything that changed, in pages.

use std::sync::{Arc, RwLock};

use anyhow::{Context as _, Result};
use maturity::{
    assessment::Assessment,
    evidence::EvidenceLimits,
    facts::{EntryKind, Facts},
    history::{Change, History},
    model::Model,
};
use store::{MaturityChange, MaturityEntry, MaturityPlace, Store};

use super::entries;

/// Rows that are read at a time.
const PAGE: usize = 5_000;

/// What is known, and how far the log was read for it.
pub(super) struct Loaded {
    pub(super) assessment: Arc<RwLock<Assessment>>,
    pub(super) place: MaturityPlace,
    /// What became otherwise by itself and is not written yet.
    pub(super) changes: Vec<Change>,
}

/// What is known while it is read.
struct Reading {
    model: Arc<Model>,
    facts: Facts,
    refused: usize,
}

impl Reading {
    /// Each entry was taken once; what a later version of the program takes no more is left out and told.
    fn take(&mut self, rows: &[(i64, MaturityEntry)]) -> Result<()> {
        for (_, row) in rows {
            let entry = entries::entry(row)?;
            if let EntryKind::Judged(model) = &entry.kind {
                self.model = Arc::new((**model).clone());
            }
            let taken = self.facts.add(&self.model, entry, &EvidenceLimits::default());
            self.refused += usize::from(taken.is_err());
        }
        Ok(())
    }
}

/// Reads all of it.
pub(super) async fn load(store: &Store) -> Result<Loaded> {
    let place = store.maturity_place().await?;
    let reading = facts(store).await?;
    let changes = changes(store).await?;
    if reading.refused > 0 {
        tracing::warn!(
            entries = reading.refused,
            "some of what was known of maturity is not taken any more"
        );
    }
    let now = place.at.to_utc();
    let started = tokio::task::spawn_blocking(move || {
        let history = History::from_changes(changes);
        let known = history.changes().len();
        let limits = EvidenceLimits::default();
        let assessment = Assessment::start(reading.model, reading.facts, history, now, limits);
        let changes = assessment.history().changes()[known..].to_vec();
        (assessment, changes)
    });
    let (assessment, changes) = started.await.context("what is known of maturity was lost")?;
    Ok(Loaded {
        assessment: Arc::new(RwLock::new(assessment)),
        place,
        changes,
    })
}

async fn facts(store: &Store) -> Result<Reading> {
    let model = Model::cnmm().context("the model that is shipped cannot be read")?;
    let mut reading = Reading {
        model: Arc::new(model),
        facts: Facts::default(),
        refused: 0,
    };
    let mut after = 0;
    loop {
        let rows = store.maturity_entries(after, PAGE).await?;
        let Some((last, _)) = rows.last() else {
            return Ok(reading);
        };
        after = *last;
        let took = tokio::task::spawn_blocking(move || reading.take(&rows).map(|()| reading));
        reading = took.await.context("what is known of maturity was lost")??;
    }
}

async fn changes(store: &Store) -> Result<Vec<Change>> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let rows = store.maturity_changes(after, PAGE).await?;
        let Some((last, _)) = rows.last() else {
            return Ok(all);
        };
        after = *last;
        let read = tokio::task::spawn_blocking(move || -> Result<Vec<Change>> {
            let changes: Vec<MaturityChange> = rows.into_iter().map(|(_, change)| change).collect();
            changes.iter().map(entries::change).collect()
        });
        all.extend(read.await.context("what changed in maturity was lost")??);
    }
}
