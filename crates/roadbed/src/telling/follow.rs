//! From the audit log to what is to be told: read behind the cursor, written together with it.

use std::collections::BTreeSet;

use anyhow::Result;
use road::names::IncidentId;
use store::{LogLine, StoredSink, Telling};

use super::TellingService;
use super::plan;

/// Lines of the log that are read at once.
const LINES: usize = 200;

/// How often in a row the messages about an incident may fail before the log is followed without them; open incidents are asked
/// about again by time.
const FAILURES: u32 = 10;

impl TellingService {
    /// Follows the log to its end.
    pub(super) async fn follow(&self, sinks: &[StoredSink], failures: &mut u32) -> Result<()> {
        let Some(first) = sinks.iter().map(|sink| sink.since).min() else {
            return Ok(());
        };
        loop {
            let cursor = self.store.telling_cursor().await?;
            // What came before there was any sink is nobody's news.
            let lines = self.store.log_lines(cursor.max(first), LINES).await?;
            let Some(last) = lines.last().map(|line| line.seq) else {
                return Ok(());
            };
            let mut telling = Telling {
                followed: Some((cursor, last)),
                deliveries: plan::of_lines(sinks, &lines, self.store.now()),
                unsaid: Vec::new(),
            };
            for incident in incidents(&lines) {
                match self.of_incident(sinks, &incident, &mut telling).await {
                    Err(error) if *failures < FAILURES => {
                        *failures += 1;
                        return Err(error);
                    }
                    Err(error) => {
                        let error: &dyn std::error::Error = error.as_ref();
                        tracing::error!(%incident, error, "what owners must do about an incident cannot be told");
                    }
                    Ok(()) => {}
                }
            }
            *failures = 0;
            let is_full = lines.len() == LINES;
            self.store.tell(telling, self.limits.pending).await?;
            if !is_full {
                return Ok(());
            }
        }
    }

    /// Asks what owners must do about open incidents: what is due comes by time alone.
    pub(super) async fn remind(&self, sinks: &[StoredSink]) -> Result<()> {
        if !sinks.iter().any(|sink| sink.spec.enabled && sink.spec.incidents) {
            return Ok(());
        }
        for incident in self.messages.open(plan::date_of(self.store.now())).await? {
            let mut telling = Telling::default();
            self.of_incident(sinks, &incident, &mut telling).await?;
            if !telling.is_empty() {
                self.store.tell(telling, self.limits.pending).await?;
            }
        }
        Ok(())
    }

    async fn of_incident(
        &self,
        sinks: &[StoredSink],
        incident: &IncidentId,
        telling: &mut Telling,
    ) -> Result<()> {
        let now = self.store.now();
        let messages = self.messages.messages(incident, plan::date_of(now)).await?;
        let before = self.store.told(incident.as_str()).await?;
        plan::of_messages(sinks, &messages, &before, now, telling);
        Ok(())
    }
}

/// Which incidents a part of the log is about.
fn incidents(lines: &[LogLine]) -> BTreeSet<IncidentId> {
    let ids = lines.iter().filter_map(plan::incident_of);
    ids.filter_map(|id| id.parse().ok()).collect()
}
