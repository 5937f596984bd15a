//! Where each application, team and the organisation stand, kept up to date.
//!
//! The audit log gives the order of everything. `follow` reads it line by line: what people and robots said with a line is read from the
//! store, all else is asked of the collectors. What comes of a line is taken in by the one assessment in memory, and is written together
//! with the changes that follow and with the place in the log, in one transaction. A start reads what is known and what changed from the
//! store, behind requests, and goes on at the place.
//!
//! - `maturity/collector.rs`: what turns stored facts into evidence. `maturity/collect.rs`: how.
//! - `maturity/entries.rs`: entries and changes as the store keeps them. `maturity/roster.rs`: who belongs to whom.
//! - `maturity/load.rs`: what a start reads. `maturity/models.rs`: which model counts.
//! - `maturity/follow.rs`: the log, line by line. `maturity/nightly.rs`: everything of everybody, once a day.
//! - `maturity/figures.rs`: who counts how fast, safe and fresh everything is. `maturity/kpis.rs`: how.
//! - `maturity/news.rs`: what owners are told. `maturity/service.rs`: for the API.

use std::sync::Arc;

use crate::fleet::FleetService;

mod collect;
pub(crate) mod collector;
mod entries;
pub(crate) mod figures;
mod follow;
mod kpis;
mod load;
mod models;
mod news;
mod nightly;
mod roster;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use follow::follow;
pub(crate) use service::MaturityService;

/// All that turns stored facts into evidence.
pub(crate) fn collectors(
    store: store::Store,
    fleet: Arc<FleetService>,
) -> Vec<Arc<dyn collector::Collector>> {
    collect::all(store, fleet)
}

/// Who counts the figures.
pub(crate) fn figures(store: store::Store, fleet: Arc<FleetService>) -> Arc<dyn figures::Figures> {
    Arc::new(kpis::Counter::of(store, fleet))
}
