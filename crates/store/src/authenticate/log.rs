//! Logins in the audit log: gathered and written now and then, so that nobody fills the disk by knocking.
//!
//! Who logged in is always listed, with every address up to [`ADDRESSES_LISTED`]: it takes a good credential to write
//! such a line. Who failed to log in is anybody, so failures are listed up to a number and else only counted, those of
//! names that exist apart from those of other names. Neither takes the place of the other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::PrincipalName;
use serde_json::json;

use crate::db::Tx;
use crate::event::{self, EventKind};
use crate::{ANONYMOUS, Actor, Store, StoreError, Timestamp};

/// Addresses listed at a time for one principal that logged in; the others are one line.
pub(crate) const ADDRESSES_LISTED: usize = 100;
/// Failures gathered one by one between two writings, of names that exist and of others: each.
const FAILURES_LISTED: usize = 50;
/// Failures listed in an hour, of names that exist and of others: each. About 6,000 lines a day at most.
pub(crate) const FAILURES_PER_HOUR: usize = 120;
/// How often the number of failures that were not listed is written.
const OTHERS_EVERY: Duration = Duration::from_mins(10);
const HOUR: Duration = Duration::from_hours(1);

/// Logins since the last writing.
#[derive(Debug, Default)]
pub(crate) struct LoginLog(Mutex<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    /// How often each principal logged in, and from where; `None`: from further addresses.
    successes: HashMap<PrincipalName, HashMap<Option<IpAddr>, u64>>,
    known: Failed<(PrincipalName, IpAddr)>,
    unknown: Failed<IpAddr>,
    /// Failures that are only counted.
    others: u64,
    others_after: Timestamp,
}

/// Failures that are listed.
#[derive(Debug)]
struct Failed<K> {
    times: HashMap<K, u64>,
    /// Lines written since the hour began.
    written: usize,
    hour_ends: Timestamp,
}

impl<K> Default for Failed<K> {
    fn default() -> Self {
        Self {
            times: HashMap::new(),
            written: 0,
            hour_ends: Timestamp::default(),
        }
    }
}

impl<K: Eq + Hash> Failed<K> {
    /// Answers how many were not taken.
    fn add(&mut self, key: K, times: u64) -> u64 {
        let is_full = self.times.len() >= FAILURES_LISTED;
        match self.times.entry(key) {
            Entry::Vacant(_) if is_full => times,
            entry => {
                *entry.or_default() += times;
                0
            }
        }
    }

    /// What may be listed now, and how many failures may not.
    fn take(&mut self, now: Timestamp) -> (Vec<(K, u64)>, u64) {
        if now >= self.hour_ends {
            (self.written, self.hour_ends) = (0, now.plus(HOUR));
        }
        let mut failed: Vec<(K, u64)> = self.times.drain().collect();
        let room = FAILURES_PER_HOUR.saturating_sub(self.written).min(failed.len());
        let surplus = failed.split_off(room).into_iter().map(|(_, times)| times).sum();
        self.written += failed.len();
        (failed, surplus)
    }
}

/// What is written at a time.
#[derive(Debug, Default)]
struct Batch {
    successes: Vec<(PrincipalName, Option<IpAddr>, u64)>,
    known: Vec<((PrincipalName, IpAddr), u64)>,
    unknown: Vec<(IpAddr, u64)>,
    others: u64,
}

impl LoginLog {
    pub(super) fn succeeded(&self, name: &PrincipalName, from: IpAddr) {
        self.gathered().succeeded(name.clone(), Some(from), 1);
    }

    /// `name` is that of a principal that exists, so that no stranger writes what they like into the log.
    pub(super) fn failed(&self, name: Option<&PrincipalName>, from: IpAddr) {
        let mut gathered = self.gathered();
        let surplus = match name {
            Some(name) => gathered.known.add((name.clone(), from), 1),
            None => gathered.unknown.add(from, 1),
        };
        gathered.others += surplus;
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    fn succeeded(&mut self, name: PrincipalName, from: Option<IpAddr>, times: u64) {
        let addresses = self.successes.entry(name).or_default();
        let is_listed = addresses.len() < ADDRESSES_LISTED || addresses.contains_key(&from);
        *addresses.entry(from.filter(|_| is_listed)).or_default() += times;
    }

    /// `is_last`: nothing will be written after this.
    fn take(&mut self, now: Timestamp, is_last: bool) -> Batch {
        let (known, surplus) = self.known.take(now);
        self.others += surplus;
        let (unknown, surplus) = self.unknown.take(now);
        self.others += surplus;
        let mut others = 0;
        if self.others > 0 && (is_last || now >= self.others_after) {
            others = std::mem::take(&mut self.others);
            self.others_after = now.plus(OTHERS_EVERY);
        }
        let of_one = |(name, addresses): (PrincipalName, HashMap<Option<IpAddr>, u64>)| {
            addresses
                .into_iter()
                .map(move |(from, times)| (name.clone(), from, times))
        };
        Batch {
            successes: self.successes.drain().flat_map(of_one).collect(),
            known,
            unknown,
            others,
        }
    }

    /// What could not be written waits for the next time; failures are only counted then.
    fn put_back(&mut self, batch: &Batch) {
        for (name, from, times) in &batch.successes {
            self.succeeded(name.clone(), *from, *times);
        }
        let known = batch.known.iter().map(|(_, times)| times);
        let unknown = batch.unknown.iter().map(|(_, times)| times);
        self.others += batch.others + known.chain(unknown).sum::<u64>();
        self.others_after = Timestamp::default();
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.successes.is_empty() && self.known.is_empty() && self.unknown.is_empty() && self.others == 0
    }

    async fn write(&self, tx: &Tx) -> Result<(), StoreError> {
        for (name, from, times) in &self.successes {
            let actor = Actor::logging_in(name.as_str());
            let body = json!({ "from": from, "times": times });
            event::record(tx, &actor, EventKind::Login, name.as_str(), body).await?;
        }
        // Who failed to log in is not known; the name is only what they said.
        let actor = Actor::logging_in(ANONYMOUS);
        let known = self
            .known
            .iter()
            .map(|((name, from), times)| (name.as_str(), from, times));
        let unknown = self.unknown.iter().map(|(from, times)| (ANONYMOUS, from, times));
        for (subject, from, times) in known.chain(unknown) {
            let body = json!({ "from": from, "times": times });
            event::record(tx, &actor, EventKind::LoginFailed, subject, body).await?;
        }
        if self.others > 0 {
            let body = json!({ "times": self.others });
            event::record(tx, &actor, EventKind::LoginFailed, "others", body).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Writes the logins that were gathered, in one transaction.
    pub(crate) async fn flush_logins(&self) -> Result<(), StoreError> {
        self.write_logins(false).await
    }

    /// The same when the store is closed.
    pub(crate) async fn flush_last_logins(&self) -> Result<(), StoreError> {
        self.write_logins(true).await
    }

    async fn write_logins(&self, is_last: bool) -> Result<(), StoreError> {
        let log = &self.inner.authenticator.log;
        let batch = Arc::new(log.gathered().take(self.now(), is_last));
        if batch.is_empty() {
            return Ok(());
        }
        let written = Arc::clone(&batch);
        let done = self
            .write(move |tx| Box::pin(async move { written.write(tx).await }))
            .await;
        if done.is_err() {
            log.gathered().put_back(&batch);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_not_lost() {
        let log = LoginLog::default();
        let (ann, from) = ("ann".parse().unwrap(), IpAddr::from([192, 0, 2, 1]));
        log.succeeded(&ann, from);
        log.failed(Some(&ann), from);
        log.failed(None, from);
        let batch = log.gathered().take(Timestamp(0), false);
        log.succeeded(&ann, from);
        log.gathered().put_back(&batch);
        let batch = log.gathered().take(Timestamp(0), false);
        assert_eq!(batch.successes, [(ann, Some(from), 2)]);
        assert_eq!((batch.known.len(), batch.unknown.len(), batch.others), (0, 0, 2));
        assert!(log.gathered().take(Timestamp(0), true).is_empty());
    }
}
