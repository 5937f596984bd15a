//! Advisories that are carried in a bundle, signed by the real cosign. What is not exactly what was signed changes nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{
    harness::server::{ADMIN, ADMIN_PASSWORD},
    scan::{
        cosign,
        images::Image,
        world::{World, kev, log4shell},
    },
};

/// A directory with a key of cosign, where bundles are made.
struct Desk {
    home: tempfile::TempDir,
    cosign: PathBuf,
}

impl Desk {
    fn new(cosign: &Path) -> Result<Self> {
        let desk = Self {
            home: tempfile::tempdir()?,
            cosign: cosign.to_owned(),
        };
        desk.run(&["generate-key-pair"])?;
        Ok(desk)
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_string_lossy().into_owned()
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new(&self.cosign)
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("COSIGN_PASSWORD", "")
            .current_dir(self.home.path())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "cosign {arguments:?}: {said}");
        Ok(())
    }

    /// Signs a file, in the form of today or as cosign did before.
    fn sign(&self, name: &str, is_old: bool) -> Result<String> {
        let signature = format!("{name}.sig");
        let offline = [
            "sign-blob",
            "--yes",
            "--key",
            "cosign.key",
            "--tlog-upload=false",
            "--use-signing-config=false",
        ];
        let form: &[&str] = if is_old {
            &[
                "--new-bundle-format=false",
                "--output-signature",
                &signature,
                name,
            ]
        } else {
            &["--bundle", &signature, name]
        };
        self.run(&[&offline[..], form].concat())?;
        Ok(self.path(&signature))
    }

    /// Makes a bundle of what OSV and KEV say.
    fn export(&self, world: &World, name: &str, advisory: &Value) -> Result<String> {
        let osv = self.home.path().join("osv/Maven");
        fs::create_dir_all(&osv)?;
        fs::write(osv.join("GHSA-jfh8-c2jp-5v3q.json"), advisory.to_string())?;
        fs::write(self.home.path().join("kev.json"), kev().to_string())?;
        let (osv, kev, to) = (self.path("osv"), self.path("kev.json"), self.path(name));
        let said = world.roadbed(&["advisories", "export", &osv, &kev, "--to", &to])?;
        ensure!(said.contains("2 documents"), "{said}");
        Ok(to)
    }
}

/// Brings a bundle in; what is said if it is not taken.
fn bring(world: &World, bundle: &str, options: &[&str]) -> Result<String, String> {
    let mut command = world.server.command();
    command
        .args(["advisories", "import-bundle", bundle])
        .args(options)
        .env("ROADBED_URL", world.server.url())
        .env("ROADBED_USER", ADMIN)
        .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

fn generation(world: &World) -> Result<Value> {
    let status: Value =
        serde_json::from_str(&world.roadbed(&["advisories", "status", "--output", "json"])?)?;
    Ok(status["generation"].clone())
}

/// Bundles that are not what was signed, with the signature and what is said of it.
fn spoilt(desk: &Desk, bundle: &str, signature: &str) -> Result<Vec<(String, String, &'static str)>> {
    let other = Desk::new(&desk.cosign)?;
    let bytes = fs::read(bundle)?;
    let write = |name: &str, bytes: &[u8]| -> Result<String> {
        fs::write(desk.path(name), bytes)?;
        Ok(desk.path(name))
    };
    let mut altered = bytes.clone();
    altered[bytes.len() / 2] ^= 1;
    let (altered, cut) = (
        write("altered", &altered)?,
        write("cut", &bytes[..bytes.len() - 9])?,
    );
    let longer = write("longer", &[&bytes[..], b"x"].concat())?;
    fs::copy(bundle, other.path("same"))?;
    let theirs = other.sign("same", false)?;
    let of_another = desk.sign("kev.json", false)?;
    fs::copy(&theirs, desk.path("theirs.sig"))?;
    let nobody = "has signed exactly this file";
    let mut spoilt = vec![
        (altered, signature.to_owned(), nobody),
        (cut, signature.to_owned(), nobody),
        (longer, signature.to_owned(), nobody),
        (bundle.to_owned(), desk.path("theirs.sig"), nobody),
        (bundle.to_owned(), of_another, nobody),
        (bundle.to_owned(), desk.path("kev.json"), "holds no signature"),
    ];
    // Signed by the right key, and no bundle all the same.
    for (name, text, why) in [
        ("page", "<html>", "it is no bundle of advisories, or damaged"),
        ("half", "", "it is no bundle of advisories, or damaged"),
    ] {
        let bytes = if text.is_empty() {
            &bytes[..bytes.len() / 2]
        } else {
            text.as_bytes()
        };
        let path = write(name, bytes)?;
        spoilt.push((path, desk.sign(name, false)?, why));
    }
    Ok(spoilt)
}

/// What is said of a bundle that was taken in, and by which bundle each source came.
fn check_told(world: &World, said: &str, key: &str) -> Result<()> {
    let head = said.lines().next().unwrap_or_default();
    ensure!(
        head.starts_with("Generation 1: bundle of 20") && head.contains(&format!(", signed by {key}, ")),
        "{said}"
    );
    let rows: Vec<Vec<&str>> = said
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    let expected = [
        vec!["SOURCE", "ENTRIES", "NEW", "CHANGED", "REMOVED"],
        vec!["Maven", "1", "1", "0", "0"],
        vec!["kev", "1", "1", "0", "0"],
    ];
    assert_eq!(rows, expected, "{said}");
    let status: Value =
        serde_json::from_str(&world.roadbed(&["advisories", "status", "--output", "json"])?)?;
    let sources = status["sources"].as_array().cloned().unwrap_or_default();
    for name in ["Maven", "kev"] {
        let mut of = sources.iter().filter(|source| source["source"] == name);
        let source = of.next().unwrap_or(&Value::Null);
        let bundle = &source["carried"]["bundle"];
        ensure!(
            source["state"] == "carried" && source["generation"] == 1 && bundle["signed_by"] == key,
            "{source}"
        );
        ensure!(bundle["made_at"].is_string() && source["covers"] == 1, "{source}");
    }
    let shown = world.roadbed(&["advisories", "status"])?;
    ensure!(
        shown.contains("carried") && shown.contains(&format!(", signed by {key}")),
        "{shown}"
    );
    Ok(())
}

#[tokio::test]
async fn a_bundle_counts_once_a_trusted_key_signed_exactly_it() -> Result<()> {
    let Some(program) = cosign::program() else {
        return Ok(());
    };
    let desk = Desk::new(&program)?;
    let keys = desk.path("cosign.pub");
    let world = World::start(&[("ROADBED_FEEDS__BUNDLE_KEYS", &keys)]).await?;
    let old = desk.export(&world, "old", &log4shell(false))?;
    let old_signature = desk.sign("old", false)?;
    let bundle = desk.export(&world, "bundle", &log4shell(false))?;
    let signature = desk.sign("bundle", true)?;
    for (path, signature, why) in spoilt(&desk, &bundle, &signature)? {
        let said = bring(&world, &path, &["--signature", &signature])
            .err()
            .unwrap_or_default();
        ensure!(said.contains(why), "{path}: {why}: {said:?}");
        assert_eq!(generation(&world)?, 0, "{path}");
    }
    let said = bring(&world, &bundle, &[]).err().unwrap_or_default();
    ensure!(said.contains("it comes without a signature"), "{said}");

    let said = bring(&world, &bundle, &["--signature", &signature]).map_err(anyhow::Error::msg)?;
    check_told(&world, &said, &keys)?;
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    world
        .until("bad", "refused", |answer| answer.status == 403)
        .await?;
    // An old one is signed as well.
    let said = bring(&world, &old, &["--signature", &old_signature])
        .err()
        .unwrap_or_default();
    ensure!(
        said.contains("was taken in already") && said.contains("--accept-older"),
        "{said}"
    );
    bring(&world, &old, &["--signature", &old_signature, "--accept-older"]).map_err(anyhow::Error::msg)?;
    let told = world.roadbed(&["audit", "--kind", "advisories.bundle", "--output", "json"])?;
    for part in [
        "has signed exactly this file",
        "cosign.pub",
        "was taken in already",
    ] {
        ensure!(told.contains(part), "{part}: {told}");
    }
    let left = fs::read_dir(world.server.data().join("feeds"))?;
    let left = left
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("bundle-"));
    assert_eq!(left.count(), 0);
    Ok(())
}

#[tokio::test]
async fn without_a_key_only_an_administrator_brings_a_bundle() -> Result<()> {
    let Some(program) = cosign::program() else {
        return Ok(());
    };
    let desk = Desk::new(&program)?;
    let mut world = World::start(&[
        ("ROADBED_FEEDS__BUNDLE_UNPACKED", "1MiB"),
        ("ROADBED_FEEDS__BUNDLE_BYTES", "1MiB"),
    ])
    .await?;
    let bundle = desk.export(&world, "bundle", &log4shell(false))?;
    let signature = desk.sign("bundle", false)?;
    let said = bring(&world, &bundle, &["--signature", &signature])
        .err()
        .unwrap_or_default();
    ensure!(
        said.contains("no key is configured") && said.contains("feeds.bundle_keys"),
        "{said}"
    );
    let mut large = log4shell(false);
    large["details"] = " ".repeat(2 << 20).into();
    let bomb = desk.export(&world, "bomb", &large)?;
    let said = bring(&world, &bomb, &["--unsigned"]).err().unwrap_or_default();
    ensure!(said.contains("feeds.bundle_unpacked"), "{said}");
    let long = desk.path("long");
    fs::write(&long, vec![0; 2 << 20])?;
    let said = bring(&world, &long, &["--unsigned"]).err().unwrap_or_default();
    ensure!(
        said.contains("more than 1048576 bytes (feeds.bundle_bytes)"),
        "{said}"
    );
    // Whatever is killed meanwhile, the next one is taken.
    world.server.kill();
    world.server.start_again().await;
    world.log_in_again();
    assert_eq!(generation(&world)?, 0);
    bring(&world, &bundle, &["--unsigned"]).map_err(anyhow::Error::msg)?;
    assert_eq!(generation(&world)?, 1);
    let told = world.roadbed(&["audit", "--kind", "advisories.bundle", "--output", "json"])?;
    ensure!(
        told.contains("signed by nobody") && told.contains("\"unsigned\": true"),
        "{told}"
    );
    Ok(())
}
