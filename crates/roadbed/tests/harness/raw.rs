//! Bytes on a socket, for requests that no HTTP library would send.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// No answer may take longer than this.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct RawAnswer {
    /// The status; 0 when the server closed without an answer.
    pub(crate) status: u16,
    /// Everything that came, as text.
    pub(crate) text: String,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self {
            stream: TcpStream::connect(address)
                .await
                .context("the server does not listen")?,
        })
    }

    /// Writes; a server that closed meanwhile is no error, its answer may still be waiting.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        match timeout(ANSWER_DEADLINE, self.stream.write_all(bytes.as_ref())).await {
            Ok(_) => Ok(()),
            Err(_) => bail!("the server neither reads nor closes"),
        }
    }

    /// Ends the connection at once, unsent bytes and all: what a crash or a firewall does.
    pub(crate) fn reset(self) -> Result<()> {
        self.stream.set_zero_linger().context("the socket is open")
    }

    /// No more will be sent.
    pub(crate) async fn finish_sending(&mut self) {
        // Fails only if the server closed first.
        let _ = self.stream.shutdown().await;
    }

    /// Reads until the server closes.
    pub(crate) async fn read_to_end(&mut self) -> Result<RawAnswer> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match timeout(ANSWER_DEADLINE, self.stream.read(&mut buffer)).await {
                Err(_) => bail!(
                    "no end of the answer after {ANSWER_DEADLINE:?}: {}",
                    String::from_utf8_lossy(&bytes)
                ),
                // A reset after the answer is how a server closes on bytes that it did not want to read.
                Ok(Err(_) | Ok(0)) => break,
                Ok(Ok(count)) => bytes.extend_from_slice(&buffer[..count]),
            }
            if bytes.len() > MAX_ANSWER_BYTES {
                bail!("the answer is longer than {MAX_ANSWER_BYTES} bytes");
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(RawAnswer {
            status: status_of(&text),
            text,
        })
    }
}

/// Sends one request that ends the connection and returns the answer. `head` has no empty line at its end.
pub(crate) async fn exchange(
    address: SocketAddr,
    head: &str,
    authorization: &str,
    body: &[u8],
) -> Result<RawAnswer> {
    let mut connection = Connection::open(address).await?;
    let head =
        format!("{head}\r\nHost: {address}\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n");
    connection.send(head).await?;
    connection.send(body).await?;
    connection.read_to_end().await
}

fn status_of(text: &str) -> u16 {
    text.strip_prefix("HTTP/1.1 ")
        .or_else(|| text.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or(0)
}
