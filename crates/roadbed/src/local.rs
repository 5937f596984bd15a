//! The data directory of a stopped server, for commands with `--data`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use store::{Store, StoreConfig, StoreError, SystemClock};

/// Opens the data directory and takes its lock.
pub(crate) async fn open(data_dir: &Path) -> anyhow::Result<Store> {
    // Opening would make a new one; a mistyped path should not.
    let exists = tokio::fs::try_exists(data_dir).await.unwrap_or(false);
    anyhow::ensure!(
        exists,
        "{} does not exist: name the directory that the server was started with",
        data_dir.display()
    );
    let opened = Store::open(StoreConfig::at(data_dir), Arc::new(SystemClock)).await;
    explain(opened.map_err(anyhow::Error::from))
}

/// Says what to do when a server runs on the directory.
pub(crate) fn explain<T>(result: anyhow::Result<T>) -> anyhow::Result<T> {
    result.map_err(|error| {
        let is_locked = error
            .chain()
            .any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Locked { .. })));
        if is_locked {
            error.context(
                "a server runs on this directory: stop it, or leave out --data and use --url to ask it",
            )
        } else {
            error
        }
    })
}

/// Closes the store; what was done is durable either way.
pub(crate) async fn close(store: Store) -> anyhow::Result<()> {
    store
        .close()
        .await
        .context("the data directory could not be closed")
}

/// `--data DIR` of commands that also go through the API.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DataArgs {
    /// Data directory of a stopped server, instead of asking a running one
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}
