//! Large blobs that the page cache does not hold, and what a reader of manifests notices of them.
//!
//! The kernel does not drop pages that a process has mapped, and ours keeps maps for a while. So each cold read is the
//! first one after a start of the server, of either one.

use std::{
    fs::File,
    ops::Range,
    path::Path,
    thread::{self, sleep},
    time::{Duration, Instant, SystemTime},
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
    content::Blob,
    load::WARM_UP,
    process::disk_read_bytes,
    report::{Bar, Judged, Section},
    server::{Server, Transport, Who},
    statistics::{Percentiles, Series},
};

/// Manifest GETs per second beside the reads of blobs.
const RATE: f64 = 500.0;

/// For so long manifests are asked for; of that, the time in which blobs are read counts.
const WINDOW: Duration = Duration::from_secs(4);

/// The reading begins so much later than the generator's process.
const AFTER_START: Duration = Duration::from_millis(500);

/// Reads of cold blobs may make the p99 of manifests so many times as long as reads of warm ones: more would mean that a
/// thread which serves others waits for the disk.
const STALL: f64 = 2.0;

const BOTH: [Who; 2] = [Who::Ours, Who::Peer];

/// What one server gave in all rounds.
#[derive(Default)]
struct Taken {
    gb_per_second: Series,
    percent_from_disk: Series,
    beside_warm: Vec<Duration>,
    beside_cold: Vec<Duration>,
}

/// Blobs on two servers that can be started again.
struct Cold<'a> {
    bench: &'a Bench,
    directory: &'a Path,
    digests: Vec<String>,
}

/// Adds throughput and latency.
pub(super) fn run(bench: &Bench, section: &mut Section) -> Result<()> {
    let directory = bench.directory()?;
    let mut cold = Cold {
        bench,
        directory: directory.path(),
        digests: Vec::new(),
    };
    cold.push_all()?;
    let mut taken = [Taken::default(), Taken::default()];
    for _ in 0..bench.scale.rounds {
        for (who, taken) in BOTH.into_iter().zip(&mut taken) {
            cold.throughput(who, taken)?;
            taken.beside_warm.extend(cold.manifests_beside(who, false)?);
            taken.beside_cold.extend(cold.manifests_beside(who, true)?);
        }
    }
    report(taken, section);
    Ok(())
}

impl Cold<'_> {
    fn start(&self, who: Who) -> Result<Server> {
        Server::start(who, self.bench, self.directory, Transport::Plain)
    }

    fn push_all(&mut self) -> Result<()> {
        let blobs: Vec<Blob> = (0..self.bench.scale.cold_blobs)
            .map(|_| Blob::fresh(self.bench.scale.pulled_bytes))
            .collect();
        for who in BOTH {
            let server = self.start(who)?;
            let mut client = server.client()?;
            for blob in &blobs {
                client.push_blob(REPOSITORY, blob)?;
            }
            latency::push_image(&server)?;
        }
        self.digests = blobs.into_iter().map(|blob| blob.digest).collect();
        Ok(())
    }

    /// Drops the blobs from the page cache; what is mapped or dirty would stay.
    fn evict(&self, server: &Server) -> Result<()> {
        for digest in &self.digests {
            let path = server.blob_file(digest)?;
            let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
        Ok(())
    }

    fn reader(server: &Server) -> Result<Client> {
        Client::connect(&server.endpoint, server.bearer(REPOSITORY, "pull")?)
    }

    /// Reads every blob once; its bytes.
    fn read_all(&self, client: &mut Client) -> Result<u64> {
        self.digests
            .iter()
            .map(|digest| client.pull_blob(REPOSITORY, digest))
            .sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
    fn throughput(&self, who: Who, taken: &mut Taken) -> Result<()> {
        let server = self.start(who)?;
        let mut client = Self::reader(&server)?;
        self.evict(&server)?;
        let (started, read_before) = (Instant::now(), disk_read_bytes(server.pid())?);
        let bytes = self.read_all(&mut client)? as f64;
        taken
            .gb_per_second
            .push(bytes / 1e9 / started.elapsed().as_secs_f64());
        taken
            .percent_from_disk
            .push((disk_read_bytes(server.pid())? - read_before) as f64 / bytes * 100.0);
        Ok(())
    }

    /// Latencies of manifest GETs while another client reads every blob.
    fn manifests_beside(&self, who: Who, is_cold: bool) -> Result<Vec<Duration>> {
        let server = self.start(who)?;
        let mut client = Self::reader(&server)?;
        if is_cold {
            self.evict(&server)?;
        } else {
            self.read_all(&mut client)?;
        }
        let load = latency::plan_for(&server, RATE, WINDOW)?.start(self.bench)?;
        sleep(AFTER_START + WARM_UP);
        let period = thread::scope(|scope| {
            // A thread of its own, since the place in line for the processor cannot be given back.
            let reader = scope.spawn(|| -> Result<Range<SystemTime>> {
                stay_behind_the_generator(self.bench)?;
                let begun = SystemTime::now();
                self.read_all(&mut client)?;
                Ok(begun..SystemTime::now())
            });
            reader.join().map_err(|_| anyhow!("the reader panicked"))?
        })?;
        Ok(load.finish()?.latencies_within(&period))
    }
}

/// The reader takes no processor time from the server nor from the generator whose latencies count.
fn stay_behind_the_generator(bench: &Bench) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(bench.load_core);
    sched_setaffinity(None, &cores)?;
    nice(10)?;
    Ok(())
}

fn report([ours, peer]: [Taken; 2], section: &mut Section) {
    section.row(
        "cold files, 1 connection: throughput",
        format!("{:.2} GB/s", ours.gb_per_second.median()),
        format!("{:.2} GB/s", peer.gb_per_second.median()),
        Judged::ratio(
            ours.gb_per_second.median() / peer.gb_per_second.median(),
            Bar::AtLeast(1.0),
        ),
    );
    section.note(format!(
        "cold files, rounds in GB/s: {} against {}; of their bytes {:.0} % and {:.0} % came from the disk",
        ours.gb_per_second.all(2),
        peer.gb_per_second.all(2),
        ours.percent_from_disk.median(),
        peer.percent_from_disk.median()
    ));
    let [ours, peer] = [ours, peer].map(|taken| {
        [taken.beside_warm, taken.beside_cold].map(|latencies| (latencies.len(), Percentiles::of(latencies)))
    });
    for (who, [(warm_count, warm), (cold_count, cold)]) in [(Who::Ours, &ours), (Who::Peer, &peer)] {
        section.note(format!(
            "{}, manifests at {RATE}/s: beside reads of warm blobs {warm} ({warm_count} requests); of cold ones {cold} \
             ({cold_count} requests)",
            who.name()
        ));
    }
    let shown = |[(_, warm), (_, cold)]: &[(usize, Percentiles); 2]| {
        format!("{:.2} ms, warm {:.2} ms", cold.p99, warm.p99)
    };
    let [(_, warm), (_, cold)] = &ours;
    section.row(
        "p99 of manifest GETs beside cold reads, to that beside warm reads",
        shown(&ours),
        shown(&peer),
        Judged::ratio(cold.p99 / warm.p99, Bar::AtMost(STALL)),
    );
}
