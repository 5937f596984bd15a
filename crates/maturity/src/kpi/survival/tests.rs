use super::*;
use proptest::prelude::*;

fn observations(over: &[u64], longer: &[u64]) -> Vec<Observation> {
    let one = |is_over| {
        move |seconds: &u64| Observation {
            seconds: *seconds,
            is_over,
        }
    };
    over.iter()
        .map(one(true))
        .chain(longer.iter().map(one(false)))
        .collect()
}

/// Each step as R's `summary(survfit(...))` prints it: time, n.risk, n.event, survival.
fn assert_is_r(curve: &Curve, steps: &[(u64, u64, u64, f64)], precision: f64) {
    assert_eq!(curve.steps.len(), steps.len());
    for (step, (time, at_risk, ended, survival)) in curve.steps.iter().zip(steps) {
        assert_eq!(
            (step.seconds, step.at_risk, step.ended),
            (*time, *at_risk, *ended)
        );
        assert!((step.surviving - survival).abs() <= precision, "{step:?}");
    }
}

/// The `aml` data of R's survival package (R. G. Miller: "Survival Analysis", 1997), those with maintenance chemotherapy.
/// `survfit(Surv(time, status) ~ x, data = aml)`: median 31.
#[test]
fn aml_maintained_as_in_r() {
    let curve = Curve::of(observations(&[9, 13, 18, 23, 31, 34, 48], &[13, 28, 45, 161]));
    let r = [
        (9, 11, 1, 0.909),
        (13, 10, 1, 0.818),
        (18, 8, 1, 0.716),
        (23, 7, 1, 0.614),
        (31, 5, 1, 0.491),
        (34, 4, 1, 0.368),
        (48, 2, 1, 0.184),
    ];
    assert_is_r(&curve, &r, 0.000_5);
    assert_eq!(curve.ended_by(0.5), Some(31));
    // R: NA.
    assert_eq!(curve.ended_by(0.9), None);
}

/// Those without: median 23.
#[test]
fn aml_nonmaintained_as_in_r() {
    let curve = Curve::of(observations(&[5, 5, 8, 8, 12, 23, 27, 30, 33, 43, 45], &[16]));
    let r = [
        (5, 12, 2, 0.833_3),
        (8, 10, 2, 0.666_7),
        (12, 8, 1, 0.583_3),
        (23, 6, 1, 0.486_1),
        (27, 5, 1, 0.388_9),
        (30, 4, 1, 0.291_7),
        (33, 3, 1, 0.194_4),
        (43, 2, 1, 0.097_2),
        (45, 1, 1, 0.0),
    ];
    assert_is_r(&curve, &r, 0.000_05);
    assert_eq!(curve.ended_by(0.5), Some(23));
}

/// Remission under 6-MP (E. J. Freireich and others, 1963; `gehan` of R's MASS): median 23.
#[test]
fn remission_as_in_every_textbook() {
    let over = [6, 6, 6, 7, 10, 13, 16, 22, 23];
    let longer = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
    let curve = Curve::of(observations(&over, &longer));
    let r = [
        (6, 21, 3, 0.857),
        (7, 17, 1, 0.807),
        (10, 15, 1, 0.753),
        (13, 12, 1, 0.690),
        (16, 11, 1, 0.627),
        (22, 7, 1, 0.538),
        (23, 6, 1, 0.448),
    ];
    assert_is_r(&curve, &r, 0.000_5);
    assert_eq!(curve.ended_by(0.5), Some(23));
    // The control group, all of which ended: median 8.
    let control = [
        1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23,
    ];
    let curve = Curve::of(observations(&control, &[]));
    assert_eq!((curve.ended_by(0.5), curve.ended_by(0.9)), (Some(8), Some(17)));
}

#[test]
fn shares_are_only_known_while_somebody_is_watched() {
    let curve = Curve::of(observations(&[10, 20], &[30, 40]));
    let shares: Vec<_> = [0, 10, 25, 40, 41]
        .map(|seconds| curve.share_ended(seconds))
        .to_vec();
    assert_eq!(shares, [Some(0.0), Some(0.25), Some(0.5), Some(0.5), None]);
    // All have ended: it stays so.
    let curve = Curve::of(observations(&[10], &[]));
    assert_eq!(curve.share_ended(1_000), Some(1.0));
    assert_eq!(Curve::of([]).share_ended(0), None);
    assert_eq!(Curve::of([]).ended_by(0.5), None);
}

fn any_observations() -> impl Strategy<Value = Vec<Observation>> {
    let one = (0_u64..60, any::<bool>()).prop_map(|(seconds, is_over)| Observation { seconds, is_over });
    prop::collection::vec(one, 0..60)
}

proptest! {
    #[test]
    fn it_only_falls(list in any_observations()) {
        let curve = Curve::of(list);
        let mut before = 1.0;
        for step in &curve.steps {
            prop_assert!(step.surviving <= before && step.surviving >= 0.0);
            prop_assert!(step.ended >= 1 && step.ended <= step.at_risk);
            before = step.surviving;
        }
        let times: Vec<u64> = curve.steps.iter().map(|step| step.seconds).collect();
        prop_assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_order_does_not_matter(list in any_observations(), by in any::<u64>()) {
        let mut other = list.clone();
        other.sort_by_key(|one| (one.seconds ^ by).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        prop_assert_eq!(Curve::of(list), Curve::of(other));
    }

    #[test]
    fn when_all_have_ended_it_is_the_plain_distribution(times in prop::collection::vec(0_u64..60, 1..60), at in 0_u64..60) {
        let curve = Curve::of(observations(&times, &[]));
        let all = count(&times);
        let done = times.iter().filter(|time| **time <= at).count();
        let plain = exact(u64::try_from(done).unwrap()) / exact(all);
        let share = if at <= *times.iter().max().unwrap() { curve.share_ended(at) } else { Some(1.0) };
        prop_assert!((share.unwrap() - plain).abs() < 1e-9);
        let mut sorted = times.clone();
        sorted.sort_unstable();
        prop_assert_eq!(curve.ended_by(0.5), Some(sorted[sorted.len().div_ceil(2) - 1]));
    }

    #[test]
    fn leaving_one_open_never_flatters(times in prop::collection::vec(0_u64..60, 1..60), which in any::<prop::sample::Index>()) {
        let all = observations(&times, &[]);
        let before = Curve::of(all.clone()).ended_by(0.5);
        let mut one_open = all;
        let which = which.index(one_open.len());
        one_open[which].is_over = false;
        let after = Curve::of(one_open).ended_by(0.5);
        prop_assert!(after.is_none() || after >= before);
    }
}
