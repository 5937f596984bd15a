//! The database is away, or an administrator has stopped changes: pulls of what is in memory go on, everything else is told at once to
//! come again, everybody can see why, and nothing has to be restarted afterwards.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use store::Timestamp;
use tokio::time::sleep;

use crate::harness::{
    client::Client,
    content::{Algorithm, Blob},
    login::Login,
    manifest::{Document, Draft, small_image},
    metrics::Metrics,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

const REPOSITORY: &str = "away/app";

/// How long the server may take to notice that something is wrong, or right again.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// How long it may take until the image is decided, on a busy machine.
const DECIDED_WITHIN: Duration = Duration::from_mins(3);

/// How long somebody may be kept waiting who is told to come again.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Requests that must not wait for each other.
const MANY: usize = 50;

/// Cold pulls at the same time.
const COLD: usize = 100;

/// Pulls that may ask the database at the same time, half of them for one user.
const COLD_LOOKUPS: &str = "16";

/// Questions that these may cost together, with what goes on beside them.
const COLD_CALLS: u64 = 60;

struct World {
    server: Server,
    client: Client,
    blobs: Vec<Blob>,
    image: Document,
    index: Document,
}

impl World {
    /// A server that has an image in memory.
    async fn new() -> Result<Self> {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Result<Self> {
        let options = options.environment("ROADBED_STORAGE__LOCK_WAIT", "300ms");
        let server = Server::start_with(options).await;
        let client = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
        let (blobs, image) = small_image("away");
        client.push_image(REPOSITORY, "v1", &blobs, &image).await?;
        let index = Draft::index(vec![image.descriptor_for("amd64")]).finish();
        client
            .push_manifest(REPOSITORY, "multi", &index)
            .await?
            .expect(&[201])?;
        let world = Self {
            server,
            client,
            blobs,
            image,
            index,
        };
        let deadline = Instant::now() + DECIDED_WITHIN;
        // Until it was looked into and judged, pulls are held.
        while let Err(error) = world.pull().await {
            ensure!(Instant::now() < deadline, "it is not served: {error:#}");
        }
        Ok(world)
    }

    async fn pull(&self) -> Result<()> {
        self.client.check_manifest(REPOSITORY, "v1", &self.image).await?;
        self.client
            .check_manifest(REPOSITORY, &self.image.digest, &self.image)
            .await?;
        self.client
            .check_manifest(REPOSITORY, "multi", &self.index)
            .await?;
        for blob in &self.blobs {
            self.client.check_blob(REPOSITORY, blob).await?;
        }
        Ok(())
    }

    async fn push(&self, name: &str) -> Result<u16> {
        let blob = Blob::noise(Algorithm::Sha256, name, 1_000);
        let request = self
            .client
            .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
            .query("digest", &blob.digest)
            .body(blob.bytes.clone());
        let answer = request.send().await?;
        if answer.status == 503 {
            answer.require("retry-after")?;
            ensure!(answer.error_code()? == "UNAVAILABLE", "{}", answer.summary());
        }
        Ok(answer.status)
    }

    async fn mode(&self, wanted: &str) -> Result<String> {
        let deadline = Instant::now() + NOTICED_WITHIN;
        loop {
            let answer = self.client.get("/readyz").send().await?.expect(&[200])?;
            let text = String::from_utf8(answer.body.to_vec())?;
            if text.starts_with(wanted) {
                return Ok(text);
            }
            ensure!(Instant::now() < deadline, "not {wanted}: {text}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn database(&self) -> (PathBuf, PathBuf) {
        let data = self.server.data();
        (data.join("roadbed.db"), data.join("roadbed.db.aside"))
    }
}

/// Many who ask for what is not in memory, and many who push: each is told at once.
async fn are_told_at_once(world: &World) -> Result<()> {
    let started = Instant::now();
    for number in 0..MANY {
        let path = format!("/v2/{REPOSITORY}/manifests/unknown-{number}");
        let answer = world.client.get(path).send().await?;
        answer.expect_error(503, "UNAVAILABLE")?.require("retry-after")?;
        ensure!(world.push(&format!("refused {number}")).await? == 503);
    }
    let path = format!("/v2/{REPOSITORY}/tags/list");
    world.client.get(path).send().await?.expect(&[503])?;
    world
        .client
        .get("/api/v1/repositories")
        .send()
        .await?
        .expect(&[503])?;
    ensure!(
        started.elapsed() < AT_ONCE * 5,
        "{} requests took {:?}",
        2 * MANY + 2,
        started.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn without_its_database_it_serves_what_it_has_and_recovers() -> Result<()> {
    let world = World::new().await?;
    ensure!(world.mode("ready").await? == "ready\n");
    let (database, aside) = world.database();
    fs::rename(&database, &aside)?;
    let text = world.mode("degraded: database away since ").await?;
    ensure!(text.contains("put it back"), "{text}");
    let told = world
        .client
        .get("/readyz")
        .header("accept", "application/json")
        .send()
        .await?
        .expect(&[200])?
        .json()?;
    ensure!(told["mode"] == "degraded", "{told}");
    ensure!(told["database_away"]["reason"] == "missing", "{told}");
    world.pull().await?;
    are_told_at_once(&world).await?;
    world.pull().await?;
    // Who may pull is known without the database, also to whom no token was given before.
    let signs_in = world.server.admin();
    signs_in.check_manifest(REPOSITORY, "v1", &world.image).await?;
    let metrics = Metrics::read(&world.server).await?;
    ensure!(metrics.sum("database_away", &[])? == 1);
    ensure!(metrics.sum("database_read_only", &[])? == 1);
    fs::rename(&aside, &database)?;
    world.mode("ready").await?;
    ensure!(world.push("afterwards").await? == 201);
    let metrics = Metrics::read(&world.server).await?;
    ensure!(metrics.sum("database_away", &[])? == 0);
    let log = world.server.log();
    for line in ["the database is away: pulls of", "the database is back"] {
        ensure!(
            log.matches(line).count() == 1,
            "{line:?} is not in the log once:\n{log}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_lost_its_database_does_not_begin_a_new_one() -> Result<()> {
    let mut world = World::new().await?;
    let (database, aside) = world.database();
    world.server.kill();
    fs::rename(&database, &aside)?;
    let output = world
        .server
        .command()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(world.server.data())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && said.contains("is gone"), "{said}");
    ensure!(!database.exists(), "an empty database was made");
    fs::rename(&aside, &database)?;
    world.server.start_again().await;
    let client = world.server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    client.check_manifest(REPOSITORY, "v1", &world.image).await
}

/// A registry that is maintained is asked for too much like any other one.
async fn ban_and_lift(world: &World) -> Result<()> {
    const MEASURES: &str = "/api/v1/traffic/measures";
    const WHO: &str = "198.51.100.0/24";
    let now = Timestamp::from(std::time::SystemTime::now());
    let until = now.plus(Duration::from_mins(10)).to_rfc3339();
    let wanted = json!({ "who": WHO, "kind": "ban", "until": until, "reason": "floods us" });
    let request = world
        .client
        .put(MEASURES)
        .header("content-type", "application/json");
    request.body(wanted.to_string()).send().await?.expect(&[200])?;
    let request = world.client.delete(MEASURES).query("who", WHO);
    request.send().await?.expect(&[204])?;
    Ok(())
}

#[tokio::test]
async fn while_it_is_maintained_nothing_is_pushed_and_everything_pulled() -> Result<()> {
    let mut world = World::new().await?;
    let request = world
        .client
        .put("/api/v1/maintenance")
        .header("content-type", "application/json");
    let wanted = json!({ "reason": "the disk is moved" });
    request.body(wanted.to_string()).send().await?.expect(&[200])?;
    let text = world.mode("read-only: maintenance since ").await?;
    ensure!(text.contains("the disk is moved"), "{text}");
    ensure!(world.push("refused").await? == 503);
    let manifest = world
        .client
        .put(format!("/v2/{REPOSITORY}/manifests/v2"))
        .header("content-type", &world.image.media_type)
        .body(world.image.bytes.clone());
    let message = manifest.send().await?.expect(&[503])?.error_message()?;
    ensure!(message.contains("the disk is moved"), "{message}");
    let tag = format!("/v2/{REPOSITORY}/manifests/v1");
    world.client.delete(tag).send().await?.expect(&[503])?;
    world.pull().await?;
    ensure!(Metrics::read(&world.server).await?.sum("maintenance", &[])? == 1);
    ban_and_lift(&world).await?;
    ensure!(world.server.terminate().await.success());
    world.server.start_again().await;
    world.client = world.server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    world.mode("read-only").await?;
    world.pull().await?;
    world
        .client
        .delete("/api/v1/maintenance")
        .send()
        .await?
        .expect(&[200])?;
    world.mode("ready").await?;
    ensure!(world.push("afterwards").await? == 201);
    Ok(())
}

#[tokio::test]
async fn a_hundred_cold_pulls_after_a_restart_do_not_stampede() -> Result<()> {
    // Far fewer pulls may ask the database than come: those that wait for an answer do not ask.
    let options = Options::default().environment("ROADBED_REGISTRY__CONCURRENT_LOOKUPS", COLD_LOOKUPS);
    let mut world = World::with(options).await?;
    world.server.kill();
    world.server.start_again().await;
    let client = world.server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let before = Metrics::read(&world.server)
        .await?
        .sum("database_calls_total", &[])?;
    let path = format!("/v2/{REPOSITORY}/manifests/v1");
    let pulls = (0..COLD).map(|_| {
        let request = client.get(&path);
        async move { request.send().await?.expect(&[200]) }
    });
    for answer in futures_util::future::join_all(pulls).await {
        answer.context("a cold pull")?.expect_body(&world.image.bytes)?;
    }
    let after = Metrics::read(&world.server)
        .await?
        .sum("database_calls_total", &[])?;
    ensure!(
        after - before <= COLD_CALLS,
        "{COLD} cold pulls of one manifest made {} database calls",
        after - before
    );
    Ok(())
}
