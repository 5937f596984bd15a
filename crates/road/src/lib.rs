//! The road that images travel: which of them there are, what is in them, and who is affected by what.
//!
//! [`fleet`] is the index from packages to images; it answers "who has this?" in milliseconds, from facts that were stored
//! before anybody knew that the question would be asked. [`question`] reads what people type. [`diff`] tells what one image
//! has and another one has not. [`synthetic`] makes fleets for benchmarks.
//!
//! The crate is pure: no clock, no network, no file system. Facts, moments and advisories arrive as values.
//!
//! Read first: `fleet.rs`, then `fleet/query.rs`.

pub mod diff;
pub mod fleet;
pub mod question;
pub mod synthetic;
