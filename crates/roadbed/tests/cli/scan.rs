//! `scan`: one image wherever it lies gives one answer, and what is hostile gives an error with its remedy.

pub(crate) mod fixture;
mod hostile;
mod server;

use std::fs;

use serde_json::{Value, json};

use crate::cli::person::{Person, Ran};
use crate::cli::scan::fixture::{Layout, advisory, config, digest, jar, kev, layer, tar};

/// Somebody with advisories and the image as a layout.
pub(crate) fn person() -> Person {
    let person = Person::new();
    person.write("osv/Maven/GHSA-jfh8-c2jp-5v3q.json", &advisory());
    Layout::log4j().write(&person.home().join("layout"));
    person
}

pub(crate) fn scan(person: &Person, target: &str) -> Value {
    person
        .run(["scan", target, "--advisories", "osv", "--format", "json"])
        .ok()
        .json()
}

/// What counts of a result.
pub(crate) fn found(result: &Value) -> Vec<(String, String)> {
    let found = result["vulnerabilities"].as_array().unwrap();
    found
        .iter()
        .map(|finding| (finding["id"].to_string(), finding["fix"].to_string()))
        .collect()
}

impl Ran {
    /// It failed before there was a result.
    #[track_caller]
    pub(crate) fn breaks(self, reason: &str) -> Self {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(
            self.err.starts_with("error: ") && self.err.contains(reason),
            "{reason}\n{self:?}"
        );
        self
    }

    #[track_caller]
    fn finds(self, what: &str) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.err.contains(&format!("failed on {what}")), "{self:?}");
        self
    }
}

#[test]
fn an_image_is_the_same_wherever_it_lies() {
    let person = person();
    let of_layout = scan(&person, "layout");
    let expected = found(&of_layout);
    assert_eq!(expected.len(), 1, "{of_layout:#}");
    assert!(expected[0].0.contains("CVE-2021-44228"), "{expected:?}");
    assert!(expected[0].1.contains("2.15.0"), "{expected:?}");
    assert_eq!(found(&scan(&person, "layout:v1")), expected);

    let files = Layout::log4j().files();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    fs::write(person.home().join("oci.tar"), tar(&files)).unwrap();
    assert_eq!(found(&scan(&person, "oci.tar:v1")), expected);

    let (layer, list) = (layer(), saved());
    let docker = tar(&[
        ("c.json", &config(&layer)),
        ("l/layer.tar", &layer),
        ("manifest.json", list.as_bytes()),
    ]);
    fs::write(person.home().join("docker.tar"), &docker).unwrap();
    assert_eq!(found(&scan(&person, "docker.tar")), expected);
    assert_eq!(found(&scan(&person, "docker.tar:v1")), expected);

    fs::create_dir_all(person.home().join("tree/app")).unwrap();
    fs::write(person.home().join("tree/app/log4j-core-2.14.1.jar"), jar()).unwrap();
    assert_eq!(found(&scan(&person, "tree")), expected);

    for form in ["cyclonedx", "spdx"] {
        person
            .run(["scan", "layout", "--format", form, "-o", "sbom.json"])
            .ok();
        assert_eq!(found(&scan(&person, "sbom.json")), expected, "{form}");
    }
}

fn saved() -> String {
    json!([{ "Config": "c.json", "RepoTags": ["app:v1"], "Layers": ["l/layer.tar"] }]).to_string()
}

#[test]
fn what_shall_fail_fails() {
    let person = person();
    person.write("osv/kev.json", &kev());
    let table = person.run(["scan", "layout", "--advisories", "osv"]).ok();
    table.says("1 critical").says("2.15.0").says("CVE-2021-44228");
    let run = |what: &str| person.run(["scan", "layout", "--advisories", "osv", "--fail-on", what]);
    run("high").finds("high");
    run("secret,kev").finds("kev");
    run("malware,secret").ok();
    run("worse").misused("there are critical, high");
    person
        .run(["scan", "layout", "--fail-on", "low"])
        .ok()
        .says("no advisories were asked");
}

#[test]
fn a_local_policy_judges() {
    let person = person();
    person.write(
        "policy.yaml",
        "version: 1\nrules:\n  - id: no-critical\n    when: finding.severity == \"critical\"\n    decide: refuse\n    message: it is critical\n",
    );
    let judged = person.run([
        "scan",
        "layout",
        "--advisories",
        "osv",
        "--policy",
        "policy.yaml",
        "--fail-on",
        "refuse",
    ]);
    judged
        .finds("refuse")
        .says("Decision: refuse")
        .says("no-critical");
    person.write("bad.yaml", "rules: 7\n");
    person
        .run(["scan", "layout", "--policy", "bad.yaml"])
        .breaks("bad.yaml");
    person.run(["scan", "layout", "--judge"]).ok().says("Decision: ");
}

#[test]
fn an_index_is_scanned_for_one_platform() {
    let person = person();
    let mut layout = Layout::default();
    let image = layout.image();
    let of = |architecture: &str| {
        let mut child = image.clone();
        child["platform"] = json!({ "os": "linux", "architecture": architecture });
        child
    };
    let children = [of("s390x"), of("riscv64")];
    let index = layout.index(&children);
    layout.manifests.push(index);
    layout.write(&person.home().join("many"));
    person
        .run(["scan", "many"])
        .breaks("name one of these with --platform: linux/s390x, linux/riscv64");
    let result = person
        .run(["scan", "many", "--platform", "linux/riscv64", "--format", "json"])
        .ok()
        .json();
    assert_eq!(result["target"]["platform"], "linux/riscv64", "{result:#}");
    person
        .run(["scan", "many", "--platform", "linux"])
        .misused("linux/amd64");
}

#[test]
fn forms_go_to_files() {
    let person = person();
    for form in ["table", "json", "sarif", "cyclonedx", "spdx", "junit"] {
        let ran = person
            .run([
                "scan",
                "layout",
                "--advisories",
                "osv",
                "--format",
                form,
                "-o",
                "out",
            ])
            .ok();
        assert_eq!(ran.out, "", "{form}");
        assert!(person.home().join("out").metadata().unwrap().len() > 0, "{form}");
        fs::remove_file(person.home().join("out")).unwrap();
    }
    let quiet = [
        "scan",
        "layout",
        "--advisories",
        "osv",
        "--output",
        "json",
        "--severity",
        "critical",
    ];
    assert_eq!(found(&person.run(quiet).ok().json()).len(), 1);
    assert!(digest(b"").starts_with("sha256:"));
}
