//! What advisories said at a moment.

use std::sync::Arc;

use anyhow::Result;
use findings::advisory::{self, AdvisoryIndex};
use store::{Store, Timestamp};
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
    /// As of a moment. Of what was known to be exploited then, and how probable that was, nothing is kept.
    Then(u64, Arc<AdvisoryIndex>),
}

impl Said {
    pub(super) fn generation(&self) -> u64 {
        match self {
            Self::Now(facts) => facts.generation,
            Self::Then(generation, _) => *generation,
        }
    }

    pub(super) fn knowledge(&self) -> advisory::Knowledge<'_> {
        match self {
            Self::Now(facts) => facts.knowledge(),
            Self::Then(_, index) => advisory::Knowledge {
                index,
                kev: None,
                epss: None,
            },
        }
    }
}

impl FleetService {
    /// What was said at a moment; `None`: now.
    pub(super) async fn said(&self, at: Option<Timestamp>) -> Result<Said> {
        let Some(at) = at else {
            return Ok(Said::Now(self.knowledge.facts().await));
        };
        let generations = self.store.generations().await?;
        let then = generations.iter().rev().find(|(_, imported)| *imported <= at);
        let generation = then.map_or(0, |(generation, _)| *generation);
        Ok(Said::Then(
            generation,
            self.then.index(&self.store, generation).await?,
        ))
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
