//! A blocking HTTP/1.1 client with as little between the socket and the clock as can be: what it costs is taken from the
//! two cores that the servers share with it. The same for both servers. Answers must say their length.

use std::{
    fmt::Write as _,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use serde::{Deserialize, Serialize};

use crate::tls::client_config;

/// What is read from a socket at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Longest head of an answer.
const HEAD_BYTES: usize = 16 * 1024;

/// A server that answers nothing for so long is stuck; the measurement ends with an error.
const STUCK: Duration = Duration::from_mins(1);

/// Where a server listens; can be handed to another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// Address and port.
    pub(crate) address: SocketAddr,
    /// PEM of its certificate, for TLS.
    pub(crate) certificate: Option<PathBuf>,
}

impl Endpoint {
    /// Something that makes connections.
    pub(crate) fn dialer(&self) -> Result<Dialer> {
        let tls = self.certificate.as_deref().map(client_config).transpose()?;
        Ok(Dialer {
            address: self.address,
            tls,
        })
    }

    /// The URL of a path that starts with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The head of a request, ready to be sent.
    pub(crate) fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

/// Bytes of a body per system call, as curl sends them (Go programs: 32 KiB). A call that sends megabytes at once would keep
/// the core from the generator of another part for as long as it takes.
const SENT_BYTES: usize = 64 * 1024;

/// Makes connections to one server.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Dialer {
    /// A new connection, after its TLS handshake.
    pub(crate) fn connect(&self) -> Result<Connection> {
        let socket = TcpStream::connect(self.address)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(STUCK))?;
        socket.set_write_timeout(Some(STUCK))?;
        let stream = match &self.tls {
            None => Stream::Plain(socket),
            Some(config) => Stream::Tls(Box::new(handshake(config, socket, self.address)?)),
        };
        Ok(Connection {
            stream,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0..0,
        })
    }
}

fn handshake(
    config: &Arc<ClientConfig>,
    socket: TcpStream,
    address: SocketAddr,
) -> Result<StreamOwned<ClientConnection, Socket>> {
    let mut session = ClientConnection::new(Arc::clone(config), ServerName::IpAddress(address.ip().into()))?;
    let mut socket = Socket {
        reader: BufReader::with_capacity(BUFFER_BYTES, socket),
    };
    while session.is_handshaking() {
        session.complete_io(&mut socket).context("TLS handshake failed")?;
    }
    Ok(StreamOwned::new(session, socket))
}

/// rustls reads a few KiB at a time: without a buffer below it the client would pay a system call for each of them.
#[derive(Debug)]
struct Socket {
    reader: BufReader<TcpStream>,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.reader.get_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.reader.get_mut().flush()
    }
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(session) => session.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(session) => session.write_all(bytes),
        }
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// Bytes of the body that follow; none after HEAD.
    pub(crate) length: u64,
    head: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// A connection that is kept alive. The body of each answer has to be read before the next request.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    buffer: Box<[u8]>,
    /// What was read and not yet used.
    filled: Range<usize>,
}

impl Connection {
    /// Sends a head and a body in pieces, reads the head of the answer.
    pub(crate) fn exchange(&mut self, head: &str, body: &[&[u8]]) -> Result<Answer> {
        self.stream.write_all(head.as_bytes()).context("cannot send")?;
        for piece in body.iter().flat_map(|piece| piece.chunks(SENT_BYTES)) {
            self.stream.write_all(piece).context("cannot send the body")?;
        }
        self.read_head(head.starts_with("HEAD "))
    }

    /// Waits for the first byte of the body that follows the head just read; when it came.
    pub(crate) fn await_body(&mut self) -> Result<Instant> {
        if self.filled.is_empty() {
            self.fill(0)?;
        }
        Ok(Instant::now())
    }

    /// Reads the body away.
    pub(crate) fn skip_body(&mut self, answer: &Answer) -> Result<()> {
        self.body_pieces(answer, |_| ())
    }

    /// Reads the body.
    pub(crate) fn body(&mut self, answer: &Answer) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        self.body_pieces(answer, |piece| body.extend_from_slice(piece))?;
        Ok(body)
    }

    fn body_pieces(&mut self, answer: &Answer, mut each: impl FnMut(&[u8])) -> Result<()> {
        let mut missing = answer.length;
        while missing > 0 {
            if self.filled.is_empty() {
                self.fill(0)?;
            }
            let available = usize::try_from(missing)
                .unwrap_or(usize::MAX)
                .min(self.filled.len());
            each(&self.buffer[self.filled.start..self.filled.start + available]);
            self.filled.start += available;
            missing -= available as u64;
        }
        Ok(())
    }

    fn read_head(&mut self, is_head: bool) -> Result<Answer> {
        if self.filled.is_empty() {
            self.fill(0)?;
        }
        loop {
            let seen = &self.buffer[self.filled.clone()];
            if let Some(end) = seen
                .windows(4)
                .take(HEAD_BYTES)
                .position(|window| window == b"\r\n\r\n")
            {
                let answer = parse_head(&seen[..end], is_head);
                self.filled.start += end + 4;
                return answer;
            }
            ensure!(seen.len() < HEAD_BYTES, "the head of the answer does not end");
            self.buffer.copy_within(self.filled.clone(), 0);
            self.fill(self.filled.len())?;
        }
    }

    /// Reads behind the first `kept` bytes of the buffer.
    fn fill(&mut self, kept: usize) -> Result<()> {
        let read = self
            .stream
            .read(&mut self.buffer[kept..])
            .context("cannot read the answer")?;
        ensure!(read > 0, "the server closed the connection");
        self.filled = 0..kept + read;
        Ok(())
    }
}

fn parse_head(bytes: &[u8], is_head: bool) -> Result<Answer> {
    let head = std::str::from_utf8(bytes)
        .context("the head of the answer is not text")?
        .to_owned();
    let status = head
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .context("not an HTTP answer")?;
    let mut answer = Answer {
        status,
        length: 0,
        head,
    };
    if !is_head && !matches!(status, 100..=199 | 204 | 304) {
        match answer.header("Content-Length") {
            Some(length) => answer.length = length.parse().context("Content-Length is not a number")?,
            None => bail!("the answer does not say its length: {}", answer.head),
        }
    }
    Ok(answer)
}
