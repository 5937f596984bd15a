use super::*;

const LIST: &str = "#model_version:v2025.03.14,score_date:2025-08-25T00:00:00+0000\n\
    cve,epss,percentile\nCVE-2021-44228,0.94358,0.99957\nCVE-1999-0001,0.0142,0.79812\r\n\n";

#[test]
fn scores_are_found() {
    let epss = Epss::read(LIST.as_bytes()).unwrap();
    assert_eq!((epss.model_version.as_str(), epss.len()), ("v2025.03.14", 2));
    assert_eq!(epss.score_date, "2025-08-25T00:00:00+0000");
    assert!((epss.get("CVE-2021-44228").unwrap().probability - 0.94358).abs() < 1e-6);
    assert!((epss.get("CVE-1999-0001").unwrap().percentile - 0.79812).abs() < 1e-6);
    assert_eq!(epss.get("CVE-2021-44229"), None);
    assert_eq!(epss.get("GHSA-x"), None);
}

#[test]
fn a_line_that_is_no_score_is_named() {
    for line in [
        "CVE-2021-1,0.5",
        "CVE-2021-1,2,0.5",
        "CVE-2021-1,NaN,0.5",
        "CVE-2021-1,nan,0.5",
        "CVE-2021-1,0.5,NaN",
        "CVE-2021-1,inf,0.5",
        "CVE-2021-1,-inf,0.5",
        "CVE-2021-1,-0.1,0.5",
        "CVE-2021-1,1.0001,0.5",
        "CVE-2021-1,1e999,0.5",
        "CVE-2021-1,,0.5",
        "CVE-2021-1,0x1,0.5",
        "CVE-2021-1234567890,0.5,0.5",
        "CVE-2021-\u{202e}1,0.5,0.5",
        "../CVE-2021-1,0.5,0.5",
        "CVE-21-1,0.5,0.5",
        "x",
        "CVE-2021-1,0,0,0",
    ] {
        let error = Epss::read(format!("{LIST}{line}\n").as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 6 of"), "{line}: {error}");
    }
}

#[test]
fn each_limit_refuses_what_exceeds_it() {
    assert!(matches!(
        Epss::read(&vec![b' '; EPSS_DOCUMENT_BYTES + 1]),
        Err(AdvisoryError::TooLarge { .. })
    ));
    let many = "CVE-2021-1,0,0\n".repeat(EPSS_LINES + 1);
    let error = Epss::read(many.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("there are too many lines"), "{error}");
    let long = format!("#model_version:{}\ncve,epss,percentile\n", "v".repeat(1_000));
    assert!(Epss::read(long.as_bytes()).unwrap().model_version.len() < 100);
    assert!(Epss::read(b"cve,epss,percentile\n\xff").is_err());
}

#[test]
fn days_and_losses_are_known() {
    let epss = Epss::read(LIST.as_bytes()).unwrap();
    assert_eq!(epss.scored_at().unwrap().unix_timestamp(), 1_756_080_000);
    let other = Epss::read(b"CVE-2021-44228,0,0\nCVE-2021-44229,0,0\n").unwrap();
    assert_eq!((epss.missing_in(&other), other.scored_at()), (1, None));
}

#[test]
fn what_differs_between_two_days_is_named() {
    let read = |lines: &str| Epss::read(lines.as_bytes()).unwrap();
    let before = read("CVE-1999-0001,0.1,0.5\nCVE-2020-12345,0.2,0.5\nCVE-2021-1000,0.3,0.5\n");
    // Where only the percentile moved, nothing was said anew.
    let after = read("CVE-1999-0001,0.1,0.6\nCVE-2021-1000,0.4,0.5\nCVE-2022-1000,0.5,0.5\n");
    let changed = |id: &str, from, to| (id.to_owned(), [from, to]);
    let expected = [
        changed("CVE-2020-12345", Some(0.2), None),
        changed("CVE-2021-1000", Some(0.3), Some(0.4)),
        changed("CVE-2022-1000", None, Some(0.5)),
    ];
    assert_eq!(after.changed_since(&before), expected);
    assert!(after.changed_since(&after).is_empty());
}
