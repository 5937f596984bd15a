//! cosign's signatures: a payload that names the image, and its signature in an annotation.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::{About, Document, Signed, legacy, malformed};
use crate::Problem;

/// The annotation that holds the signature, base64.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What cosign calls such a payload.
const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct WirePayload {
    critical: WireCritical,
}

#[derive(Deserialize)]
struct WireCritical {
    identity: WireIdentity,
    image: WireImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct WireIdentity {
    #[serde(rename = "docker-reference", default)]
    reference: String,
}

#[derive(Deserialize)]
struct WireImage {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Reads a payload with the annotations of its layer.
pub(super) fn read(bytes: &[u8], annotations: &BTreeMap<String, String>) -> Result<Document, Problem> {
    let WirePayload { critical } = serde_json::from_slice(bytes).map_err(malformed)?;
    if critical.kind != KIND {
        return Err(malformed(format!("its type is {}, not {KIND}", critical.kind)));
    }
    let signature = annotations
        .get(SIGNATURE)
        .ok_or_else(|| malformed(format!("its layer has no annotation {SIGNATURE}")))?;
    let signature = BASE64_STANDARD.decode(signature).map_err(malformed)?;
    let content = legacy::message_signature(bytes, &signature);
    let legacy = legacy::read(annotations, content);
    Ok(Document {
        signed: Signed::Payload(bytes.to_vec()),
        signatures: vec![signature],
        bundle: legacy.bundle,
        certificate: legacy.certificate,
        predicate: None,
        about: About::Image {
            digest: critical.image.digest,
            reference: critical.identity.reference,
        },
    })
}
