//! Whether an express lane is behind: how long what has come waits until its thread gets to it.
//!
//! A thread that answers from memory never has two requests in its hands at once, so counting what is being worked on says
//! nothing: the line is the one of the runtime, first come first served. A small task is put at its end now and then, and how
//! long it takes until it runs is how far the lane is behind. Nothing is measured where nothing comes.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// How often a lane is measured while requests come.
const EVERY: Duration = Duration::from_millis(2);

thread_local! {
    static LAG: Lag = const {
        Lag {
            is_express: Cell::new(false),
            measured: Cell::new(None),
            behind: Cell::new(Duration::ZERO),
        }
    };
}

struct Lag {
    is_express: Cell<bool>,
    /// When the last measurement began.
    measured: Cell<Option<Instant>>,
    behind: Cell<Duration>,
}

/// Called once on the thread of an express lane.
pub(super) fn begin() {
    LAG.with(|lag| lag.is_express.set(true));
}

/// Whether this thread is an express lane that is more than `limit` behind.
pub(crate) fn is_behind(now: Instant, limit: Duration) -> bool {
    LAG.with(|lag| {
        if !lag.is_express.get() {
            return false;
        }
        let due = lag
            .measured
            .get()
            .is_none_or(|measured| now.saturating_duration_since(measured) >= EVERY);
        if due {
            lag.measured.set(Some(now));
            let begun = Instant::now();
            // This thread polls it: an express lane has a runtime of its own.
            tokio::spawn(async move { LAG.with(|lag| lag.behind.set(begun.elapsed())) });
        }
        lag.behind.get() > limit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[test]
    fn a_lane_is_behind_while_others_keep_its_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        begin();
        runtime.block_on(async {
            assert!(!is_behind(Instant::now(), LIMIT));
            tokio::task::yield_now().await;
            std::thread::sleep(EVERY);
            assert!(!is_behind(Instant::now(), LIMIT), "nobody was in the way");
            std::thread::sleep(LIMIT * 2);
            tokio::task::yield_now().await;
            assert!(is_behind(Instant::now(), LIMIT));
            tokio::task::yield_now().await;
            assert!(!is_behind(Instant::now(), LIMIT), "it has caught up");
        });
    }

    #[test]
    fn another_thread_is_no_lane() {
        assert!(!is_behind(Instant::now(), Duration::ZERO));
    }
}
