use super::*;
use time::Duration;
use time::macros::datetime;

use crate::base::Promise;

const START: OffsetDateTime = datetime!(2026-11-01 0:00 UTC);

fn java() -> BaseImage {
    BaseImage {
        patch_within: Promise::new([
            (Severity::Critical, Duration::days(1)),
            (Severity::High, Duration::days(7)),
        ]),
        ..crate::base::tests::base("java17")
    }
}

fn owed(id: &str, severity: Severity, day: i64) -> Owed {
    Owed {
        vulnerability: id.parse().unwrap(),
        severity,
        known_at: START + Duration::days(day),
    }
}

/// The release of a day, with what it has.
fn current(day: i64, owed: Vec<Owed>) -> Current {
    Current {
        owed,
        since: START + Duration::days(day),
        release: format!("17.{day}"),
        first: START,
    }
}

fn at(hours: i64) -> OffsetDateTime {
    START + Duration::hours(hours)
}

#[test]
fn a_promise_runs_from_the_advisory_and_is_broken_once() {
    let has = current(0, vec![owed("CVE-1", Severity::Critical, 2)]);
    let opened = settle(&java(), &[], &has, at(49));
    assert_eq!((opened[0].state, opened[0].due_at), (DebtState::Open, at(72)));
    assert_eq!(settle(&java(), &opened, &has, at(50)), []);
    let late = settle(&java(), &opened, &has, at(72));
    assert_eq!((late[0].state, late[0].is_kept()), (DebtState::Late, Some(false)));
    assert_eq!(settle(&java(), &late, &has, at(500)), []);
}

#[test]
fn the_release_that_is_without_it_ends_it() {
    let opened = settle(
        &java(),
        &[],
        &current(0, vec![owed("CVE-1", Severity::Critical, 2)]),
        at(49),
    );
    for (day, kept) in [(3, true), (4, false)] {
        let paid = settle(&java(), &opened, &current(day, vec![]), at(24 * 6));
        assert_eq!(
            (paid[0].state, paid[0].is_kept()),
            (DebtState::Patched, Some(kept)),
            "{day}"
        );
        assert_eq!(paid[0].release, format!("17.{day}"));
        assert_eq!(settle(&java(), &paid, &current(day, vec![]), at(24 * 7)), []);
    }
    // The advisory was withdrawn.
    let gone = settle(&java(), &opened, &current(0, vec![]), at(60));
    assert_eq!((gone[0].state, gone[0].is_kept()), (DebtState::Gone, None));
}

#[test]
fn what_comes_back_is_owed_anew() {
    let opened = settle(
        &java(),
        &[],
        &current(0, vec![owed("CVE-1", Severity::High, 0)]),
        at(1),
    );
    let paid = settle(&java(), &opened, &current(3, vec![]), at(80));
    let back = settle(
        &java(),
        &paid,
        &current(9, vec![owed("CVE-1", Severity::High, 0)]),
        at(220),
    );
    assert_eq!(
        (back[0].state, back[0].known_at),
        (DebtState::Open, START + Duration::days(9))
    );
}

#[test]
fn nobody_owes_what_was_not_promised_or_was_there_before_the_base() {
    let all = vec![
        owed("CVE-1", Severity::Medium, 0),
        owed("CVE-2", Severity::Unknown, 0),
        owed("CVE-3", Severity::High, -400),
        owed("CVE-3", Severity::High, -400),
    ];
    let debts = settle(&java(), &[], &current(0, all), at(1));
    let names: Vec<&str> = debts.iter().map(|debt| debt.vulnerability.as_str()).collect();
    assert_eq!(names, ["CVE-3"]);
    assert_eq!(debts[0].known_at, START);
}

#[test]
fn of_very_many_the_worst_are_followed() {
    let mut many: Vec<Owed> = (0..MAX_DEBTS)
        .map(|n| owed(&format!("CVE-{n}"), Severity::High, 0))
        .collect();
    many.push(owed("CVE-X", Severity::Critical, 0));
    let debts = settle(&java(), &[], &current(0, many), at(1));
    assert_eq!(debts.len(), MAX_DEBTS);
    assert_eq!(debts[0].vulnerability.as_str(), "CVE-X");
}

#[test]
fn what_is_followed_is_not_patched_by_what_is_worse() {
    let known: Vec<Owed> = vec![owed("CVE-K", Severity::High, 0)];
    let opened = settle(&java(), &[], &current(0, known.clone()), at(1));
    let mut many: Vec<Owed> = (0..MAX_DEBTS + 2)
        .map(|n| owed(&format!("CVE-{n}"), Severity::Critical, 0))
        .collect();
    many.extend(known);
    // A release came since, which has it still.
    let debts = settle(&java(), &opened, &current(3, many.clone()), at(80));
    assert_eq!(debts.len(), MAX_DEBTS);
    assert!(debts.iter().all(|debt| debt.vulnerability.as_str() != "CVE-K"));
    let debts = settle(&java(), &opened, &current(3, many), at(24 * 8));
    let late = debts.iter().find(|debt| debt.vulnerability.as_str() == "CVE-K");
    assert_eq!(late.map(|debt| debt.state), Some(DebtState::Late));
}

#[test]
fn no_more_is_followed_than_there_is_room_for() {
    let of = |from: usize, severity| -> Vec<Owed> {
        let numbers = from..from + MAX_DEBTS + 10;
        numbers.map(|n| owed(&format!("CVE-{n}"), severity, 0)).collect()
    };
    let (first, worse) = (of(0, Severity::High), of(100_000, Severity::Critical));
    let opened = settle(&java(), &[], &current(0, first.clone()), at(1));
    let added = settle(
        &java(),
        &opened,
        &current(0, [first.clone(), worse.clone()].concat()),
        at(1),
    );
    assert_eq!(opened.len() + added.len(), MAX_FOLLOWED);
    let followed = [opened, added].concat();
    // Worse than all of them, and there is no room.
    let last = owed("CVE-0-0", Severity::Critical, 0);
    let all = [first, worse, vec![last]].concat();
    assert_eq!(settle(&java(), &followed, &current(0, all), at(1)), []);
}

#[test]
fn what_is_promised_no_more_is_not_patched() {
    let has = vec![owed("CVE-1", Severity::High, 0)];
    let opened = settle(&java(), &[], &current(0, has.clone()), at(1));
    let without = BaseImage {
        patch_within: Promise::default(),
        ..java()
    };
    let gone = settle(&without, &opened, &current(3, has), at(80));
    assert_eq!((gone[0].state, gone[0].patched_at), (DebtState::Gone, None));
}
