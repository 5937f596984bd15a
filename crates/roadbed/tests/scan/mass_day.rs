//! The day of `Log4Shell`, when the base is patched: what stands on it follows, also what is frozen, since the incident is critical; what has
//! a jar of its own follows too and stays affected by that, and says so; what stands on no base is its owner's to build.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::images::{Image, Layer, log4j_core};
use super::mass::{in_state, on_signed_base, report, say, sign};
use super::rebase::{self, push, until};
use super::world::{World, facts};

const UNTIL: &str = "until: 2099-01-01";

fn line<'s>(shown: &'s Value, name: &str) -> &'s Value {
    let mut lines = shown["lines"].as_array().into_iter().flatten();
    lines.find(|line| line["line"] == name).unwrap_or(&Value::Null)
}

async fn incident(world: &World, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    until(world, &["incident", "show", "log4shell", "--all"], holds).await
}

/// The base with log4j 2.14.1, and on it P1, P2 with a jar of its own, and P4 in a late ring and frozen; O1 stands alone.
async fn before() -> Result<(World, super::signer::Signer)> {
    let options = [
        ("ROADBED_REBASE__NORMAL_AFTER", "1s"),
        ("ROADBED_REBASE__LATE_AFTER", "1s"),
    ];
    let (world, platform) = on_signed_base(&options, &["p1", "p4"]).await?;
    world.import(&facts())?;
    let own = rebase::with_files(&[("app/lib/log4j-core.jar", log4j_core("2.13.3"))]);
    push(&world, "team/p2", "v1", &own).await?;
    let alone = Image::of(
        "o1",
        &[Layer::of_files(&[("app/log4j-core.jar", log4j_core("2.14.1"))])],
    );
    push(&world, "team/o1", "v1", &alone).await?;
    let today = time::OffsetDateTime::now_utc().date();
    let follows = format!("{{ring: canary, autoRebase: true, {UNTIL}}}");
    say(
        &world,
        &[
            ("p1", &follows),
            ("p2", &format!("{{autoRebase: true, {UNTIL}}}")),
            (
                "p4",
                &format!("{{ring: late, autoRebase: true, freeze: [{today}/{today}], {UNTIL}}}"),
            ),
        ],
    )?;
    for name in ["p1", "p2", "p4", "o1"] {
        let affected = |said: &Value| said.to_string().contains(&format!("team/{name}"));
        until(&world, &["affected", "CVE-2021-44228"], affected).await?;
    }
    Ok((world, platform))
}

#[tokio::test]
async fn a_patched_base_closes_what_stands_on_it_and_what_has_its_own_jar_says_so() -> Result<()> {
    let (world, platform) = before().await?;
    world.roadbed(&[
        "incident",
        "open",
        "GHSA-jfh8-c2jp-5v3q",
        "--id",
        "log4shell",
        "--title",
        "Log4Shell",
    ])?;
    let open = |names: &'static [&str]| {
        move |said: &Value| names.iter().all(|name| line(said, name)["state"] == "open")
    };
    incident(
        &world,
        open(&["team/p1:v1", "team/p2:v1", "team/p4:v1", "team/o1:v1"]),
    )
    .await?;

    let patched = rebase::release(2);
    push(&world, "base/java", "2", &patched).await?;
    sign(&world, "base/java", &patched.document, &platform).await?;
    report(&world, |said| in_state(said, "moved").len() == 3).await?;
    let thawed = world.roadbed(&["audit", "--kind", "rebase.thaw", "--output", "json"])?;
    ensure!(
        thawed.contains("team/p4:v1") && thawed.contains("log4shell"),
        "{thawed}"
    );

    let over = incident(&world, |said| {
        let is_fixed = |name: &str| line(said, name)["state"] == "fixed";
        is_fixed("team/p1:v1") && is_fixed("team/p4:v1") && line(said, "team/p2:v1-p1")["state"] == "open"
    })
    .await?;
    let own = line(&over, "team/p2:v1-p1");
    let remedies = own["remedies"].as_array().context("there is something to do")?;
    ensure!(
        remedies.iter().any(|remedy| remedy["do"] == "upgrade")
            && !remedies.iter().any(|remedy| remedy["do"] == "take-base"),
        "it is its own jar: {own:#}"
    );
    let alone = line(&over, "team/o1:v1");
    ensure!(
        alone["state"] == "open" && alone["cohort"] == "own-road",
        "{alone:#}"
    );
    ensure!(line(&over, "team/p1:v1")["cohort"] == "paved", "{over:#}");
    Ok(())
}
