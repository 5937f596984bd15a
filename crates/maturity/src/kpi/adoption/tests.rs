use super::*;
use crate::kpi::Reading;
use crate::kpi::testing::{DAY, HOUR, NOW, ago, app, coverage, frame};

fn approved(superseded_days: Option<i64>) -> Image {
    Image {
        base: Base::Approved {
            supported: true,
            superseded_at: superseded_days.map(|days| ago(days * DAY)),
        },
        approved_toolchain: Some(true),
        automatic_updates: Some(true),
        replica_hours: 10,
    }
}

fn application(name: &str, images: &[Image]) -> Application {
    Application {
        app: app(name),
        images: images.to_vec(),
        exempt_until: None,
    }
}

#[test]
fn where_an_image_stands() {
    let unsupported = Image {
        base: Base::Approved {
            supported: false,
            superseded_at: None,
        },
        ..approved(None)
    };
    let with = |approved_toolchain, automatic_updates| Image {
        approved_toolchain,
        automatic_updates,
        ..approved(None)
    };
    let on = |base| Image {
        base,
        ..approved(None)
    };
    for (image, cohort) in [
        (approved(None), Cohort::Paved),
        // At the limit itself it is not yet stale.
        (approved(Some(30)), Cohort::Paved),
        (approved(Some(31)), Cohort::Stale),
        (unsupported, Cohort::Stale),
        (with(Some(false), Some(true)), Cohort::OwnRoad),
        (with(Some(true), Some(false)), Cohort::OwnRoad),
        (with(None, Some(true)), Cohort::Unknown),
        (with(Some(true), None), Cohort::Unknown),
        (with(None, Some(false)), Cohort::OwnRoad),
        (on(Base::Unknown), Cohort::Unknown),
        (on(Base::NotApproved), Cohort::OwnRoad),
    ] {
        assert_eq!(cohort_of_image(&image, STALE_AFTER, NOW), cohort, "{image:?}");
    }
}

#[test]
fn the_worst_image_decides() {
    let not_approved = Image {
        base: Base::NotApproved,
        ..approved(None)
    };
    let of = |images: &[Image], exempt_until| {
        let application = Application {
            exempt_until,
            ..application("a", images)
        };
        cohort_of_application(&application, STALE_AFTER, NOW)
    };
    assert_eq!(of(&[approved(None), approved(Some(40))], None), Cohort::Stale);
    assert_eq!(of(&[approved(Some(40)), not_approved], None), Cohort::OwnRoad);
    assert_eq!(of(&[], None), Cohort::Unknown);
    // Exempt until the moment itself, not included; and it hides no pavement.
    assert_eq!(of(&[not_approved], Some(ago(-1))), Cohort::Exempt);
    assert_eq!(of(&[not_approved], Some(NOW)), Cohort::OwnRoad);
    assert_eq!(of(&[approved(None)], Some(ago(-1))), Cohort::Paved);
}

#[test]
fn unknown_is_a_band_and_in_the_denominator() {
    let busy = Image {
        replica_hours: 60,
        ..approved(None)
    };
    let applications = [
        application("a", &[busy]),
        application("b", &[approved(None), approved(None)]),
        application("c", &[approved(Some(40))]),
        application(
            "d",
            &[Image {
                base: Base::Unknown,
                ..approved(None)
            }],
        ),
    ];
    let kpi = adoption(&applications, &[], &frame(), STALE_AFTER);
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (2, 4));
    let value = &measured.value;
    assert!((value.share - 0.5).abs() < 1e-12);
    // 80 of 100 hours.
    assert!((value.weighted_share.unwrap() - 0.8).abs() < 1e-12);
    let bands: Vec<_> = value
        .bands
        .iter()
        .map(|(cohort, band)| (*cohort, band.apps))
        .collect();
    assert_eq!(
        bands,
        [
            (Cohort::Paved, 2),
            (Cohort::Stale, 1),
            (Cohort::Exempt, 0),
            (Cohort::OwnRoad, 0),
            (Cohort::Unknown, 1)
        ]
    );
    assert!(kpi.caveats[0].contains("1 applications are unknown"));
}

#[test]
fn chosen_or_told_to() {
    let new = |on_the_road, mandated| NewApplication {
        on_the_road,
        mandated,
        opted_out: false,
        from_template_at: Some(ago(30)),
        first_production_at: Some(ago(20)),
    };
    let left = NewApplication {
        opted_out: true,
        first_production_at: None,
        ..new(false, Some(false))
    };
    let list = [
        new(true, Some(false)),
        new(true, Some(true)),
        new(true, None),
        left,
    ];
    let kpi = adoption(
        &[application("a", &[approved(None)])],
        &list,
        &frame(),
        STALE_AFTER,
    );
    let pull = kpi.value().unwrap().pull;
    assert_eq!((pull.new_apps, pull.chose, pull.opt_outs), (3, 1, 1));
    let times = pull.template_to_production.unwrap();
    assert_eq!((times.n, times.median_seconds), (3, 10 * HOUR));
}

#[test]
fn nothing_and_too_little_are_said() {
    assert!(adoption(&[], &[], &frame(), STALE_AFTER).withheld().is_some());
    let frame = Frame {
        coverage: coverage(7, 10),
        ..frame()
    };
    let applications = [application("a", &[approved(None)])];
    assert!(
        adoption(&applications, &[], &frame, STALE_AFTER)
            .withheld()
            .is_some()
    );
}
