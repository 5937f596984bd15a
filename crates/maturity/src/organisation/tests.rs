use super::*;
use crate::assessment::EntryKind;
use crate::evidence::Value;
use crate::facts::{Placement, Targets};
use crate::signal::Fact;
use crate::testing::{World, name, placed};

fn aiming(app: &str, team: &str, tier: u8, target: u8) -> EntryKind {
    let targets = Targets {
        topics: [("tech/images".parse().unwrap(), target)].into(),
        ..Targets::default()
    };
    EntryKind::Placed(Box::new(Placement {
        app: name(app),
        team: Some(name(team)),
        platform: None,
        tier: Some(tier),
        targets,
    }))
}

fn world() -> World {
    let mut world = World::new();
    world.takes(0, aiming("a", "s", 1, 2));
    world.takes(0, aiming("b", "s", 3, 2));
    world.takes(0, aiming("c", "t", 2, 1));
    world.takes(0, placed("d", None, 3));
    for app in ["a", "c"] {
        world.sees(0, &format!("app:{app}"), &Fact::ImageSigned, Value::Flag(true));
        world.sees(0, &format!("app:{app}"), &Fact::ImageScanned, Value::Flag(true));
    }
    world.sees(0, "app:b", &Fact::ImageSigned, Value::Flag(false));
    world.sees(0, "app:b", &Fact::ImageScanned, Value::Flag(false));
    world
}

#[test]
fn applications_are_distributed_by_level_and_weighted_by_tier() {
    let world = world();
    let whole = whole(&world.assessment, &TierWeights::default());
    assert_eq!(whole.apps, Band { apps: 4, weight: 8 });
    let images = &whole.topics[0];
    assert_eq!(images.by_level[&2], Band { apps: 2, weight: 6 });
    assert_eq!(images.by_level[&0], Band { apps: 2, weight: 2 });
    assert_eq!(images.at_least(1), Band { apps: 2, weight: 6 });
    assert_eq!(images.at_least(1).percent_of(&images.all), Some(75));
    assert_eq!(
        images.by_standing[&Standing::OnTarget],
        Band { apps: 2, weight: 6 }
    );
    assert_eq!(images.by_standing[&Standing::Below], Band { apps: 1, weight: 1 });
    assert_eq!(
        images.by_standing[&Standing::NoTarget],
        Band { apps: 1, weight: 1 }
    );
    // Only of d nobody can tell whether it is signed.
    assert_eq!(images.untold, Band { apps: 1, weight: 1 });
    let nothing = whole
        .topics
        .iter()
        .find(|topic| topic.topic.to_string() == "people/nothing")
        .unwrap();
    assert_eq!(nothing.not_rated.apps, 4);
    assert_eq!(whole.own.unknown, 1, "nobody knows O-3 of the organisation");
}

#[test]
fn the_heat_map_has_every_team_and_those_without_last() {
    let world = world();
    let rows = heat_map(&world.assessment, &TierWeights::default());
    let teams: Vec<_> = rows
        .iter()
        .map(|row| row.team.as_ref().map(SubjectName::as_str))
        .collect();
    assert_eq!(teams, [Some("s"), Some("t"), None]);
    assert_eq!(
        rows[0],
        team(&world.assessment, Some(&name("s")), &TierWeights::default())
    );
    assert_eq!(rows[2], team(&world.assessment, None, &TierWeights::default()));
    assert_eq!(rows[0].apps, Band { apps: 2, weight: 5 });
}

#[test]
fn an_empty_band_has_no_share() {
    assert_eq!(Band::default().percent_of(&Band::default()), None);
    assert_eq!(TierWeights::default().of(None), 1);
}
