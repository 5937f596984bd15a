//! The log, line by line: what a line says is taken in, and written with what follows from it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use maturity::{assessment::Assessment, facts::Entry, history::Change};
use store::{
    Actor, LogLine, MaturityChange, MaturityEntry, MaturityNews, MaturityPlace, MaturityStep, Timestamp,
};
use tokio::sync::watch;

use super::{
    MaturityService,
    collector::{Asked, MAX_COLLECTED},
    entries, load, news, roster,
};

/// Between two looks at the log, at least: whoever pushes much is looked at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Between two looks, at most: what ends by itself is noticed by time.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Before what failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// How long a place in the log at which nothing was known is not written: it costs a transaction, and reading the lines again nothing.
const PLACE_EVERY: Duration = Duration::from_mins(5);

/// Lines that are read at a time.
const LINES: usize = 200;

/// Entries and changes that are written at a time, about: a transaction keeps those who push waiting.
const WRITTEN: usize = 500;

/// How often a collector may fail at a line before the line is left to the night.
const TRIES: usize = 3;

/// Who it is in the audit log.
pub(super) const ACTOR: &str = "maturity";

/// What memory is ahead of the store.
#[derive(Default)]
struct Pending {
    entries: Vec<MaturityEntry>,
    changes: Vec<MaturityChange>,
    news: Vec<MaturityNews>,
    /// Something that was said has been heard.
    is_heard: bool,
}

/// Whoever follows.
pub(super) struct Follower {
    pub(super) service: Arc<MaturityService>,
    pub(super) assessed: Arc<RwLock<Assessment>>,
    /// The place as the store has it.
    kept: MaturityPlace,
    /// The place as memory has it.
    pub(super) read: MaturityPlace,
    pending: Pending,
    kept_at: Instant,
    /// What of the catalogue is placed.
    road: Option<u64>,
    /// The day, counted from 1970, on which everything was last asked to be looked at.
    pub(super) day: Option<i64>,
    /// Until when the model that counts is known to count; `None`: it is to be looked at.
    pub(super) models_until: Option<Timestamp>,
}

/// What came of entries.
#[derive(Default)]
struct Taken {
    entries: Vec<MaturityEntry>,
    changes: Vec<MaturityChange>,
    news: Vec<MaturityNews>,
    refused: Vec<String>,
    /// Up to which moment everything is recorded.
    at: Timestamp,
}

/// Until its task is ended.
pub(crate) async fn follow(service: Arc<MaturityService>) {
    loop {
        if let Err(error) = follow_one(&service).await {
            let error = format!("{error:#}");
            tracing::warn!(
                error,
                "what is known of maturity could not be read; it is tried again"
            );
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

/// Until the store has another place than memory: then everything is read again.
async fn follow_one(service: &Arc<MaturityService>) -> Result<()> {
    let mut follower = Follower::load(service).await?;
    let mut writes = service.store.writes();
    // What is known is shown at once, and what happened meanwhile is taken in then.
    service.assessed.store(Some(Arc::clone(&follower.assessed)));
    loop {
        writes.borrow_and_update();
        match follower.look().await {
            Ok(true) => until_next(service, &mut writes).await,
            Ok(false) => {
                tracing::error!("how far the log was read is not what was thought: everything is read again");
                service.assessed.store(None);
                return Ok(());
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "the log could not be followed; it is tried again");
                if follower.assessed.is_poisoned() {
                    service.assessed.store(None);
                    anyhow::bail!("what is known in memory is torn");
                }
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
    }
}

async fn until_next(service: &MaturityService, writes: &mut watch::Receiver<u64>) {
    let written = async {
        tokio::time::sleep(PAUSE).await;
        // The store is never dropped before this.
        let _ = writes.changed().await;
    };
    tokio::select! {
        () = service.asked.notified() => {}
        () = written => {}
        () = tokio::time::sleep(LOOK_EVERY) => {}
    }
}

impl Follower {
    async fn load(service: &Arc<MaturityService>) -> Result<Self> {
        let loaded = load::load(&service.store).await?;
        let changes = loaded
            .changes
            .iter()
            .map(|change| entries::changed(loaded.place.event, change));
        let pending = Pending {
            changes: changes.collect::<Result<_>>()?,
            ..Pending::default()
        };
        Ok(Self {
            service: Arc::clone(service),
            assessed: loaded.assessment,
            read: loaded.place.clone(),
            kept: loaded.place,
            pending,
            kept_at: Instant::now(),
            road: None,
            day: None,
            models_until: None,
        })
    }

    /// Reads the log to its end. `false`: the store has another place.
    async fn look(&mut self) -> Result<bool> {
        self.ask_for_evaluation().await?;
        loop {
            let lines = self.service.store.log_lines(self.read.event, LINES).await?;
            if lines.is_empty() {
                break;
            }
            for line in &lines {
                if !self.take(line).await? {
                    return Ok(false);
                }
            }
        }
        self.ask_for_model().await?;
        self.advance(false).await?;
        let is_stale = self.kept_at.elapsed() >= PLACE_EVERY && self.kept != self.read;
        if (self.is_ahead() || is_stale) && !self.keep().await? {
            return Ok(false);
        }
        self.service.counted.send_replace(self.read.event);
        Ok(true)
    }

    async fn take(&mut self, line: &LogLine) -> Result<bool> {
        let asked = Asked {
            event: entries::number(line.seq),
            at: line.at.to_utc(),
        };
        self.place_applications(asked).await?;
        if news::is_evaluation(line) {
            if !self.everything(asked).await? {
                return Ok(false);
            }
        } else if news::is_ours(line) {
            if news::is_of_models(line) {
                self.models_until = None;
            }
            let said = self.service.store.maturity_said(line.seq).await?;
            self.pending.is_heard |= !said.is_empty();
            match entries::heard(asked, &said) {
                Ok(heard) => self.count(heard).await?,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "what was said does not count");
                }
            }
            // Somebody may have set targets of an application that moved meanwhile.
            self.road = None;
        } else {
            let collected = self.collect(asked, line).await;
            self.count(collected).await?;
        }
        (self.read.event, self.read.part) = (line.seq, None);
        if self.pending.entries.len() + self.pending.changes.len() >= WRITTEN {
            return self.keep().await;
        }
        Ok(true)
    }

    /// What all collectors make of a line. One that fails again and again does not hold up the others: the night makes up for it.
    async fn collect(&self, asked: Asked, line: &LogLine) -> Vec<Entry> {
        let mut all = Vec::new();
        for collector in &self.service.collectors {
            for tried in 1..=TRIES {
                match collector.of_event(asked, line).await {
                    Ok(entries) => {
                        all.extend(entries.into_iter().take(MAX_COLLECTED));
                        break;
                    }
                    Err(error) => {
                        let (error, collector) = (format!("{error:#}"), collector.name());
                        tracing::warn!(
                            error,
                            collector,
                            event = line.seq,
                            tried,
                            "a line of the log could not be read"
                        );
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
        all
    }

    /// Applications that were declared, moved or taken back.
    async fn place_applications(&mut self, asked: Asked) -> Result<()> {
        let road = self.service.store.road().await?;
        if self.road == Some(road.change) {
            return Ok(());
        }
        let (assessed, entries) = (Arc::clone(&self.assessed), Arc::clone(&road));
        let kinds = tokio::task::spawn_blocking(move || {
            let assessment = assessed.read().unwrap_or_else(PoisonError::into_inner);
            roster::differences(&entries.applications, assessment.facts())
        });
        let kinds = kinds.await.context("where applications belong was lost")?;
        let placed = kinds.into_iter().map(|kind| entries::of(asked, kind)).collect();
        self.count(placed).await?;
        self.road = Some(road.change);
        Ok(())
    }

    /// Takes entries in, those that are known already left out.
    pub(super) async fn count(&mut self, all: Vec<Entry>) -> Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let rows: Vec<MaturityEntry> = all.iter().map(entries::kept).collect::<Result<_>>()?;
        let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        let known = self.service.store.known_maturity_entries(&names).await?;
        let fresh = all.into_iter().zip(rows);
        let fresh: Vec<_> = fresh.filter(|(_, row)| !known.contains(&row.name)).collect();
        let assessed = Arc::clone(&self.assessed);
        let taken = tokio::task::spawn_blocking(move || take_in(&assessed, fresh));
        let taken = taken.await.context("what was to count was lost")?;
        self.took(taken);
        Ok(())
    }

    fn took(&mut self, taken: Taken) {
        for refusal in &taken.refused {
            tracing::warn!(refusal, "something does not count");
        }
        self.pending.entries.extend(taken.entries);
        self.pending.changes.extend(taken.changes);
        self.pending.news.extend(taken.news);
        // A start takes what is recorded up to this moment for all that is.
        self.read.at = taken.at;
    }

    /// Lets time go by: what ended by itself. As a whole, everything is judged anew.
    pub(super) async fn advance(&mut self, is_whole: bool) -> Result<()> {
        let (now, event) = (self.service.store.now(), self.read.event);
        let assessed = Arc::clone(&self.assessed);
        let advanced = tokio::task::spawn_blocking(move || {
            let mut assessment = assessed.write().unwrap_or_else(PoisonError::into_inner);
            let changes = if is_whole {
                assessment.recheck(now.to_utc())
            } else {
                assessment.advance(now.to_utc())
            };
            let mut taken = Taken::default();
            taken.changed(&assessment, event, &changes);
            taken.at = entries::up_to(assessment.now());
            taken
        });
        let taken = advanced.await.context("what ended was lost")?;
        self.took(taken);
        Ok(())
    }

    fn is_ahead(&self) -> bool {
        let Pending {
            entries,
            changes,
            news,
            is_heard,
        } = &self.pending;
        *is_heard || !(entries.is_empty() && changes.is_empty() && news.is_empty())
    }

    /// Writes what memory is ahead. `false`: the store has another place, and nothing was written.
    pub(super) async fn keep(&mut self) -> Result<bool> {
        let step = MaturityStep {
            from: self.kept.clone(),
            to: self.read.clone(),
            entries: self.pending.entries.clone(),
            changes: self.pending.changes.clone(),
            news: self.pending.news.clone(),
        };
        if !self
            .service
            .store
            .step_maturity(&Actor::system(ACTOR), step)
            .await?
        {
            return Ok(false);
        }
        self.pending = Pending::default();
        (self.kept, self.kept_at) = (self.read.clone(), Instant::now());
        Ok(true)
    }
}

impl Taken {
    fn changed(&mut self, assessment: &Assessment, event: i64, changes: &[Change]) {
        for change in changes {
            match entries::changed(event, change) {
                Ok(row) => self.changes.push(row),
                Err(error) => self.refused.push(format!("{error:#}")),
            }
        }
        self.news.extend(news::of(assessment, changes));
    }
}

/// One at a time: whoever reads meanwhile waits for one, not for all.
fn take_in(assessed: &RwLock<Assessment>, fresh: Vec<(Entry, MaturityEntry)>) -> Taken {
    let mut taken = Taken::default();
    for (entry, row) in fresh {
        let mut assessment = assessed.write().unwrap_or_else(PoisonError::into_inner);
        let applied = assessment.apply(entry);
        taken.changed(&assessment, row.event, &applied.changes);
        match applied.refusal {
            None => taken.entries.push(row),
            Some(refusal) => taken.refused.push(format!("{}: {refusal}", row.name)),
        }
    }
    let now = assessed.read().unwrap_or_else(PoisonError::into_inner).now();
    taken.at = entries::up_to(now);
    taken
}
