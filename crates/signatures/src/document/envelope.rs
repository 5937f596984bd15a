//! DSSE envelopes around statements of in-toto.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use sigstore_verify::types::pae;

use super::{About, Document, Signed, legacy, malformed};
use crate::{Predicate, Problem, limits::MAX_PARTS};

/// The payload type of statements.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// Subjects of a statement that are looked at.
const MAX_SUBJECTS: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEnvelope {
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Deserialize)]
struct WireSignature {
    sig: String,
}

#[derive(Deserialize)]
struct WireStatement<'a> {
    #[serde(default)]
    subject: Vec<WireSubject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(borrow)]
    predicate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireSubject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// Reads an envelope with the annotations of its layer.
pub(super) fn read(bytes: &[u8], annotations: &BTreeMap<String, String>) -> Result<Document, Problem> {
    let envelope: WireEnvelope = serde_json::from_slice(bytes).map_err(malformed)?;
    let payload = BASE64_STANDARD.decode(&envelope.payload).map_err(malformed)?;
    if envelope.signatures.len() > MAX_PARTS {
        return Err(Problem::TooMany {
            what: "signatures",
            found: envelope.signatures.len(),
            limit: MAX_PARTS,
        });
    }
    let signatures = envelope
        .signatures
        .iter()
        .map(|made| BASE64_STANDARD.decode(&made.sig));
    let signatures = signatures.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    let content = json!({ "dsseEnvelope": {
        "payloadType": envelope.payload_type,
        "payload": envelope.payload,
        "signatures": envelope.signatures.iter().map(|made| json!({ "sig": made.sig })).collect::<Vec<_>>(),
    }});
    let legacy = legacy::read(annotations, content);
    let (predicate, about) = statement(&envelope.payload_type, &payload)?;
    Ok(Document {
        signed: Signed::Statement(pae(&envelope.payload_type, &payload)),
        signatures,
        bundle: legacy.bundle,
        certificate: legacy.certificate,
        predicate: Some(predicate),
        about,
    })
}

/// What a statement says, and about what.
pub(super) fn statement(payload_type: &str, payload: &[u8]) -> Result<(Predicate, About), Problem> {
    if payload_type != STATEMENT {
        return Err(malformed(format!(
            "its payload is {payload_type}, not {STATEMENT}"
        )));
    }
    let statement: WireStatement<'_> = serde_json::from_slice(payload).map_err(malformed)?;
    if statement.subject.len() > MAX_SUBJECTS {
        return Err(Problem::TooMany {
            what: "subjects",
            found: statement.subject.len(),
            limit: MAX_SUBJECTS,
        });
    }
    let digests = statement.subject.into_iter().flat_map(|subject| subject.digest);
    let digests = digests
        .map(|(algorithm, hex)| format!("{algorithm}:{}", hex.to_ascii_lowercase()))
        .collect();
    let predicate = Predicate {
        kind: statement.predicate_type,
        body: statement.predicate.map_or("{}", RawValue::get).to_owned(),
    };
    Ok((predicate, About::Digests(digests)))
}
