//! One ticket per incident and application, brought up to date.

use oci::{Algorithm, Digest};
use road::message::{Message, Ticket, Upsert, tickets};
use road::sink::SinkKind;
use store::StoredTicket;

use super::{Channel, Said};
use crate::telling::outcome::{NotTaken, Taken};

/// The code with which `ServiceNow` resolves, unless the sink says another.
const CLOSE_CODE: &str = "Solution provided";

impl Channel<'_> {
    /// Brings the tickets of messages up to date, one after the other. What was written is noted at once: the next try goes on
    /// behind it.
    pub(super) async fn tickets(&self, messages: &[&Message]) -> Said {
        let mut written = 0;
        for message in messages {
            let all = tickets(message).into_iter().zip(&message.parts);
            for (ticket, part) in all {
                let known = self
                    .service
                    .store
                    .ticket(self.spec.name.as_str(), &ticket.key)
                    .await?;
                let said = said_by(&ticket);
                if known.as_ref().is_some_and(|known| known.said == said) {
                    continue;
                }
                let external = match self.upsert(&ticket, known.as_ref()).await {
                    Ok(Some(external)) => external,
                    Ok(None) => continue,
                    Err(error) => return Ok(Err(error)),
                };
                written += 1;
                let stored = StoredTicket {
                    key: ticket.key.clone(),
                    incident: message.incident.to_string(),
                    application: part.subject.clone(),
                    external,
                    said,
                    is_done: ticket.is_done,
                };
                self.service
                    .store
                    .note_ticket(self.spec.name.as_str(), stored)
                    .await?;
            }
        }
        Ok(Ok(Taken {
            status: None,
            note: (written != 1).then(|| format!("{written} tickets written")),
        }))
    }

    /// Writes one; answers what the other system calls it. `None`: there is none, and nothing to do about which there should be one.
    async fn upsert(
        &self,
        ticket: &Ticket,
        known: Option<&StoredTicket>,
    ) -> Result<Option<String>, NotTaken> {
        // One that was made and not noted is found by its key.
        let external = match known {
            Some(known) => Some(known.external.clone()),
            None => self.find(&ticket.key).await?,
        };
        if let Some(external) = external {
            let was_done = known.is_some_and(|known| known.is_done);
            let upsert = match (was_done, ticket.is_done) {
                (false, true) => {
                    Upsert::Resolve(self.spec.tickets.close_code.as_deref().unwrap_or(CLOSE_CODE))
                }
                (true, false) => Upsert::Reopen,
                _ => Upsert::Update,
            };
            if self.update(&external, ticket, upsert).await? {
                return Ok(Some(external));
            }
        }
        // Somebody may have deleted it.
        if ticket.is_done {
            return Ok(None);
        }
        self.create(ticket).await.map(Some)
    }

    async fn find(&self, key: &str) -> Result<Option<String>, NotTaken> {
        match self.spec.kind {
            SinkKind::Jira => self.find_issue(key).await,
            _ => self.find_incident(key).await,
        }
    }

    async fn create(&self, ticket: &Ticket) -> Result<String, NotTaken> {
        match self.spec.kind {
            SinkKind::Jira => self.create_issue(ticket).await,
            _ => self.create_incident(ticket).await,
        }
    }

    /// `false`: it is not there any more.
    async fn update(&self, external: &str, ticket: &Ticket, upsert: Upsert<'_>) -> Result<bool, NotTaken> {
        match self.spec.kind {
            SinkKind::Jira => self.update_issue(external, ticket, upsert).await,
            _ => self.update_incident(external, ticket, upsert).await,
        }
    }
}

/// Tells tickets apart that say something else.
fn said_by(ticket: &Ticket) -> String {
    let bytes = serde_json::to_vec(ticket).unwrap_or_default();
    Digest::of(Algorithm::Sha256, &bytes).to_string()
}
