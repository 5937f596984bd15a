//! The bodies of the fuzz targets on some thousand generated inputs each, on a stable toolchain. The seed is fixed: what
//! fails once fails again.

#[path = "generated/bodies.rs"]
mod bodies;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

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

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

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
