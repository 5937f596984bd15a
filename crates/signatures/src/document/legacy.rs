//! What cosign puts into the annotations of a layer, as the bundle that it would put there today.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use oci::{Algorithm, Digest};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::types::Bundle;

use super::{bundle, malformed};
use crate::{Problem, limits::MAX_PARTS};

/// The annotation with the certificate, PEM.
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";

/// The annotation with the certificates between it and the root, PEM.
const CHAIN: &str = "dev.sigstore.cosign/chain";

/// The annotation with what the log answered.
const LOG: &str = "dev.sigstore.cosign/bundle";

/// The annotation with a timestamp.
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// Who stands in a certificate that cannot be read.
const UNREADABLE: &str = "a certificate that cannot be read";

/// What the annotations hold.
pub(super) struct Legacy {
    pub(super) bundle: Result<Bundle, Problem>,
    pub(super) certificate: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireLog {
    signed_entry_timestamp: String,
    payload: WireEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBody {
    kind: String,
    api_version: String,
}

#[derive(Deserialize)]
struct WireTimestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

/// The content of a bundle: a signature of these bytes.
pub(super) fn message_signature(message: &[u8], signature: &[u8]) -> Value {
    json!({ "messageSignature": {
        "messageDigest": {
            "algorithm": "SHA2_256",
            "digest": BASE64_STANDARD.encode(Digest::of(Algorithm::Sha256, message).bytes()),
        },
        "signature": BASE64_STANDARD.encode(signature),
    }})
}

/// Makes a bundle of the content and the annotations. What cannot be made one still has a signature that a key may have made,
/// unless it was made with a certificate.
pub(super) fn read(annotations: &BTreeMap<String, String>, content: Value) -> Legacy {
    let bundle = make(annotations, content);
    let claimed = bundle.as_ref().ok().and_then(|made| bundle::claimed(made).ok());
    let has_certificate = annotations.get(CERTIFICATE).is_some_and(|pem| !pem.is_empty());
    Legacy {
        bundle,
        certificate: has_certificate.then(|| claimed.flatten().unwrap_or_else(|| UNREADABLE.to_owned())),
    }
}

fn make(annotations: &BTreeMap<String, String>, content: Value) -> Result<Bundle, Problem> {
    let certificates = certificates(annotations)?;
    let entries = log_entries(annotations)?;
    if certificates.is_empty() && entries.is_empty() {
        return Err(Problem::NotLogged);
    }
    let timestamps = timestamps(annotations)?;
    // 0.1 is the version that is content with the promise of a log, which is all that cosign kept then.
    let version = if entries.is_empty() { "0.2" } else { "0.1" };
    let mut material = json!({
        "tlogEntries": entries,
        "timestampVerificationData": { "rfc3161Timestamps": timestamps },
    });
    if certificates.is_empty() {
        material["publicKey"] = json!({ "hint": "" });
    } else {
        material["x509CertificateChain"] = json!({ "certificates": certificates });
    }
    let mut made = content;
    made["mediaType"] = json!(format!(
        "application/vnd.dev.sigstore.bundle+json;version={version}"
    ));
    made["verificationMaterial"] = material;
    let made: Bundle = serde_json::from_value(made).map_err(malformed)?;
    bundle::check_parts(&made)?;
    Ok(made)
}

/// The certificate, then those above it.
fn certificates(annotations: &BTreeMap<String, String>) -> Result<Vec<Value>, Problem> {
    let Some(own) = annotations.get(CERTIFICATE).filter(|pem| !pem.is_empty()) else {
        return Ok(Vec::new());
    };
    let chain = annotations.get(CHAIN).map(String::as_str).unwrap_or_default();
    let blocks = CertificateDer::pem_slice_iter(own.as_bytes())
        .take(1)
        .chain(CertificateDer::pem_slice_iter(chain.as_bytes()))
        .take(MAX_PARTS + 1);
    let read = blocks.map(|block| {
        let der = block.map_err(malformed)?;
        Ok(json!({ "rawBytes": BASE64_STANDARD.encode(&der) }))
    });
    let read: Vec<Value> = read.collect::<Result<_, Problem>>()?;
    if read.is_empty() {
        return Err(malformed(format!(
            "the annotation {CERTIFICATE} holds no certificate"
        )));
    }
    Ok(read)
}

fn log_entries(annotations: &BTreeMap<String, String>) -> Result<Vec<Value>, Problem> {
    let Some(text) = annotations.get(LOG).filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let log: WireLog = serde_json::from_str(text).map_err(malformed)?;
    let entry = log.payload;
    let body = BASE64_STANDARD.decode(&entry.body).map_err(malformed)?;
    let kind: WireBody = serde_json::from_slice(&body).map_err(malformed)?;
    let log_id = hex::decode(&entry.log_id).map_err(malformed)?;
    Ok(vec![json!({
        "logIndex": entry.log_index.to_string(),
        "logId": { "keyId": BASE64_STANDARD.encode(log_id) },
        "kindVersion": { "kind": kind.kind, "version": kind.api_version },
        "integratedTime": entry.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": log.signed_entry_timestamp },
        "canonicalizedBody": entry.body,
    })])
}

fn timestamps(annotations: &BTreeMap<String, String>) -> Result<Vec<Value>, Problem> {
    let Some(text) = annotations.get(TIMESTAMP).filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let timestamp: WireTimestamp = serde_json::from_str(text).map_err(malformed)?;
    Ok(vec![json!({ "signedTimestamp": timestamp.signed })])
}
