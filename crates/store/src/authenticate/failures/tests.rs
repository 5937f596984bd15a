use super::*;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const NOW: Timestamp = Timestamp(0);

fn failures(free: u32, longest: u64) -> Failures {
    let limits = StoreLimits {
        login_failures: free,
        login_backoff: Duration::from_secs(longest),
        ..StoreLimits::default()
    };
    Failures::new(&limits)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

#[test]
fn the_wait_doubles_up_to_its_cap() {
    let failures = failures(2, 5);
    let (mut now, mut waits) = (NOW, Vec::new());
    for _ in 0..6 {
        let wait = failures.wait("ann", FROM, now).unwrap_or_default();
        waits.push(wait.as_secs());
        now = now.plus(wait);
        failures.begin("ann", FROM, now).unwrap();
    }
    assert_eq!(waits, [0, 0, 1, 2, 4, 5]);
    let later = now.plus(Duration::from_micros(5_000_001));
    assert_eq!(failures.wait("ann", FROM, later), None, "time passes");
    assert_eq!(failures.wait("bob", FROM, now), None, "others are not concerned");
    assert_eq!(failures.wait("ann", IpAddr::from([192, 0, 2, 2]), now), None);
    let attempt = failures.begin("ann", FROM, later).unwrap();
    failures.succeeded(&attempt);
    assert_eq!(failures.wait("ann", FROM, later), None);
}

#[test]
fn what_is_under_way_is_counted_and_taken_back() {
    let failures = failures(2, 60);
    let attempts = [(); 2].map(|()| failures.begin("ann", FROM, NOW).unwrap());
    assert_eq!(
        failures.begin("ann", FROM, NOW).unwrap_err(),
        Duration::from_secs(1)
    );
    failures.take_back(&attempts[0]);
    failures.begin("ann", FROM, NOW).unwrap();
    assert!(failures.wait("ann", FROM, NOW).is_some());
}

#[test]
fn a_name_that_signed_in_lately_waits_less() {
    let failures = failures(1, 60);
    failures.welcome("ann", FROM, NOW);
    for second in 0..50 {
        failures.begin("ann", FROM, at(2 * second)).unwrap();
    }
    let wait = failures.wait("ann", FROM, at(98)).unwrap();
    assert_eq!(wait, KNOWN_BACKOFF);
    let elsewhere = IpAddr::from([192, 0, 2, 2]);
    let later = NOW.plus(LATELY);
    for from in [FROM, elsewhere] {
        let attempt = failures.begin("ann", from, later).unwrap();
        assert!(!attempt.is_known(), "not for ever, and not everywhere");
    }
}

#[test]
fn an_address_with_many_names_waits() {
    let failures = failures(5, 60);
    failures.welcome("ann", FROM, NOW);
    let mut last = None;
    for number in 0..ADDRESS_FAILURES {
        last = Some(failures.begin(&number.to_string(), FROM, NOW).unwrap());
    }
    let second = Duration::from_secs(1);
    assert_eq!(failures.begin("more", FROM, NOW).unwrap_err(), second);
    assert_eq!(failures.wait("more", FROM, NOW), Some(second));
    assert_eq!(
        failures.pairs.get(&pair("more", FROM)).map(|record| record.count),
        None,
        "what had to wait is not counted"
    );
    assert!(failures.begin("ann", FROM, NOW).unwrap().is_known());
    failures.begin("more", IpAddr::from([192, 0, 2, 2]), NOW).unwrap();

    failures.begin("one a second", FROM, at(1)).unwrap();
    assert!(failures.begin("and no more", FROM, at(1)).is_err());
    failures.take_back(&last.unwrap());
    failures.begin("instead", FROM, at(1)).unwrap();
}

#[test]
fn a_network_of_ipv6_addresses_is_one_address() {
    let failures = failures(1, 60);
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    failures.begin("ann", address("2001:db8::1"), NOW).unwrap();
    assert!(failures.wait("ann", address("2001:db8::ffff"), NOW).is_some());
    assert!(failures.wait("ann", address("2001:db8:0:1::1"), NOW).is_none());
}

#[test]
fn remembered_failures_are_bounded() {
    let limits = StoreLimits {
        login_failure_entries: 5,
        ..StoreLimits::default()
    };
    let failures = Failures::new(&limits);
    for number in 0..100 {
        let from = IpAddr::from([192, 0, 2, number]);
        failures.welcome("ann", from, NOW);
        failures.begin(&number.to_string(), from, NOW).unwrap();
    }
    failures.pairs.run_pending_tasks();
    failures.recent.run_pending_tasks();
    failures.addresses.run_pending_tasks();
    assert!(failures.pairs.entry_count() <= 5);
    assert!(failures.recent.entry_count() <= 5);
    assert!(failures.addresses.entry_count() <= 5);
    let last = failures.pairs.get(&pair("99", IpAddr::from([192, 0, 2, 99])));
    assert!(last.is_some(), "the newest is remembered");
}
