//! Failed logins: who guesses has to wait longer and longer.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use moka::sync::Cache;

use crate::{StoreLimits, Timestamp};

/// How long failures are remembered after the last one.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Failures of one name from one address.
#[derive(Debug, Clone, Copy)]
struct Record {
    count: u32,
    last: Timestamp,
}

/// The failures of all.
pub(super) struct Failures {
    records: Cache<(Box<str>, IpAddr), Record>,
    free: u32,
    longest: Duration,
}

impl Failures {
    pub(super) fn new(limits: &StoreLimits) -> Self {
        let records = Cache::builder()
            .max_capacity(limits.login_failure_entries)
            .time_to_idle(REMEMBERED)
            .build();
        Self {
            records,
            free: limits.login_failures,
            longest: limits.login_backoff,
        }
    }

    /// How long this name from this address has to wait still; `None`: not at all.
    pub(super) fn wait(&self, user: &str, from: IpAddr, now: Timestamp) -> Option<Duration> {
        let record = self.records.get(&key(user, from))?;
        let over = record.count.checked_sub(self.free)?;
        let pause = Duration::from_secs(1_u64.checked_shl(over).unwrap_or(u64::MAX)).min(self.longest);
        let left = record.last.plus(pause).micros().saturating_sub(now.micros());
        let left = u64::try_from(left).ok().filter(|&left| left > 0)?;
        Some(Duration::from_secs(left.div_ceil(1_000_000)))
    }

    /// One more failure.
    pub(super) fn note(&self, user: &str, from: IpAddr, now: Timestamp) {
        self.records
            .entry(key(user, from))
            .and_upsert_with(|present| Record {
                count: present
                    .map_or(0, |entry| entry.into_value().count)
                    .saturating_add(1),
                last: now,
            });
    }

    /// A success: the count begins anew.
    pub(super) fn forget(&self, user: &str, from: IpAddr) {
        self.records.invalidate(&key(user, from));
    }
}

/// Whoever has one IPv6 address usually has 2^64 of them.
fn key(user: &str, from: IpAddr) -> (Box<str>, IpAddr) {
    let network = match from.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    };
    (user.into(), network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(free: u32, longest: u64) -> Failures {
        let limits = StoreLimits {
            login_failures: free,
            login_backoff: Duration::from_secs(longest),
            ..StoreLimits::default()
        };
        Failures::new(&limits)
    }

    #[test]
    fn the_wait_doubles_up_to_its_cap() {
        let failures = failures(2, 5);
        let (from, now) = (IpAddr::from([192, 0, 2, 1]), Timestamp(0));
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(failures.wait("ann", from, now).map_or(0, |wait| wait.as_secs()));
            failures.note("ann", from, now);
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 5]);
        assert_eq!(
            failures.wait("ann", from, Timestamp(5_000_001)),
            None,
            "time passes"
        );
        assert_eq!(failures.wait("bob", from, now), None, "others are not concerned");
        assert_eq!(failures.wait("ann", IpAddr::from([192, 0, 2, 2]), now), None);
        failures.forget("ann", from);
        assert_eq!(failures.wait("ann", from, now), None);
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_address() {
        let failures = failures(1, 60);
        failures.note("ann", "2001:db8::1".parse().unwrap(), Timestamp(0));
        assert!(
            failures
                .wait("ann", "2001:db8::ffff".parse().unwrap(), Timestamp(0))
                .is_some()
        );
        assert!(
            failures
                .wait("ann", "2001:db8:0:1::1".parse().unwrap(), Timestamp(0))
                .is_none()
        );
    }

    #[test]
    fn remembered_failures_are_bounded() {
        let limits = StoreLimits {
            login_failure_entries: 5,
            ..StoreLimits::default()
        };
        let failures = Failures::new(&limits);
        for number in 0..100 {
            failures.note(
                &number.to_string(),
                IpAddr::from([192, 0, 2, number]),
                Timestamp(0),
            );
        }
        failures.records.run_pending_tasks();
        assert!(failures.records.entry_count() <= 5);
    }
}
