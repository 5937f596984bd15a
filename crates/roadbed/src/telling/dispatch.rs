//! From what is to be told to those who are: one task per sink, one thing after the other.

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use store::{Attempt, Delivery, StoreError, StoredSink};

use super::TellingService;
use super::outcome::{NotTaken, Taken};
use super::pause;

/// Sinks that are being told something.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<Mutex<HashSet<String>>>);

/// A sink that one task has. Given back when it is dropped, however the task ends.
struct Place {
    busy: Busy,
    sink: String,
}

impl Busy {
    /// Takes a sink, unless somebody has it.
    fn take(&self, sink: &str) -> Option<Place> {
        self.names().insert(sink.to_owned()).then(|| Place {
            busy: self.clone(),
            sink: sink.to_owned(),
        })
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.busy.names().remove(&self.sink);
    }
}

impl TellingService {
    /// Begins to tell every sink what is due that is not being told something.
    pub(super) async fn dispatch(&self, sinks: &[StoredSink]) -> Result<(), StoreError> {
        for sink in sinks.iter().filter(|sink| sink.spec.enabled) {
            let Some(place) = self.busy.take(sink.spec.name.as_str()) else {
                continue;
            };
            if self.due(&place.sink).await?.is_none() {
                continue;
            }
            let service = self.clone();
            self.spawn(async move {
                if let Err(error) = service.drain(&place.sink).await {
                    let error = &error as &dyn Error;
                    tracing::warn!(sink = place.sink, error, "a sink cannot be told at the moment");
                }
            });
        }
        Ok(())
    }

    /// The delivery whose turn it is.
    async fn due(&self, sink: &str) -> Result<Option<Delivery>, StoreError> {
        let next = self.store.next_delivery(sink).await?;
        Ok(next.filter(|delivery| delivery.next_at <= self.store.now()))
    }

    /// Tells a sink what is due, until nothing is: one that failed is not, and whatever is behind it waits for it.
    async fn drain(&self, name: &str) -> Result<(), StoreError> {
        while let Some(delivery) = self.due(name).await? {
            let Some(sink) = self.store.sink(name).await?.filter(|sink| sink.spec.enabled) else {
                return Ok(());
            };
            let together = if delivery.is_held && delivery.incident.is_some() {
                self.store.digest_of(&delivery).await?
            } else {
                vec![delivery]
            };
            let secrets = self.store.sink_secrets(name).await?;
            let said = self.channel(&sink.spec, &secrets).tell(&together).await?;
            let attempt = self.attempt(&together, said);
            self.count(name, &attempt);
            self.store.note_attempt(&together, attempt).await?;
        }
        Ok(())
    }

    /// What is noted of a try.
    fn attempt(&self, deliveries: &[Delivery], said: Result<Taken, NotTaken>) -> Attempt {
        let refused = match said {
            Ok(Taken { status, note }) => return Attempt::Sent { status, note },
            Err(refused) => refused,
        };
        let mut random = [0];
        // Without random bytes the pause is the shortest.
        let _ = getrandom::fill(&mut random);
        let now = self.store.now();
        let next = |delivery| pause::next(delivery, refused.retry_after, now, &self.limits, random[0]);
        let next = deliveries.first().filter(|_| !refused.is_final).and_then(next);
        let NotTaken { status, error, .. } = refused;
        match next {
            Some(next_at) => Attempt::Failed {
                status,
                error,
                next_at,
            },
            None => Attempt::Dead { status, error },
        }
    }

    fn count(&self, sink: &str, attempt: &Attempt) {
        match attempt {
            Attempt::Sent { .. } => self.metrics.sent(),
            Attempt::Failed { error, .. } => {
                self.metrics.failed();
                tracing::info!(sink, error, "a sink could not be told; it is tried again");
            }
            Attempt::Dead { error, .. } => {
                self.metrics.failed();
                tracing::warn!(
                    sink,
                    error,
                    "a sink could not be told, and it is not tried any more"
                );
            }
        }
    }
}
