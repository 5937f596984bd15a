//! Who is affected, asked of a real server: before any advisory and after, by whoever may and may not see it, before and after a
//! restart.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    images::{Image, Layer, log4j_core},
    world::{REPOSITORY, World, facts},
};
use crate::harness::{
    admin, answer::Answer, client::Client, content::sha256_hex, login::Login, manifest::Draft,
};

/// How long the index may take to follow.
const PATIENCE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(100);

const CVE: &str = "CVE-2021-44228";

/// Somebody at the API, which takes no tokens of the registry.
pub(super) fn signed_in(client: &Client, name: &str) -> Client {
    client.with_login(Login::basic(name, admin::USER_PASSWORD))
}

pub(super) fn reader(world: &World) -> Client {
    signed_in(&world.reader, "reader")
}

/// One question of the reader, and whatever comes back.
async fn answer(world: &World, question: &str, as_of: Option<&str>) -> Result<Answer> {
    let reader = reader(world);
    let mut asked = reader.get("/api/v1/affected").query("q", question);
    if let Some(moment) = as_of {
        asked = asked.query("as_of", moment);
    }
    asked.send().await
}

pub(super) async fn ask(client: &Client, question: &str) -> Result<Value> {
    let asked = client.get("/api/v1/affected").query("q", question);
    asked.send().await?.expect(&[200])?.json()
}

/// Asks until the answer is as wanted. What was just pushed is not known by its name yet.
pub(super) async fn until(client: &Client, question: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get("/api/v1/affected").query("q", question);
        let answer = answer.send().await?;
        let is_known = answer.status != 404;
        let report = answer.expect(&[200, 404])?.json()?;
        if is_known && wanted(&report) {
            return Ok(report);
        }
        ensure!(Instant::now() < deadline, "{question}: {report:#}");
        sleep(PAUSE).await;
    }
}

fn affects(images: u64) -> impl Fn(&Value) -> bool {
    move |report| {
        let coverage = &report["coverage"];
        let is_whole = coverage["indexed_percent"] == 100 && coverage["waiting"] == 0;
        // What an image is called is known a moment after what is in it.
        let mut items = report["items"].as_array().into_iter().flatten();
        let are_named = items.all(|image| image["tags"].as_array().is_some_and(|tags| !tags.is_empty()));
        is_whole && are_named && report["counts"]["affected"] == images
    }
}

/// A world with two images of log4j-core, one of them in an index, and advisories that it does not know yet.
async fn pushed() -> Result<(World, Image)> {
    let world = World::start(&[]).await?;
    let (bad, good) = (Image::with_log4j("2.14.1"), Image::with_log4j("2.17.1"));
    world.push("bad", &bad).await?;
    world.push("good", &good).await?;
    let index = Draft::index(vec![bad.document.descriptor_for("amd64")]).finish();
    let pushed = world.admin.push_manifest(REPOSITORY, "all", &index).await?;
    pushed.expect(&[201])?;
    world.decided("bad").await?.expect(&[200])?;
    world.decided("good").await?.expect(&[200])?;
    Ok((world, bad))
}

#[tokio::test]
async fn who_is_affected_is_told_before_any_advisory_and_after() -> Result<()> {
    let (world, bad) = pushed().await?;
    until(&reader(&world), "log4j-core", affects(2)).await?;
    let report = until(&reader(&world), "log4j-core@<2.15.0", affects(1)).await?;
    let image = &report["items"][0];
    ensure!(image["digest"] == bad.document.digest.as_str(), "{report:#}");
    ensure!(image["tags"] == serde_json::json!(["all", "bad"]), "{report:#}");
    let place = &image["places"][0];
    ensure!(place["path"] == "app/lib/log4j-core-2.14.1.jar", "{report:#}");
    ensure!(place["package"]["version"] == "2.14.1", "{report:#}");
    ensure!(
        place["finding"].is_null() && report["owners"][0]["images"] == 1,
        "{report:#}"
    );
    let unknown = answer(&world, CVE, None).await?;
    let unknown = unknown.expect(&[404])?.json()?;
    ensure!(
        unknown["detail"].to_string().contains("ask about the package"),
        "{unknown}"
    );

    world.import(&facts())?;
    let report = until_known(&world).await?;
    let image = &report["items"][0];
    let finding = &image["places"][0]["finding"];
    ensure!(finding["fix"] == "2.15.0" && finding["kev"] == true, "{report:#}");
    ensure!(finding["severity"] == "critical", "{report:#}");
    ensure!(finding["sources"][0]["severity"] == "critical", "{report:#}");
    ensure!(report["vulnerability"]["id"] == CVE, "{report:#}");
    let headline = report["headline"].as_str().unwrap_or_default();
    ensure!(headline.contains("at least 1 of 2 images affected"), "{headline}");
    ensure!(
        headline.contains("100 % of images not scannable or without owner"),
        "{headline}"
    );
    check_commands(&world)?;
    check_other_questions(&world).await?;
    check_strangers(&world).await
}

/// The import has to be read, and the images judged by it.
async fn until_known(world: &World) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = answer(world, CVE, None).await?;
        if asked.status == 200 {
            let report = asked.json()?;
            if report["items"][0]["decision"] == "warn" || report["items"][0]["decision"] == "refuse" {
                return Ok(report);
            }
        }
        ensure!(Instant::now() < deadline, "not known: {}", asked.summary());
        sleep(PAUSE).await;
    }
}

fn check_commands(world: &World) -> Result<()> {
    let table = world.roadbed(&["affected", CVE])?;
    let action = "to do: update org.apache.logging.log4j:log4j-core to 2.15.0 and push again (1 image)";
    ensure!(table.contains(action), "{table}");
    ensure!(table.contains("team/app:all (+1)"), "{table}");
    let csv = world.roadbed(&["affected", CVE, "--csv"])?;
    ensure!(csv.lines().count() == 2, "{csv}");
    ensure!(
        csv.contains("\"critical\",\"GHSA critical\",\"\",\"yes\""),
        "{csv}"
    );
    let diff = world.roadbed(&["diff", "team/app:bad", "team/app:good"])?;
    ensure!(diff.contains("2.14.1 -> 2.17.1"), "{diff}");
    ensure!(diff.contains("- finding CVE-2021-44228 [critical]"), "{diff}");
    ensure!(world.roadbed(&["affected", "CVE-1"]).is_err());
    let mistyped = world.roadbed(&["affected", "log4j-croe"]).err();
    let mistyped = mistyped.map(|error| format!("{error:#}")).unwrap_or_default();
    for part in [
        "no image that you may pull holds",
        "(near it: org.apache.logging.log4j:log4j-core)",
    ] {
        ensure!(mistyped.contains(part), "{mistyped}");
    }
    // Known, and nobody has it.
    let none = world.roadbed(&["affected", "log4j-core@<2.0"])?;
    ensure!(
        none.contains("0 of ") && none.contains("images hold it"),
        "{none}"
    );
    // The SBOMs that the registry attaches are no images.
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("kev.json");
    std::fs::write(&path, facts()[1].1.to_string())?;
    let path = path.to_string_lossy();
    let preview = ["policy", "preview", "--advisories", &path, "--output", "json"];
    let preview: Value = serde_json::from_str(&world.roadbed(&preview)?)?;
    let counted = |name: &str| preview[name].as_u64().unwrap_or_default();
    ensure!(counted("images") + counted("untouched") == 2, "{preview}");
    // Once somebody owns it, the headline need not leave room any more.
    let set = [
        "app",
        "set",
        "shop",
        "--owner",
        "team-shop",
        "--repository",
        "team/**",
    ];
    world.roadbed(&set)?;
    let owned = world.roadbed(&["affected", CVE])?;
    ensure!(owned.contains("exploited): 1 of "), "{owned}");
    ensure!(owned.contains("team-shop, shop: 1 image"), "{owned}");
    Ok(())
}

async fn check_other_questions(world: &World) -> Result<()> {
    let class = ask(&reader(world), "org.apache.logging.log4j.core.lookup.JndiLookup").await?;
    ensure!(
        class["kind"] == "class" && class["counts"]["affected"] == 2,
        "{class:#}"
    );
    let digest = format!("sha256:{}", sha256_hex(&log4j_core("2.14.1")));
    let file = ask(&reader(world), &digest).await?;
    ensure!(file["counts"]["affected"] == 1, "{file:#}");
    ensure!(
        file["items"][0]["places"][0]["path"] == "app/lib/log4j-core-2.14.1.jar",
        "{file:#}"
    );
    let coverage = &file["coverage"];
    ensure!(
        coverage["layers_searched"] == 2 && coverage["layers"] == 2,
        "{file:#}"
    );
    // Before the import nobody knew of it.
    let early = Some("2021-12-09T00:00:00Z");
    answer(world, CVE, early).await?.expect(&[404])?;
    let none = answer(world, "log4j-core", early).await?.expect(&[200])?.json()?;
    ensure!(
        none["counts"]["affected"] == 0 && none["coverage"]["images"] == 0,
        "{none:#}"
    );
    let ahead = answer(world, CVE, Some("2200-01-01T00:00:00Z")).await?;
    ahead.expect(&[400])?;
    Ok(())
}

/// Who may not pull is told nothing, not even a number.
async fn check_strangers(world: &World) -> Result<()> {
    let stranger = admin::user(&world.server, "stranger", "other/*", &["pull"]).await?;
    let stranger = signed_in(&stranger, "stranger");
    for question in ["log4j-core", CVE] {
        let report = ask(&stranger, question).await?;
        ensure!(report["counts"]["affected"] == 0, "{report:#}");
        ensure!(report["coverage"]["images"] == 0, "{report:#}");
        ensure!(report["items"] == serde_json::json!([]), "{report:#}");
        ensure!(!report.to_string().contains("team/app"), "{report:#}");
    }
    Ok(())
}

/// What is said of the images, without what a clock says.
fn said(report: &Value) -> Value {
    let mut said = report["items"].clone();
    for image in said.as_array_mut().into_iter().flatten() {
        image["decision"] = Value::Null;
    }
    serde_json::json!([said, report["counts"], report["coverage"], report["owners"]])
}

#[tokio::test]
async fn a_restart_gives_the_same_answer_however_the_server_ended() -> Result<()> {
    let (mut world, _) = pushed().await?;
    let before = until(&reader(&world), "log4j-core", affects(2)).await?;
    let index = world.server.data().join("fleet.index");
    ensure!(
        !index.exists(),
        "it is written down too early to test what comes without it"
    );
    // Nothing was written down.
    world.server.kill();
    again(&mut world, &before).await?;
    // It was written down at the end.
    world.server.terminate().await;
    ensure!(index.exists(), "the index was not written down");
    again(&mut world, &before).await?;
    // What was written down is older than what is there.
    world.push("later", &Image::with_log4j("2.13.0")).await?;
    world.decided("later").await?.expect(&[200])?;
    let later = until(&reader(&world), "log4j-core", affects(3)).await?;
    world.server.kill();
    again(&mut world, &later).await?;
    // It is damaged.
    world.server.kill();
    let mut bytes = fs::read(&index)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, bytes)?;
    again(&mut world, &later).await?;
    ensure!(
        world.server.log().contains("it is built anew"),
        "{}",
        world.server.log_tail()
    );
    Ok(())
}

async fn again(world: &mut World, before: &Value) -> Result<()> {
    world.server.start_again().await;
    world.log_in_again();
    let images = before["counts"]["affected"].as_u64().context("no count")?;
    let after = until(&reader(world), "log4j-core", affects(images)).await?;
    ensure!(said(&after) == said(before), "{after:#}\ninstead of\n{before:#}");
    Ok(())
}

#[tokio::test]
async fn what_is_deleted_hidden_or_renamed_is_so_in_the_next_answer() -> Result<()> {
    let (world, bad) = pushed().await?;
    until(&reader(&world), "log4j-core", affects(2)).await?;
    // A layer above takes the jar away.
    let bottom = Layer::of_files(&[("app/lib/log4j-core-2.14.1.jar", log4j_core("2.14.1"))]);
    let above = Layer::of_files(&[("app/lib/.wh.log4j-core-2.14.1.jar", Vec::new())]);
    world
        .push("hidden", &Image::of("hidden", &[bottom, above]))
        .await?;
    world.decided("hidden").await?.expect(&[200])?;
    let seen = |report: &Value| report["coverage"]["images"] == 3 && report["coverage"]["waiting"] == 0;
    let report = until(&reader(&world), "log4j-core", seen).await?;
    let counts = &report["counts"];
    ensure!(
        counts["affected"] == 2 && counts["lower_layer"] == 1,
        "{report:#}"
    );

    let there = time_now();
    sleep(Duration::from_secs(1)).await;
    let path = |reference: &str| format!("/v2/{REPOSITORY}/manifests/{reference}");
    let index = world
        .reader
        .get(path("all"))
        .send()
        .await?
        .require("docker-content-digest")?
        .to_owned();
    for digest in [index.as_str(), bad.document.digest.as_str()] {
        world.admin.delete(path(digest)).send().await?.expect(&[202])?;
    }
    until(&reader(&world), "log4j-core", affects(1)).await?;
    let then = answer(&world, "log4j-core", Some(&there)).await?;
    let then = then.expect(&[200])?.json()?;
    ensure!(then["counts"]["affected"] == 2, "{then:#}");
    ensure!(then.to_string().contains("deleted_at"), "{then:#}");
    Ok(())
}

pub(super) fn time_now() -> String {
    store::Timestamp::from(std::time::SystemTime::now()).to_rfc3339()
}
