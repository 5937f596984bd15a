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
