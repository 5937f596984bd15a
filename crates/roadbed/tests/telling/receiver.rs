//! A receiver of webhooks that believes nothing that is not signed. It computes signatures by itself: HMAC from its definition (RFC
//! 2104) over `sha2`, so that a fault in ours cannot hide itself.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::http_server::{Asked, Server};

/// How old a message may be, in seconds.
const TOLERANCE: u64 = 300;

/// A message that was checked.
pub(super) struct Received {
    pub(super) id: String,
    pub(super) event: Value,
}

impl Received {
    pub(super) fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or_default()
    }

    pub(super) fn subject(&self) -> &str {
        self.event["subject"].as_str().unwrap_or_default()
    }
}

/// Everything that a server got so far, each checked with the secret.
pub(super) fn received(server: &Server, secret: &str) -> Result<Vec<Received>> {
    server.asked().iter().map(|asked| check(asked, secret)).collect()
}

/// Subjects of what a server got so far.
pub(super) fn subjects(server: &Server, secret: &str) -> Result<Vec<String>> {
    let all = received(server, secret)?;
    Ok(all.iter().map(|one| one.subject().to_owned()).collect())
}

/// Reads a message if it is signed with the secret, and not too long ago.
pub(super) fn check(asked: &Asked, secret: &str) -> Result<Received> {
    ensure!(asked.method == "POST", "{} is no POST", asked.method);
    let content_type = asked.header("content-type").unwrap_or_default();
    ensure!(
        content_type.starts_with("application/cloudevents+json"),
        "{content_type}"
    );
    let header = |name: &str| {
        asked
            .header(name)
            .map(str::to_owned)
            .with_context(|| format!("no {name}"))
    };
    let (id, sent) = (header("webhook-id")?, header("webhook-timestamp")?);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    ensure!(now.abs_diff(sent.parse()?) <= TOLERANCE, "sent at {sent}");
    let signed = [format!("{id}.{sent}.").as_bytes(), &asked.body].concat();
    let wanted = format!("v1,{}", base64(&hmac(&decode(secret)?, &signed)));
    let signatures = header("webhook-signature")?;
    ensure!(
        signatures.split(' ').any(|one| one == wanted),
        "{signatures} is not {wanted}"
    );
    let event: Value = serde_json::from_slice(&asked.body)?;
    for name in ["id", "source", "type"] {
        ensure!(
            event[name].as_str().is_some_and(|text| !text.is_empty()),
            "no {name}: {event}"
        );
    }
    ensure!(event["specversion"] == "1.0", "{event}");
    Ok(Received { id, event })
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

fn decode(secret: &str) -> Result<Vec<u8>> {
    use base64::Engine as _;
    let text = secret.strip_prefix("whsec_").context("no secret of a webhook")?;
    Ok(base64::prelude::BASE64_STANDARD.decode(text)?)
}

pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}
