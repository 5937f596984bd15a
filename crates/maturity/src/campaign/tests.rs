use super::*;
use crate::assessment::EntryKind;
use crate::evidence::Value;
use crate::signal::Fact;
use crate::testing::{World, day, exemption, id, model, name, placed};

/// Makes something wrong.
type Change = fn(&mut Campaign);

fn campaign() -> Campaign {
    Campaign {
        id: "signed-by-june".parse().unwrap(),
        title: "all applications of tier 1 are signed".to_owned(),
        owner: "alice".parse().unwrap(),
        scope: Scope {
            tiers: vec![1],
            ..Scope::default()
        },
        criteria: vec![id("I-1")],
        starts: day(0),
        due: day(60),
        remind_days_before: [30, 7].into(),
        becomes_rule: true,
    }
}

fn world() -> World {
    let mut world = World::new();
    for (app, team, tier) in [
        ("a", "s", 1),
        ("b", "s", 1),
        ("c", "t", 1),
        ("d", "t", 1),
        ("e", "t", 2),
    ] {
        world.takes(0, placed(app, Some(team), tier));
    }
    world.sees(1, "app:a", &Fact::ImageSigned, Value::Flag(true));
    world.sees(1, "app:b", &Fact::ImageSigned, Value::Flag(false));
    world.takes(
        1,
        EntryKind::Exempted(Box::new(exemption("x", "app:c", "I-1", 1, 100))),
    );
    world
}

#[test]
fn progress_tells_done_exempt_open_and_unknown_apart() {
    let world = world();
    let progress = campaign().progress(&world.assessment);
    assert_eq!(
        progress.count,
        Count {
            done: 1,
            exempt: 1,
            open: 1,
            unknown: 1
        }
    );
    assert_eq!(progress.count.all(), 4, "e is of tier 2");
    assert_eq!(progress.days_left, 59);
    let teams: Vec<_> = progress
        .teams
        .iter()
        .map(|(team, count)| (team.as_ref().unwrap().as_str(), count.all()))
        .collect();
    assert_eq!(teams, [("s", 2), ("t", 2)]);
    assert_eq!(progress.apps[1].open, [(id("I-1"), State::NotMet)]);
    assert_eq!(progress.apps[2].exempt, [id("I-1")]);
}

#[test]
fn teams_are_reminded_once_for_each_date() {
    let mut world = world();
    let mut sent = BTreeSet::new();
    let mut due = |world: &mut World, when: i64| {
        world.assessment.advance(day(when));
        let reminders = campaign().reminders(&campaign().progress(&world.assessment), &sent);
        sent.extend(reminders.iter().map(|one| (one.team.clone(), one.days_before)));
        reminders
            .into_iter()
            .map(|one| (one.team.unwrap().to_string(), one.days_before, one.open))
            .collect::<Vec<_>>()
    };
    assert!(due(&mut world, 29).is_empty());
    let both = |days| vec![("s".to_owned(), days, 1), ("t".to_owned(), days, 1)];
    assert_eq!(due(&mut world, 30), both(30));
    assert!(due(&mut world, 31).is_empty());
    // A date that was missed is not told any more.
    assert_eq!(due(&mut world, 60), both(0));
    assert!(due(&mut world, 61).is_empty());
}

#[test]
fn its_end_is_a_rule_if_it_is_to_be() {
    let obligation = campaign().obligation().unwrap();
    assert_eq!((obligation.from, obligation.scope.tiers), (day(60), vec![1]));
    assert_eq!(
        Campaign {
            becomes_rule: false,
            ..campaign()
        }
        .obligation(),
        None
    );
}

#[test]
fn campaigns_that_make_no_sense_are_refused() {
    let refused = |change: fn(&mut Campaign)| {
        let mut one = campaign();
        change(&mut one);
        one.check(&model()).unwrap_err().to_string()
    };
    assert_eq!(campaign().check(&model()), Ok(()));
    let table: [(Change, &str); 7] = [
        (|one| one.criteria.clear(), "it names 0 criteria"),
        (
            |one| one.criteria = vec![id("I-1"); MAX_CAMPAIGN_CRITERIA + 1],
            "write 1 to 20",
        ),
        (|one| one.criteria = vec![id("I-11")], "did you mean `I-1`?"),
        (|one| one.due = one.starts, "it lasts 0 days"),
        (|one| one.due = day(731), "write 1 to 730"),
        (
            |one| one.remind_days_before = (0..11).collect(),
            "at most 10 are allowed",
        ),
        (|one| one.title.clear(), "it needs a title"),
    ];
    for (change, expected) in table {
        let told = refused(change);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_scope_takes_by_tier_team_and_name() {
    let scope = Scope {
        tiers: vec![1],
        teams: vec![name("s")],
        apps: vec![name("a"), name("b")],
    };
    let takes = |app: &str, tier, team: Option<&str>| scope.takes(&name(app), tier, team.map(name).as_ref());
    assert!(takes("a", Some(1), Some("s")));
    assert!(!takes("a", Some(2), Some("s")));
    assert!(!takes("a", None, Some("s")));
    assert!(!takes("a", Some(1), None));
    assert!(!takes("c", Some(1), Some("s")));
    assert!(Scope::default().takes(&name("c"), None, None));
}
