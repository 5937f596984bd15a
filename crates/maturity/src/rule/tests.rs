use proptest::prelude::*;

use super::*;
use crate::assessment::EntryKind;
use crate::attestation::Claim;
use crate::evidence::Value;
use crate::signal::Fact;
use crate::testing::{World, attestation, exemption, placed};

/// Core criteria with their levels, and the level of the topic.
type Case = (&'static [(u8, State)], Option<u8>);

/// The rule, word by word: the highest L such that every core criterion of levels 1 to L holds and one of them is met.
fn by_the_letter(core: &[(u8, State)], top: u8) -> Option<u8> {
    if core.iter().all(|(_, state)| *state == State::NotApplicable) {
        return None;
    }
    let reached = (1..=top).filter(|level| {
        let upto = || {
            core.iter()
                .filter(|(one, _)| one <= level)
                .map(|(_, state)| *state)
        };
        upto().all(State::holds) && upto().any(|state| state == State::Met)
    });
    Some(reached.max().unwrap_or(0))
}

#[test]
fn one_core_criterion_in_each_state_at_each_level() {
    for state in State::ALL {
        for level in 1..=5 {
            // Met at 1 below it, so that only the other decides.
            let core = [(1, State::Met), (level, state)];
            let expected = if state.holds() { 5 } else { level - 1 };
            assert_eq!(topic_level(core, 5), Some(expected), "{state} at {level}");
        }
    }
}

#[test]
fn a_level_needs_one_criterion_that_is_met() {
    let table: [Case; 9] = [
        (&[], None),
        (&[(1, State::NotApplicable), (2, State::NotApplicable)], None),
        (&[(1, State::Exempt)], Some(0)),
        (&[(1, State::Exempt), (2, State::NotApplicable)], Some(0)),
        (&[(1, State::Unknown)], Some(0)),
        (&[(1, State::Expired), (1, State::Met)], Some(0)),
        (
            &[(1, State::Exempt), (3, State::Met), (4, State::NotMet)],
            Some(3),
        ),
        // A level without criteria is passed through, also the last ones.
        (&[(1, State::Met), (4, State::Met)], Some(5)),
        (&[(2, State::Met), (4, State::Unknown)], Some(3)),
    ];
    for (core, expected) in table {
        assert_eq!(topic_level(core.iter().copied(), 5), expected, "{core:?}");
    }
}

fn states() -> impl Strategy<Value = State> {
    proptest::sample::select(State::ALL.to_vec())
}

proptest! {
    #[test]
    fn the_level_is_that_of_the_letter(core in proptest::collection::vec((1_u8..=5, states()), 0..12)) {
        prop_assert_eq!(topic_level(core.iter().copied(), 5), by_the_letter(&core, 5));
    }

    #[test]
    fn unknown_and_expired_never_count(core in proptest::collection::vec((1_u8..=5, states()), 1..12), place in 0_usize..12) {
        let mut core = core;
        let place = place % core.len();
        for state in [State::Unknown, State::Expired] {
            core[place].1 = state;
            let level = topic_level(core.iter().copied(), 5).unwrap();
            prop_assert!(level < core[place].0);
            let mut disproven = core.clone();
            disproven[place].1 = State::NotMet;
            prop_assert_eq!(topic_level(disproven, 5), Some(level));
        }
    }

    #[test]
    fn a_better_state_never_lowers(core in proptest::collection::vec((1_u8..=5, states()), 1..12), place in 0_usize..12) {
        let mut better = core.clone();
        let place = place % core.len();
        better[place].1 = State::Met;
        let before = topic_level(core, 5).unwrap_or(0);
        prop_assert!(topic_level(better, 5).unwrap_or(0) >= before);
    }
}

#[test]
fn truths_are_joined_by_tables() {
    use Truth::{Expired, Fails, Holds, Unknown};
    let all = [Holds, Fails, Unknown, Expired];
    let and = [
        [Holds, Fails, Unknown, Expired],
        [Fails, Fails, Fails, Fails],
        [Unknown, Fails, Unknown, Expired],
        [Expired, Fails, Expired, Expired],
    ];
    let or = [
        [Holds, Holds, Holds, Holds],
        [Holds, Fails, Unknown, Expired],
        [Holds, Unknown, Unknown, Expired],
        [Holds, Expired, Expired, Expired],
    ];
    for (row, a) in all.into_iter().enumerate() {
        for (column, b) in all.into_iter().enumerate() {
            assert_eq!(a.and(b), and[row][column], "{a:?} and {b:?}");
            assert_eq!(a.or(b), or[row][column], "{a:?} or {b:?}");
        }
    }
}

#[test]
fn every_state_comes_about() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    assert_eq!(world.state("app:a", "O-1"), State::Unknown);
    world.sees(0, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    assert_eq!(world.state("app:a", "O-1"), State::Met);
    world.sees(1, "app:a", &Fact::OwnerKnown, Value::Flag(false));
    assert_eq!(world.state("app:a", "O-1"), State::NotMet);
    world.sees(2, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    world.assessment.advance(crate::testing::day(32));
    assert_eq!(world.state("app:a", "O-1"), State::Expired);
    world.takes(
        33,
        EntryKind::Exempted(Box::new(exemption("e", "app:a", "O-1", 33, 40))),
    );
    assert_eq!(world.state("app:a", "O-1"), State::Exempt);
    world.sees(33, "app:a", &Fact::ShipsModel, Value::Flag(false));
    assert_eq!(world.state("app:a", "T-2"), State::NotApplicable);
}

#[test]
fn a_supporting_criterion_moves_no_level() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(0, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(true));
    for value in [true, false] {
        world.sees(1, "app:a", &Fact::BaseKnown, Value::Flag(value));
        assert_eq!(world.level("a", "tech/images"), Some(2));
    }
}

#[test]
fn images_are_judged_by_use() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    for scanned in [true, true, true, false] {
        world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(scanned));
    }
    assert_eq!(
        world.state("app:a", "I-2"),
        State::NotMet,
        "3 of 4 are less than 80 %"
    );
    world.sees(1, "app:a", &Fact::ImageScanned, Value::Flag(true));
    assert_eq!(world.state("app:a", "I-2"), State::Met, "4 of 5 are 80 %");
    let result = world
        .assessment
        .why(&crate::testing::subject("app:a"), &crate::testing::id("I-2"))
        .unwrap();
    assert_eq!(result.checks[0].found, "4 of 5");
    assert_eq!(result.checks[0].evidence.len(), 5);
    assert_eq!(result.checks[0].events.len(), 5, "each names its event");
    assert_eq!(result.rule_version.to_string(), "small@1");
}

#[test]
fn a_check_names_so_much_evidence_and_what_speaks_against_it_first() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    for number in 0..MAX_LINKED + 5 {
        world.sees(
            0,
            "app:a",
            &Fact::ImageScanned,
            Value::Flag(number.is_multiple_of(2)),
        );
    }
    let result = world
        .assessment
        .why(&crate::testing::subject("app:a"), &crate::testing::id("I-2"))
        .unwrap();
    let check = &result.checks[0];
    assert_eq!((check.truth, check.found.as_str()), (Truth::Fails, "13 of 25"));
    assert_eq!(
        (check.evidence.len(), check.events.len()),
        (MAX_LINKED, MAX_LINKED)
    );
}

#[test]
fn a_quiet_application_is_judged_by_its_newest_image() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(true));
    world.assessment.advance(crate::testing::day(400));
    assert_eq!(world.state("app:a", "I-2"), State::Met);
}

#[test]
fn what_leaves_the_window_changes_the_answer_at_its_own_moment() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    for (when, scanned) in [(0, false), (10, true), (20, true)] {
        world.sees(when, "app:a", &Fact::ImageScanned, Value::Flag(scanned));
    }
    assert_eq!(world.state("app:a", "I-2"), State::NotMet);
    let changes = world.assessment.advance(crate::testing::day(200));
    assert_eq!(world.state("app:a", "I-2"), State::Met);
    assert_eq!(
        changes[0].at,
        crate::testing::day(90),
        "when the first image is 90 days old"
    );
}

#[test]
fn hybrid_criteria_need_both_or_either() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.attests(0, attestation("x", "app:a", "T-1", 0, 40));
    assert_eq!(world.state("app:a", "T-1"), State::Met, "either");
    world.sees(0, "app:a", &Fact::ShipsModel, Value::Flag(true));
    world.attests(0, attestation("y", "app:a", "T-2", 0, 40));
    assert_eq!(world.state("app:a", "T-2"), State::Unknown, "both");
    world.sees(1, "app:a", &Fact::ChaosRun, Value::Flag(true));
    assert_eq!(world.state("app:a", "T-2"), State::Met);
}

#[test]
fn what_is_required_must_hold_too() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(0, "app:a", &Fact::ExemptionsLive, Value::Number(0));
    assert_eq!(
        world.state("app:a", "I-3"),
        State::Unknown,
        "what it requires is unknown"
    );
    world.sees(1, "app:a", &Fact::ImageSigned, Value::Flag(false));
    assert_eq!(world.state("app:a", "I-3"), State::NotMet);
    world.sees(2, "app:a", &Fact::ImageSigned, Value::Flag(true));
    assert_eq!(world.state("app:a", "I-3"), State::Met);
}

#[test]
fn that_something_does_not_apply_needs_a_second_person() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    let claim = Claim::DoesNotApply;
    world.attests(
        0,
        crate::attestation::Attestation {
            claim,
            ..attestation("x", "app:a", "T-1", 0, 40)
        },
    );
    assert_eq!(world.state("app:a", "T-1"), State::Unknown);
    let (attestation, by) = ("x".parse().unwrap(), "bob".parse().unwrap());
    world.takes(1, EntryKind::Confirmed { attestation, by });
    assert_eq!(world.state("app:a", "T-1"), State::NotApplicable);
}

#[test]
fn a_cluster_that_is_not_connected_is_the_reason() {
    let model = crate::model::Model::cnmm().unwrap();
    let mut world = World::of(model);
    world.takes(0, placed("a", None, 1));
    let result = world
        .assessment
        .why(&crate::testing::subject("app:a"), &crate::testing::id("TE-APP-1"))
        .unwrap();
    assert_eq!(result.state, State::Unknown);
    assert_eq!(
        result.checks[0].found,
        "nothing: no cluster is connected that tells it"
    );
}
