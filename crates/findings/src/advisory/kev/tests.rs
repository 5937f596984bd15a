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
fn an_entry_without_a_day_is_named() {
    let text = r#"{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-1","dateAdded":"soon"}]}"#;
    let error = Kev::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "KEV catalogue 1: vulnerabilities[0]: dateAdded is no day");
    assert!(Kev::read(b"{}").is_err());
}
