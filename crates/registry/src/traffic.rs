//! Connections: how many, how slow, how long, and how they end.
//!
//! `axum::serve` arms no header timeout and has no cap on connections, so the accept loop is our own:
//!
//! - [`listener`]: accepts, sheds what is over the cap, drains on shutdown.
//! - [`lanes`]: which threads a connection is served by, so that short answers do not wait behind large bodies.
//! - [`guarded`]: a stream that knows in which phase its connection is and cuts what is too slow for it.
//! - [`tls`]: certificates that are reloaded when their files change.
//! - [`limits`]: every bound with its unit and default.

pub mod guarded;
pub mod lanes;
pub mod limits;
pub mod listener;
pub mod tls;
