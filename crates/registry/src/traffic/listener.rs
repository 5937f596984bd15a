//! The accept loop: accepts, sheds what is over the cap, drains on shutdown.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response, header::CONTENT_LENGTH};
use http_body::Body as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
};
use tokio_rustls::TlsAcceptor;

use super::{
    guarded::{GuardedStream, HeadPlaces, Phase, RequestGuard},
    lanes::{Course, Lanes, RoamingStream, Traffic},
    limits::ConnectionLimits,
    places::{MOST_LEAVING, Place, Places, Taken},
    resting::{Rested, until_resting},
};
use crate::metrics::ConnectionMetrics;

/// What a handler may know of the connection that a request came in on.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The other end as the socket sees it (a proxy, where there is one).
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// Answers requests. One value serves every connection.
pub trait Handler: Send + Sync + 'static {
    /// Whether answering takes the processor for long (lists, the JSON API), so that it must not keep an express lane.
    fn computes(&self, request: &Request<Incoming>) -> bool;

    /// Answers one request; there is no error that is not an answer.
    fn handle(&self, peer: Peer, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// What a connection may hold of bytes that were read and not yet taken.
const READ_BUFFER_BYTES: usize = 128 * 1024;

/// What a TLS connection encrypts at once: each system call and each wake-up of the reader then counts for as much.
const TLS_BUFFER_BYTES: usize = 256 * 1024;

/// A request's body of more bytes than this, or of a length that is not announced, is received on the lane for uploads.
const LARGE_REQUEST_BYTES: u64 = 64 * 1024;

/// An answer of more bytes than this, or of unknown length, is sent on the lane for downloads. Smaller ones keep an express
/// lane for half a millisecond at most (over TLS).
const LARGE_ANSWER_BYTES: u64 = 1 << 20;

/// The answer to a connection over the cap: written blindly and closed, because reading costs what the cap protects.
const SHED: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\nconnection: close\r\ncontent-type: application/json\r\n\
content-length: 96\r\n\r\n{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"too many connections; retry after 5 s\"}]}       \n";

/// A bound socket with all that its connections share.
pub struct Listener<H> {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    lanes: Lanes,
    shared: Arc<Shared<H>>,
}

struct Shared<H> {
    handler: H,
    limits: ConnectionLimits,
    places: Arc<Places>,
    /// One permit of each open connection, for whoever waits until all have ended.
    open: Arc<Semaphore>,
    head_places: HeadPlaces,
    metrics: ConnectionMetrics,
    draining: watch::Sender<bool>,
}

impl<H: Handler> Listener<H> {
    /// Prepares to serve `handler` on a socket that is already bound.
    pub fn new(
        socket: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        lanes: Lanes,
        limits: ConnectionLimits,
        metrics: ConnectionMetrics,
        handler: H,
    ) -> Self {
        let places = Places::new(limits.connections, limits.connections_per_address);
        let open = Arc::new(Semaphore::new(limits.connections + MOST_LEAVING));
        let head_places = Arc::new(Semaphore::new(limits.unfinished_heads));
        let shared = Shared {
            handler,
            limits,
            places,
            open,
            head_places,
            metrics,
            draining: watch::channel(false).0,
        };
        Self {
            socket,
            tls: tls.map(TlsAcceptor::from),
            lanes,
            shared: Arc::new(shared),
        }
    }

    /// Serves until `shutdown` resolves, then closes the socket, lets requests in flight finish and returns how many
    /// connections had to be cut at the deadline.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> usize {
        let Self {
            socket,
            tls,
            lanes,
            shared,
        } = self;
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => Shared::admit(&shared, &lanes, stream, address, tls.as_ref()),
                Err(error) => recover(&error).await,
            }
        }
        drop(socket);
        shared.drain().await
    }
}

/// Out of descriptors or memory: waiting is all that helps, and spinning would make it worse.
async fn recover(error: &io::Error) {
    let of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !of_one_connection {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "cannot accept connections, waiting 100 ms"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl<H: Handler> Shared<H> {
    fn admit(
        this: &Arc<Self>,
        lanes: &Lanes,
        stream: TcpStream,
        address: SocketAddr,
        tls: Option<&TlsAcceptor>,
    ) {
        let course = Course::default();
        let phase = Phase::new(course.clone());
        let Some((slot, leave)) = Slot::take(this, address.ip(), phase.clone()) else {
            this.metrics.shed.inc();
            shed(&stream, tls.is_none());
            return;
        };
        let _ = stream.set_nodelay(true);
        this.metrics.accepted.inc();
        let stream = RoamingStream::new(stream, course.clone());
        let state = ConnectionState {
            phase,
            course: course.clone(),
            peer: Peer {
                address,
                tls: tls.is_some(),
            },
            leave,
        };
        lanes.admit(course, Self::connection(slot, stream, state, tls.cloned()));
    }

    async fn connection(
        slot: Slot<H>,
        stream: RoamingStream,
        mut state: ConnectionState,
        tls: Option<TlsAcceptor>,
    ) {
        let shared = Arc::clone(&slot.shared);
        let mut guarded = GuardedStream::new(stream, state.phase.clone(), &shared.limits);
        let Some(acceptor) = tls else {
            guarded.count_heads(Arc::clone(&shared.head_places));
            return shared.serve(guarded, state).await;
        };
        let handshake = tokio::time::timeout(shared.limits.handshake_timeout, acceptor.accept(guarded));
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            _ = &mut state.leave => return,
        };
        match handshake {
            Ok(Ok(mut stream)) => {
                let (guarded, session) = stream.get_mut();
                guarded.count_heads(Arc::clone(&shared.head_places));
                session.set_buffer_limit(Some(TLS_BUFFER_BYTES));
                shared.serve(stream, state).await;
            }
            Ok(Err(_)) | Err(_) => {
                shared.metrics.handshakes_failed.inc();
            }
        }
    }

    async fn serve<T>(self: &Arc<Self>, stream: T, mut state: ConnectionState)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = state.peer;
        let phase = state.phase.clone();
        let service = service_fn(|request: Request<Incoming>| {
            let in_flight = phase.request();
            phase.has_body(!request.body().is_end_stream());
            let (shared, course) = (Arc::clone(self), state.course.clone());
            async move {
                course.begin().await;
                let announced = request.body().size_hint().exact();
                if announced.is_none_or(|bytes| bytes > LARGE_REQUEST_BYTES) {
                    course.take(Traffic::Upload).await;
                } else if shared.handler.computes(&request) {
                    course.take(Traffic::Download).await;
                }
                let response = shared.handler.handle(peer, request).await;
                if is_large(&response) {
                    course.take(Traffic::Download).await;
                }
                Ok::<_, Infallible>(response.map(|body| Guarded {
                    body,
                    _in_flight: in_flight,
                }))
            }
        });
        let mut draining = self.draining.subscribe();
        let mut stream = Rested::new(stream);
        loop {
            let mut connection = self.http().serve_connection(TokioIo::new(stream), &service);
            let outcome = tokio::select! {
                outcome = &mut connection => outcome,
                _ = &mut state.leave => {
                    if !phase.is_answering() {
                        return;
                    }
                    // A request came in the last moment: it is answered, and no other one.
                    Pin::new(&mut connection).graceful_shutdown();
                    connection.await
                }
                () = until_true(&mut draining) => {
                    Pin::new(&mut connection).graceful_shutdown();
                    connection.await
                }
                () = until_resting(&phase) => {
                    let parts = connection.into_parts();
                    stream = parts.io.into_inner();
                    stream.put_back(parts.read_buf);
                    let woken = tokio::select! {
                        woken = stream.wake() => woken,
                        _ = &mut state.leave => return,
                        () = until_true(&mut draining) => return,
                    };
                    match woken {
                        Ok(true) => continue,
                        Ok(false) | Err(_) => return,
                    }
                }
            };
            if let Err(error) = outcome {
                tracing::debug!(peer = %peer.address, error = &error as &dyn std::error::Error, "connection ended early");
            }
            return;
        }
    }

    /// How HTTP is spoken.
    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // The guarded stream keeps the deadlines: hyper's own timer is armed anew for every request.
            .header_read_timeout(None)
            .max_headers(self.limits.headers)
            .max_header_size(self.limits.header_bytes)
            // Also what a body is read into: smaller costs system calls, larger costs memory per stranger.
            .max_buf_size(self.limits.header_bytes.max(READ_BUFFER_BYTES))
            // Whoever has sent all there is to send (`nc -N`) waits for the answer. One that has gone is found out by the
            // answer that it does not take, and before the next of its requests (`Course::begin`).
            .half_close(true);
        http
    }

    async fn drain(&self) -> usize {
        self.draining.send_replace(true);
        let all = u32::try_from(self.limits.connections + MOST_LEAVING).unwrap_or(u32::MAX);
        let ended = tokio::time::timeout(self.limits.drain_timeout, self.open.acquire_many(all)).await;
        ended.map_or_else(|_| self.places.open(), |_| 0)
    }
}

/// What the service, the stream and the lanes know of one connection.
struct ConnectionState {
    phase: Phase,
    course: Course,
    peer: Peer,
    /// Resolves when another connection needs the place more.
    leave: oneshot::Receiver<()>,
}

/// Whether an answer belongs on the lane for downloads. A stream does not know its length, but its head does.
fn is_large(response: &Response<Body>) -> bool {
    let announced = || {
        response
            .headers()
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    };
    let length = response.body().size_hint().exact().or_else(announced);
    length.is_none_or(|bytes| bytes > LARGE_ANSWER_BYTES)
}

/// Waits for the drain to begin. What the channel lends must not be held across the wait.
async fn until_true(draining: &mut watch::Receiver<bool>) {
    while !*draining.borrow_and_update() {
        if draining.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// One open connection's place under the two caps.
struct Slot<H> {
    shared: Arc<Shared<H>>,
    // Given back before the place: whoever has a place has a permit.
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl<H> Slot<H> {
    fn take(shared: &Arc<Shared<H>>, from: IpAddr, phase: Phase) -> Option<(Self, oneshot::Receiver<()>)> {
        let Taken {
            place,
            leave,
            displaced,
        } = shared.places.take(from, phase)?;
        let permit = Arc::clone(&shared.open).try_acquire_owned().ok()?;
        shared.metrics.open.inc();
        if displaced {
            shared.metrics.displaced.inc();
        }
        let slot = Self {
            shared: Arc::clone(shared),
            _permit: permit,
            _place: place,
        };
        Some((slot, leave))
    }
}

impl<H> Drop for Slot<H> {
    fn drop(&mut self) {
        self.shared.metrics.open.dec();
    }
}

fn shed(stream: &TcpStream, plain: bool) {
    if plain {
        let _ = stream.try_write(SHED);
    }
}

/// A response's body that keeps its request in flight until it is sent or dropped.
struct Guarded {
    body: Body,
    _in_flight: RequestGuard,
}

impl http_body::Body for Guarded {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
