//! From a push to a refusal, and back.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    images::{Image, Layer},
    world::{World, facts, log4shell, manifest_path},
};
use crate::harness::{
    admin,
    answer::Answer,
    manifest::Draft,
    push::blob_path,
    unable::{self, Program},
};

const REPOSITORY: &str = super::world::REPOSITORY;

const SKOPEO: Program = Program {
    name: "skopeo",
    package: "skopeo",
};

fn names_cve_and_fix(text: &str) -> Result<()> {
    ensure!(text.contains("CVE-2021-44228"), "no vulnerability in {text}");
    ensure!(text.contains("2.15.0"), "no fix in {text}");
    Ok(())
}

fn is_refused(answer: Answer) -> Result<Answer> {
    let answer = answer.expect_error(403, "DENIED")?;
    names_cve_and_fix(&answer.error_message()?)?;
    Ok(answer)
}

#[tokio::test]
async fn what_is_exploited_is_refused_until_the_advisory_is_withdrawn() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    let (bad, good) = (Image::with_log4j("2.14.1"), Image::with_log4j("2.17.1"));
    world.push("bad", &bad).await?;
    world.push("good", &good).await?;
    is_refused(world.decided("bad").await?)?;
    world.decided("good").await?.expect(&[200])?;

    let warned = world
        .reader
        .head(manifest_path("bad"))
        .send()
        .await?
        .expect(&[200])?;
    let warning = warned.require("warning")?;
    ensure!(warning.starts_with("299 - \""), "{warning}");
    names_cve_and_fix(warning)?;
    check_blobs(&world, &bad, &good).await?;
    check_inspector(&world, &bad).await?;
    check_indices(&world, &bad, &good).await?;

    world.import(&[("GHSA-jfh8-c2jp-5v3q.json", log4shell(true))])?;
    world
        .until("bad", "served again", |answer| answer.status == 200)
        .await?;
    let layer = blob_path(REPOSITORY, &bad.layer().digest);
    world.reader.get(layer).send().await?.expect(&[200])?;
    Ok(())
}

async fn check_blobs(world: &World, bad: &Image, good: &Image) -> Result<()> {
    let of = |image: &Image| blob_path(REPOSITORY, &image.layer().digest);
    let refused = world.reader.get(of(bad)).send().await?;
    refused.expect_error(403, "DENIED")?;
    world.reader.get(of(good)).send().await?.expect(&[200])?;
    let warned = world.reader.head(of(bad)).send().await?.expect(&[200])?;
    ensure!(warned.require("warning")?.starts_with("299 - \""));
    Ok(())
}

async fn check_inspector(world: &World, bad: &Image) -> Result<()> {
    let inspector = admin::user(&world.server, "inspector", "team/*", &["inspect"]).await?;
    inspector.check_manifest(REPOSITORY, "bad", &bad.document).await?;
    inspector.check_blob(REPOSITORY, bad.layer()).await
}

async fn check_indices(world: &World, bad: &Image, good: &Image) -> Result<()> {
    let index = |children: &[&Image]| {
        let named = children.iter().zip(["amd64", "arm64"]);
        let named = named.map(|(image, architecture)| image.document.descriptor_for(architecture));
        Draft::index(named.collect()).finish()
    };
    for (tag, document) in [("mixed", index(&[bad, good])), ("all-bad", index(&[bad]))] {
        let pushed = world.admin.push_manifest(REPOSITORY, tag, &document).await?;
        pushed.expect(&[201])?;
    }
    world.decided("mixed").await?.expect(&[200])?;
    is_refused(world.decided("all-bad").await?)?;
    Ok(())
}

/// A new advisory must not stop what runs from being scheduled again.
#[tokio::test]
async fn what_is_in_use_is_warned_about_and_not_refused() -> Result<()> {
    let world = World::start(&[]).await?;
    let (used, idle) = (Image::with_log4j("2.14.0"), Image::with_log4j("2.14.1"));
    world.push("used", &used).await?;
    world.push("idle", &idle).await?;
    world.decided("used").await?.expect(&[200])?;
    await_note_of_pull(&world, &used).await?;
    // An inspector who looks at an image does not run it.
    let inspector = admin::user(&world.server, "inspector", "team/*", &["inspect"]).await?;
    inspector
        .get(manifest_path("idle"))
        .send()
        .await?
        .expect(&[200])?;
    await_note_of_pull(&world, &idle).await?;
    world.import(&facts())?;
    world
        .until_warned("idle", |told| told.contains("CVE-2021-44228"))
        .await?;
    is_refused(world.pull("idle").await?)?;
    let told = |answer: &Answer| {
        answer
            .header("warning")
            .is_some_and(|text| names_cve_and_fix(text).is_ok())
    };
    world.until("used", "warned about", told).await?.expect(&[200])?;
    Ok(())
}

/// The log is written some time after the pull.
async fn await_note_of_pull(world: &World, image: &Image) -> Result<()> {
    let admin = world.admin.with_login(crate::harness::login::Login::basic(
        crate::harness::server::ADMIN,
        crate::harness::server::ADMIN_PASSWORD,
    ));
    for _ in 0..100 {
        let pulls = admin.get("/api/v1/pulls").send().await?.expect(&[200])?;
        if pulls.json()?.to_string().contains(&image.document.digest) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("the pull is not in the log")
}

/// Advisories that came while the server was stopped count as soon as it runs.
#[tokio::test]
async fn an_import_into_a_stopped_server_is_judged_by_at_the_next_start() -> Result<()> {
    let mut world = World::start(&[]).await?;
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    world.until_decision("bad").await?;
    assert!(world.server.terminate().await.success());
    let files = tempfile::tempdir()?;
    for (name, document) in facts() {
        std::fs::write(files.path().join(name), document.to_string())?;
    }
    let mut import = world.server.command();
    import
        .args(["advisories", "import", "--data"])
        .arg(world.server.data());
    ensure!(import.arg(files.path()).output()?.status.success());
    world.server.start_again().await;
    world.log_in_again();
    world
        .until_warned("bad", |told| told.contains("CVE-2021-44228"))
        .await?;
    is_refused(world.pull("bad").await?)?;
    Ok(())
}

/// What a client makes of it: the reason is on its screen.
#[tokio::test]
async fn skopeo_shows_why_an_image_is_refused() -> Result<()> {
    let skopeo = match SKOPEO.find() {
        Ok(program) => program,
        Err(missing) => {
            unable::report(&missing);
            return Ok(());
        }
    };
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    world.decided("bad").await?;
    let target = tempfile::tempdir()?;
    let output = tokio::task::spawn_blocking({
        let (source, home) = (
            format!("docker://{}/{REPOSITORY}:bad", world.server.address()),
            target.path().to_owned(),
        );
        move || {
            std::process::Command::new(skopeo)
                .args([
                    "--insecure-policy",
                    "copy",
                    "--src-tls-verify=false",
                    "--src-creds",
                ])
                .arg(format!("reader:{}", admin::USER_PASSWORD))
                .args([source, format!("dir:{}", home.join("copy").display())])
                .env("HOME", &home)
                .output()
        }
    })
    .await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "it was copied");
    ensure!(said.contains("denied"), "{said}");
    names_cve_and_fix(&said)
}

/// Layers upon layers: the image is decided, and in a time that grows with their number only.
#[tokio::test]
async fn an_image_of_many_layers_is_decided() -> Result<()> {
    let world = World::start(&[]).await?;
    let layer = Layer::of_files(&[("etc/motd", b"hello\n".to_vec())]);
    let layers = vec![layer; 1_000];
    let image = Image::with_config(&layers, &json!({ "User": "1000" }));
    let (layer, config) = (&image.blobs[0], &image.blobs[layers.len()]);
    world
        .admin
        .push_image(
            REPOSITORY,
            "tall",
            &[layer.clone(), config.clone()],
            &image.document,
        )
        .await?;
    world.decided("tall").await?.expect(&[200])?;
    Ok(())
}
