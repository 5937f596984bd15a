//! A blob's file is cut by somebody else while it is served: the connection ends early and the server goes on.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::PathBuf,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::harness::{
    authority::{Authority, Files},
    client,
    content::{Algorithm, Blob},
    login::basic_header,
    push::blob_path,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

const REPOSITORY: &str = "torn/app";

/// More than the kernel keeps on its way between the two ends of a connection.
const LARGE: usize = 24 * 1024 * 1024;

/// Where the file of the blob lies.
fn file_of(server: &Server, blob: &Blob) -> Result<PathBuf> {
    let hex = blob
        .digest
        .split(':')
        .next_back()
        .context("a digest has hex digits")?;
    let directory = server
        .data()
        .join("blobs/sha256")
        .join(hex.get(..2).context("two of them")?);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(hex) {
            return Ok(entry.path());
        }
    }
    anyhow::bail!("{} has no file", blob.digest)
}

/// Begins to pull, cuts the file to `rest` bytes, and reads on.
async fn pull_what_is_cut(server: &Server, authority: Option<&str>, rest: usize) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, &format!("torn {rest}"), LARGE);
    server.admin().push_blob(REPOSITORY, &blob).await?;
    let url = format!("{}{}", server.url(), blob_path(REPOSITORY, &blob.digest));
    let get = || {
        let get = client::builder(authority).build()?.get(url.clone());
        Ok::<_, anyhow::Error>(get.header("authorization", basic_header(ADMIN, ADMIN_PASSWORD)))
    };
    let mut pull = get()?.send().await?;
    ensure!(pull.status() == 200, "the pull begins");
    let mut got = pull.chunk().await?.context("there are bytes")?.len();
    let file = File::options().write(true).open(file_of(server, &blob)?)?;
    file.set_len(u64::try_from(rest)?)?;
    let ended = loop {
        match pull.chunk().await {
            Ok(Some(chunk)) => got += chunk.len(),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    ensure!(
        ended.is_err() && got < LARGE,
        "{got} bytes came, as if all were well"
    );
    // Where the kernel met the end of the file, the server learns of it with the next pull or the one after.
    let mut pulls = 0;
    while !is_noticed(get()?).await? {
        pulls += 1;
        ensure!(pulls <= 2, "nobody notices\n{}", server.log_tail());
    }
    server.admin().push_blob(REPOSITORY, &blob).await?;
    ensure!(
        get()?.send().await?.bytes().await? == blob.bytes,
        "a push heals it"
    );
    Ok(())
}

/// Whether the blob is unknown by now. Until then no answer may be whole.
async fn is_noticed(get: reqwest::RequestBuilder) -> Result<bool> {
    let Ok(answer) = get.send().await else {
        return Ok(false);
    };
    if answer.status() == 404 {
        return Ok(true);
    }
    ensure!(answer.bytes().await.is_err(), "a whole answer of half a blob");
    Ok(false)
}

async fn over_tls() -> Result<()> {
    let directory = TempDir::with_prefix("roadbed-torn-")?;
    let (files, authority) = (Files::in_directory(directory.path()), Authority::new("torn"));
    authority.issue(&[Ipv4Addr::LOCALHOST.into()], &files);
    let server = Server::start_with(authority.serve(Options::default(), &files)).await;
    for rest in [0, LARGE / 2 + 100, LARGE - 1] {
        pull_what_is_cut(&server, Some(authority.pem()), rest).await?;
    }
    Ok(())
}

async fn over_plain_http() -> Result<()> {
    let server = Server::start().await;
    for rest in [0, LARGE / 2 + 100, LARGE - 1] {
        pull_what_is_cut(&server, None, rest).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_blob_that_is_cut_while_it_is_served_over_tls_ends_the_connection_and_no_process() {
    over_tls().await.unwrap();
}

#[tokio::test]
async fn a_blob_that_is_cut_while_it_is_served_ends_the_connection_and_no_process() {
    over_plain_http().await.unwrap();
}
