//! What answers say in their headers about parts, pauses and pages. Pure, and fed by strangers.

use std::time::{Duration, SystemTime};

use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// Longest `Retry-After` that is believed.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// How long an answer asks to be left alone: seconds or a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let asked = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let until = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        SystemTime::from(until).duration_since(now).unwrap_or_default()
    };
    Some(asked.min(LONGEST_PAUSE))
}

/// `Content-Range: bytes 5-9/10` (RFC 9110, section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) total: u64,
}

impl Range {
    /// What is sent of a whole.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (part, total) = halves(text)?;
        let (start, _) = part.split_once('-')?;
        Some(Self {
            start: start.parse().ok()?,
            total: total.parse().ok()?,
        })
    }

    /// How much there is, also where nothing of it is sent: `bytes */10`.
    pub(crate) fn total_in(text: &str) -> Option<u64> {
        halves(text)?.1.parse().ok()
    }
}

fn halves(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("bytes ")?.trim().split_once('/')
}

/// The target of `<target>; rel="next"` (RFC 8288).
pub(crate) fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let (parameters, more) = after.split_once(',').unwrap_or((after, ""));
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
        });
        if is_next {
            return Some(target);
        }
        rest = more;
    }
    None
}
