//! When to try again. Pure: the random number is an argument.

use std::time::Duration;

use store::{Delivery, Timestamp};

use super::TellingLimits;

/// Longest time for which a receiver that asks for it is left alone.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

/// The moment of the next try after one that failed, or `None`: it is given up. `random` spreads the pauses of those that failed
/// together over the second half of the longest one.
pub(super) fn next(
    delivery: &Delivery,
    asked: Option<Duration>,
    now: Timestamp,
    limits: &TellingLimits,
    random: u8,
) -> Option<Timestamp> {
    let made = delivery.attempts + 1;
    if made >= limits.attempts || now >= delivery.tried_from.plus(limits.give_up_after) {
        return None;
    }
    let doubled = 2_u32.saturating_pow(u32::try_from(delivery.attempts).unwrap_or(u32::MAX));
    let longest = limits
        .first_pause
        .saturating_mul(doubled)
        .min(limits.longest_pause);
    let pause = longest / 2 + longest / 2 * u32::from(random) / 255;
    let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
    Some(now.plus(pause.max(asked)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telling::tests::delivery;

    const START: Timestamp = Timestamp(1_000_000_000);

    fn pause(attempts: u64, asked: Option<Duration>, random: u8) -> Duration {
        let mut delivery = delivery("a");
        (delivery.tried_from, delivery.attempts) = (START, attempts);
        let next = next(&delivery, asked, START, &TellingLimits::default(), random).unwrap();
        Duration::from_micros((next.micros() - START.micros()).unsigned_abs())
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        for (attempts, longest) in [(0, 10), (1, 20), (2, 40), (5, 320), (9, 3_600), (60, 3_600)] {
            assert_eq!(pause(attempts, None, 255), Duration::from_secs(longest));
            assert_eq!(pause(attempts, None, 0), Duration::from_secs(longest) / 2);
        }
        assert_eq!(pause(0, Some(Duration::from_mins(5)), 0), Duration::from_mins(5));
        assert_eq!(pause(0, Some(Duration::from_hours(99)), 0), LONGEST_ASKED);
    }

    /// Whoever answers 500 for a day is told all the same, and whoever does for ever is given up.
    #[test]
    fn a_day_of_failures_is_survived_and_three_are_not() {
        let limits = TellingLimits::default();
        let mut delivery = delivery("a");
        delivery.tried_from = START;
        let (mut now, mut last) = (START, START);
        while let Some(at) = next(&delivery, None, now, &limits, 128) {
            assert!(at > now);
            (last, now) = (now, at);
            delivery.attempts += 1;
        }
        let tried = last.micros() - START.micros();
        assert!(tried > 2 * 86_400_000_000 && tried <= 3 * 86_400_000_000 + 3_600_000_000);
        assert!(delivery.attempts < limits.attempts, "age ends it, not number");
        delivery.attempts = limits.attempts - 1;
        assert_eq!(next(&delivery, None, START, &limits, 0), None);
    }
}
