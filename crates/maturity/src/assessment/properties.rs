//! Properties of whatever happens: random entries in random order.

use proptest::prelude::*;
use time::Duration;

use super::*;
use crate::evidence::{Evidence, Trust, Value};
use crate::signal::Fact;
use crate::testing::{attestation, day, evidence, exemption, id, model, placed, subject};

const APPS: [&str; 3] = ["a", "b", "c"];
const TEAMS: [&str; 2] = ["s", "t"];

/// Something that may happen on a day.
#[derive(Debug, Clone)]
enum Happens {
    Seen {
        app: usize,
        fact: usize,
        good: bool,
        item: u8,
        late: i64,
        source: u8,
    },
    Org {
        good: bool,
    },
    Attested {
        criterion: usize,
        app: usize,
        days: i64,
    },
    Confirmed {
        number: usize,
    },
    Revoked {
        number: usize,
    },
    Exempted {
        app: usize,
        criterion: usize,
        days: i64,
    },
    Placed {
        app: usize,
        team: usize,
    },
    Gone {
        team: usize,
    },
    Left {
        app: usize,
    },
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        12 => (0..APPS.len(), 0..FACTS.len(), any::<bool>(), 0_u8..4, 0_i64..20, 0_u8..3)
            .prop_map(|(app, fact, good, item, late, source)| Happens::Seen { app, fact, good, item, late, source }),
        2 => any::<bool>().prop_map(|good| Happens::Org { good }),
        3 => (0_usize..3, 0..APPS.len(), 1_i64..60).prop_map(|(criterion, app, days)| Happens::Attested { criterion, app, days }),
        2 => (0_usize..10).prop_map(|number| Happens::Confirmed { number }),
        1 => (0_usize..10).prop_map(|number| Happens::Revoked { number }),
        2 => (0..APPS.len(), 0_usize..3, 1_i64..60).prop_map(|(app, criterion, days)| Happens::Exempted { app, criterion, days }),
        2 => (0..APPS.len(), 0..TEAMS.len()).prop_map(|(app, team)| Happens::Placed { app, team }),
        1 => (0..TEAMS.len()).prop_map(|team| Happens::Gone { team }),
        1 => (0..APPS.len()).prop_map(|app| Happens::Left { app }),
    ]
}

static FACTS: [Fact; 7] = [
    Fact::ImageSigned,
    Fact::ImageScanned,
    Fact::ExemptionsLive,
    Fact::OwnerKnown,
    Fact::NeedsDocumented,
    Fact::ShipsModel,
    Fact::ChaosRun,
];

fn entry(place: usize, when: i64, what: &Happens) -> Entry {
    let event = EventId(place as u64 + 1);
    let kind = kind(place, when, what);
    Entry {
        event,
        at: day(when),
        kind,
    }
}

fn kind(place: usize, when: i64, what: &Happens) -> EntryKind {
    let confirmed = |number: &usize| format!("r-{number}").parse().unwrap();
    match what {
        Happens::Seen { .. } | Happens::Org { .. } => EntryKind::Seen(Box::new(seen(place, when, what))),
        Happens::Attested { criterion, app, days } => {
            let (criterion, of) = match criterion {
                0 => ("O-2", format!("team:{}", TEAMS[*app % 2])),
                1 => ("T-1", format!("app:{}", APPS[*app])),
                _ => ("T-2", format!("app:{}", APPS[*app])),
            };
            EntryKind::Attested(Box::new(attestation(
                &format!("r-{place}"),
                &of,
                criterion,
                when,
                when + days,
            )))
        }
        Happens::Confirmed { number } => {
            let (attestation, by) = (confirmed(number), "bob".parse().unwrap());
            EntryKind::Confirmed { attestation, by }
        }
        Happens::Revoked { number } => EntryKind::Revoked {
            attestation: confirmed(number),
            by: "bob".parse().unwrap(),
            reason: String::new(),
        },
        Happens::Exempted { app, criterion, days } => {
            let of = format!("app:{}", APPS[*app]);
            let criterion = ["I-1", "I-2", "O-1"][*criterion];
            let (from, until) = (when + 1, when + 1 + days);
            EntryKind::Exempted(Box::new(exemption(
                &format!("x-{place}"),
                &of,
                criterion,
                from,
                until,
            )))
        }
        Happens::Placed { app, team } => placed(APPS[*app], Some(TEAMS[*team]), 1),
        Happens::Gone { team } => EntryKind::Gone(subject(&format!("team:{}", TEAMS[*team]))),
        Happens::Left { app } => EntryKind::Gone(subject(&format!("app:{}", APPS[*app]))),
    }
}

fn seen(place: usize, when: i64, what: &Happens) -> Evidence {
    let mut seen = match what {
        Happens::Seen {
            app,
            fact,
            good,
            item,
            late,
            ..
        } => {
            let fact = &FACTS[*fact];
            let is_state = fact.built_in().unwrap().nature == crate::signal::Nature::State;
            let item = (!is_state).then(|| format!("i{item}"));
            let value = match fact {
                Fact::ExemptionsLive => Value::Number(if *good { 0 } else { 5 }),
                _ => Value::Flag(*good),
            };
            let of = format!("app:{}", APPS[*app]);
            evidence(&of, fact, item.as_deref(), value, day(when - late))
        }
        Happens::Org { good } => evidence(
            "org:organisation",
            &Fact::NoAnonymous,
            None,
            Value::Flag(*good),
            day(when),
        ),
        other => unreachable!("{other:?}"),
    };
    seen.seen.id = format!("e-{place}").parse().unwrap();
    if let Happens::Seen { late, source, .. } = what {
        seen.seen.source.name = format!("source-{source}").into();
        seen.seen.source.trust = Trust::Told;
        seen.seen.valid_until = (late % 3 == 0).then(|| day(when + 25));
    }
    seen
}

/// Some entries on days that go up.
fn log() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::vec((0_i64..15, happens()), 1..40).prop_map(|all| {
        let mut when = 0;
        let mut entries: Vec<Entry> = APPS
            .iter()
            .enumerate()
            .map(|(place, app)| Entry {
                event: EventId(0),
                at: day(0),
                kind: placed(app, Some(TEAMS[place % 2]), 1),
            })
            .collect();
        for (place, (gap, what)) in all.iter().enumerate() {
            when += gap;
            entries.push(entry(place, when, what));
        }
        entries
    })
}

fn play(entries: &[Entry]) -> Assessment {
    let mut assessment = Assessment::new(Arc::new(model()), EvidenceLimits::default());
    for entry in entries {
        assessment.apply(entry.clone());
    }
    assessment
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    /// What is kept up to date is what everything gives when it is judged anew, at every step.
    #[test]
    fn incremental_is_whole(entries in log()) {
        let mut assessment = Assessment::new(Arc::new(model()), EvidenceLimits::default());
        for entry in &entries {
            assessment.apply(entry.clone());
            assessment.check_against_whole();
        }
        let end = assessment.now() + Duration::days(200);
        assessment.advance(end);
        assessment.check_against_whole();
        // The nightly whole finds nothing that events did not.
        prop_assert!(assessment.recheck(end).is_empty());
    }

    /// Recomputing the history from the events gives the stored history, however often somebody looked in between.
    #[test]
    fn replaying_gives_the_stored_history(entries in log(), looks in proptest::collection::vec(0_i32..8, 40)) {
        let stored = play(&entries);
        let json = serde_json::to_string(stored.history().changes()).unwrap();
        let changes: Vec<Change> = serde_json::from_str(&json).unwrap();
        let mut again = Assessment::new(Arc::new(model()), EvidenceLimits::default());
        for (entry, look) in entries.iter().zip(looks.iter().cycle()) {
            let between = again.now() + (entry.at - again.now()) * *look / 8;
            again.advance(between);
            let stored: Entry = serde_json::from_str(&serde_json::to_string(entry).unwrap()).unwrap();
            again.apply(stored);
        }
        prop_assert_eq!(again.history(), &History::from_changes(changes));
    }

    /// The history tells where everybody stands now.
    #[test]
    fn the_history_says_what_is(entries in log()) {
        let assessment = play(&entries);
        for app in APPS {
            let app = subject(&format!("app:{app}"));
            let snapshot = assessment.history().as_of(&app, assessment.now());
            for criterion in model().criteria().iter().filter(|one| one.scope == app.kind) {
                let told = snapshot.states.get(&criterion.id).copied().unwrap_or(State::Unknown);
                prop_assert_eq!(assessment.state(&app, &criterion.id).unwrap_or(State::Unknown), told);
            }
            if let Some(levels) = assessment.levels(&app.name).filter(|_| assessment.knows(&app)) {
                for (topic, level) in levels {
                    prop_assert_eq!(snapshot.levels.get(topic).copied().unwrap_or(Some(0)), level);
                }
            }
        }
    }

    /// Beginning with stored facts and the stored history gives the same, and records nothing that is known.
    #[test]
    fn a_start_goes_on_where_it_ended(entries in log()) {
        let played = play(&entries);
        let (facts, history) = (played.facts().clone(), played.history().clone());
        let limits = EvidenceLimits::default();
        let started = Assessment::start(Arc::clone(played.model()), facts, history, played.now(), limits);
        prop_assert_eq!(started.history(), played.history());
        started.check_against_whole();
        let later = played.now() + Duration::days(100);
        let (mut played, mut started) = (played, started);
        prop_assert_eq!(played.advance(later), started.advance(later));
    }

    /// Evidence of a fact changes only criteria that use the fact or require one that does.
    #[test]
    fn evidence_moves_only_its_own_criteria(entries in log(), seen in happens()) {
        let Happens::Seen { fact, .. } = &seen else { return Ok(()) };
        let mut assessment = play(&entries);
        let now = assessment.now();
        let when = (now - day(0)).whole_days();
        let users = model().index().users_of(&FACTS[*fact]).to_vec();
        let mut touched: Vec<usize> = users.iter().flat_map(|place| model().index().dependents(*place).to_vec()).collect();
        touched.extend(users);
        for change in assessment.apply(entry(900, when, &seen)).changes {
            if let What::State { criterion, .. } = change.what {
                let place = model().index().place(&criterion).unwrap();
                prop_assert!(touched.contains(&place), "{criterion}");
            }
        }
    }

    /// Evidence that is good, of everything at once and newer than all that is known, never lowers a level.
    #[test]
    fn good_evidence_never_lowers(entries in log(), app in 0..APPS.len(), fact in 0..FACTS.len()) {
        // That an application ships a model asks more of it: this is its own rule.
        prop_assume!(FACTS[fact] != Fact::ShipsModel);
        let mut assessment = play(&entries);
        let when = (assessment.now() - day(0)).whole_days();
        assessment.advance(day(when));
        let of = crate::testing::name(APPS[app]);
        prop_assume!(assessment.knows(&Subject::app(of.clone())));
        let levels = |assessment: &Assessment| -> Vec<Option<u8>> {
            assessment.levels(&of).unwrap().map(|(_, level)| level).collect()
        };
        let before = levels(&assessment);
        let good = Happens::Seen { app, fact, good: true, item: 9, late: 0, source: 1 };
        assessment.apply(entry(950, when, &good));
        for (before, after) in before.into_iter().zip(levels(&assessment)) {
            prop_assert!(after >= before, "{before:?} {after:?}");
        }
    }

    /// The same evidence in another order of arrival ends in the same states.
    #[test]
    fn the_order_of_evidence_makes_no_difference(all in proptest::collection::vec((0_i64..30, happens()), 1..30)) {
        let seen = all.iter().enumerate().filter(|(_, (_, what))| matches!(what, Happens::Seen { .. }));
        let entries: Vec<Entry> = seen.map(|(place, (when, what))| Entry { at: day(40), ..entry(place, *when, what) }).collect();
        let places = APPS.map(|app| Entry { event: EventId(0), at: day(0), kind: placed(app, None, 1) });
        let forwards = play(&[&places[..], &entries[..]].concat());
        let backwards: Vec<Entry> = places.into_iter().chain(entries.into_iter().rev()).collect();
        let backwards = play(&backwards);
        for app in APPS {
            let app = subject(&format!("app:{app}"));
            for criterion in ["I-1", "I-2", "I-3", "O-1", "T-1", "T-2"] {
                prop_assert_eq!(forwards.state(&app, &id(criterion)), backwards.state(&app, &id(criterion)));
            }
        }
    }
}
