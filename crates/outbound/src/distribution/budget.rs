//! How much is asked of an upstream within an hour. Pure: the time is an argument.

use std::collections::VecDeque;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::{Duration, Instant};

/// What is counted together.
const MINUTE: Duration = Duration::from_mins(1);

/// How long it counts: an hour after the last moment of its minute, so that no hour ever has more than it may.
const COUNTS_FOR: Duration = Duration::from_mins(61);

/// What may be asked of an upstream within any hour; `None` is no limit, which is the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests to the registry itself, whatever it answers. Those to its token service and to where it redirects do not count.
    pub requests_per_hour: Option<NonZeroU32>,
    /// Bytes of bodies, wherever they come from. What was begun is brought to its end: more than this is what is on its way when
    /// nothing is left.
    pub bytes_per_hour: Option<NonZeroU64>,
}

/// What is left of a [`Budget`]; `None` where there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BudgetLeft {
    /// Requests.
    pub requests: Option<u32>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// Requests.
    Requests,
    /// Bytes.
    Bytes,
}

impl fmt::Display for Spending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
        })
    }
}

/// What was spent.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: Budget,
    /// At most 62, the oldest first.
    minutes: VecDeque<Minute>,
}

#[derive(Debug)]
struct Minute {
    begins: Instant,
    requests: u64,
    bytes: u64,
}

impl Minute {
    fn of(&self, what: Spending) -> u64 {
        match what {
            Spending::Requests => self.requests,
            Spending::Bytes => self.bytes,
        }
    }
}

impl Ledger {
    /// `None`: there is nothing to count.
    pub(super) fn of(budget: Budget) -> Option<Self> {
        (budget != Budget::default()).then(|| Self {
            budget,
            minutes: VecDeque::new(),
        })
    }

    /// Notes a request. Refused: what is used up, and how long it will be.
    pub(super) fn request(&mut self, now: Instant) -> Result<(), (Spending, Duration)> {
        self.forget(now);
        for what in [Spending::Requests, Spending::Bytes] {
            if let Some(wait) = self.wait(what, now) {
                return Err((what, wait));
            }
        }
        let minute = self.minute(now);
        minute.requests = minute.requests.saturating_add(1);
        Ok(())
    }

    /// Notes bytes that have come.
    pub(super) fn bytes(&mut self, now: Instant, bytes: u64) {
        self.forget(now);
        let minute = self.minute(now);
        minute.bytes = minute.bytes.saturating_add(bytes);
    }

    /// What is left.
    pub(super) fn left(&mut self, now: Instant) -> BudgetLeft {
        self.forget(now);
        let left = |what| Some(self.limit(what)?.saturating_sub(self.spent(what)));
        BudgetLeft {
            requests: left(Spending::Requests).map(|left| u32::try_from(left).unwrap_or(u32::MAX)),
            bytes: left(Spending::Bytes),
        }
    }

    fn limit(&self, what: Spending) -> Option<u64> {
        match what {
            Spending::Requests => self.budget.requests_per_hour.map(|limit| u64::from(limit.get())),
            Spending::Bytes => self.budget.bytes_per_hour.map(NonZeroU64::get),
        }
    }

    fn spent(&self, what: Spending) -> u64 {
        self.minutes
            .iter()
            .fold(0_u64, |sum, minute| sum.saturating_add(minute.of(what)))
    }

    /// How long until something is left; `None`: something is.
    fn wait(&self, what: Spending, now: Instant) -> Option<Duration> {
        let limit = self.limit(what)?;
        let mut spent = self.spent(what);
        if spent < limit {
            return None;
        }
        for minute in &self.minutes {
            spent = spent.saturating_sub(minute.of(what));
            if spent < limit {
                return Some((minute.begins + COUNTS_FOR).saturating_duration_since(now));
            }
        }
        None
    }

    fn forget(&mut self, now: Instant) {
        while self
            .minutes
            .front()
            .is_some_and(|minute| minute.begins + COUNTS_FOR <= now)
        {
            self.minutes.pop_front();
        }
    }

    /// The minute of now. A clock that goes back stays in the last one.
    fn minute(&mut self, now: Instant) -> &mut Minute {
        let is_over = self
            .minutes
            .back()
            .is_none_or(|minute| minute.begins + MINUTE <= now);
        if is_over {
            self.minutes.push_back(Minute {
                begins: now,
                requests: 0,
                bytes: 0,
            });
        }
        let last = self.minutes.len() - 1;
        &mut self.minutes[last]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn ledger(requests: u32, bytes: u64) -> Ledger {
        Ledger::of(Budget {
            requests_per_hour: NonZeroU32::new(requests),
            bytes_per_hour: NonZeroU64::new(bytes),
        })
        .unwrap()
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        assert!(Ledger::of(Budget::default()).is_none());
    }

    #[test]
    fn requests_end_and_come_back_after_an_hour() {
        let (mut ledger, start) = (ledger(2, 0), Instant::now());
        ledger.request(start).unwrap();
        ledger.request(start + 30 * MINUTE).unwrap();
        let (what, wait) = ledger.request(start + 40 * MINUTE).unwrap_err();
        assert_eq!((what, wait), (Spending::Requests, 21 * MINUTE));
        let left = BudgetLeft {
            requests: Some(0),
            bytes: None,
        };
        assert_eq!(ledger.left(start + 40 * MINUTE), left);
        ledger.request(start + 40 * MINUTE + wait).unwrap();
        ledger.request(start + 61 * MINUTE).unwrap_err();
    }

    #[test]
    fn what_was_begun_is_brought_to_its_end_and_nothing_is_begun_after_it() {
        let (mut ledger, start) = (ledger(0, 100), Instant::now());
        ledger.request(start).unwrap();
        ledger.bytes(start, 60);
        ledger.bytes(start + MINUTE, 60);
        let (what, wait) = ledger.request(start + 2 * MINUTE).unwrap_err();
        assert_eq!((what, wait), (Spending::Bytes, 59 * MINUTE));
        assert_eq!(ledger.left(start + 2 * MINUTE).bytes, Some(0));
        ledger.bytes(start + 2 * MINUTE, u64::MAX);
        assert_eq!(ledger.left(start + 62 * MINUTE).bytes, Some(0));
        assert_eq!(ledger.left(start + 63 * MINUTE).bytes, Some(100));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let (mut ledger, early) = (ledger(2, 0), Instant::now());
        ledger.request(early + HOUR).unwrap();
        ledger.request(early + 9 * MINUTE).unwrap();
        ledger.request(early).unwrap_err();
        assert_eq!(ledger.minutes.len(), 1);
    }

    proptest! {
        /// However requests come, no hour has more than it may, nothing is kept for long, and who waits as told is let in.
        #[test]
        fn no_hour_has_more_than_it_may(limit in 1_u32..6, steps in proptest::collection::vec(0_u64..2_000, 0..60)) {
            let mut ledger = ledger(limit, 0);
            let start = Instant::now();
            let (mut now, mut made) = (start, Vec::new());
            for step in steps {
                now += Duration::from_secs(step);
                match ledger.request(now) {
                    Ok(()) => made.push(now),
                    Err((_, wait)) => {
                        prop_assert!(wait <= COUNTS_FOR);
                        now += wait;
                        prop_assert!(ledger.request(now).is_ok());
                        made.push(now);
                    }
                }
                let within = made.iter().filter(|at| now.duration_since(**at) < HOUR).count();
                prop_assert!(within <= limit as usize);
                prop_assert!(ledger.minutes.len() <= 62);
            }
        }
    }
}
