//! Mitigations and waivers: what changes the state of a line without fixing it.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::apply::check_text;
use super::{
    Event, Incident, IncidentError, LineKey, MAX_ENDED_RELIEFS, MAX_RELIEF_DAYS, MAX_RELIEFS, Sighting,
};
use crate::names::VulnerabilityId;

/// By whom what the registry saw itself is said.
pub(super) const SEEN_BY: &str = "the registry";

/// What changes the state of a line without fixing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReliefKind {
    /// Something makes it harmless.
    Mitigation,
    /// Somebody bears it.
    Waiver,
}

impl ReliefKind {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mitigation => "mitigation",
            Self::Waiver => "waiver",
        }
    }
}

/// A mitigation or waiver of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relief {
    /// Which of the two.
    pub kind: ReliefKind,
    /// What it covers, as bits of the group.
    pub(super) covers: u64,
    /// Until when, not included. `None`: as long as the registry sees it.
    pub until: Option<OffsetDateTime>,
    /// What, or why.
    pub reason: String,
    /// Who says so.
    pub by: String,
    /// Since when it counts; `None`: since it was seen.
    pub since: Option<OffsetDateTime>,
    /// That somebody took it back before its end.
    pub ended: Option<Ended>,
}

/// That a mitigation or waiver was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: OffsetDateTime,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Relief {
    /// Whether it counts at a moment.
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Incident {
    /// What the registry saw itself, as reliefs.
    pub(super) fn reliefs_of(&self, sighting: &Sighting) -> Result<Vec<Relief>, IncidentError> {
        let reliefs = sighting.reliefs.iter().map(|seen| {
            check_text("reason", &seen.reason)?;
            Ok(Relief {
                kind: seen.kind,
                covers: self.mask(&seen.covers)?,
                until: seen.until,
                reason: seen.reason.clone(),
                by: SEEN_BY.to_owned(),
                since: None,
                ended: None,
            })
        });
        reliefs.collect()
    }

    pub(super) fn relieve(
        &mut self,
        kind: ReliefKind,
        event: &Event,
        (key, covers): (&LineKey, &[VulnerabilityId]),
        until: OffsetDateTime,
        reason: &str,
    ) -> Result<(), IncidentError> {
        check_text("reason", reason)?;
        let covers = self.mask(covers)?;
        if covers == 0 || reason.trim().is_empty() {
            return Err(IncidentError::CoversNothing);
        }
        let length = until - event.at;
        if !length.is_positive() || length > Duration::days(MAX_RELIEF_DAYS) {
            return Err(IncidentError::Until);
        }
        let line = self.followed(key)?;
        let in_force = line.reliefs.iter().filter(|relief| relief.is_live(event.at));
        if in_force.count() >= MAX_RELIEFS {
            return Err(IncidentError::Reliefs(key.to_string()));
        }
        let ended = line.reliefs.iter().filter(|relief| !relief.is_live(event.at));
        let mut too_many = ended.count().saturating_sub(MAX_ENDED_RELIEFS);
        // The earliest go first. The events have them all.
        line.reliefs.retain(|relief| {
            let is_dropped = too_many > 0 && !relief.is_live(event.at);
            too_many -= usize::from(is_dropped);
            !is_dropped
        });
        line.reliefs.push(Relief {
            kind,
            covers,
            until: Some(until),
            reason: reason.to_owned(),
            by: event.actor.clone(),
            since: Some(event.at),
            ended: None,
        });
        Ok(())
    }

    pub(super) fn end(
        &mut self,
        kind: ReliefKind,
        event: &Event,
        key: &LineKey,
        reason: &str,
    ) -> Result<(), IncidentError> {
        check_text("reason", reason)?;
        let (line, at) = (self.followed(key)?, event.at);
        let of_kind = line.reliefs.iter_mut().filter(|relief| relief.kind == kind);
        for relief in of_kind.filter(|relief| relief.is_live(at)) {
            relief.until = Some(relief.until.map_or(at, |until| until.min(at)));
            relief.ended = Some(Ended {
                at,
                by: event.actor.clone(),
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }
}
