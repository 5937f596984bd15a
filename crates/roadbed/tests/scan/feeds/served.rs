//! A server that fetches by itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::mirror::Mirror;
use crate::{
    harness::server::{ADMIN, ADMIN_PASSWORD, FEEDS_ENABLED},
    scan::{images::Image, world::World},
};

pub(super) const PATIENCE: Duration = Duration::from_mins(1);

const LATER: &str = "2023-01-01T00:00:00Z";

pub(super) async fn start(variables: &[(&'static str, String)]) -> Result<World> {
    let mut variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    variables.push((FEEDS_ENABLED, "true"));
    World::start(&variables).await
}

/// Runs a command against the server, and answers its JSON.
pub(super) async fn run(world: &World, words: &'static [&'static str]) -> Result<(bool, Value, String)> {
    let mut command = world.server.command();
    command
        .args(["--output", "json"])
        .args(words)
        .env("ROADBED_URL", world.server.url())
        .env("ROADBED_USER", ADMIN)
        .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ok((output.status.success(), answer, said))
}

/// Waits until every source was tried.
async fn until_tried(world: &World, sources: usize) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, status, said) = run(world, &["advisories", "status"]).await?;
        let tried = status["sources"].as_array().into_iter().flatten();
        if tried.filter(|source| !source["tried_at"].is_null()).count() == sources {
            return Ok(status);
        }
        ensure!(Instant::now() < deadline, "not tried: {status} {said}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// The whole way: a server that was just started, a feed behind an authority of its own, and an image that is refused.
#[tokio::test]
async fn a_fresh_server_refuses_what_its_feeds_know() -> Result<()> {
    let mirror = Mirror::start_tls().await;
    let files = tempfile::tempdir()?;
    let authority = files.path().join("ca.pem");
    std::fs::write(&authority, mirror.server.authority())?;
    let mut variables = mirror.variables();
    variables.push(("ROADBED_FEEDS__CA_FILE", authority.to_string_lossy().into_owned()));
    let world = start(&variables).await?;
    let status = until_tried(&world, 4).await?;
    ensure!(
        status["sources"]
            .as_array()
            .into_iter()
            .flatten()
            .all(|source| source["state"] == "fresh"),
        "{status}"
    );
    assert_eq!(
        (&status["generation"], &status["imports"][0]["by"]),
        (&1.into(), &"system".into())
    );
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    world.push("good", &Image::with_log4j("2.17.1")).await?;
    let refused = world
        .decided("bad")
        .await?
        .expect_error(403, "DENIED")?
        .error_message()?;
    ensure!(
        refused.contains("CVE-2021-44228") && refused.contains("2.15.0"),
        "{refused}"
    );
    world.decided("good").await?.expect(&[200])?;

    // On demand, through the server.
    let (succeeded, report, said) = run(&world, &["advisories", "sync"]).await?;
    ensure!(succeeded && report["generation"].is_null(), "{report} {said}");
    mirror.put("Maven", "TEST-M-1", LATER);
    let (succeeded, report, said) = run(&world, &["advisories", "sync", "--source", "Maven"]).await?;
    ensure!(succeeded && report["generation"] == 2, "{report} {said}");

    // The directory is served: nobody else fetches into it.
    let mut command = world.server.command();
    command
        .args(["advisories", "sync", "--data"])
        .arg(world.server.data());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        !output.status.success() && said.contains("a server runs on this directory"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn feeds_that_cannot_be_reached_are_one_warning_and_no_trouble() -> Result<()> {
    let mirror = Mirror::start().await;
    let mut variables = mirror.variables();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    variables.retain(|(name, _)| *name != "ROADBED_FEEDS__OSV");
    variables.push(("ROADBED_FEEDS__OSV", format!("http://{nobody}/")));
    let mut world = start(&variables).await?;
    let status = until_tried(&world, 4).await?;
    let state = |name: &str| {
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        let found = sources.into_iter().find(|source| source["source"] == name);
        found.unwrap_or_default()
    };
    assert_eq!(
        (&state("kev")["state"], &state("Maven")["state"]),
        (&"fresh".into(), &"never".into())
    );
    let error = state("npm")["error"].to_string();
    ensure!(
        error.contains("cannot reach 127.0.0.1") && error.contains("feeds.proxy"),
        "{error}"
    );
    world.push("good", &Image::with_log4j("2.17.1")).await?;
    world.decided("good").await?.expect(&[200])?;
    let (succeeded, _, said) = run(&world, &["advisories", "sync"]).await?;
    ensure!(
        !succeeded && said.contains("2 of 4 sources could not be fetched"),
        "{said}"
    );
    assert!(world.server.terminate().await.success());
    let log = world.server.log();
    assert_eq!(
        log.matches("advisories could not be fetched; ").count(),
        1,
        "{log}"
    );
    Ok(())
}
