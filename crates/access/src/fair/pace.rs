//! How fast turns come, to say how long a wait would be.

/// Over how long it is measured, in milliseconds.
const WINDOW: u64 = 250;

/// Turns per second, in thousandths, as last measured while somebody waited.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: u64,
    turns: u64,
    rate: Option<u64>,
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
            self.rate = Some(self.rate.map_or(measured, |rate| (rate + measured) / 2));
            self.begin(now);
        }
    }

    /// How long so many turns take, in milliseconds; none while nothing was measured.
    pub(super) fn time_for(&self, turns: usize) -> u64 {
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
        assert_eq!(pace.time_for(1_000_000), 0);
        pace.begin(1_000);
        for turn in 1..=100 {
            pace.granted(1_000 + turn * 10);
        }
        let wait = pace.time_for(50);
        assert!((450..=550).contains(&wait), "{wait}");
    }
}
