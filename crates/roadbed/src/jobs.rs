//! Working on jobs of the store.

use std::time::Duration;

use std::sync::{Mutex, PoisonError};

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

/// Jobs whose worker gave up because the database was away, each with those that were claimed with it. They are given back when it is
/// there again: else they would wait for the end of their lease.
#[derive(Debug, Default)]
pub(crate) struct Left(Mutex<Vec<Vec<Job>>>);

impl Left {
    /// Leaves jobs that were claimed together, if the database is why they could not be done.
    pub(crate) fn leave<T>(&self, claimed: Vec<Job>, done: Result<T>) -> Result<T> {
        if done.as_ref().is_err_and(is_away) && !claimed.is_empty() {
            self.lock().push(claimed);
        }
        done
    }

    /// Gives back what was left. What cannot be given back yet stays.
    pub(crate) async fn give_back(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let Some(claimed) = self.lock().pop() else {
                return Ok(());
            };
            if let Err(error) = store.give_back_claimed(&claimed).await {
                self.lock().push(claimed);
                return Err(error);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn store(directory: &std::path::Path) -> Store {
        let config = StoreConfig {
            data_dir: directory.to_owned(),
            touches_blobs: false,
            limits: store::StoreLimits::default(),
        };
        Store::open(config, Arc::new(SystemClock)).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_left_while_the_database_was_away_waits_for_no_lease() {
        let dir = tempfile::tempdir().unwrap();
        let (store, left) = (store(dir.path()).await, Left::default());
        let hour = Duration::from_hours(1);
        let requested = store.request_job(JobKind::Sbom, "x", JobPriority::Push);
        requested.await.unwrap();
        let claim = || async { store.claim_job(JobKind::Sbom, "test", hour).await.unwrap() };
        let job = claim().await.unwrap();
        assert_eq!(job.attempts, 1);
        left.leave::<()>(vec![job.clone()], Err(anyhow::anyhow!("its own fault")))
            .unwrap_err();
        left.give_back(&store).await.unwrap();
        assert!(claim().await.is_none(), "it is held");
        left.leave::<()>(vec![job], Err(StoreError::Unwritable.into()))
            .unwrap_err();
        left.give_back(&store).await.unwrap();
        let again = claim().await.expect("it was given back");
        assert_eq!(again.attempts, 1, "and the outage counts for nothing");
    }

    #[tokio::test]
    async fn work_on_a_job_that_was_lost_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path()).await;
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
