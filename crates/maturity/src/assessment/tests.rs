use super::*;
use crate::evidence::Value;
use crate::model::Model;
use crate::signal::Fact;
use crate::testing::{World, attestation, day, evidence, exemption, id, placed, subject};

fn levels(world: &World, app: &str) -> [Option<u8>; 2] {
    ["tech/images", "tech/owners"].map(|topic| world.level(app, topic))
}

#[test]
fn two_applications_on_one_platform_stand_at_different_levels() {
    let mut world = World::new();
    for app in ["a", "b"] {
        world.takes(0, placed(app, Some("t"), 1));
        world.sees(0, &format!("app:{app}"), &Fact::OwnerKnown, Value::Flag(true));
    }
    world.sees(0, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(true));
    world.sees(0, "app:b", &Fact::ImageSigned, Value::Flag(false));
    assert_eq!(levels(&world, "a"), [Some(2), Some(1)]);
    assert_eq!(levels(&world, "b"), [Some(0), Some(1)]);
    world.assessment.check_against_whole();
}

#[test]
fn a_fall_back_and_its_recovery_are_told_with_their_causes() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(1, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(1, "app:a", &Fact::ImageScanned, Value::Flag(true));
    world.sees(5, "app:a", &Fact::ImageSigned, Value::Flag(false));
    assert_eq!(world.level("a", "tech/images"), Some(0));
    world.sees(9, "app:a", &Fact::ImageSigned, Value::Flag(true));
    assert_eq!(world.level("a", "tech/images"), Some(2));
    let history = world.assessment.history();
    let fall: Vec<&Change> = history.regressions(day(2), day(8)).collect();
    assert_eq!(fall.len(), 2, "the criterion and the level");
    assert_eq!(fall[0].cause, Cause::Seen(Fact::ImageSigned));
    assert_eq!(fall[0].event, Some(EventId(4)));
    let because = Some(id("I-1"));
    let topic: TopicId = "tech/images".parse().unwrap();
    let what = What::Level {
        subject: subject("app:a"),
        topic: topic.clone(),
        from: Some(2),
        to: Some(0),
        because,
    };
    assert_eq!(fall[1].what, what);
    let at = |when| history.as_of(&subject("app:a"), day(when)).levels[&topic];
    assert_eq!([at(1), at(5), at(8), at(9)], [Some(2), Some(0), Some(0), Some(2)]);
}

#[test]
fn what_ends_is_recorded_at_its_end_whenever_that_is_noticed() {
    let play = |looks: &[i64]| {
        let mut world = World::new();
        world.takes(0, placed("a", Some("t"), 1));
        world.sees(0, "app:a", &Fact::OwnerKnown, Value::Flag(true));
        world.attests(3, attestation("x", "app:a", "T-1", 3, 20));
        for look in looks {
            world.assessment.advance(day(*look));
        }
        world.takes(70, placed("b", None, 2));
        world.assessment.history().clone()
    };
    let once = play(&[]);
    assert_eq!(once, play(&[4, 19, 20, 20, 31, 69]));
    let ends: Vec<_> = once
        .regressions(day(0), day(70))
        .map(|change| change.at)
        .collect();
    assert_eq!(ends, [day(20), day(20), day(30), day(30)]);
}

#[test]
fn an_application_that_moves_keeps_its_history_and_stands_on_the_other_team() {
    let mut world = World::new();
    for (app, team) in [("a", "old"), ("b", "new")] {
        world.takes(0, placed(app, Some(team), 1));
        world.sees(0, &format!("app:{app}"), &Fact::OwnerKnown, Value::Flag(true));
    }
    world.attests(0, attestation("x", "team:new", "O-2", 0, 90));
    let (attestation, by) = ("x".parse().unwrap(), "bob".parse().unwrap());
    world.takes(0, EntryKind::Confirmed { attestation, by });
    assert_eq!(world.level("a", "tech/owners"), Some(1));
    assert_eq!(world.level("b", "tech/owners"), Some(2));
    let before = world.assessment.history().of(&subject("app:a")).count();
    world.takes(5, placed("a", Some("new"), 1));
    assert_eq!(world.level("a", "tech/owners"), Some(2));
    let history = world.assessment.history();
    let changes: Vec<&Change> = history.of(&subject("app:a")).collect();
    assert_eq!(changes.len(), before + 1);
    assert_eq!(changes[before].cause, Cause::Placed);
    world.assessment.check_against_whole();
}

#[test]
fn a_team_that_disappears_leaves_its_applications_and_their_history() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    world.sees(0, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    world.attests(0, attestation("x", "team:t", "O-2", 0, 90));
    let (attestation, by) = ("x".parse().unwrap(), "bob".parse().unwrap());
    world.takes(0, EntryKind::Confirmed { attestation, by });
    assert_eq!(world.level("a", "tech/owners"), Some(2));
    world.takes(4, EntryKind::Gone(subject("team:t")));
    assert_eq!(world.level("a", "tech/owners"), Some(1));
    let result = world.assessment.why(&subject("app:a"), &id("O-2")).unwrap();
    assert_eq!(result.state, State::Unknown);
    assert!(
        result.checks[0].found.contains("is no more"),
        "{}",
        result.checks[0].found
    );
    assert_eq!(
        world
            .assessment
            .history()
            .as_of(&subject("team:t"), day(3))
            .states[&id("O-2")],
        State::Met
    );
    assert!(!world.assessment.knows(&subject("team:t")));
    world.assessment.check_against_whole();
    // Somebody takes the application over; the team is there again.
    world.takes(6, placed("a", Some("t"), 1));
    assert_eq!(world.level("a", "tech/owners"), Some(2));
}

#[test]
fn an_application_that_is_gone_is_judged_no_longer() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(0, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    world.takes(2, EntryKind::Gone(subject("app:a")));
    assert!(world.assessment.scorecard(&subject("app:a")).is_none());
    assert!(
        world.assessment.advance(day(100)).is_empty(),
        "nothing of it ends any more"
    );
    assert_eq!(
        world.assessment.history().as_of(&subject("app:a"), day(1)).states[&id("O-1")],
        State::Met
    );
    world.sees(101, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    world.takes(102, placed("a", None, 1));
    assert_eq!(world.level("a", "tech/owners"), Some(1));
    world.assessment.check_against_whole();
}

#[test]
fn one_fact_of_the_organisation_moves_every_application() {
    let mut world = World::new();
    for app in ["a", "b"] {
        world.takes(0, placed(app, Some("t"), 1));
        world.sees(0, &format!("app:{app}"), &Fact::OwnerKnown, Value::Flag(true));
    }
    world.attests(0, attestation("x", "team:t", "O-2", 0, 90));
    let (attestation, by) = ("x".parse().unwrap(), "bob".parse().unwrap());
    world.takes(0, EntryKind::Confirmed { attestation, by });
    let seen = evidence(
        "org:organisation",
        &Fact::NoAnonymous,
        None,
        Value::Flag(true),
        day(1),
    );
    let applied = world.at(1, EntryKind::Seen(Box::new(seen)));
    assert_eq!(applied.changes.len(), 3, "one state and two levels");
    assert_eq!(
        [world.level("a", "tech/owners"), world.level("b", "tech/owners")],
        [Some(3), Some(3)]
    );
}

#[test]
fn only_what_is_touched_is_judged_again() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    let applied = world.at(
        1,
        EntryKind::Seen(Box::new(evidence(
            "app:a",
            &Fact::TierDeclared,
            None,
            Value::Flag(true),
            day(1),
        ))),
    );
    assert_eq!(
        applied,
        Applied {
            changes: Vec::new(),
            refusal: None
        },
        "no criterion uses it"
    );
}

#[test]
fn a_refused_entry_changes_nothing_but_what_had_ended() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(0, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    let ahead = evidence("app:a", &Fact::OwnerKnown, None, Value::Flag(false), day(90));
    let applied = world.at(40, EntryKind::Seen(Box::new(ahead)));
    assert!(applied.refusal.is_some());
    assert_eq!(applied.changes.len(), 2);
    assert!(
        applied
            .changes
            .iter()
            .all(|change| change.at == day(30) && change.cause == Cause::Time)
    );
}

#[test]
fn an_entry_from_a_clock_that_is_behind_is_taken_as_of_now() {
    let mut world = World::new();
    world.takes(10, placed("a", None, 1));
    world.sees(4, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    assert_eq!(world.assessment.now(), day(10));
    assert_eq!(world.state("app:a", "O-1"), State::Met);
    assert!(
        world
            .assessment
            .history()
            .changes()
            .iter()
            .all(|change| change.at == day(10))
    );
}

#[test]
fn an_exemption_counts_until_it_ends() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(0, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(false));
    world.takes(
        1,
        EntryKind::Exempted(Box::new(exemption("e", "app:a", "I-2", 5, 50))),
    );
    assert_eq!(world.state("app:a", "I-2"), State::NotMet, "not yet");
    world.assessment.advance(day(6));
    assert_eq!(world.state("app:a", "I-2"), State::Exempt);
    assert_eq!(world.level("a", "tech/images"), Some(2));
    let changes = world.assessment.advance(day(60));
    assert_eq!(changes[0].at, day(50));
    assert_eq!(world.level("a", "tech/images"), Some(1));
    world.takes(
        61,
        EntryKind::Exempted(Box::new(exemption("f", "app:a", "I-2", 61, 90))),
    );
    assert_eq!(world.level("a", "tech/images"), Some(2));
    world.takes(62, EntryKind::ExemptionEnded("f".parse().unwrap()));
    assert_eq!(world.level("a", "tech/images"), Some(1));
}

#[test]
fn exemptions_are_granted_by_another_person_and_end() {
    let model = crate::testing::model();
    let refused = |change: fn(&mut crate::exemption::Exemption)| {
        let mut one = exemption("e", "app:a", "I-2", 0, 50);
        change(&mut one);
        one.check(&model).unwrap_err().to_string()
    };
    assert!(
        refused(|one| one.approved_by = one.requested_by.clone()).contains("another person must approve it")
    );
    assert!(refused(|one| one.until = day(366)).contains("at most 365 are allowed"));
    assert!(refused(|one| one.until = one.from).contains("write a later `until`"));
    assert!(refused(|one| one.reason = " ".to_owned()).contains("needs a reason"));
    assert!(refused(|one| one.criterion = id("I-22")).contains("did you mean `I-2`?"));
    assert!(refused(|one| one.subject = subject("team:t")).contains("is about the app"));
}

#[test]
fn an_obligation_is_asked_of_whom_it_takes_from_its_day_on() {
    let campaign = crate::campaign::Campaign {
        id: "signed".parse().unwrap(),
        title: "all of tier 1 is signed".to_owned(),
        owner: "alice".parse().unwrap(),
        scope: crate::model::Scope {
            tiers: vec![1],
            ..crate::model::Scope::default()
        },
        criteria: vec![id("I-1")],
        starts: day(0),
        due: day(30),
        remind_days_before: std::collections::BTreeSet::new(),
        becomes_rule: true,
    };
    let model = crate::testing::model()
        .oblige(campaign.obligation().unwrap())
        .unwrap();
    assert_eq!(model.rule_version().to_string(), "small@1+signed");
    let mut world = World::of(model);
    world.takes(0, placed("a", None, 1));
    world.takes(0, placed("b", None, 2));
    let kept = |world: &World, app: &str| {
        let card = world.assessment.scorecard(&subject(app)).unwrap();
        card.obligations.iter().map(|one| one.kept).collect::<Vec<_>>()
    };
    assert!(kept(&world, "app:a").is_empty());
    world.assessment.advance(day(30));
    assert_eq!(kept(&world, "app:a"), [false]);
    assert!(kept(&world, "app:b").is_empty());
    world.sees(31, "app:a", &Fact::ImageSigned, Value::Flag(true));
    assert_eq!(kept(&world, "app:a"), [true]);
}

#[test]
fn log4j_day_moves_exactly_what_it_is_about() {
    let mut world = World::of(Model::cnmm().unwrap());
    world.takes(0, placed("a", Some("t"), 1));
    let before = world.assessment.history().changes().len();
    // Fixes come by rebase, in time; the incident is closed for every cohort and nothing comes back.
    for number in 0..3 {
        for fact in [
            Fact::FixAutomated,
            Fact::FixProposed,
            Fact::FixWithinDeadline,
            Fact::FixWithinRing,
        ] {
            world.sees(1 + number, "app:a", &fact, Value::Flag(true));
        }
    }
    world.sees(4, "org:organisation", &Fact::MassUpdate, Value::Number(40));
    world.sees(4, "org:organisation", &Fact::IncidentRecurrence, Value::Number(0));
    world.sees(4, "platform:default", &Fact::HandsFreeFix, Value::Flag(true));
    world.sees(4, "platform:default", &Fact::QuerySelfTest, Value::Flag(true));
    let changes = &world.assessment.history().changes()[before..];
    let moved: std::collections::BTreeSet<&str> = changes
        .iter()
        .filter_map(|change| match &change.what {
            What::State { criterion, .. } => Some(criterion.as_str()),
            What::Level { .. } => None,
        })
        .collect();
    let expected = [
        "PR-LIF-3", "TE-CON-3", "TE-CON-5", "X-INC-2", "X-INC-4", "X-PAV-4",
    ];
    assert_eq!(moved, expected.into());
}
