//! The bodies of the fuzz targets on some thousand generated inputs each, on a stable toolchain. The seed is fixed: what
//! fails once fails again.

#[path = "generated/bodies.rs"]
mod bodies;
#[path = "../../inspect/tests/generated/changes.rs"]
mod changes;

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
  annotations: {roadbed.dev/repositories: 'shop/checkout,shop/cart/**', roadbed.dev/tier: '1'}
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
