//! So many requests and so many bytes per second, for those for whom somebody said so.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use access::{
    NamePattern, PrincipalId, PrincipalName,
    bucket::{Bucket, PerSecond},
};
use store::TrafficTarget;

/// What one may ask for per second; `None`: as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// Requests.
    pub requests: Option<u64>,
    /// Bytes of answers.
    pub bytes: Option<u64>,
}

/// Those who are counted at a time; of more, those who have asked for nothing lately are forgotten first, then all.
const MOST_COUNTED: usize = 10_000;

/// By whom a rate is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RateOf {
    /// The configuration says it of each principal of a pattern.
    Principal(PrincipalId),
    /// An administrator has throttled them for a while, all in a network together.
    Measure(TrafficTarget),
}

/// What is left of all rates.
#[derive(Debug)]
pub(crate) struct Rates {
    left: Mutex<HashMap<RateOf, Left>>,
    began: Instant,
}

#[derive(Debug)]
struct Left {
    rate: Rate,
    requests: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self {
            left: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// Takes one request of all rates that hold for it, or of none where one is used up, and answers when there will be one again:
    /// a narrow network that asks for too much must not use up what a wide one has together.
    pub(crate) fn take(&self, held: &[(RateOf, Rate)]) -> Result<(), Duration> {
        if held.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut left, now);
        // A request may begin while anything is left; what it takes of bytes is known when it was sent.
        let waits = held.iter().filter_map(|(who, rate)| {
            let own = left.entry(who.clone()).or_insert_with(|| Left::all(*rate, now));
            if own.rate != *rate {
                *own = Left::all(*rate, now);
            }
            own.wait(now)
        });
        if let Some(wait) = waits.max() {
            return Err(Duration::from_micros(wait));
        }
        for (who, _) in held {
            if let Some(own) = left.get_mut(who) {
                own.spend_request(now);
            }
        }
        Ok(())
    }

    /// Counts bytes that were sent.
    pub(crate) fn sent(&self, who: &RateOf, bytes: u64) {
        let now = self.now();
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = left.get_mut(who)
            && let (Some(bucket), Some(rate)) = (&mut own.bytes, own.rate.bytes)
        {
            bucket.owe(PerSecond(rate), now, bytes);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Left {
    fn all(rate: Rate, now: u64) -> Self {
        let full = |rate: Option<u64>| rate.map(|rate| Bucket::full(PerSecond(rate), now));
        Self {
            requests: full(rate.requests),
            bytes: full(rate.bytes),
            rate,
        }
    }

    /// How many microseconds nothing is left, if nothing is.
    fn wait(&mut self, now: u64) -> Option<u64> {
        let wait = |bucket: &mut Option<Bucket>, rate: Option<u64>| match (bucket, rate) {
            (Some(bucket), Some(rate)) => bucket.take(PerSecond(rate), now, 0).err(),
            _ => None,
        };
        wait(&mut self.bytes, self.rate.bytes).max(wait(&mut self.requests, self.rate.requests))
    }

    fn spend_request(&mut self, now: u64) {
        if let (Some(bucket), Some(rate)) = (&mut self.requests, self.rate.requests) {
            bucket.owe(PerSecond(rate), now, 1);
        }
    }

    fn is_full(&mut self, now: u64) -> bool {
        let full = |bucket: &mut Option<Bucket>, rate: Option<u64>| match (bucket, rate) {
            (Some(bucket), Some(rate)) => bucket.is_full(PerSecond(rate), now),
            _ => true,
        };
        full(&mut self.requests, self.rate.requests) && full(&mut self.bytes, self.rate.bytes)
    }
}

fn forget(left: &mut HashMap<RateOf, Left>, now: u64) {
    if left.len() < MOST_COUNTED {
        return;
    }
    left.retain(|_, own| !own.is_full(now));
    if left.len() >= MOST_COUNTED {
        left.clear();
    }
}

/// The rate that the configuration gives a principal: the first pattern that means it.
pub(crate) fn of_name(limits: &[(NamePattern, Rate)], name: &PrincipalName) -> Option<Rate> {
    limits
        .iter()
        .find(|(pattern, _)| pattern.matches(name))
        .map(|(_, rate)| *rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(id: i64) -> RateOf {
        RateOf::Principal(PrincipalId(id))
    }

    impl Rates {
        fn take_one(&self, who: &RateOf, rate: Rate) -> Result<(), Duration> {
            self.take(&[(who.clone(), rate)])
        }
    }

    #[test]
    fn each_has_its_own_requests_per_second() {
        let rates = Rates::new();
        let rate = Rate {
            requests: Some(5),
            bytes: None,
        };
        let taken = (0..100).filter(|_| rates.take_one(&who(1), rate).is_ok()).count();
        assert!((5..=6).contains(&taken), "{taken}");
        assert!(rates.take_one(&who(1), rate).unwrap_err() <= Duration::from_secs(1));
        assert!(rates.take_one(&who(2), rate).is_ok());
    }

    #[test]
    fn of_several_rates_the_strictest_decides_and_takes_nothing_of_the_others() {
        let rates = Rates::new();
        let per_second = |requests: u64| Rate {
            requests: Some(requests),
            bytes: None,
        };
        let (narrow, wide) = ((who(1), per_second(2)), (who(2), per_second(50)));
        for held in [[narrow.clone(), wide.clone()], [wide.clone(), narrow.clone()]] {
            let taken = (0..1_000).filter(|_| rates.take(&held).is_ok()).count();
            assert!(taken <= 3, "{taken}");
        }
        let taken = (0..1_000)
            .filter(|_| rates.take_one(&wide.0, wide.1).is_ok())
            .count();
        assert!(taken >= 40, "what was refused was counted: {taken} were left");
    }

    #[test]
    fn bytes_that_were_sent_are_paid_before_the_next_request() {
        let rates = Rates::new();
        let rate = Rate {
            requests: None,
            bytes: Some(1_000),
        };
        rates.take_one(&who(1), rate).unwrap();
        rates.sent(&who(1), 10_000);
        let wait = rates.take_one(&who(1), rate).unwrap_err();
        assert!((8..=10).contains(&wait.as_secs()), "{wait:?}");
        let other = Rate {
            requests: None,
            bytes: Some(2_000),
        };
        assert!(rates.take_one(&who(1), other).is_ok(), "another rate begins anew");
    }

    #[test]
    fn no_number_of_callers_takes_memory_without_bound() {
        let rates = Rates::new();
        let rate = Rate {
            requests: Some(1),
            bytes: None,
        };
        for id in 0..30_000 {
            let _ = rates.take_one(&who(id), rate);
        }
        assert!(rates.left.lock().unwrap().len() <= MOST_COUNTED);
    }
}
