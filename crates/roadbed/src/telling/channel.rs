//! How each kind of sink is spoken to.

mod jira;
mod mail;
mod rest;
mod servicenow;
mod slack;
mod tickets;
mod webhook;

use road::message::Message;
use road::sink::{SinkKind, SinkSpec};
use store::{Delivery, SinkSecrets, StoreError};

use super::TellingService;
use super::outcome::{NotTaken, Taken};
use super::plan::date_of;
use super::sample;

/// What came of a try, unless the store failed.
type Said = Result<Result<Taken, NotTaken>, StoreError>;

/// A way to a sink.
pub(super) struct Channel<'s> {
    pub(super) service: &'s TellingService,
    pub(super) spec: &'s SinkSpec,
    pub(super) secrets: &'s SinkSecrets,
}

impl Channel<'_> {
    /// Tells what was held back together, or one thing alone.
    pub(super) async fn tell(&self, deliveries: &[Delivery]) -> Said {
        let Some(first) = deliveries.first() else {
            return Ok(Ok(Taken::default()));
        };
        if self.spec.kind == SinkKind::Webhook {
            return Ok(self.webhook(first).await);
        }
        let Some(messages) = messages(deliveries) else {
            return Ok(Err(NotTaken::never("what is to be told cannot be read")));
        };
        let all: Vec<&Message> = messages.iter().collect();
        match self.spec.kind {
            SinkKind::Slack => Ok(self.slack(&all).await),
            SinkKind::Smtp => Ok(self.mail(&all).await),
            SinkKind::Webhook | SinkKind::Jira | SinkKind::ServiceNow => self.tickets(&all).await,
        }
    }

    /// Tells something that says that it is a test. No ticket is made: it is asked whether one could be.
    pub(super) async fn test(&self) -> Said {
        let now = date_of(self.service.store.now());
        let Ok(message) = sample::message(now) else {
            return Ok(Err(NotTaken::never("there is nothing to test with")));
        };
        Ok(match self.spec.kind {
            SinkKind::Webhook => self.test_webhook(now).await,
            SinkKind::Slack => self.slack(&[&message]).await,
            SinkKind::Smtp => self.test_mail(message).await,
            SinkKind::Jira => self.test_jira().await,
            SinkKind::ServiceNow => self.test_servicenow().await,
        })
    }

    /// The present secret.
    fn secret(&self) -> Result<&str, NotTaken> {
        let secret = self.secrets.present.as_ref();
        let missing = || NotTaken::later("the sink has no secret: set it with one");
        secret.map(access::SecretString::expose).ok_or_else(missing)
    }
}

fn messages(deliveries: &[Delivery]) -> Option<Vec<Message>> {
    let read = |delivery: &Delivery| serde_json::from_value(delivery.body.clone()).ok();
    deliveries.iter().map(read).collect()
}
