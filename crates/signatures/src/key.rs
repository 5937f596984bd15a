//! Plain public keys.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use sigstore_verify::types::DerPublicKey;

use crate::signer::SignerError;

/// What a key may have been used with; a key fits those of its kind only. Hashes other than the usual ones of a curve are what
/// cosign makes with imported keys.
static ALGORITHMS: [&(dyn VerificationAlgorithm + 'static); 8] = [
    &signature::ECDSA_P256_SHA256_ASN1,
    &signature::ECDSA_P384_SHA384_ASN1,
    &signature::ECDSA_P384_SHA256_ASN1,
    &signature::ECDSA_P521_SHA512_ASN1,
    &signature::ECDSA_P521_SHA256_ASN1,
    &signature::ED25519,
    &signature::RSA_PKCS1_2048_8192_SHA256,
    &signature::RSA_PSS_2048_8192_SHA256,
];

/// A public key that signatures are verified with.
pub(crate) struct PublicKey {
    ways: Vec<ParsedPublicKey>,
    pub(crate) der: DerPublicKey,
}

impl PublicKey {
    /// Reads a PEM block `PUBLIC KEY`: ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2,048 to 8,192 bits.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, SignerError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| SignerError::Key)?;
        let ways: Vec<ParsedPublicKey> = ALGORITHMS
            .iter()
            .filter_map(|algorithm| ParsedPublicKey::new(*algorithm, &*der).ok())
            .collect();
        if ways.is_empty() {
            return Err(SignerError::Key);
        }
        Ok(Self {
            ways,
            der: DerPublicKey::from_bytes(&der),
        })
    }

    /// Whether the key made the signature of a message with this hash. Ed25519 signs messages and never hashes of them.
    pub(crate) fn made_of_digest(&self, digest: &Digest, signature: &[u8]) -> bool {
        self.ways
            .iter()
            .any(|key| key.verify_digest_sig(digest, signature).is_ok())
    }

    /// Whether the key made the signature of this message.
    pub(crate) fn made(&self, message: &[u8], signature: &[u8]) -> bool {
        self.ways
            .iter()
            .any(|key| key.verify_sig(message, signature).is_ok())
    }
}
