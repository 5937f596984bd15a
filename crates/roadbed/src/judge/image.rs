//! An image with all that is known of its bytes, ready to be judged.

use std::time::Duration;

use anyhow::{Context as _, Result};
use oci::{Digest, Manifest, RepoName};
use store::Store;
use time::OffsetDateTime;

use super::{
    attached::{self, SignatureLimits},
    evidence::{Evidence, Gathered},
    moment,
    subject::SubjectOf,
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

/// What a subject is made from.
pub(super) struct Ready {
    pub(super) about: SubjectOf,
    pub(super) gathered: Gathered,
    pub(super) now: OffsetDateTime,
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
    let about = SubjectOf {
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
