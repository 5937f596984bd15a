//! An image with all that is known of its bytes, ready to be judged.

use std::time::Duration;

use anyhow::{Context as _, Result};
use oci::{Digest, Manifest, RepoName};
use policy::{Decision, Point};
use store::{RoadEntries, Store, ToJudge};
use time::OffsetDateTime;
use web::JudgingError;

use super::{
    Facts, JudgeLimits,
    attached::{self, Collected, SignatureLimits},
    evidence::{Ahead, Evidence, Gathered},
    moment, standing,
    subject::{SubjectOf, subject_of},
};

/// A pull so long ago still means that an image is in use.
pub(super) const IN_USE: Duration = Duration::from_hours(30 * 24);

/// What there is of an image.
pub(super) enum Image {
    Ready(Box<Ready>),
    /// A layer has no report yet. It was asked for.
    Waits,
    /// There is no such image.
    Gone,
}

/// Why there is nothing to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReady {
    /// As [`Image::Waits`].
    Waits,
    /// As [`Image::Gone`].
    Gone,
}

impl Image {
    pub(super) fn ready(self) -> Result<Box<Ready>, NotReady> {
        match self {
            Self::Ready(ready) => Ok(ready),
            Self::Waits => Err(NotReady::Waits),
            Self::Gone => Err(NotReady::Gone),
        }
    }
}

impl From<NotReady> for JudgingError {
    fn from(why: NotReady) -> Self {
        match why {
            NotReady::Waits => Self::Waits,
            NotReady::Gone => Self::Gone,
        }
    }
}

/// Gathers what there is of images.
#[derive(Clone, Copy)]
pub(super) struct Gatherer<'a> {
    pub(super) store: &'a Store,
    pub(super) evidence: &'a Evidence,
    pub(super) signatures: SignatureLimits,
}

impl Gatherer<'_> {
    /// As [`gather`].
    pub(super) async fn gather(&self, repo: &RepoName, digest: &Digest) -> Result<Image> {
        gather(self.store, self.evidence, self.signatures, repo, digest).await
    }
}

/// An image of many that are gathered together.
pub(super) struct Together {
    pub(super) ready: Ready,
    /// What the SBOM that it has was made from.
    pub(super) attached_evidence: Option<String>,
    /// Whether it is a release of a base.
    pub(super) is_of_base: bool,
}

/// What a subject is made from.
pub(super) struct Ready {
    pub(super) about: SubjectOf,
    pub(super) gathered: Gathered,
    pub(super) now: OffsetDateTime,
}

impl Ready {
    /// What is decided of pulls of it by a state, and whether it is in use. Computes; a thread that serves connections must not.
    pub(super) fn decide_pull(&self, facts: &Facts) -> Result<(Decision, bool)> {
        let subject = subject_of(&self.about, &self.gathered, facts)?;
        let (policy, waivers) = (&facts.policy, &facts.waivers);
        let decision = policy::decide(policy, waivers, &subject, Point::Pull, self.now);
        Ok((decision, subject.in_use))
    }
}

/// Gathers what there is of an image.
pub(super) async fn gather(
    store: &Store,
    evidence: &Evidence,
    signatures: SignatureLimits,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Image> {
    let Some(stored) = store.manifest_to_judge(repo, digest).await? else {
        return Ok(Image::Gone);
    };
    let limits = super::stored_limits();
    let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type), &limits)
        .context("the manifest that was stored cannot be read")?;
    let Some(gathered) = evidence.gather(repo, &manifest).await? else {
        return Ok(Image::Waits);
    };
    let since = store.now().minus(IN_USE);
    let now = moment(store.now())?;
    let road = store.road().await?;
    let about = SubjectOf {
        lie: standing::lie(&manifest, &gathered, &road),
        repo: repo.clone(),
        digest: *digest,
        manifest,
        media_type: stored.media_type.clone(),
        pushed_by: store.pusher(repo, digest).await?,
        in_use: store.is_in_use(repo, digest, since).await?,
        seen: store.seen(digest).await?,
        attached: attached::collect(store, signatures, repo, digest).await?,
        now,
    };
    Ok(Image::Ready(Box::new(Ready { about, gathered, now })))
}

/// Gathers many images in few statements, in their order. `None`: the image has to be gathered by itself; see [`gather`].
pub(super) async fn gather_many(
    store: &Store,
    evidence: &Evidence,
    limits: JudgeLimits,
    images: &[(RepoName, Digest)],
) -> Result<Vec<Option<Together>>> {
    // One moment for all of them.
    let at = store.now();
    let known = store.to_judge(images, at.minus(IN_USE)).await?;
    let mut found: Vec<Option<(ToJudge, Manifest)>> = Vec::with_capacity(images.len());
    for known in known {
        let manifest_limits = super::stored_limits();
        // One that cannot be read is told of where it is judged by itself.
        found.push(known.and_then(|known| {
            let stored = &known.manifest;
            let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type), &manifest_limits).ok()?;
            Some((known, manifest))
        }));
    }
    let manifests = found.iter().flatten().map(|(_, manifest)| manifest);
    let blobs = manifests.flat_map(|manifest| manifest.config.iter().chain(&manifest.layers));
    let ahead = evidence
        .ahead(blobs.map(|blob| blob.digest).collect(), limits.batch_memory)
        .await?;
    let road = store.road().await?;
    let mut gathered = Vec::with_capacity(images.len());
    for (image, found) in images.iter().zip(found) {
        let beside = (&ahead, &*road, moment(at)?);
        gathered.push(match found {
            Some(found) => one_of_many(store, limits.signatures, image, found, beside).await?,
            None => None,
        });
    }
    Ok(gathered)
}

async fn one_of_many(
    store: &Store,
    signatures: SignatureLimits,
    (repo, digest): &(RepoName, Digest),
    (known, manifest): (ToJudge, Manifest),
    (ahead, road, now): (&Ahead, &RoadEntries, OffsetDateTime),
) -> Result<Option<Together>> {
    let Some(gathered) = ahead.gather(&manifest) else {
        return Ok(None);
    };
    let attached = if known.has_attachments {
        attached::collect(store, signatures, repo, digest).await?
    } else {
        Collected::default()
    };
    let about = SubjectOf {
        lie: standing::lie(&manifest, &gathered, road),
        repo: repo.clone(),
        digest: *digest,
        manifest,
        media_type: known.manifest.media_type.clone(),
        pushed_by: known.pushed_by,
        in_use: known.in_use,
        seen: known.seen,
        attached,
        now,
    };
    Ok(Some(Together {
        ready: Ready { about, gathered, now },
        attached_evidence: known.attached_evidence,
        is_of_base: known.is_of_base,
    }))
}
