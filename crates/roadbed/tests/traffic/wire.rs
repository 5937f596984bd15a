//! A connection that is read and written piece by piece, and knows when it ended.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::harness::{
    login::basic_header,
    server::{ADMIN, ADMIN_PASSWORD, Server},
};

/// Nothing on loopback takes longer, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(40);

/// Most bytes of a head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// A connection to a server.
pub(super) struct Wire {
    stream: TcpStream,
    opened: Instant,
    /// Read beyond a head.
    rest: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub(super) async fn open(server: &Server) -> Result<Self> {
        Self::open_from(server.address(), Ipv4Addr::LOCALHOST).await
    }

    /// Connects from another address of this machine.
    pub(super) async fn open_from(address: SocketAddr, source: Ipv4Addr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        Self::connect(socket, address).await
    }

    /// Connects with hardly any room on this side for bytes that were not read.
    pub(super) async fn open_narrow(server: &Server) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        Self::connect(socket, server.address()).await
    }

    async fn connect(socket: TcpSocket, address: SocketAddr) -> Result<Self> {
        let stream = timeout(DEADLINE, socket.connect(address))
            .await?
            .context("the server does not listen")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            opened: Instant::now(),
            rest: Vec::new(),
        })
    }

    /// Writes; `false` when the other side has closed.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<bool> {
        match timeout(DEADLINE, self.stream.write_all(bytes.as_ref())).await {
            Ok(outcome) => Ok(outcome.is_ok()),
            Err(_) => bail!("the server neither reads nor closes"),
        }
    }

    /// Sends the head of a request of the administrator.
    pub(super) async fn ask(&mut self, method: &str, path: &str, headers: &str) -> Result<()> {
        let login = basic_header(ADMIN, ADMIN_PASSWORD);
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: registry\r\nAuthorization: {login}\r\n{headers}\r\n");
        ensure!(self.send(head).await?, "the server closed before the request");
        Ok(())
    }

    /// Reads the head of an answer.
    pub(super) async fn head(&mut self) -> Result<String> {
        let mut bytes = std::mem::take(&mut self.rest);
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                self.rest = bytes.split_off(end + 4);
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            ensure!(bytes.len() < MAX_HEAD_BYTES, "an endless head");
            let some = self.read(4096).await?;
            ensure!(
                !some.is_empty(),
                "the server closed without an answer: {}",
                String::from_utf8_lossy(&bytes)
            );
            bytes.extend_from_slice(&some);
        }
    }

    /// Reads an answer whose length is stated, and returns its head and body.
    pub(super) async fn answer(&mut self) -> Result<(String, Vec<u8>)> {
        let head = self.head().await?;
        let length = header(&head, "content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        let mut body = Vec::new();
        while body.len() < length {
            let some = self.read(length - body.len()).await?;
            ensure!(
                !some.is_empty(),
                "the body broke off after {} of {length} bytes",
                body.len()
            );
            body.extend_from_slice(&some);
        }
        Ok((head, body))
    }

    /// Reads what is there, up to `most` bytes; nothing when the server has closed.
    pub(super) async fn read(&mut self, most: usize) -> Result<Vec<u8>> {
        if !self.rest.is_empty() {
            let tail = self.rest.split_off(self.rest.len().min(most));
            return Ok(std::mem::replace(&mut self.rest, tail));
        }
        let mut buffer = vec![0; most];
        let read = timeout(DEADLINE, self.stream.read(&mut buffer))
            .await
            .context("the server neither writes nor closes")?;
        // A reset is how a server closes on bytes that it did not read.
        buffer.truncate(read.unwrap_or(0));
        Ok(buffer)
    }

    /// Reads so many bytes, or until the server closes; returns how many came.
    pub(super) async fn read_fully(&mut self, length: usize) -> Result<usize> {
        let mut count = 0;
        while count < length {
            let some = self.read((length - count).min(64 * 1024)).await?;
            if some.is_empty() {
                break;
            }
            count += some.len();
        }
        Ok(count)
    }

    /// Reads until the server closes. How long the connection lived, and how many bytes came.
    pub(super) async fn drain(&mut self) -> Result<(Duration, usize)> {
        let mut count = 0;
        loop {
            let some = self.read(64 * 1024).await?;
            if some.is_empty() {
                return Ok((self.opened.elapsed(), count));
            }
            count += some.len();
        }
    }
}

/// The status of an answer's head.
pub(super) fn status(head: &str) -> u16 {
    head.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

/// A header of an answer's head.
pub(super) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// One chunk of a body with `Transfer-Encoding: chunked`.
pub(super) fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The end of such a body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
