//! A patched base, and the images that follow it without a build: spliced, merged, or refused with the reason.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;
use web::MAX_PLATFORMS;

use super::images::{Image, Layer, log4j_core};
use super::world::World;
use crate::harness::{admin, login::Login};

const PATIENCE: Duration = Duration::from_mins(3);

fn status(packages: &[(&str, &str)]) -> Vec<u8> {
    let stanza = |(name, version): &(&str, &str)| {
        format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\nDescription: x\n\n"
        )
    };
    packages.iter().map(stanza).collect::<String>().into_bytes()
}

const ROOT: &str = "root:x:0:0:root:/root:/bin/sh\n";
const OS: &[u8] = b"ID=debian\nVERSION_ID=\"12\"\n";

/// The layer of a release: log4j, a library, and who there is.
fn base(log4j: &str, library: &str, users: &str) -> Layer {
    Layer::of_files(&[
        ("etc/os-release", OS.to_vec()),
        ("etc/passwd", format!("{ROOT}{users}").into_bytes()),
        ("opt/jre/log4j-core.jar", log4j_core(log4j)),
        ("usr/bin/tool", b"tool".to_vec()),
        (
            "var/lib/dpkg/status",
            status(&[("dpkg", "1.21.22"), ("libfoo", library)]),
        ),
    ])
}

fn image(layers: &[Layer], command: &str) -> Image {
    Image::with_config(layers, &json!({ "Cmd": [command], "User": "1000" }))
}

pub(super) async fn push(world: &World, repository: &str, tag: &str, image: &Image) -> Result<()> {
    world
        .admin
        .push_image(repository, tag, &image.blobs, &image.document)
        .await
}

/// Asks until the answer is so.
pub(super) async fn until(
    world: &World,
    arguments: &[&str],
    holds: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    let all = [arguments, &["--output", "json"]].concat();
    loop {
        let said = world.roadbed(&all);
        match &said {
            Ok(said) if holds(&serde_json::from_str(said)?) => return Ok(serde_json::from_str(said)?),
            _ => ensure!(Instant::now() < deadline, "{arguments:?}: {said:?}"),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// What a command says that must fail.
pub(super) fn refused(world: &World, arguments: &[&str]) -> Result<String> {
    match world.roadbed(arguments) {
        Ok(said) => anyhow::bail!("{arguments:?} must fail: {said}"),
        Err(error) => Ok(error.to_string()),
    }
}

/// A release that has what others had mended.
pub(super) const BAD: u8 = 99;

/// A release of the base that other tests move: the first, or a later one.
pub(super) fn release(number: u8) -> Image {
    image(&[release_layer(number)], "/base")
}

fn release_layer(number: u8) -> Layer {
    let log4j = match number {
        1 | BAD => "2.14.1",
        _ => "2.17.1",
    };
    base(log4j, &format!("1.{number}-1"), "")
}

/// An application on the first release; the one called `built` cannot follow.
pub(super) fn app(name: &str) -> Image {
    let file = match name {
        "built" => ("usr/bin/.wh.tool", Vec::new()),
        _ => ("app/main", name.as_bytes().to_vec()),
    };
    image(&[release_layer(1), Layer::of_files(&[file])], "/app/main")
}

/// An application on the first release that has these files.
pub(super) fn with_files(files: &[(&str, Vec<u8>)]) -> Image {
    image(&[release_layer(1), Layer::of_files(files)], "/app/main")
}

/// An application on a release that has these files.
pub(super) fn on_release(number: u8, files: &[(&str, Vec<u8>)]) -> Image {
    image(&[release_layer(number), Layer::of_files(files)], "/app/main")
}

/// Declares that base.
pub(super) fn declare(world: &World, options: &[&str]) -> Result<()> {
    let set = [
        "base",
        "set",
        "java",
        "--owner",
        "platform",
        "--repository",
        "base/java",
        "--supported-until",
        "2099-01-01",
        "--rebase-safe",
    ];
    world.roadbed(&[&set, options].concat()).map(drop)
}

/// A base with an old and a new release, and four images on the old one.
async fn patched() -> Result<World> {
    let world = World::start(&[]).await?;
    let old = base("2.14.1", "1.0-1", "");
    push(
        &world,
        "base/java",
        "1",
        &image(std::slice::from_ref(&old), "/base"),
    )
    .await?;
    declare(&world, &[])?;
    let app = |files: &[(&str, Vec<u8>)]| image(&[old.clone(), Layer::of_files(files)], "/app/main");
    let main = || ("app/main", b"program".to_vec());
    push(&world, "team/spliced", "v1", &app(&[main()])).await?;
    push(
        &world,
        "team/own",
        "v1",
        &app(&[("app/log4j-core.jar", log4j_core("2.14.1"))]),
    )
    .await?;
    let users = format!("{ROOT}app:x:1000:1000::/app:/bin/sh\n").into_bytes();
    let installed = status(&[("curl", "7.88-1"), ("dpkg", "1.21.22"), ("libfoo", "1.0-1")]);
    let merged = [main(), ("etc/passwd", users), ("var/lib/dpkg/status", installed)];
    push(&world, "team/merged", "v1", &app(&merged)).await?;
    push(
        &world,
        "team/built",
        "v1",
        &app(&[("usr/bin/.wh.tool", Vec::new())]),
    )
    .await?;
    for name in ["spliced", "own", "merged", "built"] {
        let reference = format!("team/{name}:v1");
        let on_base = |said: &Value| said["images"][0]["lineage"]["stack"][0]["base"] == "java";
        until(&world, &["lineage", &reference], on_base).await?;
    }
    let new = base("2.17.1", "1.1-1", "bus:x:100:100::/:/bin/false\n");
    push(&world, "base/java", "2", &image(&[new], "/base")).await?;
    let is_newer = |said: &Value| said["images"][0]["lineage"]["stack"][0]["superseded"].is_object();
    until(&world, &["lineage", "team/spliced:v1"], is_newer).await?;
    Ok(world)
}

async fn plan(world: &World, reference: &str) -> Result<Value> {
    until(world, &["rebase", reference], |said| said["class"].is_string()).await
}

async fn packages(world: &World, reference: &str) -> Result<Vec<String>> {
    let said = until(world, &["sbom", reference], |_| true).await?;
    let components = said["components"].as_array().into_iter().flatten();
    let mut names: Vec<String> = components
        .filter_map(|component| {
            Some(format!(
                "{} {}",
                component["name"].as_str()?,
                component["version"].as_str()?
            ))
        })
        .collect();
    names.sort();
    Ok(names)
}

#[tokio::test]
async fn images_follow_their_base_without_a_build_or_say_why_not() -> Result<()> {
    let world = patched().await?;
    let spliced = plan(&world, "team/spliced:v1").await?;
    ensure!(
        spliced["class"] == "A" && spliced["images"][0]["to"]["version"] == "2",
        "{spliced:#}"
    );
    let again = plan(&world, "team/spliced:v1").await?;
    ensure!(spliced == again, "the same plan makes the same image");
    let made: Value = serde_json::from_str(&world.roadbed(&[
        "rebase",
        "team/spliced:v1",
        "--apply",
        "--output",
        "json",
    ])?)?;
    ensure!(
        made["state"] == "moved" && made["moved"] == "v1-p1" && made["new"] == spliced["new_digest"],
        "{made:#}"
    );
    let now = packages(&world, "team/spliced:v1-p1").await?;
    ensure!(
        now.contains(&"log4j-core 2.17.1".to_owned()) && now.contains(&"libfoo 1.1-1".to_owned()),
        "{now:?}"
    );
    ensure!(
        packages(&world, "team/spliced:v1")
            .await?
            .contains(&"libfoo 1.0-1".to_owned())
    );
    let lineage = until(&world, &["lineage", "team/spliced:v1-p1"], |_| true).await?;
    ensure!(
        lineage["images"][0]["lineage"]["stack"][0]["version"] == "2",
        "{lineage:#}"
    );
    told_to_whoever_may_pull_only_the_image(&world).await?;

    merges_and_refusals(&world).await
}

/// They get its layers, which docs/rebase.md says, and nothing that is told of the base beside.
async fn told_to_whoever_may_pull_only_the_image(world: &World) -> Result<()> {
    let reader = world.server.client(Login::basic("reader", admin::USER_PASSWORD));
    let ask = async |path: &str| reader.get(path).send().await;
    let image = ask("/v2/team/spliced/manifests/v1-p1").await?.expect(&[200])?;
    let image: Value = serde_json::from_slice(&image.body)?;
    let layers = image["layers"].as_array().into_iter().flatten();
    for digest in layers.filter_map(|layer| layer["digest"].as_str()) {
        ask(&format!("/v2/team/spliced/blobs/{digest}"))
            .await?
            .expect(&[200])?;
        ask(&format!("/v2/base/java/blobs/{digest}"))
            .await?
            .expect(&[403])?;
    }
    for (path, refused) in [
        ("/v2/base/java/manifests/2", 403),
        ("/api/v1/base?name=java", 404),
        ("/api/v1/rebases/plan?repository=team/spliced&reference=v1", 403),
    ] {
        ask(path).await?.expect(&[refused])?;
    }
    // Of what followed the release, what one may pull; nothing else of it.
    let report = ask("/api/v1/rebases/report?base=java").await?.expect(&[200])?;
    let report: Value = serde_json::from_slice(&report.body)?;
    let rows = report["items"].as_array().into_iter().flatten();
    let repositories: Vec<&str> = rows.filter_map(|row| row["repository"].as_str()).collect();
    ensure!(
        !repositories.is_empty() && repositories.iter().all(|repo| repo.starts_with("team/")),
        "{report:#}"
    );
    let bases = ask("/api/v1/bases").await?.expect(&[200])?;
    let bases: Value = serde_json::from_slice(&bases.body)?;
    ensure!(bases["items"] == json!([]), "{bases:#}");
    Ok(())
}

async fn merges_and_refusals(world: &World) -> Result<()> {
    let merged = plan(world, "team/merged:v1").await?;
    ensure!(
        merged["class"] == "B" && merged["images"][0]["own_packages"] == json!(["curl"]),
        "{merged:#}"
    );
    world.roadbed(&["rebase", "team/merged:v1", "--apply", "--tag", "in-place"])?;
    let now = packages(world, "team/merged:v1").await?;
    for package in ["curl 7.88-1", "libfoo 1.1-1", "log4j-core 2.17.1"] {
        ensure!(now.contains(&package.to_owned()), "{now:?}");
    }

    let built = plan(world, "team/built:v1").await?;
    ensure!(
        built["class"] == "C" && built["new_digest"].is_null(),
        "{built:#}"
    );
    let why = &built["images"][0]["obstacles"][0]["text"];
    ensure!(
        why == "the application deletes `usr/bin/tool` of the base",
        "{why}"
    );
    let refused = refused(world, &["rebase", "team/built:v1", "--apply"])?;
    ensure!(
        refused.contains("class C") && refused.contains("deletes `usr/bin/tool`"),
        "{refused}"
    );

    // What lies in its own layer no base mends.
    world.roadbed(&["rebase", "team/own:v1", "--apply"])?;
    let now = packages(world, "team/own:v1-p1").await?;
    ensure!(
        now.contains(&"log4j-core 2.14.1".to_owned()) && now.contains(&"log4j-core 2.17.1".to_owned()),
        "{now:?}"
    );
    Ok(())
}

/// An index without end costs whoever plans it without end.
#[tokio::test]
async fn an_index_of_too_many_images_is_not_planned() -> Result<()> {
    let world = World::start(&[]).await?;
    let mut children = Vec::new();
    for number in 0..=MAX_PLATFORMS {
        let child = app(&format!("platform {number}"));
        push(&world, "team/many", &format!("p{number}"), &child).await?;
        children.push(child.document.descriptor_for("amd64"));
    }
    for (tag, count, said) in [
        ("some", MAX_PLATFORMS, "it stands on no declared base"),
        (
            "many",
            MAX_PLATFORMS + 1,
            "the index has 33 images: at most 32 are planned",
        ),
    ] {
        let index = crate::harness::manifest::Draft::index(children[..count].to_vec()).finish();
        world
            .admin
            .push_manifest("team/many", tag, &index)
            .await?
            .expect(&[201])?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why = refused(&world, &["rebase", &format!("team/many:{tag}")])?;
            if why.contains(said) {
                break;
            }
            let waits = why.contains("still being looked into");
            ensure!(waits && Instant::now() < deadline, "{why}");
            sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_rebase_is_repeated_without_harm_undone_and_refused_where_the_tag_moved() -> Result<()> {
    let world = patched().await?;
    let apply = ["rebase", "team/spliced:v1", "--apply", "--output", "json"];
    let first: Value = serde_json::from_str(&world.roadbed(&apply)?)?;
    let second: Value = serde_json::from_str(&world.roadbed(&apply)?)?;
    ensure!(first["id"] == second["id"], "{second:#}");
    let id = first["id"].as_str().unwrap_or_default();
    let undone: Value = serde_json::from_str(&world.roadbed(&["rebase", "undo", id, "--output", "json"])?)?;
    ensure!(undone["state"] == "undone", "{undone:#}");
    ensure!(
        world.roadbed(&["decision", "team/spliced:v1-p1"]).is_err(),
        "the tag is gone"
    );
    let twice = refused(&world, &["rebase", "undo", id])?;
    ensure!(twice.contains("nothing to undo"), "{twice}");

    let in_place = [
        "rebase",
        "team/spliced:v1",
        "--apply",
        "--tag",
        "in-place",
        "--output",
        "json",
    ];
    let moved: Value = serde_json::from_str(&world.roadbed(&in_place)?)?;
    ensure!(moved["moved"] == "v1", "{moved:#}");
    let current = until(&world, &["rebase", "team/spliced:v1"], |_| true).await?;
    ensure!(current["class"].is_null(), "it is current now: {current:#}");
    let id = moved["id"].as_str().unwrap_or_default();
    world.roadbed(&["rebase", "undo", id])?;
    ensure!(
        packages(&world, "team/spliced:v1")
            .await?
            .contains(&"libfoo 1.0-1".to_owned())
    );
    let listed = until(&world, &["rebase", "list", "team/spliced"], |_| true).await?;
    ensure!(listed.as_array().is_some_and(|all| all.len() == 2), "{listed:#}");
    let nobody = refused(
        &world,
        &["rebase", "undo", "0198c0de-0000-7000-8000-000000000000"],
    )?;
    ensure!(nobody.contains("no such rebase"), "{nobody}");
    Ok(())
}
