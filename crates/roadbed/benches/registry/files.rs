//! Open files: each connection is one, at both ends.

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of this process, which the servers that it starts inherit.
pub(crate) fn want_files(files: u64) -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    ensure!(
        now.maximum.is_none_or(|most| most >= files),
        "{files} open files are needed, and no more than {:?} are allowed",
        now.maximum
    );
    if now.current.is_some_and(|current| current < files) {
        let current = Some(files);
        setrlimit(Resource::Nofile, Rlimit { current, ..now })?;
    }
    Ok(())
}
