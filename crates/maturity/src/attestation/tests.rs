use super::*;
use crate::assessment::EntryKind;
use crate::rule::State;
use crate::testing::{World, attestation, day, id, model, placed};

fn roles(roles: &[&str]) -> Roles {
    Roles::of(roles.iter().map(|role| role.parse().unwrap()))
}

#[test]
fn whoever_may_not_is_refused_and_told_what_is_needed() {
    let model = model();
    let criterion = model.criterion(&id("O-2")).unwrap();
    let one = attestation("x", "team:t", "O-2", 0, 50);
    assert_eq!(check(&one, criterion, &roles(&["team-lead"]), day(0)), Ok(()));
    let refused = check(&one, criterion, &roles(&["sponsor"]), day(0)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "alice may not vouch for `O-2`: the role `team-lead` is needed"
    );
    let refused = check(
        &one,
        model.criterion(&id("O-1")).unwrap(),
        &roles(&["team-lead"]),
        day(0),
    )
    .unwrap_err();
    assert_eq!(refused, AttestationError::NotAttestable(id("O-1")));
}

#[test]
fn dates_and_links_are_checked() {
    let model = model();
    let criterion = model.criterion(&id("O-2")).unwrap();
    let check = |one: &Attestation| check(one, criterion, &roles(&["team-lead"]), day(10)).unwrap_err();
    assert_eq!(
        check(&attestation("x", "team:t", "O-2", 11, 50)),
        AttestationError::Future
    );
    assert_eq!(
        check(&attestation("x", "team:t", "O-2", 5, 5)),
        AttestationError::Over
    );
    assert_eq!(
        check(&attestation("x", "team:t", "O-2", 5, 10)),
        AttestationError::Over
    );
    let told = check(&attestation("x", "team:t", "O-2", 10, 111)).to_string();
    assert_eq!(told, "it lasts 101 days: `O-2` allows 100, renew it then");
    let told = check(&attestation("x", "app:a", "O-2", 10, 50)).to_string();
    assert_eq!(
        told,
        "`O-2` is about the team: vouch for one of those, not for app:a"
    );
    let link = "see the wiki".to_owned();
    assert_eq!(
        check(&Attestation {
            link,
            ..attestation("x", "team:t", "O-2", 10, 50)
        }),
        AttestationError::NoLink
    );
    let note = "x".repeat(MAX_TEXT_BYTES + 1);
    assert_eq!(
        check(&Attestation {
            note,
            ..attestation("x", "team:t", "O-2", 10, 50)
        }),
        AttestationError::NoLink
    );
}

#[test]
fn an_attestation_without_end_cannot_be_written() {
    let json = serde_json::to_string(&attestation("x", "team:t", "O-2", 0, 50)).unwrap();
    let without = json.replace("\"until\"", "\"untill\"");
    assert!(serde_json::from_str::<Attestation>(&json).is_ok());
    assert!(
        serde_json::from_str::<Attestation>(&without)
            .unwrap_err()
            .to_string()
            .contains("missing field `until`")
    );
}

#[test]
fn a_second_person_confirms() {
    let model = model();
    let criterion = model.criterion(&id("O-2")).unwrap();
    let record = Record {
        attestation: attestation("x", "team:t", "O-2", 0, 90),
        event: EventId(1),
        confirmed: None,
        revoked: None,
    };
    let confirm = |record: &Record, by: &str, now| {
        check_confirmation(
            record,
            criterion,
            &by.parse().unwrap(),
            &roles(&["team-lead"]),
            day(now),
        )
    };
    assert_eq!(confirm(&record, "bob", 1), Ok(()));
    assert_eq!(
        confirm(&record, "alice", 1),
        Err(AttestationError::SamePerson("alice".parse().unwrap()))
    );
    assert_eq!(
        confirm(&record, "bob", 31),
        Err(AttestationError::WaitedTooLong(31))
    );
    assert_eq!(confirm(&record, "bob", 90), Err(AttestationError::NotLive));
    let act = Act {
        by: "bob".parse().unwrap(),
        at: day(1),
        reason: String::new(),
    };
    let confirmed = Record {
        confirmed: Some(act),
        ..record
    };
    assert_eq!(
        confirm(&confirmed, "bob", 1),
        Err(AttestationError::NothingToConfirm)
    );
}

#[test]
fn it_counts_when_it_is_confirmed_until_it_ends_or_is_revoked() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    world.attests(0, attestation("x", "team:t", "O-2", 0, 60));
    assert_eq!(world.state("team:t", "O-2"), State::Unknown);
    let (attestation_id, by): (RecordId, Person) = ("x".parse().unwrap(), "bob".parse().unwrap());
    world.takes(
        1,
        EntryKind::Confirmed {
            attestation: attestation_id.clone(),
            by,
        },
    );
    assert_eq!(world.state("team:t", "O-2"), State::Met);
    let changes = world.assessment.advance(day(100));
    assert_eq!(world.state("team:t", "O-2"), State::Expired);
    assert_eq!(changes[0].at, day(60));
    // Renewed, and taken back.
    let renews = Some(attestation_id);
    world.attests(
        100,
        Attestation {
            renews,
            ..attestation("y", "team:t", "O-2", 100, 160)
        },
    );
    let (attestation, by) = ("y".parse().unwrap(), "bob".parse().unwrap());
    world.takes(101, EntryKind::Confirmed { attestation, by });
    assert_eq!(world.state("team:t", "O-2"), State::Met);
    let revoked = EntryKind::Revoked {
        attestation: "y".parse().unwrap(),
        by: "bob".parse().unwrap(),
        reason: "it was not so".to_owned(),
    };
    world.takes(102, revoked);
    assert_eq!(
        world.state("team:t", "O-2"),
        State::Expired,
        "the earlier one had ended"
    );
}

#[test]
fn the_same_id_says_the_same_thing() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    world.attests(0, attestation("x", "team:t", "O-2", 0, 60));
    let again = EntryKind::Attested(Box::new(attestation("x", "team:t", "O-2", 0, 60)));
    assert_eq!(world.at(1, again).refusal, None);
    let other = EntryKind::Attested(Box::new(attestation("x", "team:t", "O-2", 0, 61)));
    let refused = world.at(1, other).refusal.unwrap().to_string();
    assert!(refused.contains("attestation `x` is there already"), "{refused}");
    let renews = Some("x".parse().unwrap());
    let of_another = Attestation {
        renews,
        ..attestation("y", "app:a", "T-1", 0, 40)
    };
    let refused = world
        .at(1, EntryKind::Attested(Box::new(of_another)))
        .refusal
        .unwrap();
    assert!(
        refused
            .to_string()
            .contains("of the same that could be renewed, `x`"),
        "{refused}"
    );
    let (attestation, by) = ("z".parse().unwrap(), "bob".parse().unwrap());
    let refused = world
        .at(1, EntryKind::Confirmed { attestation, by })
        .refusal
        .unwrap();
    assert_eq!(refused.to_string(), "there is no attestation `z`");
}

#[test]
fn the_inbox_says_what_is_due_waits_ends_and_ended() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    let look = |world: &World, now| {
        let items = inbox(
            world.assessment.facts(),
            world.assessment.model(),
            day(now),
            Duration::days(14),
        );
        items
            .into_iter()
            .map(|item| (item.kind, item.criterion.to_string()))
            .collect::<Vec<_>>()
    };
    // T-1 can be proven by evidence alone.
    assert_eq!(
        look(&world, 0),
        [
            (InboxKind::Due, "T-2".to_owned()),
            (InboxKind::Due, "O-2".to_owned())
        ]
    );
    world.attests(0, attestation("x", "team:t", "O-2", 0, 60));
    world.attests(0, attestation("y", "app:a", "T-2", 0, 40));
    assert_eq!(look(&world, 1), [(InboxKind::Unconfirmed, "O-2".to_owned())]);
    let (attestation, by) = ("x".parse().unwrap(), "bob".parse().unwrap());
    world.takes(1, EntryKind::Confirmed { attestation, by });
    assert!(look(&world, 2).is_empty());
    assert_eq!(look(&world, 26), [(InboxKind::Expiring, "T-2".to_owned())]);
    assert_eq!(
        look(&world, 47),
        [
            (InboxKind::Expired, "T-2".to_owned()),
            (InboxKind::Expiring, "O-2".to_owned())
        ]
    );
}

#[test]
fn a_stricter_criterion_ends_it_sooner() {
    let mut model = model().parts().clone();
    let criterion = model.criteria.iter_mut().find(|one| one.id == id("T-1")).unwrap();
    criterion.attester.as_mut().unwrap().expires_days = 10;
    let stricter = crate::model::Model::try_from(model).unwrap();
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.attests(0, attestation("x", "app:a", "T-1", 0, 40));
    world.takes(20, EntryKind::Judged(Box::new(stricter)));
    assert_eq!(world.state("app:a", "T-1"), State::Expired);
}
