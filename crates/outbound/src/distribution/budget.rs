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
    /// Bytes of bodies, wherever they come from, as they come. A blob whose length is said is begun only if all of it fits, or, where it
    /// has more than may come within an hour, if anything is left. What was begun is brought to its end.
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

/// What was spent within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// How long ago the minute began.
    pub ago: Duration,
    /// Requests.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Minutes from before the ledger that are taken in: as many as count.
const RECALLED: usize = 62;

/// When it is worth asking again where all that is left is promised to what comes just now.
const PROMISED_WAIT: Duration = MINUTE;

/// What was spent.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: Budget,
    /// At most 62, the oldest first, besides those from before.
    minutes: VecDeque<Minute>,
    /// Bytes that are still to come of what was begun.
    promised: u64,
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
            promised: 0,
        })
    }

    /// Notes a request. Refused: what is used up, and how long it will be.
    pub(super) fn request(&mut self, now: Instant) -> Result<(), (Spending, Duration)> {
        self.forget(now);
        for what in [Spending::Requests, Spending::Bytes] {
            if let Some(wait) = self.wait(what, 1, now) {
                return Err((what, wait));
            }
        }
        let minute = self.minute(now);
        minute.requests = minute.requests.saturating_add(1);
        Ok(())
    }

    /// Sets so many bytes aside for what is about to come. Refused: how long it will be until there are so many. What goes on where it
    /// was cut gets them in any case.
    pub(super) fn promise(&mut self, now: Instant, bytes: u64, goes_on: bool) -> Result<(), Duration> {
        self.forget(now);
        let limit = self.limit(Spending::Bytes).unwrap_or(u64::MAX);
        // Of what has more than may come within an hour, one byte must be left.
        let needed = if bytes > limit { 1 } else { bytes };
        if let Some(wait) = self.wait(Spending::Bytes, needed, now).filter(|_| !goes_on) {
            return Err(wait);
        }
        self.promised = self.promised.saturating_add(bytes);
        Ok(())
    }

    /// So many bytes that were set aside have come, or do not come any more.
    pub(super) fn redeem(&mut self, bytes: u64) {
        self.promised = self.promised.saturating_sub(bytes);
    }

    /// What counts now, the oldest first.
    pub(super) fn lately(&mut self, now: Instant) -> Vec<Spent> {
        self.forget(now);
        let minutes = self.minutes.iter();
        let spent = minutes.map(|minute| Spent {
            ago: now.saturating_duration_since(minute.begins),
            requests: minute.requests,
            bytes: minute.bytes,
        });
        spent.collect()
    }

    /// Counts what was spent before, the oldest first, as by [`Ledger::lately`] at that time.
    pub(super) fn recall(&mut self, now: Instant, spent: &[Spent]) {
        let counts = spent.iter().rev().filter(|minute| minute.ago < COUNTS_FOR);
        for minute in counts.take(RECALLED) {
            // What was before the beginning of this clock counts for longer than it has to.
            let begins = now.checked_sub(minute.ago).unwrap_or(now);
            self.minutes.push_front(Minute {
                begins,
                requests: minute.requests,
                bytes: minute.bytes,
            });
        }
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

    /// What is gone: spent, or promised.
    fn spent(&self, what: Spending) -> u64 {
        let promised = match what {
            Spending::Requests => 0,
            Spending::Bytes => self.promised,
        };
        self.minutes
            .iter()
            .fold(promised, |sum, minute| sum.saturating_add(minute.of(what)))
    }

    /// How long until so much is left; `None`: it is.
    fn wait(&self, what: Spending, needed: u64, now: Instant) -> Option<Duration> {
        let limit = self.limit(what)?;
        let mut spent = self.spent(what);
        let fits = |spent: u64| spent.saturating_add(needed) <= limit;
        if fits(spent) {
            return None;
        }
        for minute in &self.minutes {
            spent = spent.saturating_sub(minute.of(what));
            if fits(spent) {
                return Some((minute.begins + COUNTS_FOR).saturating_duration_since(now));
            }
        }
        Some(PROMISED_WAIT)
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
    fn what_is_begun_together_fits_together() {
        let (mut ledger, start) = (ledger(0, 100), Instant::now());
        ledger.bytes(start, 10);
        ledger.promise(start, 60, false).unwrap();
        assert_eq!(ledger.left(start).bytes, Some(30));
        let later = start + MINUTE;
        assert_eq!(ledger.promise(later, 31, false), Err(60 * MINUTE));
        assert_eq!(
            ledger.promise(later, 50, false),
            Err(PROMISED_WAIT),
            "of what still comes"
        );
        ledger.promise(later, 30, false).unwrap();
        assert_eq!(ledger.request(later).unwrap_err().0, Spending::Bytes);
        ledger.promise(later, 5, true).unwrap();
        for bytes in [60, 30, 5] {
            ledger.redeem(bytes);
        }
        assert_eq!(ledger.left(later).bytes, Some(90));
        ledger.promise(later, 1_000, false).unwrap();
        assert_eq!(ledger.promise(later, 1_000, false), Err(PROMISED_WAIT));
    }

    #[test]
    fn what_was_spent_before_a_start_counts() {
        let (mut before, start) = (ledger(3, 100), Instant::now() + HOUR);
        before.request(start).unwrap();
        before.bytes(start, 7);
        before.request(start + 30 * MINUTE).unwrap();
        let lately = before.lately(start + 40 * MINUTE);
        let (mut after, now) = (ledger(3, 100), start + 40 * MINUTE);
        after.request(now).unwrap();
        after.recall(now, &lately);
        assert_eq!(after.lately(now).len(), 3);
        assert_eq!(
            after.left(now),
            BudgetLeft {
                requests: Some(0),
                bytes: Some(93)
            }
        );
        assert_eq!(after.request(now), Err((Spending::Requests, 21 * MINUTE)));
        let old = Spent {
            ago: COUNTS_FOR,
            requests: 9,
            bytes: 9,
        };
        let mut other = ledger(3, 100);
        other.recall(now, &[old]);
        assert_eq!(other.left(now).requests, Some(3));
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
