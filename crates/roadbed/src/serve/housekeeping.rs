//! What goes on beside the requests: collection of what nobody names any more, and a look whether anybody works.

use std::time::Duration;

use store::Store;
use tokio::task::JoinHandle;

use crate::config::Config;

/// Between two steps of one round, so that a long round never keeps the disk to itself.
const PAUSE: Duration = Duration::from_millis(20);

/// What is done. Dropping it ends it.
pub(super) struct Housekeeping(Vec<JoinHandle<()>>);

impl Housekeeping {
    pub(super) fn start(config: &Config, store: &Store) -> Self {
        let storage = &config.storage;
        let mut tasks = vec![collect_every(
            store.clone(),
            storage.collect_interval.0,
            storage.collect_budget,
        )];
        if config.scan.enabled {
            tasks.push(look_for_workers(store.clone()));
        }
        Self(tasks)
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Collects every `interval` in steps of `step_rows` rows (each a small transaction, pushes go in between), until the returned task is aborted.
fn collect_every(store: Store, interval: Duration, step_rows: u64) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            collect(&store, step_rows).await;
        }
    })
}

/// How often it is looked whether anybody takes jobs, and how long none may be taken.
const LOOK_FOR_WORKERS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));

/// Notices that blobs wait and nobody looks into them, until the returned task is aborted.
fn look_for_workers(store: Store) -> JoinHandle<()> {
    let (every, patience) = LOOK_FOR_WORKERS;
    tokio::spawn(async move {
        let mut was_away = false;
        loop {
            tokio::time::sleep(every).await;
            if let Err(error) = store.look_for_workers(patience).await {
                tracing::debug!(%error, "it could not be looked whether anybody takes jobs");
                continue;
            }
            let unclaimed = store.condition().unclaimed;
            if let Some(unclaimed) = unclaimed.filter(|_| !was_away) {
                tracing::error!(
                    waiting = unclaimed.jobs,
                    "nobody takes blobs to look into: what was decided stands, new images are held until somebody does"
                );
            }
            if was_away && unclaimed.is_none() {
                tracing::info!("blobs are looked into again");
            }
            was_away = unclaimed.is_some();
        }
    })
}

async fn collect(store: &Store, step_rows: u64) {
    let mut total = store::GcReport::default();
    loop {
        match store.gc_step_spread(step_rows).await {
            Ok(step) => {
                total.add(&step);
                if !step.more || step.paused {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "collection stopped, it goes on next time"
                );
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    if total.blobs + total.orphans + total.uploads > 0 {
        tracing::info!(
            blobs = total.blobs,
            freed_bytes = total.bytes,
            orphans = total.orphans,
            uploads = total.uploads,
            "collected what nobody names"
        );
    }
}
