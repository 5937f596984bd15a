//! The open-loop generator: a schedule fixed in advance, a fixed set of connections, latencies from the scheduled time.
//!
//! One blocking thread per connection sleeps until its next request is due. That is the cheapest and most exact way at a
//! few thousand requests per second: no timer wheel of a runtime rounds to milliseconds.

use std::{
    num::NonZeroU64,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
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
    /// Answers with 200.
    pub(crate) answered: usize,
    /// From the scheduled time to the last byte of the answer.
    pub(crate) latency: Percentiles,
    /// How late requests were sent, because the generator or its connection was busy. Part of the latency.
    pub(crate) lateness: Percentiles,
    /// CPU time of the server.
    pub(crate) cpu_seconds: f64,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
struct Sample {
    latency: Duration,
    lateness: Duration,
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
        let start = Instant::now() + LEAD;
        let (samples, cpu_seconds) = thread::scope(|scope| {
            let threads: Vec<_> = connections
                .into_iter()
                .enumerate()
                .map(|(number, connection)| {
                    scope.spawn(move || self.one_connection(number, connection, start))
                })
                .collect();
            thread::sleep((start + WARM_UP).saturating_duration_since(Instant::now()));
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
        Ok(LoadResult {
            answered: samples.len(),
            latency: Percentiles::of(samples.iter().map(|sample| sample.latency).collect()),
            lateness: Percentiles::of(samples.iter().map(|sample| sample.lateness).collect()),
            cpu_seconds,
        })
    }

    fn one_connection(
        &self,
        number: usize,
        mut connection: Connection,
        start: Instant,
    ) -> Result<Vec<Sample>> {
        // Linux may wake a sleeper 50 µs late to save power; not here.
        set_current_timer_slack(NonZeroU64::new(1))?;
        let mut samples = Vec::new();
        for arrival in self.arrivals.iter().skip(number).step_by(CONNECTIONS) {
            let after_start = Duration::from_nanos(arrival.at_nanoseconds);
            let due = start + after_start;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let lateness = due.elapsed();
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
                    latency: due.elapsed(),
                    lateness,
                });
            }
        }
        Ok(samples)
    }
}
