//! Events in their order, as what they say about applications, images and vulnerabilities.
//!
//! Nothing depends on the order or on the repetition of what comes in. The parts of an index become the index; what runs is
//! taken from clusters or, under the proxy, from release pushes, never from both.

mod fill;
mod place;

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;
use time::{Duration, OffsetDateTime};

use super::event::{App, Event, Place, ReleaseLine, Revision, VulnerabilityGroup};
use super::{Frame, Severity, Source};

pub use place::{Level, PlaceHistory, Start, Stay};

/// How long a rollout must stay ready to have been shipped. Gaps up to this long do not end an exposure.
pub const READY_FOR: Duration = Duration::minutes(10);

/// What an image stands on, all parts of an index together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its bases.
    pub(crate) bases: BTreeSet<Digest>,
    /// The layers that are its own.
    pub(crate) app_layers: BTreeSet<Digest>,
}

/// What was found in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matched {
    /// When first.
    pub(crate) at: OffsetDateTime,
    /// The worst that was said.
    pub(crate) severity: Severity,
    /// Which lines of releases its components belong to.
    pub(crate) lines: BTreeSet<Option<ReleaseLine>>,
}

/// Whose, or for whom, and about what.
pub(crate) type Concern = (App, VulnerabilityGroup);

/// What the events say, up to the moment of asking.
#[derive(Debug, Clone)]
pub struct Journal {
    /// The moment of asking.
    pub(crate) now: OffsetDateTime,
    /// Whose word about what runs is taken.
    pub(crate) source: Source,
    pub(crate) places: BTreeMap<Place, PlaceHistory>,
    pub(crate) revisions: BTreeMap<Digest, Revision>,
    pub(crate) standings: BTreeMap<Digest, Standing>,
    pub(crate) pushed: BTreeMap<App, BTreeMap<Digest, OffsetDateTime>>,
    pub(crate) scanned: BTreeMap<Digest, OffsetDateTime>,
    pub(crate) admitted: BTreeMap<(App, Digest), OffsetDateTime>,
    /// In production.
    pub(crate) rollouts_failed: Vec<(Place, Digest, OffsetDateTime)>,
    pub(crate) incidents: Vec<(App, Digest, OffsetDateTime)>,
    pub(crate) advisories: BTreeMap<VulnerabilityGroup, OffsetDateTime>,
    pub(crate) fixes: BTreeMap<(VulnerabilityGroup, Option<ReleaseLine>), OffsetDateTime>,
    /// Images that are affected by the last word.
    pub(crate) matches: BTreeMap<VulnerabilityGroup, BTreeMap<Digest, Matched>>,
    /// The same from the image.
    pub(crate) affecting: BTreeMap<Digest, BTreeSet<VulnerabilityGroup>>,
    /// Images all of whose parts were looked at and do not have it, and since when that is known.
    pub(crate) cleared: BTreeMap<VulnerabilityGroup, BTreeMap<Digest, OffsetDateTime>>,
    pub(crate) notified: BTreeMap<Concern, OffsetDateTime>,
    pub(crate) mitigated: BTreeMap<Concern, Vec<(OffsetDateTime, OffsetDateTime)>>,
}

impl Journal {
    /// Puts events in order. What is later than the moment of asking does not count.
    pub fn of(events: impl IntoIterator<Item = Event>, frame: &Frame<'_>) -> Self {
        fill::fill(events, frame)
    }

    /// The places that customers use.
    pub(crate) fn production(&self) -> impl Iterator<Item = (&Place, &PlaceHistory)> {
        self.places.iter().filter(|(_, history)| history.is_production)
    }

    /// What affects any digest that was ever in a place.
    pub(crate) fn groups_in(&self, history: &PlaceHistory) -> BTreeSet<&VulnerabilityGroup> {
        let stays = history.stays.iter();
        stays
            .filter_map(|stay| self.affecting.get(&stay.digest))
            .flatten()
            .collect()
    }

    /// Applications of which something was in production in a span of time.
    pub(crate) fn alive(&self, from: OffsetDateTime, until: OffsetDateTime) -> BTreeSet<App> {
        let lived = |history: &PlaceHistory| {
            history
                .stays
                .iter()
                .any(|stay| !stay.is_dormant && stay.from < until && stay.until.is_none_or(|end| end > from))
        };
        self.production()
            .filter(|(_, history)| lived(history))
            .map(|(place, _)| place.app.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests;
