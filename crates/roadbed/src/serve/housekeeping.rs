//! What goes on beside the requests: collection of what nobody names any more.

use std::time::Duration;

use store::Store;
use tokio::task::JoinHandle;

/// Between two steps of one round, so that a long round never keeps the disk to itself.
const PAUSE: Duration = Duration::from_millis(20);

/// Collects every `interval` in steps of `step_rows` rows (each a small transaction, pushes go in between), until the returned task is aborted.
pub(super) fn collect_every(store: Store, interval: Duration, step_rows: u64) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            collect(&store, step_rows).await;
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
