//! Days of grace count from when a fix was known here.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    images::Image,
    world::{World, facts, kev, log4shell},
};
use crate::harness::answer::Answer;

/// What is exploited is refused two weeks after there is a fix.
const AFTER: &str = "\
version: 1
rules:
  - {id: exploited, when: 'finding.kev', decide: refuse, after: 14}
";

fn set_policy(world: &World) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), AFTER)?;
    world.roadbed(&["policy", "set", &file.path().to_string_lossy()])?;
    Ok(())
}

/// Why the one reason of an image only warns.
fn eased(world: &World, tag: &str) -> Result<Value> {
    let decision = world.roadbed(&["decision", &format!("team/app:{tag}"), "--output", "json"])?;
    let decision: Value = serde_json::from_str(&decision)?;
    let reason = &decision["images"][0]["reasons"][0];
    ensure!(reason["rule"] == "exploited", "{decision}");
    Ok(reason["eased"].clone())
}

#[tokio::test]
async fn a_fix_that_is_known_since_today_gives_days_of_grace() -> Result<()> {
    let world = World::start(&[]).await?;
    set_policy(&world)?;
    let mut unfixed = log4shell(false);
    let events = json!([{ "introduced": "2.13.0" }]);
    unfixed["affected"][0]["ranges"][0]["events"] = events;
    let name = "GHSA-jfh8-c2jp-5v3q.json";
    world.import(&[(name, unfixed), ("kev.json", kev())])?;
    world.push("app", &Image::with_log4j("2.14.1")).await?;
    world.decided("app").await?.expect(&[200])?;
    let none = eased(&world, "app")?;
    ensure!(
        none["why"] == "grace" && none["until"].is_null(),
        "no fix is known: {none}"
    );

    // Published years ago, known here since now.
    world.import(&facts())?;
    let has_fix = |answer: &Answer| {
        let warning = answer.header("warning").unwrap_or_default();
        answer.status == 200 && warning.contains("2.15.0")
    };
    world.until("app", "told of the fix", has_fix).await?;
    let until = eased(&world, "app")?["until"].clone();
    ensure!(until.as_str().context("an end")? > "2026", "{until}");

    // What else the source says anew does not begin the days anew.
    let mut reworded = log4shell(false);
    reworded["summary"] = json!("Remote code injection, in other words");
    reworded["modified"] = json!("2026-06-01T00:00:00Z");
    world.import(&[(name, reworded)])?;
    let generation = |decision: &str| decision.contains("by advisories of generation 3");
    for _ in 0..300 {
        if generation(&world.roadbed(&["decision", "team/app:app"])?) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    ensure!(generation(&world.roadbed(&["decision", "team/app:app"])?));
    ensure!(eased(&world, "app")?["until"] == until);
    Ok(())
}
