//! What became of one tag or image in an incident. Pure.

use findings::Severity;
use oci::{Digest, RepoName};
use road::incident::{End, Incident, Line, Remedy, ReopeningCause};
use time::{Duration, OffsetDateTime};

/// What is told of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineFacts {
    /// Of which incident, and which line of it.
    pub(super) key: String,
    pub(super) repository: RepoName,
    /// The image behind it, at last.
    pub(super) image: Digest,
    /// The worst that it was ever affected by.
    pub(super) severity: Severity,
    pub(super) since: OffsetDateTime,
    /// When it was affected no more, and whether that was by a fix. `None`: it is.
    pub(super) over: Option<(OffsetDateTime, bool)>,
    /// Whether every fix came by its time. `None`: nothing was due yet.
    pub(super) in_time: Option<bool>,
    /// When that was known first.
    pub(super) due: OffsetDateTime,
    /// Whether something to do was proposed. `None`: nothing fixes it.
    pub(super) proposed: Option<bool>,
    /// When it came back after it was closed, if it did.
    pub(super) back: Option<OffsetDateTime>,
}

/// What is told of a line of an incident at a moment.
pub(super) fn facts(incident: &Incident, line: &Line, now: OffsetDateTime) -> LineFacts {
    let severity = incident.severity_of(line);
    let starts = line.clocks.iter().map(|clock| clock.started);
    let first = starts.min().unwrap_or(line.since);
    LineFacts {
        key: format!("{}:{}", incident.id(), line.key),
        repository: line.key.repository.clone(),
        image: line.digest,
        severity,
        since: line.since,
        over: over(line),
        in_time: in_time(incident, line, severity, now),
        due: incident.deadlines().due(severity, first),
        proposed: proposed(&line.remedies),
        back: line
            .last_reopening
            .filter(|reopening| reopening.cause == ReopeningCause::Regressed)
            .map(|reopening| reopening.at),
    }
}

fn over(line: &Line) -> Option<(OffsetDateTime, bool)> {
    let stops: Option<Vec<(OffsetDateTime, End)>> = line.clocks.iter().map(|clock| clock.stopped).collect();
    let (at, end) = stops?.into_iter().max_by_key(|(at, _)| *at)?;
    Some((at, end == End::Fixed))
}

/// What went without being fixed met no deadline and missed none.
fn in_time(incident: &Incident, line: &Line, severity: Severity, now: OffsetDateTime) -> Option<bool> {
    let kept = line.clocks.iter().filter_map(|clock| {
        let due = incident.deadlines().due(severity, clock.started);
        match clock.stopped {
            Some((_, End::Gone)) => None,
            Some((at, End::Fixed)) => Some(at <= due),
            None => (due <= now).then_some(false),
        }
    });
    kept.reduce(|all, one| all && one)
}

fn proposed(remedies: &[Remedy]) -> Option<bool> {
    let is_fix = |remedy: &Remedy| {
        matches!(
            remedy,
            Remedy::NewerTag { .. }
                | Remedy::TakeBase { .. }
                | Remedy::Upgrade { .. }
                | Remedy::BuildAgain { .. }
                | Remedy::LetIn { .. }
        )
    };
    if remedies.iter().any(is_fix) {
        return Some(true);
    }
    let is_open = remedies
        .iter()
        .any(|remedy| matches!(remedy, Remedy::Investigate { .. }));
    is_open.then_some(false)
}

/// How long the lines of one application of one incident were affected, once all of them are over and one of them at least was fixed:
/// when that was, and how many minutes.
pub(super) fn closed(lines: &[&LineFacts]) -> Option<(OffsetDateTime, i64)> {
    let over: Option<Vec<(OffsetDateTime, bool)>> = lines.iter().map(|line| line.over).collect();
    let over = over?;
    let was_fixed = over.iter().any(|(_, fixed)| *fixed);
    let end = over.iter().map(|(at, _)| *at).max()?;
    let start = lines.iter().map(|line| line.since).min()?;
    was_fixed.then(|| (end, (end - start).whole_minutes().max(0)))
}

/// Of lines that were over at some time within a span before `now`, how many of a hundred came back. `None`: none was.
pub(super) fn recurrence<'l>(
    lines: impl Iterator<Item = &'l LineFacts>,
    span: Duration,
    now: OffsetDateTime,
) -> Option<i64> {
    let (mut closed, mut back) = (0_i64, 0_i64);
    for line in lines {
        let is_recent = |at: OffsetDateTime| now - at <= span;
        let came_back = line.back.is_some_and(is_recent);
        let is_closed = came_back || line.over.is_some_and(|(at, fixed)| fixed && is_recent(at));
        closed += i64::from(is_closed);
        back += i64::from(came_back);
    }
    // Told as no less than it is.
    (closed > 0).then(|| (back * 100 + closed - 1) / closed)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const START: OffsetDateTime = datetime!(2021-12-10 0:00 UTC);

    fn line(over: Option<(OffsetDateTime, bool)>, back: Option<OffsetDateTime>) -> LineFacts {
        LineFacts {
            key: "log4shell:shop/app:1".to_owned(),
            repository: "shop/app".parse().unwrap(),
            image: Digest::of(oci::Algorithm::Sha256, b"x"),
            severity: Severity::Critical,
            since: START,
            over,
            in_time: None,
            due: START,
            proposed: None,
            back,
        }
    }

    #[test]
    fn an_incident_is_closed_for_an_application_once_all_its_lines_are_over() {
        let hour = |hours| START + Duration::hours(hours);
        let (fixed, gone) = (
            line(Some((hour(1), true)), None),
            line(Some((hour(3), false)), None),
        );
        assert_eq!(closed(&[&fixed, &gone]), Some((hour(3), 180)));
        assert_eq!(closed(&[&gone]), None, "nothing was fixed");
        assert_eq!(closed(&[&fixed, &line(None, None)]), None, "one is open");
    }

    #[test]
    fn what_came_back_is_a_share_of_what_was_closed() {
        let now = START + Duration::days(100);
        let day = |days| START + Duration::days(days);
        let lines = [
            line(Some((day(1), true)), None),
            line(Some((day(2), true)), Some(day(1))),
            line(None, Some(day(50))),
            line(Some((day(2), false)), None),
        ];
        assert_eq!(recurrence(lines.iter(), Duration::days(180), now), Some(67));
        assert_eq!(recurrence(lines.iter(), Duration::days(60), now), Some(100));
        assert_eq!(recurrence(lines[3..].iter(), Duration::days(180), now), None);
    }

    #[test]
    fn a_remedy_that_can_be_taken_is_a_proposal() {
        let base = || "java".parse().unwrap();
        let take = Remedy::TakeBase {
            base: base(),
            release: "2".to_owned(),
        };
        let look = Remedy::Investigate {
            reason: "r".to_owned(),
        };
        assert_eq!(proposed(&[Remedy::AwaitBase { base: base() }, take]), Some(true));
        assert_eq!(proposed(&[look]), Some(false));
        assert_eq!(proposed(&[Remedy::AwaitBase { base: base() }]), None);
    }
}
