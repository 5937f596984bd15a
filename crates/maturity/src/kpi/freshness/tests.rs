use super::*;
use crate::kpi::Reading;
use crate::kpi::testing::{DAY, NOW, ago, digest, frame};
use time::macros::date;

fn missing(severity: Severity, days: i64) -> Unapplied {
    Unapplied {
        severity,
        released_at: ago(days * DAY),
    }
}

fn graded(list: &[(Severity, i64)]) -> Graded {
    let list: Vec<_> = list
        .iter()
        .map(|(severity, days)| missing(*severity, *days))
        .collect();
    grade(&list, NOW)
}

fn drop_in(days: i64) -> OffsetDateTime {
    NOW + Duration::days(days) + Duration::MICROSECOND
}

#[test]
fn grades_and_their_next_drop() {
    use Severity::{Critical, High, Medium};
    for (list, grade, next_drop) in [
        (&[][..], Grade::A, None),
        (&[(Medium, 900)], Grade::A, None),
        (&[(Critical, 0)], Grade::B, Some(drop_in(7))),
        // At the limit itself it holds.
        (&[(Critical, 7)], Grade::B, Some(drop_in(0))),
        (&[(Critical, 8)], Grade::C, Some(drop_in(22))),
        (&[(High, 30)], Grade::B, Some(drop_in(0))),
        (&[(High, 31)], Grade::C, Some(drop_in(59))),
        // What drops first decides.
        (&[(Critical, 5), (High, 29)], Grade::B, Some(drop_in(1))),
        (&[(Critical, 31)], Grade::D, Some(drop_in(59))),
        (&[(High, 91)], Grade::D, Some(drop_in(274))),
        (&[(Critical, 91)], Grade::E, Some(drop_in(274))),
        (&[(High, 366)], Grade::E, None),
        (&[(Critical, 366)], Grade::F, None),
        // The oldest counts.
        (
            &[(Critical, 1), (Critical, 40), (High, 1)],
            Grade::D,
            Some(drop_in(50)),
        ),
        // Not released yet.
        (&[(Critical, -1)], Grade::A, None),
    ] {
        assert_eq!(graded(list), Graded { grade, next_drop }, "{list:?}");
    }
}

#[test]
fn it_drops_exactly_when_it_says() {
    let list = [missing(Severity::Critical, 3), missing(Severity::High, 12)];
    let mut now = NOW;
    let mut seen = vec![grade(&list, now).grade];
    while let Some(next) = grade(&list, now).next_drop {
        assert_eq!(
            grade(&list, next - Duration::MICROSECOND).grade,
            grade(&list, now).grade
        );
        assert!(grade(&list, next).grade > grade(&list, now).grade);
        now = next;
        seen.push(grade(&list, now).grade);
    }
    assert_eq!(seen, [Grade::B, Grade::C, Grade::D, Grade::E, Grade::F]);
}

fn running(name: &str, newer_days: Option<i64>, end_of_life: Option<Date>) -> Running {
    Running {
        digest: digest(name),
        line: Some(BaseLine {
            first_newer_at: newer_days.map(|days| ago(days * DAY)),
            end_of_life,
        }),
        unapplied: Vec::new(),
    }
}

#[test]
fn the_fleet_by_hand() {
    let mut list = vec![
        running("newest", None, Some(date!(2026 - 12 - 31))),
        running("week", Some(7), Some(date!(2027 - 06 - 30))),
        running("month", Some(30), Some(date!(2026 - 11 - 30))),
        running("quarter", Some(90), None),
        running("old", Some(91), Some(date!(2020 - 01 - 01))),
    ];
    list[4].unapplied = vec![missing(Severity::Critical, 40)];
    // The same digest twice, and one of which nothing is known.
    list.push(running("old", Some(91), Some(date!(2020 - 01 - 01))));
    list[5].unapplied = vec![missing(Severity::Critical, 40)];
    list.push(Running {
        digest: digest("who"),
        line: None,
        unapplied: Vec::new(),
    });
    let kpi = freshness(&list, &frame());
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (3, 5));
    let value = &measured.value;
    assert_eq!((value.known, value.unknown), (5, 1));
    let behind: Vec<_> = value
        .behind
        .iter()
        .map(|(days, share)| (*days, (share * 10.0).round()))
        .collect();
    assert!(
        behind
            .iter()
            .zip([(7, 4.0), (30, 6.0), (90, 8.0)])
            .all(|((day, share), (wanted, tenths))| { *day == wanted && (share - tenths).abs() < 1e-9 })
    );
    // Ended before today, and today.
    assert!((value.end_of_life - 0.4).abs() < 1e-12);
    assert_eq!(value.days_to_next_end, Some(31));
    assert_eq!(value.grades, BTreeMap::from([(Grade::A, 5), (Grade::D, 1)]));
    assert_eq!(value.next_drop, Some(drop_in(50)));
    assert!(kpi.caveats[0].contains("1 digests"));
}

#[test]
fn how_far_behind() {
    assert_eq!(staleness(&running("a", None, None), NOW), Some(Duration::ZERO));
    assert_eq!(
        staleness(&running("a", Some(3), None), NOW),
        Some(Duration::days(3))
    );
    // A release that is dated tomorrow.
    assert_eq!(
        staleness(&running("a", Some(-1), None), NOW),
        Some(Duration::ZERO)
    );
    let unknown = Running {
        line: None,
        ..running("a", None, None)
    };
    assert_eq!(staleness(&unknown, NOW), None);
    assert!(
        freshness(&[unknown], &frame())
            .withheld()
            .unwrap()
            .text()
            .contains("approve bases")
    );
}
