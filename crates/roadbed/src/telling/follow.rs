//! From the audit log to what is to be told: read behind the cursor, written together with it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use oci::Digest;
use road::names::{BaseName, IncidentId};
use road::work::{self, Host};
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
            let mut failed = |about: &str, told: Result<()>| match told {
                Err(error) if *failures < FAILURES => {
                    *failures += 1;
                    Err(error)
                }
                Err(error) => {
                    let error: &dyn std::error::Error = error.as_ref();
                    tracing::error!(about, error, "what owners must do about something cannot be told");
                    Ok(())
                }
                Ok(()) => Ok(()),
            };
            for incident in incidents(&lines) {
                let told = self.of_incident(sinks, &incident, &mut telling).await;
                failed(incident.as_str(), told)?;
            }
            let of_work: BTreeSet<_> = lines.iter().filter_map(plan::work_of).collect();
            for (base, release) in of_work {
                let told = self.of_work(sinks, (&base, &release), &mut telling).await;
                failed(base.as_str(), told)?;
            }
            *failures = 0;
            let is_full = lines.len() == LINES;
            self.store.tell(telling, self.limits.pending).await?;
            if !is_full {
                return Ok(());
            }
        }
    }

    /// Asks what owners must do about open incidents, and about images that cannot follow: what is due comes by time alone, and what
    /// belongs to whom changes with what applications say.
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
        for (base, release) in self.store.releases_with_work().await? {
            let mut telling = Telling::default();
            self.of_work(sinks, (&base, &release), &mut telling).await?;
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

    /// What a release of a base asks of the owners of images that cannot follow to it by themselves.
    async fn of_work(
        &self,
        sinks: &[StoredSink],
        (base, release): (&BaseName, &Digest),
        telling: &mut Telling,
    ) -> Result<()> {
        let now = self.store.now();
        let work = self.store.work_of_release(base, release).await?;
        let road = self.store.road().await?;
        let host = Host::of_url(&self.source);
        // It goes through all of it; a thread that serves connections must not.
        let made = tokio::task::spawn_blocking(move || {
            work::messages(&work, &road.applications, host.as_ref(), plan::date_of(now))
        });
        let messages = made.await.context("the messages about a release were lost")?;
        let Some(first) = messages.first() else {
            return Ok(());
        };
        let before = self.store.told(first.incident.as_str()).await?;
        plan::of_messages(sinks, &messages, &before, now, telling);
        Ok(())
    }
}

/// Which incidents a part of the log is about.
fn incidents(lines: &[LogLine]) -> BTreeSet<IncidentId> {
    let ids = lines.iter().filter_map(plan::incident_of);
    ids.filter_map(|id| id.parse().ok()).collect()
}
