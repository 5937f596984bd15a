//! The OCI distribution protocol over HTTP, on a [`store::Store`].
//!
//! A request comes in on a connection that [`traffic`] accepted under its caps and deadlines. [`Registry::handle`] reads
//! which endpoint the path names ([`Route`]), finds out who asks (the `Authorization` header, remembered for a minute),
//! lets the access book issue a permit for that caller, repository and action, and calls the handler. A handler cannot
//! reach the store without the permit. What goes wrong becomes an answer in one place, `error.rs`.
//!
//! Read first: `service.rs` (the path of every request), then `handlers/manifests.rs` and `handlers/uploads.rs`.
//!
//! What is an upstream's is pulled through by [`proxy`].
//!
//! What this crate does not know: what is inside of a layer. A push records and enqueues, a pull asks the store.

pub mod access_log;
mod admission;
mod answers;
mod auth;
mod body;
mod challenge;
mod classes;
mod config;
mod error;
pub mod gate;
mod handlers;
pub mod metrics;
mod namespace;
mod overload;
mod paging;
mod percent;
pub mod proxy;
mod query;
mod rates;
mod route;
mod sent;
mod service;
mod through;
mod token;
pub mod traffic;

pub use auth::HeaderCache;
pub use body::{BodyRate, Unwanted, Waiting};
pub use classes::ClassRules;
pub use config::RegistryConfig;
pub use overload::{TrafficConfig, TrafficUsage};
pub use query::Query;
pub use rates::Rate;
pub use route::{ChartName, ChartPart, Route, RouteError};
pub use service::Registry;
pub use token::FormLimits;
pub use traffic::{meter::Usage, turnstile::LineState};
