//! An import asks again for what it touches and nothing else, tells what it changed, and is taken in whatever is killed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    images::{Image, Layer},
    world::{REPOSITORY, World, facts, kev, log4shell},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// The lines of a kind in the audit log.
fn told(world: &World, kind: &str) -> Result<Vec<Value>> {
    let lines = world.roadbed(&["audit", "--kind", kind, "--output", "json"])?;
    let lines: Value = serde_json::from_str(&lines)?;
    Ok(lines.as_array().context("no list")?.clone())
}

/// Waits until a generation was taken in, and answers what it came to.
async fn taken_in(world: &World, generation: u64) -> Result<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let lines = told(world, "advisories.evaluate")?;
        let of = |line: &&Value| line["body"]["generation"] == generation;
        if let Some(line) = lines.iter().find(of) {
            return Ok(line["body"].clone());
        }
        ensure!(
            Instant::now() < until,
            "generation {generation} is not taken in: {lines:#?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// `Log4Shell` as another state of the same document.
fn changed(modified: &str, change: impl FnOnce(&mut Value)) -> (&'static str, Value) {
    let mut document = log4shell(false);
    document["modified"] = json!(modified);
    change(&mut document);
    ("GHSA-jfh8-c2jp-5v3q.json", document)
}

/// What was decided of an image; nobody pulls it, so it is not in use.
fn decision(world: &World, tag: &str) -> Result<Value> {
    let image = format!("{REPOSITORY}:{tag}");
    let shown = world.roadbed(&["decision", &image, "--output", "json"])?;
    let shown: Value = serde_json::from_str(&shown)?;
    Ok(shown["images"][0].clone())
}

/// The generation that a decision is right by.
fn right_by(world: &World, tag: &str) -> Result<u64> {
    let decision = decision(world, tag)?;
    let generation = decision["generation"].as_u64();
    generation.with_context(|| format!("no generation in {decision:#}"))
}

async fn until_refused(world: &World, tag: &str) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while decision(world, tag)?["outcome"] != "refuse" {
        ensure!(Instant::now() < until, "{:#}", decision(world, tag)?);
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// An image with the jar and one without, judged by a first generation.
async fn two_images() -> Result<World> {
    let world = World::start(&[]).await?;
    world.import(&[("GHSA-jfh8-c2jp-5v3q.json", log4shell(false))])?;
    taken_in(&world, 1).await?;
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    let plain = Layer::of_files(&[("etc/motd", b"hello".to_vec())]);
    world.push("plain", &Image::of("plain", &[plain])).await?;
    world.until_decision("bad").await?;
    world.until_decision("plain").await?;
    Ok(world)
}

/// The body of the only line of a kind that a generation has.
fn line_of(world: &World, kind: &str, generation: u64) -> Result<Value> {
    let lines = told(world, kind)?;
    let of = |line: &&Value| line["body"]["generation"] == generation;
    let found: Vec<&Value> = lines.iter().filter(of).collect();
    ensure!(found.len() == 1, "{kind} of {generation}: {lines:#?}");
    ensure!(found[0]["subject"] == "CVE-2021-44228", "{:#}", found[0]);
    Ok(found[0]["body"].clone())
}

#[tokio::test]
async fn an_import_asks_again_only_for_what_it_touches_and_tells_what_changed() -> Result<()> {
    let world = two_images().await?;
    // Another fix: one of two images holds the package.
    let fixed = changed("2026-01-01T00:00:00Z", |document| {
        document["affected"][0]["ranges"][0]["events"][1] = json!({ "fixed": "2.17.1" });
    });
    world.import(&[fixed])?;
    let done = taken_in(&world, 2).await?;
    ensure!(done["images"] == 1 && done["confirmed"] == 1, "{done:#}");
    let line = line_of(&world, "advisory.fix", 2)?;
    ensure!(
        line["before"] == json!(["2.15.0"]) && line["after"] == json!(["2.17.1"]),
        "{line:#}"
    );
    ensure!(told(&world, "advisory.affects")?.is_empty(), "nothing is new");
    world
        .until_warned("bad", |warning| warning.contains("2.17.1"))
        .await?;
    ensure!(right_by(&world, "bad")? == 2 && right_by(&world, "plain")? == 2);
    // Nothing was decided of the other one again.
    let plain = decision(&world, "plain")?;
    let plain = plain["digest"].as_str().context("no digest")?.to_owned();
    let decided = told(&world, "image.decide")?;
    let again = decided.iter().any(|line| {
        let is_plain = line["subject"]
            .as_str()
            .is_some_and(|image| image.ends_with(&plain));
        is_plain && line["body"]["generation"] == 2
    });
    ensure!(!again, "{decided:#?}");

    // It is exploited: refused from now on, and told as a severity.
    world.import(&[("kev.json", kev())])?;
    let done = taken_in(&world, 3).await?;
    ensure!(done["images"] == 1, "{done:#}");
    let line = line_of(&world, "advisory.severity", 3)?;
    ensure!(line["exploited"] == true && line["affected"] == 1, "{line:#}");
    until_refused(&world, "bad").await
}

#[tokio::test]
async fn severities_conflicts_and_withdrawals_are_told_once_per_vulnerability() -> Result<()> {
    let world = two_images().await?;
    let milder = changed("2026-01-01T00:00:00Z", |document| {
        document["severity"] = json!([]);
        document["database_specific"] = json!({ "severity": "LOW" });
        document["affected"][0]["ranges"][0]["events"][1] = json!({ "fixed": "2.15.0" });
    });
    world.import(&[milder])?;
    taken_in(&world, 2).await?;
    let line = line_of(&world, "advisory.severity", 2)?;
    ensure!(line["before"] == "critical" && line["after"] == "low", "{line:#}");

    // A second source names another fix.
    let mut other = log4shell(false);
    other["id"] = json!("OTHER-2021-1");
    other["affected"][0]["ranges"][0]["events"][1] = json!({ "fixed": "2.16.0" });
    world.import(&[("OTHER-2021-1.json", other.clone())])?;
    taken_in(&world, 3).await?;
    let line = line_of(&world, "advisory.conflict", 3)?;
    ensure!(
        line["about"]
            .as_array()
            .is_some_and(|about| about.contains(&json!("fix"))),
        "{line:#}"
    );
    ensure!(line["images"] == 1, "{line:#}");

    // Both are taken back.
    let withdrawn = |mut document: Value| {
        document["withdrawn"] = json!("2026-02-01T00:00:00Z");
        document["modified"] = json!("2026-02-01T00:00:00Z");
        document
    };
    world.import(&[
        ("GHSA-jfh8-c2jp-5v3q.json", withdrawn(log4shell(false))),
        ("OTHER-2021-1.json", withdrawn(other)),
    ])?;
    let done = taken_in(&world, 4).await?;
    ensure!(done["images"] == 1, "{done:#}");
    let line = line_of(&world, "advisory.clears", 4)?;
    ensure!(line["images"] == 1 && line["affected"] == 0, "{line:#}");
    world
        .until_warned("bad", |warning| !warning.contains("CVE-2021-44228"))
        .await
}

/// Between the answer to an import and the jobs that it asks for there is nothing but what is durable.
#[tokio::test]
async fn an_import_is_taken_in_after_a_kill_at_any_moment() -> Result<()> {
    let mut world = World::start(&[]).await?;
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    world.until_decision("bad").await?;
    for (generation, wait) in [(1_u64, 0), (2, 40), (3, 150), (4, 400)] {
        let fixed = format!("2.15.{generation}");
        let document = changed(&format!("2026-01-0{generation}T00:00:00Z"), |document| {
            document["affected"][0]["ranges"][0]["events"][1] = json!({ "fixed": fixed });
        });
        world.import(&[document])?;
        sleep(Duration::from_millis(wait)).await;
        world.server.kill();
        world.server.start_again().await;
        world.log_in_again();
        taken_in(&world, generation).await?;
        world
            .until_warned("bad", |warning| warning.contains(&fixed))
            .await?;
        let lines = told(&world, "advisories.evaluate")?;
        ensure!(
            lines.len() as u64 == generation,
            "told more than once: {lines:#?}"
        );
    }
    Ok(())
}

/// What a file of advisories would refuse is told before it is imported, and nothing of it is kept.
#[tokio::test]
async fn what_advisories_would_refuse_is_told_before_they_are_imported() -> Result<()> {
    let world = World::start(&[]).await?;
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    world.push("good", &Image::with_log4j("2.17.1")).await?;
    world.until_decision("bad").await?;
    world.until_decision("good").await?;
    let files = tempfile::tempdir()?;
    for (name, document) in facts() {
        std::fs::write(files.path().join(name), document.to_string())?;
    }
    let directory = files.path().to_string_lossy().into_owned();
    let preview = || {
        world.roadbed(&[
            "policy",
            "preview",
            "--advisories",
            &directory,
            "--output",
            "json",
        ])
    };
    let report: Value = serde_json::from_str(&preview()?)?;
    let refused: Vec<&Value> = report["changes"]
        .as_array()
        .context("no changes")?
        .iter()
        .filter(|change| change["after"] == "refuse")
        .collect();
    ensure!(refused.len() == 1, "{report:#}");
    let text = refused[0]["text"].as_str().unwrap_or_default();
    ensure!(text.contains("CVE-2021-44228"), "{report:#}");
    // Nothing of it was kept.
    let status: Value =
        serde_json::from_str(&world.roadbed(&["advisories", "status", "--output", "json"])?)?;
    ensure!(status["generation"] == 0, "{status:#}");
    world.import(&facts())?;
    until_refused(&world, "bad").await?;
    let report: Value = serde_json::from_str(&preview()?)?;
    ensure!(report["changes"] == json!([]), "{report:#}");
    Ok(())
}
