//! Working on jobs of the store.

use std::time::Duration;

use anyhow::Result;
use store::Store;

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
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "{failed}");
                tokio::time::sleep(look_every).await;
            }
        }
    }
}
