use time::macros::date;

use super::*;
use crate::advisory::test_data::shared;

#[test]
fn the_catalogue_is_read() {
    let Some(bytes) = shared("kev/known_exploited_vulnerabilities.json") else {
        return;
    };
    let kev = Kev::read(&bytes).unwrap();
    assert_eq!((kev.version.as_str(), kev.len()), ("2025.08.25", 1_404));
    let log4shell = kev.get("CVE-2021-44228").unwrap();
    assert_eq!(
        (log4shell.added, log4shell.due),
        (date!(2021 - 12 - 10), Some(date!(2021 - 12 - 24)))
    );
    assert!(log4shell.is_used_by_ransomware);
    assert_eq!(kev.get("CVE-2021-45046").unwrap().added, date!(2023 - 05 - 01));
    assert_eq!(kev.get("CVE-2021-45105"), None);
}

#[test]
fn as_of_a_day_it_has_what_was_listed_by_then() {
    let late = entry("CVE-2").replace("2021-12-10", "2023-05-01");
    let kev = Kev::read(&catalogue(&[entry("CVE-1"), late])).unwrap();
    let listed = |day| {
        let then = kev.as_of(day);
        (then.get("CVE-1").is_some(), then.get("CVE-2").is_some())
    };
    assert_eq!(listed(date!(2021 - 12 - 09)), (false, false));
    assert_eq!(listed(date!(2021 - 12 - 10)), (true, false));
    assert_eq!(listed(date!(2023 - 05 - 01)), (true, true));
    assert_eq!(kev.as_of(date!(2030 - 01 - 01)), kev);
}

#[test]
fn an_entry_without_a_day_is_named() {
    let text = r#"{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-1","dateAdded":"soon"}]}"#;
    let error = Kev::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "KEV catalogue 1: vulnerabilities[0]: dateAdded is no day");
    assert!(Kev::read(b"{}").is_err());
}

fn catalogue(entries: &[String]) -> Vec<u8> {
    let list = entries.join(",");
    format!(r#"{{"catalogVersion":"1","vulnerabilities":[{list}]}}"#).into_bytes()
}

fn entry(id: &str) -> String {
    serde_json::json!({ "cveID": id, "dateAdded": "2021-12-10" }).to_string()
}

#[test]
fn each_limit_refuses_what_exceeds_it() {
    assert!(matches!(
        Kev::read(&vec![b' '; KEV_DOCUMENT_BYTES + 1]),
        Err(AdvisoryError::TooLarge { .. })
    ));
    let many = catalogue(&vec![entry("CVE-2021-1"); KEV_ENTRIES + 1]);
    let error = Kev::read(&many).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("more than 200000 elements"), "{cause}");
    for id in [
        "",
        "../x",
        "CVE-2021-1\n",
        "CVE\u{202e}1",
        "a b",
        &"x".repeat(ID_BYTES + 1),
    ] {
        let error = Kev::read(&catalogue(&[entry(id)])).unwrap_err().to_string();
        assert!(error.contains("vulnerabilities[0]: an id has"), "{id:?}: {error}");
    }
    for day in [
        "2021-13-01",
        "2021-02-30",
        "12021-01-01",
        "2021-01-01T00:00:00Z",
        "",
    ] {
        let entry = serde_json::json!({ "cveID": "CVE-2021-1", "dateAdded": day }).to_string();
        assert!(Kev::read(&catalogue(&[entry])).is_err(), "{day}");
    }
    let deep = format!(
        r#"{{"catalogVersion":"1","vulnerabilities":{}}}"#,
        "[".repeat(100_000)
    );
    assert!(Kev::read(deep.as_bytes()).is_err());
    let long = format!(
        r#"{{"cveID":"CVE-2021-1","dateAdded":"2021-12-10","requiredAction":"{}"}}"#,
        "x".repeat(SUMMARY_BYTES * 2)
    );
    let kev = Kev::read(&catalogue(&[long])).unwrap();
    assert!(kev.get("CVE-2021-1").unwrap().action.len() <= SUMMARY_BYTES + "…".len());
}

#[test]
fn what_is_missing_is_counted_by_id() {
    let of = |ids: &[&str]| {
        let entries: Vec<String> = ids.iter().map(|id| entry(id)).collect();
        Kev::read(&catalogue(&entries)).unwrap()
    };
    assert_eq!(of(&["A-1", "A-2"]).missing_in(&of(&["A-2", "A-3"])), 1);
}

#[test]
fn what_came_and_went_between_two_catalogues_is_named() {
    let catalogue = |cves: &[&str]| {
        let entry = |cve: &&str| serde_json::json!({ "cveID": cve, "dateAdded": "2026-01-01" });
        let entries: Vec<_> = cves.iter().map(entry).collect();
        let text = serde_json::json!({ "catalogVersion": "1", "vulnerabilities": entries }).to_string();
        Kev::read(text.as_bytes()).unwrap()
    };
    let (before, after) = (
        catalogue(&["CVE-2026-1", "CVE-2026-2"]),
        catalogue(&["CVE-2026-2", "CVE-2026-3"]),
    );
    let changed: Vec<&str> = after.changed_since(&before).into_iter().collect();
    assert_eq!(changed, ["CVE-2026-1", "CVE-2026-3"]);
}

#[test]
fn what_is_said_otherwise_is_counted() {
    let of = |day: &str| {
        let entry = |cve: &str, day: &str| serde_json::json!({ "cveID": cve, "dateAdded": day }).to_string();
        Kev::read(&catalogue(&[
            entry("CVE-2026-1", "2026-01-01"),
            entry("CVE-2026-2", day),
        ]))
        .unwrap()
    };
    let before = of("2026-01-01");
    assert_eq!(of("2026-01-02").differing_from(&before), 1);
    assert_eq!(before.differing_from(&before), 0);
    assert_eq!(Kev::default().differing_from(&before), 0);
}
