//! Rules with `on: push`: what they refuse is not stored.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    images::{Image, Layer, log4j_core},
    world::{World, facts, manifest_path},
};
use crate::harness::{
    admin,
    manifest::Document,
    push::blob_path,
    unable::{self, Program},
};

const REPOSITORY: &str = super::world::REPOSITORY;

/// At the push nobody may bring images without a user, or with what is known to be exploited; labels are warned about.
const AT_PUSH: &str = "\
version: 1
rules:
  - {id: user, when: 'image.user == \"\"', decide: refuse, on: push, message: name a user}
  - {id: exploited, when: 'finding.kev', decide: refuse, on: [push, pull]}
  - {id: labelled, when: '\"odd\" in image.labels', decide: warn, on: push, message: an odd label}
";

fn set_policy(world: &World, text: &str) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    world.roadbed(&["policy", "set", &file.path().to_string_lossy()])?;
    Ok(())
}

fn layer() -> Layer {
    Layer::of_files(&[("etc/motd", b"hello\n".to_vec())])
}

/// Pushes the blobs of an image that are not `there`, and not its manifest.
async fn push_blobs(world: &World, image: &Image, there: usize) -> Result<()> {
    for blob in &image.blobs[there..] {
        world.admin.push_blob(REPOSITORY, blob).await?;
    }
    Ok(())
}

async fn is_absent(world: &World, tag: &str, document: &Document) -> Result<()> {
    for reference in [tag, &document.digest] {
        let answer = world.admin.get(manifest_path(reference)).send().await?;
        answer.expect_error(404, "MANIFEST_UNKNOWN")?;
    }
    Ok(())
}

#[tokio::test]
async fn what_manifest_and_configuration_say_is_refused_at_the_push() -> Result<()> {
    let world = World::start(&[]).await?;
    set_policy(&world, AT_PUSH)?;
    let root = Image::with_config(&[layer()], &json!({ "Cmd": ["/app"] }));
    push_blobs(&world, &root, 0).await?;
    let refused = world
        .admin
        .push_manifest(REPOSITORY, "root", &root.document)
        .await?;
    let refused = refused.expect_error(403, "DENIED")?;
    let message = refused.error_message()?;
    ensure!(message.contains("[user] name a user"), "{message}");
    is_absent(&world, "root", &root.document).await?;
    // Broken glass is about pulls.
    world.break_glass()?;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let again = world
        .admin
        .push_manifest(REPOSITORY, "root", &root.document)
        .await?;
    again.expect_error(403, "DENIED")?;

    world.push("user", &Image::of("user", &[layer()])).await?;
    let odd = json!({ "User": "1000", "Labels": { "odd": "yes" } });
    let odd = Image::with_config(&[layer()], &odd);
    push_blobs(&world, &odd, 0).await?;
    let taken = world
        .admin
        .push_manifest(REPOSITORY, "odd", &odd.document)
        .await?;
    let taken = taken.expect(&[201])?;
    ensure!(taken.require("warning")?.contains("an odd label"));
    Ok(())
}

#[tokio::test]
async fn what_is_known_of_the_layers_counts_at_the_push() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    let jar = Layer::of_files(&[("app/log4j-core-2.14.1.jar", log4j_core("2.14.1"))]);
    // The default policy is asked at the pull only.
    world
        .push("first", &Image::of("first", std::slice::from_ref(&jar)))
        .await?;
    let refused = world.decided("first").await?;
    refused.expect_error(403, "DENIED")?;
    set_policy(&world, AT_PUSH)?;
    let second = Image::of("second", std::slice::from_ref(&jar));
    push_blobs(&world, &second, 1).await?;
    let refused = world
        .admin
        .push_manifest(REPOSITORY, "second", &second.document)
        .await?;
    let message = refused.expect_error(403, "DENIED")?.error_message()?;
    ensure!(message.contains("CVE-2021-44228"), "{message}");
    is_absent(&world, "second", &second.document).await?;
    Ok(())
}

/// A push does not wait for what nobody has looked into, and the layer below may be mended by the one above.
#[tokio::test]
async fn a_push_is_not_refused_for_a_layer_that_may_be_mended_by_one_that_is_new() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    let jar = Layer::of_files(&[("app/log4j-core-2.14.1.jar", log4j_core("2.14.1"))]);
    world
        .push("base", &Image::of("base", std::slice::from_ref(&jar)))
        .await?;
    world.decided("base").await?;
    set_policy(&world, AT_PUSH)?;
    let mending = Layer::of_files(&[("app/.wh.log4j-core-2.14.1.jar", Vec::new())]);
    let image = Image::of("mended", &[jar, mending]);
    push_blobs(&world, &image, 1).await?;
    let taken = world
        .admin
        .push_manifest(REPOSITORY, "mended", &image.document)
        .await?;
    taken.expect(&[201])?;
    world.decided("mended").await?.expect(&[200])?;
    Ok(())
}

/// Who may not have a blob learns nothing of it by naming it.
#[tokio::test]
async fn a_refusal_says_nothing_about_blobs_of_others() -> Result<()> {
    let world = World::start(&[]).await?;
    let root = Image::with_config(&[layer()], &json!({ "Cmd": ["/app"] }));
    world.push("root", &root).await?;
    set_policy(&world, AT_PUSH)?;
    let stranger = admin::user(&world.server, "stranger", "strangers/**", &["push"]).await?;
    let named = stranger
        .push_manifest("strangers/app", "root", &root.document)
        .await?;
    named.expect_error(404, "MANIFEST_BLOB_UNKNOWN")?;
    let blob = stranger
        .get(blob_path("strangers/app", &root.layer().digest))
        .send()
        .await?;
    blob.expect(&[404])?;
    Ok(())
}

/// What a client makes of it: the reason is on its screen.
#[tokio::test]
async fn skopeo_shows_why_a_push_is_refused() -> Result<()> {
    const SKOPEO: Program = Program {
        name: "skopeo",
        package: "skopeo",
    };
    let skopeo = match SKOPEO.find() {
        Ok(program) => program,
        Err(missing) => {
            unable::report(&missing);
            return Ok(());
        }
    };
    let world = World::start(&[]).await?;
    let root = Image::with_config(&[layer()], &json!({ "Cmd": ["/app"] }));
    world.push("root", &root).await?;
    // What skopeo has pulled is in use.
    let strict = AT_PUSH.replace("message: name", "running: refuse, message: name");
    set_policy(&world, &strict)?;
    let home = tempfile::tempdir()?;
    let image = |tag: &str| format!("docker://{}/{REPOSITORY}:{tag}", world.server.address());
    let (source, target, home) = (image("root"), image("copy"), home.path().to_owned());
    let credentials = format!(
        "{}:{}",
        crate::harness::server::ADMIN,
        crate::harness::server::ADMIN_PASSWORD
    );
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new(skopeo)
            .args([
                "--insecure-policy",
                "copy",
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
            ])
            .args([
                "--src-creds",
                &credentials,
                "--dest-creds",
                &credentials,
                &source,
                &target,
            ])
            .env("HOME", &home)
            .output()
    })
    .await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "it was copied");
    ensure!(said.contains("denied") && said.contains("name a user"), "{said}");
    Ok(())
}
