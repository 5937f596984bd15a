//! How upstreams are, for whoever looks after the registry: whether each was reached when it was last asked, since when, and what
//! was wrong last.

use std::sync::{Arc, Mutex, PoisonError};

use oci::RepoName;
use store::Timestamp;
use tokio::time::Instant;

use super::Proxy;
use super::source::{SourceBudget, SourceError};
use super::upstreams::Upstream;

/// What an upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamKind {
    /// A registry.
    #[default]
    Registry,
    /// A classic repository of Helm charts.
    Helm,
}

impl UpstreamKind {
    /// As it is configured.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Helm => "helm",
        }
    }
}

/// How an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamCondition {
    /// What it is called.
    pub name: Arc<str>,
    /// What it is.
    pub kind: UpstreamKind,
    /// The path under which its repositories are kept.
    pub prefix: RepoName,
    /// Where it is.
    pub place: Arc<str>,
    /// Whether it answered when it was last asked, and since when that is so; `None`: nobody has asked it since the start.
    pub reached: Option<(bool, Timestamp)>,
    /// What it brought last in place of what it was asked for, and when. That it does not have something is no failure.
    pub last_failure: Option<(Timestamp, String)>,
    /// What may still be asked of it within this hour.
    pub budget: SourceBudget,
    /// Blobs that come from it now.
    pub flights: u64,
    /// Pulls answered with what is held and fresh, since the start.
    pub hits: u64,
    /// Pulls for which it was asked.
    pub misses: u64,
    /// Pulls answered with what is held in place of its answer.
    pub stale: u64,
    /// Questions that failed.
    pub errors: u64,
    /// Bytes taken in.
    pub fetched_bytes: u64,
}

/// What became of questions to one upstream. Moments are those of tokio's clock, as the breaker's are.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    reached: Option<(bool, Instant)>,
    failure: Option<(Instant, String)>,
}

impl State {
    fn reach(&mut self, now: Instant, is_reached: bool) {
        if self.reached.is_none_or(|(before, _)| before != is_reached) {
            self.reached = Some((is_reached, now));
        }
    }
}

impl Answers {
    /// It was reached, whatever came of it.
    pub(crate) fn heard(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.reach(now, true);
    }

    /// Notes what a question came to.
    pub(crate) fn note<T>(&self, now: Instant, answer: &Result<T, SourceError>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_reached = match answer {
            // Nothing was asked, or perhaps of somebody else.
            Err(SourceError::OverBudget { .. } | SourceError::Failing(_)) => {
                state.reached.map(|(is_reached, _)| is_reached)
            }
            Err(SourceError::Unreachable(_)) => Some(false),
            _ => Some(true),
        };
        if let Some(is_reached) = is_reached {
            state.reach(now, is_reached);
        }
        if let Err(error) = answer
            && !matches!(error, SourceError::NotFound)
        {
            state.failure = Some((now, error.to_string()));
        }
    }

    /// Since when it is not reached, if it is not.
    fn unreached(&self) -> Option<Instant> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .reached
            .and_then(|(is_reached, since)| (!is_reached).then_some(since))
    }
}

impl Proxy {
    /// How all upstreams are, by name.
    pub(crate) fn conditions(&self) -> Vec<UpstreamCondition> {
        let mut list: Vec<_> = self
            .inner
            .upstreams
            .iter()
            .map(|upstream| self.condition(upstream))
            .collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        list
    }

    /// Those that are not reached, and since when.
    pub(crate) fn unreached(&self) -> Vec<(Arc<str>, Timestamp)> {
        let away = self.inner.upstreams.iter().filter_map(|upstream| {
            let since = upstream.answers.unreached()?;
            Some((Arc::clone(&upstream.config.name), self.at(since)))
        });
        let mut away: Vec<_> = away.collect();
        away.sort();
        away
    }

    fn condition(&self, upstream: &Upstream) -> UpstreamCondition {
        let config = &upstream.config;
        let counted = self.inner.metrics.counted(upstream);
        let state = upstream.answers.0.lock().unwrap_or_else(PoisonError::into_inner);
        UpstreamCondition {
            name: Arc::clone(&config.name),
            kind: config.kind(),
            prefix: config.prefix.clone(),
            place: Arc::clone(&config.place),
            reached: state
                .reached
                .map(|(is_reached, since)| (is_reached, self.at(since))),
            last_failure: state
                .failure
                .as_ref()
                .map(|(at, why)| (self.at(*at), why.clone())),
            budget: config.source.budget_left(),
            flights: upstream.flights.state().serving as u64,
            hits: counted.hits,
            misses: counted.misses,
            stale: counted.stale,
            errors: counted.errors,
            fetched_bytes: counted.fetched_bytes,
        }
    }

    /// The moment by the store's clock.
    fn at(&self, moment: Instant) -> Timestamp {
        self.inner.store.now().minus(moment.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn away() -> Result<(), SourceError> {
        Err(SourceError::Unreachable("no route".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_known_since_when_an_upstream_is_not_reached() {
        let answers = Answers::default();
        let first = Instant::now();
        assert_eq!(answers.unreached(), None, "nobody has asked");
        answers.note(first, &away());
        let later = first + Duration::from_mins(5);
        answers.note(later, &away());
        assert_eq!(answers.unreached(), Some(first), "since the first time");
        answers.note::<()>(later, &Err(SourceError::Failing("503".to_owned())));
        assert_eq!(
            answers.unreached(),
            Some(first),
            "perhaps somebody else was asked"
        );
        let spent = SourceError::OverBudget {
            retry_after: Duration::from_secs(1),
        };
        answers.note::<()>(later, &Err(spent));
        assert_eq!(answers.unreached(), Some(first), "nothing was asked");
        answers.note::<()>(later, &Err(SourceError::NotFound));
        assert_eq!(answers.unreached(), None, "a no is an answer");
        let state = answers.0.lock().unwrap();
        assert!(
            state.failure.as_ref().unwrap().1.contains("used up"),
            "a no is no failure"
        );
        drop(state);
        answers.note(later, &away());
        answers.heard(later);
        assert_eq!(answers.unreached(), None);
    }
}
