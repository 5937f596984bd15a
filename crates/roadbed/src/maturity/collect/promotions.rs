//! Promotions: a tag that is called like an environment of its application came to name an image.

use std::sync::Arc;

use anyhow::Result;
use maturity::{facts::Entry, signal::Fact, words::Subject};
use oci::{Digest, RepoName};
use store::{EventKind, LogLine};
use time::Duration;

use super::ground::{Ground, subject_of};
use super::notes::Notes;
use crate::maturity::collector::{Asked, Collected, Collector};

/// What was there so long before is not made for the environment.
const THERE_BEFORE: Duration = Duration::seconds(1);

/// Tells of promotions, as they happen.
pub(super) struct Promotions(pub(super) Arc<Ground>);

impl Collector for Promotions {
    fn name(&self) -> &'static str {
        "promotions"
    }

    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a> {
        Box::pin(self.of_line(asked, event))
    }

    fn of_subject<'a>(&'a self, _: Asked, _: &'a Subject) -> Collected<'a> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl Promotions {
    async fn of_line(&self, asked: Asked, event: &LogLine) -> Result<Vec<Entry>> {
        let Some((repository, tag, image)) = set(event) else {
            return Ok(Vec::new());
        };
        let places = self.0.places(asked).await?;
        let Some((name, _)) = places.app_of(&repository) else {
            return Ok(Vec::new());
        };
        let app = places.road.applications.get(name);
        let environments = app.and_then(|app| app.environments.as_ref());
        let is_environment = environments.is_some_and(|environments| {
            let mut all = environments.value().iter();
            all.any(|environment| environment.as_str() == tag)
        });
        let (true, Some(subject)) = (is_environment, subject_of(name)) else {
            return Ok(Vec::new());
        };
        let store = &self.0.store;
        let Some(found) = store.fleet_image(&repository, &image).await? else {
            return Ok(Vec::new());
        };
        let at = event.at.to_utc();
        let was_there = found.pushed_at.to_utc() + THERE_BEFORE <= at;
        let mut notes = Notes::about(asked, subject);
        let mut page = notes.item(store, &format!("promotion:{}", event.seq), at).await?;
        page.by([Some(event.seq)])
            .flag(Fact::PromotedUnchanged, was_there);
        Ok(notes.into_entries())
    }
}

/// Where a tag was set, which, and to what.
fn set(event: &LogLine) -> Option<(RepoName, &str, Digest)> {
    if EventKind::from_name(&event.kind) != Some(EventKind::TagSet) {
        return None;
    }
    let (repository, tag) = event.subject.rsplit_once(':')?;
    let image = event.body.get("digest")?.as_str()?;
    Some((repository.parse().ok()?, tag, image.parse().ok()?))
}
