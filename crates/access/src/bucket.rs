//! So much per second: a token bucket that may go into debt.
//!
//! What a request costs is often known only when it was sent. So it may begin as long as nothing is owed, and who has had too
//! much comes again when the debt is paid.

/// A rate, per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerSecond(pub u64);

/// What is left of one rate. A full bucket holds what comes in within one second.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// In millionths; negative: owed.
    left: i64,
    /// When it was last filled, in microseconds from any beginning.
    at: u64,
}

/// Most that can be owed, in seconds of the rate: one huge blob must not shut somebody out for a day.
const MOST_OWED_SECONDS: i64 = 60;

const MILLION: i64 = 1_000_000;

impl Bucket {
    /// A full one.
    pub fn full(rate: PerSecond, now: u64) -> Self {
        Self {
            left: rate.millionths(),
            at: now,
        }
    }

    /// Takes `amount` if anything is left; otherwise answers in how many microseconds there will be.
    pub fn take(&mut self, rate: PerSecond, now: u64, amount: u64) -> Result<(), u64> {
        self.fill(rate, now);
        if self.left <= 0 {
            let missing = self.left.unsigned_abs().saturating_add(1);
            return Err(missing / rate.0.max(1) + 1);
        }
        self.spend(rate, amount);
        Ok(())
    }

    /// Takes `amount`, also if it is not there.
    pub fn owe(&mut self, rate: PerSecond, now: u64, amount: u64) {
        self.fill(rate, now);
        self.spend(rate, amount);
    }

    /// Whether it makes no difference whether it is remembered.
    pub fn is_full(&mut self, rate: PerSecond, now: u64) -> bool {
        self.fill(rate, now);
        self.left >= rate.millionths()
    }

    fn spend(&mut self, rate: PerSecond, amount: u64) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(MILLION);
        let most = rate.millionths().saturating_mul(MOST_OWED_SECONDS);
        self.left = self.left.saturating_sub(amount).max(-most);
    }

    fn fill(&mut self, rate: PerSecond, now: u64) {
        let elapsed = i64::try_from(now.saturating_sub(self.at)).unwrap_or(i64::MAX);
        let per_micro = i64::try_from(rate.0).unwrap_or(i64::MAX);
        self.left = self
            .left
            .saturating_add(elapsed.saturating_mul(per_micro))
            .min(rate.millionths());
        self.at = self.at.max(now);
    }
}

impl PerSecond {
    fn millionths(self) -> i64 {
        i64::try_from(self.0.max(1))
            .unwrap_or(i64::MAX)
            .saturating_mul(MILLION)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_has_had_too_much_comes_again_when_it_is_paid() {
        let rate = PerSecond(100);
        let mut bucket = Bucket::full(rate, 0);
        let taken = (0..1_000).filter(|_| bucket.take(rate, 0, 1).is_ok()).count();
        assert_eq!(taken, 100);
        let wait = bucket.take(rate, 0, 1).unwrap_err();
        assert!(bucket.take(rate, wait, 1).is_ok());
        bucket.owe(rate, wait, 500);
        let wait = bucket.take(rate, 1_000_000, 1).unwrap_err();
        assert!((3_900_000..=4_100_000).contains(&wait), "{wait}");
    }

    #[test]
    fn nobody_owes_for_ever() {
        let rate = PerSecond(1);
        let mut bucket = Bucket::full(rate, 0);
        bucket.owe(rate, 0, u64::MAX);
        assert!(bucket.take(rate, 0, 1).unwrap_err() <= 61_000_000);
        assert!(bucket.is_full(rate, 1 << 40));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_one_second_of_it(
            rate in 1..10_000_u64,
            steps in prop::collection::vec((0..50_000_u64, 1..4_u64), 1..300),
        ) {
            let rate = PerSecond(rate);
            let (mut bucket, mut now, mut had) = (Bucket::full(rate, 0), 0, 0);
            for (pause, amount) in steps {
                now += pause;
                if bucket.take(rate, now, amount).is_ok() {
                    had += amount;
                }
                prop_assert!(had <= rate.0 + rate.0 * now / 1_000_000 + 5);
            }
        }
    }
}
