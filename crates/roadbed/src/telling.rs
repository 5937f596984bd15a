//! Telling people and their systems what happens, and what owners must do about incidents.
//!
//! `follow` reads the audit log behind a durable cursor and writes what follows from it for each sink (`plan`, pure) together with the
//! cursor. `dispatch` sends what is written: each sink has a task of its own, which tells it one thing after the other, so that
//! one which hangs keeps nobody waiting. What fails is tried again, later each time (`pause`), and given up after a while.
//! `channel` knows how each kind of sink is spoken to; everything goes out through `outbound`.

mod channel;
mod dispatch;
mod follow;
mod limits;
mod messages;
mod metrics;
mod outcome;
mod pause;
mod plan;
mod sample;
mod secret;
mod service;
mod setup;
mod signature;

#[cfg(test)]
mod tests;

pub(crate) use limits::TellingLimits;
pub(crate) use messages::{Asked as MessagesAsked, Messages, NoIncidents};
pub(crate) use metrics::TellingMetrics;
pub(crate) use service::TellingService;
pub(crate) use setup::SetupError;
