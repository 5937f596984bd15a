//! What advisories said at a moment.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use findings::advisory::{self, AdvisoryIndex, Kev};
use store::{Store, Timestamp};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::FleetService;
use crate::judge::{Facts, index_of};

/// The last generation that was asked about: whoever asks as of a moment asks more than once.
#[derive(Default)]
pub(super) struct Then(Mutex<Option<(u64, Arc<AdvisoryIndex>)>>);

/// What is said of vulnerabilities.
pub(super) enum Said {
    /// Now.
    Now(Arc<Facts>),
    /// As of a moment.
    Then(Box<AsOf>),
}

/// What was said as of a moment. Advisories are kept by generation; of the catalogue of what is exploited and of the scores only the
/// newest that came is here.
pub(super) struct AsOf {
    generation: u64,
    index: Arc<AdvisoryIndex>,
    /// Of the catalogue what was in it by then, by the days that it tells.
    kev: Option<Kev>,
    /// With the scores, which count only if none came later.
    facts: Arc<Facts>,
    has_scores: bool,
    /// What of it is not as of then, in words.
    notes: Vec<String>,
}

impl Said {
    pub(super) fn generation(&self) -> u64 {
        match self {
            Self::Now(facts) => facts.generation,
            Self::Then(then) => then.generation,
        }
    }

    pub(super) fn knowledge(&self) -> advisory::Knowledge<'_> {
        match self {
            Self::Now(facts) => facts.knowledge(),
            Self::Then(then) => advisory::Knowledge {
                index: &then.index,
                kev: then.kev.as_ref(),
                epss: then.facts.epss.as_ref().filter(|_| then.has_scores),
            },
        }
    }

    /// What of the answer is not as of the moment that was asked about.
    pub(super) fn notes(&self) -> &[String] {
        match self {
            Self::Now(_) => &[],
            Self::Then(then) => &then.notes,
        }
    }
}

impl FleetService {
    /// What was said at a moment; `None`: now.
    pub(super) async fn said(&self, at: Option<Timestamp>) -> Result<Said> {
        let facts = self.knowledge.facts().await;
        let Some(at) = at else {
            return Ok(Said::Now(facts));
        };
        let generations = self.store.generations().await?;
        let then = generations.iter().rev().find(|(_, imported)| *imported <= at);
        let generation = then.map_or(0, |(generation, _)| *generation);
        let index = self.then.index(&self.store, generation).await?;
        // What came by then and was not replaced since is what was known.
        let is_of_then = |came: Option<u64>| came.is_some_and(|came| came <= generation);
        let mut notes = Vec::new();
        let kev = match &facts.kev {
            Some(kev) if is_of_then(self.store.document_generation("kev").await?) => Some(kev.clone()),
            Some(kev) => {
                notes.push(
                    "known to be exploited: by the days in the catalogue of today, since that of then is not kept"
                        .to_owned(),
                );
                let nanoseconds = i128::from(at.micros()) * 1_000;
                let moment = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds);
                Some(kev.as_of(moment.context("the moment is beyond any calendar")?.date()))
            }
            None => None,
        };
        let has_scores = is_of_then(self.store.document_generation("epss").await?);
        if facts.epss.is_some() && !has_scores {
            notes.push("EPSS: left out, since the scores of then are not kept".to_owned());
        }
        Ok(Said::Then(Box::new(AsOf {
            generation,
            index,
            kev,
            facts,
            has_scores,
            notes,
        })))
    }

    /// What is not known of a moment, whatever is asked about.
    pub(super) async fn lost_since(&self, at: Timestamp) -> Result<Option<String>> {
        let since = self.store.gone_known_since().await?;
        Ok((at < since).then(|| {
            format!(
                "images: some that were deleted before {} may be missing, since they are not kept for longer",
                since.to_rfc3339()
            )
        }))
    }
}

impl Then {
    async fn index(&self, store: &Store, generation: u64) -> Result<Arc<AdvisoryIndex>> {
        // Whoever asks for another one waits: several at once would take the memory of several.
        let mut known = self.0.lock().await;
        if let Some((_, index)) = known.as_ref().filter(|(of, _)| *of == generation) {
            return Ok(Arc::clone(index));
        }
        *known = None;
        let index = Arc::new(index_of(store, generation).await?);
        *known = Some((generation, Arc::clone(&index)));
        Ok(index)
    }
}
