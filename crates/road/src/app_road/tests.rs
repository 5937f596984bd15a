use super::*;
use time::macros::datetime;

fn window(text: &str) -> FreezeWindow {
    text.parse().unwrap()
}

fn road(freezes: &[&str]) -> AppRoad {
    AppRoad {
        application: "checkout".parse().unwrap(),
        owner: None,
        path: None,
        ring: Ring::default(),
        tier: None,
        auto_rebase: AutoRebase::default(),
        freezes: freezes.iter().map(|text| window(text)).collect(),
        target_levels: BTreeMap::new(),
        until: None,
    }
}

#[test]
fn both_days_of_a_window_count() {
    let freeze = window("2026-12-20/2027-01-03");
    assert!(!freeze.holds(datetime!(2026-12-19 23:59 UTC)));
    assert!(freeze.holds(datetime!(2026-12-20 0:00 UTC)));
    assert!(freeze.holds(datetime!(2027-01-03 23:59 UTC)));
    assert!(!freeze.holds(datetime!(2027-01-04 0:00 UTC)));
    let hours = window("2026-12-20T18:00:00+01:00/2026-12-20T20:00:00Z");
    assert!(hours.holds(datetime!(2026-12-20 17:00 UTC)) && !hours.holds(datetime!(2026-12-20 20:00 UTC)));
}

#[test]
fn what_is_no_window_is_refused() {
    for (text, wanted) in [
        ("", FreezeError::Form),
        ("2026-12-20", FreezeError::Form),
        ("2026-12-20/", FreezeError::Form),
        ("soon/later", FreezeError::Form),
        ("2026-12-20/9999-12-31", FreezeError::Form),
        (
            "9999-12-31T23:59:59-12:00/9999-12-31T23:59:59-12:00",
            FreezeError::Form,
        ),
        ("2026-12-20/2026-12-18", FreezeError::Backwards),
        ("2026-01-01/2026-12-31", FreezeError::Long),
    ] {
        assert_eq!(text.parse::<FreezeWindow>(), Err(wanted), "{text}");
    }
}

#[test]
fn windows_without_a_gap_are_one() {
    let road = road(&[
        "2026-12-20/2026-12-24",
        "2026-12-25/2027-01-03",
        "2027-02-01/2027-02-02",
    ]);
    assert_eq!(road.frozen_until(datetime!(2026-12-19 0:00 UTC)), None);
    let end = datetime!(2027-01-04 0:00 UTC);
    assert_eq!(road.frozen_until(datetime!(2026-12-21 0:00 UTC)), Some(end));
    assert_eq!(road.frozen_until(end), None);
}

#[test]
fn rings_are_in_order_and_are_read_as_they_are_written() {
    assert!(Ring::WORDS.is_sorted_by_key(|(_, ring)| *ring));
    for (word, ring) in Ring::WORDS {
        assert_eq!(ring.as_str(), word);
        assert_eq!(serde_json::to_string(&ring).unwrap(), format!("\"{word}\""));
    }
    let text = serde_json::to_string(&road(&["2026-12-20/2026-12-24"])).unwrap();
    assert_eq!(
        serde_json::from_str::<AppRoad>(&text).unwrap(),
        road(&["2026-12-20/2026-12-24"])
    );
    let least: AppRoad = serde_json::from_str(r#"{"application": "checkout"}"#).unwrap();
    assert_eq!(least, road(&[]));
}
