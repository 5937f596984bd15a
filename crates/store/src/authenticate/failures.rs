//! Failed logins: who guesses has to wait longer and longer.
//!
//! Three counts, each against another way to guess passwords or to burn our time with them:
//!
//! - Failures of one name from one address: the wait doubles up to its cap.
//! - The same where the name signed in lately from the address: the wait stays short. Behind a NAT or a proxy a stranger
//!   and the owner of the name are one address, and nothing but the secret tells them apart; with the long wait a few
//!   guesses a minute would lock the owner out.
//! - Failures of all other names from one address: so many, then one at a time.
//!
//! An attempt is counted before its hash is computed and taken back when the secret was right or never looked at:
//! otherwise guesses that come at the same time would all pass before the first is counted. What is cut off while the
//! hash is computed stays counted.

use std::net::IpAddr;
use std::time::Duration;

use access::shares::network;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::{StoreLimits, Timestamp};

/// How long failures are remembered after the last one.
const REMEMBERED: Duration = Duration::from_hours(1);
/// How long a name that signed in from an address counts as known there.
const LATELY: Duration = Duration::from_hours(7 * 24);
/// The longest wait of a name where it is known: 43,200 guesses a day, against passwords of at least 12 characters.
const KNOWN_BACKOFF: Duration = Duration::from_secs(2);
/// Failures from one address, of names that are not known there, before they have to wait.
const ADDRESS_FAILURES: u32 = 60;
/// How long it takes until one of these is forgotten.
const ADDRESS_INTERVAL: Duration = Duration::from_secs(1);

/// A name and where it comes from (see [`network`]).
type Pair = (Box<str>, IpAddr);

/// Failures of one name from one address, those under way included.
#[derive(Debug, Clone, Copy)]
struct Record {
    count: u32,
    last: Timestamp,
}

/// An attempt that was counted.
#[derive(Debug)]
pub(super) struct Attempt {
    pair: Pair,
    is_known: bool,
}

impl Attempt {
    /// Where it comes from, see [`network`].
    pub(super) fn network(&self) -> IpAddr {
        self.pair.1
    }

    /// Whether the name signed in from there lately.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }
}

/// The failures of all.
pub(super) struct Failures {
    pairs: Cache<Pair, Record>,
    /// When each name last signed in from each address.
    recent: Cache<Pair, Timestamp>,
    /// For each address: when its failures will all be forgotten.
    addresses: Cache<IpAddr, Timestamp>,
    free: u32,
    longest: Duration,
}

impl Failures {
    pub(super) fn new(limits: &StoreLimits) -> Self {
        // The least recently used goes first: with a policy that prefers what is asked for often, whoever fills the
        // memory would keep the next failures from being remembered at all.
        let oldest_first = EvictionPolicy::lru;
        Self {
            pairs: Cache::builder()
                .max_capacity(limits.login_failure_entries)
                .eviction_policy(oldest_first())
                .time_to_idle(REMEMBERED)
                .build(),
            recent: Cache::builder()
                .max_capacity(limits.login_failure_entries)
                .eviction_policy(oldest_first())
                .time_to_live(LATELY)
                .build(),
            addresses: Cache::builder()
                .max_capacity(limits.login_failure_entries)
                .eviction_policy(oldest_first())
                .time_to_idle(REMEMBERED)
                .build(),
            free: limits.login_failures,
            longest: limits.login_backoff,
        }
    }

    /// How long this name from this address has to wait still; `None`: not at all.
    pub(super) fn wait(&self, user: &str, from: IpAddr, now: Timestamp) -> Option<Duration> {
        let attempt = self.attempt(user, from, now);
        let record = self.pairs.get(&attempt.pair);
        record
            .and_then(|record| self.pause(record, attempt.is_known, now))
            .or_else(|| {
                let until = self.addresses.get(&attempt.network())?;
                address_pause(until, now).filter(|_| !attempt.is_known)
            })
    }

    /// Counts an attempt, or tells how long it has to wait.
    pub(super) fn begin(&self, user: &str, from: IpAddr, now: Timestamp) -> Result<Attempt, Duration> {
        let attempt = self.attempt(user, from, now);
        self.count_pair(&attempt, now)?;
        if !attempt.is_known
            && let Err(wait) = self.count_address(attempt.network(), now)
        {
            self.take_back_pair(&attempt.pair);
            return Err(wait);
        }
        Ok(attempt)
    }

    /// The attempt was never looked at.
    pub(super) fn take_back(&self, attempt: &Attempt) {
        self.take_back_pair(&attempt.pair);
        self.take_back_address(attempt);
    }

    /// The secret was right. Who comes with it is welcomed then.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        self.take_back_address(attempt);
        self.pairs.invalidate(&attempt.pair);
    }

    /// A name came with the right secret: its count begins anew, and it is known at the address from now on.
    pub(super) fn welcome(&self, user: &str, from: IpAddr, now: Timestamp) {
        let pair = pair(user, from);
        self.pairs.invalidate(&pair);
        self.recent.insert(pair, now);
    }

    fn attempt(&self, user: &str, from: IpAddr, now: Timestamp) -> Attempt {
        let pair = pair(user, from);
        let last = self.recent.get(&pair);
        Attempt {
            is_known: last.is_some_and(|last| now < last.plus(LATELY)),
            pair,
        }
    }

    fn pause(&self, record: Record, is_known: bool, now: Timestamp) -> Option<Duration> {
        let over = record.count.checked_sub(self.free)?;
        let longest = if is_known {
            self.longest.min(KNOWN_BACKOFF)
        } else {
            self.longest
        };
        let pause = Duration::from_secs(1_u64.checked_shl(over).unwrap_or(u64::MAX)).min(longest);
        until(record.last.plus(pause), now)
    }

    fn count_pair(&self, attempt: &Attempt, now: Timestamp) -> Result<(), Duration> {
        let mut wait = None;
        self.pairs
            .entry(attempt.pair.clone())
            .and_compute_with(|present| {
                let record = present.map(moka::Entry::into_value);
                wait = record.and_then(|record| self.pause(record, attempt.is_known, now));
                if wait.is_some() {
                    return Op::Nop;
                }
                Op::Put(Record {
                    count: record.map_or(0, |record| record.count).saturating_add(1),
                    last: now,
                })
            });
        wait.map_or(Ok(()), Err)
    }

    fn count_address(&self, network: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let mut wait = None;
        self.addresses.entry(network).and_compute_with(|present| {
            let until = present.map_or(now, |entry| entry.into_value().max(now));
            wait = address_pause(until, now);
            if wait.is_some() {
                Op::Nop
            } else {
                Op::Put(until.plus(ADDRESS_INTERVAL))
            }
        });
        wait.map_or(Ok(()), Err)
    }

    fn take_back_pair(&self, pair: &Pair) {
        self.pairs.entry(pair.clone()).and_compute_with(|present| {
            match present.map(moka::Entry::into_value) {
                Some(Record { count, last }) if count > 1 => Op::Put(Record {
                    count: count - 1,
                    last,
                }),
                Some(_) => Op::Remove,
                None => Op::Nop,
            }
        });
    }

    fn take_back_address(&self, attempt: &Attempt) {
        if attempt.is_known {
            return;
        }
        self.addresses
            .entry(attempt.network())
            .and_compute_with(|present| match present {
                Some(entry) => Op::Put(entry.into_value().minus(ADDRESS_INTERVAL)),
                None => Op::Nop,
            });
    }
}

/// How long an address has to wait whose failures will be forgotten at `forgotten`.
fn address_pause(forgotten: Timestamp, now: Timestamp) -> Option<Duration> {
    until(forgotten.minus(ADDRESS_INTERVAL * (ADDRESS_FAILURES - 1)), now)
}

/// The time from `now` to `then` in whole seconds, at least one; `None` if it has come.
fn until(then: Timestamp, now: Timestamp) -> Option<Duration> {
    let left = u64::try_from(then.micros().saturating_sub(now.micros())).ok()?;
    (left > 0).then(|| Duration::from_secs(left.div_ceil(1_000_000)))
}

fn pair(user: &str, from: IpAddr) -> Pair {
    (user.into(), network(from))
}

#[cfg(test)]
mod tests;
