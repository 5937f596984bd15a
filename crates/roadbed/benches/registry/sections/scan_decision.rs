//! From the end of a push to its decision, and what readers notice of it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::latency::{plan_for, push_image as push_read_image};
use crate::{
    bench::Bench,
    client::Client,
    content::{BlobReference, manifest},
    layers::{self, Layer, config_of},
    report::{Bar, Judged, Section},
    server::{Server, Transport, Who},
    statistics::{Percentiles, Series},
};

const REPOSITORY: &str = "bench/decided";

/// Uncompressed bytes of the new image.
const IMAGE_BYTES: usize = 500_000_000;

/// Its layers.
const LAYERS: usize = 5;

/// Images that are pushed at once.
const AT_ONCE: usize = 200;

/// New images that keep the workers busy while others read.
const BACKLOG: usize = 12;

/// Manifest GETs per second while scans run.
const RATE: f64 = 2_000.0;

/// A pull waits for the decision instead of asking again: its answer is the moment of the decision.
/// Two hundred clients are one user here, who may upload more at once than one should.
const SETTINGS: [(&str, &str); 3] = [
    ("ROADBED_REGISTRY__CONCURRENT_UPLOADS", "1000"),
    ("ROADBED_GATE__FIRST_WAIT", "1m"),
    ("ROADBED_GATE__WAITERS", "1000"),
];

/// A pushed image.
struct Image {
    layers: Vec<BlobReference>,
    diff_ids: Vec<String>,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let archive = layers::read(&layers::debian()?)?;
    let pieces = layers::cut(&archive, archive.len() / (IMAGE_BYTES / LAYERS))?;
    let last = pieces.iter().rev().take(LAYERS);
    let layers: Vec<Layer> = last.map(|piece| Layer::of(piece)).collect::<Result<_>>()?;
    let directory = bench.directory()?;
    let server = Server::start_with(Who::Ours, bench, directory.path(), Transport::Plain, &SETTINGS)?;
    push_read_image(&server)?;
    server.client()?.pull_when_decided("bench/read", "latest")?;
    let mut section = Section::beside("From a push to its decision", "–");
    let image = new_images(bench, &server, &layers, &mut section)?;
    known_images(bench, &server, &image, &mut section)?;
    at_once(bench, &server, &image, &mut section)?;
    beside_scans(bench, &server, &layers, &mut section)?;
    Ok(section)
}

fn new_images(bench: &Bench, server: &Server, layers: &[Layer], section: &mut Section) -> Result<Image> {
    let (mut times, mut image) = (Series::default(), None);
    for round in 0..bench.scale.rounds {
        let pushed = push_layers(server, layers)?;
        times.push(decide(server, &pushed, &format!("new-{round}"))?.as_secs_f64());
        image = Some(pushed);
    }
    section.row(
        "500 MB in five new gzip layers: median",
        format!("{:.2} s", times.median()),
        "–",
        Judged::of(times.median(), " s", Bar::AtMost(2.0)),
    );
    section.note(format!(
        "from the answer to the PUT of the manifest to the answer to a GET that waits for the decision; new layers, rounds in s: {}",
        times.all(2)
    ));
    image.context("no round")
}

/// Layers one after the other, as fast as they can be sent.
fn push_layers(server: &Server, layers: &[Layer]) -> Result<Image> {
    let mut client = server.client()?;
    let mut image = Image {
        layers: Vec::new(),
        diff_ids: Vec::new(),
    };
    for layer in layers {
        let fresh = layer.fresh()?;
        client.push_pieces(REPOSITORY, &fresh.digest, &fresh.pieces())?;
        image.layers.push(fresh.reference());
        image.diff_ids.push(fresh.diff_id);
    }
    Ok(image)
}

/// Pushes a manifest with a configuration of its own and waits for its decision.
fn decide(server: &Server, image: &Image, tag: &str) -> Result<Duration> {
    decide_by(&mut server.client()?, image, tag)
}

fn decide_by(client: &mut Client, image: &Image, tag: &str) -> Result<Duration> {
    let config = config_of(&image.diff_ids, tag);
    client.push_blob(REPOSITORY, &config)?;
    let manifest = manifest(&config.reference(), &image.layers, tag);
    client.push_manifest(REPOSITORY, tag, &manifest)?;
    let accepted = Instant::now();
    client.pull_when_decided(REPOSITORY, tag)?;
    Ok(accepted.elapsed())
}

fn known_images(bench: &Bench, server: &Server, image: &Image, section: &mut Section) -> Result<()> {
    let mut times = Series::default();
    for round in 0..bench.scale.rounds * 7 {
        times.push(decide(server, image, &format!("known-{round}"))?.as_secs_f64() * 1e3);
    }
    section.row(
        "known layers: median",
        format!("{:.1} ms", times.median()),
        "–",
        Judged::of(times.median(), " ms", Bar::AtMost(50.0)),
    );
    section.note(format!("known layers, in ms: {}", times.all(0)));
    Ok(())
}

fn at_once(bench: &Bench, server: &Server, image: &Image, section: &mut Section) -> Result<()> {
    let quiet = plan_for(server, RATE, bench.scale.open_loop)?
        .start(bench)?
        .finish()?
        .latency();
    let reading = plan_for(server, RATE, bench.scale.open_loop)?.start(bench)?;
    thread::sleep(Duration::from_secs(3));
    let times: Vec<Duration> = thread::scope(|scope| {
        let pushes: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                scope.spawn(move || decide_by(&mut server.client()?, image, &format!("at-once-{number}")))
            })
            .collect();
        let times = pushes.into_iter().map(|push| match push.join() {
            Ok(time) => time,
            Err(_) => bail!("a pushing client panicked"),
        });
        times.collect::<Result<_>>()
    })?;
    let busy = reading.finish()?.latency();
    let decided = Percentiles::of(times);
    section.row(
        "200 images of known layers at once: p99",
        format!("{:.0} ms", decided.p99),
        "–",
        Judged::of(decided.p99 / 1e3, " s", Bar::AtMost(60.0)),
    );
    section.row(
        "p99 of manifest GETs at 2,000/s meanwhile, to the quiet one",
        format!("{:.2} ms", busy.p99),
        format!("quiet {:.2} ms", quiet.p99),
        Judged::ratio(busy.p99 / quiet.p99, Bar::AtMost(2.0)),
    );
    section.note(format!(
        "200 at once: decided {decided}; readers quiet {quiet}; meanwhile {busy}"
    ));
    Ok(())
}

/// Readers while layers are looked into; nobody pushes any more.
fn beside_scans(bench: &Bench, server: &Server, layers: &[Layer], section: &mut Section) -> Result<()> {
    let (mut quiet, mut busy) = (Series::default(), Series::default());
    for round in 0..bench.scale.rounds {
        let measured = plan_for(server, RATE, bench.scale.open_loop)?
            .start(bench)?
            .finish()?;
        quiet.push(measured.latency().p99);
        let mut last = None;
        for _ in 0..BACKLOG {
            last = Some(push_layers(server, layers)?);
        }
        bench.settle()?;
        let measured = plan_for(server, RATE, bench.scale.open_loop)?
            .start(bench)?
            .finish()?;
        busy.push(measured.latency().p99);
        let waited = decide(server, &last.context("no image")?, &format!("behind-{round}"))?;
        section.note(format!(
            "beside scans, round {round}: {}; the last layer was looked into {:.1} s after the end of the measurement",
            measured.latency(),
            waited.as_secs_f64()
        ));
    }
    section.row(
        "p99 of manifest GETs at 2,000/s while layers are looked into, to the quiet one",
        format!("{:.2} ms", busy.median()),
        format!("quiet {:.2} ms", quiet.median()),
        Judged::ratio(busy.median() / quiet.median(), Bar::AtMost(2.0)),
    );
    Ok(())
}
