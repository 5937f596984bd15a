//! A pull of what is cached makes no database call.

use anyhow::{Result, ensure};

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
const ROUNDS: u64 = 60;

/// Calls that have nothing to do with the pulls: batches of the pull log, looks at whether access data changed.
const BACKGROUND_CALLS: u64 = 25;

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

async fn cached_pulls() -> Result<()> {
    let options = Options::default().environment("ROADBED_STORAGE__COLLECT_INTERVAL", "1h");
    let server = Server::start_with(options).await;
    let admin = server.admin();
    let (blobs, image) = small_image("cached");
    admin.push_image(REPOSITORY, "v1", &blobs, &image).await?;
    let index = Draft::index(vec![image.descriptor_for("amd64")]).finish();
    admin
        .push_manifest(REPOSITORY, "multi", &index)
        .await?
        .expect(&[201])?;
    let manifests = ["v1", "multi", &image.digest, &index.digest];
    let manifests = manifests
        .iter()
        .map(|reference| format!("/v2/{REPOSITORY}/manifests/{reference}"));
    let paths: Vec<String> = manifests
        .chain(blobs.iter().map(|blob| blob_path(REPOSITORY, &blob.digest)))
        .collect();
    let clients = [server.admin(), server.client(Login::basic(ADMIN, ADMIN_PASSWORD))];
    for client in &clients {
        pull_all(client, &paths).await?;
    }
    let before = Metrics::read(&server).await?;
    for _ in 0..ROUNDS {
        for client in &clients {
            pull_all(client, &paths).await?;
        }
    }
    let after = Metrics::read(&server).await?;
    let counted = |name: &str| Ok::<u64, anyhow::Error>(after.sum(name, &[])? - before.sum(name, &[])?);
    let pulls = ROUNDS * 2 * 2 * paths.len() as u64;
    let calls = counted("database_calls_total")?;
    ensure!(
        calls <= BACKGROUND_CALLS,
        "{calls} database calls for {pulls} pulls"
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
