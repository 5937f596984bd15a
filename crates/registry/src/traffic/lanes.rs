//! Lanes: short answers never queue behind large bodies.
//!
//! An *express* lane is one thread with an event loop of its own. A connection that is served there costs no hand-over
//! between threads, which is most of what a short request costs when the server is not busy. Large bodies would make
//! everybody on that thread wait, so a connection that begins to receive or to send one moves to a lane that many threads
//! share, and comes back when the answer has been sent. Uploads have threads of lower priority: pulls come first. So does a
//! connection of somebody who sends very many requests at once (`crowd`).
//!
//! A connection is a future, and a future may be polled by another task between two polls. Moving it costs a wake-up
//! and a new registration of its socket (`RoamingStream`).

use std::{
    io,
    num::NonZero,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime::{Builder, Handle, Runtime},
};

use crowd::Said;

/// Added to the nice value of the threads that receive uploads.
const UPLOAD_NICE: i32 = 5;

/// Where a connection is polled. Express lanes are numbered from `FIRST_EXPRESS`.
type LaneNumber = u16;

const DOWNLOADS: LaneNumber = 0;
const UPLOADS: LaneNumber = 1;
const CROWDS: LaneNumber = 2;
const FIRST_EXPRESS: LaneNumber = 3;

/// A connection comes back from the lane for crowds after so many requests in a row during which its sender did not crowd.
const CALM_REQUESTS: u8 = 64;

/// More threads than this bring nothing: an express lane answers tens of thousands of requests per second.
const MAX_EXPRESS: usize = 64;

/// What kind of body is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Traffic {
    /// None, or a small one.
    Short = 0,
    /// A large answer, or one that takes long to compute.
    Download = 1,
    /// A large body of a request.
    Upload = 2,
}

/// The lanes of one process; clones share them.
///
/// They must outlive the connections: a connection's timers belong to the lane where they were made.
#[derive(Debug, Clone)]
pub struct Lanes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    downloads: Handle,
    uploads: Option<Runtime>,
    crowds: Option<Runtime>,
    express: Vec<Handle>,
    next: AtomicUsize,
}

impl Lanes {
    /// Starts an express lane, a thread for uploads and one for crowds per core. Downloads share the runtime that this is called in.
    ///
    /// # Errors
    /// The system refuses threads or event loops.
    pub fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(2, NonZero::get);
        let uploads = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("uploads")
            .on_thread_start(behind_requests(UPLOAD_NICE))
            .enable_all()
            .build()?;
        let crowds = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("crowds")
            .on_thread_start(crowd::begin)
            .enable_all()
            .build()?;
        let express = (0..cores.min(MAX_EXPRESS))
            .map(|_| start_express())
            .collect::<io::Result<_>>()?;
        Ok(Self(Arc::new(Inner {
            downloads: Handle::current(),
            uploads: Some(uploads),
            crowds: Some(crowds),
            express,
            next: AtomicUsize::new(0),
        })))
    }

    /// Runs `connection` to its end, beginning on the express lane whose turn it is.
    pub(super) fn admit(&self, course: Course, connection: impl Future<Output = ()> + Send + 'static) {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.express.len();
        let home = FIRST_EXPRESS + LaneNumber::try_from(turn).unwrap_or(0);
        Traveller {
            connection: Some(Box::pin(connection)),
            course,
            home,
            lanes: self.clone(),
        }
        .depart();
    }

    fn handle(&self, lane: LaneNumber) -> &Handle {
        let inner = &*self.0;
        let own = match lane {
            UPLOADS => inner.uploads.as_ref().map(Runtime::handle),
            CROWDS => inner.crowds.as_ref().map(Runtime::handle),
            FIRST_EXPRESS.. => inner.express.get(usize::from(lane - FIRST_EXPRESS)),
            DOWNLOADS => None,
        };
        own.unwrap_or(&inner.downloads)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last handle may be dropped by a task, where waiting for threads is not allowed.
        for lane in [self.uploads.take(), self.crowds.take()].into_iter().flatten() {
            lane.shutdown_background();
        }
    }
}

/// The thread lives as long as the process: whoever stops the server has waited for the connections before.
fn start_express() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name("express".into()).spawn(move || {
        if let Err(error) = slice::shorten() {
            tracing::debug!(%error, "the system does not shorten the time slice of a thread");
        }
        super::lag::begin();
        runtime.block_on(std::future::pending::<()>());
    })?;
    Ok(handle)
}

/// What a thread has to call at its start whose nice value shall be that of the caller and `added`. The value is asked for here,
/// once: a thread begins with that of the thread that starts it, which may be one of them.
pub fn behind_requests(added: i32) -> impl Fn() + Send + Sync + 'static {
    let nice = rustix::process::getpriority_process(None).unwrap_or(0) + added;
    move || {
        // On Linux "process 0" of setpriority is the calling thread alone; elsewhere it would be the whole process.
        if cfg!(target_os = "linux")
            && let Err(error) = rustix::process::setpriority_process(None, nice)
        {
            tracing::debug!(%error, nice, "could not lower the priority of a thread");
        }
    }
}

/// Where a connection is and where it wants to be; shared between its future, its stream and its service.
#[derive(Debug, Clone, Default)]
pub(super) struct Course(Arc<State>);

#[derive(Debug, Default)]
struct State {
    at: AtomicU16,
    traffic: AtomicU8,
    /// Calm requests until it comes back from the lane for crowds; 0 where it does not belong there.
    crowded: AtomicU8,
    /// The connection's turns so far (polls), and the one in which its last request began.
    turn: AtomicU32,
    last_request: AtomicU32,
    /// Bytes have come since the last request began. Whatever begins without lay in a buffer.
    heard: AtomicBool,
    /// The next flush asks the socket whether its peer is still there.
    doubted: AtomicBool,
}

impl Course {
    /// From now on the connection carries `traffic`. Resolves on the lane for it.
    pub(super) async fn take(&self, traffic: Traffic) {
        let changed = self.0.traffic.swap(traffic as u8, Ordering::Relaxed) != traffic as u8;
        let mut left = !changed;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut left, true) {
                return Poll::Ready(());
            }
            // Whoever polls the connection sees the wish when this poll ends; without lanes there is another poll.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Called when a request begins. A connection gets one request per turn: whoever sends many at once (pipelining) must
    /// not keep the lane from others, and whoever has gone is not worked for: what lay in a buffer begins a turn later, and
    /// only if the flush that ends this one finds that the peer is still there.
    pub(super) async fn begin(&self) {
        let state = &*self.0;
        let turn = state.turn.load(Ordering::Relaxed);
        let buffered = !state.heard.swap(false, Ordering::Relaxed);
        if state.last_request.swap(turn, Ordering::Relaxed) != turn && !buffered {
            return;
        }
        state.doubted.store(true, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let turn = state.turn.load(Ordering::Relaxed);
        state.last_request.store(turn, Ordering::Relaxed);
    }

    /// Bytes have come from the peer.
    fn hear(&self) {
        self.0.heard.store(true, Ordering::Relaxed);
    }

    /// What was handed over of the last answer has been sent.
    pub(super) fn end(&self) {
        self.0.traffic.store(Traffic::Short as u8, Ordering::Relaxed);
    }

    /// What the poll that has ended found out about its sender.
    fn hear_of_crowds(&self) {
        let crowded = &self.0.crowded;
        match crowd::said() {
            None => {}
            Some(Said::Crowds) => crowded.store(CALM_REQUESTS, Ordering::Relaxed),
            Some(Said::IsCalm) => {
                let left = crowded.load(Ordering::Relaxed).saturating_sub(1);
                crowded.store(left, Ordering::Relaxed);
            }
        }
    }

    fn at(&self) -> LaneNumber {
        self.0.at.load(Ordering::Relaxed)
    }

    fn wanted(&self, home: LaneNumber) -> LaneNumber {
        const DOWNLOAD: u8 = Traffic::Download as u8;
        const UPLOAD: u8 = Traffic::Upload as u8;
        match self.0.traffic.load(Ordering::Relaxed) {
            DOWNLOAD => DOWNLOADS,
            UPLOAD => UPLOADS,
            _ if self.0.crowded.load(Ordering::Relaxed) > 0 => CROWDS,
            _ => home,
        }
    }
}

/// A connection on its way through the lanes.
struct Traveller {
    /// `None` after it has moved on.
    connection: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    course: Course,
    home: LaneNumber,
    lanes: Lanes,
}

impl Traveller {
    /// Goes to the lane that the connection wants.
    fn depart(self) {
        let lane = self.course.wanted(self.home);
        self.course.0.at.store(lane, Ordering::Relaxed);
        let lanes = self.lanes.clone();
        lanes.handle(lane).spawn(self);
    }
}

impl Future for Traveller {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(connection) = &mut this.connection else {
            return Poll::Ready(());
        };
        this.course.0.turn.fetch_add(1, Ordering::Relaxed);
        let polled = connection.as_mut().poll(cx);
        this.course.hear_of_crowds();
        if polled.is_ready() {
            return Poll::Ready(());
        }
        if self.course.at() == self.course.wanted(self.home) {
            return Poll::Pending;
        }
        Self {
            connection: self.connection.take(),
            course: self.course.clone(),
            home: self.home,
            lanes: self.lanes.clone(),
        }
        .depart();
        Poll::Ready(())
    }
}

/// A TCP stream that is woken by the event loop of the lane that polls it.
#[derive(Debug)]
pub(super) struct RoamingStream {
    /// `None` after it could not be registered.
    stream: Option<TcpStream>,
    registered: LaneNumber,
    course: Course,
}

impl RoamingStream {
    /// A stream that was accepted where the lanes were started.
    pub(super) fn new(stream: TcpStream, course: Course) -> Self {
        Self {
            stream: Some(stream),
            registered: DOWNLOADS,
            course,
        }
    }

    /// The stream, registered here.
    fn here(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let at = self.course.at();
        if at != self.registered
            && let Some(stream) = self.stream.take()
        {
            self.stream = Some(TcpStream::from_std(stream.into_std()?)?);
            self.registered = at;
        }
        self.stream
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for RoamingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.here()?.poll_read(cx, buf);
        if buf.filled().len() > before {
            self.course.hear();
        }
        read
    }
}

impl AsyncWrite for RoamingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.here()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.here()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush.
        if self.course.0.doubted.swap(false, Ordering::Relaxed)
            && let Some(stream) = &self.stream
            && let Some(gone) = stream.take_error()?
        {
            return Poll::Ready(Err(gone));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_shutdown(cx)
    }
}

pub(crate) mod crowd;
pub mod slice;

#[cfg(test)]
mod tests;
