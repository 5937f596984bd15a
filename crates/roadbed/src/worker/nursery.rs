//! The process that children are made of. It has read and compiled the rules, sees no byte of a stranger's, and splits whenever a
//! child is wanted: a child costs a few milliseconds, however many rules there are.
//!
//! The server holds a child by its socket and by a handle of its process, both of which it alone has. Neither can be mistaken for
//! those of another process, however long ago the child has ended.

use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use super::{
    child::COMMAND,
    pool::{PoolConfig, PoolError},
    process::{Entry, LastWords, Sockets},
    wire::{self, Word},
};

/// How long the rules may take to be compiled.
pub(super) const START: Duration = Duration::from_mins(1);

/// How long splitting may take.
const SPLIT: Duration = Duration::from_secs(10);

/// The allocator takes address space ahead in pieces of this size. Its own default is 1 GiB, which a child would have before its
/// limit is set, and could fill whatever the limit is.
const ARENA: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "32MiB");

/// A nursery as the server has it. Dropping it ends it; its children go on.
pub(super) struct Nursery {
    process: Child,
    control: UnixStream,
    words: LastWords,
    /// Version of its analysers and their rules.
    pub(super) analysers: String,
    /// Rules that it cannot use, and why.
    pub(super) refused: Vec<String>,
    _entry: Entry,
}

impl Nursery {
    /// Starts one and waits until its rules are compiled.
    ///
    /// # Errors
    /// There is no process to be had, a file of rules cannot be read, or the pool was closed meanwhile.
    pub(super) fn start(config: &PoolConfig, sockets: &Arc<Sockets>) -> Result<Self, PoolError> {
        let (control, theirs) = UnixStream::pair().map_err(PoolError::Start)?;
        let (words, their_words) = LastWords::pipe().map_err(PoolError::Start)?;
        let entry = sockets.add(&control).ok_or(PoolError::Stopping)?;
        let mut command = command(config);
        command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::from(their_words));
        let mut nursery = Self {
            process: command.spawn().map_err(PoolError::Start)?,
            control,
            words,
            analysers: String::new(),
            refused: Vec::new(),
            _entry: entry,
        };
        // The other ends are the nursery's alone, so that its end is seen.
        drop(command);
        let greeted = nursery.control.set_read_timeout(Some(START));
        match greeted.and_then(|()| wire::receive(&nursery.control, wire::TASK_BYTES)) {
            Ok(Word::Compiled { analysers, refused }) => {
                nursery.analysers = analysers;
                nursery.refused = refused;
                Ok(nursery)
            }
            Ok(_) => Err(PoolError::Unbelievable("it came before the blob")),
            Err(_) if sockets.are_closed() => Err(PoolError::Stopping),
            Err(error) => Err(PoolError::Start(nursery.explained(error))),
        }
    }

    /// Has it split: a child that has these two, and the handle of its process.
    ///
    /// # Errors
    /// The nursery has ended, or the system has no room for another process.
    pub(super) fn split(&self, socket: &UnixStream, words: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        self.control.set_read_timeout(Some(SPLIT))?;
        wire::send_files(&self.control, &[socket.as_fd(), words])?;
        let [process] = wire::receive_files(&self.control)?;
        Ok(process)
    }

    /// An error with what the nursery said last, which names the file that cannot be read.
    fn explained(mut self, error: io::Error) -> io::Error {
        self.end();
        match self.words.take() {
            Some(said) => io::Error::new(error.kind(), said),
            None => error,
        }
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        self.end();
    }
}

fn command(config: &PoolConfig) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("roadbed")
        .arg(COMMAND)
        .arg(format!("--memory={}", config.memory))
        .arg(format!("--spool={}", config.limits.spool_bytes))
        .arg(format!("--cpu={}", config.cpu_seconds()))
        .arg(format!("--children={}", config.children))
        .env_clear()
        .env(ARENA.0, ARENA.1);
    if config.skips.malware {
        command.arg("--skip-malware");
    }
    if config.skips.secrets {
        command.arg("--skip-secrets");
    }
    for rules in &config.malware_rules {
        command.arg("--malware-rules").arg(rules);
    }
    for rules in &config.secret_rules {
        command.arg("--secret-rules").arg(rules);
    }
    command
}
