//! A pull of what is cached makes no database call.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use crate::harness::{
    client::Client,
    login::Login,
    manifest::{Draft, INDEX, small_image},
    metrics::Metrics,
    push::blob_path,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

const REPOSITORY: &str = "cached/app";

/// Rounds of pulls that are counted.
const ROUNDS: u64 = 160;

/// How seldom something goes on beside requests, at most; what is still rarer is in [`RARER_CALLS`].
const RAREST: Duration = Duration::from_secs(10);

/// In so long a time everything that goes on beside requests has gone on once.
const WINDOW: Duration = Duration::from_secs(12);

/// Calls that a server at rest makes in a [`WINDOW`], at most.
const CALLS_AT_REST: u64 = 40;

/// What comes more rarely: whether there is anybody to be told (every 30 seconds), where all images stand (once a minute, if there
/// is news: read, kept, and looked at by those who follow what is written).
const RARER_CALLS: u64 = 10;

/// Pulls are noted together, in one call: once a second, or so many of them.
const NOTED_EVERY: Duration = Duration::from_secs(1);
const NOTED_AT_ONCE: u64 = 512;

/// One call for so many pulls is too much.
const PULLS_OF_A_CALL: u64 = 50;

/// How long what follows a push may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// Everything a node asks for: tag and digest, HEAD and GET, an index, an image, its blobs.
async fn pull_all(client: &Client, paths: &[String]) -> Result<()> {
    for path in paths {
        for method in ["HEAD", "GET"] {
            client
                .request(method, path)
                .header("accept", INDEX)
                .send()
                .await?
                .expect(&[200])?;
        }
    }
    Ok(())
}

/// Pushes an image and an index of it, and waits until they are decided. Answers the paths of all that a node asks for.
async fn pushed(server: &Server) -> Result<Vec<String>> {
    let admin = server.admin();
    let (blobs, image) = small_image("cached");
    admin.push_image(REPOSITORY, "v1", &blobs, &image).await?;
    let index = Draft::index(vec![image.descriptor_for("amd64")]).finish();
    admin
        .push_manifest(REPOSITORY, "multi", &index)
        .await?
        .expect(&[201])?;
    let (deadline, asking) = (
        Instant::now() + PATIENCE,
        server.client(Login::basic(ADMIN, ADMIN_PASSWORD)),
    );
    loop {
        let asked = format!("/api/v1/decisions?repository={REPOSITORY}&reference=multi");
        let said = asking.get(asked).send().await?.expect(&[200])?;
        let said: Value = serde_json::from_slice(&said.body)?;
        if said["outcome"] != "undecided" {
            break;
        }
        ensure!(Instant::now() < deadline, "{said:#}");
        sleep(Duration::from_millis(100)).await;
    }
    let manifests = ["v1", "multi", &image.digest, &index.digest];
    let manifests = manifests
        .iter()
        .map(|reference| format!("/v2/{REPOSITORY}/manifests/{reference}"));
    Ok(manifests
        .chain(blobs.iter().map(|blob| blob_path(REPOSITORY, &blob.digest)))
        .collect())
}

async fn database_calls(server: &Server) -> Result<u64> {
    Metrics::read(server).await?.sum("database_calls_total", &[])
}

/// Waits until nothing that follows a push goes on. Answers the calls that are made in a [`WINDOW`] all the same.
async fn at_rest(server: &Server) -> Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = database_calls(server).await?;
        sleep(WINDOW).await;
        let calls = database_calls(server).await? - before;
        if calls <= CALLS_AT_REST {
            return Ok(calls);
        }
        ensure!(
            Instant::now() < deadline,
            "a server at rest makes {calls} database calls in {WINDOW:?}"
        );
    }
}

/// Calls that are made while pulls go on for so long, without being made for a pull.
fn beside_pulls(at_rest: u64, pulls: u64, took: Duration) -> u64 {
    let begun = |every: Duration| took.as_secs() / every.as_secs() + 1;
    // One more: of pulls before.
    let noted = begun(NOTED_EVERY) + 1 + pulls / NOTED_AT_ONCE;
    at_rest * begun(RAREST) + RARER_CALLS + noted
}

async fn cached_pulls() -> Result<()> {
    let options = Options::default().environment("ROADBED_STORAGE__COLLECT_INTERVAL", "1h");
    let server = Server::start_with(options).await;
    let paths = pushed(&server).await?;
    let clients = [server.admin(), server.client(Login::basic(ADMIN, ADMIN_PASSWORD))];
    for client in &clients {
        pull_all(client, &paths).await?;
    }
    let at_rest = at_rest(&server).await?;
    let (before, began) = (Metrics::read(&server).await?, Instant::now());
    for _ in 0..ROUNDS {
        for client in &clients {
            pull_all(client, &paths).await?;
        }
    }
    let (after, took) = (Metrics::read(&server).await?, began.elapsed());
    let counted = |name: &str| Ok::<u64, anyhow::Error>(after.sum(name, &[])? - before.sum(name, &[])?);
    let pulls = ROUNDS * 2 * 2 * paths.len() as u64;
    ensure!(
        CALLS_AT_REST + RARER_CALLS < pulls / PULLS_OF_A_CALL,
        "{pulls} pulls are too few to be told from what goes on beside them"
    );
    let (calls, beside) = (
        counted("database_calls_total")?,
        beside_pulls(at_rest, pulls, took),
    );
    ensure!(
        calls <= beside,
        "{calls} database calls while {pulls} pulls took {took:?}, and {at_rest} in {WINDOW:?} at rest: at most {beside} were to be made"
    );
    for misses in [
        "manifest_cache_misses_total",
        "blob_cache_misses_total",
        "password_hashes_total",
    ] {
        ensure!(
            counted(misses)? == 0,
            "{misses} grew by {} with {pulls} pulls",
            counted(misses)?
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_cached_pull_makes_no_database_call() {
    cached_pulls().await.unwrap();
}
