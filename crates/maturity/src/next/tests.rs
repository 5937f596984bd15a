use super::*;
use crate::assessment::EntryKind;
use crate::evidence::Value;
use crate::facts::Targets;
use crate::signal::Fact;
use crate::testing::{World, day, id, name, placed, subject};

fn plan(world: &World) -> Vec<Action> {
    let assessment = &world.assessment;
    actions(
        assessment.model(),
        assessment.facts(),
        &subject("app:a"),
        assessment.now(),
    )
}

#[test]
fn what_gains_a_level_comes_first_with_its_command() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(true));
    let plan = plan(&world);
    assert_eq!(plan.len(), ACTIONS);
    assert_eq!(plan[0].criteria, [id("I-1")]);
    assert_eq!(plan[0].command.as_deref(), Some("sign a"));
    // It aims at the next level only, although signing would gain two.
    assert_eq!(plan[0].levels, 1);
    assert_eq!(
        plan[0].gains,
        [Gain {
            topic: "tech/images".parse().unwrap(),
            from: 0,
            to: 1,
            aim: 1
        }]
    );
    // Without a remedy of its own it says why, or how to vouch for it.
    assert_eq!(plan[1].command.as_deref(), Some("roadbed maturity why app:a O-1"));
}

#[test]
fn targets_decide_what_counts_as_gain() {
    let mut world = World::new();
    let EntryKind::Placed(mut placement) = placed("a", Some("t"), 1) else {
        unreachable!()
    };
    placement.targets = Targets {
        topics: [("tech/images".parse().unwrap(), 3)].into(),
        ..Targets::default()
    };
    world.takes(0, EntryKind::Placed(placement));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(true));
    let plan = plan(&world);
    // Signing serves two criteria, for few exemptions require it, and reaches the target at once.
    assert_eq!(plan.len(), 1, "topics without target are left alone");
    assert_eq!(plan[0].criteria, [id("I-1"), id("I-3")]);
    assert_eq!((plan[0].levels, plan[0].progress), (3, 1000));
    world.sees(1, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(1, "app:a", &Fact::ExemptionsLive, Value::Number(0));
    assert!(self::plan(&world).is_empty(), "the target is reached");
}

#[test]
fn what_others_have_to_do_names_them() {
    let mut world = World::new();
    world.takes(0, placed("a", Some("t"), 1));
    world.sees(0, "app:a", &Fact::OwnerKnown, Value::Flag(true));
    world.sees(0, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(true));
    world.sees(0, "app:a", &Fact::ExemptionsLive, Value::Number(0));
    let plan = plan(&world);
    let of_team = plan
        .iter()
        .find(|action| action.subject == subject("team:t"))
        .unwrap();
    assert_eq!(
        of_team.command.as_deref(),
        Some("roadbed maturity attest team:t O-2")
    );
    assert!(
        plan.iter().position(|action| action.subject == subject("app:a"))
            < plan.iter().position(|action| action.subject == subject("team:t"))
    );
}

#[test]
fn nobody_else_has_actions() {
    let world = World::new();
    let assessment = &world.assessment;
    assert!(actions(assessment.model(), assessment.facts(), &subject("team:t"), day(0)).is_empty());
    assert!(assessment.facts().placement(&name("a")).is_none());
}

#[test]
fn the_shipped_model_always_says_what_to_do() {
    let mut world = World::of(Model::cnmm().unwrap());
    world.takes(0, placed("a", Some("t"), 1));
    for action in plan(&world) {
        assert!(
            action.command.is_some() || action.page.is_some(),
            "{}",
            action.what
        );
        let written = format!("{:?} {:?}", action.command, action.page);
        assert!(!written.contains('{'), "{written}");
    }
}
