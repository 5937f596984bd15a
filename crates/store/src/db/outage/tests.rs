use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[test]
fn the_first_failure_opens_it_and_only_a_try_closes_it() {
    let start = Instant::now();
    let mut breaker = Breaker::new(PATIENCE, start);
    assert!(breaker.failed(AwayReason::Locked, at(start, 1)));
    assert!(!breaker.failed(AwayReason::Locked, at(start, 2)), "no news");
    assert_eq!(
        breaker.answered(at(start, 3)),
        None,
        "another connection's answer"
    );
    assert!(breaker.outage.is_some());
    assert_eq!(breaker.recovered(at(start, 5)), Some(Duration::from_secs(4)));
    assert_eq!(breaker.outage, None);
    assert_eq!(breaker.recovered(at(start, 6)), None);
}

#[test]
fn the_newest_reason_counts_since_the_beginning() {
    let start = Instant::now();
    let mut breaker = Breaker::new(PATIENCE, start);
    breaker.failed(AwayReason::Locked, at(start, 1));
    breaker.failed(AwayReason::Missing, at(start, 4));
    breaker.failed(AwayReason::Slow, at(start, 5));
    let outage = breaker.outage.unwrap();
    assert_eq!((outage.since, outage.reason), (at(start, 1), AwayReason::Missing));
}

#[test]
fn being_late_is_an_outage_only_where_nothing_is_answered() {
    let start = Instant::now();
    let mut breaker = Breaker::new(PATIENCE, start);
    assert_eq!(breaker.answered(at(start, 15)), None);
    assert!(
        !breaker.failed(AwayReason::Slow, at(start, 20)),
        "others are answered"
    );
    assert!(breaker.failed(AwayReason::Slow, at(start, 25)));
    assert_eq!(breaker.answered(at(start, 27)), Some(Duration::from_secs(2)));
    assert_eq!(breaker.outage, None);
}
