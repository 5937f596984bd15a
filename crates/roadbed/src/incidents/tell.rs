//! What owners must do about incidents, for whoever tells them.

use road::{message::Message, names::IncidentId};
use time::OffsetDateTime;

use super::IncidentService;
use crate::telling::{Messages, MessagesAsked};

impl Messages for IncidentService {
    fn messages<'a>(
        &'a self,
        incident: &'a IncidentId,
        now: OffsetDateTime,
    ) -> MessagesAsked<'a, Vec<Message>> {
        Box::pin(self.messages_of(incident, now))
    }

    fn open(&self, now: OffsetDateTime) -> MessagesAsked<'_, Vec<IncidentId>> {
        Box::pin(self.pressing(now))
    }
}
