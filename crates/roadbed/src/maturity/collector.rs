//! What turns stored facts into evidence.
//!
//! A collector is asked twice about everything: when something happens, with the line of the audit log that tells of it, and every
//! night about each subject as a whole, which makes up for what no line tells (time that went by, an advisory that was withdrawn, a
//! line that was missed).
//!
//! - **The same fact has the same id.** What a collector answers again is known by the id of its evidence and costs nothing; a fact
//!   that has changed has another id (put the digest, the state or the moment since when it is so into it).
//! - **Entries carry the number and the moment of the line** that they are collected for ([`Asked`]), never another one: the log's order
//!   is the order of what is known.
//! - **Who belongs to whom is not evidence.** Applications, their teams, tiers and targets are placed by whoever follows the log.
//! - **It reads the store, and nothing else.** It runs behind requests, on threads of its own; what takes long is cut into pages.
//! - **An error is tried again**, with the same line: the place in the log moves only together with what was made of it. A line that
//!   says nothing to a collector is answered with nothing.

use std::pin::Pin;

use anyhow::Result;
use maturity::{
    facts::Entry,
    words::{EventId, Subject},
};
use store::LogLine;
use time::OffsetDateTime;

/// The platform that applications stand on: this registry and what is connected to it ([`maturity::facts::DEFAULT_PLATFORM`]).
pub(crate) const PLATFORM: &str = "platform:default";

/// The organisation ([`maturity::facts::ORGANISATION`]).
pub(crate) const ORGANISATION: &str = "org:organisation";

/// Entries of one question at most; a collector that knows more tells the newest.
pub(crate) const MAX_COLLECTED: usize = 10_000;

/// Entries that are on their way.
pub(crate) type Collected<'a> = Pin<Box<dyn Future<Output = Result<Vec<Entry>>> + Send + 'a>>;

/// For which place in the log entries are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The number of the line: goes into [`Entry::event`].
    pub(crate) event: EventId,
    /// Its moment: goes into [`Entry::at`].
    pub(crate) at: OffsetDateTime,
}

/// Turns stored facts into evidence.
pub(crate) trait Collector: Send + Sync {
    /// Its name, for the log: `images`, `incidents`.
    fn name(&self) -> &'static str;

    /// What follows from a line of the audit log, for whichever subjects.
    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a>;

    /// Everything that is known of a subject now, nightly. Applications and teams are those of the catalogue; [`PLATFORM`] and
    /// [`ORGANISATION`] are always there.
    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a>;
}
