//! Working on jobs of the store.

use std::time::Duration;

use anyhow::Result;
use store::{Job, Store, StoreError};

/// Before a job that ended whoever worked on it, again and again, gets one try more.
pub(crate) const REST: Duration = Duration::from_hours(24);

/// What is said of such a job.
pub(crate) fn fatal() -> String {
    format!(
        "the server ended {} times while it was worked on, without saying why; it is tried once more after {} hours",
        store::LOSSES,
        REST.as_secs() / 3_600
    )
}

/// Waits for `work` on a job and renews its lease meanwhile, three times before it would run out. `None`: the job was lost to
/// somebody else, whose result will count; the work is left. While the lease cannot be renewed the work goes on: whether its
/// result counts is asked when it is kept.
pub(crate) fn while_leased<T>(
    store: &Store,
    job: &Job,
    lease: Duration,
    work: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    // Work is large, and whoever waits would be as large again.
    let work = Box::pin(work);
    async move { while_renewed(&job.subject, lease, work, || store.renew_job(job, lease)).await }
}

/// The same for all jobs that were claimed with one.
pub(crate) fn while_all_leased<T>(
    store: &Store,
    claimed: &Job,
    lease: Duration,
    work: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    let work = Box::pin(work);
    async move { while_renewed(&claimed.subject, lease, work, || store.renew_jobs(claimed, lease)).await }
}

async fn while_renewed<T, F: Future<Output = Result<bool, StoreError>>>(
    subject: &str,
    lease: Duration,
    work: impl Future<Output = T>,
    renew: impl Fn() -> F,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(lease / 3, &mut work).await {
            return Some(done);
        }
        match renew().await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(subject, "a job took so long that it is somebody else's");
                return None;
            }
            Err(error) => {
                tracing::warn!(subject, %error, "the lease of a job could not be renewed");
            }
        }
    }
}

/// How long nobody looks for jobs after the database was found to be away.
const WHILE_AWAY: Duration = Duration::from_secs(1);

fn is_away(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| cause.downcast_ref().is_some_and(StoreError::is_away))
}

/// Does one job after the other until the store is closed, and looks for new ones at least every `look_every`. `one_job` answers
/// whether there was one; an error of it is written to the log as `failed`.
pub(crate) async fn work<F: Future<Output = Result<bool>>>(
    store: &Store,
    look_every: Duration,
    failed: &str,
    one_job: impl Fn() -> F,
) {
    let mut changes = store.jobs();
    loop {
        changes.mark_unchanged();
        match one_job().await {
            Ok(true) => {}
            Ok(false) => {
                let told = tokio::time::timeout(look_every, changes.changed()).await;
                if matches!(told, Ok(Err(_))) {
                    return;
                }
            }
            // Said by whoever found it out; what waits is not to wait longer than that.
            Err(error) if is_away(&error) => tokio::time::sleep(look_every.min(WHILE_AWAY)).await,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "{failed}");
                tokio::time::sleep(look_every).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{JobKind, JobPriority, StoreConfig, SystemClock};

    use super::*;

    #[tokio::test]
    async fn work_on_a_job_that_was_lost_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            data_dir: dir.path().to_owned(),
            touches_blobs: false,
            limits: store::StoreLimits::default(),
        };
        let store = Store::open(config, Arc::new(SystemClock)).await.unwrap();
        let lease = Duration::from_millis(300);
        let requested = store.request_job(JobKind::Sbom, "x", JobPriority::Push);
        requested.await.unwrap();
        let claim = || async { store.claim_job(JobKind::Sbom, "test", lease).await.unwrap() };
        let job = claim().await.unwrap();
        let work = tokio::time::sleep(lease * 3);
        assert!(while_leased(&store, &job, lease, work).await.is_some());
        // As if the machine had slept.
        store.release_jobs().await.unwrap();
        assert!(claim().await.is_some());
        let work = std::future::pending::<()>();
        assert!(while_leased(&store, &job, lease, work).await.is_none());
    }
}
