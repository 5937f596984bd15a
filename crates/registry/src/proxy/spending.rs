//! What was spent of the budgets of upstreams outlives a restart: a registry that starts again and again asks no more than others.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use store::{Store, StoreError, Timestamp, UpstreamUse};

use super::Inner;
use super::source::{SourceBudget, SourceSpent};
use super::upstreams::{Upstream, Upstreams};

/// How often it is written, if something was spent: what was spent since is lost where the registry is killed.
const EVERY: Duration = Duration::from_secs(10);

type Used = BTreeMap<String, Vec<UpstreamUse>>;

/// Recalls what was spent before, and keeps what is spent. Ends with the proxy.
pub(super) async fn keep(of: Weak<Inner>) {
    let mut kept = Used::default();
    {
        let Some(inner) = of.upgrade() else { return };
        let has_budget =
            |upstream: &Arc<Upstream>| upstream.config.source.budget_left() != SourceBudget::default();
        if !inner.upstreams.iter().any(has_budget) {
            return;
        }
        if let Err(error) = recall(&inner.store, &inner.upstreams).await {
            tracing::warn!(%error, "what was spent of the budgets of upstreams before the start is not known");
        }
    }
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(inner) = of.upgrade() else { return };
        let used = used(&inner.upstreams, inner.store.now());
        if is_same(&used, &kept) {
            continue;
        }
        match inner.store.keep_upstream_use(&used).await {
            Ok(()) => kept = used,
            Err(error) => tracing::debug!(%error, "what was spent of the budgets of upstreams was not kept"),
        }
    }
}

async fn recall(store: &Store, upstreams: &Upstreams) -> Result<(), StoreError> {
    let (used, now) = (store.upstream_use().await?, store.now());
    for upstream in upstreams.iter() {
        let Some(minutes) = used.get(upstream.name()) else {
            continue;
        };
        let spent: Vec<SourceSpent> = minutes.iter().map(|minute| spent(minute, now)).collect();
        upstream.config.source.recall(&spent);
    }
    Ok(())
}

fn used(upstreams: &Upstreams, now: Timestamp) -> Used {
    let of = |spent: &SourceSpent| UpstreamUse {
        at: now.minus(spent.ago),
        requests: spent.requests,
        bytes: spent.bytes,
    };
    let all = upstreams.iter().map(|upstream| {
        let spent = upstream.config.source.spent();
        (
            upstream.name().to_owned(),
            spent.iter().map(of).collect::<Vec<_>>(),
        )
    });
    all.filter(|(_, minutes)| !minutes.is_empty()).collect()
}

fn spent(minute: &UpstreamUse, now: Timestamp) -> SourceSpent {
    let ago = now.micros().saturating_sub(minute.at.micros());
    SourceSpent {
        // One from the future counts from now on.
        ago: u64::try_from(ago).map_or(Duration::ZERO, Duration::from_micros),
        requests: minute.requests,
        bytes: minute.bytes,
    }
}

/// Whether nothing was spent in between. The moments differ a little, however they are counted.
fn is_same(one: &Used, other: &Used) -> bool {
    let counts = |used: &Used| -> Vec<(String, u64, u64)> {
        used.iter()
            .map(|(name, minutes)| {
                let sum = |of: fn(&UpstreamUse) -> u64| minutes.iter().map(of).fold(0, u64::saturating_add);
                (
                    name.clone(),
                    sum(|minute| minute.requests),
                    sum(|minute| minute.bytes),
                )
            })
            .collect()
    };
    counts(one) == counts(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fake::{Fake, World, upstream};

    fn all(fake: &Arc<Fake>) -> Upstreams {
        Upstreams::new(vec![upstream("hub", fake)])
    }

    #[tokio::test]
    async fn what_was_spent_is_known_after_a_start() {
        let fake = Fake::new();
        let world = World::new(&fake).await;
        let minute = |ago, requests| SourceSpent {
            ago: Duration::from_secs(ago),
            requests,
            bytes: 7,
        };
        fake.change(|state| state.spent = vec![minute(90, 2), minute(30, 1)]);
        let used = used(&all(&fake), world.store.now());
        world.store.keep_upstream_use(&used).await.unwrap();
        world.clock.advance(Duration::from_mins(1));
        let after = Fake::new();
        recall(&world.store, &all(&after)).await.unwrap();
        after.change(|state| assert_eq!(state.spent, [minute(150, 2), minute(90, 1)]));
    }

    #[test]
    fn what_differs_only_in_its_moments_is_the_same() {
        let used = |at, bytes| {
            let minute = UpstreamUse {
                at: Timestamp(at),
                requests: 1,
                bytes,
            };
            Used::from([("hub".to_owned(), vec![minute])])
        };
        assert!(is_same(&used(1, 5), &used(2, 5)));
        assert!(!is_same(&used(1, 5), &used(1, 6)));
        assert!(!is_same(&used(1, 5), &Used::new()));
    }
}
