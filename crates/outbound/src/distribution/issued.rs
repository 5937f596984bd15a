//! What a token service answers (Docker's "Token authentication specification"). Pure, and fed by strangers.

use std::time::Duration;

use serde::Deserialize;

/// Bytes of a token; a longer one is none.
pub(super) const TOKEN_BYTES: usize = 16 * 1024;

/// How long a token lasts whose service does not say it (the same specification).
const USUAL_LIFETIME: Duration = Duration::from_mins(1);

/// Longest lifetime of a token that is believed.
pub(super) const LONGEST_LIFETIME: Duration = Duration::from_hours(24);

/// How long before its end a token is not used any more; of short ones, a quarter of their lifetime.
const MARGIN: Duration = Duration::from_secs(30);

/// A token as it was issued.
pub(super) struct Issued {
    /// As it is sent.
    pub(super) token: String,
    /// For how long it is used.
    pub(super) lasts: Duration,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    /// Seconds.
    #[serde(default)]
    expires_in: serde_json::Value,
}

/// The token in an answer; `None` where there is none that could be sent.
pub(super) fn issued(body: &[u8]) -> Option<Issued> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = answer
        .token
        .filter(|text| !text.is_empty())
        .or(answer.access_token)?;
    // RFC 6750, section 2.1, and no more than what fits into a header.
    let is_token = !token.is_empty() && token.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    if !is_token || token.len() > TOKEN_BYTES {
        return None;
    }
    let lifetime = answer.expires_in.as_u64().filter(|seconds| *seconds > 0);
    let lifetime = lifetime
        .map_or(USUAL_LIFETIME, Duration::from_secs)
        .min(LONGEST_LIFETIME);
    Some(Issued {
        token,
        lasts: lifetime.saturating_sub(MARGIN.min(lifetime / 4)),
    })
}
