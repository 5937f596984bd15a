//! What lies between a registry and its upstream, and does to the bytes what networks do.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// Bytes that are handed on at once.
const PIECE: usize = 8 * 1024;

/// What happens to answers; questions pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// Every connection is reset, those that are open too.
    Gone,
    /// Each piece comes so much later.
    Slow(Duration),
    /// The connection is reset after so many bytes of the body.
    Cut(usize),
    /// After so many bytes of the body nothing comes any more, and nobody closes.
    HalfOpen(usize),
    /// The byte at this place of the body is another one.
    WrongByte(usize),
}

/// Stands before a server. Ends with the value.
pub(super) struct Faults {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    task: JoinHandle<()>,
}

impl Faults {
    /// Before `target`, on a port of its own.
    pub(super) async fn before(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let fault = watch::Sender::new(Fault::None);
        let faults = fault.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let faults = faults.clone();
                // Whoever goes away in the middle is what tests are about.
                tokio::spawn(async move { relay(client, target, faults).await.ok() });
            }
        });
        Ok(Self { address, fault, task })
    }

    /// The origin to name instead of that of the server.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on.
    pub(super) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a connection ends.
enum End {
    InOrder,
    Reset,
}

async fn relay(mut client: TcpStream, target: SocketAddr, faults: watch::Receiver<Fault>) -> io::Result<()> {
    if *faults.borrow() == Fault::Gone {
        return client.set_zero_linger();
    }
    let mut server = TcpStream::connect(target).await?;
    let end = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let asking = async {
            // When all was asked, the answer still comes.
            let _ = copy(&mut from_client, &mut to_server).await;
            std::future::pending::<()>().await;
        };
        let answering = Answering {
            faults,
            head: Vec::new(),
            at: None,
        };
        tokio::select! {
            end = answering.hand_on(&mut from_server, &mut to_client) => end?,
            () = asking => End::Reset,
        }
    };
    match end {
        End::InOrder => client.shutdown().await,
        End::Reset => client.set_zero_linger(),
    }
}

/// The answers of one connection. Servers of tests end each with its connection, so there is one head.
struct Answering {
    faults: watch::Receiver<Fault>,
    /// The last bytes of the head as far as it came.
    head: Vec<u8>,
    /// Bytes of the body that were handed on; `None` before the head has ended.
    at: Option<usize>,
}

impl Answering {
    async fn hand_on(mut self, from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>) -> io::Result<End> {
        let mut buffer = vec![0; PIECE];
        loop {
            let read = tokio::select! {
                read = from.read(&mut buffer) => read?,
                changed = self.faults.changed() => {
                    if changed.is_err() || *self.faults.borrow() == Fault::Gone {
                        return Ok(End::Reset);
                    }
                    continue;
                }
            };
            if read == 0 {
                return Ok(End::InOrder);
            }
            let fault = *self.faults.borrow_and_update();
            let body = self.body_in(&buffer[..read]);
            let piece = &mut buffer[..read];
            match fault {
                Fault::None => to.write_all(piece).await?,
                Fault::Gone => return Ok(End::Reset),
                Fault::Slow(time) => {
                    sleep(time).await;
                    to.write_all(piece).await?;
                }
                Fault::Cut(after) => {
                    if !self.write_up_to(after, body, piece, to).await? {
                        return Ok(End::Reset);
                    }
                }
                Fault::HalfOpen(after) => {
                    if !self.write_up_to(after, body, piece, to).await? {
                        // For as long as it lasts.
                        let _ = self.faults.changed().await;
                        return Ok(End::Reset);
                    }
                }
                Fault::WrongByte(place) => {
                    let before = self.at.unwrap_or(0);
                    let length = read - body;
                    if length > 0 && (before..before + length).contains(&place) {
                        piece[body + place - before] ^= 1;
                    }
                    to.write_all(piece).await?;
                }
            }
            if self.at.is_some() || body < read {
                self.at = Some(self.at.unwrap_or(0) + read - body);
            }
        }
    }

    /// Where the body begins in a piece; its length where all of it is head.
    fn body_in(&mut self, piece: &[u8]) -> usize {
        if self.at.is_some() {
            return 0;
        }
        let before = self.head.len();
        self.head.extend_from_slice(piece);
        let end = self.head.windows(4).position(|window| window == b"\r\n\r\n");
        match end {
            Some(end) => {
                self.at = Some(0);
                end + 4 - before
            }
            None => piece.len(),
        }
    }

    /// Hands on what of the body is before a place; answers whether that was all of the piece.
    async fn write_up_to(
        &self,
        after: usize,
        body: usize,
        piece: &[u8],
        to: &mut WriteHalf<'_>,
    ) -> io::Result<bool> {
        let room = after.saturating_sub(self.at.unwrap_or(0));
        let most = piece.len().min(body + room);
        to.write_all(&piece[..most]).await?;
        Ok(most == piece.len())
    }
}
