//! The bodies of the fuzz targets of the request path on generated input: seconds, on a stable toolchain.

#[path = "generated/bodies.rs"]
mod bodies;

use proptest::{collection::vec, prelude::*, sample::select, test_runner::RngSeed};

const PIECES: &[&str] = &[
    "/v2",
    "/",
    "a",
    "b-c",
    "team",
    "..",
    ".",
    "_",
    "%2f",
    "%2F",
    "%00",
    "%",
    "%41",
    "A",
    "é",
    "\0",
    " ",
    "/blobs/",
    "/manifests/",
    "/tags/list",
    "/referrers/",
    "uploads/",
    "latest",
    "sha256:",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "0190a6c4-7f5e-7000-8000-000000000000",
    "?",
    "n=5",
    "&",
    "last=",
    "tag=x",
    "=",
    "/token",
    "/_catalog",
];

const CREDENTIAL_PIECES: &[&str] = &[
    "Basic ",
    "basic ",
    "Bearer ",
    "YTpi",
    "YWRtaW46cGFzcw==",
    "=",
    "repository:",
    "registry:catalog:*",
    "a/b",
    ":",
    "pull",
    ",",
    "push",
    "*",
    " ",
    "delete",
    "é",
    "\0",
    "A",
];

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 8_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..ProptestConfig::default()
    }
}

fn joined(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn request_target(text in joined(PIECES)) {
        bodies::request_target(text.as_bytes());
        bodies::request_target(format!("/v2/{text}").as_bytes());
    }

    #[test]
    fn credentials(text in joined(CREDENTIAL_PIECES)) {
        bodies::credentials(text.as_bytes());
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        bodies::request_target(&bytes);
        bodies::credentials(&bytes);
    }
}
