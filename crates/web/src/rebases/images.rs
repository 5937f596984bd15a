//! The images of what was named that are planned.

use oci::{Digest, RepoName};
use store::{Store, StoreError};

use super::{MAX_PLATFORMS, RebasingError};

/// The images that are planned of what was named: itself, or, of an index with these `children`, those that run. The inner error says
/// why there are none to plan: one of them was not judged yet, or they are more than [`MAX_PLATFORMS`].
pub async fn images_to_plan(
    store: &Store,
    repo: &RepoName,
    named: Digest,
    children: Option<Vec<Digest>>,
) -> Result<Result<Vec<Digest>, RebasingError>, StoreError> {
    let Some(children) = children else {
        return Ok(Ok(vec![named]));
    };
    let mut images = Vec::new();
    for digest in children {
        match store.is_runnable(repo, &digest).await? {
            Some(true) => images.push(digest),
            // An attestation, or what is not here: it stays as it is.
            Some(false) => {}
            None => return Ok(Err(RebasingError::Waits(format!("{repo}@{digest}")))),
        }
    }
    if images.len() > MAX_PLATFORMS {
        return Ok(Err(RebasingError::Platforms(images.len())));
    }
    Ok(Ok(images))
}
