//! What the process asks of the operating system.

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
pub(crate) async fn signalled() {
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
