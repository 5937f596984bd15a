//! What readers of manifests notice of 32 clients that push.

use std::{thread::sleep, time::Duration};

use anyhow::Result;

use crate::{
    bench::Bench,
    content::{Blob, MANIFEST_TYPE, config, manifest},
    load::{LoadPlan, LoadResult, WARM_UP},
    part::{Part, Running, Work},
    push::{PushPlan, PushResult},
    random::Random,
    report::{Bar, Judged, Section},
    schedule::open_loop,
    server::{Pair, Server, Transport, Who},
    statistics::Series,
};

pub(super) const REPOSITORY: &str = "bench/read";
const TAG: &str = "latest";

/// Its manifest.
pub(super) const PATH: &str = "/v2/bench/read/manifests/latest";

/// Manifest GETs per second.
const RATE: f64 = 2_000.0;

/// For the peer, which answers fewer than [`RATE`] at its best: an open loop beyond that only measures its own length.
const PEER_RATE: f64 = 500.0;

/// Clients that push.
const PUSHERS: usize = 32;

/// What each of them pushes at once.
const PUSHED_BYTES: usize = 16 << 20;

/// The pushes start so much earlier than the requests and end so much later.
const AROUND: Duration = Duration::from_secs(1);

/// What one server gave in all rounds.
#[derive(Default)]
struct Taken {
    quiet: Series,
    pushing: Series,
    pushed_mb_per_second: Series,
    notes: Vec<String>,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let pair = Pair::start(bench, directory.path(), Transport::Plain)?;
    for server in pair.both() {
        push_image(server)?;
    }
    let mut taken = [Taken::default(), Taken::default()];
    for round in 1..=bench.scale.rounds {
        for (server, taken) in pair.both().into_iter().zip(&mut taken) {
            bench.settle()?;
            let quiet = plan(bench, server)?.start(bench)?.finish()?;
            let (pushing, pushed) = beside_pushes(bench, server)?;
            taken.notes.push(format!(
                "{}, round {round}: quiet {}; beside pushes {}, of which the generator was late by {}",
                server.who.name(),
                quiet.latency(),
                pushing.latency(),
                pushing.lateness()
            ));
            taken.quiet.push(quiet.latency().p99);
            taken.pushing.push(pushing.latency().p99);
            taken.pushed_mb_per_second.push(pushed.bytes_per_second / 1e6);
        }
    }
    Ok(report(&taken))
}

/// One small image to read.
pub(super) fn push_image(server: &Server) -> Result<()> {
    push_image_of(server, &Blob::fresh(4096))
}

/// The same with this layer.
pub(super) fn push_image_of(server: &Server, layer: &Blob) -> Result<()> {
    let config = config("read");
    let mut client = server.client()?;
    client.push_blob(REPOSITORY, &config)?;
    client.push_blob(REPOSITORY, layer)?;
    client.push_manifest(
        REPOSITORY,
        TAG,
        &manifest(&config.reference(), &[layer.reference()], "read"),
    )
}

fn plan(bench: &Bench, server: &Server) -> Result<LoadPlan> {
    plan_for(server, rate_of(server.who), bench.scale.open_loop)
}

/// GETs of its manifest at a rate, for so long after the warm-up.
pub(super) fn plan_for(server: &Server, rate: f64, length: Duration) -> Result<LoadPlan> {
    let token = server.bearer(REPOSITORY, "pull")?;
    let mut headers = vec![("Accept", MANIFEST_TYPE)];
    headers.extend(token.as_deref().map(|token| ("Authorization", token)));
    let request = server.endpoint.head("GET", PATH, &headers);
    Ok(LoadPlan {
        endpoint: server.endpoint.clone(),
        server_pid: server.pid(),
        requests: vec![request],
        arrivals: open_loop(&mut Random::seeded(1), rate, WARM_UP + length, |_| 0),
    })
}

fn rate_of(who: Who) -> f64 {
    match who {
        Who::Ours => RATE,
        Who::Peer => PEER_RATE,
    }
}

/// The pushing clients are held to the generator's core too, behind it: the other core is the server's alone.
fn beside_pushes(bench: &Bench, server: &Server) -> Result<(LoadResult, PushResult)> {
    let pushes = PushPlan {
        endpoint: server.endpoint.clone(),
        authorization: server.basic(),
        clients: PUSHERS,
        blob_bytes: PUSHED_BYTES,
        length: WARM_UP + bench.scale.open_loop + 2 * AROUND,
        pause: Duration::ZERO,
        different_blobs: u64::MAX,
    };
    let part = Part {
        core: Some(bench.load_core),
        in_background: true,
        work: Work::Push(pushes),
    };
    let pushes: Running<PushResult> = part.start()?;
    sleep(AROUND);
    let result = plan(bench, server)?.start(bench)?.finish()?;
    Ok((result, pushes.finish()?))
}

fn report([ours, peer]: &[Taken; 2]) -> Section {
    let mut section = Section::new("p99 of manifest GET at 2,000/s while 32 clients push");
    section.row(
        "p99, quiet",
        format!("{:.2} ms", ours.quiet.median()),
        format!("{:.2} ms at {PEER_RATE}/s", peer.quiet.median()),
        Judged::told(ours.quiet.median() / peer.quiet.median()),
    );
    section.row(
        "p99, beside pushes",
        format!("{:.2} ms", ours.pushing.median()),
        format!("{:.2} ms at {PEER_RATE}/s", peer.pushing.median()),
        Judged::told(ours.pushing.median() / peer.pushing.median()),
    );
    section.row(
        "p99 beside pushes, to its own quiet one",
        format!("{:.2} ×", ours.pushing.median() / ours.quiet.median()),
        format!("{:.2} ×", peer.pushing.median() / peer.quiet.median()),
        Judged::ratio(ours.pushing.median() / ours.quiet.median(), Bar::AtMost(2.0)),
    );
    section.row(
        "pushed meanwhile",
        format!("{:.0} MB/s", ours.pushed_mb_per_second.median()),
        format!("{:.0} MB/s", peer.pushed_mb_per_second.median()),
        Judged::told(ours.pushed_mb_per_second.median() / peer.pushed_mb_per_second.median()),
    );
    for note in ours.notes.iter().chain(&peer.notes) {
        section.note(note);
    }
    section
}
