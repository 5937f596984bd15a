//! The data directory of a stopped server, for commands with `--data`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use store::{Store, StoreConfig, StoreError, SystemClock};
use tokio::task::JoinHandle;
use web::Judging;

use crate::config::Config;
use crate::judge::{Asked, Knowledge, Nobody};

/// Each of these files shows that a server was started here.
const REGISTRY_FILES: [&str; 2] = ["version", "roadbed.db"];

/// Opens the data directory and takes its lock.
pub(crate) async fn open(data_dir: &Path) -> anyhow::Result<Store> {
    open_with(StoreConfig::at(data_dir)).await
}

/// The same, with limits of its own.
pub(crate) async fn open_with(config: StoreConfig) -> anyhow::Result<Store> {
    expect_registry(&config.data_dir)?;
    let opened = Store::open(config, Arc::new(SystemClock)).await;
    let instead = "leave out --data and use --url to ask it";
    explain(opened.map_err(anyhow::Error::from), instead)
}

/// Refuses a directory that no server was started with. Opening would make a registry there, and a mistyped path should
/// not be told that all is well with it.
pub(crate) fn expect_registry(data_dir: &Path) -> anyhow::Result<()> {
    let what = if REGISTRY_FILES.iter().any(|name| data_dir.join(name).exists()) {
        return Ok(());
    } else if data_dir.is_dir() {
        "holds no registry"
    } else if data_dir.exists() {
        "is not a directory"
    } else {
        "does not exist"
    };
    anyhow::bail!(
        "{} {what}: name the directory that the server was started with",
        data_dir.display()
    )
}

/// Says what to do when a server runs on the directory: stop it, or something else `instead`.
pub(crate) fn explain<T>(result: anyhow::Result<T>, instead: &str) -> anyhow::Result<T> {
    result.map_err(|error| {
        let is_locked = error
            .chain()
            .any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Locked { .. })));
        if is_locked {
            anyhow::anyhow!("a server runs on this directory: stop it, or {instead}")
        } else {
            error
        }
    })
}

/// Judges on demand by what lies in a data directory, for a command that changes what images are judged by. Dropping it ends it.
pub(crate) struct Judged {
    judging: Arc<dyn Judging>,
    reading: JoinHandle<()>,
}

impl Judged {
    /// Begins to read what is known.
    pub(crate) fn start(store: &Store, config: &Config) -> Self {
        let knowledge = Knowledge::of(store.clone(), config.judge_limits());
        Self {
            reading: tokio::spawn(Arc::clone(&knowledge).follow()),
            judging: Asked::new(store.clone(), knowledge, Box::new(Nobody), config.lift_guard()),
        }
    }

    /// Who judges.
    pub(crate) fn judging(&self) -> Arc<dyn Judging> {
        Arc::clone(&self.judging)
    }
}

impl Drop for Judged {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Closes the store; what was done is durable either way.
pub(crate) async fn close(store: Store) -> anyhow::Result<()> {
    store
        .close()
        .await
        .context("the data directory could not be closed")
}

impl DataArgs {
    /// As it was typed.
    pub(crate) fn words(&self) -> Vec<String> {
        let data = self.data.iter();
        data.flat_map(|data| ["--data".to_owned(), data.display().to_string()])
            .collect()
    }
}

/// `--data DIR` of commands that also go through the API.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DataArgs {
    /// Data directory of a stopped server, instead of asking a running one
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}
