use super::*;
use crate::cohort::Cohort;
use oci::{Algorithm, Digest, Reference};
use time::Duration;
use time::macros::datetime;

mod limits;
mod log4j;
mod properties;
mod reports;
mod seen;

pub(crate) const T0: OffsetDateTime = datetime!(2021-12-10 0:41 UTC);

pub(crate) fn id(text: &str) -> VulnerabilityId {
    text.parse().unwrap()
}

pub(crate) fn vulnerability(name: &str, severity: Severity, fixed_in: &[&str]) -> Vulnerability {
    Vulnerability {
        id: id(name),
        severity,
        by_source: BTreeMap::new(),
        fixed_in: fixed_in.iter().map(|version| (*version).to_owned()).collect(),
        advisories: Vec::new(),
    }
}

pub(crate) fn key(name: &str) -> LineKey {
    LineKey {
        application: Some(name.parse().unwrap()),
        repository: format!("team/{name}").parse().unwrap(),
        reference: Reference::Tag("prod".parse().unwrap()),
    }
}

/// The tag `prod` of an application, of which the image is named by what affects it.
pub(crate) fn sighting(name: &str, cohort: Cohort, affected_by: &[&str]) -> Sighting {
    Sighting {
        line: key(name),
        digest: Digest::of(Algorithm::Sha256, affected_by.join(",").as_bytes()),
        affected_by: affected_by.iter().map(|name| id(name)).collect(),
        cohort,
        owner: Some(format!("team-{name}").parse().unwrap()),
        contacts: vec![format!("{name}@shop.example").parse().unwrap()],
        remedies: vec![Remedy::Upgrade {
            package: "log4j-core".into(),
            fixed_in: vec!["2.15.0".into()],
            leaves: Vec::new(),
        }],
        reliefs: Vec::new(),
        fixes: vec!["2.15.0".into()],
        withdrawal: None,
    }
}

pub(crate) const SHELL: &str = "CVE-2021-44228";

pub(crate) fn opening(affected: Vec<Sighting>) -> Opening {
    Opening {
        id: "log4shell".parse().unwrap(),
        title: "Log4Shell".into(),
        vulnerabilities: vec![vulnerability(SHELL, Severity::Critical, &["2.15.0"])],
        deadlines: Deadlines::default(),
        coverage: Coverage {
            images: 100,
            ..Coverage::default()
        },
        affected,
        targets: Vec::new(),
    }
}

pub(crate) fn open(names: &[(&str, Cohort)]) -> (Incident, Vec<Event>) {
    let affected = names
        .iter()
        .map(|(name, cohort)| sighting(name, *cohort, &[SHELL]));
    Incident::open(opening(affected.collect()), "sec", T0).unwrap()
}

fn state(incident: &Incident, name: &str, now: OffsetDateTime) -> State {
    incident.line(&key(name)).unwrap().state(now)
}

#[test]
fn a_fix_stops_the_clock_and_a_rollback_starts_it_again() {
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    let hour = |n| T0 + Duration::hours(n);
    incident
        .see(vec![sighting("a", Cohort::Paved, &[])], "scan", hour(1))
        .unwrap();
    assert_eq!(state(&incident, "a", hour(2)), State::Fixed);
    incident
        .record(EventKind::Closed { note: "done".into() }, "sec", hour(2))
        .unwrap();
    assert_eq!(incident.status(hour(3)), Status::Closed { at: hour(2) });
    incident
        .see(vec![sighting("a", Cohort::OwnRoad, &[SHELL])], "scan", hour(5))
        .unwrap();
    assert_eq!(state(&incident, "a", hour(6)), State::Reopened);
    assert_eq!(incident.status(hour(6)), Status::Reopened);
    let line = incident.line(&key("a")).unwrap();
    assert_eq!(line.last_reopening.unwrap().cause, ReopeningCause::Regressed);
    // The hours in between do not count, those before do; and the cohort stays.
    assert_eq!(line.spent(hour(6)), Duration::hours(2));
    assert_eq!(line.cohort, Cohort::Paved);
    assert!(line.was_fixed_at(hour(4)) && !line.was_fixed_at(hour(5)) && !line.was_fixed_at(T0));
}

#[test]
fn relief_has_an_end_and_covers_what_it_names() {
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    let until = T0 + Duration::days(2);
    let mitigated = EventKind::Mitigated {
        line: key("a"),
        covers: vec![id(SHELL)],
        until,
        reason: "class removed".into(),
    };
    incident.record(mitigated, "jane", T0).unwrap();
    assert_eq!(state(&incident, "a", T0), State::Mitigated { until: Some(until) });
    assert_eq!(state(&incident, "a", until), State::Open);
    let later = vulnerability("CVE-2021-45046", Severity::Critical, &["2.16.0"]);
    incident
        .add_vulnerability(later, &[], "feed", T0 + Duration::HOUR)
        .unwrap();
    let both = sighting("a", Cohort::Paved, &[SHELL, "CVE-2021-45046"]);
    incident.see(vec![both], "scan", T0 + Duration::HOUR).unwrap();
    assert_eq!(state(&incident, "a", T0 + Duration::HOUR), State::Open);
    let waived = EventKind::Waived {
        line: key("a"),
        covers: vec![id("CVE-2021-45046")],
        until: T0 + Duration::DAY,
        reason: "internal only".into(),
    };
    incident.record(waived, "joe", T0 + Duration::HOUR).unwrap();
    // Each covers a part; the first to end decides.
    let until = T0 + Duration::DAY;
    assert_eq!(
        state(&incident, "a", T0 + Duration::hours(2)),
        State::Mitigated { until: Some(until) }
    );
    let ended = EventKind::MitigationEnded {
        line: key("a"),
        reason: "does not help against 45046".into(),
    };
    incident.record(ended, "sec", T0 + Duration::hours(3)).unwrap();
    assert_eq!(state(&incident, "a", T0 + Duration::hours(3)), State::Open);
    // No clock stood still.
    assert_eq!(
        incident.line(&key("a")).unwrap().spent(T0 + Duration::DAY),
        Duration::DAY
    );
}

#[test]
fn what_runs_keeps_a_line_open() {
    let (mut incident, _) = open(&[("a", Cohort::Paved), ("b", Cohort::Paved)]);
    let running = |name, replicas| EventKind::Running {
        line: key(name),
        affected_by: vec![id(SHELL)],
        replicas,
    };
    let now = T0 + Duration::HOUR;
    for name in ["a", "b"] {
        incident.record(running(name, 3), "cluster", now).unwrap();
    }
    incident
        .see(vec![sighting("a", Cohort::Paved, &[])], "scan", now)
        .unwrap();
    let gone = EventKind::Gone {
        line: key("b"),
        reason: "tag deleted".into(),
    };
    incident.record(gone, "scan", now).unwrap();
    assert!(state(&incident, "a", now).is_open() && state(&incident, "b", now).is_open());
    for name in ["a", "b"] {
        incident
            .record(running(name, 0), "cluster", now + Duration::MINUTE)
            .unwrap();
    }
    assert_eq!(
        (state(&incident, "a", now), state(&incident, "b", now)),
        (State::Fixed, State::Gone)
    );
}

#[test]
fn deadlines_follow_severity_and_directives() {
    let mut opening = opening(vec![sighting("a", Cohort::Paved, &[SHELL])]);
    opening.deadlines.by = Some(datetime!(2021-12-12 0:00 UTC));
    let (incident, _) = Incident::open(opening, "sec", T0).unwrap();
    let line = incident.line(&key("a")).unwrap();
    assert_eq!(incident.due(line), Some(datetime!(2021-12-12 0:00 UTC)));
    assert!(!incident.is_overdue(line, T0) && incident.is_overdue(line, datetime!(2021-12-12 0:00 UTC)));
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    assert_eq!(
        incident.due(incident.line(&key("a")).unwrap()),
        Some(T0 + Duration::days(3))
    );
    let milder = EventKind::SeverityChanged {
        vulnerability: id(SHELL),
        severity: Severity::Unknown,
        by_source: BTreeMap::from([("apache".to_owned(), Severity::Medium)]),
    };
    incident.record(milder, "feed", T0).unwrap();
    assert_eq!(
        incident.due(incident.line(&key("a")).unwrap()),
        Some(T0 + Duration::days(7))
    );
}

#[test]
fn closing_what_is_open_is_refused() {
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    let closed = || EventKind::Closed { note: String::new() };
    assert_eq!(
        incident.record(closed(), "sec", T0),
        Err(IncidentError::StillOpen(1))
    );
    let gone = EventKind::Gone {
        line: key("a"),
        reason: "retired".into(),
    };
    incident.record(gone, "sec", T0 + Duration::HOUR).unwrap();
    incident.record(closed(), "sec", T0).unwrap();
    assert_eq!(
        incident.status(T0),
        Status::Closed {
            at: T0 + Duration::HOUR
        }
    );
}

#[test]
fn telling_the_same_again_is_no_event() {
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    let same = || {
        vec![
            sighting("a", Cohort::Stale, &[SHELL]),
            sighting("clean", Cohort::Paved, &[]),
        ]
    };
    assert_eq!(incident.see(same(), "scan", T0 + Duration::HOUR).unwrap(), []);
    assert_eq!(incident.lines().len(), 1);
}
