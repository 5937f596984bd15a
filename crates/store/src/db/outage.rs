//! Whether the database can be used, as far as was found out: one breaker for questions and one for changes.
//!
//! `SQLite` waits for a lock before it gives up, and a file that is gone is noticed by nobody who has it open. Without a memory
//! of it every request would wait again. So the first failure opens the breaker: until a try succeeds (`db/look.rs`, about once a
//! second) everything that needs the database is refused at once, and what is in memory is served.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::place::Place;
use crate::StoreError;

/// Why the database cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwayReason {
    /// Somebody else holds its lock.
    Locked,
    /// A file of it is not where it was.
    Missing,
    /// Another file stands where one of its files was.
    Replaced,
    /// Its file was cut.
    Cut,
    /// The system cannot read or write it.
    Failing,
    /// Nothing was answered for as long as somebody waits.
    Slow,
}

impl AwayReason {
    /// For people, and what mends it.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Locked => "another process holds its lock; end that process",
            Self::Missing => "a file of it is not where it was; put it back",
            Self::Replaced => {
                "another file stands in place of one of its files; put the old one back, or restart"
            }
            Self::Cut => "its file was cut; stop the server and restore a backup",
            Self::Failing => "the system cannot read or write it; look at the disk",
            Self::Slow => "it does not answer in time; look at the disk",
        }
    }

    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Missing => "missing",
            Self::Replaced => "replaced",
            Self::Cut => "cut",
            Self::Failing => "failing",
            Self::Slow => "slow",
        }
    }
}

/// What the database is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

/// Since when it cannot be used, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) since: Instant,
    pub(crate) reason: AwayReason,
}

/// One use. Pure: time is an argument.
#[derive(Debug)]
struct Breaker {
    /// When it last did what was asked.
    answered: Instant,
    /// Being late counts only when nothing at all was answered for so long: many who wait for each other are no outage.
    patience: Duration,
    outage: Option<Outage>,
}

impl Breaker {
    fn new(patience: Duration, now: Instant) -> Self {
        Self {
            answered: now,
            patience,
            outage: None,
        }
    }

    /// It did what was asked. Being late is over with that; everything else only when a try succeeds, because one connection
    /// may still work where others are dead. Answers how long an outage took that is over.
    fn answered(&mut self, now: Instant) -> Option<Duration> {
        self.answered = now;
        let is_late = self
            .outage
            .is_some_and(|outage| outage.reason == AwayReason::Slow);
        if is_late { self.recovered(now) } else { None }
    }

    /// It did not. Answers whether an outage begins with that.
    fn failed(&mut self, reason: AwayReason, now: Instant) -> bool {
        let is_late = reason == AwayReason::Slow;
        if is_late && (self.outage.is_some() || now.duration_since(self.answered) < self.patience) {
            return false;
        }
        if let Some(outage) = &mut self.outage {
            outage.reason = reason;
            return false;
        }
        self.outage = Some(Outage { since: now, reason });
        true
    }

    /// A try succeeded. Answers how long the outage took.
    fn recovered(&mut self, now: Instant) -> Option<Duration> {
        self.answered = now;
        self.outage.take().map(|outage| now.duration_since(outage.since))
    }
}

/// What is known of one database.
pub(crate) struct Outages {
    pub(crate) place: Place,
    /// Told when an outage begins: whoever looks after the database need not wait.
    pub(crate) doubt: Notify,
    reads: Mutex<Breaker>,
    writes: Mutex<Breaker>,
    begun: AtomicU64,
}

impl Outages {
    /// `read` and `write`: for how long nothing may be answered while somebody waits.
    pub(crate) fn new(place: Place, read: Duration, write: Duration) -> Self {
        let now = Instant::now();
        Self {
            place,
            doubt: Notify::new(),
            reads: Mutex::new(Breaker::new(read, now)),
            writes: Mutex::new(Breaker::new(write, now)),
            begun: AtomicU64::new(0),
        }
    }

    /// Since when the database cannot be used so, if it cannot.
    pub(crate) fn outage(&self, of: Use) -> Option<Outage> {
        self.breaker(of).outage
    }

    /// Outages since the start.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Fails while the database cannot be written, or not read: a change of who may do what counts only once it was read back.
    pub(crate) fn demand_both(&self) -> Result<(), StoreError> {
        match self.outage(Use::Write).or(self.outage(Use::Read)) {
            Some(_) => Err(self.told()),
            None => Ok(()),
        }
    }

    /// What somebody is told who wanted to change something while that cannot be: whether anything else goes on.
    pub(crate) fn told(&self) -> StoreError {
        let can_be_read = self.outage(Use::Read).is_none();
        if can_be_read && self.outage(Use::Write).is_some() {
            StoreError::Unwritable
        } else {
            StoreError::Away
        }
    }

    /// Fails where the files are not those that are open. Whatever would be written then could be lost.
    pub(crate) fn demand_place(&self) -> Result<(), StoreError> {
        self.place.check().map_err(|reason| {
            self.failed(Use::Write, reason);
            self.failed(Use::Read, reason);
            StoreError::Away
        })
    }

    pub(crate) fn answered(&self, of: Use) {
        let over = self.breaker(of).answered(Instant::now());
        tell_end(of, over);
    }

    /// Answers whether an outage begins with that.
    pub(crate) fn failed(&self, of: Use, reason: AwayReason) -> bool {
        if !self.breaker(of).failed(reason, Instant::now()) {
            return false;
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.doubt.notify_one();
        let why = reason.explain();
        match of {
            Use::Read => tracing::error!(
                why,
                "the database is away: pulls of what is in memory go on, everything else is told to come again"
            ),
            Use::Write => tracing::error!(
                why,
                "the database cannot be written: pulls go on, everything that changes something is told to come again"
            ),
        }
        true
    }

    pub(crate) fn recovered(&self, of: Use) {
        let over = self.breaker(of).recovered(Instant::now());
        tell_end(of, over);
    }

    fn breaker(&self, of: Use) -> MutexGuard<'_, Breaker> {
        let breaker = match of {
            Use::Read => &self.reads,
            Use::Write => &self.writes,
        };
        breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell_end(of: Use, over: Option<Duration>) {
    let Some(over) = over else {
        return;
    };
    let seconds = over.as_secs();
    match of {
        Use::Read => tracing::info!(seconds, "the database is back"),
        Use::Write => tracing::info!(seconds, "the database can be written again"),
    }
}

#[cfg(test)]
mod tests;
