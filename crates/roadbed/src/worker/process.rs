//! One child as its parent has it: a process, a socket, and what it says when it dies.

use std::{
    collections::BTreeMap,
    io::{self, PipeReader, Read as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Bytes of what a child said last that come into the log. It may have been taken over and write what it likes.
const LAST_WORDS_BYTES: u64 = 2_048;

/// A child. Dropping it ends it.
pub(super) struct Ready {
    child: Child,
    socket: UnixStream,
    words: LastWords,
    sockets: Arc<Sockets>,
}

impl Ready {
    /// Takes a child in. `None`: the pool was closed meanwhile.
    pub(super) fn new(
        child: Child,
        socket: UnixStream,
        words: LastWords,
        sockets: &Arc<Sockets>,
    ) -> Option<Self> {
        let ready = Self {
            child,
            socket,
            words,
            sockets: Arc::clone(sockets),
        };
        sockets.add(ready.child.id(), &ready.socket).then_some(ready)
    }

    /// The way to it.
    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it and takes what it said.
    pub(super) fn end(mut self) -> LastWords {
        std::mem::replace(&mut self.words, LastWords(None))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.sockets.remove(self.child.id());
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sockets of all children, so that whoever waits for one can be woken. No process ids: one that was waited for belongs to
/// somebody else.
#[derive(Default)]
pub(super) struct Sockets(Mutex<Open>);

#[derive(Default)]
struct Open {
    is_closed: bool,
    by_process: BTreeMap<u32, UnixStream>,
}

impl Sockets {
    /// Whether children are no longer wanted.
    pub(super) fn are_closed(&self) -> bool {
        self.open().is_closed
    }

    /// Closes them all, and every later one.
    pub(super) fn close(&self) {
        let mut open = self.open();
        open.is_closed = true;
        for socket in open.by_process.values() {
            // The child may have closed it.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn add(&self, process: u32, socket: &UnixStream) -> bool {
        let mut open = self.open();
        let Ok(socket) = socket.try_clone() else {
            return false;
        };
        open.by_process.insert(process, socket);
        !open.is_closed
    }

    fn remove(&self, process: u32) {
        self.open().by_process.remove(&process);
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a child wrote to its standard error: why it cannot start, where it panicked.
pub(super) struct LastWords(Option<PipeReader>);

impl LastWords {
    /// A pipe that nobody waits at: a child that writes more than it holds loses the rest.
    pub(super) fn pipe() -> io::Result<(Self, Stdio)> {
        let (reader, writer) = io::pipe()?;
        fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
        fcntl_setfl(&writer, fcntl_getfl(&writer)? | OFlags::NONBLOCK)?;
        Ok((Self(Some(reader)), writer.into()))
    }

    /// Writes them to the log, if there are any, with all that is not plain text spelt out.
    pub(super) fn log(self) {
        let Some(reader) = self.0 else { return };
        let mut said = Vec::new();
        // Read to the end of what is there.
        let _ = reader.take(LAST_WORDS_BYTES).read_to_end(&mut said);
        if !said.is_empty() {
            let said = String::from_utf8_lossy(&said);
            tracing::warn!(said = ?said.trim(), "last words of a process that looks into blobs");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, process::Command};

    use super::*;

    fn child(script: &str, sockets: &Arc<Sockets>) -> (Option<Ready>, UnixStream) {
        let (socket, theirs) = UnixStream::pair().unwrap();
        let (words, their_words) = LastWords::pipe().unwrap();
        let child = Command::new("sh")
            .args(["-c", script])
            .stderr(their_words)
            .spawn()
            .unwrap();
        (Ready::new(child, socket, words, sockets), theirs)
    }

    #[test]
    fn a_child_is_ended_with_its_value_and_can_say_more_than_a_pipe_holds() {
        let sockets = Arc::default();
        let (ready, _theirs) = child("head -c 1000000 /dev/zero >&2; exec sleep 600", &sockets);
        let mut ready = ready.unwrap();
        assert!(ready.is_alive());
        let process = ready.child.id();
        let mut reader = ready.end().0.unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
        assert!(sockets.open().by_process.is_empty());
        let mut said = [0; 10];
        // Nobody waits, whether there is something or not.
        let _ = reader.read(&mut said);
    }

    #[test]
    fn closing_wakes_whoever_waits_and_takes_no_child_more() {
        let sockets = Arc::default();
        let (ready, mut theirs) = child("exec sleep 600", &sockets);
        let ready = ready.unwrap();
        theirs.write_all(b"x").unwrap();
        let waiting = std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = (&mut ready.socket()).read_to_end(&mut all);
            all
        });
        sockets.close();
        assert!(waiting.join().unwrap().len() <= 1);
        assert!(sockets.are_closed());
        assert!(child("exec sleep 600", &sockets).0.is_none());
    }
}
