//! How long a child that yields to everybody may get nothing.
//!
//! A child that runs only when nobody else wants the processor gets next to nothing on a machine that is busy for long, and pulls
//! wait for what it finds. So it is looked at every now and then: one that wanted the processor and did not get it for too long is
//! ended, and the blob goes to one that competes for the processor with a low priority. So do the next ones for a while.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a child is looked at.
pub(super) const STEP: Duration = Duration::from_secs(1);

/// The share of the time that is as good as nothing: a tenth.
const NOTHING: u32 = 10;

/// How long children compete after one got nothing.
const BUSY: Duration = Duration::from_mins(1);

/// What a process has had, and whether it wants more at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Had {
    pub(super) time: Duration,
    pub(super) wants: bool,
}

impl Had {
    /// From a line of `/proc/PID/stat`, whose times are in ticks. The name in it is in parentheses and may be anything.
    pub(super) fn parse(stat: &str, tick: Duration) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let wants = fields.next()? == "R";
        // Fields 14 and 15 of the line, the state being the third: time in the process and in the system for it.
        let mut times = fields.skip(10);
        let ticks = times.next()?.parse::<u32>().ok()?;
        let ticks = ticks.checked_add(times.next()?.parse().ok()?)?;
        Some(Self {
            time: tick * ticks,
            wants,
        })
    }
}

/// What one child got so far.
#[derive(Debug)]
pub(super) struct Hunger {
    patience: Duration,
    had: Duration,
    hungry: Duration,
}

impl Hunger {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            had: Duration::ZERO,
            hungry: Duration::ZERO,
        }
    }

    /// What it had after `passed` more. Answers whether patience is at its end. One that waits for a disk is not hungry.
    pub(super) fn is_too_much(&mut self, now: Had, passed: Duration) -> bool {
        let got = now.time.saturating_sub(self.had);
        self.had = now.time;
        self.hungry = if now.wants && got < passed / NOTHING {
            self.hungry + passed
        } else {
            Duration::ZERO
        };
        self.hungry >= self.patience
    }
}

/// Whether children yield to everybody at the moment.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Whether the next child yields.
    pub(super) fn yields(&self, now: Instant) -> bool {
        let mut competing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if competing.is_some_and(|since| now.saturating_duration_since(since) >= BUSY) {
            *competing = None;
        }
        competing.is_none()
    }

    /// One got nothing.
    pub(super) fn compete(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    fn had(milliseconds: u64, wants: bool) -> Had {
        Had {
            time: Duration::from_millis(milliseconds),
            wants,
        }
    }

    #[test]
    fn times_are_read_behind_whatever_name_a_process_has() {
        let stat = "7 (a) R (b)) R 1 7 7 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 1 0 5 6 7";
        assert_eq!(Had::parse(stat, TICK), Some(had(2_000, true)));
        let stat = "7 (x) D 1 7 7 0 -1 4194560 1 2 3 4 0 1 9 9 20 0 1 0 5 6 7";
        assert_eq!(Had::parse(stat, TICK), Some(had(10, false)));
        for broken in [
            "",
            "7 (x",
            "7 (x)",
            "7 (x) R 1 2",
            "7 (x) R 1 7 7 0 -1 4 1 2 3 4 -1 x",
        ] {
            assert_eq!(Had::parse(broken, TICK), None, "{broken}");
        }
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(Had::parse(&own, TICK).is_some());
    }

    #[test]
    fn whoever_wants_and_gets_nothing_is_hungry_and_one_meal_is_enough() {
        let mut hunger = Hunger::new(Duration::from_secs(3));
        assert!(!hunger.is_too_much(had(50, true), STEP));
        assert!(!hunger.is_too_much(had(100, true), STEP));
        assert!(
            !hunger.is_too_much(had(300, true), STEP),
            "two tenths are something"
        );
        assert!(!hunger.is_too_much(had(310, true), STEP));
        assert!(!hunger.is_too_much(had(320, true), STEP));
        assert!(hunger.is_too_much(had(330, true), STEP));
    }

    #[test]
    fn whoever_waits_for_the_disk_is_not_hungry() {
        let mut hunger = Hunger::new(Duration::from_secs(2));
        for _ in 0..10 {
            assert!(!hunger.is_too_much(had(0, false), STEP));
        }
    }

    #[test]
    fn children_yield_again_after_a_while() {
        let pace = Pace::default();
        let start = Instant::now();
        assert!(pace.yields(start));
        pace.compete(start);
        assert!(!pace.yields(start + BUSY / 2));
        assert!(pace.yields(start + BUSY));
        assert!(pace.yields(start + BUSY / 2), "it is over");
    }
}
