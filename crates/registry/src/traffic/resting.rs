//! What is left of a connection on which nothing was asked for a while: its stream, and no more.
//!
//! A server of HTTP keeps two buffers for each connection, and room for the answer to one request, whether there is one or not, for as long
//! as a client keeps a connection that it does not use. So the server of a connection that rests is dropped, and made anew with the
//! first bytes that come.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::guarded::Phase;

/// Nothing was asked for so long: the connection rests.
const REST: Duration = Duration::from_secs(2);

/// The first bytes of a request that are read before there is a server to read it: most heads.
const FIRST_BYTES: usize = 1024;

/// Resolves when a connection rests. Looked at now and then: a timer of each request would cost more than it saves.
pub(super) async fn until_resting(phase: &Phase) {
    loop {
        tokio::time::sleep(REST).await;
        if phase.rests(Instant::now(), REST) {
            return;
        }
    }
}

/// A stream of which some bytes were read already.
#[derive(Debug)]
pub(super) struct Rested<T> {
    read: Bytes,
    stream: T,
}

impl<T> Rested<T> {
    /// One of which nothing was read.
    pub(super) fn new(stream: T) -> Self {
        Self {
            read: Bytes::new(),
            stream,
        }
    }

    /// Puts bytes back that were read and not used.
    pub(super) fn put_back(&mut self, bytes: Bytes) {
        // Whoever gives bytes back has read all that were put back before.
        self.read = if self.read.is_empty() {
            bytes
        } else {
            [bytes, std::mem::take(&mut self.read)].concat().into()
        };
    }
}

impl<T: AsyncRead + Unpin> Rested<T> {
    /// Waits until something comes. `false`: nothing does any more.
    pub(super) async fn wake(&mut self) -> io::Result<bool> {
        if !self.read.is_empty() {
            return Ok(true);
        }
        let read = poll_fn(|cx| {
            let mut bytes = [0; FIRST_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            Poll::Ready(io::Result::Ok(Bytes::copy_from_slice(buffer.filled())))
        });
        self.read = read.await?;
        Ok(!self.read.is_empty())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rested<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let taken = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read[..taken]);
        self.read.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rested<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_wakes_it_is_read_first_and_once() {
        let (near, mut far) = duplex(8_192);
        let mut stream = Rested::new(near);
        let sent: Vec<u8> = (0..3_000).map(|number: u32| number.to_le_bytes()[0]).collect();
        far.write_all(&sent).await.unwrap();
        assert!(stream.wake().await.unwrap());
        assert!(stream.wake().await.unwrap(), "what was read is still there");
        let mut read = vec![0; 10];
        stream.read_exact(&mut read).await.unwrap();
        stream.put_back(Bytes::copy_from_slice(&read));
        drop(far);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, sent);
        assert!(!stream.wake().await.unwrap(), "nothing comes any more");
    }
}
