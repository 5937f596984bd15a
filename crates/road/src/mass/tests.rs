use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-28 12:00 UTC);

fn candidate(ring: Ring, standing: Standing) -> Candidate {
    Candidate {
        ring,
        standing,
        is_frozen: false,
    }
}

fn pace() -> Pace {
    Pace {
        delays: [
            Duration::ZERO,
            Duration::minutes(5),
            Duration::minutes(5),
            Duration::hours(1),
        ],
        per_hour: 100,
    }
}

fn begins(candidates: &[Candidate]) -> Vec<usize> {
    turn(candidates, &pace(), 0, NOW).begin
}

const WAITS: Standing = Standing::Waits;

fn followed(minutes: i64) -> Standing {
    Standing::Followed(NOW - Duration::minutes(minutes))
}

#[test]
fn one_goes_alone_and_then_the_rest_of_its_ring() {
    let [early, late] = [Ring::Early, Ring::Late];
    let all = |first: Standing| {
        [
            candidate(late, WAITS),
            candidate(early, first),
            candidate(early, WAITS),
        ]
    };
    assert_eq!(begins(&all(WAITS)), [1]);
    assert_eq!(begins(&all(Standing::Runs)), [0; 0]);
    assert_eq!(begins(&all(followed(0))), [2]);
}

#[test]
fn a_ring_goes_when_the_one_before_is_through_and_its_time_has_passed() {
    let of = |standing| [candidate(Ring::Canary, standing), candidate(Ring::Late, WAITS)];
    let wait = |standing| turn(&of(standing), &pace(), 0, NOW).wait[0].1;
    assert_eq!(wait(Standing::Runs), Wait::Ring(Ring::Canary));
    let from = NOW + Duration::minutes(1);
    assert_eq!(
        wait(followed(59)),
        Wait::Delay {
            ring: Ring::Late,
            from
        }
    );
    assert_eq!(begins(&of(followed(60))), [1]);
    assert_eq!(wait(Standing::Failed), Wait::Failed(Ring::Canary));
    // Nobody has said that it may: the others need not wait for that, and one of them goes alone.
    assert_eq!(begins(&of(Standing::Aside)), [1]);
}

#[test]
fn what_failed_holds_up_its_own_ring_too() {
    let all = [
        candidate(Ring::Normal, followed(10)),
        candidate(Ring::Normal, Standing::Failed),
        candidate(Ring::Normal, WAITS),
    ];
    assert_eq!(
        turn(&all, &pace(), 0, NOW).wait,
        [(2, Wait::Failed(Ring::Normal))]
    );
}

#[test]
fn a_freeze_holds_up_nobody_else() {
    let frozen = Candidate {
        is_frozen: true,
        ..candidate(Ring::Canary, WAITS)
    };
    let all = [frozen, candidate(Ring::Normal, WAITS)];
    let turn = turn(&all, &pace(), 0, NOW);
    assert_eq!(turn.begin, [1]);
    assert_eq!(turn.wait, [(0, Wait::Frozen)]);
}

#[test]
fn no_more_begin_within_an_hour_than_the_cap() {
    let mut all = vec![candidate(Ring::Normal, followed(1))];
    all.extend([candidate(Ring::Normal, WAITS); 5]);
    let turn = turn(&all, &pace(), 97, NOW);
    assert_eq!(turn.begin, [1, 2, 3]);
    assert_eq!(turn.wait, [(4, Wait::Cap(100)), (5, Wait::Cap(100))]);
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        4 => Just(Standing::Waits),
        1 => Just(Standing::Runs),
        2 => (0_i64..200).prop_map(followed),
        1 => Just(Standing::Failed),
        1 => Just(Standing::Aside),
    ]
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    (0_usize..4, standing(), any::<bool>()).prop_map(|(ring, standing, is_frozen)| Candidate {
        ring: RINGS[ring],
        standing,
        is_frozen,
    })
}

proptest! {
    /// Whatever there is, nothing begins that is frozen, behind a failure or behind an open ring, nor more than may.
    #[test]
    fn nothing_begins_out_of_turn(all in prop::collection::vec(any_candidate(), 0..30), begun in 0_u64..120) {
        let turn = turn(&all, &pace(), begun, NOW);
        prop_assert!(turn.begin.len() as u64 <= 100_u64.saturating_sub(begun));
        let waiting = all.iter().filter(|candidate| candidate.standing == WAITS).count();
        prop_assert_eq!(turn.begin.len() + turn.wait.len(), waiting);
        for place in &turn.begin {
            let it = &all[*place];
            prop_assert!(it.standing == WAITS && !it.is_frozen);
            let is_before = |other: &&Candidate| other.ring < it.ring;
            prop_assert!(!all.iter().any(|other| other.ring <= it.ring && other.standing == Standing::Failed));
            prop_assert!(!all.iter().filter(is_before).any(|other| other.standing == Standing::Runs));
            prop_assert!(!all.iter().filter(is_before).any(|other| other.standing == WAITS && !other.is_frozen));
        }
        let has_followed = all.iter().any(|other| matches!(other.standing, Standing::Followed(_)));
        prop_assert!(has_followed || turn.begin.len() <= 1);
    }

    /// Unless something failed, runs or is frozen, somebody begins once all delays have passed.
    #[test]
    fn it_comes_to_its_end(rings in prop::collection::vec(0_usize..4, 1..30)) {
        let mut all: Vec<Candidate> = rings.iter().map(|ring| candidate(RINGS[*ring], WAITS)).collect();
        for _ in 0..all.len() {
            let turn = turn(&all, &pace(), 0, NOW);
            for place in turn.begin {
                all[place].standing = followed(100);
            }
        }
        prop_assert!(all.iter().all(|candidate| matches!(candidate.standing, Standing::Followed(_))));
    }
}
