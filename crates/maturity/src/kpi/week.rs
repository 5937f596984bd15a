//! ISO weeks (ISO 8601): from Monday to Sunday, in UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Date, Duration, OffsetDateTime, UtcOffset, Weekday};

/// A week, written `2026-W48`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IsoWeek {
    monday: Date,
}

/// Why a text is no week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an ISO week: write it as 2026-W48")]
pub struct WeekError;

impl IsoWeek {
    /// The week of a moment.
    pub fn of(at: OffsetDateTime) -> Self {
        let date = at.to_offset(UtcOffset::UTC).date();
        let days = i64::from(date.weekday().number_days_from_monday());
        Self {
            monday: date.saturating_sub(Duration::days(days)),
        }
    }

    /// So many weeks before.
    #[must_use]
    pub fn before(self, weeks: u32) -> Self {
        Self {
            monday: self.monday.saturating_sub(Duration::weeks(i64::from(weeks))),
        }
    }

    /// Its first moment.
    pub fn start(self) -> OffsetDateTime {
        self.monday.midnight().assume_utc()
    }

    /// The `count` full weeks before a moment, the earliest first. The week of the moment itself is not full.
    pub fn full_before(at: OffsetDateTime, count: u32) -> Vec<Self> {
        let current = Self::of(at);
        (1..=count).rev().map(|weeks| current.before(weeks)).collect()
    }
}

impl fmt::Display for IsoWeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, week, _) = self.monday.to_iso_week_date();
        write!(f, "{year:04}-W{week:02}")
    }
}

impl FromStr for IsoWeek {
    type Err = WeekError;

    fn from_str(text: &str) -> Result<Self, WeekError> {
        let (year, week) = text.split_once("-W").ok_or(WeekError)?;
        let is_plain =
            |part: &str, len: usize| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_plain(year, 4) || !is_plain(week, 2) {
            return Err(WeekError);
        }
        let year = year.parse().map_err(|_| WeekError)?;
        let week = week.parse().map_err(|_| WeekError)?;
        let monday = Date::from_iso_week_date(year, week, Weekday::Monday).map_err(|_| WeekError)?;
        Ok(Self { monday })
    }
}

impl TryFrom<String> for IsoWeek {
    type Error = WeekError;

    fn try_from(text: String) -> Result<Self, WeekError> {
        text.parse()
    }
}

impl From<IsoWeek> for String {
    fn from(week: IsoWeek) -> Self {
        week.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn weeks_of_moments() {
        for (at, week) in [
            (datetime!(2021-01-03 23:59 UTC), "2020-W53"),
            (datetime!(2021-01-04 00:00 UTC), "2021-W01"),
            (datetime!(2024-12-30 00:00 UTC), "2025-W01"),
            // Monday in Berlin, still Sunday in UTC.
            (datetime!(2021-01-04 00:30 +1), "2020-W53"),
        ] {
            assert_eq!(IsoWeek::of(at).to_string(), week);
            assert_eq!(week.parse::<IsoWeek>().unwrap(), IsoWeek::of(at));
        }
    }

    #[test]
    fn only_full_weeks_count() {
        let weeks = IsoWeek::full_before(datetime!(2021-01-20 12:00 UTC), 3);
        let shown: Vec<String> = weeks.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["2020-W53", "2021-W01", "2021-W02"]);
        assert_eq!(weeks[1].start(), datetime!(2021-01-04 00:00 UTC));
    }

    #[test]
    fn what_is_no_week_is_refused() {
        for text in [
            "", "2021", "2021-W54", "2021-W00", "21-W01", "2021-W1", "-021-W01", "2022-W53",
        ] {
            assert_eq!(text.parse::<IsoWeek>(), Err(WeekError), "{text}");
        }
    }
}
