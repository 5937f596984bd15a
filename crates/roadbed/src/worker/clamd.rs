//! clamd, asked about files over its socket (`INSTREAM`).
//!
//! The server asks, not the child that looks into the blob: the child has no network. It hands out the files that may be
//! malware, one after the other, as memory of its own (`clamd/handout.rs`); the server streams them (`clamd/looking.rs`).
//! Whatever goes wrong with clamd is an unknown of the blob, and never the blob's fault.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    os::unix::{fs::FileExt as _, net::UnixStream},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};
use thiserror::Error;

pub(super) mod handout;
pub(super) mod looking;

/// What a blob is short of that clamd did not look at.
pub(crate) const NO_CLAMD: &str = findings::NO_CLAMD;

/// How long a connection to clamd may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Bytes that are sent at a time.
const CHUNK: usize = 64 << 10;

/// Bytes of an answer.
const ANSWER_BYTES: u64 = 4 << 10;

/// Characters of a signature's name.
const NAME: usize = 128;

/// Where clamd listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClamdAddress {
    /// `LocalSocket`.
    Unix(PathBuf),
    /// `TCPAddr` and `TCPSocket`.
    Tcp(String),
}

/// Why a text is no address of clamd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("write unix:/run/clamav/clamd.ctl, or host:port")]
pub(crate) struct ClamdAddressError;

impl FromStr for ClamdAddress {
    type Err = ClamdAddressError;

    fn from_str(text: &str) -> Result<Self, ClamdAddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(ClamdAddressError)
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(ClamdAddressError)?;
        if host.is_empty() || port.parse::<u16>().is_ok_and(|port| port == 0) || port.parse::<u16>().is_err()
        {
            return Err(ClamdAddressError);
        }
        Ok(Self::Tcp(text.to_owned()))
    }
}

impl fmt::Display for ClamdAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

/// How clamd is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClamdConfig {
    /// Where.
    pub(crate) address: ClamdAddress,
    /// Longest time for one file.
    pub(crate) file_time: Duration,
    /// Longest time for all files of one blob.
    pub(crate) blob_time: Duration,
    /// Largest file, in bytes; clamd's own `StreamMaxLength` or less.
    pub(crate) file_bytes: u64,
    /// Files that it is asked about at the same time.
    pub(crate) streams: usize,
    /// Before a blob that it did not look at is tried again.
    pub(crate) retry: Duration,
}

impl ClamdConfig {
    /// The defaults, at an address.
    pub(crate) fn at(address: ClamdAddress) -> Self {
        Self {
            address,
            file_time: Duration::from_secs(30),
            blob_time: Duration::from_mins(2),
            file_bytes: 25 << 20,
            streams: 2,
            retry: Duration::from_mins(5),
        }
    }
}

/// Why there is no answer about a file.
#[derive(Debug, Error)]
pub(super) enum ClamdError {
    /// It does not listen, or went away.
    #[error("clamd at {address} cannot be asked: {source}")]
    Away {
        address: ClamdAddress,
        source: io::Error,
    },
    /// All places were taken for as long as a file may take.
    #[error("clamd has too much to do")]
    Busy,
    /// The file is more than it takes.
    #[error("clamd takes no file of {0} bytes: set scan.clamd_bytes to its StreamMaxLength")]
    TooLarge(u64),
    /// It says that it failed.
    #[error("clamd says: {0}")]
    Said(String),
}

/// A clamd that can be asked, by several threads.
pub(crate) struct Clamd {
    config: ClamdConfig,
    taken: Mutex<usize>,
    left: Condvar,
}

impl Clamd {
    pub(super) fn new(config: ClamdConfig) -> Self {
        Self {
            config,
            taken: Mutex::new(0),
            left: Condvar::new(),
        }
    }

    /// How it is asked.
    pub(crate) fn config(&self) -> &ClamdConfig {
        &self.config
    }

    /// Longest time that a blob waits for it.
    pub(super) fn longest(&self) -> Duration {
        self.config.blob_time + self.config.file_time
    }

    /// Whether it answers.
    pub(crate) fn answers(&self) -> bool {
        let until = Instant::now() + CONNECT;
        let said = self.connect(until).and_then(|mut stream| {
            stream.write_all(b"zPING\0")?;
            read_answer(&mut stream)
        });
        said.is_ok_and(|said| said == "PONG")
    }

    /// Asks about a file. `Some`: the signature that it has.
    pub(super) fn ask(&self, file: &File, size: u64) -> Result<Option<String>, ClamdError> {
        let until = Instant::now() + self.config.file_time;
        let _place = self.place(until).ok_or(ClamdError::Busy)?;
        let away = |source| ClamdError::Away {
            address: self.config.address.clone(),
            source,
        };
        let mut stream = self.connect(until).map_err(away)?;
        let sent = send(&mut stream, file, size);
        // It may have said why before it stopped to listen.
        let said = match (read_answer(&mut stream), sent) {
            (Ok(said), _) if !said.is_empty() => said,
            (_, Err(error)) | (Err(error), Ok(())) => return Err(away(error)),
            (Ok(_), Ok(())) => return Err(away(io::ErrorKind::UnexpectedEof.into())),
        };
        understood(&said, size)
    }

    fn connect(&self, until: Instant) -> io::Result<Timed> {
        let connected_by = until.min(Instant::now() + CONNECT);
        let stream = match &self.config.address {
            ClamdAddress::Unix(path) => Stream::Unix(connect_unix(path, left(connected_by)?)?),
            ClamdAddress::Tcp(address) => {
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                let connected = address.to_socket_addrs()?.find_map(|address| {
                    left(connected_by)
                        .and_then(|wait| TcpStream::connect_timeout(&address, wait))
                        .map_err(|error| last = error)
                        .ok()
                });
                Stream::Tcp(connected.ok_or(last)?)
            }
        };
        Ok(Timed { stream, until })
    }

    fn place(&self, until: Instant) -> Option<Place<'_>> {
        let wait = until.saturating_duration_since(Instant::now());
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, waited) = self
            .left
            .wait_timeout_while(taken, wait, |taken| *taken >= self.config.streams)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() && *taken >= self.config.streams {
            return None;
        }
        *taken += 1;
        Some(Place(self))
    }
}

/// One of the files that are asked about.
struct Place<'a>(&'a Clamd);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_one();
    }
}

/// Connects within a time. One that hangs accepts nobody, and whoever connects once its queue is full waits for ever.
fn connect_unix(path: &Path, wait: Duration) -> io::Result<UnixStream> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // The system waits so long for a place in the queue, as it does for room to send.
    set_socket_timeout(&socket, Timeout::Send, Some(wait))?;
    connect(&socket, &SocketAddrUnix::new(path)?).map_err(|error| {
        if error == Errno::AGAIN {
            io::Error::new(io::ErrorKind::TimedOut, "it accepts no connection")
        } else {
            error.into()
        }
    })?;
    Ok(UnixStream::from(socket))
}

fn send(stream: &mut Timed, file: &File, size: u64) -> io::Result<()> {
    stream.write_all(b"zINSTREAM\0")?;
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < size {
        let want = usize::try_from(size - offset).unwrap_or(CHUNK).min(CHUNK);
        let read = file.read_at(&mut chunk[..want], offset)?;
        let Some(length) = u32::try_from(read).ok().filter(|length| *length > 0) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&chunk[..read])?;
        offset += u64::from(length);
    }
    stream.write_all(&0_u32.to_be_bytes())
}

/// What it says, without the zero at the end.
fn read_answer(stream: &mut Timed) -> io::Result<String> {
    let mut said = Vec::new();
    let mut byte = [0];
    while (said.len() as u64) < ANSWER_BYTES {
        if stream.read(&mut byte)? == 0 || byte[0] == 0 {
            break;
        }
        said.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}

fn understood(said: &str, size: u64) -> Result<Option<String>, ClamdError> {
    let about = said.strip_prefix("stream: ").unwrap_or(said);
    if about == "OK" {
        return Ok(None);
    }
    if let Some(name) = about.strip_suffix(" FOUND") {
        return Ok(Some(plain(name)));
    }
    if about.contains("size limit exceeded") {
        return Err(ClamdError::TooLarge(size));
    }
    Err(ClamdError::Said(plain(about)))
}

/// A text that fits into a report.
fn plain(text: &str) -> String {
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(NAME).map(shown).collect()
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection that ends at a moment, however slowly the other side goes on.
struct Timed {
    stream: Stream,
    until: Instant,
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wait = Some(left(self.until)?);
        match &mut self.stream {
            Stream::Unix(stream) => stream.set_read_timeout(wait).and_then(|()| stream.read(buffer)),
            Stream::Tcp(stream) => stream.set_read_timeout(wait).and_then(|()| stream.read(buffer)),
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wait = Some(left(self.until)?);
        match &mut self.stream {
            Stream::Unix(stream) => stream.set_write_timeout(wait).and_then(|()| stream.write(bytes)),
            Stream::Tcp(stream) => stream.set_write_timeout(wait).and_then(|()| stream.write(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
