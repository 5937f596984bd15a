use super::*;
use crate::kpi::Reading;
use crate::kpi::testing::{DAY, NOW, ago, app, frame};

fn change(days: i64, name: &str, topic: &str, (from, to): (u8, u8), why: Why) -> Change {
    Change {
        at: ago(days * DAY),
        app: app(name),
        topic: topic.to_owned(),
        from,
        to,
        why,
    }
}

fn standing() -> Standing {
    Standing {
        core_met: 10,
        core_met_automatically: 8,
        evidence_observed_at: vec![ago(1), ago(2), ago(3), ago(100), ago(-1)],
        exemptions_until: vec![ago(1), ago(-10), ago(-40 * DAY)],
    }
}

fn asked(changes: &[Change]) -> Kpi<Movement> {
    let window = Window {
        from: ago(30 * DAY),
        until: NOW,
    };
    movement(changes, &standing(), &frame(), window, ago(-30 * DAY))
}

#[test]
fn from_the_start_to_the_end() {
    use Why::{AttestationExpired, Other};
    let kpi = asked(&[
        // Up in two steps, told in the wrong order.
        change(5, "a", "security", (2, 3), Other),
        change(9, "a", "security", (1, 2), Other),
        // Down, down by an attestation, and down by one after having risen.
        change(5, "b", "security", (3, 1), Other),
        change(5, "c", "security", (3, 2), AttestationExpired),
        change(8, "d", "security", (3, 4), Other),
        change(5, "d", "security", (4, 2), AttestationExpired),
        // A fall back and its recovery.
        change(8, "e", "security", (3, 1), Other),
        change(5, "e", "security", (1, 3), Other),
        // Another topic, and before the period.
        change(5, "a", "culture", (0, 1), Other),
        change(31, "f", "security", (0, 1), Other),
    ]);
    let topics = &kpi.value().unwrap().topics;
    let moves = |topic: &str| topics[topic];
    let security = Moves {
        up: 1,
        down: 1,
        lapsed: 2,
        back: 1,
    };
    assert_eq!(moves("security"), security);
    assert_eq!(
        moves("culture"),
        Moves {
            up: 1,
            ..Moves::default()
        }
    );
    assert_eq!(topics.len(), 2);
}

#[test]
fn what_holds_at_the_end() {
    let kpi = asked(&[]);
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (8, 10));
    let value = &measured.value;
    assert!((value.automatic_share - 0.8).abs() < 1e-12);
    // 1, 2, 3 and 100 hours; what is dated in the future has no age.
    assert_eq!(value.median_evidence_age_seconds, Some(7_200));
    assert_eq!((value.exemptions_live, value.exemptions_expiring), (2, 1));
}

#[test]
fn nothing_is_met_yet() {
    let empty = Standing {
        core_met: 0,
        core_met_automatically: 0,
        ..standing()
    };
    let window = Window {
        from: ago(1),
        until: NOW,
    };
    assert!(movement(&[], &empty, &frame(), window, NOW).withheld().is_some());
}
