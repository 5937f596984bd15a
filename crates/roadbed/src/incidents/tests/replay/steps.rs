//! Steps 1 to 6.

use road::{
    cohort::Cohort,
    incident::{ReliefKind, Remedy, ReopeningCause, State},
};
use time::{Duration, macros::datetime};
use web::{IncidentChange, LineSelection, wire::AffectedImage};

use super::{BY, Day, FIRST, ID, SECOND, STEP_2, STEP_3, STEP_4, STEP_6, operator, prod, repository, say};
use crate::incidents::tests::fixtures::{core, nested, spring};

/// Step 1: before there is an id, the question is about the package.
pub(super) async fn drill(day: &Day) {
    let report = day.kit.ask("log4j-core").await;
    let there = report.items.iter().filter(|image| image.state != "lower-layer");
    let mut found: Vec<&str> = there.map(|image| image.repository.as_str()).collect();
    found.sort_unstable();
    let wanted = ["P1", "P2", "P4", "O1", "O2", "O3", "O4", "O7", "O10"];
    let mut wanted: Vec<String> = wanted.iter().map(|row| repository(row)).collect();
    wanted.push("base/java".to_owned());
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{}", report.headline);
    assert_eq!(
        (report.coverage.not_scannable, report.coverage.without_owner),
        (0, 0)
    );
    say(&format!("step 1: {}", report.headline));
}

/// Step 2: the table, by what was known then.
pub(super) async fn import(day: &Day) {
    day.go_to(STEP_2).await;
    let report = day.kit.ask(FIRST).await;
    let of = |row: &str| {
        let repository = repository(row);
        report.items.iter().find(|image| image.repository == repository)
    };
    let table = [
        ("P1", "affected", "high"),
        ("P2", "affected", "high"),
        ("P4", "affected", "high"),
        ("O1", "affected", "high"),
        ("O2", "affected", "medium"),
        ("O3", "affected", "high"),
        ("O4", "affected", "low"),
        ("O7", "mitigated", "high"),
        ("O10", "affected", "high"),
    ];
    for (row, state, confidence) in table {
        let image = of(row).unwrap_or_else(|| panic!("{row} is not found"));
        assert_eq!(image.state, state, "{row}");
        is_told_of(row, image, confidence);
    }
    for row in ["P3", "O5", "O6", "O9"] {
        assert!(of(row).is_none(), "{row}: {:?}", of(row));
    }
    // Not in what runs, and still in what is there.
    assert_eq!(of("O11").map(|image| image.state.as_str()), Some("lower-layer"));
    say(&format!(
        "step 2: {}; the table is as it was known then",
        report.headline
    ));
    let spring = of("P2").unwrap().places.iter().map(|place| place.origin.as_str());
    let mut origins: Vec<&str> = spring.collect();
    origins.sort_unstable();
    assert_eq!(origins, ["base", "own"]);
    let nested = &of("O3").unwrap().places[0];
    assert_eq!(
        nested.inner_path,
        ["WEB-INF/lib/plugin.jar", "lib/log4j-core-2.12.1.jar"]
    );
}

/// Application, owner, fix of that moment, how sure it is, and both sources.
fn is_told_of(row: &str, image: &AffectedImage, confidence: &str) {
    let name = row.to_lowercase();
    assert_eq!(image.application.as_deref(), Some(name.as_str()), "{row}");
    assert_eq!(
        image.owner.as_deref(),
        Some(format!("group:team-{name}").as_str()),
        "{row}"
    );
    for place in &image.places {
        let finding = place.finding.as_ref().unwrap();
        // There was no other fix yet, also for whoever cannot take it.
        assert_eq!(finding.fix.as_deref(), Some("2.15.0"), "{row}");
        assert_eq!(
            format!("{:?}", finding.confidence).to_lowercase(),
            confidence,
            "{row}"
        );
        let mut sources: Vec<&str> = finding
            .sources
            .iter()
            .map(|source| source.source.as_str())
            .collect();
        sources.sort_unstable();
        assert_eq!(sources, ["APACHE", "GHSA"], "{row}");
    }
}

/// Step 3: frozen, with cohorts, whose it is and what is to be done.
pub(super) async fn open(day: &Day) {
    day.kit.go_to(STEP_3);
    let incident = day.kit.open(ID, FIRST, Some(BY)).await;
    assert_eq!(incident.lines().len(), 10);
    let line = |row: &str| incident.line(&prod(&repository(row))).unwrap();
    for row in ["P1", "P2", "P4"] {
        assert_eq!(line(row).cohort, Cohort::Paved, "{row}");
    }
    for row in ["O1", "O2", "O3", "O4", "O7", "O10"] {
        assert_eq!(line(row).cohort, Cohort::OwnRoad, "{row}");
    }
    let base = Remedy::AwaitBase {
        base: "java".parse().unwrap(),
    };
    assert_eq!(line("P1").remedies, std::slice::from_ref(&base));
    assert_eq!(line("P2").remedies.len(), 2);
    assert!(line("P2").remedies.contains(&base));
    let vendor = Remedy::Vendor {
        image: repository("O10"),
    };
    assert_eq!(line("O10").remedies, [vendor]);
    assert!(line("O1").at_opening && line("O1").owner.is_some());
    // Three days for what is critical come before the day of the directive.
    assert_eq!(incident.due(line("O1")), Some(STEP_3 + Duration::days(3)));
    let messages = day
        .kit
        .incidents
        .messages_of(incident.id(), day.kit.now())
        .await
        .unwrap();
    let owners: std::collections::BTreeSet<_> = messages.iter().map(|message| &message.owner).collect();
    assert_eq!((messages.len(), owners.len()), (10, 10));
    day.expect(
        "step 3",
        &[("P1", "open"), ("O1", "open"), ("O7", "mitigated"), ("P3", "-")],
    )
    .await;
}

/// Step 4 by hand: the base first, then what stands on it.
pub(super) async fn rebuild(day: &Day) {
    day.kit.go_to(STEP_4);
    day.release("17.0.2", "2.15.0", &["P1", "P4"]).await;
    let layers = super::fleet::on_java("2.15.0", "P2", &[spring("2.13.3")]);
    day.kit.push(&repository("P2"), "prod", &layers).await;
    day.kit.look().await;
    day.expect(
        "step 4",
        &[("P1", "fixed"), ("P4", "fixed"), ("P2", "open"), ("O1", "open")],
    )
    .await;
    let incident = day.kit.incident(ID).await;
    let line = incident.line(&prod("shop/p2")).unwrap();
    assert!(
        matches!(line.remedies.as_slice(), [Remedy::Upgrade { .. }]),
        "{:?}",
        line.remedies
    );
    let report = incident.report(day.kit.now());
    let paved = report
        .by_cohort
        .iter()
        .find(|figures| figures.cohort == Some(Cohort::Paved))
        .unwrap();
    assert_eq!(paved.time_to_remediate.median_seconds, Some(20 * 60));
    // Somebody says that a switch helps where nobody can rebuild.
    day.kit.go_to(datetime!(2021-12-10 12:00 UTC));
    let switch = IncidentChange::Relieve {
        kind: ReliefKind::Mitigation,
        lines: LineSelection {
            lines: vec![prod("shop/o2")],
            ..LineSelection::default()
        },
        covers: Vec::new(),
        until: datetime!(2022-02-01 0:00 UTC),
        reason: "formatMsgNoLookups=true is set".to_owned(),
    };
    let id = ID.parse().unwrap();
    day.kit
        .incidents
        .change_one(&operator(), &id, switch)
        .await
        .unwrap();
    let o1 = super::fleet::on_own("O1", &[core("2.15.0")]);
    day.kit.push(&repository("O1"), "prod", &o1).await;
    day.kit
        .push(
            &repository("P2"),
            "prod",
            &super::fleet::on_java("2.15.0", "P2", &[spring("2.15.0")]),
        )
        .await;
    day.kit.look().await;
    day.expect(
        "12-10 12:00",
        &[
            ("O1", "fixed"),
            ("P2", "fixed"),
            ("O2", "mitigated"),
            ("O3", "open"),
        ],
    )
    .await;
}

/// Step 6: the fix was none.
pub(super) async fn superseded(day: &Day) {
    day.go_to(STEP_6).await;
    day.add(SECOND).await;
    assert_eq!(day.targets().await, ["2.15.0", "2.16.0"]);
    let reopened = ["P1", "P2", "P4", "O1"].map(|row| (row, "reopened"));
    day.expect("step 6", &reopened).await;
    day.expect(
        "step 6",
        &[
            ("O2", "open"),
            ("O3", "open"),
            ("O4", "open"),
            ("O7", "mitigated"),
        ],
    )
    .await;
    let incident = day.kit.incident(ID).await;
    let line = incident.line(&prod("shop/p1")).unwrap();
    assert_eq!(line.last_reopening.unwrap().cause, ReopeningCause::Superseded);
    // The twenty minutes are kept, and the new clock begins.
    let soon = STEP_6 + Duration::minutes(5);
    assert_eq!(line.spent(soon), Duration::minutes(25));
    assert_eq!(line.spent_in(2, soon), Duration::minutes(5));
    let ended = day
        .kit
        .store
        .incident_events(&ID.parse().unwrap(), 0, 1_000)
        .await
        .unwrap();
    let ended = ended.iter().find_map(|event| match &event.kind {
        road::incident::EventKind::MitigationEnded { line, reason } => {
            Some((line.to_string(), reason.clone()))
        }
        _ => None,
    });
    let (line, reason) = ended.expect("the switch still counts");
    assert_eq!(line, "shop/o2:prod");
    assert!(
        reason.contains(SECOND) && reason.contains("formatMsgNoLookups"),
        "{reason}"
    );
    say(&format!("step 6: the mitigation of O2 is ended: {reason}"));
    let o7 = incident.line(&prod("shop/o7")).unwrap();
    assert_eq!(o7.state(STEP_6), State::Mitigated { until: None });
    // Six hours later there is a fix for Java 7: no new generation, another thing to do.
    day.go_to(datetime!(2021-12-15 0:08 UTC)).await;
    assert_eq!(day.targets().await.len(), 2);
    let incident = day.kit.incident(ID).await;
    let o3 = incident.line(&prod("shop/o3")).unwrap();
    let fixes =
        |remedy: &Remedy| matches!(remedy, Remedy::Upgrade { fixed_in, .. } if *fixed_in == ["2.12.2"]);
    assert!(o3.remedies.iter().all(fixes), "{:?}", o3.remedies);
    day.kit
        .push(
            &repository("O3"),
            "prod",
            &super::fleet::on_own("O3", &[nested("2.12.2")]),
        )
        .await;
    day.kit.look().await;
    day.expect("12-15", &[("O3", "fixed")]).await;
}
