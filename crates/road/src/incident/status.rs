//! Whether an incident is over.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Incident, Line};

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// Not closed yet.
    Open,
    /// Closed, and nothing has opened since.
    Closed {
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// Closed once, and something is open again.
    Reopened,
}

impl Incident {
    /// Where it stands. A mitigation or waiver that has ended opens it again as well.
    pub fn status(&self, now: OffsetDateTime) -> Status {
        match self.closed_at {
            None => Status::Open,
            Some(_) if self.lines().any(|line| line.state(now).is_open()) => Status::Reopened,
            Some(at) => Status::Closed { at },
        }
    }

    /// By when a line must be done: the first of its running clocks. `None` when none runs.
    pub fn due(&self, line: &Line) -> Option<OffsetDateTime> {
        let running = line.clocks.iter().filter(|clock| clock.stopped.is_none());
        let due = running.filter_map(|clock| {
            let generation = self
                .generations
                .get(usize::from(clock.generation).checked_sub(1)?)?;
            let severity = self.severity(line.exposed() & generation.members);
            Some(self.deadlines.due(severity, clock.started))
        });
        due.min()
    }

    /// Whether a line is open past its time. What is mitigated or waived is not.
    pub fn is_overdue(&self, line: &Line, now: OffsetDateTime) -> bool {
        line.state(now).is_open() && self.due(line).is_some_and(|due| due <= now)
    }

    /// The worst of all that the line ever was affected by.
    pub fn severity_of(&self, line: &Line) -> findings::Severity {
        self.severity(line.ever)
    }

    /// The worst of what the line is affected by now; unknown when it is by nothing.
    pub fn severity_now(&self, line: &Line) -> findings::Severity {
        self.severity(line.exposed())
    }

    /// By what the line is affected now.
    pub fn affected_by(&self, line: &Line) -> Vec<crate::names::VulnerabilityId> {
        self.ids(line.exposed())
    }
}
