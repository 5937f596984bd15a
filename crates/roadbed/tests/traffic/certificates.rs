//! A certificate that is replaced while the server runs: new connections get the new one, old ones go on.

use std::{
    fs,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::harness::{
    authority::{Authority, Files},
    client::{self, Client},
    content::{Algorithm, Blob},
    login::{Login, basic_header},
    push::blob_path,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

const REPOSITORY: &str = "tls/app";

/// More than the kernel keeps on its way between the two ends of a connection.
const LARGE: usize = 24 * 1024 * 1024;

/// The files are looked at every five seconds.
const RELOADED_BY: Duration = Duration::from_secs(20);

/// Longer than one look at the files.
const ONE_LOOK: Duration = Duration::from_secs(7);

/// Whether a client that trusts only this authority gets through on a new connection.
async fn is_trusted(server: &Server, authority: &Authority) -> bool {
    let client = Client::trusting(
        &server.url(),
        Login::basic(ADMIN, ADMIN_PASSWORD),
        Some(authority.pem()),
    );
    client
        .get("/v2/")
        .send()
        .await
        .is_ok_and(|answer| answer.status == 200)
}

async fn reload() -> Result<()> {
    let directory = TempDir::with_prefix("roadbed-tls-")?;
    let files = Files::in_directory(directory.path());
    let address = [Ipv4Addr::LOCALHOST.into()];
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    old.issue(&address, &files);
    let server = Server::start_with(old.serve(Options::default(), &files)).await;
    ensure!(
        is_trusted(&server, &old).await && !is_trusted(&server, &new).await,
        "the first certificate is served"
    );

    let blob = Blob::noise(Algorithm::Sha256, "tls", LARGE);
    server.admin().push_blob(REPOSITORY, &blob).await?;
    let url = format!("{}{}", server.url(), blob_path(REPOSITORY, &blob.digest));
    let pull = client::builder(Some(old.pem())).build()?.get(url);
    let pull = pull
        .header("authorization", basic_header(ADMIN, ADMIN_PASSWORD))
        .send()
        .await?;
    ensure!(pull.status() == 200, "the pull begins");

    new.issue(&address, &files);
    let replaced = Instant::now();
    while !is_trusted(&server, &new).await {
        ensure!(
            replaced.elapsed() < RELOADED_BY,
            "the new certificate is not served\n{}",
            server.log_tail()
        );
        sleep(Duration::from_millis(200)).await;
    }
    ensure!(
        !is_trusted(&server, &old).await,
        "the old certificate is still served"
    );
    ensure!(pull.bytes().await? == blob.bytes, "the pull under way was hurt");

    // Half a renewal: what cannot be read, or does not belong together, changes nothing.
    fs::write(
        &files.cert,
        "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
    )?;
    sleep(ONE_LOOK).await;
    ensure!(
        is_trusted(&server, &new).await,
        "a broken file took the certificate away"
    );
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_cutting_anybody() {
    reload().await.unwrap();
}
