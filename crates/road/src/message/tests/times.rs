//! Quiet hours and digests.

use super::*;
use proptest::prelude::*;
use time::macros::datetime;

/// Ten at night to seven, and the weekend, one hour ahead of UTC; the digest at nine.
fn schedule() -> Schedule {
    Schedule {
        zone: None,
        offset_minutes: 60,
        quiet: Some(QuietHours {
            from_minute: 22 * 60,
            until_minute: 7 * 60,
            weekend: true,
        }),
        digest_minute: Some(9 * 60),
        at_once: Severity::Critical,
    }
}

#[test]
fn hours_are_those_of_the_team() {
    let no_digest = Schedule {
        digest_minute: None,
        ..schedule()
    };
    // A Tuesday.
    for (now, plain, digest) in [
        (
            datetime!(2026-11-10 12:00 UTC),
            datetime!(2026-11-10 12:00 UTC),
            datetime!(2026-11-11 8:00 UTC),
        ),
        (
            datetime!(2026-11-10 6:30 UTC),
            datetime!(2026-11-10 6:30 UTC),
            datetime!(2026-11-10 8:00 UTC),
        ),
        (
            datetime!(2026-11-10 5:59 UTC),
            datetime!(2026-11-10 6:00 UTC),
            datetime!(2026-11-10 8:00 UTC),
        ),
        (
            datetime!(2026-11-10 21:00 UTC),
            datetime!(2026-11-11 6:00 UTC),
            datetime!(2026-11-11 8:00 UTC),
        ),
        // Friday night to Monday morning.
        (
            datetime!(2026-11-13 22:00 UTC),
            datetime!(2026-11-16 6:00 UTC),
            datetime!(2026-11-16 6:00 UTC),
        ),
        (
            datetime!(2026-11-14 12:00 UTC),
            datetime!(2026-11-16 6:00 UTC),
            datetime!(2026-11-16 6:00 UTC),
        ),
    ] {
        assert_eq!(
            no_digest.when(Severity::Medium, Why::Affected, now),
            plain,
            "{now}"
        );
        assert_eq!(
            schedule().when(Severity::Medium, Why::Affected, now),
            digest,
            "{now}"
        );
        assert_eq!(schedule().when(Severity::Critical, Why::Affected, now), now);
        assert_eq!(schedule().when(Severity::High, Why::Overdue, now), now);
        assert_eq!(schedule().when(Severity::Medium, Why::Overdue, now), digest);
    }
}

#[test]
fn one_owner_gets_one_digest() {
    let mut messages = all(T0);
    let mut second = messages[2].clone();
    second.incident = "other".parse().unwrap();
    messages.push(second);
    for message in &mut messages {
        message.severity = Severity::Low;
    }
    messages[1].severity = Severity::Critical;
    let plan = schedule().plan(&messages, T0);
    let found: Vec<_> = plan
        .iter()
        .map(|delivery| (delivery.at == T0, delivery.messages.clone()))
        .collect();
    assert_eq!(found, [(true, vec![1]), (false, vec![0]), (false, vec![2, 3])]);
    let at_once = Schedule::default().plan(&messages, T0);
    assert!(
        at_once
            .iter()
            .all(|delivery| delivery.at == T0 && delivery.messages.len() == 1)
    );
    assert_eq!(at_once.len(), 4);
}

#[test]
fn impossible_times_are_refused() {
    assert_eq!(schedule().check(), Ok(()));
    let digest = Schedule {
        digest_minute: Some(1_440),
        ..schedule()
    };
    assert_eq!(digest.check(), Err(ScheduleError::Minute(1_440)));
    let offset = Schedule {
        offset_minutes: -841,
        ..schedule()
    };
    assert_eq!(offset.check(), Err(ScheduleError::Offset(-841)));
    let zone: Zone = "Europe/Vienna".parse().unwrap();
    let both = Schedule {
        zone: Some(zone),
        ..schedule()
    };
    assert_eq!(both.check(), Err(ScheduleError::TwoClocks(zone)));
    for wrong in ["Europe/Wien", "", "../etc/passwd", "+01:00", "CEST\n"] {
        let refused = wrong.parse::<Zone>().unwrap_err().to_string();
        assert!(refused.contains("Europe/Vienna"), "{refused}");
    }
    assert!(serde_json::from_str::<Schedule>(r#"{"zone":"Mars/Olympus"}"#).is_err());
}

/// Ten at night to seven in Vienna: an hour earlier by UTC in summer, and by the new clock from the night of the change on.
#[test]
fn summer_time_is_followed() {
    let zone: Option<Zone> = Some("europe/vienna".parse().unwrap());
    assert_eq!(zone.map(Zone::as_str), Some("Europe/Vienna"));
    let vienna = Schedule {
        zone,
        offset_minutes: 0,
        digest_minute: None,
        ..schedule()
    };
    for (now, wanted) in [
        // Winter: 23:00 and 07:00 are 22:00 and 06:00 by UTC.
        (datetime!(2026-01-13 22:00 UTC), datetime!(2026-01-14 6:00 UTC)),
        (datetime!(2026-01-14 6:30 UTC), datetime!(2026-01-14 6:30 UTC)),
        // Summer.
        (datetime!(2026-07-14 20:00 UTC), datetime!(2026-07-15 5:00 UTC)),
        (datetime!(2026-07-15 5:30 UTC), datetime!(2026-07-15 5:30 UTC)),
        (datetime!(2026-07-14 19:59 UTC), datetime!(2026-07-14 19:59 UTC)),
        // The weekend of the change, from Friday night to Monday morning: it ends by the new clock.
        (datetime!(2026-03-27 21:30 UTC), datetime!(2026-03-30 5:00 UTC)),
        (datetime!(2026-10-23 20:30 UTC), datetime!(2026-10-26 6:00 UTC)),
    ] {
        assert_eq!(vienna.when(Severity::Medium, Why::Affected, now), wanted, "{now}");
    }
    let nights = Schedule {
        quiet: Some(QuietHours {
            from_minute: 0,
            until_minute: 150,
            weekend: false,
        }),
        ..vienna
    };
    // 02:30 is skipped in spring, and comes twice in autumn.
    let spring = nights.when(Severity::Low, Why::Affected, datetime!(2026-03-29 0:30 UTC));
    assert_eq!(spring, datetime!(2026-03-29 1:30 UTC));
    let first = nights.when(Severity::Low, Why::Affected, datetime!(2026-10-25 0:10 UTC));
    assert_eq!(first, datetime!(2026-10-25 0:30 UTC));
    let second = nights.when(Severity::Low, Why::Affected, datetime!(2026-10-25 1:10 UTC));
    assert_eq!(second, datetime!(2026-10-25 1:30 UTC));
    let digest = Schedule {
        digest_minute: Some(9 * 60),
        quiet: None,
        ..vienna
    };
    assert_eq!(
        digest.when(Severity::Low, Why::Affected, datetime!(2026-03-28 9:00 UTC)),
        datetime!(2026-03-29 7:00 UTC)
    );
}

proptest! {
    #[test]
    fn nothing_is_forgotten_or_goes_in_quiet_hours(
        minutes in 0_i64..600_000, is_zone: bool, from in 0_u16..1_440, until in 0_u16..1_440, weekend: bool, digest in prop::option::of(0_u16..1_440),
    ) {
        let quiet = QuietHours { from_minute: from, until_minute: until, weekend };
        let zone: Option<Zone> = is_zone.then(|| "Europe/Vienna".parse().unwrap());
        let offset_minutes = if is_zone { 0 } else { 60 };
        let schedule = Schedule { quiet: Some(quiet), digest_minute: digest, zone, offset_minutes, ..schedule() };
        let now = datetime!(2026-01-10 0:00 UTC) + Duration::minutes(minutes);
        let at = schedule.when(Severity::Low, Why::Affected, now);
        prop_assert!(at >= now && at <= now + Duration::days(5));
        // What goes now is not held back again.
        let plain = Schedule { digest_minute: None, ..schedule };
        prop_assert_eq!(plain.when(Severity::Low, Why::Affected, at), at);
    }
}
