//! What the registry sees itself, whose a line is, and what somebody may see.

use super::*;

const SECOND: &str = "CVE-2021-45046";

fn seen(covers: &[&str], until: Option<OffsetDateTime>) -> SeenRelief {
    SeenRelief {
        kind: ReliefKind::Mitigation,
        covers: covers.iter().map(|name| id(name)).collect(),
        until,
        reason: "class removed".into(),
    }
}

fn relieved(covers: &[&str], until: Option<OffsetDateTime>) -> Sighting {
    Sighting {
        reliefs: vec![seen(covers, until)],
        ..sighting("a", Cohort::Paved, &[SHELL])
    }
}

#[test]
fn what_is_seen_counts_until_it_is_seen_no_more() {
    let (mut incident, mut events) =
        Incident::open(opening(vec![relieved(&[SHELL], None)]), "sec", T0).unwrap();
    assert_eq!(state(&incident, "a", T0), State::Mitigated { until: None });
    assert!(!incident.is_news(&relieved(&[SHELL], None)));
    // A mitigation by somebody's word that ends does not end what is seen.
    let ended = EventKind::MitigationEnded {
        line: key("a"),
        reason: "no".into(),
    };
    events.push(incident.record(ended, "sec", T0).unwrap());
    assert_eq!(state(&incident, "a", T0), State::Mitigated { until: None });
    let plain = sighting("a", Cohort::Paved, &[SHELL]);
    assert!(incident.is_news(&plain));
    events.extend(incident.see(vec![plain], "scan", T0 + Duration::HOUR).unwrap());
    assert_eq!(state(&incident, "a", T0 + Duration::HOUR), State::Open);
    let until = T0 + Duration::DAY;
    events.extend(
        incident
            .see(vec![relieved(&[SHELL], Some(until))], "scan", T0 + Duration::HOUR)
            .unwrap(),
    );
    assert_eq!(
        state(&incident, "a", T0 + Duration::HOUR),
        State::Mitigated { until: Some(until) }
    );
    assert_eq!(state(&incident, "a", until), State::Open);
    assert_eq!(Incident::replay(&events).unwrap(), incident);
}

#[test]
fn what_is_seen_is_bounded_and_of_the_group() {
    let mut many = relieved(&[SHELL], None);
    many.reliefs = vec![seen(&[SHELL], None); MAX_RELIEFS + 1];
    let open = |sighting| Incident::open(opening(vec![sighting]), "sec", T0).map(drop);
    assert!(matches!(open(many), Err(IncidentError::Long { count: 17, .. })));
    assert!(matches!(
        open(relieved(&[SECOND], None)),
        Err(IncidentError::UnknownVulnerability(_))
    ));
    let mut long = relieved(&[SHELL], None);
    long.reliefs[0].reason = "x".repeat(MAX_TEXT_BYTES + 1);
    assert_eq!(open(long), Err(IncidentError::Text("reason")));
}

#[test]
fn another_application_is_the_same_line() {
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    let mut moved = sighting("a", Cohort::Paved, &[SHELL]);
    moved.line.application = Some("till".parse().unwrap());
    let events = incident.see(vec![moved], "scan", T0 + Duration::HOUR).unwrap();
    assert_eq!((events.len(), incident.lines().len()), (1, 1));
    let line = incident.line(&"team/a:prod".parse().unwrap()).unwrap();
    assert_eq!(line.key.application.as_ref().unwrap().as_str(), "till");
    for text in [
        "",
        "team/a",
        "team/a:",
        "Team/a:x",
        "team/a@sha256:1",
        "team/a:x\n",
    ] {
        assert!(text.parse::<LineKey>().is_err(), "{text:?}");
    }
    let digest = format!("team/a@sha256:{}", "0".repeat(64));
    assert_eq!(digest.parse::<LineKey>().unwrap().to_string(), digest);
}

#[test]
fn parts_say_what_is_resolved() {
    let (mut incident, _) = open(&[("a", Cohort::Paved), ("b", Cohort::Paved)]);
    let medium = vulnerability("CVE-2021-45105", Severity::Medium, &["2.17.0"]);
    incident.add_vulnerability(medium, &[], "feed", T0).unwrap();
    let of_a = sighting("a", Cohort::Paved, &["CVE-2021-45105"]);
    incident
        .see(vec![of_a, sighting("b", Cohort::Paved, &[])], "scan", T0)
        .unwrap();
    let words: Vec<String> = incident.parts(T0).iter().map(Part::words).collect();
    assert_eq!(
        words,
        [
            "critical part (CVE-2021-44228) resolved",
            "medium part (CVE-2021-45105) open: 1 affected"
        ]
    );
    let report = incident.report(T0);
    assert!(
        report
            .to_html()
            .contains("critical part (CVE-2021-44228) resolved")
    );
    let generations = report.generations.iter();
    let states: Vec<&str> = generations.map(|generation| generation.state.as_str()).collect();
    assert_eq!(states, ["remediated", "in remediation"]);
    let waived = EventKind::Waived {
        line: key("a"),
        covers: vec![id("CVE-2021-45105")],
        until: T0 + Duration::DAY,
        reason: "slow".into(),
    };
    incident.record(waived, "sec", T0).unwrap();
    assert_eq!(
        incident.parts(T0)[1].words(),
        "medium part (CVE-2021-45105) resolved, 1 mitigated or waived"
    );
}

#[test]
fn who_may_see_a_part_is_told_figures_of_it_alone() {
    let (incident, _) = open(&[("a", Cohort::Paved), ("b", Cohort::OwnRoad)]);
    let coverage = Coverage {
        images: 3,
        ..Coverage::default()
    };
    let part = incident.only(|repo| repo.as_str() == "team/a", coverage);
    let report = part.report(T0);
    assert_eq!((report.total.lines, report.coverage.images), (1, 3));
    assert!(!report.to_json().unwrap().contains("team/b"));
}

/// Advisories take one of two back: what it was about has nothing fixed, and the other goes on.
#[test]
fn what_is_withdrawn_stops_clocks_without_a_fix() {
    const OTHER: &str = "CVE-2021-45046";
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    let second = vulnerability(OTHER, Severity::High, &["2.16.0"]);
    incident.add_vulnerability(second, &[], "feed", T0).unwrap();
    let both = sighting("a", Cohort::Paved, &[SHELL, OTHER]);
    incident.see(vec![both.clone()], "scan", T0).unwrap();
    let withdrawn = |affected_by: &[&str], ids: &[&str]| Sighting {
        withdrawal: Some(Withdrawal {
            ids: ids.iter().map(|name| id(name)).collect(),
            reason: "GHSA-1 was withdrawn".to_owned(),
        }),
        ..sighting("a", Cohort::Paved, affected_by)
    };
    let hour = |n| T0 + Duration::hours(n);
    incident
        .see(vec![withdrawn(&[OTHER], &[SHELL])], "scan", hour(1))
        .unwrap();
    assert!(state(&incident, "a", hour(1)).is_open());
    let report = incident.report(hour(2));
    assert_eq!(
        (report.generations[0].affected, report.generations[0].fixed),
        (0, 0)
    );
    incident
        .see(vec![withdrawn(&[], &[OTHER])], "scan", hour(3))
        .unwrap();
    assert_eq!(state(&incident, "a", hour(3)), State::Gone);
    let clean = sighting("a", Cohort::Paved, &[]);
    assert!(!incident.is_news(&Sighting {
        digest: incident.line(&key("a")).unwrap().digest,
        remedies: incident.line(&key("a")).unwrap().remedies.clone(),
        ..clean
    }));
    let total = incident.report(hour(4)).total;
    assert_eq!((total.gone, total.fixed), (1, 0));
    // It is said again, and fixed this time.
    incident.see(vec![both], "scan", hour(5)).unwrap();
    assert_eq!(state(&incident, "a", hour(5)), State::Reopened);
    incident
        .see(vec![sighting("a", Cohort::Paved, &[])], "scan", hour(6))
        .unwrap();
    assert_eq!(state(&incident, "a", hour(6)), State::Fixed);
}
