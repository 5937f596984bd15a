use proptest::prelude::*;
use time::Duration;

use super::*;
use crate::testing::{day, evidence, model};

/// Makes something wrong.
type Change = fn(&mut Evidence);

fn seen(source: &str, trust: Trust, number: u32, at: i64, value: i64) -> Observation {
    Observation {
        id: format!("{source}-{number}").parse().unwrap(),
        value: Value::Number(value),
        observed_at: day(at),
        valid_until: None,
        source: Source {
            name: source.into(),
            trust,
        },
        events: Vec::new(),
    }
}

fn slot(observations: impl IntoIterator<Item = Observation>) -> Slot {
    let mut slot = Slot::default();
    for observation in observations {
        slot.offer(observation);
    }
    slot
}

#[test]
fn the_newest_wins_then_the_trusted_then_the_greater_id() {
    let old = seen("registry", Trust::Registry, 1, 1, 1);
    let new = seen("robot", Trust::Told, 1, 2, 2);
    assert_eq!(
        slot([new.clone(), old.clone()]).best(),
        Some(&new),
        "late evidence stays behind"
    );
    let told = seen("robot", Trust::Told, 9, 1, 3);
    assert_eq!(slot([old.clone(), told]).best(), Some(&old));
    let (a, b) = (
        seen("robot", Trust::Told, 1, 1, 4),
        seen("other", Trust::Told, 1, 1, 5),
    );
    assert_eq!(
        slot([b, a.clone()]).best(),
        Some(&a),
        "robot-1 is greater than other-1"
    );
}

#[test]
fn what_comes_twice_changes_nothing() {
    let mut slot = Slot::default();
    let one = seen("registry", Trust::Registry, 1, 1, 1);
    assert!(slot.offer(one.clone()));
    assert!(!slot.offer(one));
}

#[test]
fn contradictions_are_kept_and_shown() {
    let (a, b) = (
        seen("registry", Trust::Registry, 1, 2, 1),
        seen("robot", Trust::Told, 1, 1, 2),
    );
    let slot = slot([a, b.clone()]);
    assert_eq!(slot.contradictions(day(3)).collect::<Vec<_>>(), [&b.id]);
}

#[test]
fn only_so_many_sources_are_kept() {
    let all: Vec<_> = (0..20)
        .map(|number| seen(&format!("s{number}"), Trust::Told, 1, number, number))
        .collect();
    let forwards = slot(all.clone());
    assert_eq!(forwards, slot(all.into_iter().rev()));
    assert_eq!(forwards.contradictions(day(50)).count(), MAX_SOURCES - 1);
}

#[test]
fn only_so_many_items_are_kept() {
    let mut series = Series::default();
    let count = i64::try_from(MAX_ITEMS).unwrap() + 3;
    for number in 0..count {
        let key = format!("image-{number}").parse().unwrap();
        series.offer(Some(key), seen("registry", Trust::Registry, 1, number, 1));
    }
    assert_eq!(series.items.len(), MAX_ITEMS);
    assert_eq!(series.items[0].key.as_str(), "image-3");
}

fn observations() -> impl Strategy<Value = Vec<(u8, Observation)>> {
    let one =
        (0_u8..4, 0_u8..12, 0_u32..4, 0_i64..6, 0_i64..3).prop_map(|(item, source, number, at, value)| {
            let trust = [Trust::Told, Trust::Verified, Trust::Registry][usize::from(source) % 3];
            (item, seen(&format!("s{source}"), trust, number, at, value))
        });
    proptest::collection::vec(one, 0..60)
}

proptest! {
    /// Twice, late or out of order: what counts is the same.
    #[test]
    fn the_order_of_arrival_makes_no_difference(all in observations(), seed in any::<u64>()) {
        let mut shuffled = all.clone();
        shuffled.extend(all.iter().take(3).cloned());
        let count = shuffled.len().max(1);
        for place in 0..shuffled.len() {
            shuffled.swap(place, usize::try_from(seed % 1009).unwrap() * (place + 7) % count);
        }
        let series = |all: &[(u8, Observation)]| {
            let mut series = Series::default();
            for (item, one) in all {
                let key = (*item > 0).then(|| format!("i{item}").parse().unwrap());
                series.offer(key, one.clone());
            }
            series
        };
        prop_assert_eq!(series(&all), series(&shuffled));
    }
}

#[test]
fn evidence_from_the_future_is_refused_and_says_how_far() {
    let (model, limits) = (model(), EvidenceLimits::default());
    let ahead = |seconds| {
        let at = day(0) + Duration::seconds(seconds);
        evidence("app:a", &Fact::OwnerKnown, None, Value::Flag(true), at).check(&model, day(0), &limits)
    };
    assert_eq!(ahead(300), Ok(()), "clocks may disagree by five minutes");
    let refused = ahead(301).unwrap_err();
    assert_eq!(
        refused,
        EvidenceError::Future {
            ahead_seconds: 301,
            allowed_seconds: 300
        }
    );
}

#[test]
fn evidence_that_makes_no_sense_is_refused() {
    let check = |change: fn(&mut Evidence)| {
        let mut one = evidence("app:a", &Fact::OwnerKnown, None, Value::Flag(true), day(0));
        change(&mut one);
        one.check(&model(), day(0), &EvidenceLimits::default())
            .unwrap_err()
            .to_string()
    };
    let table: [(Change, &str); 8] = [
        (
            |one| one.seen.valid_until = Some(day(0)),
            "write a later `valid_until`",
        ),
        (
            |one| one.subject = "team:t".parse().unwrap(),
            "is known of the app, not of team:t",
        ),
        (|one| one.seen.value = Value::Number(1), "is true or false, not 1"),
        (
            |one| one.item = Some("x".parse().unwrap()),
            "is a state: leave out `item`",
        ),
        (|one| one.fact = Fact::ImageSigned, "needs `item`"),
        (
            |one| one.fact = "evidence:other".parse().unwrap(),
            "declares no fact `evidence:other`",
        ),
        (
            |one| one.seen.events = vec![EventId(1); MAX_EVENTS + 1],
            "at most 20 are kept",
        ),
        (
            |one| {
                one.fact = Fact::NoAnonymous;
                one.subject = "org:acme".parse().unwrap();
            },
            "write org:organisation",
        ),
    ];
    for (change, expected) in table {
        let told = check(change);
        assert!(told.contains(expected), "{told}");
    }
}

fn push(json: &str) -> Result<Vec<Evidence>, String> {
    let sender = Sender {
        name: "ci-shop".parse().unwrap(),
        subjects: vec!["app:shop/*".parse().unwrap()],
    };
    let read = read_pushed(
        json.as_bytes(),
        &sender,
        &model(),
        day(0),
        &EvidenceLimits::default(),
    );
    read.map_err(|errors| {
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

fn entry(subject: &str, fact: &str, rest: &str) -> String {
    let at = day(0).unix_timestamp();
    let at = OffsetDateTime::from_unix_timestamp(at).unwrap();
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    format!(r#"{{"subject": "{subject}", "fact": "{fact}", "observed_at": "{at}", {rest}}}"#)
}

fn pushed(subject: &str, fact: &str, rest: &str) -> Result<Vec<Evidence>, String> {
    push(&format!(r#"{{"evidence": [{}]}}"#, entry(subject, fact, rest)))
}

#[test]
fn robots_push_what_the_registry_cannot_know() {
    let read = pushed("app:shop/cart", "pipeline-defined", r#""value": true"#).unwrap();
    assert_eq!(read[0].seen.source.trust, Trust::Told);
    assert_eq!(
        read[0].seen.valid_until,
        Some(day(90)),
        "what is pushed does not count for ever"
    );
    assert!(read[0].seen.id.as_str().starts_with("ci-shop/"));
    let again = pushed("app:shop/cart", "pipeline-defined", r#""value": true"#).unwrap();
    assert_eq!(read, again, "the same push is the same evidence");
    let own = pushed("app:shop/cart", "evidence:cost-report", r#""value": 95"#).unwrap();
    assert_eq!(own[0].fact.to_string(), "evidence:cost-report");
}

#[test]
fn robots_push_neither_what_others_know_nor_for_others() {
    let table = [
        (
            "app:shop/cart",
            "image-signed",
            r#""value": true, "item": "x""#,
            "known by the registry itself",
        ),
        (
            "app:shop/cart",
            "cluster-probes",
            r#""value": true"#,
            "known by connected clusters",
        ),
        (
            "app:bank/cart",
            "pipeline-defined",
            r#""value": true"#,
            "ci-shop may not speak for app:bank/cart",
        ),
        (
            "app:shop/cart",
            "pipeline-defind",
            r#""value": true"#,
            "did you mean `pipeline-defined`?",
        ),
        (
            "app:shop/cart",
            "pipeline-defined",
            r#""value": true, "vlaue": 1"#,
            "unknown field `vlaue`",
        ),
        (
            "app:shop/cart",
            "pipeline-defined",
            r#""value": 3"#,
            "is true or false, not 3",
        ),
        ("app:shop/cart", "chaos-run", r#""value": true"#, "needs `item`"),
        (
            "app:shop/cart",
            "pipeline-defined",
            r#""value": true, "valid_until": "2099-01-01T00:00:00Z""#,
            "at most 400 are allowed",
        ),
    ];
    for (subject, fact, rest, expected) in table {
        let told = pushed(subject, fact, rest).unwrap_err();
        assert!(told.starts_with("entry 1: ") && told.contains(expected), "{told}");
    }
}

#[test]
fn one_wrong_entry_takes_nothing() {
    let good = entry("app:shop/cart", "pipeline-defined", r#""value": true"#);
    let told = push(&format!(r#"{{"evidence": [{good}, {{}}]}}"#)).unwrap_err();
    assert!(told.starts_with("entry 2: "), "{told}");
}

#[test]
fn pushes_have_a_largest_size() {
    let limits = EvidenceLimits::default();
    let told = push(&" ".repeat(limits.push_bytes + 1)).unwrap_err();
    assert!(told.contains("at most 1048576 are read"), "{told}");
    let many = vec!["{}"; limits.push_entries + 1].join(",");
    let told = push(&format!(r#"{{"evidence": [{many}]}}"#)).unwrap_err();
    assert!(told.contains("at most 1000 are read"), "{told}");
}

#[test]
fn a_sender_has_so_many_patterns() {
    let mut subjects: Vec<SubjectPattern> = vec!["app:other".parse().unwrap(); MAX_PATTERNS];
    subjects.push("app:shop/*".parse().unwrap());
    let name = "ci-shop".parse().unwrap();
    let json = format!(
        r#"{{"evidence": [{}]}}"#,
        entry("app:shop/cart", "pipeline-defined", r#""value": true"#)
    );
    let mut sender = Sender { name, subjects };
    let read = |sender: &Sender| {
        read_pushed(
            json.as_bytes(),
            sender,
            &model(),
            day(0),
            &EvidenceLimits::default(),
        )
    };
    assert!(read(&sender).is_err(), "the one behind the bound is not asked");
    sender.subjects.swap_remove(0);
    assert!(read(&sender).is_ok());
}

#[test]
fn a_star_takes_no_neighbours() {
    let pattern: SubjectPattern = "app:shop/*".parse().unwrap();
    assert!(pattern.takes(&"app:shop/cart".parse().unwrap()));
    for other in ["app:shopping/cart", "app:shop", "team:shop/cart"] {
        assert!(!pattern.takes(&other.parse().unwrap()), "{other}");
    }
    for wrong in ["app:sho*", "shop/*", "app:", "ap:shop/*"] {
        assert!(wrong.parse::<SubjectPattern>().is_err(), "{wrong}");
    }
    assert_eq!(pattern.to_string(), "app:shop/*");
}
