//! When each message goes: at once, after the quiet hours, or with the day's digest.

use std::collections::BTreeMap;

use findings::Severity;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Duration, OffsetDateTime, UtcOffset, Weekday};

use super::{Message, Why};
use crate::names::Owner;

const MINUTES_A_DAY: u16 = 1_440;

/// Hours in which nobody is disturbed, by the clock of the team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// From which minute of the day.
    pub from_minute: u16,
    /// To which minute, not included; before `from_minute` it is one of the next day, the same means no quiet hours.
    pub until_minute: u16,
    /// Whether Saturdays and Sundays are quiet as a whole.
    #[serde(default)]
    pub weekend: bool,
}

/// When somebody wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// How far their clock is ahead of UTC, in minutes.
    pub offset_minutes: i16,
    /// Quiet hours.
    pub quiet: Option<QuietHours>,
    /// At which minute of the day the digest goes; without one there is no digest.
    pub digest_minute: Option<u16>,
    /// From this severity on a message goes at once, also in quiet hours. What is overdue or open again does so from high on.
    pub at_once: Severity,
}

impl Default for Schedule {
    /// No quiet hours and no digest: everything at once.
    fn default() -> Self {
        Self {
            offset_minutes: 0,
            quiet: None,
            digest_minute: None,
            at_once: Severity::Critical,
        }
    }
}

/// Why a schedule makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// Not a minute of a day.
    #[error("minute {0} is not one of a day: they are 0 to 1439")]
    Minute(u16),
    /// Not an offset of the world.
    #[error("an offset of {0} minutes is beyond 14 hours")]
    Offset(i16),
}

/// Messages that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: OffsetDateTime,
    /// To whom.
    pub owner: Option<Owner>,
    /// Which, by their places in what was given.
    pub messages: Vec<usize>,
}

impl Schedule {
    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), ScheduleError> {
        let quiet = self
            .quiet
            .iter()
            .flat_map(|quiet| [quiet.from_minute, quiet.until_minute]);
        let wrong = quiet
            .chain(self.digest_minute)
            .find(|minute| *minute >= MINUTES_A_DAY);
        if let Some(minute) = wrong {
            return Err(ScheduleError::Minute(minute));
        }
        if self.offset_minutes.unsigned_abs() > 14 * 60 {
            return Err(ScheduleError::Offset(self.offset_minutes));
        }
        Ok(())
    }

    /// When a message of such urgency goes.
    pub fn when(&self, severity: Severity, why: Why, now: OffsetDateTime) -> OffsetDateTime {
        let is_pressing = matches!(why, Why::Overdue | Why::Reopened) && severity >= Severity::High;
        if severity >= self.at_once || is_pressing {
            return now;
        }
        let at = self.digest_minute.map_or(now, |minute| self.next(minute, now));
        self.after_quiet(at)
    }

    /// What goes when: by time, then by owner. What goes to one owner at one later moment goes together.
    pub fn plan(&self, messages: &[Message], now: OffsetDateTime) -> Vec<Delivery> {
        let mut together: BTreeMap<(OffsetDateTime, Option<&Owner>), Vec<usize>> = BTreeMap::new();
        for (place, message) in messages.iter().enumerate() {
            let at = self.when(message.severity, message.why, now);
            together
                .entry((at, message.owner.as_ref()))
                .or_default()
                .push(place);
        }
        let mut deliveries = Vec::new();
        for ((at, owner), places) in together {
            // What is urgent does not wait for a common mail.
            let groups: Vec<Vec<usize>> = if at == now {
                places.into_iter().map(|place| vec![place]).collect()
            } else {
                vec![places]
            };
            deliveries.extend(groups.into_iter().map(|messages| Delivery {
                at,
                owner: owner.cloned(),
                messages,
            }));
        }
        deliveries
    }

    fn offset(&self) -> UtcOffset {
        UtcOffset::from_whole_seconds(i32::from(self.offset_minutes) * 60).unwrap_or(UtcOffset::UTC)
    }

    /// The next time that a clock shows this minute; now, if it does.
    fn next(&self, minute: u16, now: OffsetDateTime) -> OffsetDateTime {
        let midnight = now.to_offset(self.offset()).replace_time(time::Time::MIDNIGHT);
        let today = midnight + Duration::minutes(i64::from(minute));
        if today >= now {
            today
        } else {
            today + Duration::DAY
        }
    }

    /// The first moment from `at` on that is not quiet. A week has one, or the quiet hours are all of it: then `at`.
    fn after_quiet(&self, at: OffsetDateTime) -> OffsetDateTime {
        let mut moment = at;
        for _ in 0..16 {
            match self.quiet_until(moment) {
                Some(end) => moment = end,
                None => return moment,
            }
        }
        at
    }

    /// When the quiet time ends that `at` is in.
    fn quiet_until(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let quiet = self.quiet?;
        let local = at.to_offset(self.offset());
        let midnight = local.replace_time(time::Time::MIDNIGHT);
        if quiet.weekend && matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday) {
            return Some(midnight + Duration::DAY);
        }
        let (from, until) = (quiet.from_minute, quiet.until_minute);
        let minute = u16::from(local.hour()) * 60 + u16::from(local.minute());
        let end = midnight + Duration::minutes(i64::from(until));
        let is_in = if from <= until {
            from <= minute && minute < until
        } else {
            from <= minute || minute < until
        };
        let is_tomorrow = from > until && from <= minute;
        is_in.then(|| if is_tomorrow { end + Duration::DAY } else { end })
    }
}
