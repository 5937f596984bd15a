//! What the process asks of the operating system.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::signal;

use super::STOP_SIGNALS;

/// Raises the soft limit of open files to the hard one: every connection is one, and the usual soft limit is 1,024.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!(limit = ?limit.current, "cannot raise the limit of open files");
    }
}

/// Waits for the next SIGTERM or SIGINT.
async fn signalled() {
    let [terminate, interrupt] = STOP_SIGNALS.map(signal);
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without handlers the system's own action ends the process.
        _ => std::future::pending().await,
    }
}

/// Resolves when listeners should close: a signal came, nothing is ready any more after `drain`, and load balancers had `delay` to
/// see that. A second signal ends the process at once.
pub(crate) async fn stop_requested(drain: impl FnOnce(), delay: Duration) {
    signalled().await;
    tracing::info!("stopping: no longer ready, requests in flight finish");
    drain();
    tokio::spawn(async {
        signalled().await;
        tracing::warn!("second signal: stopping at once");
        std::process::exit(1);
    });
    tokio::time::sleep(delay).await;
}
