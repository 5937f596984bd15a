//! What `/readyz` says. Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use store::{Away, Condition, Timestamp};

/// How much the server can do, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is about to stop.
    Draining,
    /// Nobody may do anything until a change of users, robots or grants can be read.
    Closed,
    /// It serves what it has in memory, or all but changes.
    Degraded,
    /// Everything but pushes and whatever else is large.
    DiskFull,
    /// Everything but changes, on an administrator's word.
    ReadOnly,
    /// Everything.
    Ready,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Closed => "closed",
            Self::Degraded => "degraded",
            Self::DiskFull => "disk-full",
            Self::ReadOnly => "read-only",
            Self::Ready => "ready",
        }
    }
}

/// The mode and what led to it.
#[derive(Debug)]
pub(super) struct Readiness {
    pub(super) mode: Mode,
    condition: Condition,
    /// Upstreams that are not reached, and since when. The server is as ready as before: what is held of them is served.
    unreached: Vec<(Arc<str>, Timestamp)>,
}

impl Readiness {
    /// `answers`: the database has just been asked.
    pub(super) fn of(condition: Condition, is_draining: bool, answers: bool) -> Self {
        let is_away = condition.reads.is_some() || condition.writes.is_some() || !answers;
        let mode = if is_draining {
            Mode::Draining
        } else if condition.is_closed {
            Mode::Closed
        } else if is_away {
            Mode::Degraded
        } else if condition.disk_full.is_some() {
            Mode::DiskFull
        } else if condition.maintenance.is_some() {
            Mode::ReadOnly
        } else {
            Mode::Ready
        };
        Self {
            mode,
            condition,
            unreached: Vec::new(),
        }
    }

    /// The same where upstreams are not reached.
    pub(super) fn without(self, unreached: Vec<(Arc<str>, Timestamp)>) -> Self {
        Self { unreached, ..self }
    }

    fn away(&self) -> Option<Away> {
        self.condition.reads.or(self.condition.writes)
    }

    fn goes_on(&self) -> &'static str {
        if self.condition.reads.is_none() && self.condition.writes.is_some() {
            "pulls go on, everything that changes something is answered 503"
        } else {
            "pulls of what is in memory go on, everything else is answered 503"
        }
    }

    /// For people: the mode in the first line, more behind it.
    pub(super) fn to_text(&self) -> String {
        let mut text = match (self.mode, self.away()) {
            (Mode::Draining, _) => "draining: the server is about to stop\n".to_owned(),
            (Mode::Closed, _) => {
                "closed: a change of users, robots or grants cannot be read, nobody may do anything until it can\n"
                    .to_owned()
            }
            (Mode::Degraded, Some(away)) => format!(
                "degraded: database away since {} ({})\n{}\n",
                away.since.to_rfc3339(),
                away.reason.explain(),
                self.goes_on()
            ),
            (Mode::Degraded, None) => {
                format!("degraded: the database does not answer\n{}\n", self.goes_on())
            }
            (Mode::DiskFull | Mode::ReadOnly, _) => String::new(),
            (Mode::Ready, _) => "ready\n".to_owned(),
        };
        if let Some(full) = &self.condition.disk_full {
            let (since, free) = (full.since.to_rfc3339(), full.free_bytes);
            let _ = writeln!(
                text,
                "disk-full: since {since}, {free} bytes are free\n\
                 pulls, deletions and collection go on, pushes are answered 507 until there is room"
            );
        }
        if let Some(maintenance) = &self.condition.maintenance {
            let until = maintenance
                .until
                .map_or_else(String::new, |until| format!(" until {}", until.to_rfc3339()));
            let (since, reason) = (maintenance.since.to_rfc3339(), &maintenance.reason);
            let _ = writeln!(text, "read-only: maintenance since {since}{until}: {reason}");
        }
        if let Some(unclaimed) = &self.condition.unclaimed {
            let (since, jobs) = (unclaimed.since.to_rfc3339(), unclaimed.jobs);
            let _ = writeln!(
                text,
                "scanner away: nobody has taken one of {jobs} waiting blobs since {since}; what was decided stands"
            );
        }
        for (name, since) in &self.unreached {
            let since = since.to_rfc3339();
            let _ = writeln!(
                text,
                "upstream {name} not reached since {since}; what is held of it is served"
            );
        }
        text
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        let Condition {
            reads,
            maintenance,
            unclaimed,
            disk_full,
            ..
        } = &self.condition;
        let database = self.away().map(|away| {
            json!({
                "since": away.since.to_rfc3339(),
                "reason": away.reason.name(),
                "why": away.reason.explain(),
                "readable": reads.is_none(),
            })
        });
        let maintenance = maintenance.as_ref().map(|maintenance| {
            json!({
                "reason": maintenance.reason,
                "since": maintenance.since.to_rfc3339(),
                "until": maintenance.until.map(store::Timestamp::to_rfc3339),
            })
        });
        let scanner = unclaimed
            .map(|unclaimed| json!({ "since": unclaimed.since.to_rfc3339(), "waiting": unclaimed.jobs }));
        let disk_full =
            disk_full.map(|full| json!({ "since": full.since.to_rfc3339(), "free_bytes": full.free_bytes }));
        let unreached: Vec<Value> = self
            .unreached
            .iter()
            .map(|(name, since)| json!({ "name": name, "since": since.to_rfc3339() }))
            .collect();
        json!({
            "mode": self.mode.name(),
            "database_away": database,
            "disk_full": disk_full,
            "maintenance": maintenance,
            "scanner_away": scanner,
            "upstreams_away": unreached,
        })
    }
}

#[cfg(test)]
mod tests {
    use store::{AwayReason, DiskFull, Maintenance, Unclaimed};

    use super::*;

    fn fine() -> Condition {
        Condition {
            reads: None,
            writes: None,
            is_closed: false,
            maintenance: None,
            unclaimed: None,
            disk_full: None,
        }
    }

    fn full() -> Condition {
        Condition {
            disk_full: Some(DiskFull {
                since: Timestamp(0),
                free_bytes: 4096,
            }),
            ..fine()
        }
    }

    fn away(reason: AwayReason) -> Away {
        let since = Timestamp::from_rfc3339("2026-11-28T12:00:00Z").unwrap();
        Away { since, reason }
    }

    fn maintained() -> Condition {
        Condition {
            maintenance: Some(Arc::new(Maintenance {
                reason: "the disk is moved".to_owned(),
                by: "ann".to_owned(),
                since: Timestamp(0),
                until: None,
            })),
            ..fine()
        }
    }

    #[test]
    fn the_mode_is_the_worst_of_what_is_so() {
        let broken = Condition {
            reads: Some(away(AwayReason::Missing)),
            ..maintained()
        };
        let closed = Condition {
            is_closed: true,
            ..broken.clone()
        };
        for (condition, is_draining, answers, mode) in [
            (fine(), false, true, Mode::Ready),
            (maintained(), false, true, Mode::ReadOnly),
            (broken.clone(), false, false, Mode::Degraded),
            (full(), false, true, Mode::DiskFull),
            (full(), false, false, Mode::Degraded),
            (fine(), false, false, Mode::Degraded),
            (closed, false, false, Mode::Closed),
            (broken, true, true, Mode::Draining),
        ] {
            assert_eq!(Readiness::of(condition, is_draining, answers).mode, mode);
        }
    }

    #[test]
    fn the_first_line_is_the_mode() {
        let locked = Condition {
            writes: Some(away(AwayReason::Locked)),
            ..maintained()
        };
        let text = Readiness::of(locked, false, true).to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("degraded: database away since 2026-11-28T12:00:00Z (another process"),
            "{text}"
        );
        assert_eq!(
            lines[1],
            "pulls go on, everything that changes something is answered 503"
        );
        assert!(
            lines[2].starts_with("read-only: maintenance since 1970-01-01T00:00:00Z: the disk"),
            "{text}"
        );
        assert_eq!(Readiness::of(fine(), false, true).to_text(), "ready\n");
        let text = Readiness::of(full(), false, true).to_text();
        assert!(
            text.starts_with("disk-full: since 1970-01-01T00:00:00Z, 4096 bytes are free\npulls, deletions"),
            "{text}"
        );
        let text = Readiness::of(maintained(), false, true).to_text();
        assert!(text.starts_with("read-only: maintenance"), "{text}");
    }

    #[test]
    fn an_upstream_that_is_away_makes_nothing_less_ready() {
        let readiness = Readiness::of(fine(), false, true).without(vec![("hub".into(), Timestamp(0))]);
        assert_eq!(readiness.mode, Mode::Ready);
        let text = readiness.to_text();
        assert!(
            text.starts_with("ready\nupstream hub not reached since 1970"),
            "{text}"
        );
        assert_eq!(readiness.to_json()["upstreams_away"][0]["name"], "hub");
    }

    #[test]
    fn programs_read_the_same() {
        let unclaimed = Some(Unclaimed {
            jobs: 3,
            since: Timestamp(0),
        });
        let told = Readiness::of(Condition { unclaimed, ..fine() }, false, true).to_json();
        assert_eq!(told["mode"], "ready");
        assert_eq!(told["scanner_away"]["waiting"], 3);
        assert_eq!(told["database_away"], Value::Null);
        let told = Readiness::of(full(), false, true).to_json();
        assert_eq!(told["mode"], "disk-full");
        assert_eq!(told["disk_full"]["free_bytes"], 4096);
        let reads = Some(away(AwayReason::Slow));
        let told = Readiness::of(Condition { reads, ..fine() }, false, false).to_json();
        assert_eq!(told["database_away"]["reason"], "slow");
        assert_eq!(told["database_away"]["readable"], false);
    }
}
