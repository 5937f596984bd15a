//! A child ends with its parent, also while it is at work and looks at no socket.
//!
//! The kernel sends SIGIO when something happens to the socket. While the child works that can only be its end: the parent has
//! sent all that it sends. (A signal of the parent's death would be that of the thread which started the child.)

use std::os::{fd::AsRawFd as _, unix::net::UnixStream};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    net::{RecvFlags, recv},
};

/// Made before the child is locked in.
pub(super) struct Lifeline {
    socket: UnixStream,
}

impl Lifeline {
    /// Has the kernel tell of the socket; nothing comes of it yet.
    pub(super) fn of(socket: &UnixStream) -> Result<Self> {
        on_signal(libc::SIG_IGN);
        own(socket).context("the kernel does not tell of the socket")?;
        let flags = fcntl_getfl(socket)?;
        fcntl_setfl(socket, flags | OFlags::ASYNC).context("the kernel does not tell of the socket")?;
        Ok(Self {
            socket: socket.try_clone().context("the socket cannot be held twice")?,
        })
    }

    /// From now on the end of the socket is the end of the process.
    pub(super) fn hold(&self) {
        on_signal(libc::SIG_DFL);
        // It may have ended a moment ago.
        let looked = recv(
            &self.socket,
            &mut [0_u8; 1],
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        );
        if matches!(looked, Ok((_, 0))) {
            std::process::exit(1);
        }
    }

    /// Not any more: the parent reads, and the kernel tells of that as well.
    pub(super) fn let_go(self) {
        on_signal(libc::SIG_IGN);
        drop(self.socket);
    }
}

#[expect(unsafe_code, reason = "nothing safe asks for the owner of a socket's signals")]
fn own(socket: &UnixStream) -> std::io::Result<()> {
    let process = libc::c_int::try_from(std::process::id()).unwrap_or_default();
    // SAFETY: no memory is handed over.
    match unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETOWN, process) } {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[expect(unsafe_code, reason = "nothing safe sets what a signal does")]
fn on_signal(action: libc::sighandler_t) {
    // SAFETY: the two actions that are used run no code of ours. It fails for signals that do not exist only.
    unsafe { libc::signal(libc::SIGIO, action) };
}
