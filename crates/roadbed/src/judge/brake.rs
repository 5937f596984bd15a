//! The brake of the server: settles what was measured, and says so in the log.
//!
//! What is measured and what is held is the store's business (`store/src/brake.rs`), how much is too much the policy's
//! (`policy/src/brake.rs`).

use std::time::Duration;

use anyhow::Result;
use policy::Brake;
use store::{Settled, Settling, Store};

use super::image::IN_USE;

/// How often it is looked whether the judgements that belong to a change are made.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After a decision, before it is looked: images that turn together are one change.
const GATHER: Duration = Duration::from_millis(200);

/// Before it is tried again after a failure.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Settles changes until its task is ended.
pub(crate) async fn follow(store: Store, brake: Brake) {
    let mut decisions = store.decisions();
    loop {
        decisions.mark_unchanged();
        match settle(&store, brake).await {
            // One that was begun before the last stop is found at the start.
            Ok(Settling::Nothing) => {
                if decisions.changed().await.is_err() {
                    return;
                }
                tokio::time::sleep(GATHER).await;
            }
            Ok(Settling::Measuring) => tokio::time::sleep(LOOK_EVERY).await,
            Ok(Settling::Settled(settled)) => tell(&settled),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "what would be refused could not be counted; it is served until it is"
                );
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
    }
}

async fn settle(store: &Store, brake: Brake) -> Result<Settling> {
    Ok(store.settle_brake(brake, store.now().minus(IN_USE)).await?)
}

fn tell(settled: &Settled) {
    let causes: Vec<String> = settled
        .causes
        .iter()
        .map(|cause| format!("{} ({})", cause.cause, cause.images))
        .collect();
    let (change, turned, in_use) = (settled.change, settled.turned, settled.in_use);
    if settled.is_held {
        tracing::warn!(
            change,
            turned,
            in_use,
            ?causes,
            "a change would refuse too much of what is in use; it is held at warn until a person approves it: \
             roadbed policy held"
        );
    } else if turned > 0 {
        tracing::info!(
            change,
            turned,
            in_use,
            ?causes,
            "images that are in use are refused from now on"
        );
    }
}
