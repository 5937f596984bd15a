//! How much is worked on at the same time, found out from how long it takes.
//!
//! A database or a disk that is asked for more than it can do at once does not do more, it only answers everybody later. So the
//! limit follows the latency: it grows while that stays what it was, and shrinks as it grows (the gradient of Netflix's
//! concurrency-limits, after TCP Vegas). Nothing here knows the time.

use std::time::Duration;

/// Between what the limit moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Never less than this at a time.
    pub least: usize,
    /// Never more.
    pub most: usize,
}

/// Latencies that are averaged before the limit moves.
const SAMPLES: u32 = 16;

/// Latency may be this many times what is usual before the limit shrinks.
const TOLERANCE: f64 = 2.0;

/// The limit shrinks to no less than this part of what it was at a time.
const STEEPEST: f64 = 0.5;

/// Of what a new average is above what is usual, this part is added.
const DRIFT: f64 = 0.1;

/// A latency below this is as good as none, in seconds: measured noise must not move the limit.
const FLOOR: f64 = 0.000_2;

/// A limit that moves.
#[derive(Debug)]
pub struct AdaptiveLimit {
    bounds: Bounds,
    limit: f64,
    /// What is usual, in seconds.
    usual: Option<f64>,
    sum: f64,
    samples: u32,
    busiest: usize,
}

impl AdaptiveLimit {
    /// Begins with the least: what is slow because everybody comes at once, as after a restart, must not count as usual.
    pub fn new(bounds: Bounds) -> Self {
        let bounds = Bounds {
            least: bounds.least.clamp(1, bounds.most.max(1)),
            most: bounds.most.max(1),
        };
        Self {
            limit: float(bounds.least),
            bounds,
            usual: None,
            sum: 0.0,
            samples: 0,
            busiest: 0,
        }
    }

    /// How much may be worked on at the same time.
    pub fn limit(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within the bounds, which are positive"
        )]
        let limit = self.limit as usize;
        limit.clamp(self.bounds.least, self.bounds.most)
    }

    /// Something took so long while `at_once` were worked on, itself included.
    pub fn took(&mut self, latency: Duration, at_once: usize) {
        self.sum += latency.as_secs_f64().max(FLOOR);
        self.samples += 1;
        self.busiest = self.busiest.max(at_once);
        if self.samples < SAMPLES {
            return;
        }
        let average = self.sum / f64::from(self.samples);
        let busiest = self.busiest;
        (self.sum, self.samples, self.busiest) = (0.0, 0, 0);
        self.follow(average, busiest);
    }

    fn follow(&mut self, average: f64, busiest: usize) {
        let usual = self.usual.unwrap_or(average);
        // What got faster is believed at once. What got slower counts as usual only where so little was asked for that it
        // cannot have waited: a slower disk is not overload.
        self.usual = Some(if average < usual {
            average
        } else if busiest <= self.bounds.least {
            usual + (average - usual) * DRIFT
        } else {
            usual
        });
        let gradient = (TOLERANCE * usual / average).clamp(STEEPEST, 1.0);
        // Only a limit that was reached can be found too small.
        let room = if float(busiest) * 2.0 > self.limit {
            self.limit.sqrt()
        } else {
            0.0
        };
        let wanted = if gradient < 1.0 {
            self.limit.min(float(busiest.max(self.bounds.least)) * 2.0) * gradient
        } else {
            self.limit + room
        };
        self.limit = wanted.clamp(float(self.bounds.least), float(self.bounds.most));
    }
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { least: 8, most: 512 };

    /// Something that does `capacity` at once, each in a millisecond, asked for as much as the limit lets.
    fn run(limit: &mut AdaptiveLimit, capacity: f64, demand: usize, rounds: usize) {
        for _ in 0..rounds {
            let at_once = limit.limit().min(demand);
            let latency = 0.001 * (float(at_once) / capacity).max(1.0);
            limit.took(Duration::from_secs_f64(latency), at_once);
        }
    }

    #[test]
    fn the_limit_finds_what_can_be_done_at_once() {
        let mut limit = AdaptiveLimit::new(BOUNDS);
        assert_eq!(limit.limit(), 8, "nothing is known yet");
        run(&mut limit, 16.0, 4, 200);
        assert_eq!(limit.limit(), 8, "nobody asks for more");
        run(&mut limit, 16.0, 10_000, 400);
        assert!((16..=80).contains(&limit.limit()), "{}", limit.limit());
        run(&mut limit, 1_000.0, 10_000, 2_000);
        assert!(limit.limit() > 400, "it recovers: {}", limit.limit());
    }

    #[test]
    fn what_hangs_goes_down_to_the_least_and_no_further() {
        let mut limit = AdaptiveLimit::new(BOUNDS);
        run(&mut limit, 16.0, 4, 100);
        for _ in 0..400 {
            limit.took(Duration::from_secs(30), 512);
        }
        assert_eq!(limit.limit(), 8);
        run(&mut limit, 16.0, 8, 4_000);
        assert!(limit.limit() > 8, "it recovers: {}", limit.limit());
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            least in 0..2_000_usize,
            most in 0..2_000_usize,
            samples in prop::collection::vec((0..100_000_000_u64, 0..5_000_usize), 0..400),
        ) {
            let mut limit = AdaptiveLimit::new(Bounds { least, most });
            for (micros, at_once) in samples {
                limit.took(Duration::from_micros(micros), at_once);
                prop_assert!(limit.limit() >= 1 && limit.limit() <= most.max(1));
                prop_assert!(limit.limit() >= least.min(most.max(1)));
            }
        }
    }
}
