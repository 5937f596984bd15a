//! The catalogue of the road, from the file to what came of it: entries, ends, promises, retired bases, adoption.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::sleep;

use crate::harness::content::{Algorithm, Blob};
use crate::harness::manifest::{CONFIG, Draft, LAYER_GZIP};

use super::images::{Image, Layer, log4j_core};
use super::world::{World, facts, until_said};

/// How long it may take until something counts.
const PATIENCE: Duration = Duration::from_mins(2);

fn layer(text: &str) -> Layer {
    Layer::of_files(&[("usr/lib/os", text.as_bytes().to_vec())])
}

fn image(layers: &[Layer], labels: &Value) -> Image {
    Image::with_config(
        layers,
        &json!({ "Cmd": ["/app"], "User": "1000", "Labels": labels }),
    )
}

async fn push(world: &World, repository: &str, tag: &str, image: &Image) -> Result<()> {
    let (blobs, document) = (&image.blobs, &image.document);
    world.admin.push_image(repository, tag, blobs, document).await
}

/// A moment so far ahead, in days.
fn ahead(days: i64) -> String {
    let moment = OffsetDateTime::now_utc() + time::Duration::days(days);
    moment.date().to_string()
}

fn soon(seconds: i64) -> Result<String> {
    let moment = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    Ok(moment.replace_nanosecond(0)?.format(&Rfc3339)?)
}

fn base(name: &str, more: &str) -> String {
    format!(
        "apiVersion: road/v1\nkind: BaseImage\nmetadata: {{name: {name}, owner: platform}}\nspec:\n  \
         repo: base/{name}\n  supportedUntil: {}\n{more}---\n",
        ahead(20)
    )
}

fn exemption(until: &str, reason: &str) -> String {
    format!(
        "apiVersion: road/v1\nkind: Exemption\nspec:\n  {{app: video, rule: TE-CON-2, reason: {reason}, owner: team-video,\n   \
         approvedBy: [platform], createdAt: {}, expiresAt: '{until}', maxRenewals: 1}}\n---\n",
        ahead(-1)
    )
}

/// Runs a command of `road` on a file with this text.
fn with_file(world: &World, command: &[&str], text: &str) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("pavedroad.yaml");
    fs::write(&path, text)?;
    let path = path.to_string_lossy().into_owned();
    let arguments: Vec<&str> = ["road"]
        .iter()
        .chain(command)
        .copied()
        .chain([path.as_str()])
        .collect();
    world.roadbed(&arguments)
}

fn refused(world: &World, command: &[&str], text: &str) -> String {
    match with_file(world, command, text) {
        Ok(said) => format!("it was taken: {said}"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn a_catalogue_is_checked_applied_shown_and_remembered() -> Result<()> {
    let world = World::start(&[]).await?;
    world.roadbed(&[
        "app",
        "set",
        "checkout",
        "--owner",
        "team-shop",
        "--repository",
        "shop/**",
    ])?;
    let road = format!(
        "{}apiVersion: road/v1\nkind: GoldenPath\nmetadata: {{name: java, owner: platform}}\n\
         spec: {{version: 3, bases: [java17], supportedUntil: {}}}\n---\n\
         apiVersion: road/v1\nkind: AppRoad\nmetadata: {{name: checkout}}\n\
         spec: {{path: java@3, ring: early, autoRebase: true}}\n",
        base("java17", "  patchWithin: {critical: 24h}\n"),
        ahead(300)
    );
    let said = with_file(&world, &["check"], &road)?;
    for wanted in [
        "+ base java17",
        "+ golden path java@3",
        "+ road of application checkout: path java@3, ring early, rebase auto",
        "3 changes would be made",
    ] {
        ensure!(said.contains(wanted), "{wanted}: {said}");
    }
    ensure!(
        !world.roadbed(&["road", "show"])?.contains("java17"),
        "a check changes nothing"
    );
    ensure!(with_file(&world, &["check", "--offline"], &road)?.contains("Nothing is wrong with 3 documents"));
    let said = refused(&world, &["check"], &road.replace("path: java@3", "path: java@4"));
    ensure!(
        said.contains("GoldenPath `java@4`, which is not declared"),
        "{said}"
    );
    let said = refused(
        &world,
        &["check", "--offline"],
        &road.replace("ring: early", "ring: first"),
    );
    ensure!(
        said.contains("pavedroad.yaml:17: `spec.ring`: `first` is no ring"),
        "{said}"
    );
    with_file(&world, &["apply"], &road)?;
    ensure!(with_file(&world, &["apply"], &road)?.contains("Everything is as the files say"));
    let said = world.roadbed(&["road", "show", "checkout"])?;
    ensure!(said.contains("java@3; ring early; rebase auto"), "{said}");
    let version = version(&world)?;
    with_file(&world, &["apply", "--prune"], &base("java17", ""))?;
    ensure!(!world.roadbed(&["road", "show"])?.contains("java@3"));
    let then = world.roadbed(&["road", "show", "--version", &version.to_string()])?;
    ensure!(
        then.contains("java@3") && then.contains(&format!("version {version}")),
        "{then}"
    );
    let history = world.roadbed(&["road", "history", "checkout"])?;
    ensure!(
        history.contains("road.set") && history.contains("road.remove") && history.contains("admin"),
        "{history}"
    );
    let audit = world.roadbed(&["audit", "--kind", "road.set"])?;
    ensure!(audit.contains("AppRoad/checkout"), "{audit}");
    Ok(())
}

fn version(world: &World) -> Result<i64> {
    let road: Value = serde_json::from_str(&world.roadbed(&["road", "show", "--output", "json"])?)?;
    road["version"]
        .as_i64()
        .ok_or_else(|| anyhow::anyhow!("no version: {road}"))
}

#[tokio::test]
async fn ends_are_told_once_and_renewals_need_a_reason() -> Result<()> {
    let mut world = World::start(&[]).await?;
    let end = soon(60)?;
    with_file(
        &world,
        &["apply"],
        &format!("{}{}", base("java17", ""), exemption(&end, "needs CUDA")),
    )?;
    let history = ["road", "history"];
    until_said(&world, &history, "Exemption/video:TE-CON-2").await?;
    until_said(&world, &history, "ends in 3 days or less").await?;
    until_said(&world, &history, "ends in 30 days or less").await?;
    world.server.kill();
    world.server.start_again().await;
    world.log_in_again();
    let said = until_said(&world, &history, "ended on").await?;
    // The base's and the exemption's warning, each once, and the end.
    ensure!(said.matches("road.ends").count() == 2, "{said}");
    ensure!(world.roadbed(&["road", "show", "video"])?.contains("expired"));
    let later = exemption(&ahead(30), "needs CUDA");
    let said = refused(&world, &["apply"], &later);
    ensure!(said.contains("needs a reason of its own"), "{said}");
    with_file(&world, &["apply"], &exemption(&ahead(30), "the port is late"))?;
    let said = world.roadbed(&["road", "show", "video"])?;
    ensure!(said.contains("live, renewed once"), "{said}");
    let said = refused(&world, &["apply"], &exemption(&ahead(60), "it is still late"));
    ensure!(said.contains("renewed 1 times"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_retired_base_takes_no_new_images_unless_exempt() -> Result<()> {
    let world = World::start(&[("ROADBED_ROAD__RETIRE_NOTICE", "0s")]).await?;
    let os = layer("17");
    push(
        &world,
        "base/java17",
        "17.0.9",
        &image(std::slice::from_ref(&os), &json!({})),
    )
    .await?;
    let app = |text: &str| {
        image(
            &[
                os.clone(),
                Layer::of_files(&[("app/x", text.as_bytes().to_vec())]),
            ],
            &json!({}),
        )
    };
    let old = app("old");
    push(&world, "team/app", "v1", &old).await?;
    with_file(
        &world,
        &["apply"],
        &format!("{}{}", base("java17", ""), base("java21", "")),
    )?;
    until_said(&world, &["lineage", "team/app:v1"], "stands on    java17").await?;
    // It is supported: it is taken. Retired with a notice: it is still.
    push(&world, "team/app", "v2", &app("two")).await?;
    let retired = |notice: &str| {
        base(
            "java17",
            &format!("  lifecycle: retired\n  replacedBy: java21\n  retireNotice: {notice}\n"),
        )
    };
    with_file(&world, &["apply"], &retired("30d"))?;
    push(&world, "team/app", "v3", &app("three")).await?;
    // The notice of the configuration is none.
    let without = retired("30d").replace("  retireNotice: 30d\n", "");
    with_file(&world, &["apply"], &without)?;
    let error = push(&world, "team/app", "v4", &app("four"))
        .await
        .expect_err("it is refused");
    let said = format!("{error:#}");
    ensure!(said.contains("403") && said.contains("DENIED"), "{said}");
    ensure!(
        said.contains("base java17, which was retired on")
            && said.contains("build it on java21 (base/java21)"),
        "{said}"
    );
    // What is there already may be named anew.
    push(&world, "team/app", "v5", &old).await?;
    // An exemption lets it pass.
    let whose = ["--owner", "team-video", "--repository", "team/**"];
    world.roadbed(&[&["app", "set", "video"][..], &whose].concat())?;
    with_file(&world, &["apply"], &exemption(&ahead(10), "needs CUDA"))?;
    push(&world, "team/app", "v6", &app("six")).await?;
    let said = until_said(&world, &["lineage", "team/app:v6"], "exempt from TE-CON-2").await?;
    ensure!(
        said.contains("(needs CUDA): java17 is supported no more: move to java21"),
        "{said}"
    );
    Ok(())
}

/// An image whose configuration is this one, whatever its layers are.
fn configured(layers: &[Layer], config: &Value) -> Image {
    let config = Blob::new(Algorithm::Sha256, config.to_string());
    let described = layers.iter().map(|layer| layer.blob.descriptor(LAYER_GZIP));
    let document = Draft::image(config.descriptor(CONFIG), described.collect()).finish();
    let mut blobs: Vec<Blob> = layers.iter().map(|layer| layer.blob.clone()).collect();
    blobs.push(config);
    Image { blobs, document }
}

/// What is said to somebody who pushes what is refused.
async fn said_to(world: &World, repository: &str, image: &Image) -> String {
    match push(world, repository, "latest", image).await {
        Ok(()) => "it was taken".to_owned(),
        Err(error) => format!("{error:#}"),
    }
}

/// Images whose configuration does not tell, or tells too much to be read as it comes, are refused for the base that they stand on.
async fn nobody_hides_a_base(world: &World, old: &Layer) -> Result<()> {
    for (text, pad) in [("no diff ids", 0), ("too large", 9 << 20)] {
        let layers = [
            old.clone(),
            Layer::of_files(&[("app/x", text.as_bytes().to_vec())]),
        ];
        let diff_ids: Vec<&String> = layers.iter().map(|layer| &layer.diff_id).collect();
        let diff_ids = if pad > 0 { json!(diff_ids) } else { json!([]) };
        let hidden = json!({
            "os": "linux", "architecture": "amd64", "pad": "x".repeat(pad),
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let hidden = configured(&layers, &hidden);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = said_to(world, "team/hidden", &hidden).await;
            if said.contains("stands on base java17") {
                break;
            }
            ensure!(said.contains("nobody can tell yet which base"), "{text}: {said}");
            ensure!(Instant::now() < deadline, "{text}: {said}");
            sleep(Duration::from_millis(300)).await;
        }
    }
    Ok(())
}

/// An image that hides its base, names somebody else's application, or is put there by the registry itself.
#[tokio::test]
async fn no_way_around_leads_onto_a_retired_base() -> Result<()> {
    let world = World::start(&[("ROADBED_ROAD__RETIRE_NOTICE", "0s")]).await?;
    let (old, new) = (layer("17"), layer("21"));
    for (version, os) in [("17", &old), ("21", &new)] {
        let repository = format!("base/java{version}");
        push(
            &world,
            &repository,
            "1",
            &image(std::slice::from_ref(os), &json!({})),
        )
        .await?;
    }
    let own = |text: &str| Layer::of_files(&[("app/x", text.as_bytes().to_vec())]);
    let both = |os: &Layer, text: &str| [os.clone(), own(text)];
    push(&world, "team/old", "v1", &image(&both(&old, "old"), &json!({}))).await?;
    push(&world, "team/new", "v1", &image(&both(&new, "new"), &json!({}))).await?;
    let safe = "  rebase: {safe: true}\n";
    let retired = format!("  lifecycle: retired\n{safe}");
    let bases = format!("{}{}", base("java17", safe), base("java21", safe));
    with_file(&world, &["apply"], &bases)?;
    until_said(&world, &["lineage", "team/old:v1"], "stands on    java17").await?;
    until_said(&world, &["lineage", "team/new:v1"], "stands on    java21").await?;
    with_file(&world, &["apply"], &base("java17", &retired))?;

    nobody_hides_a_base(&world, &old).await?;
    world.roadbed(&[
        "app",
        "set",
        "video",
        "--owner",
        "team-video",
        "--repository",
        "video/**",
    ])?;
    with_file(&world, &["apply"], &exemption(&ahead(10), "needs CUDA"))?;
    let label = json!({ "roadbed.dev/application": "video" });
    let thief = said_to(&world, "team/thief", &image(&both(&old, "thief"), &label)).await;
    ensure!(thief.contains("stands on base java17"), "{thief}");
    push(
        &world,
        "video/app",
        "v1",
        &image(&both(&old, "video"), &json!({})),
    )
    .await?;

    let Err(refused) = world.roadbed(&["rebase", "team/new:v1", "--onto", "java17"]) else {
        anyhow::bail!("it would follow");
    };
    ensure!(
        format!("{refused:#}").contains("java17` is retired"),
        "{refused:#}"
    );
    Ok(())
}

#[tokio::test]
async fn promises_are_measured_from_the_advisory_to_the_patched_base() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    let lib = |version: &str| Layer::of_files(&[("opt/log4j-core.jar", log4j_core(version))]);
    push(
        &world,
        "base/java17",
        "17.0.9",
        &image(&[layer("17"), lib("2.14.1")], &json!({})),
    )
    .await?;
    with_file(
        &world,
        &["apply"],
        &base("java17", "  patchWithin: {critical: 24h}\n"),
    )?;
    let promises = ["road", "promises"];
    let said = until_said(&world, &promises, "CVE-2021-44228").await?;
    ensure!(said.contains("open"), "{said}");
    push(
        &world,
        "base/java17",
        "17.0.10",
        &image(&[layer("17.0.10"), lib("2.17.1")], &json!({})),
    )
    .await?;
    let said = until_said(&world, &["road", "history", "java17"], "base.patched").await?;
    ensure!(said.contains("patched by 17.0.10, as promised"), "{said}");
    let told: Value =
        serde_json::from_str(&world.roadbed(&["road", "promises", "java17", "--output", "json"])?)?;
    ensure!(told[0]["kept"] == 1 && told[0]["open"] == 0, "{told:#}");
    Ok(())
}

#[tokio::test]
async fn teams_see_who_is_on_the_road_and_what_they_share() -> Result<()> {
    let world = World::start(&[]).await?;
    let (approved, shared) = (layer("17"), layer("node"));
    push(
        &world,
        "base/java17",
        "17.0.9",
        &image(std::slice::from_ref(&approved), &json!({})),
    )
    .await?;
    push(
        &world,
        "mirror/node",
        "20",
        &image(std::slice::from_ref(&shared), &json!({})),
    )
    .await?;
    for team in ["a", "b", "c"] {
        let own = Layer::of_files(&[("app/x", team.as_bytes().to_vec())]);
        let labels = json!({ "roadbed.dev/owner": format!("team-{team}") });
        push(
            &world,
            &format!("{team}/app"),
            "v1",
            &image(&[shared.clone(), own.clone()], &labels),
        )
        .await?;
        if team == "a" {
            push(&world, "a/paved", "v1", &image(&[approved.clone(), own], &labels)).await?;
        }
    }
    until_said(&world, &["road", "init"], "repo: mirror/node").await?;
    let first = until_said(&world, &["road", "init"], "repo: base/java17").await?;
    ensure!(first.starts_with("# yaml-language-server: $schema="), "{first}");
    ensure!(first.contains("repo: mirror/node"), "{first}");
    with_file(&world, &["check", "--offline"], &first)?;
    with_file(&world, &["apply"], &base("java17", ""))?;
    let said = until_said(
        &world,
        &["road", "adoption"],
        "3 teams share an unapproved base, mirror/node:20",
    )
    .await?;
    ensure!(
        said.contains("group:team-a, group:team-b, group:team-c"),
        "{said}"
    );
    until_said(
        &world,
        &["road", "adoption", "--owner", "team-a"],
        "50 % paved (1)",
    )
    .await?;
    let report: Value = serde_json::from_str(&world.roadbed(&["road", "adoption", "--output", "json"])?)?;
    ensure!(
        report["now"]["paved"] == 1 && report["now"]["own-road"] == 4,
        "{report:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_lie_about_the_base_is_a_finding() -> Result<()> {
    let world = World::start(&[]).await?;
    let release = image(&[layer("17")], &json!({}));
    push(&world, "base/java17", "17.0.9", &release).await?;
    with_file(&world, &["apply"], &base("java17", ""))?;
    until_said(&world, &["base", "show", "java17"], "17.0.9").await?;
    let rule =
        "version: 1\nrules:\n  - {id: no-lies, when: finding.id == 'lineage.lying-base', decide: warn}\n";
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("policy.yaml");
    fs::write(&path, rule)?;
    world.roadbed(&["policy", "set", &path.to_string_lossy()])?;
    let config = json!({ "Cmd": ["/app"], "User": "1000" });
    let words = [("base.digest", release.document.digest.as_str())];
    let liar = Image::with_words(&[layer("else")], &config, &words);
    push(&world, "team/app", "liar", &liar).await?;
    until_said(&world, &["decision", "team/app:liar"], "lineage.lying-base").await?;
    // The manifest says what nobody knows, the label says what is false.
    let label = json!({ "org.opencontainers.image.base.digest": release.document.digest });
    push(&world, "team/app", "label", &image(&[layer("else")], &label)).await?;
    until_said(&world, &["decision", "team/app:label"], "lineage.lying-base").await?;
    let honest = Image::with_words(&[layer("17"), layer("else")], &config, &words);
    push(&world, "team/app", "honest", &honest).await?;
    let said = until_said(&world, &["decision", "team/app:honest"], "allow").await?;
    ensure!(!said.contains("lying"), "{said}");
    Ok(())
}
