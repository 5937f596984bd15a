//! A large blob by one and by 16 connections, plain and over TLS, from a warm page cache; then cold.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::blob_cold;
use crate::{
    bench::Bench,
    client::Client,
    content::Blob,
    process::cpu_seconds,
    report::{Bar, Judged, Section},
    server::{Pair, Server, Transport},
    statistics::Series,
};

/// Where the blob lies.
pub(super) const REPOSITORY: &str = "bench/large";

/// Connections, and which part of [`crate::options::Scale::pulls`] each makes.
const CONNECTIONS: [(usize, usize); 2] = [(1, 1), (16, 4)];

const GB: f64 = 1e9;

/// What one server gave in all rounds.
#[derive(Default)]
struct Taken {
    gb_per_second: Series,
    cpu_per_gb: Series,
}

/// Measures all of it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new("Blob GET, 200 MB");
    let blob = Blob::fresh(bench.scale.pulled_bytes);
    for transport in [Transport::Plain, Transport::Tls] {
        let directory = bench.directory()?;
        let pair = Pair::start(bench, directory.path(), transport)?;
        for server in pair.both() {
            server.client()?.push_blob(REPOSITORY, &blob)?;
        }
        bench.settle()?;
        for (connections, part) in CONNECTIONS {
            let pulls = (bench.scale.pulls / part).max(1);
            warm(
                bench,
                &pair,
                &blob.digest,
                transport,
                (connections, pulls),
                &mut section,
            )?;
        }
    }
    blob_cold::run(bench, &mut section)?;
    Ok(section)
}

fn warm(
    bench: &Bench,
    pair: &Pair,
    digest: &str,
    transport: Transport,
    (connections, pulls): (usize, usize),
    section: &mut Section,
) -> Result<()> {
    let mut taken = [Taken::default(), Taken::default()];
    for server in pair.both() {
        pull_by(server, digest, 1, 1)?;
    }
    for _ in 0..bench.scale.rounds {
        for (server, taken) in pair.both().into_iter().zip(&mut taken) {
            let (seconds, cpu, gb) = pull_by(server, digest, connections, pulls)?;
            taken.gb_per_second.push(gb / seconds);
            taken.cpu_per_gb.push(cpu / gb);
        }
    }
    let [ours, peer] = taken;
    report(transport, connections, &ours, &peer, section);
    Ok(())
}

/// Pulls so often by so many connections; elapsed seconds, the server's CPU seconds, GB.
#[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
fn pull_by(server: &Server, digest: &str, connections: usize, pulls: usize) -> Result<(f64, f64, f64)> {
    let authorization = server.bearer(REPOSITORY, "pull")?;
    let clients: Vec<Client> = (0..connections)
        .map(|_| Client::connect(&server.endpoint, authorization.clone()))
        .collect::<Result<_>>()?;
    let barrier = Barrier::new(connections + 1);
    let cpu_before = cpu_seconds(server.pid())?;
    let (elapsed, bytes) = thread::scope(|scope| -> Result<(Duration, u64)> {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    (0..pulls)
                        .map(|_| client.pull_blob(REPOSITORY, digest))
                        .sum::<Result<u64>>()
                })
            })
            .collect();
        barrier.wait();
        let started = Instant::now();
        let mut bytes = 0;
        for thread in threads {
            match thread.join() {
                Ok(result) => bytes += result?,
                Err(_) => bail!("a pulling client panicked"),
            }
        }
        Ok((started.elapsed(), bytes))
    })?;
    Ok((
        elapsed.as_secs_f64(),
        cpu_seconds(server.pid())? - cpu_before,
        bytes as f64 / GB,
    ))
}

fn report(transport: Transport, connections: usize, ours: &Taken, peer: &Taken, section: &mut Section) {
    let (name, throughput_bar, cpu_bar) = match transport {
        Transport::Plain => ("plain HTTP", 1.25, None),
        Transport::Tls => ("TLS", 1.0, Some(Bar::AtMost(0.85))),
    };
    let plural = if connections == 1 { "" } else { "s" };
    let what = format!("{name}, {connections} connection{plural}");
    let (our_rate, peer_rate) = (ours.gb_per_second.median(), peer.gb_per_second.median());
    section.row(
        format!("{what}: throughput"),
        format!("{our_rate:.2} GB/s"),
        format!("{peer_rate:.2} GB/s"),
        Judged::ratio(our_rate / peer_rate, Bar::AtLeast(throughput_bar)),
    );
    let (our_cpu, peer_cpu) = (ours.cpu_per_gb.median(), peer.cpu_per_gb.median());
    section.row(
        format!("{what}: CPU per GB"),
        format!("{our_cpu:.2} s"),
        format!("{peer_cpu:.2} s"),
        Judged {
            bar: cpu_bar,
            ..Judged::told(our_cpu / peer_cpu)
        },
    );
    section.note(format!(
        "{what}, rounds in GB/s: {} against {}",
        ours.gb_per_second.all(2),
        peer.gb_per_second.all(2)
    ));
}
