//! Steps 7 to 10.

use findings::Severity;
use road::{
    cohort::Cohort,
    incident::{Incident, ReliefKind, Status},
};
use time::{Duration, macros::datetime};
use web::{IncidentChange, LineSelection};

use super::{Day, FOURTH, ID, STEP_7, STEP_8, STEP_9, THIRD, operator, prod, repository, say};
use crate::incidents::tests::fixtures::{core, nested, spring};

impl Day {
    /// Everybody goes to a version, those of Java 7 to another one.
    async fn everybody(&self, tag: &str, version: &str, java_7: Option<&str>) {
        self.release(tag, version, &["P1", "P4"]).await;
        let p2 = super::fleet::on_java(version, "P2", &[spring(version)]);
        self.kit.push(&repository("P2"), "prod", &p2).await;
        if let Some(version) = java_7 {
            let o3 = super::fleet::on_own("O3", &[nested(version)]);
            self.kit.push(&repository("O3"), "prod", &o3).await;
        }
        self.update(&["O1", "O2", "O4"], version).await;
    }
}

/// Step 7: the critical part is resolved, another one is open.
pub(super) async fn denial_of_service(day: &Day) {
    day.kit.go_to(datetime!(2021-12-16 9:00 UTC));
    day.everybody("17.0.3", "2.16.0", None).await;
    let waived = IncidentChange::Relieve {
        kind: ReliefKind::Waiver,
        lines: LineSelection {
            application: Some("o10".parse().unwrap()),
            ..LineSelection::default()
        },
        covers: Vec::new(),
        until: datetime!(2022-01-31 0:00 UTC),
        reason: "the vendor has been asked; nobody outside reaches it".to_owned(),
    };
    day.kit
        .incidents
        .change_one(&operator(), &ID.parse().unwrap(), waived)
        .await
        .unwrap();
    day.expect(
        "12-16",
        &[
            ("P2", "fixed"),
            ("O2", "fixed"),
            ("O4", "fixed"),
            ("O10", "waived"),
        ],
    )
    .await;

    day.go_to(STEP_7).await;
    day.add(THIRD).await;
    let incident = day.kit.incident(ID).await;
    assert_eq!(incident.generations()[2].targets, ["2.17.0"]);
    let third = &incident.vulnerabilities()[2];
    // The sources do not agree how bad it is; both are kept.
    assert_eq!(third.by_source["GHSA"], Severity::High);
    assert_eq!(third.by_source["APACHE"], Severity::Medium);
    let parts: Vec<String> = incident
        .report(STEP_7)
        .parts
        .iter()
        .map(road::incident::Part::words)
        .collect();
    assert_eq!(parts.len(), 2, "{parts:?}");
    assert!(
        parts[0].starts_with("critical part (CVE-2021-44228, CVE-2021-45046) resolved"),
        "{parts:?}"
    );
    assert!(parts[1].contains("part (CVE-2021-45105) open: "), "{parts:?}");
    say(&format!("step 7: {}", parts.join("; ")));
    let states = ["P1", "P2", "P4", "O1", "O2", "O3"].map(|row| (row, "reopened"));
    day.expect("step 7", &states).await;
    // A class that is taken out helps against the first two, not against this one.
    day.expect("step 7", &[("O7", "open")]).await;
}

/// Four days later there are fixes for those who cannot take the first one.
pub(super) async fn older_lines(day: &Day) {
    day.go_to(datetime!(2021-12-22 5:46 UTC)).await;
    let targets = day.targets().await;
    assert_eq!(targets.len(), 3);
    assert!(
        targets[2].contains("2.17.0") && targets[2].contains("2.12.3"),
        "{targets:?}"
    );
    day.kit.go_to(datetime!(2021-12-23 9:00 UTC));
    day.everybody("17.0.4", "2.17.0", Some("2.12.3")).await;
    day.update(&["O7"], "2.17.0").await;
    day.expect(
        "12-23",
        &[("P1", "fixed"), ("O3", "fixed"), ("O7", "fixed"), ("O10", "open")],
    )
    .await;
}

/// Step 8: Apache says it before the database does.
pub(super) async fn fix_without_advisory(day: &Day) {
    day.go_to(STEP_8).await;
    day.add(FOURTH).await;
    let incident = day.kit.incident(ID).await;
    assert_eq!(incident.generations().len(), 4);
    assert_eq!(incident.generations()[3].targets, ["2.17.1"]);
    let fourth = &incident.vulnerabilities()[3];
    let sources: Vec<&str> = fourth.by_source.keys().map(String::as_str).collect();
    assert_eq!((fourth.severity, sources), (Severity::Medium, vec!["APACHE"]));
    // No emergency: a month.
    let line = incident.line(&prod("shop/o1")).unwrap();
    assert_eq!(incident.due(line), Some(STEP_8 + Duration::days(30)));
    day.expect(
        "step 8",
        &[("P1", "reopened"), ("O1", "reopened"), ("O7", "reopened")],
    )
    .await;

    day.go_to(datetime!(2021-12-29 12:00 UTC)).await;
    day.go_to(datetime!(2022-01-04 16:14 UTC)).await;
    let incident = day.kit.incident(ID).await;
    assert_eq!(incident.generations().len(), 4, "the advisory says nothing new");
    assert!(incident.vulnerabilities()[3].by_source.contains_key("GHSA"));
    day.kit.go_to(datetime!(2022-01-10 9:00 UTC));
    day.everybody("17.0.5", "2.17.1", Some("2.12.4")).await;
    day.update(&["O7"], "2.17.1").await;
    let rows = ["P1", "P2", "P4", "O1", "O2", "O3", "O4", "O7"].map(|row| (row, "fixed"));
    day.expect("01-10", &rows).await;
}

/// Closed once nothing is open, and not before.
pub(super) async fn close(day: &Day) {
    let close = || IncidentChange::Close {
        note: "all on 2.17.1, or gone".to_owned(),
    };
    let id = ID.parse().unwrap();
    let refused = day
        .kit
        .incidents
        .change_one(&operator(), &id, close())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("1 tags or images are still open"),
        "{refused}"
    );
    day.kit.go_to(datetime!(2022-01-11 9:00 UTC));
    day.kit.delete_tag(&repository("O10"), "prod").await;
    day.kit.look().await;
    day.expect("01-11", &[("O10", "gone")]).await;
    let closed = day
        .kit
        .incidents
        .change_one(&operator(), &id, close())
        .await
        .unwrap();
    assert!(matches!(closed.status(day.kit.now()), Status::Closed { .. }));
    say("01-11: closed");
}

/// Step 9: somebody builds on what was there before.
pub(super) async fn push_on_old_base(day: &Day) {
    day.kit.go_to(STEP_9);
    day.kit
        .push("shop/p5", "prod", &super::fleet::on_java("2.14.1", "P5", &[]))
        .await;
    day.kit.look().await;
    let incident = day.kit.incident(ID).await;
    assert_eq!(incident.status(STEP_9), Status::Reopened);
    let line = incident.line(&prod("shop/p5")).unwrap();
    assert!(!line.at_opening);
    assert_eq!(line.cohort, Cohort::Stale);
    assert_eq!(incident.affected_by(line).len(), 4);
    day.expect("step 9", &[("P5", "open")]).await;
    // And who was done goes back.
    day.kit
        .push(
            &repository("O1"),
            "prod",
            &super::fleet::on_own("O1", &[core("2.14.1")]),
        )
        .await;
    day.kit.look().await;
    day.expect("step 9", &[("O1", "reopened")]).await;
    day.update(&["O1"], "2.17.1").await;
}

/// Step 10: the figures, and the same from the events alone.
pub(super) async fn report(day: &Day) {
    let now = STEP_9 + Duration::days(1);
    day.kit.go_to(now);
    let incident = day.kit.incident(ID).await;
    let events = day
        .kit
        .store
        .incident_events(&ID.parse().unwrap(), 0, 10_000)
        .await
        .unwrap();
    let again = Incident::replay(&events).unwrap();
    assert_eq!(again.report(now), incident.report(now));
    let report = incident.report(now);
    let of = |cohort| {
        report
            .by_cohort
            .iter()
            .find(|figures| figures.cohort == Some(cohort))
            .unwrap()
    };
    let (paved, own) = (of(Cohort::Paved), of(Cohort::OwnRoad));
    let share = |figures: &road::incident::Figures, place: usize| {
        (figures.shares[place].fixed, figures.shares[place].of)
    };
    // The base, P1 and P4 were done within half an hour.
    assert_eq!(share(paved, 0).0, 3);
    assert_eq!(share(own, 0).0, 0);
    assert!(
        report
            .generations
            .iter()
            .all(|generation| generation.affected == 1),
        "only P5 is affected"
    );
    let first = &report.generations[0].time_to_remediate;
    assert!(
        first[&Cohort::Paved].median_seconds < first[&Cohort::OwnRoad].median_seconds,
        "{first:?}"
    );
    assert!(report.total.exposure_hours > 24 && report.total.reopened >= 4);
    // As it stood on the first day.
    let then = Incident::replay_until(&events, super::STEP_4)
        .unwrap()
        .unwrap()
        .report(super::STEP_4);
    assert_eq!((then.generations.len(), then.status), (1, Status::Open));
    for written in [report.to_markdown(), report.to_html(), report.to_json().unwrap()] {
        assert!(written.contains("44832"), "{written}");
    }
    say(&format!("step 10: {}", report.headline));
    for line in report.to_markdown().lines().filter(|line| line.starts_with('|')) {
        say(line);
    }
}
