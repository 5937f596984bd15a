//! Events of the audit log as `CloudEvents`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::cloud_event::uri_reference;
use crate::escape;
use crate::incident::moment;

/// In front of the kind of an event, `dev.roadbed.audit.tag.set`.
pub const AUDIT_TYPE_PREFIX: &str = "dev.roadbed.audit.";

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its place in the log.
    pub seq: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What happened, `tag.set`.
    pub kind: String,
    /// To what.
    pub subject: String,
    /// Who did it.
    pub actor: String,
    /// Why.
    pub cause: String,
    /// What else there is to know.
    pub body: Value,
}

/// The event as one of `source`, a URI reference that names this registry. Place and time make its id: a log that was put back to
/// an earlier state gives the same places to others.
pub fn audit_event(event: &AuditEvent, source: &str) -> Value {
    let micros = event.at.unix_timestamp_nanos() / 1_000;
    json!({
        "specversion": "1.0",
        "id": format!("{}-{micros}", event.seq),
        "source": uri_reference(source),
        "type": format!("{AUDIT_TYPE_PREFIX}{}", event.kind),
        "subject": escape::line(&event.subject),
        "time": moment(event.at),
        "datacontenttype": "application/json",
        "data": event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_an_event() {
        let line = AuditEvent {
            seq: 7,
            at: crate::incident::tests::T0,
            kind: "tag.set".into(),
            subject: "team/app:v1\r\nx".into(),
            actor: "ann".into(),
            cause: "push".into(),
            body: json!({ "digest": "sha256:0" }),
        };
        let event = audit_event(&line, "");
        assert_eq!(event["id"], "7-1639096860000000");
        assert_eq!(event["type"], "dev.roadbed.audit.tag.set");
        assert_eq!(event["source"], "/");
        assert_eq!(event["subject"], "team/app:v1??x");
        assert_eq!(
            serde_json::from_value::<AuditEvent>(event["data"].clone()).unwrap(),
            line
        );
    }
}
