//! Images that are fetched before somebody pulls them, and how upstreams are.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::world::{World, manifest, until};
use crate::harness::{
    client::Client,
    login::Login,
    manifest::{Draft, small_image},
    metrics::Metrics,
    server::{ADMIN, ADMIN_PASSWORD, Server},
};

/// Two lists; both have their first turn within seconds.
const LISTS: &str = "
[[proxy.prefetch]]
images = [\"hub/library/one:1\"]
every = \"1m\"

[[proxy.prefetch]]
repository = \"hub/library/many\"
tags = \"3.*\"
newest = 2
platforms = [\"linux/arm64\"]
every = \"1m\"
";

fn admin(server: &Server) -> Client {
    server.client(Login::basic(ADMIN, ADMIN_PASSWORD))
}

/// What is listed of an upstream when it is as wanted.
async fn upstream(server: &Server, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let client = admin(server);
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let report = client
            .get("/api/v1/upstreams")
            .send()
            .await?
            .expect(&[200])?
            .json()?;
        let hub = report["upstreams"][0].clone();
        if wanted(&hub) {
            return Ok(hub);
        }
        ensure!(Instant::now() < deadline, "never as wanted: {hub}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn states(hub: &Value) -> Vec<(&str, &str)> {
    let list = hub["prefetches"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    list.iter()
        .map(|entry| {
            (
                entry["images"].as_str().unwrap_or_default(),
                entry["state"].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

async fn lists() -> Result<()> {
    let world = World::start_with(LISTS, &[("ROADBED_SCAN__ENABLED", "false")]).await?;
    let (blobs, one) = small_image("one");
    world.upstream.add("library/one", "1", &blobs, &one);
    let mut arm64 = Vec::new();
    for tag in ["2.9", "3.1", "3.2", "3.10", "latest"] {
        let (blobs, amd) = small_image(&format!("amd64 {tag}"));
        world
            .upstream
            .add("library/many", &format!("amd64-{tag}"), &blobs, &amd);
        let (blobs, arm) = small_image(&format!("arm64 {tag}"));
        world
            .upstream
            .add("library/many", &format!("arm64-{tag}"), &blobs, &arm);
        let index = Draft::index(vec![amd.descriptor_for("amd64"), arm.descriptor_for("arm64")]).finish();
        world.upstream.add("library/many", tag, &[], &index);
        arm64.push((tag, arm));
    }
    let done = |hub: &Value| {
        let states = states(hub);
        states.len() == 2 && states.iter().all(|(_, state)| *state == "done")
    };
    let hub = upstream(&world.server, done).await?;
    ensure!(hub["reached"] == true && hub["since"].is_string(), "{hub}");
    ensure!(
        hub["prefetches"][1]["here"] == 2 && hub["prefetches"][1]["next_at"].is_string(),
        "{hub}"
    );
    let asked = world.upstream.count("GET", "/");
    world
        .node
        .get(manifest("one", "1"))
        .send()
        .await?
        .expect(&[200])?;
    for (tag, arm) in &arm64 {
        let is_wanted = ["3.2", "3.10"].contains(tag);
        let held = world.upstream.count("GET", &arm.digest) > 0;
        ensure!(held == is_wanted, "{tag}: {held}");
        if is_wanted {
            world
                .node
                .get(manifest("many", &arm.digest))
                .send()
                .await?
                .expect(&[200])?;
        }
    }
    ensure!(world.upstream.count("GET", "/") == asked, "all of it was here");
    let metrics = Metrics::read(&world.server).await?;
    ensure!(
        metrics.sum("upstream_prefetched_total", &["upstream=\"hub\""])? == 3,
        "three images"
    );
    by_hand(&world).await?;
    not_reached(world).await
}

/// Whether a command was done, and what it said; on a thread of its own, because the upstream answers on this one.
async fn command(world: &World, arguments: &'static [&'static str]) -> Result<(bool, String)> {
    let mut command = world.server.command();
    command
        .args(arguments)
        .env("ROADBED_URL", world.server.url())
        .env("ROADBED_USER", ADMIN)
        .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

async fn by_hand(world: &World) -> Result<()> {
    let (blobs, two) = small_image("two");
    world.upstream.add("library/two", "1", &blobs, &two);
    let (is_done, text) = command(world, &["upstream", "prefetch", "hub/two:1"]).await?;
    ensure!(
        is_done && text.contains("hub/library/two:1: 1 image here"),
        "{text}"
    );
    let (is_done, text) = command(world, &["upstream", "prefetch", "hub/library/three:1"]).await?;
    ensure!(!is_done && text.contains("it has no such thing"), "{text}");
    let (is_done, text) = command(world, &["upstream", "prefetch", "local/app:1"]).await?;
    ensure!(!is_done && text.contains("below no upstream"), "{text}");
    let (is_done, text) = command(world, &["upstream", "list"]).await?;
    ensure!(
        is_done && text.contains("yes, since") && text.contains("prefetch hub/library/two:1"),
        "{text}"
    );
    let stranger = world
        .node
        .with_login(Login::basic("node", crate::harness::admin::USER_PASSWORD));
    stranger.get("/api/v1/upstreams").send().await?.expect(&[403])?;
    let body = json!({ "images": ["hub/library/two:1"] }).to_string();
    let asked = stranger
        .post("/api/v1/upstreams/prefetches")
        .header("content-type", "application/json")
        .body(body);
    asked.send().await?.expect(&[403])?;
    Ok(())
}

async fn not_reached(world: World) -> Result<()> {
    let (server, node, _configuration) = world.without_upstream();
    node.get(manifest("other", "1")).send().await?.expect(&[503])?;
    let hub = upstream(&server, |hub| hub["reached"] == false).await?;
    ensure!(
        hub["last_error"]
            .as_str()
            .is_some_and(|text| text.contains("cannot be reached")),
        "{hub}"
    );
    let anybody = server.client(Login::Anonymous);
    let says = |answer: &crate::harness::answer::Answer| {
        answer.status == 200
            && String::from_utf8_lossy(&answer.body).contains("upstream hub not reached since")
    };
    until(&anybody, "/readyz", says).await?;
    Ok(())
}

#[tokio::test]
async fn lists_are_fetched_before_somebody_pulls() {
    lists().await.unwrap();
}

#[tokio::test]
async fn a_check_opens_the_files_that_upstreams_name() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start().await;
    let file = directory.path().join("roadbed.toml");
    for (line, told) in [
        (
            "username = \"bot\"\npassword_file = \"/nowhere/password\"",
            "cannot read /nowhere/password",
        ),
        ("ca_file = \"/nowhere/ca.pem\"", "cannot read /nowhere/ca.pem"),
        (
            "username = \"bot\"\npassword_env = \"ROADBED_TEST_NOT_SET\"",
            "ROADBED_TEST_NOT_SET is not set",
        ),
    ] {
        let text = format!("[[proxy.upstreams]]\nname = \"quay\"\nurl = \"https://quay.io\"\n{line}\n");
        std::fs::write(&file, text).unwrap();
        let output = server
            .command()
            .args(["config", "check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{line}");
        assert!(text.contains("quay") && text.contains(told), "{line}: {text}");
    }
}
