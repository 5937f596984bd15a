//! Plans of rebases, from stored facts: no byte of a layer is read.
//!
//! - `rebase/load.rs`: an image with its bytes and the facts of its layers.
//! - `rebase/change.rs`: what differs between two releases of a base, made once for all images on it.
//! - `rebase/plan.rs`: the plan of one image.

mod change;
mod load;
mod plan;

use std::sync::Arc;

use anyhow::Context as _;
use oci::{Digest, MediaType};
use road::names::BaseName;
use road::rebase::{BaseNamed, Replaced, SafetyClass, write_index};
use store::{RoadEntries, Store};
use web::wire::{ImagePlan, PlanEntry};
use web::{PlanOf, Planned, Rebasing, RebasingError};

use crate::judge::{Evidence, Knowledge};
use change::Changes;
use load::{Loaded, Loader};

/// Makes plans by what a server knows.
pub(crate) struct Rebases {
    store: Store,
    loader: Loader,
    changes: Changes,
}

/// An image on its new base, with what must be written for it.
pub(crate) struct Follows {
    entry: ImagePlan,
    /// `None`: it stays as it is, or cannot follow.
    written: Option<Bytes>,
}

/// What must be written for an image.
struct Bytes {
    manifest: Vec<u8>,
    config: Vec<u8>,
    top: Option<Vec<u8>>,
}

impl Bytes {
    fn len(&self) -> u64 {
        let top = self.top.as_ref().map_or(0, Vec::len);
        (self.manifest.len() + self.config.len() + top) as u64
    }
}

fn failed(error: anyhow::Error) -> RebasingError {
    RebasingError::Failed(error.into())
}

impl Rebases {
    /// Over a store and what is known.
    pub(crate) fn new(store: Store, knowledge: &Knowledge) -> Arc<Self> {
        let evidence: Evidence = knowledge.evidence();
        Arc::new(Self {
            loader: Loader::new(store.clone(), evidence),
            changes: Changes::default(),
            store,
        })
    }

    async fn make(&self, of: PlanOf) -> Result<PlanEntry, RebasingError> {
        let road = self.store.road().await.map_err(|error| failed(error.into()))?;
        if of.images.is_empty() {
            return Err(RebasingError::NoBase(
                "there is nothing that runs in it".to_owned(),
            ));
        }
        let mut all = Vec::new();
        for digest in &of.images {
            all.push(self.image(&of, digest, &road).await?);
        }
        let class = all.iter().filter_map(|follows| follows.entry.class).max();
        let mut new_bytes: u64 = all
            .iter()
            .filter_map(|follows| follows.written.as_ref())
            .map(Bytes::len)
            .sum();
        let mut new_digest = None;
        if class.is_some_and(SafetyClass::can_follow) {
            let (digest, bytes) = self.whole(&of, &all).await?;
            new_digest = Some(digest);
            new_bytes += bytes;
        }
        Ok(PlanEntry {
            repository: of.repository,
            digest: of.digest,
            class,
            new_digest,
            new_bytes,
            images: all.into_iter().map(|follows| follows.entry).collect(),
        })
    }

    /// What the whole is called: the image itself, or the index with its images replaced. With how many bytes it adds.
    async fn whole(&self, of: &PlanOf, all: &[Follows]) -> Result<(Digest, u64), RebasingError> {
        if let [only] = all
            && only.entry.digest == of.digest
        {
            return Ok((only.entry.new_digest.unwrap_or(of.digest), 0));
        }
        let replaced = all.iter().filter_map(|follows| {
            Some(Replaced {
                old: follows.entry.digest,
                new: follows.entry.new_digest?,
                size: follows.written.as_ref()?.manifest.len() as u64,
            })
        });
        let replaced: Vec<Replaced> = replaced.collect();
        let index = self.store.manifest_to_judge(&of.repository, &of.digest).await;
        let index = index
            .map_err(|error| failed(error.into()))?
            .ok_or(RebasingError::Gone)?;
        let index = write_index(&index.bytes, &replaced).map_err(|error| failed(error.into()))?;
        Ok((Digest::of(oci::Algorithm::Sha256, &index), index.len() as u64))
    }

    async fn image(
        &self,
        of: &PlanOf,
        digest: &Digest,
        road: &Arc<RoadEntries>,
    ) -> Result<Follows, RebasingError> {
        let app = self.loader.load(&of.repository, digest).await?;
        let (from, to) = self.releases(&app, of.onto.as_ref(), road).await?;
        let change = match &to {
            None => None,
            Some(to) => Some(
                self.changes
                    .between(&from.image, &to.image)
                    .await
                    .map_err(failed)?,
            ),
        };
        let planned =
            tokio::task::spawn_blocking(move || plan::plan(&app, &from, to.as_ref().zip(change.as_ref())));
        planned
            .await
            .context("the plan was lost")
            .and_then(|plan| plan)
            .map_err(failed)
    }

    /// The release below an image, and the one to go to; none if it is on that already.
    async fn releases(
        &self,
        app: &Loaded,
        onto: Option<&BaseName>,
        road: &RoadEntries,
    ) -> Result<(plan::Release, Option<plan::Release>), RebasingError> {
        let lineage = road.releases.lineage(&app.diff_ids);
        let mut stack = lineage.stack.iter().rev();
        let standing = stack.next().ok_or_else(|| {
            let why =
                "it stands on no declared base: declare the base that it is built on (`roadbed base set`)";
            RebasingError::NoBase(why.to_owned())
        })?;
        let target = onto.unwrap_or(&standing.base);
        let release = |digest: &Digest| road.releases.release(digest).cloned();
        let from = release(&standing.release).ok_or(RebasingError::Gone)?;
        let from = self.release(from, road).await?;
        let current = road
            .releases
            .of_base(target)
            .filter(|release| release.superseded.is_none());
        let mut current: Vec<_> = current.cloned().collect();
        current.sort_by_key(|release| std::cmp::Reverse((release.released_at, release.digest)));
        for release in current {
            if release.digest == standing.release {
                return Ok((from, None));
            }
            let to = self.release(release, road).await?;
            if to.image.platform == from.image.platform {
                return Ok((from, Some(to)));
            }
        }
        let platform = &from.image.platform;
        Err(RebasingError::NoBase(format!(
            "base `{target}` has no current release for {platform}: push one to its repository, or name another base (--onto)"
        )))
    }

    async fn release(
        &self,
        release: road::lineage::Release,
        road: &RoadEntries,
    ) -> Result<plan::Release, RebasingError> {
        let base = road.bases.get(&release.base).ok_or(RebasingError::Gone)?;
        let image = self.loader.load(&base.repository, &release.digest).await?;
        Ok(plan::Release {
            named: BaseNamed {
                name: format!("{}:{}", base.repository, release.version),
                digest: release.digest,
            },
            base: base.clone(),
            release,
            image: Arc::new(image),
        })
    }
}

impl Rebasing for Rebases {
    fn plan(&self, of: PlanOf) -> Planned<'_> {
        Box::pin(self.make(of))
    }
}

/// What a manifest is served as, with its bytes.
type Manifest = (MediaType, bytes::Bytes);
