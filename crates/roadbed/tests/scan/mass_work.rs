//! Images that cannot follow their base: what their owners are asked for, who sees it, and when it is over.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::images::{Image, log4j_core};
use super::mass::{in_state, on_signed_base, report, say, sign};
use super::rebase::{self, push, refused, until};
use super::signer::Signer;
use super::world::{World, facts};
use crate::harness::{admin, client::Client, login::Login};

const AUTO: &str = "{autoRebase: true, until: 2099-01-01}";

/// The base moves to its second release.
async fn moved(names: &[&str]) -> Result<(World, Signer)> {
    let (world, platform) = on_signed_base(&[], names).await?;
    world.import(&facts())?;
    let own = rebase::with_files(&[("app/log4j-core.jar", log4j_core("2.14.1"))]);
    push(&world, "team/own", "v1", &own).await?;
    let on_base = |said: &Value| said["images"][0]["lineage"]["stack"][0]["base"] == "java";
    until(&world, &["lineage", "team/own:v1"], on_base).await?;
    let said: Vec<(&str, &str)> = names.iter().map(|name| (*name, AUTO)).collect();
    say(&world, &said)?;
    say(&world, &[("own", AUTO)])?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    sign(&world, "base/java", &second.document, &platform).await?;
    Ok((world, platform))
}

/// What is asked for, once it is so.
async fn work(world: &World, options: &[&str], holds: impl Fn(&Value) -> bool) -> Result<Value> {
    until(world, &[&["road", "work"], options].concat(), holds).await
}

fn count(said: &Value) -> usize {
    said["items"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn what_cannot_follow_asks_its_owner_until_it_stands_on_the_release() -> Result<()> {
    let (world, _platform) = moved(&["one", "built"]).await?;
    let done = report(&world, |said| in_state(said, "moved").len() == 2).await?;
    for item in in_state(&done, "moved") {
        ensure!(item["followed_by"] == "v1-p1", "{item:#}");
        let remains = item["remains"].as_str().unwrap_or_default();
        let is_own = item["repository"] == "team/own";
        let own = "CVE-2021-44228 in org.apache.logging.log4j:log4j-core 2.14.1";
        ensure!(is_own == remains.contains(own), "{item:#}");
    }
    let shown = world.roadbed(&["rebase", "report", "java"])?;
    ensure!(
        shown.contains("FOLLOWED BY") && shown.contains("still affected by its own"),
        "{shown}"
    );

    let asked = work(&world, &["--application", "built"], |said| count(said) == 1).await?;
    let item = &asked["items"][0];
    ensure!(item["line"] == "FROM base/java:1", "{item:#}");
    let new_line = item["new_line"].as_str().context("a line")?;
    ensure!(new_line.starts_with("FROM base/java:2@sha256:"), "{item:#}");
    ensure!(
        item["fixes"][0]["id"] == "CVE-2021-44228" && item["asks"] == "rebuild",
        "{item:#}"
    );
    let why = item["reasons"][0]["text"].as_str().unwrap_or_default();
    ensure!(
        why.contains("usr/bin/tool") && item["owner"] == "group:team",
        "{item:#}"
    );
    let events = world.roadbed(&["audit", "--kind", "road.work", "--output", "json"])?;
    ensure!(events.contains("\"open\""), "{events}");

    // Whoever may pull the image alone sees what is about it.
    let ann = person(&world, "ann", "team/built").await?;
    let seen = ann.get("/api/v1/rebases/report?base=java").send().await?;
    let seen: Value = seen.expect(&[200])?.json()?;
    ensure!(
        count(&seen) == 1 && seen["items"][0]["repository"] == "team/built",
        "{seen:#}"
    );
    let signers = (&done["signer"], &seen["signer"], &seen["withheld"]);
    ensure!(
        *signers.0 == "platform" && signers.1.is_null() && *signers.2 == true,
        "who signs the base is for those who may pull it: {signers:?}"
    );
    let seen = ann.get("/api/v1/road/work").send().await?;
    ensure!(count(&seen.expect(&[200])?.json()?) == 1);
    let bob = person(&world, "bob", "other/**").await?;
    bob.get("/api/v1/rebases/report?base=java")
        .send()
        .await?
        .expect(&[409])?;
    let seen = bob.get("/api/v1/road/work").send().await?;
    ensure!(count(&seen.expect(&[200])?.json()?) == 0);

    let rebuilt = rebase::on_release(2, &[("app/main", b"built anew".to_vec())]);
    push(&world, "team/built", "v1", &rebuilt).await?;
    work(&world, &["--state", "done"], |said| count(said) == 1).await?;
    let open: Value = serde_json::from_str(&world.roadbed(&["road", "work", "--output", "json"])?)?;
    ensure!(count(&open) == 0, "{open:#}");
    Ok(())
}

#[tokio::test]
async fn a_newer_release_asks_anew_and_each_release_has_its_report() -> Result<()> {
    let (world, platform) = moved(&["built"]).await?;
    work(&world, &[], |said| said["items"][0]["version"] == "2").await?;
    let third: Image = rebase::release(3);
    push(&world, "base/java", "3", &third).await?;
    let unsigned = report(&world, |said| {
        said["releases"].as_array().is_some_and(|all| all.len() == 2)
    })
    .await?;
    ensure!(
        count(&unsigned) > 0,
        "what stands on the release that counts is still told: {unsigned:#}"
    );
    sign(&world, "base/java", &third.document, &platform).await?;
    work(&world, &[], |said| {
        count(said) == 1 && said["items"][0]["version"] == "3"
    })
    .await?;
    work(&world, &["--state", "superseded"], |said| count(said) == 1).await?;
    let now = report(&world, |said| in_state(said, "impossible").len() == 1).await?;
    ensure!(now["earlier"] == serde_json::json!(["2"]), "{now:#}");
    let earlier = until(&world, &["rebase", "report", "java", "--release", "2"], |_| true).await?;
    ensure!(in_state(&earlier, "moved").len() == 1, "{earlier:#}");
    let none = refused(&world, &["rebase", "report", "java", "--release", "9"])?;
    ensure!(
        none.contains("no release `9` of which there is a report"),
        "{none}"
    );
    let wrong = refused(&world, &["road", "work", "--state", "over"])?;
    ensure!(wrong.contains("no such state"), "{wrong}");
    Ok(())
}

#[tokio::test]
async fn what_its_repository_does_not_take_is_told_to_its_owner() -> Result<()> {
    let (world, platform) = on_signed_base(&[], &["full"]).await?;
    say(&world, &[("full", AUTO)])?;
    world.roadbed(&["rule", "set", "team/full", "--quota-bytes", "1KiB"])?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    sign(&world, "base/java", &second.document, &platform).await?;
    let shut_out = report(&world, |said| in_state(said, "impossible").len() == 1).await?;
    let why = in_state(&shut_out, "impossible")[0]["reason"].to_string();
    ensure!(why.contains("the repository may hold"), "{shut_out:#}");
    let asked = work(&world, &["--application", "full"], |said| count(said) == 1).await?;
    let item = &asked["items"][0];
    ensure!(
        item["asks"] == "let-in" && item["class"] == "A" && item["owner"] == "group:team",
        "{item:#}"
    );
    let shown = world.roadbed(&["road", "work"])?;
    ensure!(
        shown.contains("its repository does not take the new image") && shown.contains("may hold"),
        "{shown}"
    );
    Ok(())
}

/// Somebody who may pull from some repositories, and asks the API with a password.
async fn person(world: &World, name: &str, pattern: &str) -> Result<Client> {
    admin::user(&world.server, name, pattern, &["pull"]).await?;
    Ok(world.server.client(Login::basic(name, admin::USER_PASSWORD)))
}
