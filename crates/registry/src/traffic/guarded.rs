//! A stream that knows in which phase its connection is and cuts what is too slow for it.
//!
//! A connection is *idle* (no request under way), reading a *head*, serving a *request*, or *sending* what is left of an
//! answer whose body has been handed over. Each phase has its own deadline, and a response that the client does not take fast
//! enough ends the connection (slow-read attack). Bodies that come too slowly are cut where they are read (`body.rs`), because
//! only there is it known that one is expected.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until},
};

use super::{lanes::Course, limits::ConnectionLimits};

// A new connection owes a request head: it starts in that phase, so the zero is HEAD.
const HEAD: u8 = 0;
const IDLE: u8 = 1;
const REQUEST: u8 = 2;
const SENDING: u8 = 3;

/// The phase of one connection, shared between its stream and its service.
#[derive(Debug, Clone, Default)]
pub struct Phase {
    now: Arc<Now>,
    course: Course,
}

#[derive(Debug, Default)]
struct Now {
    phase: AtomicU8,
    /// When it last began to be idle or to read a head, in milliseconds since [`BEGINNING`].
    since: AtomicU64,
    /// The last request had no body, so nothing of it can still come.
    had_no_body: AtomicBool,
}

/// From when moments are counted that several connections are compared by.
static BEGINNING: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// A head that has not come whole for so long is no request yet that others have to stand back for.
const SLOW_HEAD: Duration = Duration::from_secs(1);

/// Places for request heads that have begun and are not complete.
pub type HeadPlaces = Arc<Semaphore>;

impl Phase {
    /// The phase of a connection that has just begun.
    pub(super) fn new(course: Course) -> Self {
        let phase = Self {
            now: Arc::default(),
            course,
        };
        phase.began(std::time::Instant::now());
        phase
    }

    /// A request's head is complete; the connection serves it until the returned guard is dropped.
    pub fn request(&self) -> RequestGuard {
        self.now.phase.store(REQUEST, Ordering::Relaxed);
        RequestGuard(self.clone())
    }

    /// Whether the request whose head is complete has a body.
    pub(super) fn has_body(&self, has_body: bool) {
        self.now.had_no_body.store(!has_body, Ordering::Relaxed);
    }

    /// Whether the last request is over in both directions, and nothing has come for so long.
    pub(super) fn rests(&self, now: std::time::Instant, least: Duration) -> bool {
        self.now.phase.load(Ordering::Relaxed) == IDLE
            && self.now.had_no_body.load(Ordering::Relaxed)
            && self.spare(now).is_some_and(|idle| idle >= least)
    }

    /// Whether a request is being served, or its answer sent.
    pub(super) fn is_answering(&self) -> bool {
        matches!(self.now.phase.load(Ordering::Relaxed), REQUEST | SENDING)
    }

    /// For how long nothing was asked, if the connection can be done without: it is idle, or owes a head for long.
    pub(super) fn spare(&self, now: std::time::Instant) -> Option<Duration> {
        let since = *BEGINNING + Duration::from_millis(self.now.since.load(Ordering::Relaxed));
        let idle = now.saturating_duration_since(since);
        match self.now.phase.load(Ordering::Relaxed) {
            IDLE => Some(idle),
            HEAD => (idle >= SLOW_HEAD).then_some(idle),
            _ => None,
        }
    }

    /// The present phase has begun at this moment.
    fn began(&self, at: std::time::Instant) {
        let since = at.saturating_duration_since(*BEGINNING).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.now.since.store(since, Ordering::Relaxed);
    }

    /// All that was written has been taken by the socket: what was sending is idle, and may go home.
    pub(super) fn sent(&self) {
        let sent = self
            .now
            .phase
            .compare_exchange(SENDING, IDLE, Ordering::Relaxed, Ordering::Relaxed);
        if sent.is_ok() {
            self.course.end();
        }
    }
}

/// Ends a request's phase when the response's body is dropped. Its last megabytes may still have to be sent.
#[derive(Debug)]
pub struct RequestGuard(Phase);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.now.phase.store(SENDING, Ordering::Relaxed);
    }
}

/// An I/O stream under the deadlines of [`ConnectionLimits`].
#[derive(Debug)]
pub struct GuardedStream<T> {
    stream: T,
    phase: Phase,
    /// The phase that `since` belongs to, as this side saw it last.
    seen: u8,
    since: Instant,
    header_timeout: Duration,
    idle_timeout: Duration,
    blocked: Option<Blocked>,
    minimum_read_rate: u64,
    rate_window: Duration,
    timer: Pin<Box<Sleep>>,
    /// Where a head that does not come in one piece takes its place; `None` during a TLS handshake, which has its own
    /// deadline and comes in pieces by nature.
    head_places: Option<HeadPlaces>,
    head_place: Option<OwnedSemaphorePermit>,
    /// Whether bytes of the present head have come.
    head_begun: bool,
}

/// A response that the client is not taking: since when, and what it took meanwhile.
#[derive(Debug)]
struct Blocked {
    since: Instant,
    taken: u64,
}

impl<T> GuardedStream<T> {
    /// Guards a stream that was just accepted.
    pub fn new(stream: T, phase: Phase, limits: &ConnectionLimits) -> Self {
        let now = Instant::now();
        Self {
            stream,
            phase,
            seen: HEAD,
            since: now,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            blocked: None,
            minimum_read_rate: limits.minimum_read_rate,
            rate_window: limits.rate_window,
            timer: Box::pin(sleep_until(now + limits.header_timeout)),
            head_places: None,
            head_place: None,
            head_begun: false,
        }
    }

    /// From now on heads that do not come in one piece take a place.
    pub fn count_heads(&mut self, places: HeadPlaces) {
        self.head_places = Some(places);
        self.head_begun = false;
    }

    /// A head that has begun has to wait for its rest: it takes a place, or the connection ends.
    fn hold_head_place(&mut self) -> io::Result<()> {
        if self.observe() != HEAD || !self.head_begun || self.head_place.is_some() {
            return Ok(());
        }
        let Some(places) = &self.head_places else {
            return Ok(());
        };
        let place = Arc::clone(places).try_acquire_owned();
        self.head_place = Some(place.map_err(|_| io::Error::other("too many unfinished request heads"))?);
        Ok(())
    }

    fn observe(&mut self) -> u8 {
        let phase = self.phase.now.phase.load(Ordering::Relaxed);
        if phase != self.seen {
            self.seen = phase;
            self.since = Instant::now();
            if matches!(phase, IDLE | HEAD) {
                self.phase.began(self.since.into_std());
            }
            if phase != HEAD {
                self.head_place = None;
                self.head_begun = false;
            }
        }
        phase
    }

    /// When the present phase must be over, if it must.
    fn deadline(&mut self) -> Option<Instant> {
        let by_phase = match self.observe() {
            IDLE => Some(self.since + self.idle_timeout),
            HEAD => Some(self.since + self.header_timeout),
            _ => None,
        };
        let by_rate = self
            .blocked
            .as_ref()
            .map(|blocked| blocked.since + self.rate_window);
        by_phase.into_iter().chain(by_rate).min()
    }

    /// Called whenever the stream has to wait: arms the timer for the nearest deadline and fails when one has passed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let Some(deadline) = self.deadline() else {
                return Ok(());
            };
            // A deadline that moved away is left to fire early and is then armed anew: cheaper than once per request.
            if deadline < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(deadline);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.judge()?;
        }
    }

    fn judge(&mut self) -> io::Result<()> {
        let now = Instant::now();
        match self.observe() {
            IDLE if now >= self.since + self.idle_timeout => {
                return Err(timed_out("connection was idle too long"));
            }
            HEAD if now >= self.since + self.header_timeout => {
                return Err(timed_out("request head came too slowly"));
            }
            _ => {}
        }
        if let Some(blocked) = &mut self.blocked
            && now >= blocked.since + self.rate_window
        {
            if blocked.taken
                < self
                    .minimum_read_rate
                    .saturating_mul(self.rate_window.as_secs().max(1))
            {
                return Err(timed_out("client takes the response too slowly"));
            }
            *blocked = Blocked { since: now, taken: 0 };
        }
        Ok(())
    }

    fn note_written(&mut self, written: usize) {
        if let Some(blocked) = &mut self.blocked {
            blocked.taken += written as u64;
        }
    }

    fn note_blocked(&mut self) {
        self.blocked.get_or_insert_with(|| Blocked {
            since: Instant::now(),
            taken: 0,
        });
    }
}

fn timed_out(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

impl<T: AsyncRead + Unpin> AsyncRead for GuardedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    if self.observe() == IDLE {
                        self.phase.now.phase.store(HEAD, Ordering::Relaxed);
                    }
                    self.head_begun |= self.observe() == HEAD;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match self.hold_head_place().and_then(|()| self.poll_deadline(cx)) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }
}

impl<T: AsyncWrite + Unpin> GuardedStream<T> {
    fn settle_write(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(written)) => {
                self.note_written(written);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.note_blocked();
                match self.poll_deadline(cx) {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                }
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for GuardedStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.settle_write(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.settle_write(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.blocked = None;
            self.phase.sent();
            // After an answer nothing polls the read side again until bytes come: the idle deadline is armed here.
            if let Err(error) = self.poll_deadline(cx) {
                return Poll::Ready(Err(error));
            }
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn guarded(buffer: usize) -> (GuardedStream<DuplexStream>, DuplexStream, Phase) {
        let (near, far) = duplex(buffer);
        let phase = Phase::default();
        (
            GuardedStream::new(near, phase.clone(), &ConnectionLimits::default()),
            far,
            phase,
        )
    }

    async fn read_error(stream: &mut GuardedStream<DuplexStream>) -> io::Error {
        let mut buffer = [0; 64];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => panic!("the stream ended instead of being cut"),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_cut_like_a_slow_head() {
        let (mut stream, _far, _) = guarded(64);
        let began = Instant::now();
        assert_eq!(read_error(&mut stream).await.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            began.elapsed().as_secs(),
            ConnectionLimits::default().header_timeout.as_secs()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_is_cut() {
        let (mut stream, mut far, _) = guarded(64);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if far.write_all(b"x").await.is_err() {
                    return;
                }
            }
        });
        let began = Instant::now();
        assert_eq!(read_error(&mut stream).await.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() <= ConnectionLimits::default().header_timeout + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn heads_in_pieces_take_places_and_one_too_many_is_cut() {
        let places: HeadPlaces = Arc::new(Semaphore::new(1));
        let (mut first, mut first_far, _) = guarded(64);
        let (mut second, mut second_far, _) = guarded(64);
        first.count_heads(Arc::clone(&places));
        second.count_heads(Arc::clone(&places));
        first_far.write_all(b"GET /").await.unwrap();
        second_far.write_all(b"GET /").await.unwrap();
        let mut buffer = [0; 64];
        first.read_exact(&mut buffer[..5]).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(1), first.read(&mut buffer)).await;
        assert!(waiting.is_err(), "the first may wait for its rest");
        second.read_exact(&mut buffer[..5]).await.unwrap();
        assert_eq!(
            second.read(&mut buffer).await.unwrap_err().kind(),
            io::ErrorKind::Other
        );
        drop(first);
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_the_longer_deadline_holds() {
        let (mut stream, _far, phase) = guarded(64);
        drop(phase.request());
        stream.flush().await.unwrap();
        let began = Instant::now();
        assert_eq!(read_error(&mut stream).await.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            began.elapsed().as_secs(),
            ConnectionLimits::default().idle_timeout.as_secs()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_may_take_its_time() {
        let (mut stream, mut far, phase) = guarded(64);
        let _request = phase.request();
        let hours = Duration::from_hours(5);
        let late = tokio::spawn(async move {
            tokio::time::sleep(hours).await;
            far.write_all(b"!").await.unwrap();
            far
        });
        let mut buffer = [0; 1];
        stream.read_exact(&mut buffer).await.unwrap();
        late.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_an_answer_is_no_idle_time() {
        let (mut stream, mut far, phase) = guarded(4096);
        let idle = ConnectionLimits::default().idle_timeout;
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            // At 2 KiB per second this takes longer than a connection may be idle.
            for _ in 0..2 * idle.as_secs() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                far.read_exact(&mut buffer).await.unwrap();
            }
            far
        });
        // The body is handed over whole, so the request's guard goes at once.
        drop(phase.request());
        let bytes = usize::try_from(2 * idle.as_secs() * 2048).unwrap();
        stream.write_all(&vec![0; bytes]).await.unwrap();
        assert_eq!(phase.now.phase.load(Ordering::Relaxed), SENDING);
        stream.flush().await.unwrap();
        assert_eq!(phase.now.phase.load(Ordering::Relaxed), IDLE);
        reader.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_a_byte_now_and_then_is_cut() {
        let (mut stream, mut far, phase) = guarded(64);
        let _request = phase.request();
        tokio::spawn(async move {
            let mut byte = [0; 1];
            while far.read_exact(&mut byte).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = stream.write_all(&vec![0; 100_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_but_steady_reader_is_served() {
        let (mut stream, mut far, phase) = guarded(4096);
        let _request = phase.request();
        let reader = tokio::spawn(async move {
            let (mut total, mut buffer) = (0, [0; 2048]);
            loop {
                match far.read(&mut buffer).await.unwrap() {
                    0 => return total,
                    read => total += read,
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        stream.write_all(&vec![0; 500_000]).await.unwrap();
        drop(stream);
        assert_eq!(reader.await.unwrap(), 500_000);
    }
}
