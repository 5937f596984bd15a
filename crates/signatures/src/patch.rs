//! The registry's own key: what it makes of images is signed with it, and nothing else is.
//!
//! Statements (in-toto, DSSE) go into bundles of Sigstore's, without a log: `cosign verify --key` and `cosign verify-attestation --key`
//! read them. A signature with this key says "the registry made this of that", never that an author signed it.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use oci::Digest;
use serde_json::{Value, json};
use thiserror::Error;

/// The media type of a bundle, and the artifact type of what holds one.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The predicate type of the statement that says no more than that somebody signed the image.
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// What the payload of an envelope is.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Bytes of a line of PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// Why there is no key, or no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PatchKeyError {
    /// No key could be made.
    #[error("no key could be made")]
    Make,
    /// What was kept is no key.
    #[error("the registry's patch key cannot be read")]
    Read,
    /// Nothing was signed.
    #[error("nothing could be signed with the registry's patch key")]
    Sign,
}

/// A key pair of ECDSA on P-256. It is never printed.
pub struct PatchKey {
    pair: EcdsaKeyPair,
}

impl PatchKey {
    /// A new one, as it is kept: PKCS #8.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn make() -> Result<Vec<u8>, PatchKeyError> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        made.map(|kept| kept.as_ref().to_vec())
            .map_err(|_| PatchKeyError::Make)
    }

    /// From what was kept.
    ///
    /// # Errors
    /// It is no such key.
    pub fn read(kept: &[u8]) -> Result<Self, PatchKeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, kept);
        pair.map(|pair| Self { pair }).map_err(|_| PatchKeyError::Read)
    }

    /// The public half: a PEM block `PUBLIC KEY`, such as cosign and `roadbed signer add --key` take.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn public_pem(&self) -> Result<String, PatchKeyError> {
        let der: Result<PublicKeyX509Der<'_>, _> = self.pair.public_key().as_der();
        let text = BASE64_STANDARD.encode(der.map_err(|_| PatchKeyError::Read)?.as_ref());
        let lines: Vec<String> = text
            .as_bytes()
            .chunks(PEM_LINE)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        Ok(format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        ))
    }

    /// A bundle in which the registry states something about an image. The statement is the same for the same arguments, the
    /// signature is not: ECDSA draws a number for each.
    ///
    /// # Errors
    /// Nothing could be signed.
    pub fn bundle(&self, image: &Digest, kind: &str, predicate: &Value) -> Result<Vec<u8>, PatchKeyError> {
        let statement = statement(image, kind, predicate).to_string();
        let signed = format!(
            "DSSEv1 {} {PAYLOAD_TYPE} {} {statement}",
            PAYLOAD_TYPE.len(),
            statement.len()
        );
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| PatchKeyError::Sign)?;
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": {
                "payload": BASE64_STANDARD.encode(statement.as_bytes()),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{ "sig": BASE64_STANDARD.encode(signature.as_ref()) }],
            },
        });
        Ok(bundle.to_string().into_bytes())
    }
}

/// An in-toto statement (v1) about an image.
pub fn statement(image: &Digest, kind: &str, predicate: &Value) -> Value {
    let (algorithm, hex) = (image.algorithm().to_string(), image.hex());
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { algorithm: hex } }],
        "predicateType": kind,
        "predicate": predicate,
    })
}

#[cfg(test)]
mod tests {
    use oci::{Algorithm, Descriptor, RepoName, RepoPattern};
    use time::OffsetDateTime;

    use super::*;
    use crate::{Announced, Form, Image, SignerSpec, TrustedSigner, check};

    fn signer(key: &PatchKey) -> TrustedSigner {
        TrustedSigner::new(SignerSpec {
            name: "patch".to_owned(),
            repositories: vec![RepoPattern::everything()],
            key: Some(key.public_pem().unwrap()),
            identity: None,
            author: None,
            roots: None,
            match_reference: false,
            until: None,
            vex: false,
            products: Vec::new(),
        })
        .unwrap()
    }

    fn made_by(key: &PatchKey, by: &PatchKey, about: &Digest, kind: &str) -> crate::Checked {
        let bytes = by.bundle(about, kind, &json!({ "a": 1 })).unwrap();
        let image = Digest::of(Algorithm::Sha256, b"image");
        let repository: RepoName = "team/app".parse().unwrap();
        let announced = Announced {
            form: Form::Bundle,
            blob: Descriptor::new(
                BUNDLE.parse().unwrap(),
                Digest::of(Algorithm::Sha256, &bytes),
                bytes.len() as u64,
            ),
        };
        let image = Image {
            repository: &repository,
            digest: &image,
            manifest: b"image",
        };
        check(
            &announced,
            &bytes,
            &image,
            &[signer(key)],
            OffsetDateTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn what_it_signs_is_its_own_about_that_image_alone() {
        let (ours, other) = (PatchKey::make().unwrap(), PatchKey::make().unwrap());
        let (ours, other) = (PatchKey::read(&ours).unwrap(), PatchKey::read(&other).unwrap());
        let image = Digest::of(Algorithm::Sha256, b"image");
        let signed = made_by(&ours, &ours, &image, COSIGN_SIGN);
        assert_eq!(signed.signers, ["patch"]);
        assert!(signed.is_signature());
        let stated = made_by(&ours, &ours, &image, "https://slsa.dev/provenance/v1");
        assert_eq!(stated.signers, ["patch"]);
        assert!(!stated.is_signature());
        assert!(made_by(&ours, &other, &image, COSIGN_SIGN).signers.is_empty());
        let elsewhere = Digest::of(Algorithm::Sha256, b"other");
        assert!(made_by(&ours, &ours, &elsewhere, COSIGN_SIGN).signers.is_empty());
    }

    #[test]
    fn what_is_no_key_is_not_read() {
        assert_eq!(PatchKey::read(b"").err(), Some(PatchKeyError::Read));
        assert_eq!(PatchKey::read(&[0x30; 4_096]).err(), Some(PatchKeyError::Read));
    }
}
