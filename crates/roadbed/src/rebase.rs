//! Images on newer releases of their bases: planned and made from stored facts, no byte of a layer is read.
//!
//! - `rebase/load.rs`: an image with its bytes and the facts of its layers.
//! - `rebase/change.rs`: what differs between two releases of a base, made once for all images on it.
//! - `rebase/plan.rs`: the plan of one image.
//! - `rebase/news.rs`: findings that go and come with a release.
//! - `rebase/trust.rs`: what the registry states of what it made.
//! - `rebase/mover.rs`: tags that follow when what was made is decided.
//! - `rebase/mass.rs`: all images on a base, when a release of it comes. `rebase/mass/report.rs`: what was possible and what was not.

mod change;
mod load;
mod mass;
mod mover;
mod news;
mod plan;
mod trust;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use oci::{Digest, MediaType, Tag};
use road::base::{BaseImage, Lifecycle};
use road::lineage::Word;
use road::names::BaseName;
use road::rebase::{BaseNamed, Replaced, SafetyClass, write_index};
use store::{Actor, MadeImage, NewRebase, Rebase, RebaseOf, RoadEntries, Store, TagMove};
use web::wire::{ImagePlan, PlanEntry, ReleaseEntry};
use web::{Made, PlanOf, Planned, Rebasing, RebasingError};

use crate::judge::{Evidence, Knowledge, is_signed, moment, stored_limits};
use change::Changes;
use load::{Loaded, Loader};

pub(crate) use mass::{Mass, MassSettings, Thaw};
pub(crate) use mover::follow;
use news::News;
pub(crate) use trust::referrer;

/// Makes plans by what a server knows.
pub(crate) struct Rebases {
    store: Store,
    loader: Loader,
    changes: Changes,
    news: News,
    knowledge: Arc<Knowledge>,
    reports: std::sync::OnceLock<Arc<mass::Reports>>,
}

/// How a plan is to be carried out.
struct Order {
    tag: Tag,
    how: TagMove,
    /// Another plan is not carried out.
    expected: Option<Digest>,
    /// `None`: it is carried out by itself.
    item: Option<Together>,
}

/// The tag that is to follow, of those that follow together.
struct Together {
    begins: RebaseOf,
    /// The release that it is to follow.
    release: Digest,
    /// Where somebody approved that: all that are approved for the tag.
    approved: Option<Vec<Digest>>,
}

/// An image on its new base, with what must be written for it.
pub(crate) struct Follows {
    entry: ImagePlan,
    /// `None`: it stays as it is, or cannot follow.
    written: Option<Bytes>,
}

/// A plan, with all that must be written to carry it out.
struct Plan {
    entry: PlanEntry,
    /// Images before their index.
    manifests: Vec<Written>,
    blobs: Vec<Vec<u8>>,
}

/// A manifest and what it is served as.
type Written = (MediaType, Vec<u8>);

/// What must be written for an image.
struct Bytes {
    media_type: MediaType,
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
    // What it was stays known: whoever tries again asks for it.
    RebasingError::Failed(error.reallocate_into_boxed_dyn_error_without_backtrace())
}

impl Rebases {
    /// Over a store and what is known.
    pub(crate) fn new(store: Store, knowledge: &Arc<Knowledge>) -> Arc<Self> {
        let evidence: Evidence = knowledge.evidence();
        Arc::new(Self {
            loader: Loader::new(store.clone(), evidence),
            changes: Changes::default(),
            news: News::new(store.clone(), Arc::clone(knowledge)),
            knowledge: Arc::clone(knowledge),
            reports: std::sync::OnceLock::new(),
            store,
        })
    }

    async fn make(&self, of: PlanOf) -> Result<Plan, RebasingError> {
        let road = self.store.road().await.map_err(|error| failed(error.into()))?;
        if of.images.is_empty() {
            return Err(RebasingError::NoBase(
                "there is nothing that runs in it".to_owned(),
            ));
        }
        let mut all = Vec::new();
        for digest in &of.images {
            all.push(Box::pin(self.image(&of, digest, &road)).await?);
        }
        let class = all.iter().filter_map(|follows| follows.entry.class).max();
        let mut new_bytes: u64 = all
            .iter()
            .filter_map(|follows| follows.written.as_ref())
            .map(Bytes::len)
            .sum();
        let (mut new_digest, mut manifests, mut blobs) = (None, Vec::new(), Vec::new());
        if class.is_some_and(SafetyClass::can_follow) {
            let (digest, index) = self.whole(&of, &all).await?;
            new_digest = Some(digest);
            for written in all.iter_mut().filter_map(|follows| follows.written.take()) {
                manifests.push((written.media_type, written.manifest));
                blobs.push(written.config);
                blobs.extend(written.top);
            }
            if let Some(index) = index {
                new_bytes += index.1.len() as u64;
                manifests.push(index);
            }
        }
        let entry = PlanEntry {
            repository: of.repository,
            digest: of.digest,
            class,
            new_digest,
            new_bytes,
            images: all.into_iter().map(|follows| follows.entry).collect(),
        };
        Ok(Plan {
            entry,
            manifests,
            blobs,
        })
    }

    /// Stores what a plan makes. All images of an index follow one base, or it is not carried out.
    async fn carry_out_here(&self, of: PlanOf, order: Order, actor: Actor) -> Result<Rebase, RebasingError> {
        let plan = self.make(of).await?;
        self.carry_out_plan(plan, order, actor).await
    }

    async fn carry_out_plan(&self, plan: Plan, order: Order, actor: Actor) -> Result<Rebase, RebasingError> {
        let Order {
            tag,
            how,
            expected,
            item,
        } = order;
        let Some(new) = plan.entry.new_digest else {
            return Err(why_not(&plan.entry));
        };
        if expected.is_some_and(|expected| expected != new) {
            return Err(RebasingError::Changed(new));
        }
        if let Some(why) = news::worse(&plan.entry) {
            return Err(RebasingError::Worse(why));
        }
        if let Some(together) = &item {
            together.check(&goes_to(&plan.entry))?;
        }
        check_one_base(&plan.entry)?;
        let road = self.store.road().await.map_err(|error| failed(error.into()))?;
        let base = plan
            .entry
            .images
            .iter()
            .find_map(|image| image.to.as_ref().map(|to| to.digest));
        let base = base.and_then(|digest| road.releases.release(&digest));
        let base = base
            .and_then(|release| road.bases.get(&release.base))
            .ok_or(RebasingError::Gone)?;
        let limits = stored_limits();
        let manifests = plan.manifests.into_iter().map(|(media_type, bytes)| {
            let manifest = oci::Manifest::parse(&bytes, Some(&media_type), &limits)?;
            let digest = Digest::of(oci::Algorithm::Sha256, &bytes);
            Ok((digest, bytes::Bytes::from(bytes), manifest))
        });
        let manifests: Result<Vec<_>, oci::ManifestError> = manifests.collect();
        let new = NewRebase {
            repository: plan.entry.repository.clone(),
            tag,
            old: plan.entry.digest,
            how,
            base: base.repository.clone(),
            manifests: manifests.map_err(|error| failed(error.into()))?,
            blobs: plan.blobs.into_iter().map(bytes::Bytes::from).collect(),
            images: made_of(&plan.entry, &base.name),
            referrers: Vec::new(),
            item: item.map(|together| together.begins),
            plan: serde_json::to_string(&plan.entry).map_err(|error| failed(error.into()))?,
        };
        let key = self
            .store
            .patch_key()
            .await
            .map_err(|error| failed(error.into()))?;
        let is_vouched = self.is_vouched(&plan.entry, base, &road).await.map_err(failed)?;
        let new = trust::attested(&key, new, &plan.entry, (base, is_vouched)).map_err(failed)?;
        Ok(self.store.make_rebase(&actor, new).await?)
    }

    /// Whether a trusted signer stands for what is rebased, and the declared one for each release that it goes to.
    async fn is_vouched(
        &self,
        plan: &PlanEntry,
        base: &BaseImage,
        road: &RoadEntries,
    ) -> anyhow::Result<bool> {
        let counts = |to: &ReleaseEntry| {
            let release = road.releases.release(&to.digest);
            release.is_some_and(|release| release.base == base.name && release.word == Word::Signer)
        };
        if !plan
            .images
            .iter()
            .filter_map(|image| image.to.as_ref())
            .all(counts)
        {
            return Ok(false);
        }
        let facts = self.knowledge.facts().await;
        let now = moment(self.store.now())?;
        let image = (&plan.repository, &plan.digest);
        is_signed(&self.store, image, &facts.signers, now).await
    }

    /// What the whole is called: the image itself, or the index with its images replaced, which is answered too.
    async fn whole(&self, of: &PlanOf, all: &[Follows]) -> Result<(Digest, Option<Written>), RebasingError> {
        if let [only] = all
            && only.entry.digest == of.digest
        {
            return Ok((only.entry.new_digest.unwrap_or(of.digest), None));
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
        let bytes = write_index(&index.bytes, &replaced).map_err(|error| failed(error.into()))?;
        let digest = Digest::of(oci::Algorithm::Sha256, &bytes);
        Ok((digest, Some((index.media_type.clone(), bytes))))
    }

    async fn image(
        &self,
        of: &PlanOf,
        digest: &Digest,
        road: &Arc<RoadEntries>,
    ) -> Result<Follows, RebasingError> {
        let app = self.loader.load(&of.repository, digest).await?;
        let (from, to) = self.releases(&app, of, road).await?;
        let change = match &to {
            None => None,
            Some(to) => Some(
                self.changes
                    .between(&from.image, &to.image, of.place.clone())
                    .await
                    .map_err(failed)?,
            ),
        };
        let news = match &to {
            None => None,
            Some(to) => Some(self.news.between(&from, to).await?),
        };
        let remains = match &news {
            None => Vec::new(),
            Some(news) => {
                let (image, first) = ((&of.repository, digest), from.image.layers.len());
                self.news.remains(image, first, news).await?
            }
        };
        // Whoever asked may be gone: the place is taken until the work is done.
        let place = of.place.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let planned = plan::plan(&app, &from, to.as_ref().zip(change.as_ref()));
            drop(place);
            planned
        });
        let mut planned = planned
            .await
            .context("the plan was lost")
            .and_then(|plan| plan)
            .map_err(failed)?;
        if let Some(news) = news {
            planned.entry.findings = news.as_ref().clone();
            planned.entry.remains = remains;
        }
        Ok(planned)
    }

    /// The release below an image, and the one to go to; none if it is on that already.
    async fn releases(
        &self,
        app: &Loaded,
        of: &PlanOf,
        road: &RoadEntries,
    ) -> Result<(plan::BaseRelease, Option<plan::BaseRelease>), RebasingError> {
        let lineage = road.releases.lineage(&app.diff_ids);
        let mut stack = lineage.stack.iter().rev();
        let standing = stack.next().ok_or_else(|| {
            let why =
                "it stands on no declared base: declare the base that it is built on (`roadbed base set`)";
            RebasingError::NoBase(why.to_owned())
        })?;
        let target = of.onto.as_ref().unwrap_or(&standing.base);
        for base in [&standing.base, target] {
            check_open(of, base, road)?;
        }
        if *target != standing.base {
            check_takes_new(target, road)?;
        }
        let release = |digest: &Digest| road.releases.release(digest).cloned();
        let from = release(&standing.release).ok_or(RebasingError::Gone)?;
        let from = self.release(from, road).await?;
        let standing_platform = from.release.platform.clone();
        let current = road
            .releases
            .of_base(target)
            .filter(|release| release.is_target && release.platform == standing_platform);
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
            "base `{target}` has no release for {platform} that counts: push one to its repository{}, or name another base (--onto)",
            signed_by(road, target)
        )))
    }

    async fn release(
        &self,
        release: road::lineage::Release,
        road: &RoadEntries,
    ) -> Result<plan::BaseRelease, RebasingError> {
        let base = road.bases.get(&release.base).ok_or(RebasingError::Gone)?;
        let image = self.loader.release(&base.repository, &release.digest).await?;
        Ok(plan::BaseRelease {
            named: BaseNamed {
                name: format!("{}:{}", base.repository, release.version),
                digest: release.digest,
            },
            base: base.clone(),
            release,
            image,
        })
    }
}

impl Rebasing for Rebases {
    fn plan(&self, of: PlanOf) -> Planned<'_> {
        Box::pin(async move { Ok(self.make(of).await?.entry) })
    }

    fn carry_out(
        &self,
        of: PlanOf,
        tag: Tag,
        how: TagMove,
        expected: Option<Digest>,
        actor: Actor,
    ) -> Made<'_> {
        let order = Order {
            tag,
            how,
            expected,
            item: None,
        };
        Box::pin(self.carry_out_here(of, order, actor))
    }

    fn report(&self, base: BaseName, release: Option<String>, may_pull: web::MayPull) -> web::Reported<'_> {
        let reports = self.reports.get().cloned();
        Box::pin(async move {
            let reports = reports.ok_or(RebasingError::Gone)?;
            reports.of(&base, release.as_deref(), &may_pull).await
        })
    }
}

/// What is in a base is told to nobody who may not pull it.
fn check_open(of: &PlanOf, base: &BaseName, road: &RoadEntries) -> Result<(), RebasingError> {
    let unknown = || {
        let why = format!("there is no base `{base}`: `roadbed base list` shows those that there are");
        RebasingError::NoBase(why)
    };
    let entry = road.bases.get(base).ok_or_else(unknown)?;
    if (of.may_pull)(&entry.repository) {
        return Ok(());
    }
    // Whoever only names it does not learn that it is there.
    if of.onto.as_ref() == Some(base) {
        return Err(unknown());
    }
    Err(RebasingError::Denied {
        base: base.clone(),
        repository: entry.repository.clone(),
    })
}

/// A base that is retired is not moved to. What stands on it may still follow its patches.
fn check_takes_new(base: &BaseName, road: &RoadEntries) -> Result<(), RebasingError> {
    let entry = road.bases.get(base).ok_or(RebasingError::Gone)?;
    if entry.lifecycle != Lifecycle::Retired {
        return Ok(());
    }
    let instead = match &entry.replaced_by {
        Some(by) => format!("name {by}, which takes its place (--onto)"),
        None => format!("name another base (--onto), or ask {}", entry.owner),
    };
    Err(RebasingError::NoBase(format!(
        "base `{base}` is retired and takes no new images: {instead}"
    )))
}

/// Without the signer's name: it becomes the reason of an image that others than the base's readers may pull.
fn signed_by(road: &RoadEntries, base: &BaseName) -> &'static str {
    let signer = road.bases.get(base).and_then(|base| base.signer.as_ref());
    signer.map_or("", |_| ", signed by its declared signer")
}

/// What was made of what, by which releases of the base: each image, and the index.
fn made_of(plan: &PlanEntry, base: &BaseName) -> Vec<MadeImage> {
    let release = |image: &ImagePlan| image.to.as_ref().map(|to| to.digest);
    let images = plan.images.iter().filter_map(|image| {
        let releases = BTreeSet::from_iter(release(image));
        Some(((image.digest, image.new_digest?), releases))
    });
    let mut all: BTreeMap<(Digest, Digest), BTreeSet<Digest>> = images.collect();
    if let Some(new) = plan.new_digest {
        let releases = plan.images.iter().filter_map(release);
        all.entry((plan.digest, new)).or_default().extend(releases);
    }
    let made = all.into_iter().map(|((old, new), releases)| MadeImage {
        old,
        new,
        base: base.clone(),
        releases: releases.into_iter().collect(),
    });
    made.collect()
}

/// The releases to which the images of a plan go.
fn goes_to(plan: &PlanEntry) -> Vec<Digest> {
    let to = plan.images.iter().filter_map(|image| image.to.as_ref());
    to.map(|to| to.digest).collect()
}

impl Together {
    /// Between the search for images and now the base may have moved on.
    fn check(&self, to: &[Digest]) -> Result<(), RebasingError> {
        let release = &self.release;
        if !to.contains(release) {
            return Err(RebasingError::NoBase(format!(
                "release {release} of the base does not count any more"
            )));
        }
        // Who lets an image go to one release has not seen what one for another platform goes to.
        let approved = self.approved.as_ref();
        let is_unapproved = |to: &&Digest| approved.is_some_and(|approved| !approved.contains(to));
        match to.iter().find(is_unapproved) {
            Some(unapproved) => Err(RebasingError::Unapproved(*unapproved)),
            None => Ok(()),
        }
    }
}

fn check_one_base(plan: &PlanEntry) -> Result<(), RebasingError> {
    let bases: BTreeSet<&BaseName> = plan.images.iter().map(|image| &image.base).collect();
    if bases.len() <= 1 {
        return Ok(());
    }
    let bases: Vec<&str> = bases.into_iter().map(BaseName::as_str).collect();
    Err(RebasingError::NoBase(format!(
        "the images of the index stand on more than one base ({}): only one whose images stand on one base can follow",
        bases.join(", ")
    )))
}

/// Why a plan has nothing to carry out.
fn why_not(plan: &PlanEntry) -> RebasingError {
    let Some(class) = plan.class else {
        return RebasingError::Current;
    };
    let obstacles = plan.images.iter().flat_map(|image| &image.obstacles);
    let why: Vec<&str> = obstacles.take(3).map(|obstacle| obstacle.text.as_str()).collect();
    RebasingError::Rebuild {
        class,
        why: why.join("; "),
    }
}

/// What a manifest is served as, with its bytes.
type Manifest = (MediaType, bytes::Bytes);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_approved_for_one_platform_is_not_for_another() {
        let [amd64, arm64, gone] =
            ["amd64", "arm64", "gone"].map(|text| Digest::of(oci::Algorithm::Sha256, text.as_bytes()));
        let together = |approved: Option<&[Digest]>| Together {
            begins: RebaseOf {
                item: uuid::Uuid::nil(),
                thaw: None,
            },
            release: amd64,
            approved: approved.map(<[Digest]>::to_vec),
        };
        assert!(together(None).check(&[amd64, arm64]).is_ok(), "nobody had to");
        assert!(together(Some(&[amd64])).check(&[amd64]).is_ok());
        assert!(together(Some(&[amd64, arm64])).check(&[amd64, arm64]).is_ok());
        let one = together(Some(&[amd64])).check(&[amd64, arm64]);
        assert!(matches!(one, Err(RebasingError::Unapproved(which)) if which == arm64));
        let moved_on = together(Some(&[amd64])).check(&[gone]);
        assert!(matches!(moved_on, Err(RebasingError::NoBase(_))));
    }
}
