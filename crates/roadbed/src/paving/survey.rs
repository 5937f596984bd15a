//! Where the newest image of each repository stands.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use oci::{Digest, RepoName, Tag};
use road::{
    adoption::{NAMED, SharedBase, Stand, TEAMS_THAT_PROPOSE, by_owner, shared},
    cohort::{Because, Verdict, of_application, of_image},
    fleet::ImageKey,
    lineage::chain_id,
};
use store::{RoadEntries, Store};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use web::{MayPull, Survey};

use crate::fleet::FleetService;

/// Shared bases that are told.
const SHARED_TOLD: usize = 20;

/// Repositories that must share a base before it is told of.
const LEAST_REPOSITORIES: usize = 2;

/// How long a survey may be told for: ends are reached while nothing else changes.
const FRESH: Duration = Duration::from_mins(1);

/// Where all stand, as of a state of the index and of the road.
pub(super) struct Standing {
    stands: Vec<Stand>,
    /// Repositories whose newest image is still being looked into.
    waiting: Vec<RepoName>,
    /// Images that are nothing but a stack of layers, to tell whose it is: by that, where they lie and what they are called.
    whole: HashMap<Digest, Vec<(RepoName, Tag)>>,
}

/// The last one, and as of what: the epoch of the index, the change of entries, when.
type Kept = Option<(u64, u64, Instant, Arc<Standing>)>;

/// The last survey: everybody who asks meanwhile is answered from it, and while it is made all wait for the same one.
#[derive(Default)]
pub(super) struct Surveys {
    kept: Mutex<Kept>,
}

impl Surveys {
    /// Where everybody stands by now.
    pub(super) async fn standing(&self, store: &Store, fleet: &Arc<FleetService>) -> Result<Arc<Standing>> {
        let mut kept = self.kept.lock().await;
        // Before anything is read: what changes meanwhile is looked at again.
        let (epoch, road) = (fleet.stand().epoch, store.road().await?);
        if let Some((at, change, since, standing)) = kept.as_ref()
            && (*at, *change) == (epoch, road.change)
            && since.elapsed() < FRESH
        {
            return Ok(Arc::clone(standing));
        }
        let (since, change) = (Instant::now(), road.change);
        let newest = store.newest_tags().await?;
        let (fleet, now) = (Arc::clone(fleet), store.now().to_utc());
        // It computes; a thread that serves connections must not.
        let made = tokio::task::spawn_blocking(move || Arc::new(make(&fleet, &road, newest, now)));
        let standing = made.await.context("where images stand was lost")?;
        *kept = Some((epoch, change, since, Arc::clone(&standing)));
        Ok(standing)
    }
}

/// Of the repositories that may be pulled. Those of bases are the road itself and do not count.
pub(super) async fn of(standing: Arc<Standing>, may_pull: MayPull) -> Result<Survey> {
    let told = tokio::task::spawn_blocking(move || told(&standing, &may_pull));
    told.await.context("where images stand was lost")
}

fn make(
    fleet: &FleetService,
    road: &RoadEntries,
    newest: Vec<(RepoName, Tag)>,
    now: OffsetDateTime,
) -> Standing {
    let mut made = Standing {
        stands: Vec::new(),
        waiting: Vec::new(),
        whole: HashMap::new(),
    };
    for (repository, tag) in newest {
        let Some(images) = images_of(fleet, &repository, &tag) else {
            made.waiting.push(repository);
            continue;
        };
        for stack in &images {
            let known: Option<Vec<Digest>> = stack.iter().copied().collect();
            if let Some(chain) = known.as_deref().and_then(chain_id) {
                let whole = made.whole.entry(chain).or_default();
                whole.push((repository.clone(), tag.clone()));
            }
        }
        if !images.is_empty() && road.bases.released_to(&repository).is_none() {
            made.stands.push(stand(road, repository, &images, now));
        }
    }
    made
}

/// What is about repositories that may not be pulled is neither told nor counted.
fn told(standing: &Standing, may_pull: &MayPull) -> Survey {
    let seen = standing.stands.iter().filter(|stand| may_pull(&stand.repository));
    let seen: Vec<&Stand> = seen.collect();
    let is_unapproved = |stand: &&&Stand| {
        matches!(
            stand.verdict.because,
            Because::NoBase | Because::NotDeclared { .. }
        )
    };
    let unapproved = seen.iter().filter(is_unapproved).copied();
    let proposals = shared(unapproved, TEAMS_THAT_PROPOSE, TEAMS_THAT_PROPOSE);
    let all_shared = shared(seen.iter().copied(), 0, LEAST_REPOSITORIES);
    let waiting = standing.waiting.iter().filter(|repository| may_pull(repository));
    Survey {
        by_owner: by_owner(seen),
        waiting: waiting.count() as u64,
        proposals: named(proposals, &standing.whole, may_pull),
        shared: named(all_shared, &standing.whole, may_pull),
    }
}

fn named(
    bases: Vec<SharedBase>,
    whole: &HashMap<Digest, Vec<(RepoName, Tag)>>,
    may_pull: &MayPull,
) -> Vec<SharedBase> {
    let images = |chain: &Digest| -> Vec<String> {
        let all = whole.get(chain).into_iter().flatten();
        let seen = all.filter(|(repository, _)| may_pull(repository));
        seen.take(NAMED)
            .map(|(repository, tag)| format!("{repository}:{tag}"))
            .collect()
    };
    let named = bases.into_iter().take(SHARED_TOLD).map(|base| SharedBase {
        images: images(&base.chain),
        ..base
    });
    named.collect()
}

/// The layers of the images that a tag names. `None`: they are still being looked into; none: they are no images.
fn images_of(fleet: &FleetService, repository: &RepoName, tag: &Tag) -> Option<Vec<Vec<Option<Digest>>>> {
    fleet.look(|index| {
        let named = index.named(repository.as_str());
        let keys = named
            .into_iter()
            .filter(|image| image.tags.contains(&tag.as_str()));
        let stacks = keys.map(|image| {
            index.diff_ids_of(&ImageKey {
                repository: repository.to_string(),
                digest: image.digest,
            })
        });
        stacks.collect()
    })
}

fn stand(
    road: &RoadEntries,
    repository: RepoName,
    images: &[Vec<Option<Digest>>],
    now: OffsetDateTime,
) -> Stand {
    let whose = road.applications.owner_of(&repository);
    let application = whose.application().map(|application| application.name.clone());
    let exemption = whose
        .vouched()
        .and_then(|application| road.paving.exemption(&application.name, now));
    let verdict = |stack: &Vec<Option<Digest>>| -> Verdict {
        let lineage = road.releases.lineage(stack);
        of_image(Some(&lineage), &road.bases, exemption, now)
    };
    let longest = images.iter().max_by_key(|stack| stack.len());
    let known = longest.into_iter().flatten().map_while(|id| *id);
    Stand {
        owner: whose.owner().cloned(),
        verdict: of_application(images.iter().map(verdict)),
        diff_ids: known.collect(),
        application,
        repository,
    }
}
