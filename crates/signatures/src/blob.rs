//! Detached signatures of files, as `cosign sign-blob --key` makes them.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

use crate::key::PublicKey;
use crate::limits::MAX_KEY_BYTES;
use crate::signer::SignerError;

/// Largest document that holds a signature, in bytes: with a certificate and an entry of a log it has some thousands.
pub const MAX_SIGNATURE_BYTES: usize = 256 << 10;

/// A key that signatures of files are verified with: ECDSA, or RSA, over SHA-256.
pub struct BlobKey(PublicKey);

/// Hashes a file piece by piece.
pub struct BlobHasher(Context);

/// What a signature is about.
pub struct BlobDigest(Digest);

/// A document with a signature: Sigstore's bundle, or that of cosign before version 3.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    message_signature: Option<MessageSignature>,
    base64_signature: Option<String>,
}

#[derive(Deserialize)]
struct MessageSignature {
    signature: String,
}

impl BlobKey {
    /// Reads a PEM block `PUBLIC KEY`.
    ///
    /// # Errors
    /// It is none, or of a kind that is not verified.
    pub fn from_pem(pem: &str) -> Result<Self, SignerError> {
        if pem.len() > MAX_KEY_BYTES {
            return Err(SignerError::Key);
        }
        PublicKey::from_pem(pem).map(Self)
    }

    /// Whether the key made the signature of a file.
    pub fn made(&self, digest: &BlobDigest, signature: &[u8]) -> bool {
        self.0.made_of_digest(&digest.0, signature)
    }
}

impl Default for BlobHasher {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl BlobHasher {
    /// Takes what comes next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// All of it has come.
    pub fn finish(self) -> BlobDigest {
        BlobDigest(self.0.finish())
    }
}

impl BlobDigest {
    /// The hash, SHA-256.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }
}

/// The signature in a file that cosign wrote: Base64 alone (`--output-signature`), or in a document (`--bundle`). `None`: there is none.
pub fn signature_in(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_SIGNATURE_BYTES {
        return None;
    }
    let text = text.trim();
    let document: Option<Document> = serde_json::from_str(text).ok();
    let encoded = match &document {
        Some(document) => {
            let of_message = document
                .message_signature
                .as_ref()
                .map(|of| of.signature.as_str());
            of_message.or(document.base64_signature.as_deref())?
        }
        None => text,
    };
    let signature = BASE64_STANDARD.decode(encoded).ok()?;
    (!signature.is_empty()).then_some(signature)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    use rcgen::{KeyPair, PublicKeyData as _};

    use super::*;

    fn digest(text: &[u8]) -> BlobDigest {
        let mut hasher = BlobHasher::default();
        text.chunks(3).for_each(|part| hasher.update(part));
        hasher.finish()
    }

    #[test]
    fn a_key_knows_what_it_signed_and_nothing_else() {
        let pair = KeyPair::generate().unwrap();
        let (der, text) = (pair.serialize_der(), b"what is signed");
        let signing = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).unwrap();
        let signature = signing.sign(&SystemRandom::new(), text).unwrap();
        let pem = pem_of(&pair.subject_public_key_info());
        let key = BlobKey::from_pem(&pem).unwrap();
        assert!(key.made(&digest(text), signature.as_ref()));
        assert!(!key.made(&digest(b"what is signed."), signature.as_ref()));
        assert!(!key.made(&digest(text), &signature.as_ref()[1..]));
        let other = pem_of(&KeyPair::generate().unwrap().subject_public_key_info());
        assert!(
            !BlobKey::from_pem(&other)
                .unwrap()
                .made(&digest(text), signature.as_ref())
        );
        assert!(BlobKey::from_pem("none").is_err());
    }

    fn pem_of(der: &[u8]) -> String {
        let text = BASE64_STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    #[test]
    fn signatures_are_found_in_every_form() {
        let encoded = BASE64_STANDARD.encode(b"signature");
        for text in [
            format!("{encoded}\n"),
            format!(
                r#"{{"mediaType":"x","messageSignature":{{"messageDigest":{{}},"signature":"{encoded}"}}}}"#
            ),
            format!(r#"{{"base64Signature":"{encoded}"}}"#),
        ] {
            assert_eq!(signature_in(&text).as_deref(), Some(&b"signature"[..]), "{text}");
        }
        for text in ["", "{}", "no base64!", "[1]"] {
            assert_eq!(signature_in(text), None, "{text}");
        }
    }
}
