//! Where each application, team and the organisation stand, kept up to date.
//!
//! - `maturity/collector.rs`: what turns stored facts into evidence.

pub(crate) mod collector;
