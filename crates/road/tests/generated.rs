//! The bodies of the fuzz targets on some thousand generated inputs each, on a stable toolchain. The seed is fixed: what
//! fails once fails again.

#[path = "generated/bodies.rs"]
mod bodies;
#[path = "../../inspect/tests/generated/changes.rs"]
mod changes;
#[path = "generated/rebase.rs"]
mod rebase;

use changes::{changed, config, texts};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What questions are made of.
const PIECES: &[&str] = &[
    "CVE-",
    "GHSA-",
    "2021",
    "44228",
    "jfh8",
    "-",
    "DSA-",
    "RHSA-2021:1",
    "pkg:",
    "maven",
    "npm",
    "deb",
    "/",
    ":",
    "@",
    "<",
    "<=",
    ">=",
    "=",
    "..",
    ",",
    " ",
    ".",
    "log4j-core",
    "org.example",
    "Name",
    "class:",
    ".class",
    "sha256:",
    "sha512:",
    "0123456789abcdef",
    "%40",
    "%0a",
    "?distro=debian-12",
    "~1",
    "^",
    "2.0-beta9",
    "1:1.0-1",
    "\n",
    "\u{1b}",
    "ä",
];

const COMPONENT: &str = "\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: checkout
  namespace: shop
  annotations:
    roadbed.dev/repositories: 'shop/checkout,shop/cart/**'
    roadbed.dev/tier: '1'
    road/ring: early
    road/auto-rebase: 'ask'
    road/tier: '1'
    road/until: '2027-12-31'
    road/freeze: 2026-12-20/2027-01-03
spec: {type: service, lifecycle: production, owner: group:team-checkout, system: shop}
---
kind: Group
metadata: {name: team-checkout}
spec: {type: team, profile: {email: a@example.org}, children: []}
";

const BASE: &str = "\
apiVersion: road/v1
kind: BaseImage
metadata: {name: java17, owner: group:platform-java, contact: '#java'}
spec:
  repo: base/java17
  channels: {stable: 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}
  lifecycle: supported
  supportedUntil: 2027-09-30
  replacedBy: java21
  patchWithin: {critical: 24h, high: 7d}
";

const WORDS: &str = "\
roadbed.dev/application=checkout
roadbed.dev/owner=group:team-checkout
roadbed.dev/tier=1
roadbed.dev/environments=production,staging
org.opencontainers.image.base.name=base/java17:1
";

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn questions_are_understood_or_refused(parts in vec(select(PIECES), 0..12)) {
        bodies::question(parts.concat().as_bytes());
    }

    #[test]
    fn any_text_is_a_question(text in "\\PC{0,60}") {
        bodies::question(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_an_index(data in vec(any::<u8>(), 0..300)) {
        bodies::snapshot(&data);
    }

}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn nearly_a_catalogue(data in changed(texts(&[COMPONENT]))) {
        bodies::backstage(&data);
        bodies::paved_road(&data);
    }

    #[test]
    fn nearly_a_base(data in changed(texts(&[BASE]))) {
        bodies::paved_road(&data);
        bodies::backstage(&data);
    }

    #[test]
    fn nearly_annotations(data in changed(texts(&[WORDS]))) {
        bodies::words(&data);
    }
}

/// Inputs that the fuzz targets start from too.
macro_rules! seed {
    ($path:literal) => {
        include_bytes!(concat!("../../../fuzz/seeds/", $path)).to_vec()
    };
}

#[test]
fn the_events_to_start_from_are_an_incident() {
    let events: Vec<road::incident::Event> =
        serde_json::from_slice(&seed!("road_incident/events.json")).unwrap();
    assert_eq!(events.len(), 8);
    road::incident::Incident::replay(&events).unwrap();
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn nearly_lists_of_packages(data in changed(vec![
        seed!("road_rebase_packages/dpkg"), seed!("road_rebase_packages/states"), seed!("road_rebase_packages/apk"),
    ])) {
        rebase::packages(&data);
    }

    #[test]
    fn nearly_accounts(data in changed(vec![
        seed!("road_rebase_accounts/passwd"), seed!("road_rebase_accounts/group"), seed!("road_rebase_accounts/shadow"),
    ])) {
        rebase::accounts(&data);
    }

    #[test]
    fn nearly_certificates(data in changed(vec![seed!("road_rebase_certificates/pem")])) {
        rebase::certificates(&data);
    }

    #[test]
    fn nearly_a_loaders_cache(data in changed(vec![seed!("road_rebase_loader_cache/cache")])) {
        rebase::loader_cache(&data);
    }

    #[test]
    fn nearly_configurations(data in changed(vec![seed!("road_rebase_config/config")])) {
        rebase::config(&data);
    }

    #[test]
    fn nearly_a_sink(data in changed(vec![seed!("road_sink/webhook"), seed!("road_sink/smtp")])) {
        bodies::sink(&data);
    }

    #[test]
    fn nearly_an_incident(data in changed(vec![seed!("road_incident/events.json")])) {
        bodies::incident(&data);
    }
}
