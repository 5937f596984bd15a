//! Whatever happens in whatever order.

use super::*;
use proptest::prelude::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const GROUP: [&str; 3] = [SHELL, "CVE-2021-45046", "CVE-2021-45105"];

#[derive(Debug, Clone)]
enum Step {
    See(usize, u8),
    Grow,
    Supersede(usize),
    Relieve(usize, u8, i64, bool),
    End(usize, bool),
    Gone(usize),
    Run(usize, u8, u32),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        6 => (0_usize..4, 0_u8..8).prop_map(|(line, mask)| Step::See(line, mask)),
        1 => Just(Step::Grow),
        1 => (0_usize..3).prop_map(Step::Supersede),
        2 => (0_usize..4, 0_u8..8, 0_i64..3_000, any::<bool>()).prop_map(|(l, m, s, w)| Step::Relieve(l, m, s, w)),
        1 => (0_usize..4, any::<bool>()).prop_map(|(line, waiver)| Step::End(line, waiver)),
        1 => (0_usize..4).prop_map(Step::Gone),
        1 => (0_usize..4, 0_u8..8, 0_u32..3).prop_map(|(line, mask, replicas)| Step::Run(line, mask, replicas)),
        1 => Just(Step::Close),
    ];
    prop::collection::vec((0_i64..1_000, step), 0..40)
}

fn ids(mask: u8, incident: &Incident) -> Vec<VulnerabilityId> {
    let known = GROUP.iter().take(incident.vulnerabilities().len()).enumerate();
    known
        .filter(|(place, _)| mask & 1 << place != 0)
        .map(|(_, name)| id(name))
        .collect()
}

fn kind(step: &Step, incident: &Incident, now: OffsetDateTime) -> Option<EventKind> {
    let line = |place: usize| key(NAMES[place]);
    Some(match *step {
        Step::See(..) | Step::Grow => return None,
        Step::Supersede(place) => EventKind::FixChanged {
            vulnerability: id(GROUP[place]),
            fixed_in: vec![now.unix_timestamp().to_string()],
            supersedes: true,
            targets: Vec::new(),
        },
        Step::Relieve(place, mask, seconds, is_waiver) => {
            let (line, covers, until) = (line(place), ids(mask, incident), now + Duration::seconds(seconds));
            let reason = "because".to_owned();
            if is_waiver {
                EventKind::Waived {
                    line,
                    covers,
                    until,
                    reason,
                }
            } else {
                EventKind::Mitigated {
                    line,
                    covers,
                    until,
                    reason,
                }
            }
        }
        Step::End(place, true) => EventKind::WaiverEnded {
            line: line(place),
            reason: String::new(),
        },
        Step::End(place, false) => EventKind::MitigationEnded {
            line: line(place),
            reason: String::new(),
        },
        Step::Gone(place) => EventKind::Gone {
            line: line(place),
            reason: "deleted".into(),
        },
        Step::Run(place, mask, replicas) => EventKind::Running {
            line: line(place),
            affected_by: ids(mask, incident),
            replicas,
        },
        Step::Close => EventKind::Closed { note: String::new() },
    })
}

/// What the step makes happen; nothing where it cannot, and then nothing has changed.
fn happen(incident: &mut Incident, step: &Step, now: OffsetDateTime) -> Vec<Event> {
    let before = incident.clone();
    let done = match *step {
        Step::See(place, mask) => {
            let mut sighting = sighting(NAMES[place], Cohort::ALL[place], &[]);
            sighting.affected_by = ids(mask, incident);
            incident.see(vec![sighting], "scan", now)
        }
        Step::Grow => {
            let next = GROUP
                .get(incident.vulnerabilities().len())
                .copied()
                .unwrap_or(SHELL);
            let vulnerability = vulnerability(next, Severity::High, &[next]);
            incident
                .add_vulnerability(vulnerability, &[], "feed", now)
                .map(|event| vec![event])
        }
        _ => {
            let kind = kind(step, incident, now);
            kind.map_or(Ok(Vec::new()), |kind| {
                incident.record(kind, "somebody", now).map(|event| vec![event])
            })
        }
    };
    done.unwrap_or_else(|_| {
        assert_eq!(*incident, before, "{step:?} failed and changed something");
        Vec::new()
    })
}

fn check(incident: &Incident, now: OffsetDateTime) -> Result<(), TestCaseError> {
    for line in incident.lines() {
        let state = line.state(now);
        let running = line.clocks.iter().filter(|clock| clock.stopped.is_none()).count();
        prop_assert_eq!(running == 0, state.is_over(), "{:?}", line);
        prop_assert_eq!(incident.affected_by(line).is_empty(), state.is_over());
        prop_assert!(line.spent(now) <= now - line.since);
        prop_assert!(
            line.spans()
                .windows(2)
                .all(|pair| pair[0].1.is_some_and(|end| end < pair[1].0))
        );
        prop_assert_eq!(line.was_fixed_at(now), state == State::Fixed);
        prop_assert_eq!(incident.due(line).is_none(), state.is_over());
        for generation in incident.generations() {
            let clocks = line
                .clocks
                .iter()
                .filter(|clock| clock.generation == generation.number);
            prop_assert!(clocks.filter(|clock| clock.stopped.is_none()).count() <= 1);
            prop_assert!(line.spent_in(generation.number, now) <= line.spent(now));
        }
    }
    let total = incident.report(now).total;
    let sum = total.open + total.mitigated + total.waived + total.fixed + total.gone;
    prop_assert_eq!(sum, total.lines);
    let last = incident
        .burn_down()
        .last()
        .map_or(0, |point| point.affected.iter().sum::<u64>());
    prop_assert_eq!(last, (total.lines - total.fixed - total.gone) as u64);
    Ok(())
}

proptest! {
    #[test]
    fn the_same_events_give_the_same_state(steps in steps()) {
        let (mut incident, mut events) = open(&[("a", Cohort::Paved), ("b", Cohort::OwnRoad)]);
        let mut now = T0;
        for (seconds, step) in &steps {
            let spent: Vec<Duration> = incident.lines().map(|line| line.spent(now)).collect();
            let keys: Vec<LineKey> = incident.lines().map(|line| line.key.clone()).collect();
            now += Duration::seconds(*seconds);
            events.extend(happen(&mut incident, step, now));
            check(&incident, now)?;
            // Time that was spent is never taken back.
            for (key, spent) in keys.iter().zip(spent) {
                prop_assert!(incident.line(key).unwrap().spent(now) >= spent);
            }
        }
        let text = serde_json::to_string(&events).unwrap();
        let events: Vec<Event> = serde_json::from_str(&text).unwrap();
        let again = Incident::replay(&events).unwrap();
        prop_assert_eq!(&again, &incident);
        prop_assert_eq!(again.report(now).to_json().unwrap(), incident.report(now).to_json().unwrap());
    }

    #[test]
    fn a_moment_before_is_what_was_known_then(steps in steps(), cut in 0_usize..40) {
        let (mut incident, mut events) = open(&[("a", Cohort::Paved)]);
        let mut now = T0;
        let mut then = (T0, incident.clone());
        for (place, (seconds, step)) in steps.iter().enumerate() {
            now += Duration::seconds(*seconds + 1);
            events.extend(happen(&mut incident, step, now));
            if place == cut {
                then = (now, incident.clone());
            }
        }
        prop_assume!(cut < steps.len());
        let replayed = Incident::replay_until(&events, then.0).unwrap();
        prop_assert_eq!(replayed, Some(then.1));
        prop_assert_eq!(Incident::replay_until(&events, T0 - Duration::SECOND).unwrap(), None);
    }
}
