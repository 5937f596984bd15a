//! Images, signers, and an authority with its log.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use oci::{Algorithm, Descriptor, Digest, RepoName};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SigningKey as _,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{Announced, Checked, Form, Identity, Image, SignerSpec, TrustedSigner, check};

/// The moment of judgement.
pub(super) const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

/// When keyless signatures are made; their certificates live for ten minutes around it.
pub(super) const SIGNED: OffsetDateTime = datetime!(2025-01-01 12:00 UTC);

pub(super) const ISSUER: &str = "https://token.example";
pub(super) const SUBJECT: &str = "https://example.com/app/release.yaml";

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

pub(super) fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

/// The image that everything is about.
pub(super) struct Subject {
    pub(super) repository: RepoName,
    pub(super) manifest: Vec<u8>,
    pub(super) digest: Digest,
}

impl Subject {
    pub(super) fn new(manifest: &str) -> Self {
        Self {
            repository: "prod/app".parse().unwrap(),
            digest: sha256(manifest.as_bytes()),
            manifest: manifest.as_bytes().to_vec(),
        }
    }

    pub(super) fn image(&self) -> Image<'_> {
        Image {
            repository: &self.repository,
            digest: &self.digest,
            manifest: &self.manifest,
        }
    }

    /// cosign's payload about it.
    pub(super) fn payload(&self) -> Vec<u8> {
        json!({
            "critical": {
                "identity": { "docker-reference": "registry.example:5000/prod/app" },
                "image": { "docker-manifest-digest": self.digest },
                "type": "cosign container image signature",
            },
            "optional": null,
        })
        .to_string()
        .into_bytes()
    }

    /// A statement about it.
    pub(super) fn statement(&self, predicate_type: &str, predicate: &Value) -> Vec<u8> {
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "prod/app", "digest": { "sha256": self.digest.hex() } }],
            "predicateType": predicate_type,
            "predicate": predicate,
        })
        .to_string()
        .into_bytes()
    }
}

/// A document as it lies in a registry.
#[derive(Clone)]
pub(super) struct Paper {
    pub(super) form: Form,
    pub(super) bytes: Vec<u8>,
    pub(super) annotations: BTreeMap<String, String>,
}

impl Paper {
    /// A payload, signed.
    pub(super) fn signed(payload: Vec<u8>, key: &KeyPair) -> Self {
        let signature = base64(key.sign(&payload).unwrap());
        Self {
            form: Form::SimpleSigning,
            bytes: payload,
            annotations: [("dev.cosignproject.cosign/signature".to_owned(), signature)].into(),
        }
    }

    /// A statement in an envelope.
    pub(super) fn enveloped(statement: &[u8], key: &KeyPair) -> Self {
        Self {
            form: Form::Envelope,
            bytes: envelope(statement, key).to_string().into_bytes(),
            annotations: BTreeMap::new(),
        }
    }

    /// A statement in a bundle, by a key without a log.
    pub(super) fn bundled(statement: &[u8], key: &KeyPair) -> Self {
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": envelope(statement, key),
        });
        Self {
            form: Form::Bundle,
            bytes: bundle.to_string().into_bytes(),
            annotations: BTreeMap::new(),
        }
    }

    pub(super) fn annotated(mut self, name: &str, value: impl Into<String>) -> Self {
        self.annotations
            .insert(format!("dev.sigstore.cosign/{name}"), value.into());
        self
    }

    pub(super) fn announced(&self) -> Announced {
        let media_type = "application/octet-stream".parse().unwrap();
        let mut blob = Descriptor::new(media_type, sha256(&self.bytes), self.bytes.len() as u64);
        blob.annotations.clone_from(&self.annotations);
        Announced {
            form: self.form,
            blob,
        }
    }

    pub(super) fn check(&self, subject: &Subject, signers: &[TrustedSigner]) -> Checked {
        check(&self.announced(), &self.bytes, &subject.image(), signers, NOW)
    }
}

fn envelope(statement: &[u8], key: &KeyPair) -> Value {
    let kind = "application/vnd.in-toto+json";
    let signed = sigstore_verify::types::pae(kind, statement);
    json!({
        "payloadType": kind,
        "payload": base64(statement),
        "signatures": [{ "sig": base64(key.sign(&signed).unwrap()), "keyid": "" }],
    })
}

/// A signer with nothing but a name and where it is trusted.
pub(super) fn spec(name: &str) -> SignerSpec {
    SignerSpec {
        name: name.to_owned(),
        repositories: vec!["prod/**".parse().unwrap()],
        key: None,
        identity: None,
        author: None,
        roots: None,
        match_reference: false,
        until: None,
        vex: false,
        products: Vec::new(),
    }
}

pub(super) fn with_key(name: &str, key: &KeyPair) -> SignerSpec {
    SignerSpec {
        key: Some(key.public_key_pem()),
        ..spec(name)
    }
}

pub(super) fn trusted(spec: SignerSpec) -> Vec<TrustedSigner> {
    vec![TrustedSigner::new(spec).unwrap()]
}

/// An authority like Fulcio, and a log like Rekor.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
    pem: String,
    log: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = key();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.not_before = datetime!(2020-01-01 0:00 UTC);
        params.not_after = datetime!(2040-01-01 0:00 UTC);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            certificate: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
            log: self::key(),
        }
    }

    /// Its `trusted_root.json`.
    pub(super) fn roots(&self) -> Value {
        let log = self.log.subject_public_key_info();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "certificateAuthorities": [{
                "subject": { "organization": "example", "commonName": "an authority" },
                "uri": "https://fulcio.example",
                "certChain": { "certificates": [{ "rawBytes": base64(&self.certificate) }] },
                "validFor": { "start": "2020-01-01T00:00:00Z" },
            }],
            "tlogs": [{
                "baseUrl": "https://rekor.example",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": base64(&log),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": { "start": "2020-01-01T00:00:00Z" },
                },
                "logId": { "keyId": base64(sha256(&log).bytes()) },
            }],
            "ctlogs": [],
            "timestampAuthorities": [],
        })
    }

    /// A signer who is certified by it.
    pub(super) fn signer(&self, subject: &str) -> SignerSpec {
        SignerSpec {
            identity: Some(Identity {
                issuer: ISSUER.to_owned(),
                subject: subject.to_owned(),
            }),
            roots: Some(self.roots().to_string()),
            ..spec("ci")
        }
    }

    /// A certificate for ten minutes around [`SIGNED`], PEM.
    pub(super) fn certify(&self, key: &KeyPair, subject: &str) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(subject.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = SIGNED - Duration::minutes(5);
        params.not_after = SIGNED + Duration::minutes(5);
        // Fulcio's "issuer (v2)": a DER string.
        let mut issuer = vec![0x0c, u8::try_from(ISSUER.len()).unwrap()];
        issuer.extend(ISSUER.as_bytes());
        let oid = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, issuer)];
        params.signed_by(key, &self.issuer).unwrap().pem()
    }

    /// What the log answers about a signature of a payload.
    pub(super) fn log(&self, paper: &Paper, verifier: &str, at: OffsetDateTime) -> String {
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": sha256(&paper.bytes).hex() } },
                "signature": {
                    "content": paper.annotations["dev.cosignproject.cosign/signature"],
                    "publicKey": { "content": base64(verifier) },
                },
            },
        });
        let id = sha256(&self.log.subject_public_key_info()).hex();
        let (body, at) = (base64(body.to_string()), at.unix_timestamp());
        // As RFC 8785 writes it.
        let entry = format!(r#"{{"body":"{body}","integratedTime":{at},"logID":"{id}","logIndex":7}}"#);
        json!({
            "SignedEntryTimestamp": base64(self.log.sign(entry.as_bytes()).unwrap()),
            "Payload": { "body": body, "integratedTime": at, "logIndex": 7, "logID": id },
        })
        .to_string()
    }

    /// A payload, signed by who was certified as the subject, and logged.
    pub(super) fn keyless(&self, payload: Vec<u8>, subject: &str) -> Paper {
        let key = key();
        let certificate = self.certify(&key, subject);
        let paper = Paper::signed(payload, &key);
        let log = self.log(&paper, &certificate, SIGNED);
        paper
            .annotated("certificate", certificate)
            .annotated("chain", &self.pem)
            .annotated("bundle", log)
    }
}
