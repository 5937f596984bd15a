//! The bodies of the fuzz targets for what feeds and images say: seconds, on a stable toolchain.
//!
//! The inputs are right ones, changed a little. The seed is fixed: what fails once fails again.

#[path = "advisories_generated/bodies.rs"]
mod bodies;
#[path = "../../inspect/tests/generated/changes.rs"]
mod changes;

use changes::{changed, config, texts};
use findings::{Listing, ListingEntry};
use proptest::prelude::*;

fn osv() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"id":"GHSA-jfh8-c2jp-5v3q","modified":"2024-01-01T00:00:00Z","aliases":["CVE-2021-44228"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"Maven","name":"org.apache.logging.log4j:log4j-core"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"2.13.0"},{"fixed":"2.15.0"}]}],"versions":["2.14.1"]}]}"#,
        r#"{"id":"DSA-1-1","modified":"2024-01-01T00:00:00Z","upstream":["CVE-2024-1"],"affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"last_affected":"3.0.1-1"}]}]}]}"#,
    ])
}

fn vex() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.org/1","author":"a","timestamp":"2024-01-01T00:00:00Z","version":1,"statements":[{"vulnerability":{"name":"CVE-2021-44228"},"products":[{"@id":"pkg:oci/app@sha256%3Aaa","subcomponents":[{"@id":"pkg:maven/a/b@1"}]}],"status":"not_affected","justification":"component_not_present"}]}"#,
    ])
}

fn kev() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"title":"x","catalogVersion":"2024.01.01","dateReleased":"2024-01-01T00:00:00Z","count":1,"vulnerabilities":[{"cveID":"CVE-2021-44228","vendorProject":"a","product":"b","vulnerabilityName":"c","dateAdded":"2021-12-10","shortDescription":"d","requiredAction":"e","dueDate":"2021-12-24","knownRansomwareCampaignUse":"Known"}]}"#,
    ])
}

fn epss() -> Vec<Vec<u8>> {
    texts(&[
        "#model_version:v2025.03.14,score_date:2025-06-01T00:00:00+0000\ncve,epss,percentile\nCVE-2021-44228,0.94,0.99\nCVE-2021-45046,0.9,0.98\n",
    ])
}

fn configs() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"architecture":"amd64","os":"linux","config":{"User":"0","Env":["A=b"],"ExposedPorts":{"22/tcp":{}},"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},"history":[{"created_by":"RUN x"}]}"#,
    ])
}

fn listings() -> Vec<Vec<u8>> {
    let entry = |path: &str, kind| ListingEntry {
        path: path.to_owned(),
        kind,
        mode: 0o644,
        size: 7,
        content: "00".repeat(16),
    };
    let listing = Listing::of(&[
        entry("etc/passwd", '0'),
        entry("etc/shadow", '0'),
        entry("usr", '5'),
    ]);
    vec![listing.into_bytes()]
}

fn versions() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "1", "0", "2", "10", ".", "-", "~", "+", ":", "^", "a", "alpha", "beta", "rc", "SNAPSHOT", "Final",
        "v", "_p1", "-r0", "dev", "post", "el9", "deb12u1", "ubuntu", "", "!", "00",
    ]);
    let version = prop::collection::vec(words, 1..8).prop_map(|words| words.concat());
    (any::<u8>(), version.clone(), version.clone(), version).prop_map(|(ecosystem, a, b, c)| {
        let mut data = vec![ecosystem];
        data.extend_from_slice(format!("{a}\n{b}\n{c}").as_bytes());
        data
    })
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn advisories(data in changed(osv())) {
        bodies::osv(&data);
        bodies::any_document(&data);
    }

    #[test]
    fn statements(data in changed(vex())) {
        bodies::vex(&data);
        bodies::any_document(&data);
    }

    #[test]
    fn catalogues(data in changed(kev())) {
        bodies::kev(&data);
        bodies::any_document(&data);
    }

    #[test]
    fn probabilities(data in changed(epss())) {
        bodies::epss(&data);
        bodies::any_document(&data);
    }

    #[test]
    fn package_urls(data in changed(texts(&[
        "pkg:maven/a.b/c@1.0?type=jar#x",
        "pkg:npm/%40s/a@1",
        "pkg:deb/debian/a@1:2-3?distro=debian-12",
    ]))) {
        bodies::purl(&data);
    }

    #[test]
    fn configurations(data in changed(configs())) {
        bodies::config(&data);
    }

    #[test]
    fn listings_of_strangers(data in changed(listings())) {
        bodies::listing(&data);
    }
}

proptest! {
    #![proptest_config(config(20_000))]

    #[test]
    fn orders(data in versions()) {
        bodies::version(&data);
    }
}
