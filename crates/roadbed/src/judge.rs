//! Judges images: from the reports of their layers, what advisories say and what the policy asks, to a decision.
//!
//! A judgement waits for nobody: an image of which a layer was not looked into yet is put back, and the report of that layer
//! causes it again. What cannot be found out is an unknown of the image, never a reason to wait.
//!
//! - `judge/knowledge.rs`: advisories, policy and waivers in memory, and when they are read again.
//! - `judge/evidence.rs`: the reports of an image's layers, and what of them is not there.
//! - `judge/attached.rs`: signatures and attestations, and the trusted signers who made them.
//! - `judge/vex.rs`: what trusted signers say of vulnerabilities.
//! - `judge/fixes.rs`: since when a fix is known.
//! - `judge/foreseen.rs`: what advisories would change if they were imported.
//! - `judge/image.rs`: an image with its reports and what is attached to it.
//! - `judge/batch.rs`: many judgements that nobody waits for; `judge/together.rs`: those of them that come to the same.
//! - `judge/matched.rs`: what is known against single packages, remembered.
//! - `judge/brake.rs`: what becomes of a change that would refuse much of what is in use.
//! - `judge/push.rs`: what is judged of a manifest before it comes in.
//! - `judge/asked.rs`: what the API asks: what another policy would change, what a finding rests on.
//! - `judge/attach.rs`: SBOMs that refer to their images.
//! - `judge/subject.rs`: from reports to the facts that rules are asked about. `judge/result.rs`: to what reports show.
//! - `judge/sbom.rs`: an SBOM judged by itself.
//! - `judge/standing.rs`: what an image stands on, and what it says of itself.
//! - `judge/touched.rs`: what an import touches.
//! - `judge/stored.rs`: the report of an image that is here. `judge/unpushed.rs`:
//!   of one that is not, from what a client found in it.

use std::{num::NonZero, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use attach::SbomConfig;
use image::{Gatherer, NotReady};
use oci::{Digest, ManifestLimits, RepoName};
use policy::{Decision, Subject};
use store::{
    Job, JobKind, JobPriority, Judgement, Outcome, Point, Reasons, Store, StoreError, Timestamp, Verdicts,
};
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::jobs;

mod asked;
pub(crate) mod attach;
mod attached;
mod batch;
pub(crate) mod brake;
mod evidence;
mod fixes;
mod foreseen;
mod image;
mod knowledge;
mod lifts;
mod limits;
mod matched;
mod platform;
mod push;
mod result;
mod room;
mod sbom;
mod standing;
mod stored;
mod subject;
mod together;
mod touched;
mod unpushed;
mod vex;

pub(crate) use asked::{Asked, Holders, Holding, Nobody, findings_of};
pub(crate) use attached::{Collected, SignatureLimits, is_signed};
pub(crate) use evidence::{Evidence, Gathered, IMAGE_MEMORY};
pub(crate) use knowledge::{Facts, Knowledge, index_of, read as read_facts};
pub(crate) use limits::JudgeLimits;
pub(crate) use platform::{Wanted, choose};
pub(crate) use push::{AtPush, RoadAtPush};
pub(crate) use result::{ask, decision_of, decision_on, result_of};
pub(crate) use sbom::{SbomOf, decision_of_sbom, result_of_sbom};
pub(crate) use subject::{SubjectOf, add_vulnerabilities_of, is_image, subject_of};
pub(crate) use touched::{changed, readable, touched};
pub(crate) use vex::Vex;

/// How long a judgement is held before it is renewed or lost.
const LEASE: Duration = Duration::from_mins(1);

/// How often it looks for judgements that nobody told it of.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Before a judgement that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Times that a judgement is tried before the image is decided without one.
const ATTEMPTS: u32 = 3;

/// Before an image that could not be judged is tried again.
const REVIEW_UNJUDGED: time::Duration = time::Duration::hours(1);

/// The points at which an image in the registry is judged.
const POINTS: [(Point, policy::Point); 2] = [
    (Point::Push, policy::Point::Push),
    (Point::Pull, policy::Point::Pull),
];

/// Judges the images of a store.
pub(crate) struct Judge {
    store: Store,
    knowledge: Arc<Knowledge>,
    evidence: Evidence,
    sboms: SbomConfig,
    name: String,
    pace: Pace,
    /// How many judgements are claimed at once: as many as there lately was time for.
    claimed: batch::Size,
    left: jobs::Left,
}

/// How fast a judge works.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How long a judgement is held before it is renewed or lost.
    lease: Duration,
    /// Before a judgement that failed is tried again; longer after each further time.
    try_again: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: LEASE,
            try_again: TRY_AGAIN,
        }
    }
}

/// What became of a judgement.
enum Done {
    Decided(Verdicts),
    /// A layer has no report yet. Its report causes the judgement again.
    Waits,
    /// There is no such image.
    Gone,
}

impl Judge {
    /// A judge that works until its tasks are ended.
    pub(crate) fn start(
        store: Store,
        knowledge: Arc<Knowledge>,
        sboms: SbomConfig,
        name: String,
    ) -> JoinSet<()> {
        Self::start_with(store, knowledge, sboms, name, Pace::default())
    }

    fn start_with(
        store: Store,
        knowledge: Arc<Knowledge>,
        sboms: SbomConfig,
        name: String,
        pace: Pace,
    ) -> JoinSet<()> {
        let judge = Arc::new(Self {
            evidence: knowledge.evidence(),
            claimed: batch::Size::at_most(knowledge.limits().batch),
            sboms,
            store,
            knowledge,
            name,
            pace,
            left: jobs::Left::default(),
        });
        let mut loops = JoinSet::new();
        let cores = std::thread::available_parallelism().map_or(2, NonZero::get);
        for _ in 0..cores {
            loops.spawn(Arc::clone(&judge).work());
        }
        loops
    }

    async fn work(self: Arc<Self>) {
        jobs::work(&self.store, LOOK_EVERY, "an image could not be judged", || {
            self.one_job()
        })
        .await;
    }

    async fn one_job(&self) -> Result<bool> {
        self.left.give_back(&self.store).await?;
        let lease = self.pace.lease;
        let claimed = self
            .store
            .claim_jobs(JobKind::Judge, &self.name, lease, self.claimed.now());
        let jobs = claimed.await?;
        let claimed = jobs.clone();
        self.left.leave(claimed, self.do_jobs(jobs).await)
    }

    /// Does what was claimed together; `false` when that was nothing.
    async fn do_jobs(&self, mut jobs: Vec<Job>) -> Result<bool> {
        let lease = self.pace.lease;
        if jobs.len() > 1 {
            self.batch(jobs).await?;
            return Ok(true);
        }
        let Some(job) = jobs.pop() else {
            return Ok(false);
        };
        let Some((repo, digest)) = parse(&job.subject) else {
            self.store.drop_job(&job).await?;
            return Ok(true);
        };
        if job.is_fatal() {
            self.give_up(&job, (&repo, &digest), &jobs::fatal()).await?;
            return Ok(true);
        }
        let judging = self.judge(&repo, &digest);
        let Some(judged) = jobs::while_leased(&self.store, &job, lease, judging).await else {
            return Ok(true);
        };
        match judged {
            Ok(Done::Decided(verdicts)) => {
                self.store
                    .finish_judgement(&job, &repo, &digest, verdicts)
                    .await?;
            }
            Ok(Done::Waits | Done::Gone) => self.store.drop_job(&job).await?,
            Err(error) => self.failed(&job, (&repo, &digest), &error).await?,
        }
        Ok(true)
    }

    async fn failed(&self, job: &Job, image: (&RepoName, &Digest), error: &anyhow::Error) -> Result<()> {
        let told = format!("{error:#}");
        tracing::warn!(
            image = job.subject,
            attempt = job.attempts,
            error = told,
            "an image could not be judged"
        );
        if job.attempts >= ATTEMPTS && is_about_the_image(&**error) {
            return self.give_up(job, image, &error.to_string()).await;
        }
        let wait = self.pace.try_again * job.attempts.min(12);
        Ok(self.store.return_job(job, wait, Some(&told)).await?)
    }

    /// What was decided before stands. An image of which nothing was must not stay undecided for ever: it is decided as one that
    /// could not be judged, and tried again some time later.
    async fn give_up(&self, job: &Job, (repo, digest): (&RepoName, &Digest), why: &str) -> Result<()> {
        if self.store.decision(repo, digest, Point::Pull).await?.is_some() {
            tracing::error!(image = job.subject, why, "what was decided of it before stands");
            if job.is_fatal() {
                return Ok(self.store.give_up_job(job, jobs::REST).await?);
            }
            return Ok(self.store.drop_job(job).await?);
        }
        tracing::error!(
            image = job.subject,
            why,
            "it is decided as one that could not be judged"
        );
        let verdicts = self.unjudged(repo, digest, why).await?;
        if job.is_fatal() {
            let given_up = self
                .store
                .give_up_judgement(job, repo, digest, verdicts, jobs::REST);
            return Ok(given_up.await?);
        }
        let finished = self.store.finish_judgement(job, repo, digest, verdicts);
        Ok(finished.await?)
    }

    async fn unjudged(&self, repo: &RepoName, digest: &Digest, why: &str) -> Result<Verdicts> {
        let facts = self.knowledge.facts().await;
        let now = moment(self.store.now())?;
        let mut judgements = Vec::new();
        for (point, asked) in POINTS {
            let mut subject = Subject::new(repo.clone(), *digest);
            subject.advisory_generation = facts.generation;
            let (policy, waivers) = (&facts.policy, &facts.waivers);
            let mut decision = policy::decide_unjudged(policy, waivers, subject, asked, now, why);
            decision.review_at = Some(now + REVIEW_UNJUDGED);
            judgements.push((point, judgement_of(&decision)?));
        }
        Ok(judgements.into())
    }

    async fn judge(&self, repo: &RepoName, digest: &Digest) -> Result<Done> {
        let gatherer = Gatherer {
            store: &self.store,
            evidence: &self.evidence,
            signatures: self.knowledge.limits().signatures,
        };
        let ready = match gatherer.gather(repo, digest).await?.ready() {
            Ok(ready) => *ready,
            Err(NotReady::Waits) => return Ok(Done::Waits),
            Err(NotReady::Gone) => return Ok(Done::Gone),
        };
        self.sboms.request(&self.store, &ready).await?;
        let facts = self.knowledge.facts().await;
        // Matching and conditions compute; a thread that serves connections must not.
        let decided = tokio::task::spawn_blocking(move || {
            let (verdicts, signed_by) = together::alone(&ready, &facts)?;
            Ok::<_, anyhow::Error>((verdicts, standing::note_of(&ready, &signed_by)))
        })
        .await
        .context("the judgement was lost")?;
        let (verdicts, note) = decided?;
        if let Some(note) = note {
            self.store.note_image(repo, digest, note).await?;
        }
        Ok(Done::Decided(verdicts))
    }
}

/// Whether it will fail again. A database that is away or busy says nothing about the image.
pub(crate) fn is_about_the_image(error: &(dyn std::error::Error + 'static)) -> bool {
    let of_store = anyhow::Chain::new(error).find_map(|cause| cause.downcast_ref::<StoreError>());
    of_store.is_none_or(|error| matches!(error, StoreError::Damaged { .. }))
}

/// As the store keeps it. What changes without the reasons changing is no part of the body.
pub(crate) fn judgement_of(decision: &Decision) -> Result<Judgement> {
    let mut body = serde_json::to_value(decision)?;
    if let Some(members) = body.as_object_mut() {
        for changing in [
            "policy_digest",
            "evidence_fingerprint",
            "advisory_generation",
            "review_at",
        ] {
            members.remove(changing);
        }
    }
    let line = match decision.outcome {
        policy::Outcome::Refuse => decision.refusal_text(),
        policy::Outcome::Warn => decision.warning_line(),
        policy::Outcome::Allow | policy::Outcome::NotApplicable => String::new(),
    };
    Ok(Judgement {
        outcome: match decision.outcome {
            policy::Outcome::NotApplicable => Outcome::NotApplicable,
            policy::Outcome::Allow => Outcome::Allow,
            policy::Outcome::Warn => Outcome::Warn,
            policy::Outcome::Refuse => Outcome::Refuse,
        },
        line,
        body: Reasons::of(body.to_string()),
        policy: decision.policy_digest.to_string(),
        evidence: decision.evidence_fingerprint.to_string(),
        generation: decision.advisory_generation,
        review_at: decision.review_at.map(timestamp),
        waives: !decision.waived.is_empty(),
    })
}

/// What a manifest may be that is in the store: it met the configured limits when it was pushed, and none of those can be set higher
/// than these.
pub(crate) fn stored_limits() -> ManifestLimits {
    ManifestLimits {
        bytes: 64 << 20,
        layers: 100_000,
        children: 100_000,
        ..ManifestLimits::default()
    }
}

/// `repository@digest`.
fn parse(subject: &str) -> Option<(RepoName, Digest)> {
    let (repo, digest) = subject.split_once('@')?;
    Some((repo.parse().ok()?, digest.parse().ok()?))
}

pub(crate) fn moment(at: Timestamp) -> Result<OffsetDateTime> {
    let nanoseconds = i128::from(at.micros()) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).context("the clock is beyond any calendar")
}

fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
}

/// How long until the next decision has to be looked at again: a waiver, a signer or a grace ends then. At most `longest`, so that one
/// that was made meanwhile is not missed.
pub(crate) async fn until_next_review(store: &Store, longest: Duration) -> Result<Duration> {
    let Some(next) = store.next_review().await? else {
        return Ok(longest);
    };
    let micros = next.micros().saturating_sub(store.now().micros()).max(0);
    Ok(Duration::from_micros(micros.unsigned_abs()).min(longest))
}

/// Has every image judged again that must be looked at by now. Called every now and then.
pub(crate) async fn review(store: &Store) -> Result<u64> {
    store.end_in_use().await?;
    Ok(store
        .request_judgements(store::Which::Due, JobPriority::Backfill)
        .await?)
}

#[cfg(test)]
pub(crate) mod tests;
