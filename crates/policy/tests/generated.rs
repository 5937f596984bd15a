//! The bodies of the fuzz targets for policies and waivers: seconds, on a stable toolchain.
//!
//! The inputs are right ones, changed a little. The seed is fixed: what fails once fails again.

#[path = "generated/bodies.rs"]
mod bodies;
#[path = "../../inspect/tests/generated/changes.rs"]
mod changes;

use changes::{changed, config, texts};
use proptest::prelude::*;

fn policies() -> Vec<Vec<u8>> {
    texts(&[
        policy::DEFAULT_POLICY,
        "version: 1\nrules:\n  - id: a\n    when: finding.severity >= high && !image.signed\n    effect: refuse\n    message: \"{{ finding.id }}\"\n",
    ])
}

fn waivers() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"requested":{"id":"a","kind":"accepted","repositories":["team/*"],"reason":"b","requester":"c","requested_at":"2024-01-01T00:00:00Z","until":"2030-01-01T00:00:00Z"}}"#,
        r#"{"id":"a","kind":"accepted","findings":["CVE-2021-44228"],"repositories":["team/*"],"reason":"c","requester":"d","approver":"e","from":"2024-01-01T00:00:00Z","until":"2024-02-01T00:00:00Z"}"#,
    ])
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn rules(data in changed(policies())) {
        bodies::rules(&data);
    }

    #[test]
    fn kept_waivers(data in changed(waivers())) {
        bodies::waiver(&data);
    }
}
