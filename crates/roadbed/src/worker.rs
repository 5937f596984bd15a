//! Looking into blobs, each in a process of its own that has nothing but the blob.
//!
//! What strangers pushed is parsed nowhere else. A [`Pool`] keeps some children ready: split off a nursery that has compiled the
//! rules, locked in, waiting on a socket. One is handed the open file of a blob, answers with a report, and ends; the next takes
//! its place. It can die at any moment: the blob is tried again, and a blob that kills three of them is *not scannable*.
//!
//! - `worker/child.rs`: what runs in nursery and child. `worker/split.rs`: how one becomes the other. `worker/sandbox.rs`: what a
//!   child is locked in. `worker/lifeline.rs`: how it ends with its server.
//! - `worker/wire.rs`: what passes between them. `worker/pool.rs`: having, asking, ending children, each of them a
//!   `worker/process.rs`, of a `worker/nursery.rs`.
//! - `worker/clamd.rs`: asking clamd about files that the child hands out.
//! - `worker/broker.rs`: claims jobs of the store and has them done.

mod answer;
mod broker;
pub(crate) mod child;
mod clamd;
mod engines;
mod lifeline;
mod nursery;
mod pool;
mod process;
mod sandbox;
mod split;
mod wire;

pub(crate) use broker::{Broker, BrokerConfig, gave_up};
pub(crate) use clamd::{ClamdAddress, ClamdConfig};
#[cfg(test)]
pub(crate) use engines::not_scannable;
#[cfg(test)]
pub(crate) use engines::tests::look;
pub(crate) use engines::{NO_LAYER, Skips, check_rules};
pub(crate) use pool::{Pool, PoolConfig, PoolError, check};
