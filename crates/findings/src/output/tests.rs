//! All forms on one image, plain and hostile.

use serde_json::Value;

use super::*;
use crate::{harmless::is_harmful, scan_result::tests::sample};

mod people;

const HOSTILE: &str = "\u{1b}[31m\u{202e}\0\u{9b}\u{200b}\"<&>']]>\n\t\r--\\";

fn written(form: OutputForm, result: &ScanResult) -> String {
    let options = OutputOptions {
        tool_version: "1.2.3".to_owned(),
        sbom_with_vulnerabilities: true,
        ..OutputOptions::default()
    };
    result.to_form(form, &options)
}

#[test]
fn words() {
    for form in OutputForm::ALL {
        assert_eq!(form.as_str().parse(), Ok(form));
    }
    let error = "x\u{1b}".parse::<OutputForm>().unwrap_err().to_string();
    assert!(error.starts_with("`x\\u{1b}` is no form"), "{error}");
}

#[test]
fn no_form_repeats_a_harmful_character() {
    let result = sample::hostile(HOSTILE);
    for form in OutputForm::ALL {
        let text = written(form, &result);
        let harmful = text
            .chars()
            .find(|character| is_harmful(*character) && *character != '\n');
        assert_eq!(harmful, None, "{form}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{form}");
    }
}

#[test]
fn the_same_result_gives_the_same_bytes() {
    for form in OutputForm::ALL {
        assert_eq!(
            written(form, &sample::scanned()),
            written(form, &sample::scanned())
        );
    }
    for form in [OutputForm::CycloneDx, OutputForm::Spdx] {
        assert_ne!(
            written(form, &sample::scanned()),
            written(form, &sample::hostile("x"))
        );
    }
}

#[test]
fn an_empty_result_has_every_form() {
    for form in OutputForm::ALL {
        assert!(!written(form, &ScanResult::default()).is_empty());
    }
}

#[test]
fn json_says_what_was_there() {
    for text in ["", HOSTILE] {
        let result = sample::hostile(text);
        let document: Value = serde_json::from_str(&written(OutputForm::Json, &result)).unwrap();
        assert_eq!(document["schema"], 1);
        assert_eq!(document["tool"]["version"], "1.2.3");
        assert_eq!(document["summary"]["vulnerabilities"]["critical"], 1);
        assert_eq!(document["summary"]["secrets"], 2);
        assert_eq!(document["summary"]["exploited"], 1);
        let back: ScanResult = serde_json::from_value(document).unwrap();
        assert_eq!(back.packages, result.packages);
        assert_eq!(back.files, result.files);
    }
}

#[test]
fn sarif_places_and_names() {
    let document: Value = serde_json::from_str(&written(OutputForm::Sarif, &sample::scanned())).unwrap();
    let run = &document["runs"][0];
    let results = run["results"].as_array().unwrap();
    let of = |rule: &str| results.iter().find(|result| result["ruleId"] == rule).unwrap();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
    let mitigated = of("CVE-2021-44228");
    assert!(
        mitigated["suppressions"][0]["justification"]
            .as_str()
            .unwrap()
            .contains("JndiLookup")
    );
    let location = &of("CVE-2021-45105")["locations"][0];
    assert_eq!(
        location["physicalLocation"]["artifactLocation"]["uri"],
        "app/app.war"
    );
    assert_eq!(
        location["logicalLocations"][1]["fullyQualifiedName"],
        "app/app.war!WEB-INF/lib/log4j-core-2.14.1.jar"
    );
    let key = &of("private-key")["locations"][0];
    assert_eq!(key["physicalLocation"]["region"]["startLine"], 1);
    // What is in no file lies in one that is called as the image: GitHub refuses a result without a place.
    let image = &of("config.root-user")["locations"][0]["physicalLocation"];
    assert_eq!(
        image["artifactLocation"]["uri"],
        "registry.example/team/app%3A1.0"
    );
    for result in run["results"].as_array().unwrap() {
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0, "{result}");
        assert!(
            result["partialFingerprints"]["primaryLocationLineHash"].is_string(),
            "{result}"
        );
    }
    for rule in run["tool"]["driver"]["rules"].as_array().unwrap() {
        assert!(rule["properties"]["security-severity"].is_string(), "{rule}");
    }
    assert_eq!(of("CVE-2022-0001")["level"], "error");
    assert!(
        run["invocations"][0]["toolExecutionNotifications"]
            .to_string()
            .contains("layer.ratio")
    );
}

#[test]
fn sarif_fingerprints_outlive_versions_and_layers() {
    let prints = |result: &ScanResult| {
        let document: Value = serde_json::from_str(&written(OutputForm::Sarif, result)).unwrap();
        let results = document["runs"][0]["results"].as_array().unwrap().clone();
        results
            .iter()
            .map(|result| {
                result["partialFingerprints"]["roadbed/v1"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    let before = sample::scanned();
    let mut after = before.clone();
    for placed in &mut after.packages {
        placed.layer = Some(9);
        placed.package.version.push_str(".1");
    }
    assert_eq!(prints(&before), prints(&after));
    let mut distinct = prints(&before);
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), prints(&before).len());
}

#[test]
fn junit_fails_what_is_bad_enough() {
    let result = sample::scanned();
    let xml = written(OutputForm::JUnit, &result);
    assert!(
        xml.contains("<failure message=\"critical: A flaw in openssl; update to 3.0.2-1\"/>"),
        "{xml}"
    );
    assert!(xml.contains(
        "<testcase classname=\"var/lib/dpkg/status\" name=\"CVE-2022-0002 in libssl3 3.0.1-1+b1\"/>"
    ));
    assert!(xml.contains("<skipped message=\"known to be an example\"/>"));
    assert!(xml.contains("<skipped message=\"headers of a kernel, not the kernel\"/>"));
    let strict = OutputOptions {
        fail_at: Severity::Unknown,
        ..OutputOptions::default()
    };
    let failures = |xml: &str| xml.matches("<failure").count();
    assert!(failures(&result.to_form(OutputForm::JUnit, &strict)) > failures(&xml));
}

#[test]
fn sarif_keeps_the_worst_of_more_results_than_are_taken() {
    let mut result = sample::scanned();
    let mut low = result.files[0].clone();
    low.finding.severity = Severity::Negligible;
    low.finding.is_example = false;
    let known = result.vulnerabilities.len() + result.files.len();
    result.files.extend(std::iter::repeat_n(low, 25_000));
    let document: Value = serde_json::from_str(&written(OutputForm::Sarif, &result)).unwrap();
    let run = &document["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), 25_000);
    let told = run["invocations"][0]["toolExecutionNotifications"].to_string();
    assert!(told.contains(&format!("{known} results are left out")), "{told}");
}
