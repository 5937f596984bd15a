//! Images that were deleted, when the index is built anew: for questions as of a moment when they were there.

use std::collections::BTreeSet;

use anyhow::Result;
use oci::{Digest, RepoName};
use road::fleet::{ImageKey, Moment};
use store::GoneImage;

use super::{bases, follow::Follower, look::Looked};

/// Images that are read at a time.
const PAGE: usize = 500;

impl Follower {
    /// Takes in those that were deleted behind `after`, in the order of their deletion. Answers behind which to go on.
    pub(super) async fn take_gone(&self, after: i64) -> Result<i64> {
        let mut after = after;
        loop {
            let page = self.service.store.gone_images(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(after);
            };
            after = last.id;
            for gone in page {
                self.take_one_gone(gone).await?;
            }
        }
    }

    /// Waits no more for what the repository does not have any more: an SBOM goes with its image, and no event says so.
    pub(super) async fn drop_waiting(&self, repo: &RepoName) -> Result<()> {
        if !self.service.read().waiting.contains_key(repo.as_str()) {
            return Ok(());
        }
        let here = self.service.store.image_digests(repo).await?;
        let here: BTreeSet<Digest> = here.into_iter().collect();
        let mut state = self.service.write();
        if let Some(waiting) = state.waiting.get_mut(repo.as_str()) {
            waiting.retain(|digest| here.contains(digest));
            if waiting.is_empty() {
                state.waiting.remove(repo.as_str());
            }
        }
        Ok(())
    }

    async fn take_one_gone(&self, gone: GoneImage) -> Result<()> {
        // One of whose layers nobody knew, or that was no image, says nothing.
        let looked = self
            .looker
            .look_into(&gone.repo, &gone.digest, &gone.image)
            .await?;
        let Looked::Image(mut facts, from) = looked else {
            return Ok(());
        };
        let road = self.service.store.road().await?;
        let diff_ids: Vec<_> = facts
            .layers
            .iter()
            .map(|layer| layer.diff_id().copied())
            .collect();
        facts.base_layers = bases::layers(&road, &diff_ids);
        let key = ImageKey {
            repository: gone.repo.to_string(),
            digest: gone.digest,
        };
        let mut state = self.service.write();
        state.fleet.add_image(&key, &facts, Moment(from.micros()));
        state.fleet.remove_image(&key, Moment(gone.gone_at.micros()));
        Ok(())
    }
}
