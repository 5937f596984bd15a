//! What the server does by itself.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::Duration;

use store::{Actor, FeedState, StoreError, Timestamp};
use tokio::task::JoinSet;
use web::wire::SyncReport;
use web::{RunningSync, SyncRefused};

use super::fetcher::Accepts;
use super::source::{Kind, Source};
use super::status::dice;
use super::sync::Feeds;

/// Longest pause before the first look: servers that are started together do not come together.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Time between two looks at what is due.
const BETWEEN: Duration = Duration::from_secs(15);

/// Who has failed and was warned about.
type Told = BTreeMap<&'static str, String>;

impl Feeds {
    /// Syncs what is due, until its task is ended. Whatever happens to a source is one warning and a state that is shown; nobody
    /// who pushes or pulls notices. A sync that takes long does not keep those of other sources from being begun.
    pub(crate) async fn follow(self) {
        tokio::time::sleep(FIRST_LOOK * u32::from(dice()) / 255).await;
        let mut told = Told::new();
        let mut running = JoinSet::new();
        loop {
            match self.begin_what_is_due().await {
                Ok(Some(sync)) => drop(running.spawn(sync.result)),
                Ok(None) => {}
                Err(error) => warn(&error),
            }
            let next = tokio::time::sleep(BETWEEN);
            tokio::pin!(next);
            loop {
                let ended = tokio::select! {
                    () = &mut next => break,
                    Some(ended) = running.join_next() => ended,
                };
                let report = ended.and_then(|ended| ended).map_err(StoreError::from);
                match report.flatten() {
                    Ok(report) => tell(&self.inner.sources, &report, &mut told),
                    Err(error) => warn(&error),
                }
            }
        }
    }

    async fn begin_what_is_due(&self) -> Result<Option<RunningSync>, StoreError> {
        let states = self.inner.store.feeds().await?;
        let states: HashMap<&str, &FeedState> = states
            .iter()
            .map(|state| (state.source.as_str(), state))
            .collect();
        let now = self.inner.store.now();
        let is_due = |source: &&Source| is_due(source, states.get(source.name()).copied(), now);
        let due: Vec<Source> = self.inner.sources.iter().filter(is_due).cloned().collect();
        let due = self.unasked(due);
        if due.is_empty() {
            return Ok(None);
        }
        match self.begin(due, Accepts::default(), Actor::system("feeds")) {
            Ok(running) => Ok(Some(running)),
            // Somebody asked for one; what it leaves is due the next time.
            Err(SyncRefused::Running | SyncRefused::Unknown(_)) => Ok(None),
        }
    }
}

fn warn(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "advisories could not be fetched, it is tried again"
    );
}

fn is_due(source: &Source, state: Option<&FeedState>, now: Timestamp) -> bool {
    state.is_none_or(|state| {
        let has_moved = state.failures == 0 && state.url != source.url.as_str();
        has_moved || state.next_at <= now
    })
}

/// One warning for each kind of source when it begins to fail, and one line when it is over.
fn tell(sources: &[Source], report: &SyncReport, told: &mut Told) {
    let kind_of = |name: &str| {
        let source = sources.iter().find(|source| source.name() == name);
        source.map_or("osv", |source| match source.kind {
            Kind::Kev => "kev",
            Kind::Epss => "epss",
            Kind::Osv(_) => "osv",
        })
    };
    for kind in ["kev", "epss", "osv"] {
        let of_kind = || {
            report
                .sources
                .iter()
                .filter(|outcome| kind_of(&outcome.source) == kind)
        };
        let failed: Vec<&str> = of_kind()
            .filter(|outcome| outcome.error.is_some())
            .map(|outcome| outcome.source.as_str())
            .collect();
        let error = of_kind().find_map(|outcome| outcome.error.as_deref());
        match (error, told.contains_key(kind)) {
            (Some(error), false) => {
                told.insert(kind, error.to_owned());
                tracing::warn!(
                    sources = failed.join(", "),
                    error,
                    "advisories could not be fetched; what was fetched before stays in force, and it is tried again \
                     (`roadbed advisories status`)"
                );
            }
            (Some(error), true) => {
                tracing::debug!(
                    sources = failed.join(", "),
                    error,
                    "advisories could not be fetched again"
                );
            }
            (None, true) if of_kind().next().is_some() => {
                told.remove(kind);
                tracing::info!(kind, "advisories are fetched again");
            }
            (None, _) => {}
        }
    }
    if let Some(generation) = report.generation {
        let changed: u64 = report.sources.iter().map(|outcome| outcome.changed).sum();
        tracing::info!(
            generation,
            changed,
            bytes = report.bytes,
            "advisories were fetched"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_source_is_due_when_its_time_has_come_or_its_place_is_another() {
        let source = Source::all(&config::Feeds::default()).remove(0);
        let now = Timestamp(1_000);
        let state = |url: &str, failures: u64, next_at: i64| FeedState {
            url: url.to_owned(),
            failures,
            next_at: Timestamp(next_at),
            ..FeedState::default()
        };
        let here = source.url.to_string();
        assert!(is_due(&source, None, now));
        assert!(is_due(&source, Some(&state(&here, 0, 1_000)), now));
        assert!(!is_due(&source, Some(&state(&here, 0, 1_001)), now));
        assert!(is_due(
            &source,
            Some(&state("https://former.example/", 0, 2_000)),
            now
        ));
        assert!(!is_due(
            &source,
            Some(&state("https://former.example/", 1, 2_000)),
            now
        ));
    }
}
