//! The real cosign: `ci/cosign.sh` puts it where these tests find it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    images::Image,
    signer::{Signer, named, plain},
    world::{REPOSITORY, World, facts},
};
use crate::harness::{
    admin,
    unable::{self, Program, Unable},
};

/// What makes cosign keep to plain HTTP, and away from every service of the internet.
const OFFLINE: [&str; 5] = [
    "--yes",
    "--allow-http-registry",
    "--allow-insecure-registry",
    "--tlog-upload=false",
    "--use-signing-config=false",
];

/// How cosign keeps a signature: its default, and what it did before.
const FORMS: [(&str, &[&str]); 3] = [
    ("sigstore bundle", &[]),
    ("cosign signature", &["--new-bundle-format=false"]),
    (
        "cosign signature",
        &["--new-bundle-format=false", "--registry-referrers-mode=oci-1-1"],
    ),
];

/// cosign with a key pair and a login of its own.
struct Cosign {
    program: PathBuf,
    home: tempfile::TempDir,
    registry: String,
}

pub(super) fn program() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/cosign/bin/cosign");
    if built.is_file() {
        return Some(built);
    }
    let cosign = Program {
        name: "cosign",
        package: "none; ci/cosign.sh builds it",
    };
    match cosign.find() {
        Ok(found) => Some(found),
        Err(unable @ (Unable::Missing(_) | Unable::Impossible(_))) => {
            unable::report(&unable);
            None
        }
    }
}

impl Cosign {
    async fn new(program: PathBuf, world: &World) -> Result<Self> {
        // Whoever signs has to see what is refused.
        let roles = ["push", "inspect"];
        admin::user(&world.server, "signer", "team/*", &roles).await?;
        let cosign = Self {
            program,
            home: tempfile::tempdir()?,
            registry: world.server.address().to_string(),
        };
        let login = BASE64_STANDARD.encode(format!("signer:{}", admin::USER_PASSWORD));
        let login = json!({ "auths": { &cosign.registry: { "auth": login } } });
        let directory = cosign.home.path().join(".docker");
        std::fs::create_dir(&directory)?;
        std::fs::write(directory.join("config.json"), login.to_string())?;
        cosign.run(&["generate-key-pair"])?;
        Ok(cosign)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("COSIGN_PASSWORD", "")
            .env("COSIGN_EXPERIMENTAL", "1")
            .current_dir(self.home.path())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "cosign {arguments:?}: {said}");
        Ok(())
    }

    /// `sign` or `attest`, with options.
    fn make(&self, what: &str, image: &Image, options: &[&str]) -> Result<()> {
        let reference = format!("{}/{REPOSITORY}@{}", self.registry, image.document.digest);
        let key = ["--key", "cosign.key"];
        self.run(&[&[what], &OFFLINE[..], &key, options, &[&reference]].concat())
    }

    /// Has the registry trust its key.
    fn trust(&self, world: &World, options: &[&str]) -> Result<()> {
        let key = self.home.path().join("cosign.pub");
        let key = key.to_string_lossy();
        let trust = [
            "signer",
            "add",
            "release",
            "--repository",
            "team/**",
            "--key",
            &key,
        ];
        world.roadbed(&[&trust, options].concat()).map(drop)
    }
}

#[tokio::test]
async fn what_cosign_signs_is_served() -> Result<()> {
    let Some(program) = program() else {
        return Ok(());
    };
    let world = World::start(&[]).await?;
    let cosign = Cosign::new(program, &world).await?;
    cosign.trust(&world, &[])?;
    world.set_policy(&named("release")).await?;
    for (number, (form, options)) in FORMS.into_iter().enumerate() {
        let tag = format!("v{number}");
        let image = plain(&tag);
        world.push(&tag, &image).await?;
        world.decided(&tag).await?.expect_error(403, "DENIED")?;
        cosign.make("sign", &image, options)?;
        world.until(&tag, "signed", |answer| answer.status == 200).await?;
        let told = world.decision(&tag)?;
        ensure!(told.contains(&format!("signed by release: {form}")), "{told}");
    }
    Ok(())
}

/// What the registry makes of an image it signs with its own key, as cosign verifies it; nobody else's name is on it.
#[tokio::test]
async fn what_the_registry_made_cosign_verifies() -> Result<()> {
    let Some(program) = program() else {
        return Ok(());
    };
    let (world, platform) = super::mass::on_signed_base(&[], &["one"]).await?;
    let cosign = Cosign::new(program, &world).await?;
    let second = super::rebase::release(2);
    super::rebase::push(&world, "base/java", "2", &second).await?;
    super::mass::sign(&world, "base/java", &second.document, &platform).await?;
    let release = Signer::named("release")?;
    release.trust(&world, &[])?;
    super::mass::sign(&world, "team/one", &super::rebase::app("one").document, &release).await?;
    super::rebase::until(&world, &["rebase", "team/one:v1"], |said| said["class"] == "A").await?;
    world.roadbed(&["rebase", "team/one:v1", "--apply"])?;
    std::fs::write(
        cosign.home.path().join("patch.pub"),
        world.roadbed(&["rebase", "key"])?,
    )?;
    let made = format!("{}/team/one:v1-p1", cosign.registry);
    let offline = [
        "--allow-http-registry",
        "--allow-insecure-registry",
        "--insecure-ignore-tlog",
        "--key",
        "patch.pub",
    ];
    cosign.run(&[&["verify"], &offline[..], &[&made]].concat())?;
    let attested =
        |kind: &str| cosign.run(&[&["verify-attestation"], &offline[..], &["--type", kind, &made]].concat());
    attested("slsaprovenance1")?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while let Err(error) = attested("cyclonedx") {
        ensure!(std::time::Instant::now() < deadline, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    // With another key nothing verifies.
    ensure!(
        cosign
            .run(&[&["verify"], &offline[..3], &["--key", "cosign.pub", &made]].concat())
            .is_err()
    );
    Ok(())
}

#[tokio::test]
async fn what_cosign_attests_counts() -> Result<()> {
    let Some(program) = program() else {
        return Ok(());
    };
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    let cosign = Cosign::new(program, &world).await?;
    cosign.trust(&world, &["--vex"])?;
    for (number, (form, options)) in [
        ("sigstore bundle", &[][..]),
        ("cosign attestation", &["--new-bundle-format=false"][..]),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = format!("v{number}");
        let image = Image::with_log4j(&format!("2.14.{number}"));
        world.push(&tag, &image).await?;
        world.decided(&tag).await?.expect_error(403, "DENIED")?;
        let vex = json!({
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex/1", "author": "Example",
            "timestamp": "2026-01-01T00:00:00Z", "version": 1,
            "statements": [{
                "vulnerability": { "name": "CVE-2021-44228" }, "status": "not_affected",
                "products": [{ "@id": format!("pkg:oci/app@{}", image.document.digest) }],
                "justification": "vulnerable_code_not_in_execute_path",
            }],
        });
        let file = cosign.home.path().join("vex.json");
        std::fs::write(&file, vex.to_string())?;
        let openvex = ["--type", "openvex", "--predicate", "vex.json"];
        cosign.make("attest", &image, &[&openvex, options].concat())?;
        world
            .until(&tag, "suppressed", |answer| answer.status == 200)
            .await?;
        let told = world.decision(&tag)?;
        ensure!(
            told.contains(&format!("signed by release: {form} (https://openvex.dev/ns)")),
            "{told}"
        );
        ensure!(
            told.contains("by release (VEX): not affected: vulnerable_code_not_in_execute_path"),
            "{told}"
        );
    }
    Ok(())
}
