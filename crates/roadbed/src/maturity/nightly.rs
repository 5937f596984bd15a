//! Everything of everybody, once a day, and what else comes by time: models whose day has come.

use std::sync::{Arc, PoisonError};

use anyhow::{Context as _, Result};
use maturity::{
    campaign::Campaign,
    facts::{Entry, EntryKind},
    words::Subject,
};
use serde_json::json;
use store::{Actor, EventKind, MaturityNews, MaturityWords, RecordKind};

use super::{
    collector::{Asked, MAX_COLLECTED},
    entries,
    follow::{ACTOR, Follower},
    models, news,
};

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// Subjects that are looked at before what they came to is written.
const SUBJECTS: usize = 20;

impl Follower {
    /// Has the log say once a day that everything is to be looked at.
    pub(super) async fn ask_for_evaluation(&mut self) -> Result<()> {
        let now = self.service.store.now();
        let day = now.seconds().div_euclid(DAY);
        if self.day != Some(day) {
            let evaluation = MaturityNews {
                once: Some(format!("evaluate/{day}")),
                kind: EventKind::MaturityEvaluate,
                subject: "*".to_owned(),
                rule_version: self.rule_version(),
                body: json!({}),
            };
            let system = Actor::system(ACTOR);
            self.service
                .store
                .tell_maturity(&system, vec![evaluation])
                .await?;
            self.day = Some(day);
        }
        Ok(())
    }

    fn rule_version(&self) -> String {
        let assessment = self.assessed.read().unwrap_or_else(PoisonError::into_inner);
        assessment.model().rule_version().to_string()
    }

    /// The model that counts now, if it is another one than the one that judges. Asked once all that was said counts.
    pub(super) async fn ask_for_model(&mut self) -> Result<()> {
        let now = self.service.store.now();
        if self.models_until.is_some_and(|until| now < until) {
            return Ok(());
        }
        let applied = self.service.store.maturity_models().await?;
        let campaigns = self.campaigns().await?;
        let until = models::next(&applied, now);
        let assessed = Arc::clone(&self.assessed);
        let read = tokio::task::spawn_blocking(move || -> Result<_> {
            let model = models::due(&applied, &campaigns, now)?;
            let assessment = assessed.read().unwrap_or_else(PoisonError::into_inner);
            let is_other = assessment.model().fingerprint() != model.fingerprint();
            Ok(is_other.then_some(model))
        });
        let read = read.await.context("the models were lost")?;
        let model = read.unwrap_or_else(|error| {
            let error = format!("{error:#}");
            tracing::error!(
                error,
                "the model that is to count cannot be read: the one before judges on"
            );
            None
        });
        if let Some(model) = model {
            let words = MaturityWords {
                kind: EventKind::MaturityModel,
                subject: model.id().to_string(),
                about: json!({ "counts": true, "rule_version": model.rule_version() }),
                said: entries::said(&[EntryKind::Judged(Box::new(model))])?,
                record: None,
            };
            self.service
                .store
                .say_maturity(&Actor::system(ACTOR), words)
                .await?;
            self.service.asked.notify_one();
        }
        self.models_until = Some(until);
        Ok(())
    }

    /// All that is known of everybody, as of a line that asks for it. Written as it goes on: a start goes on behind the last subject
    /// that is done.
    pub(super) async fn everything(&mut self, asked: Asked) -> Result<bool> {
        let mut subjects: Vec<(String, Subject)> = {
            let assessment = self.assessed.read().unwrap_or_else(PoisonError::into_inner);
            let all = assessment.facts().subjects().into_iter();
            all.map(|subject| (subject.to_string(), subject)).collect()
        };
        subjects.sort();
        let done = self.read.part.clone();
        subjects.retain(|(name, _)| done.as_ref().is_none_or(|done| name > done));
        for chunk in subjects.chunks(SUBJECTS) {
            for (_, subject) in chunk {
                let entries = self.all_of(asked, subject).await;
                self.count(entries).await?;
            }
            self.read.part = chunk.last().map(|(name, _)| name.clone());
            if !self.keep().await? {
                return Ok(false);
            }
        }
        self.advance(true).await?;
        self.tell_ends().await?;
        Ok(true)
    }

    async fn all_of(&self, asked: Asked, subject: &Subject) -> Vec<Entry> {
        let mut all = Vec::new();
        for collector in &self.service.collectors {
            match collector.of_subject(asked, subject).await {
                Ok(entries) => all.extend(entries.into_iter().take(MAX_COLLECTED)),
                Err(error) => {
                    let (error, collector) = (format!("{error:#}"), collector.name());
                    tracing::warn!(error, collector, %subject, "what is known of a subject could not be read");
                }
            }
        }
        all
    }

    async fn campaigns(&self) -> Result<Vec<Campaign>> {
        let records = self.service.store.maturity_records(RecordKind::Campaign).await?;
        let read = records
            .iter()
            .filter_map(|record| serde_json::from_str(&record.body).ok());
        Ok(read.collect())
    }

    /// Tells owners of what ends soon, and teams of what they agreed on: each end and each reminder once.
    async fn tell_ends(&self) -> Result<()> {
        let assessed = Arc::clone(&self.assessed);
        let campaigns = self.campaigns().await?;
        let ends = tokio::task::spawn_blocking(move || {
            let mut ends = news::ends(&assessed);
            ends.extend(
                campaigns
                    .iter()
                    .flat_map(|campaign| news::reminders(&assessed, campaign)),
            );
            ends
        });
        let ends = ends.await.context("what ends soon was lost")?;
        self.service
            .store
            .tell_maturity(&Actor::system(ACTOR), ends)
            .await?;
        Ok(())
    }
}
