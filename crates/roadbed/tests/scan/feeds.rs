//! Advisories that are fetched: by the command on a data directory, and by a server itself.
//!
//! `mirror` is an export of OSV beside the catalogues, which a test may change and spoil; `registry` a data directory that fetches
//! from it.

mod bundle;
mod held;
mod hostile;
mod increments;
mod mirror;
mod patient;
mod registry;
mod served;
mod slow;
