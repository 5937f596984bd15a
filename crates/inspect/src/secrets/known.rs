//! Secrets that are no secrets: published with the tests of what everybody installs.

/// Fingerprints, each with where the key is published.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "d63cfe7d0783ea1dde58d51f2c76880a",
        "Go, crypto/tls/testdata/example-key.pem",
    ),
    (
        "acd783aea0b1c420177d4274ad8d65cc",
        "Python, test/certdata/ssl_key.pem and keycert.pem",
    ),
    (
        "e869574df910ca080cf4efc0342da36c",
        "Python, test/certdata/keycertecc.pem",
    ),
];

/// Whether a secret is one of them.
pub(super) fn is_example(fingerprint: &str) -> bool {
    EXAMPLES.iter().any(|(known, _)| *known == fingerprint)
}
