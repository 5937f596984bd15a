//! Anonymous resident memory: idle, under load, over time. Over TLS, which needs more of it.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    bench::Bench,
    content::{Blob, config, manifest},
    part::{Part, Running, Work},
    process::anonymous_mib,
    pull::{PullPlan, PullResult},
    push::{PushPlan, PushResult},
    report::{Bar, Judged, Section},
    server::{Pair, Server, Transport},
    statistics::Series,
};

const REPOSITORY: &str = "bench/pulled";
const TAG: &str = "latest";

/// Bars in MiB.
const IDLE_BAR: f64 = 64.0;
const LOAD_BAR: f64 = 160.0;

/// What an allocator may hold on to more at one time than at another, in MiB; a leak of one small object per request
/// makes more in ten minutes.
const NOISE: f64 = 8.0;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// After a start or a load, before memory counts as idle.
const CALM: Duration = Duration::from_secs(3);

/// What clients do.
#[derive(Debug, Clone, Copy)]
struct Load {
    pulling: usize,
    pushing: usize,
    pushed_bytes: usize,
    pause: Duration,
    different_blobs: u64,
    length: Duration,
}

impl Load {
    /// As hard as they can.
    fn hard(clients: usize, length: Duration) -> Self {
        Self {
            pulling: clients,
            pushing: clients,
            pushed_bytes: 8 << 20,
            pause: Duration::ZERO,
            different_blobs: u64::MAX,
            length,
        }
    }

    /// At a pace that a disk of any size bears for long; blobs and manifests start over, so that caches fill at once and
    /// what grows afterwards is no cache.
    fn steady(length: Duration) -> Self {
        Self {
            pulling: 32,
            pushing: 32,
            pushed_bytes: 1 << 20,
            pause: Duration::from_secs(1),
            different_blobs: 32,
            length,
        }
    }
}

/// Measures all of it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let pair = Pair::start(bench, directory.path(), Transport::Tls)?;
    let blob = Blob::fresh(bench.scale.pulled_bytes);
    let mut section = Section::new("Anonymous resident memory (`RssAnon`), TLS");
    sleep(CALM);
    let idle = anonymous_mib(pair.ours.pid())?;
    let peer_idle = anonymous_mib(pair.peer.pid())?;
    mib_row(
        &mut section,
        "idle, after the start",
        idle,
        Some(peer_idle),
        Some(IDLE_BAR),
    );
    for server in pair.both() {
        push_image(server, &blob)?;
    }
    for (clients, name) in [
        (32, "64 clients: 32 pull, 32 push"),
        (64, "128 clients: 64 pull, 64 push"),
    ] {
        let load = Load::hard(clients, bench.scale.memory_load);
        let (ours, our_note) = under(&pair.ours, &blob.digest, load)?;
        bench.settle()?;
        let (peer, peer_note) = under(&pair.peer, &blob.digest, load)?;
        bench.settle()?;
        mib_row(
            &mut section,
            name,
            ours.maximum(),
            Some(peer.maximum()),
            Some(LOAD_BAR),
        );
        section.note(format!("{name}: {our_note} against {peer_note}"));
    }
    pair.peer.stop()?;
    soak(bench, &pair.ours, &blob.digest, &mut section)?;
    sleep(CALM);
    mib_row(
        &mut section,
        "idle, after all of it",
        anonymous_mib(pair.ours.pid())?,
        None,
        Some(IDLE_BAR),
    );
    Ok(section)
}

fn push_image(server: &Server, blob: &Blob) -> Result<()> {
    let config = config("pulled");
    let mut client = server.client()?;
    client.push_blob(REPOSITORY, &config)?;
    client.push_blob(REPOSITORY, blob)?;
    client.push_manifest(
        REPOSITORY,
        TAG,
        &manifest(&config.reference(), &[blob.reference()], "pulled"),
    )
}

/// Samples of the memory of a server under a load, and how much was moved.
fn under(server: &Server, digest: &str, load: Load) -> Result<(Series, String)> {
    let push_work = Work::Push(PushPlan {
        endpoint: server.endpoint.clone(),
        authorization: server.basic(),
        clients: load.pushing,
        blob_bytes: load.pushed_bytes,
        length: load.length,
        pause: load.pause,
        different_blobs: load.different_blobs,
    });
    let pull_work = Work::Pull(PullPlan {
        endpoint: server.endpoint.clone(),
        authorization: server.basic(),
        repository: REPOSITORY.to_owned(),
        tag: TAG.to_owned(),
        digest: digest.to_owned(),
        clients: load.pulling,
        length: load.length,
        pause: load.pause,
    });
    let pushing: Running<PushResult> = Part {
        core: None,
        in_background: false,
        work: push_work,
    }
    .start()?;
    let pulling: Running<PullResult> = Part {
        core: None,
        in_background: false,
        work: pull_work,
    }
    .start()?;
    let started = Instant::now();
    let mut samples = Series::default();
    while started.elapsed() < load.length {
        samples.push(anonymous_mib(server.pid())?);
        sleep(INTERVAL);
    }
    let (pushed, pulled) = (pushing.finish()?, pulling.finish()?);
    let note = format!(
        "{} pulls at {:.0} MB/s and {} pushes at {:.0} MB/s",
        pulled.pulls,
        pulled.bytes_per_second / 1e6,
        pushed.pushes,
        pushed.bytes_per_second / 1e6
    );
    Ok((samples, note))
}

/// Compares the second fifth of the time with the last one: in the first one buffers and caches fill.
fn soak(bench: &Bench, server: &Server, digest: &str, section: &mut Section) -> Result<()> {
    let load = Load::steady(bench.scale.soak);
    let (samples, note) = under(server, digest, load)?;
    let fifths: Vec<f64> = samples.parts(5).iter().map(Series::median).collect();
    let (Some(early), Some(late)) = (fifths.get(1), fifths.last()) else {
        return Ok(());
    };
    let minutes = load.length.as_secs_f64() / 60.0;
    section.row(
        format!("growth over {minutes:.0} minutes of steady load"),
        format!("{early:.1} → {late:.1} MiB"),
        "–",
        Judged {
            value: late - early,
            unit: " MiB",
            bar: Some(Bar::AtMost(NOISE)),
        },
    );
    let shown: Vec<String> = fifths.iter().map(|fifth| format!("{fifth:.1}")).collect();
    section.note(format!(
        "steady load: {note}; medians of the fifths in MiB: {}",
        shown.join(", ")
    ));
    Ok(())
}

fn mib_row(section: &mut Section, name: &str, ours: f64, peer: Option<f64>, bar: Option<f64>) {
    let peer = peer.map_or_else(|| "–".to_owned(), |peer| format!("{peer:.0} MiB"));
    let judged = Judged {
        value: ours,
        unit: " MiB",
        bar: bar.map(Bar::AtMost),
    };
    section.row(name, format!("{ours:.1} MiB"), peer, judged);
}
