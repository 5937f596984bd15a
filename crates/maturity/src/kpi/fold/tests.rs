use super::bootstrap::{SplitMix, interval_from};
use super::*;
use crate::kpi::testing::{DAY, NOW, Story, ago, app, frame, place, proxy};
use time::Duration;
use time::macros::datetime;

/// So many feature versions of an application in each of the weeks before a moment, the earliest week first.
fn weekly(story: &mut Story, name: &str, end: OffsetDateTime, weeks: &[u64]) {
    let place = place(name, "one");
    let count = i64::try_from(weeks.len()).unwrap();
    for (week, versions) in (0_i64..).zip(weeks) {
        for version in 0..i64::try_from(*versions).unwrap() {
            let at = end - Duration::weeks(count - week) + Duration::hours(2 * version);
            let image = format!("{name} {at}");
            story.image(&image, &image, "base", &image);
            story.ready(at, &place, &image);
        }
    }
}

/// Forty weeks before.
const THEN: OffsetDateTime = datetime!(2026-02-23 00:00 UTC);

fn baseline(story: &Story) -> Baseline {
    let journal = story.journal();
    Baseline::freeze(&journal, &Ships::of(&journal), THEN, "before the move").unwrap()
}

fn of_app(story: &Story, name: &str) -> Kpi<Fold> {
    let journal = story.journal();
    fold_of_app(
        &journal,
        &Ships::of(&journal),
        &frame(),
        &baseline(story),
        &app(name),
    )
}

fn of_all(story: &Story) -> Kpi<FleetFold> {
    let journal = story.journal();
    fold_of_all(&journal, &Ships::of(&journal), &frame(), &baseline(story))
}

#[test]
fn six_times_by_the_median_week() {
    let mut story = Story::default();
    // Median 1; one very busy week does not matter.
    weekly(&mut story, "shop", THEN, &[1, 1, 0, 1, 2, 1, 1, 9, 1, 1, 0, 1]);
    // Median 6.
    weekly(&mut story, "shop", NOW, &[6, 6, 5, 7, 6, 6, 6, 6, 0, 6, 6, 8]);
    let kpi = of_app(&story, "shop");
    assert_eq!(kpi.value(), Some(&Fold::Times { fold: 6.0 }));
    assert!(kpi.caveats[0].contains("before the move"), "{:?}", kpi.caveats);
}

#[test]
fn too_few_and_from_none_are_no_numbers() {
    for (then, now, wanted) in [
        (&[1, 1, 1, 1, 1, 1, 1][..], &[1; 12][..], Fold::TooFew),
        (&[1; 12], &[1, 1, 1, 1, 1, 1, 1], Fold::TooFew),
        // A median of none, by four busy weeks.
        (&[0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2], &[1; 12], Fold::FromNone),
        (&[1; 12], &[1; 12], Fold::Times { fold: 1.0 }),
    ] {
        let mut story = Story::default();
        weekly(&mut story, "shop", THEN, then);
        weekly(&mut story, "shop", NOW, now);
        assert_eq!(of_app(&story, "shop").value(), Some(&wanted), "{then:?} {now:?}");
    }
    // Alive at the baseline and without any version.
    let mut story = Story::default();
    weekly(&mut story, "shop", ago(70 * 7 * DAY), &[1]);
    weekly(&mut story, "shop", NOW, &[1; 12]);
    assert_eq!(of_app(&story, "shop").value(), Some(&Fold::FromNone));
    assert!(of_app(&story, "office").withheld().is_some());
}

#[test]
fn the_sums_are_over_those_alive_in_both() {
    let mut story = Story::default();
    weekly(&mut story, "shop", THEN, &[1; 12]);
    weekly(&mut story, "shop", NOW, &[3; 12]);
    weekly(&mut story, "office", THEN, &[2; 12]);
    weekly(&mut story, "office", NOW, &[3; 12]);
    // New since: it would flatter.
    weekly(&mut story, "new", NOW, &[9; 12]);
    let kpi = of_all(&story);
    let value = kpi.value().unwrap();
    assert_eq!(value.fold, Fold::Times { fold: 2.0 });
    assert_eq!((value.apps, value.new_apps, value.gone_apps), (2, 1, 0));
    // Two applications are too few to draw from.
    assert_eq!(value.interval, None);
    assert!(kpi.caveats.iter().any(|caveat| caveat.contains("no interval")));
    let crate::kpi::Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (72, 36));
}

#[test]
fn rebases_do_not_move_the_fold() {
    let mut story = Story::default();
    weekly(&mut story, "shop", THEN, &[1; 12]);
    weekly(&mut story, "shop", NOW, &[1; 12]);
    let before = of_all(&story);
    let last = format!("shop {}", NOW - Duration::weeks(1));
    for hours in 1..80 {
        let image = format!("rebased {hours}");
        story.image(&image, &last, &image, &image);
        story.ready(ago(2 * hours), &place("shop", "one"), &image);
    }
    assert_eq!(of_all(&story), before);
}

#[test]
fn a_baseline_stays_what_it_was() {
    let mut story = Story::default();
    weekly(&mut story, "shop", THEN, &[1; 12]);
    let frozen = baseline(&story);
    let json = serde_json::to_string(&frozen).unwrap();
    assert_eq!(serde_json::from_str::<Baseline>(&json).unwrap(), frozen);
    assert_eq!(frozen.weeks.len(), 12);
    assert_eq!(frozen.apps[&app("shop")], [1; 12]);

    // Its events are gone, its counts are not.
    let mut story = Story::default();
    weekly(&mut story, "shop", NOW, &[2; 12]);
    let journal = story.journal();
    let kpi = fold_of_app(&journal, &Ships::of(&journal), &frame(), &frozen, &app("shop"));
    assert_eq!(kpi.value(), Some(&Fold::Times { fold: 2.0 }));
    // What was published is not compared to what was shipped.
    let journal = story.asked(&proxy());
    let kpi = fold_of_app(&journal, &Ships::of(&journal), &proxy(), &frozen, &app("shop"));
    assert!(kpi.withheld().unwrap().text().contains("same source"));
}

#[test]
fn a_baseline_needs_a_reason_and_an_end() {
    let journal = Story::default().journal();
    let freeze = |end, reason: &str| Baseline::freeze(&journal, &Ships::default(), end, reason).map(|_| ());
    assert_eq!(freeze(THEN, "  "), Err(BaselineError::Reason));
    assert_eq!(freeze(THEN, &"x".repeat(2_001)), Err(BaselineError::Reason));
    assert_eq!(freeze(NOW + Duration::DAY, "soon"), Err(BaselineError::NotOver));
    assert_eq!(freeze(NOW, "now"), Ok(()));
}

#[test]
fn windows_that_overlap_are_said_to() {
    let mut story = Story::default();
    weekly(&mut story, "shop", NOW, &[1; 24]);
    let journal = story.journal();
    let ships = Ships::of(&journal);
    let baseline = Baseline::freeze(&journal, &ships, ago(28 * DAY), "lately").unwrap();
    let kpi = fold_of_all(&journal, &ships, &frame(), &baseline);
    assert!(kpi.caveats.iter().any(|caveat| caveat.contains("overlap")));
}

#[test]
fn the_generator_is_the_published_one() {
    // The first numbers from 1234567, as the authors' reference code gives them.
    let mut random = SplitMix(1_234_567);
    let first: Vec<u64> = (0..3).map(|_| random.number()).collect();
    assert_eq!(
        first,
        [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423
        ]
    );
}

#[test]
fn an_interval_is_the_same_each_time() {
    let apps: Vec<(u64, u64)> = (1..=30).map(|n| (n, 2 * n + n % 3)).collect();
    let once = interval(&apps).unwrap();
    assert_eq!(interval(&apps), Some(once));
    assert_eq!(once.resamples, RESAMPLES);
    assert!(once.low > 1.9 && once.high.unwrap() < 2.3, "{once:?}");
}

#[test]
fn an_interval_is_never_infinite() {
    assert_eq!(interval(&[(1, 1); 9]), None);
    // The baseline is one application: many draws are without it.
    let mut apps = vec![(0, 3); 11];
    apps.push((20, 30));
    let interval = interval(&apps).unwrap();
    assert_eq!(interval.high, None);
    assert!(interval.low.is_finite());
}

/// A Poisson number (D. E. Knuth's method; the mean is small).
fn poisson(random: &mut SplitMix, mean: f64) -> u64 {
    let limit = (-mean).exp();
    let mut product = uniform(random);
    let mut count = 0;
    while product > limit {
        product *= uniform(random);
        count += 1;
    }
    count
}

fn uniform(random: &mut SplitMix) -> f64 {
    f64::from(u32::try_from(random.number() >> 32).unwrap()) / f64::from(u32::MAX)
}

/// Organisations of 60 applications that differ by a factor of twenty among themselves, and ship three times as often as they did.
/// The interval has to contain the truth about as often as it says.
#[test]
fn the_interval_contains_the_truth_as_often_as_it_says() {
    const ORGANISATIONS: u32 = 400;
    let mut random = SplitMix(7);
    let mut contained = 0;
    for organisation in 0..ORGANISATIONS {
        let apps: Vec<(u64, u64)> = (0..60)
            .map(|_| {
                let mean = 1.0 + 19.0 * uniform(&mut random);
                (poisson(&mut random, mean), poisson(&mut random, 3.0 * mean))
            })
            .collect();
        let interval = interval_from(&apps, 400, u64::from(organisation)).unwrap();
        let truth = 3.0;
        contained += u32::from(interval.low <= truth && interval.high.is_none_or(|high| truth <= high));
    }
    let share = f64::from(contained) / f64::from(ORGANISATIONS);
    assert!((0.92..=0.98).contains(&share), "{share}");
}
