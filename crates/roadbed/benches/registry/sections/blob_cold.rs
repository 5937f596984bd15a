//! A large blob that the page cache does not hold, and what a reader of manifests notices of it.

use std::{
    fs::File,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow};
use rustix::{
    fs::{Advice, fadvise},
    process::nice,
    thread::{CpuSet, sched_setaffinity},
};

use super::{blob_get::REPOSITORY, latency};
use crate::{
    bench::Bench,
    client::Client,
    load::LoadResult,
    process::disk_read_bytes,
    report::{Bar, Judged, Section},
    server::{Pair, Server},
    statistics::Series,
};

/// Manifest GETs per second beside the reads of the blob.
const RATE: f64 = 500.0;

/// Reads of a cold blob may make the p99 of manifests so many times as long as reads of a warm one: more would mean that
/// a thread which serves others waits for the disk.
const STALL: f64 = 2.0;

/// What happens beside the manifest GETs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    WarmReads,
    ColdReads,
}

/// Adds throughput and latency.
pub(super) fn run(bench: &Bench, pair: &Pair, digest: &str, section: &mut Section) -> Result<()> {
    throughput(bench, pair, digest, section)?;
    for server in pair.both() {
        latency::push_image(server)?;
    }
    stall(bench, pair, digest, section)
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
fn throughput(bench: &Bench, pair: &Pair, digest: &str, section: &mut Section) -> Result<()> {
    let mut rates = [Series::default(), Series::default()];
    let mut from_disk = [Series::default(), Series::default()];
    for _ in 0..bench.scale.rounds {
        for (index, server) in pair.both().into_iter().enumerate() {
            let file = server.blob_file(digest)?;
            let mut client = Client::connect(&server.endpoint, server.bearer(REPOSITORY, "pull")?)?;
            for _ in 0..bench.scale.cold_pulls {
                evict(&file)?;
                let (started, read_before) = (Instant::now(), disk_read_bytes(server.pid())?);
                let bytes = client.pull_blob(REPOSITORY, digest)? as f64;
                rates[index].push(bytes / 1e9 / started.elapsed().as_secs_f64());
                from_disk[index].push((disk_read_bytes(server.pid())? - read_before) as f64 / bytes * 100.0);
            }
        }
    }
    let [ours, peer] = rates;
    section.row(
        "cold file, 1 connection: throughput",
        format!("{:.2} GB/s", ours.median()),
        format!("{:.2} GB/s", peer.median()),
        Judged::ratio(ours.median() / peer.median(), Bar::AtLeast(1.0)),
    );
    section.note(format!(
        "cold file, all reads in GB/s: {} against {}; of its bytes {:.0} % and {:.0} % came from the disk (median)",
        ours.all(2),
        peer.all(2),
        from_disk[0].median(),
        from_disk[1].median()
    ));
    Ok(())
}

/// Drops the file from the page cache; what is mapped or dirty would stay.
fn evict(file: &Path) -> Result<()> {
    let file = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    file.sync_all()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}

fn stall(bench: &Bench, pair: &Pair, digest: &str, section: &mut Section) -> Result<()> {
    let mut shown = [String::new(), String::new()];
    let mut ratios = [f64::NAN; 2];
    for (index, server) in pair.both().into_iter().enumerate() {
        let take = |beside| {
            let rounds: Vec<LoadResult> = (0..bench.scale.rounds)
                .map(|_| manifests_beside(bench, server, digest, beside))
                .collect::<Result<_>>()?;
            let worst = rounds
                .iter()
                .map(|round| round.latency.max)
                .collect::<Series>()
                .maximum();
            let p99 = rounds
                .iter()
                .map(|round| round.latency.p99)
                .collect::<Series>()
                .median();
            Ok::<_, anyhow::Error>((p99, worst))
        };
        let (quiet, _) = take(Beside::Nothing)?;
        let (warm, warm_worst) = take(Beside::WarmReads)?;
        let (cold, cold_worst) = take(Beside::ColdReads)?;
        ratios[index] = cold / warm;
        shown[index] = format!("{cold:.2} ms (warm {warm:.2} ms)");
        section.note(format!(
            "{}: p99 of manifests at {RATE}/s with nothing beside {quiet:.2} ms, beside warm reads {warm:.2} ms (slowest \
             {warm_worst:.1} ms), beside cold reads {cold:.2} ms (slowest {cold_worst:.1} ms)",
            server.who.name()
        ));
    }
    let [ours, peer] = shown;
    section.row(
        "p99 of manifest GETs beside cold reads, to that beside warm reads",
        ours,
        peer,
        Judged::ratio(ratios[0], Bar::AtMost(STALL)),
    );
    Ok(())
}

fn manifests_beside(bench: &Bench, server: &Server, digest: &str, beside: Beside) -> Result<LoadResult> {
    let plan = latency::plan(bench, server, RATE)?;
    if beside == Beside::Nothing {
        return plan.start(bench)?.finish();
    }
    let file = server.blob_file(digest)?;
    let mut client = Client::connect(&server.endpoint, server.bearer(REPOSITORY, "pull")?)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| -> Result<()> {
            stay_behind_the_generator(bench)?;
            while !done.load(Ordering::Relaxed) {
                if beside == Beside::ColdReads {
                    evict(&file)?;
                }
                client.pull_blob(REPOSITORY, digest)?;
            }
            Ok(())
        });
        let result = plan.start(bench).and_then(crate::part::Running::finish);
        done.store(true, Ordering::Relaxed);
        reader.join().map_err(|_| anyhow!("the reader panicked"))??;
        result
    })
}

/// The reader takes no processor time from the server nor from the generator whose latencies count.
fn stay_behind_the_generator(bench: &Bench) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(bench.load_core);
    sched_setaffinity(None, &cores)?;
    nice(10)?;
    Ok(())
}
