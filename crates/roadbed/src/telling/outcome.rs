//! What comes of a try, in words that hold no secret: the URL of a chat's webhook is one.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use outbound::{OutboundError, Reply};
use thiserror::Error;

/// Characters of an answer that are repeated.
const SHOWN: usize = 200;

/// It was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// What was answered (HTTP).
    pub(super) status: Option<u16>,
    /// What should be known although it was taken.
    pub(super) note: Option<String>,
}

/// It was not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{error}")]
pub(super) struct NotTaken {
    /// What was answered (HTTP).
    pub(super) status: Option<u16>,
    /// Why, and what to do.
    pub(super) error: String,
    /// Whether it will never be taken as it is.
    pub(super) is_final: bool,
    /// For how long the receiver asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Fields that it refuses, where it names them apart from its words.
    pub(super) fields: Vec<String>,
}

impl NotTaken {
    /// It may be taken later.
    pub(super) fn later(error: impl Into<String>) -> Self {
        Self {
            status: None,
            error: error.into(),
            is_final: false,
            retry_after: None,
            fields: Vec::new(),
        }
    }

    /// It will never be taken as it is.
    pub(super) fn never(error: impl Into<String>) -> Self {
        Self {
            is_final: true,
            ..Self::later(error)
        }
    }
}

/// What an answer means that is not repeated, since it may hold the target, and that is a secret; but for a word such as Slack's
/// `no_service`.
pub(super) fn of_hidden_reply(reply: &Reply) -> Result<Taken, NotTaken> {
    let said = shown(&reply.body);
    let is_word = said.len() <= 40 && said.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    of(reply, if is_word { &said } else { "" })
}

/// What an answer means for what was sent.
pub(super) fn of_reply(reply: &Reply) -> Result<Taken, NotTaken> {
    of(reply, &shown(&reply.body))
}

fn of(reply: &Reply, said: &str) -> Result<Taken, NotTaken> {
    let status = reply.status;
    if status.is_success() {
        return Ok(Taken {
            status: Some(status.as_u16()),
            note: None,
        });
    }
    let advice = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": check the sink's secret and user",
        StatusCode::NOT_FOUND | StatusCode::GONE => ": check the sink's target",
        status if status.is_redirection() => {
            ", which would lose what is sent: make the target what it redirects to"
        }
        _ => "",
    };
    // The same again would be refused again.
    let is_final = matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
    );
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(" ({said})")
    };
    Err(NotTaken {
        status: Some(status.as_u16()),
        error: format!("it answers {}{advice}{said}", status.as_u16()),
        is_final,
        retry_after: reply.retry_after,
        fields: Vec::new(),
    })
}

/// The beginning of an answer, on one line.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN * 4)]).into_owned();
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let plain: String = plain.take(SHOWN).collect();
    policy::yaml::one_line(plain.trim(), SHOWN)
}

/// Why nothing was answered.
pub(super) fn of_error(error: &OutboundError) -> NotTaken {
    let text = match error {
        OutboundError::Address { .. } => {
            format!(
                "{error}: if it should be reached all the same, list its network in telling.allowed_private"
            )
        }
        OutboundError::Url { offence, .. } => format!("the target cannot be used: {offence}"),
        OutboundError::Downgrade { .. } => {
            "it redirects from https to http, where everybody in between could read it".to_owned()
        }
        OutboundError::Redirects { most, .. } => format!("it redirects more than {most} times"),
        OutboundError::Unreachable { host, source } => format!("cannot reach {host}: {}", root(source)),
        OutboundError::Unconnected { host, source } => format!("cannot reach {host}: {source}"),
        OutboundError::Slow { limit, .. } => format!("it did not answer within {limit:?}"),
        OutboundError::Broken { .. } => "the connection broke off, or nothing came for too long".to_owned(),
        OutboundError::Mail {
            host,
            reason,
            may_pass,
        } => {
            let error = format!("{host} does not take the mail: {reason}");
            return if *may_pass {
                NotTaken::later(error)
            } else {
                NotTaken::never(error)
            };
        }
        _ => "it could not be sent".to_owned(),
    };
    NotTaken {
        retry_after: error.retry_after(),
        ..NotTaken::later(text)
    }
}

/// The last cause, which names no URL.
fn root(error: &reqwest::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.into(),
            is_cut: false,
            retry_after: None,
        }
    }

    #[test]
    fn answers_are_sorted_and_shown_on_one_line() {
        assert_eq!(of_reply(&reply(204, "")).unwrap().status, Some(204));
        for (status, is_final) in [
            (400, true),
            (413, true),
            (422, true),
            (404, false),
            (500, false),
            (302, false),
        ] {
            assert_eq!(
                of_reply(&reply(status, "")).unwrap_err().is_final,
                is_final,
                "{status}"
            );
        }
        let hidden = of_hidden_reply(&reply(404, "Cannot POST /services/T0/B0/TOKEN"))
            .unwrap_err()
            .error;
        assert_eq!(hidden, "it answers 404: check the sink's target");
        let word = of_hidden_reply(&reply(404, "no_service")).unwrap_err().error;
        assert_eq!(word, "it answers 404: check the sink's target (no_service)");
        let said = of_reply(&reply(401, "no\r\n\u{1b}[31m\u{202e}token"))
            .unwrap_err()
            .error;
        assert!(
            said.contains("401") && said.contains("secret") && !said.contains(['\n', '\u{1b}', '\u{202e}'])
        );
        assert!(of_reply(&reply(500, &"x".repeat(9_000))).unwrap_err().error.len() < 300);
    }

    #[test]
    fn errors_name_no_url() {
        let url: Box<outbound::Url> = Box::new("https://hooks.example/T0/secret".parse().unwrap());
        for error in [
            OutboundError::Broken {
                url: url.clone(),
                source: None,
            },
            OutboundError::Slow {
                url: url.clone(),
                limit: Duration::from_secs(1),
            },
            OutboundError::Redirects {
                url: url.clone(),
                most: 3,
            },
            OutboundError::Downgrade {
                from: url.clone(),
                to: url.clone(),
            },
            OutboundError::Url {
                url: url.to_string(),
                offence: "x",
            },
            OutboundError::Missing {
                url,
                status: StatusCode::NOT_FOUND,
            },
        ] {
            assert!(!of_error(&error).error.contains("secret"), "{error}");
        }
    }
}
