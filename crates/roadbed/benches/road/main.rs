//! A base moves and a thousand images follow it: `cargo bench -p roadbed --bench road -- [IMAGES] [CRANE]`.
//!
//! Half of the images only add files (class A), half have installed packages and added users (class B), each with layers of its own on a
//! base of several layers. All are pushed and looked into first. Then the new release is pushed and signed, and the clock runs until all
//! are planned and stored, and until all tags have followed. Afterwards `crane rebase` does a part of the same against the same server, one
//! image after the other, if its program is named. `ROADBED_BENCH_BINARY` names another program than the one that was built for this.

mod content;
#[path = "../shared/process.rs"]
mod process;
mod server;

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use oci::{Algorithm, Digest};
use road::lineage::{BaseIndex, Release};

use content::{Pushed, application, release};
use server::Server;

/// Images that crane rebases; the figure is per image.
const BESIDE: usize = 40;

/// How long each part may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Bases that are known when lineage is asked for.
const BASES: usize = 1_000;

/// Images that are pushed at a time.
const AT_ONCE: usize = 8;

fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[tokio::main]
async fn main() -> Result<()> {
    // The one of the whole tree.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let images = arguments
        .first()
        .and_then(|count| count.parse().ok())
        .unwrap_or(1_000);
    lineage()?;
    let directory = tempfile::tempdir()?;
    let server = Server::start(directory.path()).await?;
    let base = prepare(&server, images).await?;
    let (memory, bytes) = (server.resident_mib()?, used(directory.path())?);
    let start = Instant::now();
    let next = release(2);
    server.push("base/java", "2", &next).await?;
    server.sign("base/java", &next).await?;
    let (mut stored, mut most) = (None, memory);
    let moved = loop {
        let counts = server.report().await?;
        most = most.max(server.resident_mib()?);
        let of = |state: &str| counts[state].as_u64().unwrap_or(0);
        if stored.is_none() && of("made") + of("moved") == images as u64 {
            stored = Some(start.elapsed());
        }
        if of("moved") == images as u64 {
            break start.elapsed();
        }
        ensure!(start.elapsed() < PATIENCE, "{counts:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let stored = stored.unwrap_or(moved);
    let each = (used(directory.path())?.saturating_sub(bytes)) / images as u64;
    say(format_args!(
        "| {images} images, half A and half B: planned and stored | {stored:.1?} |"
    ));
    say(format_args!(
        "| the same until every tag has followed, looked into and decided | {moved:.1?} |"
    ));
    say(format_args!("| memory before, most | {memory} MiB, {most} MiB |"));
    say(format_args!("| storage of each | {} KiB |", each >> 10));
    let ours = stored / u32::try_from(images)?;
    if let Some(crane) = arguments.get(1) {
        beside(
            &server,
            Path::new(crane),
            [&base, &next],
            (images / 2).min(BESIDE),
            ours,
        )?;
    }
    server.stop()
}

/// A base with its first release, and images on it that were looked into.
async fn prepare(server: &Server, images: usize) -> Result<Pushed> {
    let base = release(1);
    server.trust_platform().await?;
    server.push("base/java", "1", &base).await?;
    server.sign("base/java", &base).await?;
    server.declare().await?;
    let start = Instant::now();
    for first in (0..images).step_by(AT_ONCE) {
        let some = (first..images.min(first + AT_ONCE)).map(|number| async move {
            let image = application(number);
            server.push(&repository(number), "v1", &image).await
        });
        for pushed in futures_util::future::join_all(some).await {
            pushed?;
        }
    }
    server.until_looked_into(images, PATIENCE).await?;
    say(format_args!(
        "{images} images pushed and looked into in {:.1?}",
        start.elapsed()
    ));
    Ok(base)
}

fn repository(number: usize) -> String {
    format!("team/app{number}")
}

/// The same by crane, which knows what to do from the bases that it is told.
fn beside(
    server: &Server,
    crane: &Path,
    [old, new]: [&Pushed; 2],
    images: usize,
    ours: Duration,
) -> Result<()> {
    let home = tempfile::tempdir()?;
    let registry = server.address()?;
    let run = |arguments: &[&str]| -> Result<()> {
        let output = Command::new(crane)
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .output()
            .with_context(|| format!("{} cannot be run", crane.display()))?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    run(&[
        "auth",
        "login",
        &registry,
        "-u",
        process::ADMIN,
        "-p",
        process::PASSWORD,
        "--insecure",
    ])?;
    let [old, new] = [old, new].map(|release| format!("{registry}/base/java@{}", release.digest));
    let start = Instant::now();
    for number in 0..images {
        // Those of class A; of class B crane makes images whose list of packages is the old one.
        let image = format!("{registry}/{}", repository(number * 2));
        run(&[
            "rebase",
            &format!("{image}:v1"),
            "--old_base",
            &old,
            "--new_base",
            &new,
            "-t",
            &format!("{image}:crane"),
            "--insecure",
        ])?;
    }
    let theirs = start.elapsed() / u32::try_from(images)?;
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    say(format_args!("| each, ours | {ours:.2?} |"));
    say(format_args!(
        "| each, crane rebase, {images} of class A | {theirs:.2?} |"
    ));
    say(format_args!("| ratio | {ratio:.1} |"));
    Ok(())
}

/// What an image of thirty layers stands on, where a thousand bases with five releases each are known.
fn lineage() -> Result<()> {
    let digest = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes());
    let releases = (0..BASES).flat_map(|base| (0..5).map(move |number| (base, number)));
    let releases = releases.map(|(base, number)| {
        let layers = (0..5).map(|layer| digest(&format!("{base} {number} {layer}")));
        Ok(Release {
            base: format!("base{base}").parse()?,
            digest: digest(&format!("{base} {number}")),
            version: number.to_string(),
            diff_ids: layers.collect(),
            platform: "linux/amd64".to_owned(),
            released_at: time::OffsetDateTime::UNIX_EPOCH,
            superseded: None,
            is_target: number == 4,
            word: road::lineage::Word::Pusher,
        })
    });
    let index = BaseIndex::build(releases.collect::<Result<Vec<Release>>>()?)?;
    let own = (0..25).map(|layer| digest(&format!("own {layer}")));
    let stack: Vec<Option<Digest>> = (0..5)
        .map(|layer| digest(&format!("500 2 {layer}")))
        .chain(own)
        .map(Some)
        .collect();
    let mut times: Vec<Duration> = (0..1_000)
        .map(|_| {
            let start = Instant::now();
            let lineage = index.lineage(std::hint::black_box(&stack));
            let took = start.elapsed();
            assert_eq!(lineage.stack.len(), 1);
            took
        })
        .collect();
    times.sort_unstable();
    say(format_args!(
        "| lineage with {BASES} known bases, median and worst of 1,000 | {:.1?}, {:.1?} |",
        times[500], times[999]
    ));
    Ok(())
}

/// Bytes on the disk below a directory.
fn used(directory: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // Files come and go while the server works.
        let Ok(about) = entry.metadata() else { continue };
        bytes += if about.is_dir() {
            used(&entry.path()).unwrap_or(0)
        } else {
            about.blocks() * 512
        };
    }
    Ok(bytes)
}
