//! Webhooks: `CloudEvents` in JSON, signed as Standard Webhooks has it.

use http::{HeaderName, HeaderValue, header};
use outbound::{Sending, Url};
use road::message::{AuditEvent, Message, audit_event, cloud_event};
use serde_json::Value;
use store::Delivery;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Channel;
use crate::telling::outcome::{NotTaken, Taken, of_error, of_hidden_reply};
use crate::telling::plan::{MESSAGE, WORK_MESSAGE};
use crate::telling::{sample, signature};

/// Media type of one event.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 4_096;

impl Channel<'_> {
    pub(super) async fn webhook(&self, delivery: &Delivery) -> Result<Taken, NotTaken> {
        let source = &self.service.source;
        let unreadable = |_| NotTaken::never("what is to be told cannot be read");
        let event = if [MESSAGE, WORK_MESSAGE].contains(&delivery.kind.as_str()) {
            let message: Message = serde_json::from_value(delivery.body.clone()).map_err(unreadable)?;
            cloud_event(&message, source)
        } else {
            let line: AuditEvent = serde_json::from_value(delivery.body.clone()).map_err(unreadable)?;
            audit_event(&line, source)
        };
        self.post(&delivery.uid, &event).await
    }

    pub(super) async fn test_webhook(&self, now: OffsetDateTime) -> Result<Taken, NotTaken> {
        let line = AuditEvent {
            seq: 0,
            at: now,
            kind: sample::KIND.to_owned(),
            subject: self.spec.name.to_string(),
            actor: store::SYSTEM.to_owned(),
            cause: "test".to_owned(),
            body: serde_json::json!({ "text": "Roadbed can reach you" }),
        };
        let event = audit_event(&line, &self.service.source);
        self.post(&Uuid::now_v7(), &event).await
    }

    async fn post(&self, id: &Uuid, event: &Value) -> Result<Taken, NotTaken> {
        let url: Url = self
            .spec
            .target
            .parse()
            .map_err(|_| NotTaken::later("the target is no URL: set the sink anew"))?;
        let (id, body) = (id.to_string(), event.to_string());
        let seconds = self.service.store.now().seconds();
        let mut secrets = vec![self.secret()?];
        secrets.extend(self.secrets.old.as_ref().map(access::SecretString::expose));
        let signed = signature::sign(&secrets, &id, seconds, &body)
            .ok_or_else(|| NotTaken::later("nothing can be signed with the secret: set another one"))?;
        let mut sending = Sending::post(url, body, ANSWER_BYTES)
            .header(header::CONTENT_TYPE, HeaderValue::from_static(CLOUD_EVENT));
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signed),
        ] {
            let value = HeaderValue::try_from(value).map_err(|_| NotTaken::never("it cannot be signed"))?;
            sending = sending.header(HeaderName::from_static(name), value);
        }
        let sent = self.service.http.send(&sending).await;
        of_hidden_reply(&sent.map_err(|error| of_error(&error))?)
    }
}
