use super::super::compare::{Aspect, Better, Comparison, Quarter, Standing};
use super::{exported, on_levels, times};
use crate::anonymous::{Document, Group, Key, Measured, Quotient, compare};
use crate::kpi::{Cohort, KpiId, Source};

/// So many of twenty applications on level 2, the others on level 1; remediated after so many hours.
fn organisation(on_two: usize, hours: u64) -> Document {
    let measured = [
        Measured::Times {
            kpi: KpiId::TimeToRemediate,
            groups: vec![times(Cohort::Paved, 0..20, hours)],
        },
        Measured::Quotients {
            kpi: KpiId::ChangeFailureRate,
            groups: vec![Group {
                key: Key::default(),
                apps: times(Cohort::Paved, 0..20, 1).apps,
                data: Quotient {
                    numerator: hours,
                    denominator: 1_000,
                },
            }],
        },
    ];
    exported(&on_levels(&[0, 20 - on_two, on_two]), &measured, false).unwrap()
}

fn eight() -> Vec<Document> {
    (5..13)
        .zip(1..)
        .map(|(on_two, tens)| organisation(on_two, 10 * tens))
        .collect()
}

fn at_level(comparison: &Comparison, level: u8) -> Standing {
    let place = comparison.topics.iter().find(|place| place.level == level);
    place.unwrap().per_mille
}

#[test]
fn among_eight_others() {
    let comparison = compare(&organisation(15, 35), &eight());
    assert_eq!(
        (comparison.others, comparison.repeated, comparison.other_source),
        (8, 0, 0)
    );
    // Of the others 5 to 12 of 20 are on level 2.
    let placed = Standing::Placed {
        own: 750,
        lower_quartile: 300,
        median: 400,
        upper_quartile: 500,
        quarter: Quarter::Highest,
        others: 8,
    };
    assert_eq!(at_level(&comparison, 2), placed);
    let of = |kpi: KpiId, aspect: Aspect| {
        let mut figures = comparison.figures.iter();
        let figure = figures
            .find(|figure| figure.kpi == kpi && figure.aspect == aspect)
            .unwrap();
        (figure.better, figure.value)
    };
    // 10 to 80 hours; two digits of seconds are left.
    let (better, value) = of(KpiId::TimeToRemediate, Aspect::Median);
    assert_eq!(better, Better::Lower);
    let Standing::Placed {
        own, median, quarter, ..
    } = value
    else {
        panic!("{value:?}")
    };
    assert_eq!((own, median, quarter), (130_000, 140_000, Quarter::Second));
    let (better, value) = of(KpiId::ChangeFailureRate, Aspect::Share);
    assert_eq!(better, Better::Lower);
    assert!(matches!(
        value,
        Standing::Placed {
            own: 35,
            median: 40,
            ..
        }
    ));
}

#[test]
fn at_a_quartile_it_is_the_lower_quarter() {
    use Quarter::{Highest, Lowest, Second, Third};
    let quarter = |on_two| match at_level(&compare(&organisation(on_two, 99), &eight()), 2) {
        Standing::Placed { quarter, .. } => quarter,
        few @ Standing::TooFew { .. } => panic!("{few:?}"),
    };
    let quarters: Vec<Quarter> = [5, 6, 7, 8, 9, 10, 11].map(quarter).to_vec();
    assert_eq!(quarters, [Lowest, Lowest, Second, Second, Third, Third, Highest]);
}

#[test]
fn among_four_nobody_is_placed() {
    let comparison = compare(&organisation(15, 35), &eight()[..4]);
    let few = Standing::TooFew { own: 750, others: 4 };
    assert_eq!(at_level(&comparison, 2), few);
}

#[test]
fn repeated_documents_and_other_sources_do_not_count() {
    let own = organisation(15, 35);
    let mut others = eight();
    others.extend(eight());
    others.push(own.clone());
    let mut proxy = organisation(7, 7);
    proxy.source = Source::RegistryProxy;
    others.push(proxy);
    let comparison = compare(&own, &others);
    assert_eq!(
        (comparison.others, comparison.repeated, comparison.other_source),
        (8, 9, 1)
    );
}

#[test]
fn what_merging_hides_is_not_compared() {
    // Level 2 is merged with level 1.
    let own = exported(&on_levels(&[0, 18, 2]), &[], false).unwrap();
    let comparison = compare(&own, &eight());
    assert!(comparison.topics.iter().all(|place| place.level != 2));
    let own = organisation(15, 35);
    let hidden = vec![exported(&on_levels(&[0, 18, 2]), &[], false).unwrap()];
    let Standing::TooFew { others, .. } = at_level(&compare(&own, &hidden), 2) else {
        panic!("one other is too few")
    };
    assert_eq!(others, 0);
}
