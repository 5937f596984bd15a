//! Blobs that are not here yet: how late their first byte is, and what it costs to fetch, verify, keep and serve them at once.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::{
    bench::Bench,
    client::Client,
    content::Blob,
    process::cpu_seconds,
    report::{Bar, Judged, Section},
    server::{Server, Transport, Who},
    statistics::{Percentiles, Series},
    upstream::{PREFIX, Upstream},
};

const REPOSITORY: &str = "bench/cold";

/// The first byte may be so much later than the upstream's, in milliseconds.
const FIRST_BYTE: f64 = 20.0;

/// Proxying may cost so many times the CPU of serving.
pub(super) const COSTS: f64 = 1.3;

/// Of the blobs whose first byte counts.
const SMALL: usize = 1 << 20;

/// Between the upstream's head and its first byte: both ends are ready for it.
const PAUSE: Duration = Duration::from_millis(30);

/// Who want the same blob at once.
const CLIENTS: usize = 16;

/// What was taken in all rounds, CPU in seconds per GB served.
#[derive(Default)]
struct Taken {
    late: Vec<Duration>,
    alone: Series,
    together: Series,
    warm: Series,
    gb_per_second: Series,
}

struct Proxied {
    server: Server,
    upstream: Upstream,
    repository: String,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let upstream = Upstream::start()?;
    let setting = upstream.setting();
    let settings = [("ROADBED_PROXY__UPSTREAMS", setting.as_str())];
    let server = Server::start_with(Who::Ours, bench, directory.path(), Transport::Plain, &settings)?;
    let proxied = Proxied {
        server,
        upstream,
        repository: format!("{PREFIX}/{REPOSITORY}"),
    };
    let mut taken = Taken::default();
    for _ in 0..bench.scale.rounds {
        bench.settle()?;
        proxied.upstream.pause(PAUSE);
        let mut client = proxied.server.client()?;
        for _ in 0..bench.scale.first_bytes {
            taken.late.push(proxied.first_byte(&mut client)?);
        }
        proxied.upstream.pause(Duration::ZERO);
        let blob = proxied.fresh(bench.scale.pulled_bytes);
        let started = Instant::now();
        taken.alone.push(proxied.cost(&blob.digest, 1)?);
        taken
            .gb_per_second
            .push(gigabytes(&blob, 1) / started.elapsed().as_secs_f64());
        // The same clients, and the blob is here.
        taken.warm.push(proxied.cost(&blob.digest, CLIENTS)?);
        proxied.upstream.remove_blob(&blob.digest);
        bench.settle()?;
        let blob = proxied.fresh(bench.scale.pulled_bytes);
        taken.together.push(proxied.cost(&blob.digest, CLIENTS)?);
        proxied.upstream.remove_blob(&blob.digest);
    }
    Ok(report(taken))
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
fn gigabytes(blob: &Blob, times: usize) -> f64 {
    (blob.bytes.len() * times) as f64 / 1e9
}

impl Proxied {
    /// A blob that the upstream has and nobody else.
    fn fresh(&self, bytes: usize) -> Blob {
        let blob = Blob::fresh(bytes);
        self.upstream.add_blob(&blob);
        blob
    }

    /// By how much the first byte is later here than there.
    fn first_byte(&self, client: &mut Client) -> Result<Duration> {
        let blob = self.fresh(SMALL);
        let here = client.first_byte_of_blob(&self.repository, &blob.digest)?;
        let there = self.upstream.first_byte_at(&blob.digest)?;
        self.upstream.remove_blob(&blob.digest);
        Ok(here.saturating_duration_since(there))
    }

    /// CPU seconds of the server per GB that it sent to clients who want the same at once.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
    fn cost(&self, digest: &str, clients: usize) -> Result<f64> {
        let clients: Vec<Client> = (0..clients)
            .map(|_| self.server.client())
            .collect::<Result<_>>()?;
        let before = cpu_seconds(self.server.pid())?;
        let bytes = thread::scope(|scope| {
            let pulling: Vec<_> = clients
                .into_iter()
                .map(|mut client| scope.spawn(move || client.pull_blob(&self.repository, digest)))
                .collect();
            let mut bytes = 0;
            for one in pulling {
                bytes += one.join().map_err(|_| anyhow!("a client panicked"))??;
            }
            anyhow::Ok(bytes)
        })?;
        Ok((cpu_seconds(self.server.pid())? - before) / (bytes as f64 / 1e9))
    }
}

fn report(taken: Taken) -> Section {
    let mut section = Section::beside("Blobs that are not here yet", "the same when it is here");
    let (count, late) = (taken.late.len(), Percentiles::of(taken.late));
    section.row(
        "first byte after the upstream's, p99",
        format!("{:.2} ms", late.p99),
        "–",
        Judged::of(late.p99, " ms", Bar::AtMost(FIRST_BYTE)),
    );
    let warm = taken.warm.median();
    for (what, series) in [
        ("CPU per GB served, 1 client", &taken.alone),
        ("CPU per GB served, 16 clients at once", &taken.together),
    ] {
        section.row(
            what,
            format!("{:.2} s", series.median()),
            format!("{warm:.2} s"),
            Judged::ratio(series.median() / warm, Bar::AtMost(COSTS)),
        );
    }
    section.note(format!("first bytes of {count} blobs: {late}"));
    section.note(format!(
        "rounds, CPU seconds per GB: 1 client {}; 16 clients {}; when it is here {}; 1 client at {} GB/s",
        taken.alone.all(2),
        taken.together.all(2),
        taken.warm.all(2),
        taken.gb_per_second.all(2)
    ));
    section
}
