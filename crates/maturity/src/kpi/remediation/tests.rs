use super::*;
use crate::kpi::Reading;
use crate::kpi::exposure::Clocks;
use crate::kpi::testing::{DAY, HOUR, ago, app, coverage, frame, group, place};

/// Affected 20 days ago in an application; fixed for its line after ten hours, and over after so many.
fn exposure(name: &str, over_after_hours: Option<i64>) -> Exposure {
    let hours = |hours: i64| ago(20 * DAY - hours);
    Exposure {
        place: place(name, "one"),
        group: group("CVE-1"),
        severity: Severity::Critical,
        ordinal: 0,
        start: hours(0),
        clocks: Clocks {
            advisory: hours(0),
            fix: Some(hours(10)),
            matched: hours(1),
            notified: Some(hours(3)),
            pushed: over_after_hours.map(|over| hours(over - 2)),
            patched: over_after_hours.map(|over| hours(over - 1)),
            gone: over_after_hours.map(hours),
            confirmed: None,
        },
    }
}

fn frozen(list: &[(&str, Cohort)]) -> Cohorts {
    let frozen = |cohort| Frozen {
        cohort,
        ring: None,
        tier: Some(1),
        language: None,
    };
    list.iter()
        .map(|(name, cohort)| ((group("CVE-1"), app(name)), frozen(*cohort)))
        .collect()
}

fn asked(exposures: &[Exposure], cohorts: &Cohorts) -> Kpi<Remediation> {
    let policy = Policy::from([(Severity::Critical, Duration::hours(24))]);
    time_to_remediate(exposures, &frame(), cohorts, &policy)
}

/// Paved: 12, 20, 30 hours and one open. Own road: 100 hours and two open.
fn seven() -> (Vec<Exposure>, Cohorts) {
    let paved = [("a", Some(12)), ("b", Some(20)), ("c", Some(30)), ("d", None)];
    let own = [("e", Some(100)), ("f", None), ("g", None)];
    let exposures = paved.iter().chain(&own).map(|(name, over)| exposure(name, *over));
    let cohorts = paved.map(|(name, _)| (name, Cohort::Paved)).into_iter();
    let cohorts = cohorts.chain(own.map(|(name, _)| (name, Cohort::OwnRoad)));
    (exposures.collect(), frozen(&cohorts.collect::<Vec<_>>()))
}

#[test]
fn by_severity_and_frozen_cohort() {
    let (exposures, cohorts) = seven();
    let kpi = asked(&exposures, &cohorts);
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (4, 7));
    let [paved, own] = measured.value.cohorts.as_slice() else {
        panic!("{kpi:?}")
    };
    assert_eq!((paved.by, own.by), (Cohort::Paved, Cohort::OwnRoad));
    let estimate = |closed, open, median: Option<u64>, p90: Option<u64>| Estimate {
        closed,
        open,
        median_seconds: median.map(|hours| hours * HOUR),
        p90_seconds: p90.map(|hours| hours * HOUR),
    };
    // Survival 3/4, 1/2, 1/4; the plain mean of closed ones would be 21 hours.
    assert_eq!(paved.figures.total, estimate(3, 1, Some(20), None));
    // Ten hours of it there was no fix.
    assert_eq!(paved.figures.fair, estimate(3, 1, Some(10), None));
    assert_eq!(own.figures.total, estimate(1, 2, None, None));
    assert!(kpi.caveats.iter().any(|caveat| caveat.contains("simpler ones")));
    // All are in tier 1.
    assert_eq!(measured.value.tiers.len(), 1);
    assert_eq!(measured.value.tiers[0].figures.total.closed, 4);
}

#[test]
fn shares_after_fixed_times() {
    let (exposures, cohorts) = seven();
    let kpi = asked(&exposures, &cohorts);
    let shares = |which: usize| -> Vec<Option<f64>> {
        let figures = &kpi.value().unwrap().cohorts[which].figures;
        figures.shares.iter().map(|share| share.share).collect()
    };
    // 30 minutes, 24 and 72 hours, 7 and 10 days; nobody has been watched for 30.
    assert_eq!(
        shares(0),
        [Some(0.0), Some(0.5), Some(0.75), Some(0.75), Some(0.75), None]
    );
    let third = shares(1)[3].unwrap();
    assert!((third - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn within_policy() {
    let (exposures, cohorts) = seven();
    let kpi = asked(&exposures, &cohorts);
    let sla = kpi.value().unwrap().cohorts[0].figures.sla;
    // Open since 20 days is late as well.
    assert_eq!(
        (sla.within, sla.late, sla.pending, sla.share),
        (2, 2, 0, Some(0.5))
    );

    let mut young = exposure("a", None);
    young.start = ago(23);
    let sla = asked(&[young], &Cohorts::new()).value().unwrap().cohorts[0]
        .figures
        .sla;
    assert_eq!((sla.pending, sla.share), (1, None));
}

#[test]
fn the_parts_of_the_way() {
    let (exposures, cohorts) = seven();
    let kpi = asked(&exposures, &cohorts);
    let steps = kpi.value().unwrap().cohorts[0].figures.steps;
    let hours = |spread: Option<Spread>| spread.map(|spread| (spread.n, spread.median_seconds / HOUR));
    assert_eq!(hours(steps.detect), Some((4, 1)));
    assert_eq!(hours(steps.tell), Some((4, 2)));
    // 10, 18, 28 hours, of which ten were without a fix.
    assert_eq!(hours(steps.patch), Some((3, 8)));
    assert_eq!(hours(steps.roll), Some((3, 2)));
}

#[test]
fn without_a_fix_the_fair_clock_has_not_begun() {
    let mut one = exposure("a", None);
    one.clocks.fix = None;
    let kpi = asked(&[one], &Cohorts::new());
    let group = &kpi.value().unwrap().cohorts[0];
    assert_eq!(group.by, Cohort::Unknown);
    assert_eq!(
        (group.figures.without_fix, group.figures.fair),
        (1, Estimate::default())
    );
    assert_eq!(group.figures.total.open, 1);
}

#[test]
fn what_came_later_was_not_detected_late() {
    let mut one = exposure("a", Some(30));
    one.start = ago(10 * DAY);
    one.clocks.gone = Some(ago(9 * DAY));
    let kpi = asked(&[one], &Cohorts::new());
    assert_eq!(kpi.value().unwrap().cohorts[0].figures.steps.detect, None);
}

#[test]
fn with_seventy_percent_known_nothing_is_said() {
    let (exposures, cohorts) = seven();
    let frame = Frame {
        coverage: coverage(70, 100),
        ..frame()
    };
    let kpi = time_to_remediate(&exposures, &frame, &cohorts, &Policy::new());
    assert!(kpi.withheld().unwrap().text().contains("70 of 100"));
    assert!(asked(&[], &cohorts).withheld().is_some());
}

/// The story of the two roads, replayed: those on the approved toolkit were done in 30 minutes, the others took 10 days.
#[test]
fn thirty_minutes_against_ten_days() {
    let start = ago(20 * DAY);
    let done = |name: &str, after: Duration| {
        let mut one = exposure(name, Some(3));
        one.clocks.gone = Some(start + after);
        one.clocks.fix = Some(start);
        one
    };
    let paved: Vec<String> = (0..20).map(|n| format!("paved-{n}")).collect();
    let own: Vec<String> = (0..20).map(|n| format!("own-{n}")).collect();
    let mut exposures: Vec<Exposure> = paved
        .iter()
        .map(|name| done(name, Duration::minutes(30)))
        .collect();
    exposures.extend(own.iter().map(|name| done(name, Duration::days(10))));
    let cohorts = paved.iter().map(|name| (name.as_str(), Cohort::Paved));
    let cohorts = cohorts.chain(own.iter().map(|name| (name.as_str(), Cohort::OwnRoad)));
    let kpi = asked(&exposures, &frozen(&cohorts.collect::<Vec<_>>()));
    let [paved, own] = kpi.value().unwrap().cohorts.as_slice() else {
        panic!("{kpi:?}")
    };
    assert_eq!(paved.figures.total.median_seconds, Some(30 * 60));
    assert_eq!(own.figures.total.median_seconds, Some(10 * 24 * HOUR));
    assert_eq!(paved.figures.shares[0].share, Some(1.0));
    assert_eq!(own.figures.shares[3].share, Some(0.0));
    assert_eq!(own.figures.shares[4].share, Some(1.0));
}

#[test]
fn a_fix_from_before_changes_nothing() {
    let mut one = exposure("a", Some(30));
    one.clocks.fix = Some(ago(30 * DAY));
    let kpi = asked(&[one], &Cohorts::new());
    let figures = &kpi.value().unwrap().cohorts[0].figures;
    assert_eq!(figures.fair.median_seconds, Some(30 * HOUR));
    assert_eq!(figures.fair, figures.total);
}
