//! The open-loop generator: a schedule fixed in advance, a fixed set of connections, latencies from the scheduled time.
//!
//! One blocking thread per connection sleeps until its next request is due. That is the cheapest and most exact way at a
//! few thousand requests per second: no timer wheel of a runtime rounds to milliseconds.

use std::{
    num::NonZeroU64,
    ops::Range,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use registry::traffic::lanes::slice;
use rustix::thread::set_current_timer_slack;
use serde::{Deserialize, Serialize};

use crate::{
    bench::Bench,
    http::{Connection, Endpoint},
    part::{Part, Running, Work},
    process::cpu_seconds,
    schedule::Arrival,
    statistics::Percentiles,
};

/// Connections of the generator: as many as wrk is given.
pub(crate) const CONNECTIONS: usize = 64;

/// Requests of the first seconds are sent but not counted.
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);

/// Threads and connections are there before the first request is due.
const LEAD: Duration = Duration::from_millis(200);

/// What the generator sends, and when.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LoadPlan {
    /// To whom.
    pub(crate) endpoint: Endpoint,
    /// Its process, for the CPU time.
    pub(crate) server_pid: u32,
    /// Heads of requests without a body.
    pub(crate) requests: Vec<String>,
    /// In order of time. Connections take turns.
    pub(crate) arrivals: Vec<Arrival>,
}

/// What came of it, without the warm-up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LoadResult {
    /// Answers, all of them with status 200.
    samples: Vec<Sample>,
    /// CPU time of the server.
    pub(crate) cpu_seconds: f64,
}

/// One answer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Sample {
    /// Which of the plan's requests it answers.
    request: usize,
    /// When it was to be sent.
    due: SystemTime,
    /// From then to the last byte of the answer.
    latency: Duration,
    /// How late it was sent because the generator's core was busy. Part of the latency, but not the server's doing;
    /// unlike the wait for a connection on which the server has not yet answered what was sent before.
    lateness: Duration,
}

impl LoadResult {
    /// Answers.
    pub(crate) fn answered(&self) -> usize {
        self.samples.len()
    }

    /// From the scheduled time to the last byte of the answer.
    pub(crate) fn latency(&self) -> Percentiles {
        Percentiles::of(self.samples.iter().map(|sample| sample.latency).collect())
    }

    /// The same of one of the plan's requests.
    pub(crate) fn latency_of(&self, request: usize) -> Percentiles {
        let its = self.samples.iter().filter(|sample| sample.request == request);
        Percentiles::of(its.map(|sample| sample.latency).collect())
    }

    /// How late requests were sent because of the generator.
    pub(crate) fn lateness(&self) -> Percentiles {
        Percentiles::of(self.samples.iter().map(|sample| sample.lateness).collect())
    }

    /// The latencies of what was to be sent within a period.
    pub(crate) fn latencies_within(&self, period: &Range<SystemTime>) -> Vec<Duration> {
        let within = self.samples.iter().filter(|sample| period.contains(&sample.due));
        within.map(|sample| sample.latency).collect()
    }
}

/// One moment on two clocks: the second one can be compared with other processes'.
#[derive(Debug, Clone, Copy)]
struct Start {
    monotonic: Instant,
    wall: SystemTime,
}

impl LoadPlan {
    /// Starts the generator in a process of its own on the core for load.
    pub(crate) fn start(self, bench: &Bench) -> Result<Running<LoadResult>> {
        Part {
            core: Some(bench.load_core),
            in_background: false,
            work: Work::Load(self),
        }
        .start()
    }

    /// Sends everything.
    pub(crate) fn carry_out(&self) -> Result<LoadResult> {
        let dialer = self.endpoint.dialer()?;
        let connections: Vec<Connection> = (0..CONNECTIONS)
            .map(|_| dialer.connect())
            .collect::<Result<_>>()?;
        let start = Start {
            monotonic: Instant::now() + LEAD,
            wall: SystemTime::now() + LEAD,
        };
        let (samples, cpu_seconds) = thread::scope(|scope| {
            let threads: Vec<_> = connections
                .into_iter()
                .enumerate()
                .map(|(number, connection)| {
                    scope.spawn(move || self.one_connection(number, connection, start))
                })
                .collect();
            thread::sleep((start.monotonic + WARM_UP).saturating_duration_since(Instant::now()));
            let before = cpu_seconds(self.server_pid)?;
            let mut samples = Vec::with_capacity(self.arrivals.len());
            for thread in threads {
                match thread.join() {
                    Ok(result) => samples.extend(result?),
                    Err(_) => bail!("a connection of the generator panicked"),
                }
            }
            Ok((samples, cpu_seconds(self.server_pid)? - before))
        })?;
        Ok(LoadResult { samples, cpu_seconds })
    }

    fn one_connection(&self, number: usize, mut connection: Connection, start: Start) -> Result<Vec<Sample>> {
        // Linux may wake a sleeper 50 µs late to save power; not here.
        set_current_timer_slack(NonZeroU64::new(1))?;
        // And it may let a pushing client on this core finish its slice first.
        slice::shorten().context("the generator's threads cannot ask for short slices")?;
        let mut samples = Vec::new();
        for arrival in self.arrivals.iter().skip(number).step_by(CONNECTIONS) {
            let after_start = Duration::from_nanos(arrival.at_nanoseconds);
            let due = start.monotonic + after_start;
            let early = due.saturating_duration_since(Instant::now());
            thread::sleep(early);
            let lateness = if early.is_zero() {
                Duration::ZERO
            } else {
                due.elapsed()
            };
            let head = &self.requests[arrival.request];
            let answer = connection.exchange(head, &[])?;
            connection.skip_body(&answer)?;
            if answer.status != 200 {
                bail!(
                    "{} for {}",
                    answer.status,
                    head.lines().next().unwrap_or_default()
                );
            }
            if after_start >= WARM_UP {
                samples.push(Sample {
                    request: arrival.request,
                    due: start.wall + after_start,
                    latency: due.elapsed(),
                    lateness,
                });
            }
        }
        Ok(samples)
    }
}
