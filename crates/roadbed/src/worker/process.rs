//! One child as its parent has it: a process, a socket, and what it says when it dies.

use std::{
    collections::BTreeMap,
    io::{self, PipeReader, PipeWriter, Read as _},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Signal, pidfd_send_signal},
};

/// Bytes of what a child said last that come into the log. It may have been taken over and write what it likes.
const LAST_WORDS_BYTES: u64 = 2_048;

/// How long the system may take to end a process that was killed; it may be in the middle of giving memory back.
const END: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// A child. Dropping it ends it.
pub(super) struct Ready {
    process: Process,
    socket: UnixStream,
    words: LastWords,
    _entry: Entry,
}

impl Ready {
    /// Takes a child in. `None`: the pool was closed meanwhile.
    pub(super) fn new(
        process: OwnedFd,
        socket: UnixStream,
        words: LastWords,
        sockets: &Arc<Sockets>,
    ) -> Option<Self> {
        let process = Process(process);
        let entry = sockets.add(&socket)?;
        Some(Self {
            process,
            socket,
            words,
            _entry: entry,
        })
    }

    /// The way to it.
    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&self) -> bool {
        !self.process.has_ended(&Timespec::default())
    }

    /// Ends it and takes what it said.
    pub(super) fn end(mut self) -> LastWords {
        std::mem::replace(&mut self.words, LastWords(None))
    }
}

/// A process by its handle, which is never another one's. Dropping it ends the process. Its parent is the nursery, which has
/// the system forget it.
struct Process(OwnedFd);

impl Process {
    fn has_ended(&self, within: &Timespec) -> bool {
        let mut ended = [PollFd::new(&self.0, PollFlags::IN)];
        matches!(poll(&mut ended, Some(within)), Ok(1..))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
        self.has_ended(&END);
    }
}

/// The sockets of all children, so that whoever waits for one can be woken.
#[derive(Default)]
pub(super) struct Sockets(Mutex<Open>);

#[derive(Default)]
struct Open {
    is_closed: bool,
    added: u64,
    by_number: BTreeMap<u64, UnixStream>,
}

/// A socket is closed with the others as long as there is this.
pub(super) struct Entry {
    number: u64,
    sockets: Arc<Sockets>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sockets.open().by_number.remove(&self.number);
    }
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
        for socket in open.by_number.values() {
            // The child may have closed it.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Adds one. `None`: they are closed.
    pub(super) fn add(self: &Arc<Self>, socket: &UnixStream) -> Option<Entry> {
        let mut open = self.open();
        if open.is_closed {
            return None;
        }
        let socket = socket.try_clone().ok()?;
        open.added += 1;
        let number = open.added;
        open.by_number.insert(number, socket);
        drop(open);
        let sockets = Arc::clone(self);
        Some(Entry { number, sockets })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a child wrote to its standard error: why it cannot start, where it panicked.
pub(super) struct LastWords(Option<PipeReader>);

impl LastWords {
    /// A pipe that nobody waits at: a child that writes more than it holds loses the rest.
    pub(super) fn pipe() -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
        fcntl_setfl(&writer, fcntl_getfl(&writer)? | OFlags::NONBLOCK)?;
        Ok((Self(Some(reader)), writer))
    }

    /// Takes them, if there are any.
    pub(super) fn take(&mut self) -> Option<String> {
        let mut said = Vec::new();
        // Read to the end of what is there.
        let _ = self.0.take()?.take(LAST_WORDS_BYTES).read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        (!said.is_empty()).then_some(said)
    }
}

/// Writes last words to the log, with all that is not plain text spelt out.
pub(super) fn log_last_words(said: &str) {
    tracing::warn!(?said, "last words of a process that looks into blobs");
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Child, Command},
    };

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    /// A child of this process, which waits for it at the end.
    struct Script(Child);

    impl Script {
        fn is_there(&mut self) -> bool {
            self.0.try_wait().unwrap().is_none()
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn child(script: &str, sockets: &Arc<Sockets>) -> (Option<Ready>, Script, UnixStream) {
        let (socket, theirs) = UnixStream::pair().unwrap();
        let (words, their_words) = LastWords::pipe().unwrap();
        let child = Command::new("sh")
            .args(["-c", script])
            .stderr(their_words)
            .spawn()
            .unwrap();
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        (Ready::new(process, socket, words, sockets), Script(child), theirs)
    }

    #[test]
    fn a_child_is_ended_with_its_value_and_can_say_more_than_a_pipe_holds() {
        let sockets = Arc::default();
        let (ready, mut script, _theirs) = child("head -c 1000000 /dev/zero >&2; exec sleep 600", &sockets);
        let ready = ready.unwrap();
        assert!(ready.is_alive());
        let mut reader = ready.end().0.unwrap();
        assert!(!script.is_there());
        assert!(sockets.open().by_number.is_empty());
        let mut said = [0; 10];
        // Nobody waits, whether there is something or not.
        let _ = reader.read(&mut said);
    }

    #[test]
    fn a_child_that_has_ended_is_not_alive() {
        let (ready, mut script, _theirs) = child("exit 0", &Arc::default());
        script.0.wait().unwrap();
        assert!(!ready.unwrap().is_alive());
    }

    #[test]
    fn closing_wakes_whoever_waits_and_takes_no_child_more() {
        let sockets = Arc::default();
        let (ready, _script, mut theirs) = child("exec sleep 600", &sockets);
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
        let (refused, mut script, _theirs) = child("exec sleep 600", &sockets);
        assert!(refused.is_none());
        assert!(!script.is_there(), "nobody would end it");
    }
}
