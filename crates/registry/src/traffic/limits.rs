//! The bounds of the traffic layer, each with its unit and default.

use std::time::Duration;

/// What a listener tolerates.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Open connections over all addresses; one more takes the place of an idle one of the address that has most, if that has
    /// more than its own address, or is answered 429 (plain HTTP) or closed (TLS).
    pub connections: usize,
    /// Open connections from one address (of IPv6 the network of 64 bits). A NAT hides a whole cluster, so this is generous.
    pub connections_per_address: usize,
    /// A TLS handshake must be done within this time.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// A connection on which no request is under way is closed after this time.
    pub idle_timeout: Duration,
    /// Bytes of one request's head (request line and headers).
    pub header_bytes: usize,
    /// Header fields of one request.
    pub headers: usize,
    /// Connections, over all addresses, whose request head has begun and is not complete; one more is cut. Each costs
    /// buffers of a few times [`Self::header_bytes`] without having said who it is.
    pub unfinished_heads: usize,
    /// A client that takes less than this many bytes per second of a response over [`Self::rate_window`] is cut.
    pub minimum_read_rate: u64,
    /// A client that sends less than this many bytes per second of a body over [`Self::rate_window`] is cut.
    pub minimum_write_rate: u64,
    /// The time over which the two rates are measured.
    pub rate_window: Duration,
    /// Between SIGTERM and the first closed listener: readiness is already refused, load balancers take us out.
    pub drain_delay: Duration,
    /// Requests in flight may take this long to finish after the listener is closed.
    pub drain_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 5_000,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            header_bytes: 16 * 1024,
            headers: 100,
            unfinished_heads: 1_024,
            minimum_read_rate: 1024,
            minimum_write_rate: 1024,
            rate_window: Duration::from_secs(30),
            drain_delay: Duration::from_secs(2),
            drain_timeout: Duration::from_mins(5),
        }
    }
}
