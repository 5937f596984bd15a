//! Connections: how many, how slow, how long, and how they end.
//!
//! `axum::serve` arms no header timeout and has no cap on connections, so the accept loop is our own:
//!
//! - [`listener`]: accepts, sheds what is over the cap, drains on shutdown.
//! - [`lanes`]: which threads a connection is served by, so that short answers do not wait behind large bodies.
//! - [`guarded`]: a stream that knows in which phase its connection is and cuts what is too slow for it.
//! - `places`: who has which of the connections, and whose gives way when there are no more.
//! - `resting`: what is left of a connection that is kept and not used.
//! - [`tls`]: certificates that are reloaded when their files change.
//! - `turnstile`: whose turn it is where not everybody can be served at once; `lag`: whether that is so.
//! - `meter`: who has asked for how much in the last minute.
//! - [`limits`]: every bound with its unit and default.

pub mod guarded;
pub(crate) mod lag;
pub mod lanes;
pub mod limits;
pub mod listener;
pub(crate) mod meter;
mod places;
mod resting;
pub mod tls;
pub(crate) mod turnstile;
