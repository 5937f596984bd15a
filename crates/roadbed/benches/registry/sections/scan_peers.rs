//! Beside other scanners: what is installed in an image, written as an SBOM. Nobody looks for vulnerabilities, so nobody needs a
//! database.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::scan_decision::new_layers;
use crate::{
    bench::Bench,
    content::{Blob, MANIFEST_TYPE, manifest},
    layers::config_of,
    report::{Bar, Judged, Section},
    statistics::Series,
};

/// How much faster ours has to be than each.
const LEAST: f64 = 5.0;

/// A database of jars without one, as Trivy expects it: it reads no jar without one, and the true one is to be had online only.
/// Trivy then names jars by what is in them, as ours does.
const NO_JARS: &str = "CREATE TABLE artifacts(id INTEGER PRIMARY KEY, group_id TEXT, artifact_id TEXT);
    CREATE TABLE indices(artifact_id INTEGER, version TEXT, sha1 BLOB, archive_type TEXT);
    CREATE UNIQUE INDEX artifacts_idx ON artifacts(artifact_id, group_id);
    CREATE UNIQUE INDEX indices_sha1_idx ON indices(sha1);";

/// The command that writes the SBOM of a layout into a file.
type Asking = dyn Fn(&Path, &Path) -> Command;

/// Somebody who writes an SBOM.
struct Scanner {
    name: &'static str,
    command: Box<Asking>,
    seconds: Series,
    components: usize,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let layout = directory.path().join("layout");
    write_layout(&layout)?;
    let cache = directory.path().join("trivy");
    let mut scanners = scanners(bench, &cache)?;
    let sbom = directory.path().join("sbom.json");
    for round in 0..=bench.scale.rounds {
        for scanner in &mut scanners {
            let seconds = scanner.run(&layout, &sbom)?;
            // The first round warms caches.
            if round > 0 {
                scanner.seconds.push(seconds);
            }
        }
    }
    let mut section = Section::beside("An SBOM of an image, beside other scanners", "the other");
    let [ours, others @ ..] = &scanners[..] else {
        anyhow::bail!("nobody is measured");
    };
    for other in others {
        section.row(
            format!("{}: time for an SBOM", other.name),
            format!("{:.2} s", ours.seconds.median()),
            format!("{:.2} s", other.seconds.median()),
            Judged::ratio(
                other.seconds.median() / ours.seconds.median(),
                Bar::AtLeast(LEAST),
            ),
        );
    }
    for scanner in &scanners {
        section.note(format!(
            "{}: rounds in s: {}; {} components",
            scanner.name,
            scanner.seconds.all(2),
            scanner.components
        ));
    }
    section.note(
        "wall time of the whole command, for one image of 500 MB in five gzip layers in an OCI layout on the disk, from a warm page \
         cache, in turns; ours without secrets and malware, as theirs; no vulnerabilities are looked up by anybody"
            .to_owned(),
    );
    Ok(section)
}

/// A cache of Trivy with [`NO_JARS`].
fn write_cache(cache: &Path) -> Result<()> {
    let database = cache.join("java-db");
    fs::create_dir_all(&database)?;
    let made = Command::new("sqlite3")
        .arg(database.join("trivy-java.db"))
        .arg(NO_JARS)
        .status()
        .context("sqlite3 cannot be started: install the Debian package sqlite3")?;
    ensure!(made.success(), "sqlite3 ended with {made}");
    let metadata = json!({
        "Version": 1,
        "NextUpdate": "2099-01-01T00:00:00Z",
        "UpdatedAt": "2026-01-01T00:00:00Z",
        "DownloadedAt": "2026-01-01T00:00:00Z",
    });
    Ok(fs::write(database.join("metadata.json"), metadata.to_string())?)
}

fn scanners(bench: &Bench, cache: &Path) -> Result<Vec<Scanner>> {
    let ours = bench.roadbed.clone();
    let mut scanners = vec![Scanner::of("roadbed", move |layout, sbom| {
        let mut command = Command::new(&ours);
        command
            .args([
                "scan",
                "--skip",
                "secrets,malware",
                "--format",
                "cyclonedx",
                "--to",
            ])
            .arg(sbom)
            .arg(layout);
        command
    })];
    if let Some(trivy) = bench.trivy.clone() {
        write_cache(cache)?;
        let cache = cache.to_owned();
        scanners.push(Scanner::of("trivy", move |layout, sbom| {
            let mut command = Command::new(&trivy);
            command
                .args(["image", "--quiet", "--offline-scan", "--cache-backend", "memory"])
                .args([
                    "--skip-java-db-update",
                    "--skip-db-update",
                    "--skip-version-check",
                ])
                .arg("--cache-dir")
                .arg(&cache)
                .args(["--format", "cyclonedx", "--output"])
                .arg(sbom)
                .arg("--input")
                .arg(layout);
            command
        }));
    }
    if let Some(syft) = bench.syft.clone() {
        scanners.push(Scanner::of(
            "syft, which is what grype reads images with",
            move |layout, sbom| {
                let mut command = Command::new(&syft);
                command
                    .args(["scan", "--quiet"])
                    .arg(format!("oci-dir:{}", layout.display()))
                    .arg("--output")
                    .arg(format!("cyclonedx-json={}", sbom.display()))
                    .env("SYFT_CHECK_FOR_APP_UPDATE", "false");
                command
            },
        ));
    }
    ensure!(
        scanners.len() > 1,
        "there is nobody to measure beside: name them with --trivy and --syft"
    );
    Ok(scanners)
}

impl Scanner {
    fn of(name: &'static str, command: impl Fn(&Path, &Path) -> Command + 'static) -> Self {
        Self {
            name,
            command: Box::new(command),
            seconds: Series::default(),
            components: 0,
        }
    }

    fn run(&mut self, layout: &Path, sbom: &Path) -> Result<f64> {
        let start = Instant::now();
        let ended = (self.command)(layout, sbom)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .status()
            .with_context(|| format!("{} cannot be started", self.name))?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(ended.success(), "{} ended with {ended}", self.name);
        let written: Value = serde_json::from_slice(&fs::read(sbom)?)?;
        self.components = written["components"].as_array().map_or(0, Vec::len);
        ensure!(self.components > 0, "{} found nothing", self.name);
        fs::remove_file(sbom)?;
        Ok(seconds)
    }
}

/// The image as a directory.
fn write_layout(layout: &Path) -> Result<()> {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let keep = |digest: &str, pieces: &[&[u8]]| {
        let name = digest.strip_prefix("sha256:").context("another algorithm")?;
        Ok::<_, anyhow::Error>(fs::write(blobs.join(name), pieces.concat())?)
    };
    let (mut references, mut diff_ids) = (Vec::new(), Vec::new());
    for layer in new_layers()? {
        let fresh = layer.fresh()?;
        keep(&fresh.digest, &fresh.pieces())?;
        references.push(fresh.reference());
        diff_ids.push(fresh.diff_id);
    }
    let config = config_of(&diff_ids, "peers");
    keep(&config.digest, &[&config.bytes])?;
    let manifest = Blob::of(manifest(&config.reference(), &references, "peers"));
    keep(&manifest.digest, &[&manifest.bytes])?;
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": MANIFEST_TYPE,
            "digest": manifest.digest,
            "size": manifest.bytes.len(),
            "platform": {"os": "linux", "architecture": "amd64"},
        }],
    });
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(())
}
