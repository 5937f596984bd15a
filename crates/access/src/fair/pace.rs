//! How fast turns come, to say how long a wait would be.

/// Over how long it is measured, in milliseconds.
const WINDOW: u64 = 250;

/// How long it is believed, in milliseconds: what hung a while ago must not turn away those who come now.
const BELIEVED: u64 = 2_000;

/// Turns per second, in thousandths, as last measured while somebody waited.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: u64,
    turns: u64,
    rate: Option<u64>,
    measured_at: u64,
}

impl Pace {
    /// The first one begins to wait.
    pub(super) fn begin(&mut self, now: u64) {
        self.since = now;
        self.turns = 0;
    }

    /// Somebody's turn has come.
    pub(super) fn granted(&mut self, now: u64) {
        self.turns += 1;
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= WINDOW {
            let measured = (self.turns.saturating_mul(1_000_000) / elapsed).max(1);
            self.rate = Some(self.rate.map_or(measured, |rate| rate.midpoint(measured)));
            self.measured_at = now;
            self.begin(now);
        }
    }

    /// How long so many turns take, in milliseconds; none where nothing was measured lately.
    pub(super) fn time_for(&self, now: u64, turns: usize) -> u64 {
        if now.saturating_sub(self.measured_at) > BELIEVED {
            return 0;
        }
        let turns = u64::try_from(turns).unwrap_or(u64::MAX);
        self.rate
            .map_or(0, |rate| turns.saturating_mul(1_000_000) / rate.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_says_how_long_it_takes() {
        let mut pace = Pace::default();
        assert_eq!(pace.time_for(0, 1_000_000), 0);
        pace.begin(1_000);
        for turn in 1..=100 {
            pace.granted(1_000 + turn * 10);
        }
        let wait = pace.time_for(2_000, 50);
        assert!((450..=550).contains(&wait), "{wait}");
        assert_eq!(pace.time_for(10_000, 50), 0, "long ago");
    }
}
