//! When which request is sent, fixed before the first one: an open loop does not wait for a slow server.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// One request of an open loop.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Arrival {
    /// Since the start, in nanoseconds.
    pub(crate) at_nanoseconds: u64,
    /// Which of the plan's requests.
    pub(crate) request: usize,
}

/// Arrivals of many independent clients (Poisson) at `per_second` for `length`; `draw` says what each asks for.
pub(crate) fn open_loop(
    random: &mut Random,
    per_second: f64,
    length: Duration,
    mut draw: impl FnMut(&mut Random) -> usize,
) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_secs_f64(-(1.0 - random.fraction()).ln() / per_second);
        if at >= length {
            return arrivals;
        }
        let at_nanoseconds = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        arrivals.push(Arrival {
            at_nanoseconds,
            request: draw(random),
        });
    }
}

/// Zipf's law with exponent 1: the k-th of `n` is drawn with a probability proportional to 1/k.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// Sums of the weights up to and including each rank.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Over ranks 0 to `n` - 1.
    pub(crate) fn over(n: usize) -> Self {
        let mut sum = 0.0;
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let cumulative = (1..=n).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self {
            cumulative: cumulative.collect(),
        }
    }

    /// A rank.
    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let last = self.cumulative.len() - 1;
        let point = random.fraction() * self.cumulative[last];
        self.cumulative.partition_point(|&sum| sum <= point).min(last)
    }
}
