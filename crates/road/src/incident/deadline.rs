//! By when it is to be over.

use findings::Severity;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// Spans by severity, in seconds, from the moment at which a clock starts; and a day that somebody else set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// For critical ones.
    pub critical: u32,
    /// For high ones, and for those that nobody rates.
    pub high: u32,
    /// For medium ones.
    pub medium: u32,
    /// For all others.
    pub low: u32,
    /// A day by which all must be done that is open before it, as of a directive.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub by: Option<OffsetDateTime>,
}

const DAY: u32 = 86_400;

impl Default for Deadlines {
    /// 3, 7, 30 and 90 days.
    fn default() -> Self {
        Self {
            critical: 3 * DAY,
            high: 7 * DAY,
            medium: 30 * DAY,
            low: 90 * DAY,
            by: None,
        }
    }
}

impl Deadlines {
    /// The span for a severity.
    pub fn within(&self, severity: Severity) -> Duration {
        let seconds = match severity {
            Severity::Critical => self.critical,
            Severity::High | Severity::Unknown => self.high,
            Severity::Medium => self.medium,
            Severity::Low | Severity::Negligible => self.low,
        };
        Duration::seconds(i64::from(seconds))
    }

    /// When what started at `started` must be over.
    pub fn due(&self, severity: Severity, started: OffsetDateTime) -> OffsetDateTime {
        let own = started.checked_add(self.within(severity)).unwrap_or(started);
        self.by.filter(|by| started < *by).map_or(own, |by| by.min(own))
    }
}
