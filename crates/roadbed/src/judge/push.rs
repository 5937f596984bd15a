//! A manifest is judged before it comes in, where a rule asks for that with `on: push`.
//!
//! Nothing is waited for but the rulings themselves: what manifest and configuration say is read, and what is already known of
//! the layers counts if all of them are known. What is refused is not stored; everything else is judged whole afterwards.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use findings::CONFIG_BYTES;
use oci::{Descriptor, Digest, ManifestKind};
use policy::{Outcome, Point, Policy};
use registry::gate::{Push, PushVerdict};
use serde_json::json;
use store::{JobPriority, RoadEntries, Store};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use super::{
    Evidence, Knowledge, SubjectOf, attached, evidence::Gathered, image::IN_USE, is_image, moment, standing,
    subject_of,
};

mod retired;

pub(crate) use retired::RoadAtPush;

/// Pushes that are judged at the same time; others wait for their turn, for as long as a push may take to be judged.
const AT_ONCE: usize = 4;

/// Judges pushes.
pub(crate) struct AtPush {
    store: Store,
    knowledge: Arc<Knowledge>,
    evidence: Evidence,
    places: Semaphore,
    road: RoadAtPush,
    /// The policy in force as of a change of rulings: whether any rule is asked must not wait until advisories are read.
    policy: Mutex<Option<(u64, Arc<Policy>)>>,
}

impl AtPush {
    /// Over a store and what is known.
    pub(crate) fn new(store: Store, knowledge: Arc<Knowledge>, road: RoadAtPush) -> Self {
        Self {
            evidence: knowledge.evidence(),
            store,
            knowledge,
            road,
            places: Semaphore::new(AT_ONCE),
            policy: Mutex::default(),
        }
    }

    /// What becomes of a push.
    ///
    /// # Errors
    /// The store failed, or what it has cannot be read.
    pub(crate) async fn judge(&self, push: Push<'_>) -> Result<PushVerdict> {
        if push.manifest.kind != ManifestKind::Image {
            return Ok(PushVerdict::Take);
        }
        let (road, by_policy) = (self.asked_road(push).await?, self.is_asked(push).await?);
        if road.is_none() && !by_policy {
            return Ok(PushVerdict::Take);
        }
        // What is known of the layers is large: it is read only by whoever has a place, and once.
        let _place = self.places.acquire().await.context("stopping")?;
        let gathered = self.evidence.known(push.repo, push.manifest).await?;
        let refusal = match &road {
            Some(road) => self.refused_by_road(push, road, &gathered).await?,
            None => None,
        };
        if let Some(message) = refusal {
            tracing::info!(repository = %push.repo, digest = %push.digest, message, "a push is refused");
            let detail = json!({ "decision": "refuse", "road": "retired" });
            return Ok(PushVerdict::Refuse { message, detail });
        }
        if !by_policy {
            return Ok(PushVerdict::Take);
        }
        self.judged(push, gathered).await
    }

    /// By the rules that are asked at a push. Whoever calls it has a place.
    async fn judged(&self, push: Push<'_>, gathered: Gathered) -> Result<PushVerdict> {
        let (now, since) = (moment(self.store.now())?, self.store.now().minus(IN_USE));
        let about = SubjectOf {
            lie: None,
            repo: push.repo.clone(),
            digest: *push.digest,
            manifest: push.manifest.clone(),
            media_type: push.manifest.media_type.clone(),
            pushed_by: Some(push.caller.principal_name().to_owned()),
            in_use: self.store.is_in_use(push.repo, push.digest, since).await?,
            seen: self.store.seen(push.digest).await?,
            attached: attached::collect(
                &self.store,
                self.knowledge.limits().signatures,
                push.repo,
                push.digest,
            )
            .await?,
            now,
        };
        let facts = self.knowledge.facts().await;
        let decision = tokio::task::spawn_blocking(move || {
            let subject = subject_of(&about, &gathered, &facts)?;
            let (policy, waivers) = (&facts.policy, &facts.waivers);
            Ok::<_, anyhow::Error>(policy::decide(policy, waivers, &subject, Point::Push, now))
        })
        .await
        .context("the judgement was lost")??;
        Ok(match decision.outcome {
            Outcome::Allow | Outcome::NotApplicable => PushVerdict::Take,
            Outcome::Warn => PushVerdict::Warn(decision.warning_line()),
            Outcome::Refuse => {
                let message = decision.refusal_text();
                tracing::info!(repository = %push.repo, digest = %push.digest, message, "a push is refused");
                let (policy, generation) = (decision.policy_digest, decision.advisory_generation);
                let detail = json!({ "decision": "refuse", "policy": policy, "generation": generation });
                PushVerdict::Refuse { message, detail }
            }
        })
    }

    /// The road as of a moment, where it may take no such image: it is not there yet, and the notice of a base is over.
    async fn asked_road(&self, push: Push<'_>) -> Result<Option<(Arc<RoadEntries>, OffsetDateTime)>> {
        let (road, now) = (self.store.road().await?, moment(self.store.now())?);
        let is_asked =
            self.road.is_asked(&road, now) && !self.store.has_image(push.repo, push.digest).await?;
        Ok(is_asked.then_some((road, now)))
    }

    /// Why the road takes no such image.
    async fn refused_by_road(
        &self,
        push: Push<'_>,
        (road, now): &(Arc<RoadEntries>, OffsetDateTime),
        gathered: &Gathered,
    ) -> Result<Option<String>> {
        let diff_ids = standing::diff_ids(gathered);
        let claimed = gathered
            .config
            .as_ref()
            .map_or(&[][..], |config| &config.diff_ids);
        // What was not looked into yet is taken at its word: nothing can be unpacked by a wrong one.
        let diff_ids: Vec<Option<Digest>> = (0..push.manifest.layers.len())
            .map(|layer| {
                let computed = diff_ids.get(layer).copied().flatten();
                computed.or_else(|| claimed.get(layer)?.parse().ok())
            })
            .collect();
        let refusal = self.road.refusal(road, push.repo, &diff_ids, *now);
        if refusal.is_some() || retired::is_exempt(road, push.repo, *now) {
            return Ok(refusal);
        }
        let untold = diff_ids.iter().zip(&push.manifest.layers);
        let untold: Vec<&Descriptor> = untold
            .filter(|(diff_id, _)| diff_id.is_none())
            .map(|(_, layer)| layer)
            .collect();
        if untold.is_empty() || !is_image(push.manifest, gathered) {
            return Ok(None);
        }
        self.not_told(&untold).await.map(Some)
    }

    /// Why an image is not taken of which nobody can tell yet what it stands on: its configuration may be too large or say nothing, to
    /// pass for one that stands on no retired base. Its layers are looked into meanwhile.
    async fn not_told(&self, layers: &[&Descriptor]) -> Result<String> {
        for layer in layers {
            if self.store.has_blob(&layer.digest).await? {
                self.store.request_scan(&layer.digest, JobPriority::Asked).await?;
            }
        }
        Ok(format!(
            "nobody can tell yet which base the image stands on, and a retired base takes no new images: {} of its layers are not \
             looked into, and its configuration names no diff ids for them; name them in `rootfs.diff_ids` of a configuration of at \
             most {CONFIG_BYTES} bytes, or push it again in a minute",
            layers.len()
        ))
    }

    /// Whether any rule is asked when something is pushed there.
    async fn is_asked(&self, push: Push<'_>) -> Result<bool> {
        let policy = self.policy().await?;
        let mut rules = policy.rules().iter();
        Ok(rules.any(|rule| rule.applies(push.repo, Point::Push)))
    }

    async fn policy(&self) -> Result<Arc<Policy>> {
        let change = *self.store.rulings().borrow();
        let known = || self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, policy)) = known().as_ref().filter(|(at, _)| *at == change) {
            return Ok(Arc::clone(policy));
        }
        let policy = Arc::new(super::knowledge::policy(&self.store).await?);
        *known() = Some((change, Arc::clone(&policy)));
        Ok(policy)
    }
}
