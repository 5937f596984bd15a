//! How an application wants to be served by the road: in which ring, what is done without asking, and when nothing is.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime};

use crate::names::{ApplicationName, GoldenPathId, Owner, Topic};

/// Most freeze windows of one application.
pub const MAX_FREEZES: usize = 50;

/// Longest freeze window: whoever never wants a patch says `never`.
pub const MAX_FREEZE: Duration = Duration::days(120);

/// Most topics with a level.
pub const MAX_TARGETS: usize = 32;

/// Highest level.
pub const MAX_LEVEL: u8 = 5;

/// Last year that a date may be in: what ends later has no end.
pub const LAST_YEAR: i32 = 2_100;

/// When an application has its turn: the first ring bears what the others are spared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ring {
    /// First of all: it is there to fail early.
    Canary,
    /// Once the canaries hold.
    Early,
    /// With most.
    #[default]
    Normal,
    /// Last.
    Late,
}

impl Ring {
    /// All, the first first, with their spelling.
    pub const WORDS: [(&str, Self); 4] = [
        ("canary", Self::Canary),
        ("early", Self::Early),
        ("normal", Self::Normal),
        ("late", Self::Late),
    ];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Early => "early",
            Self::Normal => "normal",
            Self::Late => "late",
        }
    }
}

/// Whether images of an application are put on a newer release of their base without asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AutoRebase {
    /// Without asking; written `true`.
    Auto,
    /// Once its owner says so.
    #[default]
    Ask,
    /// Not at all; `false` too.
    Never,
}

impl AutoRebase {
    /// All that can be written.
    pub const WORDS: [(&str, Self); 5] = [
        ("true", Self::Auto),
        ("auto", Self::Auto),
        ("ask", Self::Ask),
        ("never", Self::Never),
        ("false", Self::Never),
    ];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ask => "ask",
            Self::Never => "never",
        }
    }
}

/// A time in which nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FreezeWindow {
    /// From when.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Until when, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// Why a text is no freeze window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FreezeError {
    /// Not two dates or moments.
    #[error("no window: write 2026-12-20/2027-01-03, of which both days count, or two moments")]
    Form,
    /// The end comes first.
    #[error("a window that ends before it begins")]
    Backwards,
    /// [`MAX_FREEZE`].
    #[error("a window of more than 120 days: write several, or `autoRebase: never`")]
    Long,
}

impl FreezeWindow {
    /// Whether it is on.
    pub fn holds(&self, now: OffsetDateTime) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), FreezeError> {
        if self.until <= self.from {
            return Err(FreezeError::Backwards);
        }
        if self.until - self.from > MAX_FREEZE {
            return Err(FreezeError::Long);
        }
        Ok(())
    }
}

impl FromStr for FreezeWindow {
    type Err = FreezeError;

    /// `2026-12-20/2027-01-03`, both days included, in UTC; or two moments in RFC 3339, the second one not included.
    fn from_str(text: &str) -> Result<Self, FreezeError> {
        let (from, until) = text.split_once('/').ok_or(FreezeError::Form)?;
        let window = Self {
            from: first_moment(from.trim()).ok_or(FreezeError::Form)?,
            until: end_of(until.trim()).ok_or(FreezeError::Form)?,
        };
        window.check().map(|()| window)
    }
}

/// The first moment of a date, or a moment; none after [`LAST_YEAR`].
pub fn first_moment(text: &str) -> Option<OffsetDateTime> {
    date(text)
        .map(|day| day.midnight().assume_utc())
        .or_else(|| moment(text))
        .filter(is_within)
}

/// The end of a date, which still counts, or a moment; none after [`LAST_YEAR`].
pub fn end_of(text: &str) -> Option<OffsetDateTime> {
    date(text)
        .and_then(Date::next_day)
        .map(|day| day.midnight().assume_utc())
        .or_else(|| moment(text))
        .filter(is_within)
}

/// A moment is none: the parser would take its date.
fn date(text: &str) -> Option<Date> {
    let is_date = text.len() == "2026-12-20".len();
    is_date.then(|| Date::parse(text, &Iso8601::DATE).ok()).flatten()
}

/// Near the end of the calendar no other offset can be told.
fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()?
        .checked_to_offset(time::UtcOffset::UTC)
}

fn is_within(moment: &OffsetDateTime) -> bool {
    (1970..=LAST_YEAR).contains(&moment.year())
}

/// What an application has said about the road. Without one it is in the ring `normal` and asked first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRoad {
    /// Which application.
    pub application: ApplicationName,
    /// Who answers for this; nobody named: the application's owner.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// The golden path that it is on.
    #[serde(default)]
    pub path: Option<GoldenPathId>,
    /// When it has its turn.
    #[serde(default)]
    pub ring: Ring,
    /// How important it is: 0 is the most.
    #[serde(default)]
    pub tier: Option<u8>,
    /// Whether it is asked first.
    #[serde(default)]
    pub auto_rebase: AutoRebase,
    /// When nothing is done.
    #[serde(default)]
    pub freezes: Vec<FreezeWindow>,
    /// Which levels it aims at, by topic.
    #[serde(default)]
    pub target_levels: BTreeMap<Topic, u8>,
    /// Until when this counts, not included; not said: as long as its golden path is supported.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

impl AppRoad {
    /// Until when nothing is done, if it is frozen now: windows that follow each other without a gap are one.
    pub fn frozen_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let mut end = None;
        loop {
            let at = end.unwrap_or(now);
            let next = self.freezes.iter().filter(|window| window.holds(at));
            match next.map(|window| window.until).max() {
                Some(until) => end = Some(until),
                None => return end,
            }
        }
    }
}

#[cfg(test)]
mod tests;
