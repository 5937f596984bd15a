//! Incoming webhooks of Slack, and of what takes the same payload.

use http::{HeaderValue, header};
use outbound::{Sending, Url};
use road::message::{Message, slack_digest};

use super::Channel;
use crate::telling::outcome::{NotTaken, Taken, of_error, of_hidden_reply};

/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 4_096;

impl Channel<'_> {
    pub(super) async fn slack(&self, messages: &[&Message]) -> Result<Taken, NotTaken> {
        let url: Url = self
            .secret()?
            .parse()
            .map_err(|_| NotTaken::later("the secret is no URL: set the sink anew"))?;
        let sending = Sending::post(url, slack_digest(messages).to_string(), ANSWER_BYTES).header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        let sent = self.service.http.send(&sending).await;
        of_hidden_reply(&sent.map_err(|error| of_error(&error))?)
    }
}
