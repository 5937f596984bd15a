//! What every integration test stands on: the real binary on a free port, a client that logs in as Docker does, bytes
//! to push, and a count of what was checked.
//!
//! Read first: [`server::Server`] starts `roadbed serve` on an empty data directory, makes sure that the process that
//! answers is the one just started, and ends it by its id when it goes out of scope. [`client::Client`] speaks HTTP to
//! it and hands back an [`answer::Answer`], whose checks name the request, what was wanted and what came.
//! [`content`] and [`manifest`] make blobs and manifests; they hash with `sha2` directly, so that a fault in our own
//! digest type cannot hide itself. [`raw`] writes bytes to the socket for what no HTTP library would send.

pub(crate) mod admin;
pub(crate) mod answer;
pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod content;
pub(crate) mod login;
pub(crate) mod manifest;
pub(crate) mod metrics;
pub(crate) mod push;
pub(crate) mod raw;
pub(crate) mod server;
pub(crate) mod tally;
pub(crate) mod unable;
