//! A data directory that fetches from a mirror.

use std::{path::PathBuf, process::Command, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use store::{AdvisoryRow, FeedHold, FeedState, Store, StoreConfig, SystemClock};
use tempfile::TempDir;

use super::mirror::Mirror;
use crate::harness::server::command;

/// A registry that no server serves.
pub(super) struct Registry {
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// What a sync did.
#[derive(Debug)]
pub(super) struct Synced {
    pub(super) succeeded: bool,
    pub(super) report: Value,
    pub(super) said: String,
}

impl Synced {
    /// What came of a source.
    pub(super) fn of(&self, source: &str) -> &Value {
        let sources = self.report["sources"].as_array().into_iter().flatten();
        let mut of = sources.filter(|outcome| outcome["source"] == source);
        of.next().unwrap_or(&Value::Null)
    }

    /// Why a source failed.
    pub(super) fn error(&self, source: &str) -> &str {
        self.of(source)["error"].as_str().unwrap_or_default()
    }

    pub(super) fn generation(&self) -> Option<u64> {
        self.report["generation"].as_u64()
    }
}

impl Registry {
    /// A new one.
    pub(super) async fn new(mirror: &Mirror) -> Result<Self> {
        let registry = Self {
            home: TempDir::with_prefix("roadbed-feeds-")?,
            variables: mirror.variables(),
        };
        registry.open().await?.close().await?;
        Ok(registry)
    }

    /// With another value of a variable.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    pub(super) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = command(self.home.path());
        command
            .args(["--output", "json", "advisories"])
            .args(words)
            .arg("--data")
            .arg(self.data())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Syncs, with these options.
    pub(super) async fn sync(&self, options: &[&str]) -> Result<Synced> {
        let mut command = self.command(&[&["sync"], options].concat());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Synced {
            succeeded: output.status.success(),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            said,
        })
    }

    /// Syncs, and all of it worked.
    pub(super) async fn sync_well(&self) -> Result<Synced> {
        let synced = self.sync(&[]).await?;
        ensure!(synced.succeeded, "{synced:?}");
        Ok(synced)
    }

    /// What `advisories status` says of a source.
    pub(super) async fn status(&self, source: &str) -> Result<Value> {
        let mut command = self.command(&["status"]);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let status: Value = serde_json::from_slice(&output.stdout).context("the status is no JSON")?;
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        let mut of = sources.into_iter().filter(|of| of["source"] == source);
        of.next().context("there is no such source")
    }

    /// As if why a source is held were damaged in the database.
    pub(super) async fn damage_hold(&self, source: &str) -> Result<()> {
        let store = self.open().await?;
        let states = store.feeds().await?;
        let state = states.into_iter().find(|state| state.source == source);
        let damaged = FeedState {
            held: Some(FeedHold::Unreadable),
            ..state.context("there is no such source")?
        };
        store.set_feed(damaged, None).await?;
        Ok(store.close().await?)
    }

    async fn open(&self) -> Result<Store> {
        let config = StoreConfig::at(self.data());
        Ok(Store::open(config, Arc::new(SystemClock)).await?)
    }

    /// The present generation.
    pub(super) async fn generation(&self) -> Result<u64> {
        let store = self.open().await?;
        let generation = store.advisory_generation().await?;
        store.close().await?;
        Ok(generation)
    }

    /// An advisory of the present generation, and whether it counts.
    pub(super) async fn counts(&self, id: &str) -> Result<Option<bool>> {
        let store = self.open().await?;
        let row = store.advisory(id).await?;
        store.close().await?;
        let advisory = row.as_ref().map(AdvisoryRow::advisory).transpose()?;
        Ok(advisory.map(|advisory| advisory.withdrawn.is_none()))
    }
}
