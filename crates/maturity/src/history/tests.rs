use super::*;
use crate::testing::{day, id, subject};

fn change(at: i64, subject_of: &str, from: Option<u8>, to: Option<u8>, cause: Cause) -> Change {
    Change {
        at: day(at),
        event: Some(EventId(7)),
        cause,
        what: What::Level {
            subject: subject(subject_of),
            topic: "tech/images".parse().unwrap(),
            from,
            to,
            because: Some(id("I-1")),
        },
        rule_version: RuleVersion("small@1".into()),
    }
}

fn history() -> History {
    let seen = || Cause::Seen(Fact::ImageSigned);
    History::from_changes([
        change(1, "app:a", Some(0), Some(2), seen()),
        change(2, "app:b", Some(0), Some(1), seen()),
        change(5, "app:a", Some(2), Some(1), Cause::Time),
        change(6, "app:c", Some(0), Some(3), Cause::Placed),
        change(
            8,
            "app:a",
            Some(1),
            Some(2),
            Cause::Attested("x".parse().unwrap()),
        ),
        change(9, "app:c", Some(3), None, Cause::Gone(subject("app:c"))),
    ])
}

#[test]
fn any_moment_can_be_asked_for() {
    let history = history();
    let topic = "tech/images".parse().unwrap();
    let at = |when| {
        history
            .as_of(&subject("app:a"), day(when))
            .levels
            .get(&topic)
            .copied()
    };
    assert_eq!(
        [at(0), at(1), at(4), at(5), at(8)],
        [None, Some(Some(2)), Some(Some(2)), Some(Some(1)), Some(Some(2))]
    );
    assert_eq!(history.as_of(&subject("app:x"), day(9)), Snapshot::default());
}

#[test]
fn movement_counts_applications_once_by_where_they_ended() {
    let history = history();
    let movement = |from, to| history.movement(day(from), day(to)).into_values().next();
    assert_eq!(
        movement(0, 3),
        Some(Movement {
            up: 2,
            down: 0,
            lapsed: 0
        })
    );
    assert_eq!(
        movement(4, 7),
        Some(Movement {
            up: 1,
            down: 1,
            lapsed: 1
        })
    );
    assert_eq!(
        movement(4, 9),
        Some(Movement {
            up: 1,
            down: 0,
            lapsed: 0
        }),
        "a is where it was"
    );
    assert_eq!(movement(20, 30), None);
}

#[test]
fn changes_survive_being_stored() {
    let mut all = history().changes().to_vec();
    all.push(Change {
        event: None,
        what: What::State {
            subject: subject("team:t"),
            criterion: id("O-2"),
            from: State::Met,
            to: State::Expired,
        },
        ..change(10, "app:a", None, None, Cause::Judged)
    });
    let json = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Change>>(&json).unwrap(), all);
    assert!(
        json.contains(r#""cause":"seen","of":"image-signed","change":"level""#),
        "{json}"
    );
}

#[test]
fn regressions_are_those_of_the_time() {
    let history = history();
    let found: Vec<_> = history
        .regressions(day(0), day(9))
        .map(|change| change.at)
        .collect();
    assert_eq!(found, [day(5)]);
}
