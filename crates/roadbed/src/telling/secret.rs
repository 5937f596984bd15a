//! Which secret a sink can have.

use std::net::IpAddr;

use access::SecretString;
use outbound::{Authorization, Url};
use road::sink::{SinkKind, SinkSpec};
use web::NewSecretOfSink;

use super::signature;

/// Longest secret, in bytes.
const MAX_BYTES: usize = 8_192;

/// Whether a sink can have a secret, and what target goes with it. `random` makes one for a webhook that is given none.
pub(super) fn of_sink(
    spec: &SinkSpec,
    given: Option<SecretString>,
    random: [u8; signature::MADE_BYTES],
    is_listed: &dyn Fn(IpAddr) -> bool,
) -> Result<NewSecretOfSink, String> {
    let text = given.as_ref().map(SecretString::expose);
    if text
        .is_some_and(|text| text.len() > MAX_BYTES || text.chars().any(char::is_control) || text.is_empty())
    {
        return Err(format!("a secret is one line of 1 to {MAX_BYTES} bytes"));
    }
    if matches!(spec.kind, SinkKind::Jira | SinkKind::ServiceNow) {
        check_plain(&spec.target, is_listed)?;
    }
    let mut made = NewSecretOfSink {
        target: None,
        secret: None,
        is_made: false,
    };
    match (spec.kind, text) {
        (SinkKind::Webhook, None) => {
            made.is_made = true;
            made.secret = Some(signature::secret_of(&random).into());
            return Ok(made);
        }
        (SinkKind::Webhook, Some(text)) if signature::key_of(text).is_none() => {
            return Err("the secret of a webhook is whsec_ and 24 to 64 bytes in base64; leave it out and one is made".to_owned());
        }
        (SinkKind::Slack, None) => {
            return Err("the secret of a slack sink is the URL of its incoming webhook".to_owned());
        }
        (SinkKind::Slack, Some(text)) => {
            check_plain(text, is_listed)?;
            made.target = Some(origin(text)?);
        }
        (SinkKind::Jira | SinkKind::ServiceNow, None) => {
            return Err(format!(
                "a {} sink needs a secret: its token or password",
                spec.kind.as_str()
            ));
        }
        (SinkKind::Smtp, None) if spec.user.is_some() => {
            return Err("who logs in to a mail server needs a secret: the password".to_owned());
        }
        (SinkKind::Smtp, Some(_)) if spec.user.is_none() => {
            return Err(
                "a password without a user logs nobody in: name the user, or leave the secret out".to_owned(),
            );
        }
        (SinkKind::Jira | SinkKind::ServiceNow, Some(text))
            if spec.user.is_none() && Authorization::new(format!("Bearer {text}")).is_none() =>
        {
            return Err("the secret cannot be sent as a bearer token".to_owned());
        }
        _ => {}
    }
    made.secret = given;
    Ok(made)
}

/// A secret that is sent as it is needs TLS, unless it stays in a network that the configuration lists.
fn check_plain(target: &str, is_listed: &dyn Fn(IpAddr) -> bool) -> Result<(), String> {
    let Ok(url) = Url::parse(target) else {
        return Ok(());
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let stays = host.parse().is_ok_and(is_listed);
    if url.scheme() != "http" || stays {
        return Ok(());
    }
    Err(
        "over http:// everybody in between reads the secret: use https://, or write the address of a host whose network \
         telling.allowed_private lists"
            .to_owned(),
    )
}

fn origin(text: &str) -> Result<String, String> {
    let wrong = "the secret of a slack sink is the whole URL of its incoming webhook, https://…";
    let url = Url::parse(text).map_err(|_| wrong)?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() || !url.username().is_empty() {
        return Err(wrong.to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: &str, user: Option<&str>) -> SinkSpec {
        let body =
            serde_json::json!({ "name": "x", "kind": kind, "target": "https://x.example", "user": user });
        serde_json::from_value(body).unwrap()
    }

    fn secret(kind: &str, user: Option<&str>, given: Option<&str>) -> Result<NewSecretOfSink, String> {
        of_sink(
            &spec(kind, user),
            given.map(|text| text.to_owned().into()),
            [7; 32],
            &|address| address.is_loopback(),
        )
    }

    #[test]
    fn each_kind_has_its_own() {
        let made = secret("webhook", None, None).unwrap();
        assert!(made.is_made && made.secret.unwrap().expose().starts_with("whsec_"));
        let slack = secret("slack", None, Some("https://hooks.slack.com/services/T/B/x")).unwrap();
        assert_eq!(slack.target.as_deref(), Some("https://hooks.slack.com"));
        assert!(secret("smtp", None, None).unwrap().secret.is_none());
        for (kind, user, given, says) in [
            ("webhook", None, Some("short"), "whsec_"),
            ("slack", None, None, "URL"),
            ("slack", None, Some("hooks.slack.com"), "whole URL"),
            ("jira", None, None, "needs a secret"),
            ("servicenow", Some("ann"), None, "needs a secret"),
            ("smtp", Some("ann"), None, "needs a secret"),
            ("smtp", None, Some("x"), "name the user"),
            ("jira", None, Some("a\nb"), "one line"),
            ("jira", None, Some(""), "one line"),
            ("jira", None, Some("tök\u{7f}en"), "one line"),
        ] {
            let error = secret(kind, user, given).unwrap_err();
            assert!(error.contains(says), "{kind}: {error}");
        }
        let of = |kind: &str, target: &str, given: &str| {
            let spec = SinkSpec {
                target: target.to_owned(),
                ..spec(kind, Some("ann"))
            };
            of_sink(&spec, Some(given.to_owned().into()), [7; 32], &|address| {
                address.is_loopback()
            })
        };
        for kind in ["jira", "servicenow"] {
            for target in [
                "http://jira.example",
                "http://198.51.100.1",
                "HTTP://jira.example/x",
                "http://[2001:db8::1]/",
            ] {
                let refused = of(kind, target, "token").unwrap_err();
                assert!(refused.contains("https://"), "{target}: {refused}");
            }
            for target in ["https://jira.example", "http://127.0.0.1:8080", "http://[::1]/"] {
                assert!(of(kind, target, "token").is_ok(), "{target}");
            }
        }
        assert!(
            of("slack", "", "http://hooks.example/very-secret")
                .unwrap_err()
                .contains("https://")
        );
        assert!(of("slack", "", "http://127.0.0.1/services/x").is_ok());
        let long = "x".repeat(MAX_BYTES + 1);
        assert!(secret("jira", None, Some(&long)).unwrap_err().contains("8192"));
    }
}
