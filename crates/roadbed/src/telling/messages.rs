//! Where messages about incidents come from.

use std::pin::Pin;

use road::message::Message;
use road::names::IncidentId;
use time::OffsetDateTime;

/// An answer that is on its way.
pub(crate) type Asked<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// Knows what owners must do about incidents.
pub(crate) trait Messages: Send + Sync {
    /// One message per owner; none where there is no such incident.
    fn messages<'a>(&'a self, incident: &'a IncidentId, now: OffsetDateTime) -> Asked<'a, Vec<Message>>;

    /// Incidents about which somebody must do something at this moment: what is due soon comes by time alone.
    fn open(&self, now: OffsetDateTime) -> Asked<'_, Vec<IncidentId>>;
}

/// There are none.
#[derive(Debug)]
pub(crate) struct NoIncidents;

impl Messages for NoIncidents {
    fn messages<'a>(&'a self, _: &'a IncidentId, _: OffsetDateTime) -> Asked<'a, Vec<Message>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn open(&self, _: OffsetDateTime) -> Asked<'_, Vec<IncidentId>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
