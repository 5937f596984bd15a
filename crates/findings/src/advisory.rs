//! Advisories: what is known to be wrong with which versions of a package.
//!
//! [`recognise()`] tells what a file is. [`Advisory::read`], [`Kev::read`], [`Epss::read`] and [`VexDocument::read`] read it, within
//! [`limits`]. [`AdvisoryIndex`] holds all advisories for matching; [`encode`] and [`AdvisoryIndex::load`] are its stored form.
//! [`find_vulnerabilities`] matches packages and groups what was found by vulnerability, with the word of every source and
//! where they disagree; [`apply_vex`] marks what a trusted signer says does not matter.
//!
//! Read first: `record.rs`, then `index/sorted.rs` and `evaluate.rs` (OSV's evaluation), then `matcher.rs` and `group.rs`.

mod bounded;
mod catalogue;
mod cvss;
mod delta;
mod epss;
mod error;
mod evaluate;
mod group;
mod index;
mod kev;
pub mod limits;
mod matcher;
mod mitigation;
mod osv;
mod rating;
mod recognise;
mod record;
#[cfg(test)]
pub(crate) mod test_data;
mod vex;

pub(crate) use bounded::Bounded;
pub use catalogue::CatalogueChange;
pub use delta::{Changed, Delta, Touched};
pub use epss::{Epss, EpssScore};
pub use error::AdvisoryError;
pub use group::{
    Conflict, Denied, Effort, Knowledge, SeverityFrom, State, VulnerabilityFinding, VulnerabilityReport,
    find_in_package, find_vulnerabilities, find_vulnerability, severity_by_probability,
};
pub use index::{
    AdvisoryIndex, IndexBuilder, IndexLimits, IndexStats, IndexedAdvisory, Vulnerability, encode,
};
pub use kev::{Kev, KevEntry};
pub use matcher::{Coverage, Fix, Match, Matches, match_packages};
pub use mitigation::Mitigation;
pub use rating::{Rating, Scheme};
pub use recognise::{DocumentKind, RECOGNISE_BYTES, recognise};
pub use record::{Advisory, Affected, Database, Event, Modularity, Range, RangeKind};
pub use vex::{
    ImageIdentity, Trust, VexComponent, VexDocument, VexNote, VexProduct, VexStatement, VexStatus, apply_vex,
};
