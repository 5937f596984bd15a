//! From the end of a push to its decision.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::latency::push_image as push_read_image;
use crate::{
    bench::Bench,
    client::Client,
    content::{BlobReference, manifest},
    layers::{self, Layer, config_of},
    report::{Bar, Judged, Section},
    server::{Server, Transport, Who},
    statistics::Series,
};

const REPOSITORY: &str = "bench/decided";

/// Uncompressed bytes of the new image.
const IMAGE_BYTES: usize = 500_000_000;

/// Its layers.
const LAYERS: usize = 5;

/// A pull waits for the decision instead of asking again: its answer is the moment of the decision.
/// Two hundred clients are one user here, who may upload more at once than one should.
const SETTINGS: [(&str, &str); 3] = [
    ("ROADBED_REGISTRY__CONCURRENT_UPLOADS", "1000"),
    ("ROADBED_GATE__FIRST_WAIT", "1m"),
    ("ROADBED_GATE__WAITERS", "1000"),
];

/// A pushed image.
pub(super) struct Image {
    layers: Vec<BlobReference>,
    diff_ids: Vec<String>,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let layers = new_layers()?;
    let directory = bench.directory()?;
    let server = start(bench, directory.path())?;
    let mut section = Section::beside("From a push to its decision", "–");
    let image = new_images(bench, &server, &layers, &mut section)?;
    known_images(bench, &server, &image, &mut section)?;
    Ok(section)
}

/// Those of the new image.
pub(super) fn new_layers() -> Result<Vec<Layer>> {
    let archive = layers::read(&layers::debian()?)?;
    let pieces = layers::cut(&archive, archive.len() / (IMAGE_BYTES / LAYERS))?;
    let last = pieces.iter().rev().take(LAYERS);
    last.map(|piece| Layer::of(piece)).collect()
}

/// A server with an image to read.
pub(super) fn start(bench: &Bench, directory: &Path) -> Result<Server> {
    let server = Server::start_with(Who::Ours, bench, directory, Transport::Plain, &SETTINGS)?;
    push_read_image(&server)?;
    server.client()?.pull_when_decided("bench/read", "latest")?;
    Ok(server)
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
pub(super) fn push_layers(server: &Server, layers: &[Layer]) -> Result<Image> {
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
pub(super) fn decide(server: &Server, image: &Image, tag: &str) -> Result<Duration> {
    decide_by(&mut server.client()?, image, tag)
}

pub(super) fn decide_by(client: &mut Client, image: &Image, tag: &str) -> Result<Duration> {
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
