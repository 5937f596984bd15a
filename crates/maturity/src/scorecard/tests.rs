use super::*;
use crate::assessment::EntryKind;
use crate::evidence::Value;
use crate::facts::{Placement, Targets};
use crate::signal::Fact;
use crate::testing::{World, attestation, day, id, name, placed, subject};

fn card(world: &World) -> Scorecard {
    world.assessment.scorecard(&subject("app:a")).unwrap()
}

#[test]
fn a_topic_tells_level_target_credit_ahead_and_what_is_in_the_way() {
    let mut world = World::new();
    let targets = Targets {
        topics: [("tech/images".parse().unwrap(), 1)].into(),
        categories: [("tech".parse().unwrap(), 2)].into(),
    };
    world.takes(
        0,
        EntryKind::Placed(Box::new(Placement {
            app: name("a"),
            team: None,
            platform: None,
            tier: Some(1),
            targets,
        })),
    );
    world.sees(0, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(false));
    world.sees(0, "app:a", &Fact::ExemptionsLive, Value::Number(1));
    let card = card(&world);
    let images = &card.topics[0];
    assert_eq!(
        (images.level, images.defined_to, images.target),
        (Some(1), 3, Some(1))
    );
    assert_eq!(images.standing, Standing::OnTarget);
    assert_eq!(images.ahead, [id("I-3")]);
    assert_eq!(
        images.blocking,
        [Blocking {
            criterion: id("I-2"),
            level: 2,
            state: State::NotMet
        }]
    );
    assert_eq!(
        (
            images.coverage.met,
            images.coverage.not_met,
            images.coverage.unknown
        ),
        (2, 1, 1)
    );
    assert_eq!(images.coverage.all(), 4);
    let owners = &card.topics[1];
    assert_eq!(
        (owners.level, owners.target, owners.standing),
        (Some(0), Some(2), Standing::Below)
    );
    assert_eq!(card.topics[3].standing, Standing::NotRated);
    assert_eq!(card.categories[0].lowest, Some(0));
    assert_eq!(
        card.categories[0].median,
        Some(0),
        "of two the lower one, a level that exists"
    );
    assert_eq!(
        (card.categories[1].lowest, card.categories[1].rated),
        (Some(0), 1),
        "what does not apply holds back nothing"
    );
}

#[test]
fn the_next_drop_has_its_day_and_its_criterion() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    world.sees(5, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    world.attests(5, attestation("x", "team:t", "O-2", 5, 25));
    let (attestation, by) = ("x".parse().unwrap(), "bob".parse().unwrap());
    world.takes(5, EntryKind::Confirmed { attestation, by });
    let card = card(&world);
    let drop = card.topics[1].next_drop.clone().unwrap();
    assert_eq!(
        drop,
        Drop {
            at: day(25),
            criterion: id("O-2"),
            from: 2,
            to: 1
        }
    );
    assert_eq!(card.next_drop().unwrap().1, &drop);
    let assessment = &world.assessment;
    let drops = next_drops(
        assessment.model(),
        assessment.facts(),
        &subject("app:a"),
        assessment.now(),
    );
    assert_eq!(drops, [("tech/owners".parse().unwrap(), drop)]);
    // And so it comes.
    world.assessment.advance(day(25));
    assert_eq!(world.level("a", "tech/owners"), Some(1));
    let drop = self::card(&world).topics[1].next_drop.clone().unwrap();
    assert_eq!((drop.at, drop.criterion, drop.to), (day(35), id("O-1"), 0));
}

#[test]
fn what_lasts_does_not_drop() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(0, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(true));
    // The newest image counts, however old it is.
    assert_eq!(card(&world).topics[0].next_drop, None);
}

#[test]
fn larger_subjects_have_criteria_and_no_levels() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    let card = world.assessment.scorecard(&subject("team:t")).unwrap();
    assert!(card.topics.iter().all(|topic| topic.level.is_none()));
    assert!(card.criterion(&id("O-2")).is_some());
    assert!(card.criterion(&id("I-1")).is_none());
    assert!(world.assessment.scorecard(&subject("team:x")).is_none());
}

#[test]
fn targets_that_the_model_does_not_have_are_told() {
    let targets = Targets {
        topics: [
            ("tech/image".parse().unwrap(), 2),
            ("tech/images".parse().unwrap(), 4),
        ]
        .into(),
        categories: [("tech".parse().unwrap(), 3), ("money".parse().unwrap(), 1)].into(),
    };
    let told = targets.unknown(&crate::testing::model());
    assert_eq!(told, ["tech/image: 2", "tech/images: 4", "money: 1"]);
}
