//! Advisories: what is known to be wrong with which versions of a package.

mod bounded;
mod cvss;
mod epss;
mod error;
mod kev;
pub mod limits;
mod osv;
mod rating;
mod record;
#[cfg(test)]
mod test_data;

pub use epss::{Epss, EpssScore};
pub use error::AdvisoryError;
pub use kev::{Kev, KevEntry};
pub use rating::{Rating, Scheme};
pub use record::{Advisory, Affected, Database, Event, Modularity, Range, RangeKind};
