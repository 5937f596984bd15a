//! How upstreams are, for whoever looks after the registry: whether each was reached when it was last asked, since when, and what
//! was wrong last. The log says it when that changes, however often it does no more than so often.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

/// Least time between two lines of the log that say the same of one upstream.
const LINES_EVERY: Duration = Duration::from_mins(1);

/// What became of questions to one upstream. Moments are those of tokio's clock, as the breaker's are.
#[derive(Debug)]
pub(crate) struct Answers {
    upstream: Arc<str>,
    place: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reached: Option<(bool, Instant)>,
    failure: Option<(Instant, String)>,
    away: Said,
    wrong: Said,
    /// Since when it is away, where the log has said that it is.
    said_away: Option<Instant>,
}

/// A line that is written so often and no more.
#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    /// How often it was not written since.
    unsaid: u64,
}

impl Said {
    /// Whether to write it now, and how often it was not since it last was.
    fn again(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now - last < LINES_EVERY) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// What the log says.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// It is not reached. It was so this many times before without a line.
    Away(u64),
    /// It is reached again, after so long.
    Back(Duration),
    /// It answers, and does not do what it is there for.
    Wrong(u64),
}

impl State {
    fn line<T>(&mut self, now: Instant, answer: &Result<T, SourceError>) -> Option<Line> {
        match answer {
            // Nothing was asked.
            Err(SourceError::OverBudget { .. }) => None,
            // Perhaps somebody else was.
            Err(SourceError::Failing(_)) if !self.reached.is_some_and(|(is_reached, _)| is_reached) => None,
            Err(SourceError::Unreachable(_)) if self.said_away.is_some() => None,
            Err(SourceError::Unreachable(_)) => {
                let unsaid = self.away.again(now)?;
                self.said_away = Some(self.reached.map_or(now, |(_, since)| since));
                Some(Line::Away(unsaid))
            }
            answer => {
                if let Some(since) = self.said_away.take() {
                    return Some(Line::Back(now - since));
                }
                let is_wrong = matches!(answer, Err(SourceError::Denied(_) | SourceError::Broken(_)));
                is_wrong.then(|| self.wrong.again(now)).flatten().map(Line::Wrong)
            }
        }
    }

    fn reach(&mut self, now: Instant, is_reached: bool) {
        if self.reached.is_none_or(|(before, _)| before != is_reached) {
            self.reached = Some((is_reached, now));
        }
    }
}

impl Answers {
    /// Of the upstream of this name, at this place. Nothing was asked yet.
    pub(crate) fn of(upstream: &Arc<str>, place: &Arc<str>) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            place: Arc::clone(place),
            state: Mutex::default(),
        }
    }

    /// It was reached, whatever came of it.
    pub(crate) fn heard(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reach(now, true);
    }

    /// Notes what a question came to.
    pub(crate) fn note<T>(&self, now: Instant, answer: &Result<T, SourceError>) {
        let line = self.noted(now, answer);
        let (upstream, url) = (&*self.upstream, &*self.place);
        match (line, answer) {
            (Some(Line::Away(unsaid)), Err(cause)) => tracing::warn!(
                upstream, url, %cause, unsaid,
                "an upstream is not reached; what is held of it is served, and it is tried again within a minute"
            ),
            (Some(Line::Wrong(unsaid)), Err(cause)) => {
                tracing::warn!(upstream, url, %cause, unsaid, "an upstream was asked in vain");
            }
            (Some(Line::Back(after)), _) => tracing::info!(
                upstream,
                url,
                away_seconds = after.as_secs(),
                "an upstream is reached again"
            ),
            _ => {}
        }
    }

    fn noted<T>(&self, now: Instant, answer: &Result<T, SourceError>) -> Option<Line> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
        state.line(now, answer)
    }

    /// Since when it is not reached, if it is not.
    fn unreached(&self) -> Option<Instant> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
        let answers = &upstream.answers;
        let state = answers.state.lock().unwrap_or_else(PoisonError::into_inner);
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
    use super::*;
    use crate::proxy::source::Cause;

    fn away() -> Result<(), SourceError> {
        Err(SourceError::Unreachable("no route".into()))
    }

    fn answers() -> Answers {
        Answers::of(&"hub".into(), &"https://hub.example".into())
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_says_once_that_an_upstream_is_away_and_once_that_it_is_back() {
        let answers = answers();
        let first = Instant::now();
        assert_eq!(answers.noted(first, &away()), Some(Line::Away(0)));
        let later = first + Duration::from_mins(5);
        assert_eq!(answers.noted(later, &away()), None, "that was said");
        let back = Duration::from_mins(6);
        assert_eq!(answers.noted(first + back, &Ok(())), Some(Line::Back(back)));
        assert_eq!(answers.noted(first + back, &Ok(())), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_and_goes_does_not_fill_the_log() {
        let answers = answers();
        let first = Instant::now();
        let mut lines = Vec::new();
        for second in 0..150 {
            let now = first + Duration::from_secs(second);
            lines.extend(answers.noted(now, &away()));
            lines.extend(answers.noted(now, &Ok(())));
        }
        let away = [Line::Away(0), Line::Away(59), Line::Away(59)];
        let is_away = |line: &&Line| matches!(line, Line::Away(_));
        assert!(lines.iter().filter(is_away).eq(&away), "{lines:?}");
        assert_eq!(lines.len(), 6, "{lines:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn of_answers_that_bring_nothing_one_a_minute_is_told() {
        let answers = answers();
        let denied = || Err::<(), _>(SourceError::Denied(Cause::inner("401")));
        let now = Instant::now();
        assert_eq!(answers.noted(now, &denied()), Some(Line::Wrong(0)));
        assert_eq!(answers.noted(now, &denied()), None);
        assert_eq!(answers.noted(now, &Err::<(), _>(SourceError::NotFound)), None);
        assert_eq!(answers.noted(now + LINES_EVERY, &denied()), Some(Line::Wrong(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_known_since_when_an_upstream_is_not_reached() {
        let answers = answers();
        let first = Instant::now();
        assert_eq!(answers.unreached(), None, "nobody has asked");
        answers.note(first, &away());
        let later = first + Duration::from_mins(5);
        answers.note(later, &away());
        assert_eq!(answers.unreached(), Some(first), "since the first time");
        answers.note::<()>(later, &Err(SourceError::Failing("503".into())));
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
        let state = answers.state.lock().unwrap();
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
