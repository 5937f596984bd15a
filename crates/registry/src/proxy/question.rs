//! One question to an upstream, and what its answer says: of the upstream, or of what was asked for only.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::{Instant, timeout};

use super::breaker::Breaker;
use super::error::ProxyError;
use super::source::SourceError;
use super::upstreams::Upstream;

/// Paths of one upstream that are remembered to fail; of more, one is forgotten, and asked for once more.
const PATHS: u64 = 1_000;

/// How long it is remembered, from when somebody last asked: longer than any pause.
const REMEMBERED: Duration = Duration::from_mins(5);

/// Paths of an upstream that fail while it answers: each is left alone for a while by itself. One that is broken, or that leads to a
/// host that is gone, must not keep anybody from all others.
pub(crate) struct Paths(Cache<String, Arc<Breaker>>);

impl Default for Paths {
    fn default() -> Self {
        let paths = Cache::builder().max_capacity(PATHS).time_to_idle(REMEMBERED);
        Self(paths.build())
    }
}

impl Paths {
    /// Whether it may be asked for now; else for how long it is left alone.
    fn admit(&self, path: &str, now: Instant) -> Result<(), Duration> {
        self.0.get(path).map_or(Ok(()), |breaker| breaker.admit(now))
    }

    fn answered(&self, path: &str) {
        if self.0.contains_key(path) {
            self.0.invalidate(path);
        }
    }

    fn failed(&self, path: &str, now: Instant) {
        self.0.get_with_by_ref(path, Arc::default).failed(now);
    }
}

/// Asks an upstream unless it was not reached a moment ago, or failed at this; and remembers what came of it. `path` is what is asked
/// for, as long as it is the same for the same.
pub(crate) async fn question<T>(
    upstream: &Upstream,
    path: &str,
    most: Duration,
    asked: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, ProxyError> {
    let name = || Arc::clone(&upstream.config.name);
    let began = Instant::now();
    // First what is about this only: who may try the whole of it must do so.
    let failing = |retry_after| ProxyError::Failing {
        upstream: name(),
        retry_after,
    };
    upstream.paths.admit(path, began).map_err(failing)?;
    let shut = |retry_after| ProxyError::Shut {
        upstream: name(),
        retry_after,
    };
    upstream.breaker.admit(began).map_err(shut)?;
    let answer = timeout(most, asked).await;
    let answer = answer.unwrap_or_else(|_| {
        let why = format!("it has not answered for {} s", most.as_secs());
        Err(SourceError::Unreachable(why.into()))
    });
    let answer = answer.map_err(|error| match error {
        SourceError::Unreachable(why) if upstream.config.source.heard_since(began.into_std()) => {
            upstream.breaker.answered();
            upstream.answers.heard(Instant::now());
            SourceError::Failing(why)
        }
        error => error,
    });
    note(upstream, path, &answer);
    answer.map_err(|source| match source {
        SourceError::Refused { message, detail } => ProxyError::Refused { message, detail },
        source => ProxyError::Source {
            upstream: name(),
            source,
        },
    })
}

fn note<T>(upstream: &Upstream, path: &str, answer: &Result<T, SourceError>) {
    let now = Instant::now();
    upstream.answers.note(now, answer);
    match answer {
        Err(SourceError::Unreachable(_)) => upstream.breaker.failed(now),
        Err(SourceError::Failing(_)) => upstream.paths.failed(path, now),
        // Nothing was asked.
        Err(SourceError::OverBudget { .. }) => {}
        _ => {
            upstream.breaker.answered();
            upstream.paths.answered(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fake::{Fake, World};

    async fn ask(upstream: &Upstream, path: &str, answer: Result<(), SourceError>) -> Result<(), ProxyError> {
        question(upstream, path, Duration::from_secs(30), async { answer }).await
    }

    fn away() -> Result<(), SourceError> {
        Err(SourceError::Unreachable("503".into()))
    }

    #[tokio::test]
    async fn what_fails_while_the_upstream_answers_is_left_alone_by_itself() {
        let fake = Fake::new();
        fake.change(|state| state.heard = true);
        let world = World::new(&fake).await;
        let upstream = &world.ask("hub/library/app").proxied.upstream;
        let error = ask(upstream, "bad", away()).await.unwrap_err();
        assert!(matches!(error, ProxyError::Source { .. }), "{error}");
        let error = ask(upstream, "bad", Ok(())).await.unwrap_err();
        assert!(matches!(error, ProxyError::Failing { .. }), "{error}");
        ask(upstream, "good", Ok(())).await.unwrap();
        assert!(upstream.breaker.is_closed(), "it was reached all the while");
        fake.change(|state| state.heard = false);
        ask(upstream, "good", away()).await.unwrap_err();
        let error = ask(upstream, "another", Ok(())).await.unwrap_err();
        assert!(matches!(error, ProxyError::Shut { .. }), "{error}");
    }

    #[tokio::test]
    async fn where_it_sends_us_to_says_nothing_of_it() {
        let fake = Fake::new();
        let world = World::new(&fake).await;
        let upstream = &world.ask("hub/library/app").proxied.upstream;
        let elsewhere = || Err(SourceError::Failing("nobody there".into()));
        ask(upstream, "bad", elsewhere()).await.unwrap_err();
        assert!(upstream.breaker.is_closed());
        ask(upstream, "good", Ok(())).await.unwrap();
        let error = ask(upstream, "bad", Ok(())).await.unwrap_err();
        assert!(matches!(error, ProxyError::Failing { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_fails_is_tried_again_and_forgotten_when_it_comes() {
        let (paths, now) = (Paths::default(), Instant::now());
        paths.failed("bad", now);
        let pause = paths.admit("bad", now).unwrap_err();
        assert_eq!(paths.admit("bad", now + pause), Ok(()), "one may try");
        paths.answered("bad");
        assert_eq!(paths.admit("bad", now), Ok(()));
    }

    #[tokio::test]
    async fn no_more_paths_are_remembered_than_may_be() {
        let (paths, now) = (Paths::default(), Instant::now());
        for number in 0..PATHS * 2 {
            paths.failed(&number.to_string(), now);
        }
        paths.0.run_pending_tasks();
        assert!(paths.0.entry_count() <= PATHS, "{}", paths.0.entry_count());
    }
}
