//! When each message goes: at once, after the quiet hours, or with the day's digest.

use std::collections::BTreeMap;

use findings::Severity;
use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use super::clock::{Clock, Zone, at_minute};
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
    /// By which clock; with it the offset is 0, for it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// How far their clock is ahead of UTC, in minutes, where it knows no summer time.
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
            zone: None,
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
    /// Two clocks.
    #[error("the zone {0} has an offset of its own: leave the other one out")]
    TwoClocks(Zone),
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
        if let Some(zone) = self.zone.filter(|_| self.offset_minutes != 0) {
            return Err(ScheduleError::TwoClocks(zone));
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

    fn clock(&self) -> Clock {
        Clock::of(self.zone, self.offset_minutes)
    }

    /// The next time that a clock shows this minute; now, if it does.
    fn next(&self, minute: u16, now: OffsetDateTime) -> OffsetDateTime {
        let clock = self.clock();
        let shown = clock.shows(now);
        let today = at_minute(shown, 0, minute);
        if today == shown {
            return now;
        }
        let days = i64::from(today < shown);
        clock.when(at_minute(shown, days, minute), now)
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
        let clock = self.clock();
        let shown = clock.shows(at);
        if quiet.weekend && matches!(shown.weekday(), Weekday::Saturday | Weekday::Sunday) {
            return Some(clock.when(at_minute(shown, 1, 0), at));
        }
        let (from, until) = (quiet.from_minute, quiet.until_minute);
        let minute = u16::from(shown.hour().unsigned_abs()) * 60 + u16::from(shown.minute().unsigned_abs());
        let is_in = if from <= until {
            from <= minute && minute < until
        } else {
            from <= minute || minute < until
        };
        let is_tomorrow = from > until && from <= minute;
        is_in.then(|| clock.when(at_minute(shown, i64::from(is_tomorrow), until), at))
    }
}
