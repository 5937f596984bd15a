//! December 2021, as it went: four final versions in 19 days.

use super::*;

const SECOND: &str = "CVE-2021-45046";
const THIRD: &str = "CVE-2021-45105";
const FOURTH: &str = "CVE-2021-44832";

const STEP_6: OffsetDateTime = datetime!(2021-12-14 18:01 UTC);
const STEP_7: OffsetDateTime = datetime!(2021-12-18 18:00 UTC);
const STEP_8: OffsetDateTime = datetime!(2021-12-28 18:26 UTC);

struct Replay {
    incident: Incident,
    events: Vec<Event>,
}

impl Replay {
    fn see(&mut self, name: &str, affected_by: &[&str], at: OffsetDateTime) {
        let sighting = sighting(name, Cohort::OwnRoad, affected_by);
        self.events
            .extend(self.incident.see(vec![sighting], "scan", at).unwrap());
    }

    fn add(&mut self, name: &str, severity: Severity, fixed_in: &[&str], at: OffsetDateTime) {
        let vulnerability = vulnerability(name, severity, fixed_in);
        self.events.push(
            self.incident
                .add_vulnerability(vulnerability, &[], "feed", at)
                .unwrap(),
        );
    }

    fn state(&self, name: &str, now: OffsetDateTime) -> &'static str {
        state(&self.incident, name, now).as_str()
    }
}

/// To the end of step 8: `p1` is on the road and always first, `o1` on its own and slow, `o7` has its class removed.
fn december() -> Replay {
    let cohorts = [
        ("p1", Cohort::Paved),
        ("o1", Cohort::OwnRoad),
        ("o7", Cohort::OwnRoad),
    ];
    let (incident, events) = open(&cohorts);
    let mut replay = Replay { incident, events };
    let mitigated = EventKind::Mitigated {
        line: key("o7"),
        covers: vec![id(SHELL)],
        until: T0 + Duration::days(60),
        reason: "JndiLookup.class removed".into(),
    };
    replay
        .events
        .push(replay.incident.record(mitigated, "team-o7", T0).unwrap());
    replay.see("p1", &[], T0 + Duration::minutes(20));
    replay.add(SECOND, Severity::Critical, &["2.16.0", "2.12.2"], STEP_6);
    replay.see("p1", &[SECOND], STEP_6);
    for name in ["o1", "o7"] {
        replay.see(name, &[SHELL, SECOND], STEP_6);
    }
    replay.see("p1", &[], STEP_6 + Duration::minutes(25));
    replay.add(THIRD, Severity::Medium, &["2.17.0", "2.12.3", "2.3.1"], STEP_7);
    replay.see("p1", &[THIRD], STEP_7);
    replay.see("o1", &[THIRD], STEP_7);
    replay.add(FOURTH, Severity::Medium, &["2.17.1", "2.12.4", "2.3.2"], STEP_8);
    replay.see("p1", &[THIRD, FOURTH], STEP_8);
    replay.see("o1", &[THIRD, FOURTH], STEP_8);
    replay.see("p1", &[], STEP_8 + Duration::hours(1));
    replay
}

#[test]
fn a_superseded_fix_opens_again_in_the_same_incident() {
    let replay = december();
    let step = |at| Incident::replay_until(&replay.events, at).unwrap().unwrap();
    let before = step(STEP_6 - Duration::SECOND);
    assert_eq!(state(&before, "p1", STEP_6).as_str(), "fixed");
    assert_eq!(state(&before, "o7", STEP_6).as_str(), "mitigated");
    let after = step(STEP_6);
    let line = after.line(&key("p1")).unwrap();
    assert_eq!(
        (line.state(STEP_6), line.last_reopening.unwrap().cause),
        (State::Reopened, ReopeningCause::Superseded)
    );
    // Time that was spent is kept, and the new clock starts now.
    assert_eq!(line.spent(STEP_6 + Duration::minutes(5)), Duration::minutes(25));
    assert_eq!(
        line.spent_in(2, STEP_6 + Duration::minutes(5)),
        Duration::minutes(5)
    );
    assert_eq!(after.due(line), Some(STEP_6 + Duration::days(3)));
    // The mitigation was against the first one only.
    assert_eq!(state(&after, "o7", STEP_6).as_str(), "open");
    let targets: Vec<_> = after
        .generations()
        .iter()
        .map(|generation| generation.targets.join(" "))
        .collect();
    assert_eq!(targets, ["2.15.0", "2.16.0 2.12.2"]);
}

#[test]
fn what_is_closed_and_what_is_not_is_told_apart() {
    use Severity::{Critical, Medium};

    let replay = december();
    let now = STEP_8 + Duration::hours(2);
    let report = replay.incident.report(now);
    let of: Vec<_> = report
        .generations
        .iter()
        .map(|generation| {
            (
                generation.severity,
                generation.lines,
                generation.affected,
                generation.fixed,
            )
        })
        .collect();
    // o7 is still affected by the first two, o1 by the last two.
    assert_eq!(
        of,
        [
            (Critical, 3, 1, 2),
            (Critical, 3, 1, 2),
            (Medium, 2, 1, 1),
            (Medium, 2, 1, 1)
        ]
    );
    assert_eq!(
        (
            replay.state("p1", now),
            replay.state("o1", now),
            replay.state("o7", now)
        ),
        ("fixed", "open", "open")
    );
    let first = &report.generations[0].time_to_remediate;
    assert_eq!(first[&Cohort::Paved].median_seconds, Some(20 * 60));
    assert_eq!(first[&Cohort::OwnRoad].p90_seconds, None);
    let paved = &report.by_cohort[0];
    assert_eq!(
        (paved.cohort, paved.lines, paved.fixed, paved.reopened),
        (Some(Cohort::Paved), 1, 1, 3 / 3)
    );
    let share = |figures: &Figures, place: usize| (figures.shares[place].fixed, figures.shares[place].of);
    assert_eq!(
        (share(paved, 0), share(&report.by_cohort[1], 0)),
        ((1, 1), (0, 2))
    );
    // Thirty days have not passed.
    assert_eq!(report.total.shares[5].share, None);
}

#[test]
fn a_fix_without_advisory_and_a_push_after_closure() {
    let mut replay = december();
    let now = STEP_8 + Duration::days(1);
    assert!(replay.incident.would_supersede(&["2.18.0".to_owned()], &[]));
    assert!(!replay.incident.would_supersede(&["2.17.1".to_owned()], &[]));
    for name in ["o1", "o7"] {
        replay.see(name, &[], now);
    }
    let closed = EventKind::Closed {
        note: "all lines on 2.17.1".into(),
    };
    replay
        .events
        .push(replay.incident.record(closed, "sec", now).unwrap());
    replay.see("new", &[SHELL, SECOND, THIRD, FOURTH], now + Duration::days(9));
    assert_eq!(replay.incident.status(now + Duration::days(9)), Status::Reopened);
    let line = replay.incident.line(&key("new")).unwrap();
    assert!(!line.at_opening && line.state(now) == State::Open);
    assert_eq!(
        replay.incident.report(now + Duration::days(9)).total.found_later,
        1
    );
}

#[test]
fn a_fix_that_does_not_fix_restarts_the_clock() {
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    let changed = |fixed_in: &[&str], supersedes| EventKind::FixChanged {
        vulnerability: id(SHELL),
        fixed_in: fixed_in.iter().map(|version| (*version).to_owned()).collect(),
        supersedes,
        targets: Vec::new(),
    };
    // A fix for another line of releases is no new generation.
    incident
        .record(changed(&["2.15.0", "2.12.2"], false), "feed", T0 + Duration::HOUR)
        .unwrap();
    assert_eq!(
        (
            incident.generations().len(),
            incident.generations()[0].targets.len()
        ),
        (1, 2)
    );
    incident
        .see(
            vec![sighting("a", Cohort::Paved, &[])],
            "scan",
            T0 + Duration::hours(2),
        )
        .unwrap();
    incident
        .record(changed(&["2.15.1"], true), "feed", T0 + Duration::hours(3))
        .unwrap();
    incident
        .see(
            vec![sighting("a", Cohort::Paved, &[SHELL])],
            "scan",
            T0 + Duration::hours(4),
        )
        .unwrap();
    let line = incident.line(&key("a")).unwrap();
    let clocks: Vec<u16> = line.clocks.iter().map(|clock| clock.generation).collect();
    assert_eq!(
        (clocks, line.last_reopening.unwrap().cause),
        (vec![1, 2], ReopeningCause::Superseded)
    );
}

#[test]
fn the_report_follows_from_the_events() {
    let replay = december();
    let text = serde_json::to_string(&replay.events).unwrap();
    let events: Vec<Event> = serde_json::from_str(&text).unwrap();
    assert_eq!(events, replay.events);
    let again = Incident::replay(&events).unwrap();
    let now = STEP_8 + Duration::days(3);
    assert_eq!(
        again.report(now).to_json().unwrap(),
        replay.incident.report(now).to_json().unwrap()
    );
    assert_eq!(again, replay.incident);
}
