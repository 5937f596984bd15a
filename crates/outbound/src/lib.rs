//! The only client for what is outside: feeds, webhooks and ticket systems over HTTP, mail over SMTP, upstream registries.
//!
//! Whatever answers may be hostile, and what is asked for may be named by a stranger (a redirect is). So a [`Client`]
//!
//! - connects to public addresses only, and to those that its [`AddressGuard`] was told to let through; looked at after the name
//!   was resolved, on every connection, so that a name that changes its mind gains nothing;
//! - follows few redirects, never from `https` to `http`, and sends credentials to no other origin than the first;
//! - reads no more bytes than the [`Request`] allows, of what comes and of what it unpacks to;
//! - waits for nothing without a deadline, tries again a few times, later each time, and no sooner than `Retry-After` says.
//!
//! There are four things to do with it: [`Client::get`] what fits into memory, unless it is still what is known,
//! [`Client::download`] what does not into a file, going on where an earlier try was cut off, [`Client::send`] something once and
//! hear what is answered, and hand a mail to its server ([`Client::mail`]).
//!
//! What speaks the protocol of registries stands on it: [`distribution`].
//!
//! Read first: `exchange.rs` (one request with its redirects), then `guard.rs`.

mod client;
mod connect;
pub mod distribution;
mod download;
mod error;
mod exchange;
mod fetch;
mod guard;
mod headers;
mod mail;
mod partial;
mod request;
mod resolve;
mod retry;
mod send;
mod settings;

pub use client::Client;
pub use download::Downloaded;
pub use error::OutboundError;
pub use fetch::Answer;
pub use guard::AddressGuard;
pub use mail::{MailLogin, MailServer, MailTls, Posted};
pub use request::{Authorization, Request, Validators};
pub use reqwest::Url;
pub use send::{Reply, Sending};
pub use settings::Settings;
