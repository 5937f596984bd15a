//! What an application says about how its images follow.

use std::fmt;
use std::str::FromStr;

use findings::Severity;
use road::app_road::{AutoRebase, Ring};
use store::{ItemState, RebaseItem, RoadEntries};
use thiserror::Error;
use time::OffsetDateTime;

/// What is wished of one image.
#[derive(Debug, Clone)]
pub(super) struct Wishes {
    pub(super) ring: Ring,
    pub(super) auto: AutoRebase,
    /// Until when nothing is done, if it is frozen now.
    pub(super) frozen_until: Option<OffsetDateTime>,
    /// Why it is asked for where its application does not want to be asked.
    pub(super) why_ask: &'static str,
}

impl Wishes {
    /// Where a tag goes that can follow.
    pub(super) fn state(&self) -> (ItemState, String) {
        match self.auto {
            AutoRebase::Auto => (ItemState::Waiting, String::new()),
            AutoRebase::Ask => (ItemState::Asking, self.why_ask.to_owned()),
            AutoRebase::Never => (ItemState::LeftOut, "its application never wants it".to_owned()),
        }
    }

    /// The same of one that was planned before: whoever approved it need not be asked again.
    pub(super) fn state_of(&self, item: &RebaseItem) -> (ItemState, String) {
        match self.auto {
            AutoRebase::Ask if !item.approved_by.is_empty() => (ItemState::Waiting, String::new()),
            _ => self.state(),
        }
    }
}

/// What the application of a repository says; of none, and of one that says nothing: it is asked first, with most.
pub(super) fn of_item(item: &RebaseItem, road: &RoadEntries, now: OffsetDateTime) -> Wishes {
    let mut wishes = of_repository(item, road, now);
    let is_signed = road
        .bases
        .get(&item.of.base)
        .is_some_and(|base| base.signer.is_some());
    if !is_signed && wishes.auto == AutoRebase::Auto {
        // Whoever may push to the base's repository would move the whole fleet.
        wishes.auto = AutoRebase::Ask;
        wishes.why_ask =
            "the catalogue declares no signer for the base, so nothing follows without being asked for";
    }
    wishes
}

fn of_repository(item: &RebaseItem, road: &RoadEntries, now: OffsetDateTime) -> Wishes {
    let ownership = road.applications.owner_of(&item.of.repository);
    let said = ownership
        .vouched()
        .and_then(|application| road.paving.app_road(&application.name, now));
    Wishes {
        ring: said.map_or_else(Ring::default, |said| said.ring),
        auto: said.map_or_else(AutoRebase::default, |said| said.auto_rebase),
        frozen_until: said.and_then(|said| said.frozen_until(now)),
        why_ask: "its application wants to be asked",
    }
}

/// From which severity on an incident overrides a freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thaw {
    /// Critical alone.
    Critical,
    /// High too.
    High,
    /// None does.
    Never,
}

/// None of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("write critical, high or never")]
pub(crate) struct ThawError;

impl Thaw {
    /// The severity.
    pub(crate) fn severity(self) -> Option<Severity> {
        match self {
            Self::Critical => Some(Severity::Critical),
            Self::High => Some(Severity::High),
            Self::Never => None,
        }
    }
}

impl FromStr for Thaw {
    type Err = ThawError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "critical" => Ok(Self::Critical),
            "high" => Ok(Self::High),
            "never" => Ok(Self::Never),
            _ => Err(ThawError),
        }
    }
}

impl fmt::Display for Thaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Never => "never",
        })
    }
}
