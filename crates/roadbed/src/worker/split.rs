//! A process becomes two.

use std::{io, os::fd::OwnedFd};

use anyhow::{Result, ensure};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Which of the two this is.
pub(super) enum Side {
    /// The one that was there before, and the handle of the other.
    Nursery(OwnedFd),
    /// The new one.
    Child,
}

/// Proof that the process may split: it has one thread, so nobody else can hold a lock that the child would wait for.
pub(super) struct Alone(());

impl Alone {
    /// Looks whether it may. From here on the system forgets children as soon as they end; nobody here waits for them.
    ///
    /// # Errors
    /// The process has other threads.
    pub(super) fn prove() -> Result<Self> {
        let threads = std::fs::read_dir("/proc/self/task")?.count();
        ensure!(threads == 1, "a process of {threads} threads cannot be split");
        forget_children();
        Ok(Self(()))
    }
}

/// Splits.
///
/// # Errors
/// The system has no room for another process.
pub(super) fn split(_alone: &Alone) -> io::Result<Side> {
    match fork() {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        // The child waits for its task: it has not ended, and the number is still its own.
        process => match Pid::from_raw(process) {
            Some(process) => Ok(Side::Nursery(pidfd_open(process, PidfdFlags::empty())?)),
            None => Err(io::ErrorKind::Other.into()),
        },
    }
}

#[expect(unsafe_code, reason = "nothing safe splits a process")]
fn fork() -> libc::pid_t {
    // SAFETY: the process has one thread, see `Alone`: the child is a whole copy.
    unsafe { libc::fork() }
}

#[expect(unsafe_code, reason = "nothing safe sets what a signal does")]
fn forget_children() {
    // SAFETY: the action runs no code of ours. It fails for signals that do not exist only.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}
