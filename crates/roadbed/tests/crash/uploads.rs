//! One upload session across restarts: what was acknowledged stays, and the upload goes on from there.

use anyhow::{Result, ensure};

use super::{kills::check_files, pusher::session_path};
use crate::harness::{
    client::Client,
    content::{Algorithm, Blob},
    push::offset_of,
    server::{Options, Server},
};

const REPOSITORY: &str = "crash/resumed";

const LENGTH: usize = 700_000;

const CHUNK: usize = 130_000;

/// Nobody has to be told before the port is closed.
fn without_delay() -> Options {
    Options::default().environment("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s")
}

async fn offset(client: &Client, path: &str) -> Result<usize> {
    offset_of(&client.get(path).send().await?.expect(&[204])?)
}

/// Pushes chunk by chunk, with a restart behind each.
async fn push_across_restarts(server: &mut Server, algorithm: Algorithm, kill: bool) -> Result<()> {
    let blob = Blob::noise(algorithm, &format!("resumed {} {kill}", algorithm.name()), LENGTH);
    let request = server.admin();
    let request = request
        .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
        .query("digest-algorithm", algorithm.name());
    let mut path = session_path(&request.send().await?.expect(&[202])?);
    let mut sent = 0;
    while sent + CHUNK < LENGTH {
        let client = server.admin();
        let range = format!("{sent}-{}", sent + CHUNK - 1);
        let request = client
            .patch(&path)
            .header("content-range", range)
            .body(blob.bytes.slice(sent..sent + CHUNK));
        path = session_path(&request.send().await?.expect(&[202])?);
        sent += CHUNK;
        if kill {
            server.kill();
        } else {
            let status = server.terminate().await;
            ensure!(status.success(), "the server ended with {status}");
        }
        server.start_again().await;
        let kept = offset(&server.admin(), &path).await?;
        ensure!(kept == sent, "{kept} of {sent} acknowledged bytes are left");
    }
    let client = server.admin();
    let rest = blob.bytes.slice(sent..);
    client
        .put(&path)
        .query("digest", &blob.digest)
        .body(rest)
        .send()
        .await?
        .expect(&[201])?;
    client.check_blob(REPOSITORY, &blob).await?;
    client
        .get(&path)
        .send()
        .await?
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    Ok(())
}

#[tokio::test]
async fn uploads_go_on_after_a_restart() {
    let mut server = Server::start_with(without_delay()).await;
    for algorithm in Algorithm::ALL {
        push_across_restarts(&mut server, algorithm, false).await.unwrap();
    }
}

#[tokio::test]
async fn uploads_go_on_after_a_kill() {
    let mut server = Server::start_with(without_delay()).await;
    for algorithm in Algorithm::ALL {
        push_across_restarts(&mut server, algorithm, true).await.unwrap();
    }
    assert!(server.terminate().await.success());
    check_files(&server);
}
