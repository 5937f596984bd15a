//! How long something computed, for tests of what takes linear time: other work on the machine does not count.

use std::{
    fs,
    time::{Duration, Instant},
};

/// The kernel counts at its ticks.
pub(crate) const RESOLUTION: Duration = Duration::from_millis(10);

/// What the processor did for this thread while `work` was done; where the system does not tell, how long it took.
pub(crate) fn of(work: impl FnOnce()) -> Duration {
    let (start, before) = (Instant::now(), had());
    work();
    let elapsed = start.elapsed();
    before
        .zip(had())
        .map_or(elapsed, |(before, after)| after.saturating_sub(before))
        .max(RESOLUTION)
}

/// The first number of `/proc/PID/schedstat`: nanoseconds on a processor (Documentation/scheduler/sched-stats.rst of Linux).
fn had() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}
