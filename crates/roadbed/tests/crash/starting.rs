//! SIGKILL while the server starts: the next start finishes what the last one began.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{dice::Dice, kills::check_files};
use crate::harness::{
    content::{Algorithm, Blob},
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server, command},
};

/// Data directories that are begun anew.
const DIRECTORIES: u64 = 6;

/// Kills per directory before a start is let through.
const KILLS: u64 = 4;

/// A start takes some ten to some hundred milliseconds: schema, key, first administrator.
const KILL_AFTER_MS: (u64, u64) = (1, 250);

async fn start_and_kill(home: &Path, data: &Path, dice: &mut Dice) -> Result<()> {
    let mut child = command(home)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .env("ROADBED_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    sleep(Duration::from_millis(
        dice.between(KILL_AFTER_MS.0, KILL_AFTER_MS.1),
    ))
    .await;
    let ended = child.try_wait()?;
    child.kill()?;
    child.wait()?;
    ensure!(ended.is_none(), "the server ended by itself with {ended:?}");
    Ok(())
}

async fn begin_anew(seed: u64) -> Result<()> {
    let (home, mut dice) = (TempDir::with_prefix("roadbed-starting-")?, Dice::new(seed));
    let data = home.path().join("data");
    for _ in 0..KILLS {
        start_and_kill(home.path(), &data, &mut dice).await?;
    }
    let mut server = Server::start_with(Options::default().data(&data)).await;
    let client = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let blob = Blob::noise(Algorithm::Sha256, "first", 1000);
    client.push_blob("crash/starting", &blob).await?;
    server.kill();
    server.start_again().await;
    server.admin().check_blob("crash/starting", &blob).await?;
    ensure!(
        server.terminate().await.success(),
        "the server did not end in good order"
    );
    check_files(&server);
    Ok(())
}

#[tokio::test]
async fn killed_while_starting() {
    for seed in 0..DIRECTORIES {
        begin_anew(seed)
            .await
            .unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    }
}
