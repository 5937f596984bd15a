//! Tags that follow, and go back.

use oci::{Digest, Manifest, Tag};

use super::journal::check_named;
use super::{Bounds, MAX_SUFFIX, Rebase, RebaseError, TagMove};
use crate::db::Tx;
use crate::manifest::{self, put_made};
use crate::{Actor, PutManifest, StoreError, tag};

/// Sets the tag that the way says. Rules of the repository, immutable tags among them, are asked as of any push.
pub(super) async fn follow(tx: &Tx, rebase: &Rebase, bounds: Bounds) -> Result<Tag, RebaseError> {
    check_named(tx, &rebase.repository, &rebase.tag, rebase.old).await?;
    let to = match rebase.how {
        TagMove::InPlace => rebase.tag.clone(),
        TagMove::Suffix => free_suffix(tx, rebase).await?,
    };
    set(tx, &Actor::system("rebase"), (rebase, rebase.new), &to, bounds).await?;
    Ok(to)
}

async fn set(
    tx: &Tx,
    actor: &Actor,
    (rebase, digest): (&Rebase, Digest),
    to: &Tag,
    bounds: Bounds,
) -> Result<(), RebaseError> {
    let stored = manifest::load(tx.sql(), &rebase.repository, &digest).await?;
    let stored = stored.ok_or(RebaseError::Moved {
        tag: to.clone(),
        now: String::new(),
    })?;
    let read = Manifest::parse(
        &stored.bytes,
        Some(&stored.media_type),
        &oci::ManifestLimits::default(),
    );
    let read = read.map_err(|error| StoreError::damaged(error.to_string()))?;
    let put = PutManifest {
        digest,
        bytes: stored.bytes.clone(),
        manifest: read,
        tags: vec![to.clone()],
        is_refused: false,
    };
    put_made(tx, &rebase.repository, actor, put, None, bounds).await?;
    Ok(())
}

/// `1.4-p1`, or the next one that nothing has. Of `1.4-p1` it is `1.4-p2`.
async fn free_suffix(tx: &Tx, rebase: &Rebase) -> Result<Tag, RebaseError> {
    let stem = stem(rebase.tag.as_str());
    let taken = tag::beginning_with(tx, &rebase.repository, &format!("{stem}-p")).await?;
    for number in 1..=MAX_SUFFIX {
        let name = format!("{stem}-p{number}");
        if !taken.contains(&name) {
            return name
                .parse()
                .map_err(|_| RebaseError::Suffixes(rebase.tag.clone()));
        }
    }
    Err(RebaseError::Suffixes(rebase.tag.clone()))
}

/// `1.4` of `1.4-p1`, and of itself.
pub(super) fn stem(tag: &str) -> &str {
    match tag.rsplit_once("-p") {
        Some((stem, number)) if !stem.is_empty() && number.parse::<u32>().is_ok() => stem,
        _ => tag,
    }
}

pub(super) async fn take_back(
    tx: &Tx,
    actor: &Actor,
    rebase: &Rebase,
    bounds: Bounds,
) -> Result<(), RebaseError> {
    let Some(moved) = &rebase.moved else {
        return Ok(());
    };
    check_named(tx, &rebase.repository, moved, rebase.new).await?;
    match rebase.how {
        TagMove::InPlace => set(tx, actor, (rebase, rebase.old), moved, bounds).await,
        TagMove::Suffix if !bounds.1.deletion => Err(crate::DeleteError::Disabled.into()),
        TagMove::Suffix if bounds.1.is_immutable(moved) => {
            Err(crate::DeleteError::TagImmutable { tag: moved.clone() }.into())
        }
        TagMove::Suffix => tag::remove(tx, &rebase.repository, moved, actor)
            .await
            .map_err(RebaseError::from),
    }
}
