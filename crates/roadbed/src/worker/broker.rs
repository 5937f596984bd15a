//! Claims jobs of the store and has them done.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use findings::LayerReport;
use oci::Digest;
use store::{Job, JobKind, Store, StoreError};
use tokio::task::JoinSet;

use super::{NO_LAYER, Pool, PoolError, clamd::NO_CLAMD, engines::not_scannable};
use crate::jobs;

/// How the broker behaves.
#[derive(Debug, Clone)]
pub(crate) struct BrokerConfig {
    /// How long a job is held before it is renewed or lost.
    pub(crate) lease: Duration,
    /// How often a blob is tried before it counts as not scannable.
    pub(crate) attempts: u32,
    /// Before a blob is tried again; twice as long after each further time.
    pub(crate) back_off: Duration,
    /// How often it looks for jobs that nobody told it of.
    pub(crate) look_every: Duration,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            attempts: 3,
            back_off: Duration::from_secs(2),
            look_every: Duration::from_secs(5),
        }
    }
}

/// Has the blobs of a store looked into.
pub(crate) struct Broker {
    store: Store,
    pool: Pool,
    config: BrokerConfig,
    /// Who it is in the leases.
    name: String,
    left: jobs::Left,
}

impl Broker {
    /// A broker that works until its task is ended.
    pub(crate) fn start(store: Store, pool: Pool, config: BrokerConfig, name: String) -> JoinSet<()> {
        let children = pool.children();
        let broker = Arc::new(Self {
            store,
            pool,
            config,
            name,
            left: jobs::Left::default(),
        });
        let mut loops = JoinSet::new();
        for _ in 0..children {
            loops.spawn(Arc::clone(&broker).work());
        }
        loops
    }

    async fn work(self: Arc<Self>) {
        jobs::work(
            &self.store,
            self.config.look_every,
            "a job could not be done",
            || self.one_job(),
        )
        .await;
    }

    /// Does one job; `false` when there was none.
    async fn one_job(&self) -> anyhow::Result<bool> {
        self.left.give_back(&self.store).await?;
        let claimed = self
            .store
            .claim_job(JobKind::Scan, &self.name, self.config.lease)
            .await?;
        let Some(job) = claimed else {
            return Ok(false);
        };
        let scanned = self.scan(&job).await;
        self.left.leave(vec![job], scanned.map_err(Into::into))?;
        Ok(true)
    }

    async fn scan(&self, job: &Job) -> Result<(), StoreError> {
        let Ok(digest) = job.subject.parse::<Digest>() else {
            return self.store.drop_job(job).await;
        };
        let Some(blob) = self.store.blob_file(&digest).await? else {
            return self.store.drop_scan(job).await;
        };
        if job.is_fatal() {
            return self.give_up(job, digest).await;
        }
        if let Some(wait) = self.waits_for_clamd(&digest).await? {
            return self.store.return_job(job, wait, Some("clamd is away")).await;
        }
        let looking = self.pool.inspect(blob, digest);
        let Some(looked) = jobs::while_leased(&self.store, job, self.config.lease, looking).await else {
            return Ok(());
        };
        match looked {
            Ok(report) => {
                tell_what_is_missing(&report);
                let has_none = report
                    .not_scannable
                    .iter()
                    .any(|missing| missing.limit == NO_CLAMD);
                match self.pool.clamd().filter(|_| has_none) {
                    // It counts for now. The image is decided, and again when clamd has looked.
                    Some(clamd) => self.store.keep_scan(job, report, clamd.config().retry).await,
                    None => self.store.finish_scan(job, report).await,
                }
            }
            Err(error) => self.failed(job, digest, &error).await,
        }
    }

    /// How long a blob waits that was looked into by everything but clamd, which is still away: it is not read again for
    /// nothing.
    async fn waits_for_clamd(&self, digest: &Digest) -> Result<Option<Duration>, StoreError> {
        let Some(clamd) = self.pool.clamd() else {
            return Ok(None);
        };
        if self.store.known_layers(&[*digest]).await?.is_empty() {
            return Ok(None);
        }
        let retry = clamd.config().retry;
        let answers = tokio::task::spawn_blocking(move || clamd.answers()).await;
        Ok((!answers.unwrap_or(false)).then_some(retry))
    }

    async fn failed(&self, job: &Job, digest: Digest, error: &PoolError) -> Result<(), StoreError> {
        if matches!(error, PoolError::Start(_) | PoolError::Stopping) {
            // Not the blob's fault.
            return self
                .store
                .return_job(job, self.config.look_every, Some(&error.to_string()))
                .await;
        }
        tracing::warn!(%digest, attempt = job.attempts, %error, "a blob could not be looked into");
        if job.attempts < self.config.attempts {
            let wait = self.config.back_off * 2_u32.saturating_pow(job.attempts.saturating_sub(1)).min(64);
            return self.store.return_job(job, wait, Some(&error.to_string())).await;
        }
        if !self.store.known_layers(&[digest]).await?.is_empty() {
            // It was looked into before; what was found then stands.
            return self.store.drop_job(job).await;
        }
        self.keep_that_nobody_survived(job, gave_up(digest, error)).await
    }

    /// Not only children did not survive it, but whole servers.
    async fn give_up(&self, job: &Job, digest: Digest) -> Result<(), StoreError> {
        let why = jobs::fatal();
        tracing::error!(%digest, why, "a blob could not be looked into");
        if !self.store.known_layers(&[digest]).await?.is_empty() {
            // What was found before stands. Every start of other analysers asks for it again, which must not end one more.
            return self.store.give_up_job(job, jobs::REST).await;
        }
        self.keep_that_nobody_survived(job, not_scannable(digest, "layer.worker", &why))
            .await
    }

    async fn keep_that_nobody_survived(&self, job: &Job, mut report: LayerReport) -> Result<(), StoreError> {
        if let Ok(analysers) = self.pool.analysers().await {
            report.analysers = analysers;
        }
        tell_what_is_missing(&report);
        self.store.finish_scan(job, report).await
    }
}

/// Says which limits a blob has hit. Images that have it are warned about, which names no limit.
fn tell_what_is_missing(report: &LayerReport) {
    let limits = report.not_scannable.iter().map(|missing| missing.limit.as_str());
    let limits: BTreeSet<&str> = limits.filter(|&limit| limit != NO_LAYER).collect();
    if !limits.is_empty() {
        tracing::warn!(digest = %report.blob, ?limits, "not all of a blob could be looked into");
    }
}

/// The report of a blob that nobody survives.
pub(crate) fn gave_up(blob: Digest, error: &PoolError) -> LayerReport {
    let limit = match error {
        PoolError::Time(_) => "layer.time",
        PoolError::Cpu(_) => "layer.cpu",
        PoolError::Unbelievable(_) | PoolError::TooLarge(_) => "layer.report",
        PoolError::Died(_) | PoolError::Start(_) | PoolError::Stopping => "layer.worker",
    };
    not_scannable(blob, limit, &error.to_string())
}

#[cfg(test)]
mod tests;
