//! From hostile bytes to facts: what is in a layer.
//!
//! Everything here reads what strangers wrote. It runs in a sandboxed child that has the blob, the rules and nothing else,
//! so the crate is pure: bytes come through [`Read`](std::io::Read), archives through a parameter that can also seek, limits
//! and their one [`Budget`] are parameters. What exceeds a limit is *not scannable*, with the name of the limit; it is never a
//! panic and never a wait.
//!
//! # What is here
//!
//! - [`Limits`], [`Budget`]: what a layer may cost.
//! - [`File`], [`Content`], [`Cataloger`]: one file of a layer, and who reads it.
//! - [`tar`]: the reader of layers. [`codec`]: what they are compressed with.
//! - [`layer`]: the one pass over a layer.
//! - `chart`: what a Helm chart, which is looked into as a layer is, says about images.
//! - [`packages`]: the catalogers. [`secrets`], [`malware`], [`configuration`]: what is looked for in bytes.
//!
//! Read first: `limits.rs`, then `file.rs`, then `tar.rs`.

mod chart;
pub mod codec;
pub mod configuration;
mod file;
pub mod layer;
mod limits;
mod linkage;
pub mod malware;
pub mod packages;
#[cfg(test)]
mod processor_time;
pub mod secrets;
#[cfg(test)]
mod skipped;
pub mod tar;

pub use file::{Cataloger, Content, Facts, File, FileError, ReadSeek};
pub use limits::{Budget, Exceeded, Limits};
