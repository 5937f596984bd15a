//! A large blob by curl, in one PUT.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bench::Bench,
    content::{Blob, digest_of},
    report::{Bar, Judged, Section},
    server::{Pair, Server, Transport},
    statistics::Series,
};

const REPOSITORY: &str = "bench/pushed";

/// What is written at once to find out how fast the disk is.
const WRITE_BYTES: usize = 1 << 20;

/// Measures it, and what the machine could do at best.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let pair = Pair::start(bench, directory.path(), Transport::Plain)?;
    let file = directory.path().join("blob");
    let mut rates = [Series::default(), Series::default()];
    let (mut hashed, mut synced) = (Series::default(), Series::default());
    for round in 1..=bench.scale.rounds {
        for (server, rates) in pair.both().into_iter().zip(&mut rates) {
            let blob = Blob::fresh(bench.scale.pushed_bytes);
            fs::write(&file, &blob.bytes)?;
            bench.settle()?;
            let rate = megabytes(&blob) / push(server, &file, &blob.digest)?;
            eprintln!("   round {round}: {} {rate:.0} MB/s", server.who.name());
            rates.push(rate);
        }
        let blob = Blob::fresh(bench.scale.pushed_bytes);
        bench.settle()?;
        hashed.push(megabytes(&blob) / seconds_to_hash(&blob));
        synced.push(megabytes(&blob) / seconds_to_sync(&file, &blob.bytes)?);
    }
    let [ours, peer] = rates;
    let mut section = Section::new("Push of 500 MB, one PUT by curl");
    section.row(
        "throughput",
        format!("{:.0} MB/s, synced", ours.median()),
        format!("{:.0} MB/s, not synced", peer.median()),
        Judged::ratio(ours.median() / peer.median(), Bar::AtLeast(2.0)),
    );
    section.note(format!("rounds in MB/s: {} against {}", ours.all(0), peer.all(0)));
    section.note(format!(
        "ceilings of this machine: sha256 alone {:.0} MB/s, the same bytes written to a file and synced {:.0} MB/s",
        hashed.median(),
        synced.median()
    ));
    Ok(section)
}

/// Seconds of the PUT as curl has measured them; the session is started before.
fn push(server: &Server, file: &Path, digest: &str) -> Result<f64> {
    let path = server.client()?.start_upload(REPOSITORY, digest)?;
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--request",
        "PUT",
        "--output",
        "/dev/null",
    ]);
    command.args([
        "--write-out",
        "%{http_code} %{time_total}",
        "--header",
        "Content-Type: application/octet-stream",
    ]);
    if let Some(basic) = server.basic() {
        command.arg("--header").arg(format!("Authorization: {basic}"));
    }
    command
        .arg("--upload-file")
        .arg(file)
        .arg(server.endpoint.url(&path));
    let output = command.output().context("cannot run curl")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (status, seconds) = text.trim().split_once(' ').context("curl says nothing")?;
    ensure!(
        status == "201",
        "the push was answered with {status}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(seconds.parse()?)
}

#[expect(clippy::cast_precision_loss, reason = "half a billion")]
fn megabytes(blob: &Blob) -> f64 {
    blob.bytes.len() as f64 / 1e6
}

fn seconds_to_hash(blob: &Blob) -> f64 {
    let started = Instant::now();
    std::hint::black_box(digest_of(&blob.bytes));
    started.elapsed().as_secs_f64()
}

fn seconds_to_sync(path: &Path, bytes: &[u8]) -> Result<f64> {
    fs::remove_file(path)?;
    let started = Instant::now();
    let mut file = File::create(path)?;
    for piece in bytes.chunks(WRITE_BYTES) {
        file.write_all(piece)?;
    }
    file.sync_all()?;
    Ok(started.elapsed().as_secs_f64())
}
