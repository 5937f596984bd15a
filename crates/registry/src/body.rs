//! Request bodies, read under a minimum rate and a maximum size.
//!
//! A sender that trickles one byte now and then holds an upload session, a descriptor and buffers for nothing (slow-post
//! attack). Whoever sends less than the minimum rate over a whole window is cut; what arrived before stays in the upload
//! session, so an honest client on a bad line can resume.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::{HeaderValue, header};
use http_body::Body as _;
use hyper::body::Incoming;
use store::BodyError;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, Sleep, sleep_until},
};

use crate::metrics::RegistryMetrics;

/// How fast a body must come.
#[derive(Debug, Clone, Copy)]
pub struct BodyRate {
    /// Fewest bytes per second over a window.
    pub minimum: u64,
    /// The window.
    pub window: Duration,
}

/// Bytes taken in a row before the thread goes to somebody else: a sender that is faster than we are would otherwise keep
/// it until the runtime's own budget runs out, and pulls on the same thread would wait.
const TURN_BYTES: u64 = 1024 * 1024;

/// Why a body was not read into memory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// It is larger than what is read there.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// Too many bodies are held in memory at the moment.
    #[error("too many bodies are being received at the moment; retry after a moment")]
    NoRoom,
    /// It ended early or came too slowly.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// A body in memory, with the room that it takes.
#[derive(Debug)]
pub(crate) struct Collected<'r> {
    /// All of it.
    pub(crate) bytes: Bytes,
    _held: SemaphorePermit<'r>,
}

/// How much is read of a body that nobody wants, so that its sender gets to read the answer.
#[derive(Debug, Clone, Copy)]
pub struct Unwanted {
    /// Most bytes. Default 16 MiB.
    pub bytes: u64,
    /// For how long. Default 5 seconds.
    pub time: Duration,
}

impl Default for Unwanted {
    fn default() -> Self {
        Self {
            bytes: 16 * 1024 * 1024,
            time: Duration::from_secs(5),
        }
    }
}

/// A request's body that is read to its end, within bounds, when it is dropped before.
///
/// A client that is still sending when the connection closes sees a broken pipe instead of the answer that says why.
/// One that asked first (`Expect: 100-continue`) and was not told to go on sends nothing and needs no reading.
#[derive(Debug)]
pub(crate) struct RequestBody {
    body: Option<Incoming>,
    waiting: Waiting,
    unwanted: Unwanted,
}

/// Whether the sender of a body waits to be told to go on (`Expect: 100-continue`). Clones share the answer.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Option<Arc<AtomicBool>>);

impl Waiting {
    fn new(body: &Incoming, headers: &http::HeaderMap) -> Self {
        let waits = headers.contains_key(header::EXPECT) && !body.is_end_stream();
        Self(waits.then(|| Arc::new(AtomicBool::new(true))))
    }

    fn goes_on(&self) {
        if let Some(waits) = &self.0 {
            waits.store(false, Ordering::Relaxed);
        }
    }

    fn is_on(&self) -> bool {
        self.0.as_ref().is_some_and(|waits| waits.load(Ordering::Relaxed))
    }

    /// Makes `answer` the last one of its connection if the client was never told to send its body: where the next request
    /// begins is then in doubt, because it may send it all the same (RFC 9110, section 10.1.1).
    pub fn end<B>(&self, answer: &mut http::Response<B>) {
        if self.is_on() {
            answer
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, headers: &http::HeaderMap, unwanted: Unwanted) -> Self {
        Self {
            waiting: Waiting::new(&body, headers),
            body: Some(body),
            unwanted,
        }
    }

    /// What its sender waits for, to be asked when the answer is known.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Whether nothing more comes.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    /// How many bytes are to come, as far as it was announced.
    pub(crate) fn size_hint(&self) -> http_body::SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| http_body::SizeHint::with_exact(0), http_body::Body::size_hint)
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        self.waiting.goes_on();
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(body) = self
            .body
            .take()
            .filter(|body| !self.waiting.is_on() && !body.is_end_stream())
        else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let Unwanted { bytes, time } = self.unwanted;
            runtime.spawn(tokio::time::timeout(time, drain(body, bytes)));
        }
    }
}

async fn drain(mut body: Incoming, most: u64) {
    let mut drained = 0;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        drained += frame.data_ref().map_or(0, |data| data.len() as u64);
        if drained > most {
            return;
        }
    }
}

/// A request's body as a stream of chunks, cut when it comes too slowly.
#[derive(Debug)]
pub(crate) struct InboundBody {
    body: RequestBody,
    rate: BodyRate,
    window_ends: Instant,
    /// Since when the client is not waited for: it must not pay for our own disk or database.
    busy_since: Option<Instant>,
    received: u64,
    /// Bytes since the thread was last given up.
    in_a_row: u64,
    timer: Pin<Box<Sleep>>,
    metrics: Arc<RegistryMetrics>,
}

impl InboundBody {
    /// Wraps a body whose reading starts now.
    pub(crate) fn new(body: RequestBody, rate: BodyRate, metrics: Arc<RegistryMetrics>) -> Self {
        let now = Instant::now();
        let window_ends = now + rate.window;
        Self {
            body,
            rate,
            window_ends,
            busy_since: Some(now),
            received: 0,
            in_a_row: 0,
            timer: Box::pin(sleep_until(window_ends)),
            metrics,
        }
    }

    /// Reads the whole body into memory, up to `limit` bytes, within `deadline`. What is held counts against `room` (KiB
    /// over all bodies that are being held) until the answer is dropped.
    pub(crate) async fn collect(
        self,
        limit: usize,
        deadline: Duration,
        room: &Semaphore,
    ) -> Result<Collected<'_>, CollectError> {
        let collected = tokio::time::timeout(deadline, self.collect_slowly(limit, room));
        collected
            .await
            .unwrap_or(Err(CollectError::Body(BodyError::TooSlow)))
    }

    async fn collect_slowly(mut self, limit: usize, room: &Semaphore) -> Result<Collected<'_>, CollectError> {
        use futures_util::StreamExt as _;
        let announced = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(CollectError::TooLarge { limit });
        }
        let mut held = room.try_acquire().map_err(|_| CollectError::NoRoom)?;
        let mut collected = BytesMut::with_capacity(announced.min(64 * 1024));
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if collected.len() + chunk.len() > limit {
                return Err(CollectError::TooLarge { limit });
            }
            collected.extend_from_slice(&chunk);
            let wanted = collected.len().div_ceil(1024).saturating_sub(held.num_permits());
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            held.merge(room.try_acquire_many(wanted).map_err(|_| CollectError::NoRoom)?);
        }
        Ok(Collected {
            bytes: collected.freeze(),
            _held: held,
        })
    }

    fn judge_rate(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        if let Some(since) = self.busy_since.take() {
            self.window_ends += since.elapsed();
        }
        loop {
            if self.timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            // A window that was moved is waited for to its new end: cheaper than a new timer for each chunk.
            if Instant::now() < self.window_ends {
                let ends = self.window_ends;
                self.timer.as_mut().reset(ends);
                continue;
            }
            if self.received
                < self
                    .rate
                    .minimum
                    .saturating_mul(self.rate.window.as_secs().max(1))
            {
                return Err(BodyError::TooSlow);
            }
            self.received = 0;
            self.window_ends = Instant::now() + self.rate.window;
            let ends = self.window_ends;
            self.timer.as_mut().reset(ends);
        }
    }
}

impl Stream for InboundBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.in_a_row >= TURN_BYTES {
            self.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            match self.body.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers mean nothing here.
                    let Ok(data) = frame.into_data() else { continue };
                    self.received += data.len() as u64;
                    self.in_a_row += data.len() as u64;
                    self.busy_since.get_or_insert_with(Instant::now);
                    self.metrics.received_bytes.inc_by(data.len() as u64);
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyError::Disconnected))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    return match self.judge_rate(cx) {
                        Ok(()) => Poll::Pending,
                        Err(error) => Poll::Ready(Some(Err(error))),
                    };
                }
            }
        }
    }
}
