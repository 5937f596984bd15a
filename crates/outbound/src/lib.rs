//! The only HTTP client for what is outside: feeds now, upstream registries and webhooks later.
//!
//! Whatever answers may be hostile, and what is asked for may be named by a stranger (a redirect is). So a [`Client`]
//!
//! - connects to public addresses only, and to those that its [`AddressGuard`] was told to let through; looked at after the name
//!   was resolved, on every connection, so that a name that changes its mind gains nothing;
//! - follows few redirects, never from `https` to `http`, and sends credentials to no other origin than the first;
//! - reads no more bytes than the [`Request`] allows, of what comes and of what it unpacks to;
//! - waits for nothing without a deadline, tries again a few times, later each time, and no sooner than `Retry-After` says.
//!
//! There are two things to do with it: [`Client::get`] what fits into memory, unless it is still what is known, and
//! [`Client::download`] what does not into a file, going on where an earlier try was cut off.
//!
//! Read first: `exchange.rs` (one request with its redirects), then `guard.rs`.

mod client;
mod download;
mod error;
mod exchange;
mod fetch;
mod guard;
mod partial;
mod request;
mod resolve;
mod retry;
mod settings;

pub use client::Client;
pub use download::Downloaded;
pub use error::OutboundError;
pub use fetch::Answer;
pub use guard::AddressGuard;
pub use request::{Authorization, Request, Validators};
pub use reqwest::Url;
pub use settings::Settings;
