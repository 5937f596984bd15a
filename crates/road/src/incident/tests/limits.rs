//! Each limit, exceeded.

use super::*;

fn one() -> Incident {
    open(&[("a", Cohort::Paved)]).0
}

fn many(count: usize) -> Vec<Sighting> {
    (0..count)
        .map(|n| sighting(&format!("x{n}"), Cohort::Paved, &[SHELL]))
        .collect()
}

#[test]
fn the_group_is_bounded() {
    let mut incident = one();
    for n in 1..MAX_VULNERABILITIES {
        let next = vulnerability(&format!("CVE-{n}"), Severity::Low, &["2.15.0"]);
        incident.add_vulnerability(next, &[], "feed", T0).unwrap();
    }
    let more = vulnerability("CVE-more", Severity::Low, &["2.15.0"]);
    assert_eq!(
        incident.add_vulnerability(more, &[], "feed", T0),
        Err(IncidentError::Vulnerabilities)
    );
    let mut seen = sighting("a", Cohort::Paved, &[]);
    seen.affected_by = incident.ids(u64::MAX);
    incident.see(vec![seen.clone()], "scan", T0).unwrap();
    assert_eq!(incident.affected_by(incident.line(&key("a")).unwrap()).len(), 64);
    seen.affected_by.push(id(SHELL));
    assert!(matches!(
        incident.see(vec![seen], "scan", T0),
        Err(IncidentError::Long { count: 65, .. })
    ));
    let again = vulnerability(SHELL, Severity::Low, &[]);
    assert!(matches!(
        one().add_vulnerability(again, &[], "feed", T0),
        Err(IncidentError::Known(_))
    ));
    let mut fixes = vulnerability("CVE-fixes", Severity::Low, &[]);
    fixes.fixed_in = vec!["1".into(); MAX_FIXES + 1];
    assert!(matches!(
        one().add_vulnerability(fixes, &[], "feed", T0),
        Err(IncidentError::Long { .. })
    ));
}

#[test]
fn generations_are_bounded() {
    let mut incident = one();
    let changed = |n: usize| EventKind::FixChanged {
        vulnerability: id(SHELL),
        fixed_in: vec![n.to_string()],
        supersedes: true,
        targets: Vec::new(),
    };
    for n in 1..MAX_GENERATIONS {
        incident.record(changed(n), "feed", T0).unwrap();
    }
    let before = incident.clone();
    assert_eq!(
        incident.record(changed(0), "feed", T0),
        Err(IncidentError::Generations)
    );
    assert_eq!(incident, before);
}

#[test]
fn lines_come_in_parts_and_are_bounded() {
    let (incident, events) = Incident::open(opening(many(LINES_PER_EVENT * 2 + 1)), "sec", T0).unwrap();
    assert_eq!(
        (events.len(), incident.lines().len()),
        (4, LINES_PER_EVENT * 2 + 1)
    );
    assert!(incident.lines().all(|line| line.at_opening));
    let all = Event::new(
        T0,
        "scan",
        EventKind::Seen {
            lines: many(LINES_PER_EVENT + 1),
        },
    );
    assert!(matches!(
        one().apply(&all),
        Err(IncidentError::Long { count: 501, .. })
    ));
    let mut seen = sighting("b", Cohort::Paved, &[SHELL]);
    seen.remedies = vec![Remedy::NoFix { package: "x".into() }; MAX_REMEDIES + 1];
    assert!(matches!(
        one().see(vec![seen], "scan", T0),
        Err(IncidentError::Long { count: 9, .. })
    ));
}

#[test]
fn more_lines_than_allowed_change_nothing() {
    let mut incident = one();
    let line = incident.line(&key("a")).unwrap().clone();
    for n in 1..MAX_LINES {
        let mut key = line.key.clone();
        key.reference = Reference::Digest(Digest::of(Algorithm::Sha256, &n.to_le_bytes()));
        incident.lines.insert(key, line.clone());
    }
    assert_eq!(incident.see(many(1), "scan", T0), Err(IncidentError::Lines));
    assert_eq!(incident.lines().len(), MAX_LINES);
}

#[test]
fn a_tag_that_is_moved_to_and_fro_is_bounded() {
    let mut incident = one();
    for n in 1..1_000_i64 {
        let affected: &[&str] = if n % 2 == 0 { &[SHELL] } else { &[] };
        let at = T0 + Duration::seconds(n);
        incident
            .see(vec![sighting("a", Cohort::Paved, affected)], "scan", at)
            .unwrap();
    }
    let line = incident.line(&key("a")).unwrap();
    assert_eq!((line.clocks.len(), line.reopened), (MAX_CLOCKS, 499));
    // The time between counts from there on: more than half, never less.
    let now = T0 + Duration::seconds(999);
    assert!(line.spent(now) > Duration::seconds(500) && line.spent(now) <= now - T0);
    assert!(incident.burn_down().len() <= MAX_POINTS);
}

#[test]
fn reliefs_are_bounded_and_end() {
    let mut incident = one();
    let waived = |days| EventKind::Waived {
        line: key("a"),
        covers: vec![id(SHELL)],
        until: T0 + Duration::days(days),
        reason: "because".into(),
    };
    for days in [0, -1, MAX_RELIEF_DAYS + 1] {
        assert_eq!(
            incident.record(waived(days), "joe", T0),
            Err(IncidentError::Until)
        );
    }
    for _ in 0..MAX_RELIEFS {
        incident.record(waived(1), "joe", T0).unwrap();
    }
    assert!(matches!(
        incident.record(waived(1), "joe", T0),
        Err(IncidentError::Reliefs(_))
    ));
    // Those that have ended take no room.
    incident.record(waived(5), "joe", T0 + Duration::days(2)).unwrap();
    let nothing = EventKind::Waived {
        line: key("a"),
        covers: vec![],
        until: T0 + Duration::days(9),
        reason: "because".into(),
    };
    assert_eq!(
        incident.record(nothing, "joe", T0),
        Err(IncidentError::CoversNothing)
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut incident = one();
    let gone = |name, reason: String| EventKind::Gone {
        line: key(name),
        reason,
    };
    assert!(matches!(
        incident.record(gone("b", String::new()), "x", T0),
        Err(IncidentError::UnknownLine(_))
    ));
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    assert_eq!(
        incident.record(gone("a", long), "x", T0),
        Err(IncidentError::Text("reason"))
    );
    let unknown = sighting("a", Cohort::Paved, &["CVE-unknown"]);
    assert!(matches!(
        incident.see(vec![unknown], "x", T0),
        Err(IncidentError::UnknownVulnerability(_))
    ));
    let (_, events) = open(&[("a", Cohort::Paved)]);
    assert_eq!(incident.apply(&events[0]), Err(IncidentError::Opening));
    assert_eq!(Incident::replay(&events[1..]), Err(IncidentError::Opening));
    assert_eq!(Incident::replay(&[]), Err(IncidentError::Opening));
    let early = Event::new(
        T0 - Duration::SECOND,
        "x",
        EventKind::Closed { note: String::new() },
    );
    assert!(matches!(
        incident.apply(&early),
        Err(IncidentError::Backwards { .. })
    ));
    let mut empty = opening(vec![]);
    empty.vulnerabilities.clear();
    assert!(matches!(
        Incident::open(empty, "x", T0),
        Err(IncidentError::NoVulnerability)
    ));
}
