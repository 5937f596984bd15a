//! One small manifest by tag, as fast as wrk can ask for it.

use anyhow::{Context as _, Result};

use crate::{
    bench::Bench,
    content::{Blob, MANIFEST_TYPE, config, manifest},
    report::{Bar, Judged, Section},
    server::{Pair, Server, Transport},
    statistics::Series,
    wrk::{self, WrkResult},
};

const REPOSITORY: &str = "bench/hot";
const PATH: &str = "/v2/bench/hot/manifests/latest";

/// Size that the manifest is brought to by its annotation.
const MANIFEST_BYTES: usize = 1024;

/// What one way of asking gave in all rounds.
#[derive(Default)]
struct Taken {
    per_second: Series,
    cpu_microseconds: Series,
}

impl Taken {
    fn add(&mut self, result: WrkResult) {
        self.per_second.push(result.per_second);
        self.cpu_microseconds.push(result.cpu_microseconds);
    }
}

/// Measures it with both ways of logging in.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let pair = Pair::start(bench, directory.path(), Transport::Plain)?;
    for server in pair.both() {
        push_image(server)?;
    }
    let basic = pair.ours.basic().context("ours has a login")?;
    let (mut with_basic, mut with_bearer, mut peer) = (Taken::default(), Taken::default(), Taken::default());
    for round in 1..=bench.scale.rounds {
        // Tokens live for minutes only.
        let bearer = pair
            .ours
            .bearer(REPOSITORY, "pull")?
            .context("ours gives tokens")?;
        with_basic.add(ask(bench, &pair.ours, Some(&basic))?);
        peer.add(ask(bench, &pair.peer, None)?);
        with_bearer.add(ask(bench, &pair.ours, Some(&bearer))?);
        eprintln!(
            "   round {round}: {} | {} | {}",
            with_basic.last(),
            with_bearer.last(),
            peer.last()
        );
    }
    Ok(report(&with_basic, &with_bearer, &peer))
}

impl Taken {
    fn last(&self) -> String {
        self.per_second.all(0)
    }
}

fn push_image(server: &Server) -> Result<()> {
    let (config, layer) = (config("hot"), Blob::fresh(4096));
    let mut client = server.client()?;
    client.push_blob(REPOSITORY, &config)?;
    client.push_blob(REPOSITORY, &layer)?;
    let bare = manifest(&config.reference(), &[layer.reference()], "").len();
    let padding = "x".repeat(MANIFEST_BYTES.saturating_sub(bare));
    client.push_manifest(
        REPOSITORY,
        "latest",
        &manifest(&config.reference(), &[layer.reference()], &padding),
    )
}

fn ask(bench: &Bench, server: &Server, authorization: Option<&str>) -> Result<WrkResult> {
    let mut headers = vec![("Accept", MANIFEST_TYPE)];
    headers.extend(authorization.map(|value| ("Authorization", value)));
    wrk::run(
        &server.endpoint,
        server.pid(),
        PATH,
        &headers,
        bench.scale.closed_loop,
    )
}

fn report(with_basic: &Taken, with_bearer: &Taken, peer: &Taken) -> Section {
    let mut section = Section::new("Manifest GET by tag, 1 KiB, `wrk -t2 -c64`");
    for (login, ours) in [("Basic", with_basic), ("Bearer", with_bearer)] {
        let (our_rate, peer_rate) = (ours.per_second.median(), peer.per_second.median());
        section.row(
            format!("requests per second, {login}"),
            format!("{our_rate:.0}/s"),
            format!("{peer_rate:.0}/s"),
            Judged::ratio(our_rate / peer_rate, Bar::AtLeast(30.0)),
        );
        let (our_cpu, peer_cpu) = (ours.cpu_microseconds.median(), peer.cpu_microseconds.median());
        section.row(
            format!("CPU per request, {login}"),
            format!("{our_cpu:.1} µs"),
            format!("{peer_cpu:.0} µs"),
            Judged::told(our_cpu / peer_cpu),
        );
        section.note(format!("rounds with {login}: {}", ours.per_second.all(0)));
    }
    section.note(format!("rounds of docker-registry: {}", peer.per_second.all(0)));
    section
}
