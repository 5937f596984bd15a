//! What looking into a layer costs, and how much memory it takes.

use std::{fs::File, io::Write as _, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::{
    bench::Bench,
    client::Client,
    content::{BlobReference, manifest},
    layers::{self, Layer, config_of},
    process::cpu_seconds,
    report::{Bar, Judged, Section},
    server::{Server, Transport, Who},
    statistics::Series,
    watch::{Cost, Watch},
};

const REPOSITORY: &str = "bench/layers";

/// Uncompressed bytes of the image whose worker's memory is looked at.
const LARGE_BYTES: usize = 5 << 30;

/// What is on, and what it has to reach in MB/s.
struct Case {
    name: &'static str,
    settings: Vec<(&'static str, String)>,
    least: f64,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let archive = layers::read(&layers::debian()?)?;
    let [archive] = layers::cut(&archive, 1)?[..] else {
        anyhow::bail!("the archive is empty");
    };
    let layer = Layer::of(archive)?;
    let mut section = Section::beside("Looking into a layer", "floor");
    let floor = floor(bench, &layer)?;
    for case in cases(bench) {
        let mut rates = Series::default();
        let directory = bench.directory()?;
        let settings: Vec<(&str, &str)> = case
            .settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let server = Server::start_with(Who::Ours, bench, directory.path(), Transport::Plain, &settings)?;
        for _ in 0..bench.scale.rounds {
            let cost = look(&server, &layer)?;
            rates.push(megabytes(layer.plain_bytes()) / cost.cpu_seconds);
        }
        eprintln!("   {}: {} MB/s", case.name, rates.all(0));
        section.row(
            case.name,
            format!("{:.0} MB/s", rates.median()),
            format!("{floor:.0} MB/s"),
            Judged::of(rates.median(), " MB/s", Bar::AtLeast(case.least)),
        );
        section.note(format!("{}, rounds in MB/s: {}", case.name, rates.all(0)));
    }
    memory(bench, &mut section, archive)?;
    section.note(format!(
        "uncompressed bytes of one Debian layer ({:.0} MB, gzip -6, {:.0} MB) per second of the worker's CPU time; the floor is \
         inflating, SHA-256 of both forms and walking the archive, by flate2 on zlib-rs, sha2 and tar, in this benchmark's process",
        megabytes(layer.plain_bytes()),
        megabytes(layer.fresh()?.reference().size)
    ));
    Ok(section)
}

fn cases(bench: &Bench) -> Vec<Case> {
    let mut cases = vec![
        Case {
            name: "all analysers, own rules",
            settings: Vec::new(),
            least: 150.0,
        },
        Case {
            name: "without malware",
            settings: vec![("ROADBED_SCAN__MALWARE", "false".to_owned())],
            least: 170.0,
        },
    ];
    if let Some(rules) = &bench.yara_rules {
        cases.push(Case {
            name: "all analysers, ReversingLabs' rules too",
            settings: vec![("ROADBED_SCAN__MALWARE_RULES", rules.display().to_string())],
            least: 80.0,
        });
    }
    cases
}

/// Pushes a layer in an image and waits for the decision.
fn look(server: &Server, layer: &Layer) -> Result<Cost> {
    let fresh = layer.fresh()?;
    let mut client = server.client()?;
    let watch = Watch::start(server.pid());
    client.push_pieces(REPOSITORY, &fresh.digest, &fresh.pieces())?;
    push_image(&mut client, &[fresh.reference()], &[fresh.diff_id])?;
    let cost = watch.costliest()?;
    ensure!(cost.cpu_seconds > 0.0, "nobody looked into the layer");
    Ok(cost)
}

fn push_image(client: &mut Client, layers: &[BlobReference], diff_ids: &[String]) -> Result<()> {
    let config = config_of(diff_ids, "layers");
    client.push_blob(REPOSITORY, &config)?;
    let manifest = manifest(&config.reference(), layers, "layers");
    client.push_manifest(REPOSITORY, "latest", &manifest)?;
    client.pull_when_decided(REPOSITORY, "latest")
}

/// MB/s of the least that has to be done.
fn floor(bench: &Bench, layer: &Layer) -> Result<f64> {
    let fresh = layer.fresh()?;
    let packed = fresh.pieces().concat();
    let mut rates = Series::default();
    for _ in 0..bench.scale.rounds {
        let before = cpu_seconds(std::process::id())?;
        let mut packed_hash = Sha256::new();
        packed_hash.update(&packed);
        let hashed = Hashed {
            source: MultiGzDecoder::new(packed.as_slice()),
            hash: Sha256::new(),
        };
        let entries = tar::Archive::new(hashed).entries()?.count();
        ensure!(entries > 0, "the archive is empty");
        rates.push(megabytes(layer.plain_bytes()) / (cpu_seconds(std::process::id())? - before));
    }
    Ok(rates.median())
}

struct Hashed<R> {
    source: R,
    hash: Sha256,
}

impl<R: std::io::Read> std::io::Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// The worker's memory for an image of 5 GB in one layer.
fn memory(bench: &Bench, section: &mut Section, archive: &[u8]) -> Result<()> {
    let directory = bench.directory()?;
    let server = Server::start(Who::Ours, bench, directory.path(), Transport::Plain)?;
    let file = directory.path().join("layer");
    let large = if bench.quick { archive.len() } else { LARGE_BYTES };
    let (digest, diff_id, size) = write_large(&file, archive, large)?;
    let started = Instant::now();
    let watch = Watch::start(server.pid());
    let mut client = server.client()?;
    client.push_file(REPOSITORY, &digest, &file)?;
    push_image(&mut client, &[BlobReference { digest, size }], &[diff_id])?;
    let cost = watch.costliest()?;
    section.row(
        "memory of the worker, image of 5 GB in one layer",
        format!("{:.0} MiB", cost.peak_mib),
        "–",
        Judged::of(cost.peak_mib, " MiB", Bar::AtMost(400.0)),
    );
    section.note(format!(
        "the image of 5 GB: pushed and decided in {:.1} s, {:.1} CPU seconds",
        started.elapsed().as_secs_f64(),
        cost.cpu_seconds
    ));
    Ok(())
}

/// The archive over and over: its digest, that of its content, its size.
fn write_large(path: &Path, archive: &[u8], bytes: usize) -> Result<(String, String, usize)> {
    let layer = Layer::of(archive)?;
    let mut file = File::create(path)?;
    let (mut packed, mut plain) = (Sha256::new(), Sha256::new());
    let mut written = 0;
    while written + archive.len() < bytes {
        file.write_all(layer.packed())?;
        packed.update(layer.packed());
        plain.update(archive);
        written += archive.len();
    }
    let last = layer.fresh()?;
    for piece in last.pieces() {
        file.write_all(piece)?;
        packed.update(piece);
    }
    plain.update(archive);
    plain.update(last.plain_end());
    let size = usize::try_from(file.metadata().context("the layer was written")?.len())?;
    Ok((
        crate::content::digest_text(packed),
        crate::content::digest_text(plain),
        size,
    ))
}

#[expect(clippy::cast_precision_loss, reason = "a few GB")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
