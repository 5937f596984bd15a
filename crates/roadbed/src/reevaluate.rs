//! Has images judged anew after something changed by which they are judged: those that it may touch, and no others.
//!
//! The store counts up to which generation of advisories every decision is right, and this is what moves that number
//! (`store/src/reevaluation.rs`):
//!
//! 1. The present state of everything is taken from `judge/knowledge.rs`: whoever judges from now on judges by it.
//! 2. `reevaluate/plan.rs` computes from the advisories that changed since which packages are touched, and from the index of the
//!    fleet, once it takes in all that is in the store, which images hold one.
//! 3. Those images get jobs, in bounded transactions. Their decisions stand until new ones do.
//! 4. One transaction moves the number and tells in the audit log what has changed (`reevaluate/news.rs`).
//!
//! Whoever is killed before the last step begins again; what was asked for twice is one job. Nothing is read from an image.
//!
//! Policies, waivers and signers are about all images and are counted by themselves. Dates (grace, waivers, ends of support) come due
//! by `review_at` of each decision, whatever is imported.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use store::{Confirmed, JobPriority, Reevaluation, Store, Which};

use crate::{
    fleet::FleetService,
    judge::{Facts, Knowledge},
};

mod news;
mod plan;

pub(crate) use news::{Told, news_of};
pub(crate) use plan::FleetHolders;
use plan::Plan;

/// Before what failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How much of an import is looked at in detail. Beyond, all images are judged again and the audit log has one line: that is less work
/// than to find out, as after a first import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Advisories that changed. Default 5,000.
    pub(crate) advisories: u64,
    /// Advisories about what these are about, whose earlier states are compared. Default 50,000.
    pub(crate) compared: usize,
    /// Lines in the audit log. Default 1,000.
    pub(crate) news: usize,
    /// How long the index of the fleet is waited for. Default 5 minutes.
    pub(crate) wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            advisories: 5_000,
            compared: 50_000,
            news: 1_000,
            wait: Duration::from_mins(5),
        }
    }
}

/// Keeps decisions right by what is known.
pub(crate) struct Reevaluator {
    store: Store,
    knowledge: Arc<Knowledge>,
    fleet: Arc<FleetService>,
    limits: Limits,
}

impl Reevaluator {
    /// Over a store, what is known and all images.
    pub(crate) fn new(
        store: Store,
        knowledge: Arc<Knowledge>,
        fleet: Arc<FleetService>,
        limits: Limits,
    ) -> Self {
        Self {
            store,
            knowledge,
            fleet,
            limits,
        }
    }

    /// Has images judged again whenever another state of what is known was read. Until its task is ended.
    pub(crate) async fn follow(self) {
        let mut states = self.knowledge.states();
        // Some may never have been judged, or only by a policy of before.
        let mut is_first = true;
        loop {
            states.mark_unchanged();
            if let Some(facts) = self.knowledge.present() {
                if let Err(error) = self.take_in(facts, is_first).await {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "what advisories, policy and waivers change could not be found out; decisions stand until it is"
                    );
                    tokio::time::sleep(TRY_AGAIN).await;
                    continue;
                }
                is_first = false;
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Has images judged by a state, as far as it is another one than they were judged by.
    async fn take_in(&self, facts: Arc<Facts>, is_first: bool) -> Result<()> {
        if is_first {
            let outdated = self
                .store
                .request_judgements(Which::Outdated, JobPriority::Backfill);
            outdated.await?;
        }
        let known = self.store.reevaluation().await?;
        let mut all = None;
        if facts.asked > known.answered {
            all = Some(self.store.request_all_judgements(facts.generation).await?);
            self.store.answer_asked(facts.asked).await?;
        }
        if facts.generation > known.confirmed {
            self.take_in_generation(&facts, known, all).await?;
        }
        Ok(())
    }

    async fn take_in_generation(
        &self,
        facts: &Arc<Facts>,
        known: Reevaluation,
        mut asked: Option<u64>,
    ) -> Result<()> {
        let mut plan = plan::of(&self.store, &self.fleet, facts, known.confirmed, self.limits).await?;
        // Of what decisions were made by before nothing is known.
        plan.is_everything |= known.confirmed == 0;
        if plan.is_everything && asked.is_none() {
            asked = Some(self.store.request_all_judgements(facts.generation).await?);
        }
        if asked.is_none() {
            let images = self.store.request_judgements_of(&plan.images, facts.generation);
            images.await?;
        }
        let confirmed = self.confirmed(plan, facts, known, asked).await?;
        tracing::info!(
            generation = confirmed.generation,
            advisories = confirmed.advisories,
            packages = confirmed.packages,
            images = confirmed.images,
            confirmed = confirmed.confirmed,
            told = confirmed.news.len(),
            summarised = confirmed.summarised,
            "images that advisories touch are judged again, all others are right by them"
        );
        Ok(self.store.confirm_generation(confirmed).await?)
    }

    async fn confirmed(
        &self,
        plan: Plan,
        facts: &Facts,
        known: Reevaluation,
        asked: Option<u64>,
    ) -> Result<Confirmed> {
        let all = self.store.count_judged().await?;
        let images = asked.unwrap_or(plan.images.len() as u64);
        Ok(Confirmed {
            generation: facts.generation,
            since: known.confirmed,
            advisories: plan.advisories,
            packages: plan.packages,
            images,
            confirmed: all.saturating_sub(images),
            news: plan.told.news,
            untold: plan.told.untold,
            summarised: plan.summarised,
        })
    }
}

#[cfg(all(test, feature = "measure"))]
mod measure;
#[cfg(test)]
mod tests;
