//! Sigstore's bundles.

use sigstore_verify::{
    crypto::parse_certificate_info,
    types::{Bundle, SignatureContent, bundle::VerificationMaterialContent},
};

use super::{About, Document, Signed, envelope, malformed};
use crate::{Problem, limits::MAX_PARTS, problem::clip};

/// Reads a bundle.
pub(super) fn read(bytes: &[u8]) -> Result<Document, Problem> {
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(malformed)?;
    check_parts(&bundle)?;
    let certificate = claimed(&bundle)?;
    let (signed, signature, predicate, about) = match &bundle.content {
        SignatureContent::MessageSignature(made) => {
            (Signed::Manifest, &made.signature, None, About::Manifest)
        }
        SignatureContent::DsseEnvelope(made) => {
            let (predicate, about) = envelope::statement(&made.payload_type, made.payload.as_bytes())?;
            (
                Signed::Statement(made.pae()),
                &made.signature.sig,
                Some(predicate),
                about,
            )
        }
        _ => return Err(malformed("its content is neither a signature nor an envelope")),
    };
    Ok(Document {
        signed,
        signatures: vec![signature.as_bytes().to_vec()],
        certificate,
        predicate,
        about,
        bundle: Ok(bundle),
    })
}

/// Each part costs a verification for each signer.
pub(super) fn check_parts(bundle: &Bundle) -> Result<(), Problem> {
    let material = &bundle.verification_material;
    let certificates = match &material.content {
        VerificationMaterialContent::X509CertificateChain { certificates } => certificates.len(),
        _ => 0,
    };
    let timestamps = material.timestamp_verification_data.rfc3161_timestamps.len();
    let parts = [
        ("certificates", certificates),
        ("log entries", material.tlog_entries.len()),
        ("timestamps", timestamps),
    ];
    for (what, found) in parts {
        if found > MAX_PARTS {
            return Err(Problem::TooMany {
                what,
                found,
                limit: MAX_PARTS,
            });
        }
    }
    Ok(())
}

/// Who stands in the certificate of a bundle, if it has one.
pub(super) fn claimed(bundle: &Bundle) -> Result<Option<String>, Problem> {
    let Some(certificate) = bundle.signing_certificate() else {
        return Ok(None);
    };
    let about = parse_certificate_info(certificate).map_err(malformed)?;
    let subject = about
        .identity
        .as_ref()
        .map_or("nobody", |subject| subject.as_str());
    let issuer = about.issuer.as_deref().unwrap_or("an unnamed issuer");
    Ok(Some(clip(&format!("{subject} of {issuer}"))))
}
