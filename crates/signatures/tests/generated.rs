//! The bodies of the fuzz targets on some thousand generated inputs each, on a stable toolchain. The seed is fixed: what
//! fails once fails again.

#[path = "generated/bodies.rs"]
mod bodies;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// What documents, annotations and signers are made of.
const PIECES: &[&str] = &[
    "\n",
    "\0",
    "\u{1}",
    "\u{2}",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "1",
    "-1",
    "AAAA",
    "MCow",
    "sha256",
    "\u{1b}[2J",
    "\"critical\":",
    "\"identity\":{}",
    "\"image\":",
    "\"docker-manifest-digest\":",
    "\"type\":",
    "\"cosign container image signature\"",
    "\"payload\":",
    "\"payloadType\":",
    "\"application/vnd.in-toto+json\"",
    "\"signatures\":",
    "{\"sig\":\"AAAA\"}",
    "\"mediaType\":",
    "\"application/vnd.dev.sigstore.bundle.v0.3+json\"",
    "\"verificationMaterial\":",
    "\"publicKey\":{\"hint\":\"\"}",
    "\"certificate\":{\"rawBytes\":\"MCow\"}",
    "\"tlogEntries\":[]",
    "\"dsseEnvelope\":",
    "\"messageSignature\":{\"signature\":\"AAAA\"}",
    "\"SignedEntryTimestamp\":",
    "\"Payload\":",
    "-----BEGIN CERTIFICATE-----",
    "-----END CERTIFICATE-----",
    "\"name\":\"a\"",
    "\"repositories\":[\"**\"]",
    "\"key\":",
    "\"roots\":",
    "\"author\":\"a\"",
    "\"vex\":true",
    "\"layers\":",
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
    fn documents_are_read_or_refused(parts in vec(select(PIECES), 0..40)) {
        bodies::document(parts.concat().as_bytes());
    }

    #[test]
    fn any_bytes_are_a_document(data in vec(any::<u8>(), 0..200)) {
        bodies::document(&data);
    }

    #[test]
    fn signers_and_manifests_are_read_or_refused(parts in vec(select(PIECES), 0..20)) {
        let text = parts.concat();
        bodies::signer(text.as_bytes());
        bodies::manifest(text.as_bytes());
    }
}
