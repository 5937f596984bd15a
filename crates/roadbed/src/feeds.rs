//! Feeds: advisories that keep themselves current.
//!
//! A `Source` is an ecosystem of OSV's export, KEV or EPSS. A sync (`sync.rs`) asks each source for what it has that is not
//! known yet, and takes in what came of all of them as one generation. A source that fails, wholly or in part, adds nothing to
//! it: what it had brought before stays in force, and the next sync goes on.
//!
//! - `osv.rs`: an ecosystem's list (`list.rs`) is compared with the one of last time; what is new comes document by document, or,
//!   when it is much, as an archive (`archive.rs`). What has vanished from the list is taken back once the source confirms it.
//! - `catalogue.rs`: KEV and EPSS come whole, unless they have not changed.
//! - `take_in.rs`: from what came to a generation.
//! - `schedule.rs`: what the server does by itself.
//!
//! Nothing that a source says is believed to be small, true to its form, or the same in its list and in its documents.

mod archive;
mod catalogue;
mod error;
mod fetcher;
mod limits;
mod list;
mod osv;
mod schedule;
mod source;
mod staged;
mod status;
mod sync;
mod take_in;

pub(crate) use limits::FeedLimits;
pub(crate) use sync::Feeds;
