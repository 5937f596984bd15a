//! Feeds: advisories that keep themselves current.
//!
//! A `Source` is an ecosystem of OSV's export, KEV or EPSS. A sync (`sync.rs`, `run.rs`) asks each source for what it has that is
//! not known yet, and takes in what came of several at about the same time as one generation; none waits for one that is slow. A
//! source that fails, wholly or in part, adds nothing to it: what it had brought before stays in force, and the next sync goes on.
//!
//! - `osv.rs`: an ecosystem's list (`list.rs`) is compared with the one of last time; what is new comes document by document, or,
//!   when it is much, as an archive (`archive.rs`). What has vanished from the list is taken back once the source confirms it.
//! - `catalogue.rs`: KEV and EPSS come whole, unless they have not changed.
//! - `losses.rs`: how much a source may lose before a person has to say that it is right.
//! - `spool.rs`: what came and is not taken in yet lies in files, not in memory.
//! - `bundle.rs`: advisories of all sources in one signed file, for where nothing can be fetched.
//! - `take_in.rs`: from what came to a generation.
//! - `schedule.rs`: what the server does by itself.
//!
//! Nothing that a source says is believed to be small, true to its form, or the same in its list and in its documents.

mod archive;
mod bundle;
mod catalogue;
mod error;
mod fetcher;
mod limits;
mod list;
mod losses;
mod osv;
mod run;
mod schedule;
mod source;
mod spool;
mod staged;
mod status;
mod sync;
mod take_in;

pub(crate) use bundle::{BundleLimits, BundleRequest, Document as BundleDocument, write as write_bundle};
pub(crate) use limits::FeedLimits;
pub(crate) use sync::Feeds;
