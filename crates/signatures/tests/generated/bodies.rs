//! What must hold for any input. Shared by the fuzz targets (`fuzz/` at the root of the repository) and by
//! `tests/generated.rs`.

use oci::{Algorithm, Descriptor, Digest, Manifest, ManifestLimits, RepoName};
use signatures::{Announced, Form, Image, SignerSpec, TrustedSigner, check};
use time::OffsetDateTime;

/// A key of which nobody has the other half any more.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

fn signers() -> Vec<TrustedSigner> {
    let spec = serde_json::json!({ "name": "release", "repositories": ["**"], "key": KEY });
    let spec: SignerSpec = serde_json::from_value(spec).expect("a good signer");
    vec![TrustedSigner::new(spec).expect("a good key")]
}

/// A document of any form: the first line says which, the next ones what its annotations are, the rest is the document. Nobody
/// made it, and why is told in one line.
pub(crate) fn document(data: &[u8]) {
    let mut parts = data.splitn(6, |byte| *byte == b'\n');
    let form = match parts.next().and_then(<[u8]>::first).map(|byte| byte % 4) {
        Some(0) => Form::SimpleSigning,
        Some(1) => Form::Envelope,
        Some(2) => Form::Bundle,
        _ => Form::Notation,
    };
    let names = [
        "dev.cosignproject.cosign/signature",
        "dev.sigstore.cosign/certificate",
        "dev.sigstore.cosign/bundle",
        "dev.sigstore.cosign/rfc3161timestamp",
    ];
    let digest = Digest::of(Algorithm::Sha256, b"an image");
    let media_type = "application/octet-stream".parse().expect("a good media type");
    let mut blob = Descriptor::new(media_type, digest, 0);
    for name in names {
        let value = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        blob.annotations.insert(name.to_owned(), value);
    }
    let repository: RepoName = "prod/app".parse().expect("a good name");
    let image = Image {
        repository: &repository,
        digest: &digest,
        manifest: b"an image",
    };
    let bytes = parts.next().unwrap_or_default();
    let now = OffsetDateTime::UNIX_EPOCH;
    let checked = check(&Announced { form, blob }, bytes, &image, &signers(), now);
    assert!(checked.signers.is_empty());
    let problem = checked.problem.expect("a reason").to_string();
    assert!(
        !problem.contains(char::is_control) && problem.len() < 2_000,
        "{problem}"
    );
}

/// A manifest: what it announces is among its layers.
pub(crate) fn manifest(data: &[u8]) {
    let Ok(manifest) = Manifest::parse(data, None, &ManifestLimits::default()) else {
        return;
    };
    for found in signatures::announced(&manifest) {
        assert!(manifest.layers.contains(&found.blob));
    }
}

/// What an administrator declares: refused with a reason, or as it was.
pub(crate) fn signer(data: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<SignerSpec>(data) else {
        return;
    };
    match TrustedSigner::new(spec.clone()) {
        Ok(signer) => assert_eq!(signer.spec(), &spec),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
