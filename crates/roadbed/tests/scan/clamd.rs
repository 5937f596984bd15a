//! Debian's clamd, with signatures of our own: found with path and layer, away and back again, and never in the way.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    images::{Image, Layer},
    world::{World, manifest_path},
};
use crate::harness::{
    answer::Answer,
    unable::{self, Program},
};

const CLAMD: Program = Program {
    name: "clamd",
    package: "clamav-daemon",
};

/// What the signature of the test knows.
const MARKER: &str = "roadbed-clamd-marker-7f3a9c";

/// clamd reads its signatures in a moment: there are three.
const START: Duration = Duration::from_secs(30);

/// A clamd, its socket and its signatures in a directory of its own. It ends with its value.
struct Clamd {
    child: Child,
}

impl Clamd {
    fn start(program: &Path, directory: &Path) -> Result<Self> {
        let database = directory.join("db");
        fs::create_dir_all(&database)?;
        let hex = hex::encode(MARKER);
        fs::write(database.join("test.ndb"), format!("Test.Marker:0:*:{hex}\n"))?;
        fs::write(
            database.join("test.ldb"),
            format!(
                "Test.Logical;Engine:81-255,Target:0;0&1;{hex};{}\n",
                hex::encode("second-marker")
            ),
        )?;
        let configuration = directory.join("clamd.conf");
        let text = format!(
            "LocalSocket {}\nDatabaseDirectory {}\nForeground yes\nStreamMaxLength 4M\nTemporaryDirectory {}\n",
            socket(directory).display(),
            database.display(),
            directory.display(),
        );
        fs::write(&configuration, text)?;
        let log = fs::File::create(directory.join("clamd.log"))?;
        let child = Command::new(program)
            .arg("--config-file")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut clamd = Self { child };
        let deadline = Instant::now() + START;
        while UnixStream::connect(socket(directory)).is_err() {
            let ended = clamd.child.try_wait()?;
            let said = || fs::read_to_string(directory.join("clamd.log")).unwrap_or_default();
            ensure!(ended.is_none(), "clamd ended: {}", said());
            ensure!(Instant::now() < deadline, "clamd does not listen: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(clamd)
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("clamd.ctl")
}

/// The program, or word of why not.
fn program() -> Option<PathBuf> {
    CLAMD.find().map_err(|missing| unable::report(&missing)).ok()
}

async fn world(directory: &Path, options: &[(&str, &str)]) -> Result<World> {
    let address = format!("unix:{}", socket(directory).display());
    let mut all = vec![
        ("ROADBED_SCAN__CLAMD", address.as_str()),
        ("ROADBED_SCAN__CLAMD_RETRY", "1s"),
    ];
    all.extend(options);
    World::start(&all).await
}

/// An application with a script that the signature knows, on a layer that it does not.
fn infected() -> Image {
    let base = Layer::of_files(&[("etc/motd", b"hello\n".to_vec())]);
    let script = format!("#!/bin/sh\n# {MARKER}\nexit 0\n");
    let upper = Layer::of_files(&[("app/run.sh", script.into_bytes())]);
    Image::of("infected", &[base, upper])
}

fn warning(answer: &Answer) -> &str {
    answer.header("warning").unwrap_or_default()
}

#[tokio::test]
async fn what_clamd_knows_is_malware_with_its_name_and_place() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let _clamd = Clamd::start(&program, directory.path())?;
    let world = world(directory.path(), &[]).await?;
    world.push("infected", &infected()).await?;
    let answer = world.decided("infected").await?.expect(&[200])?;
    let text = warning(&answer);
    ensure!(
        text.contains("Test.Marker") && text.contains("app/run.sh"),
        "{text}"
    );
    ensure!(!text.contains("not-looked-at-by-clamd"), "{text}");

    // Where it lies is a fact that rules can ask for.
    let policy = tempfile::NamedTempFile::new()?;
    let rule = "finding.kind == \"malware\" && finding.pack == \"clamd\" && finding.layer == 1";
    let text =
        format!("version: 1\nrules:\n  - {{id: clamd, when: '{rule}', decide: refuse, running: refuse}}\n");
    fs::write(policy.path(), text)?;
    world.roadbed(&["policy", "set", &policy.path().to_string_lossy()])?;
    let refused = world
        .until("infected", "refused", |answer| answer.status == 403)
        .await?;
    ensure!(refused.error_message()?.contains("Test.Marker"));
    let clean = Image::of(
        "clean",
        &[Layer::of_files(&[(
            "app/run.sh",
            b"#!/bin/sh\nexit 0\n".to_vec(),
        )])],
    );
    world.push("clean", &clean).await?;
    let answer = world.decided("clean").await?.expect(&[200])?;
    ensure!(warning(&answer).is_empty(), "{}", warning(&answer));
    Ok(())
}

#[tokio::test]
async fn one_that_is_away_is_an_unknown_until_it_is_back() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let world = world(directory.path(), &[]).await?;
    world.push("infected", &infected()).await?;
    // The pull is not held up.
    let answer = world.decided("infected").await?.expect(&[200])?;
    ensure!(
        warning(&answer).contains("not-looked-at-by-clamd"),
        "{}",
        warning(&answer)
    );
    let log = world.server.log();
    ensure!(
        log.contains("not all of a blob could be looked into"),
        "the log does not say so"
    );

    let _clamd = Clamd::start(&program, directory.path())?;
    let is_found = |answer: &Answer| warning(answer).contains("Test.Marker");
    let answer = world.until("infected", "looked at", is_found).await?;
    ensure!(
        !warning(&answer).contains("not-looked-at-by-clamd"),
        "{}",
        warning(&answer)
    );
    Ok(())
}

/// What is larger than it takes is said, and the rest of the layer is looked at.
#[tokio::test]
async fn a_file_that_is_too_large_for_clamd_is_not_clean() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let _clamd = Clamd::start(&program, directory.path())?;
    let world = world(directory.path(), &[("ROADBED_SCAN__CLAMD_BYTES", "1MiB")]).await?;
    let mut large = b"#!/bin/sh\n".to_vec();
    large.resize(2 << 20, b'#');
    let small = format!("#!/bin/sh\n# {MARKER}\n").into_bytes();
    let layer = Layer::of_files(&[("app/large.sh", large), ("app/small.sh", small)]);
    world.push("large", &Image::of("large", &[layer])).await?;
    let answer = world.decided("large").await?.expect(&[200])?;
    let text = warning(&answer);
    ensure!(
        text.contains("not-scannable") && text.contains("app/small.sh"),
        "{text}"
    );
    let digest = world.admin.head(manifest_path("large")).send().await?;
    digest.require("docker-content-digest").context("it is there")?;
    Ok(())
}
