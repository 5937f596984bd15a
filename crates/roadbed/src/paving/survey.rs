//! Where the newest image of each repository stands.

use std::{collections::HashMap, sync::Arc};

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
use web::{MayPull, Survey};

use crate::fleet::FleetService;

/// Shared bases that are told.
const SHARED_TOLD: usize = 20;

/// Repositories that must share a base before it is told of.
const LEAST_REPOSITORIES: usize = 2;

/// Of the repositories that may be pulled. Those of bases are the road itself and do not count.
pub(super) async fn of(store: &Store, fleet: &Arc<FleetService>, may_pull: MayPull) -> Result<Survey> {
    let road = store.road().await?;
    let newest = store.newest_tags().await?;
    let (fleet, now) = (Arc::clone(fleet), store.now().to_utc());
    let made = tokio::task::spawn_blocking(move || {
        let seen = newest.into_iter().filter(|(repository, _)| may_pull(repository));
        make(&fleet, &road, seen.collect(), now)
    });
    made.await.context("where images stand was lost")
}

fn make(
    fleet: &FleetService,
    road: &RoadEntries,
    newest: Vec<(RepoName, Tag)>,
    now: OffsetDateTime,
) -> Survey {
    let (mut stands, mut waiting) = (Vec::new(), 0);
    // Images that are nothing but a stack of layers, to tell whose it is.
    let mut whole: HashMap<Digest, Vec<String>> = HashMap::new();
    for (repository, tag) in newest {
        let Some(images) = images_of(fleet, &repository, &tag) else {
            waiting += 1;
            continue;
        };
        for stack in &images {
            let known: Option<Vec<Digest>> = stack.iter().copied().collect();
            if let Some(chain) = known.as_deref().and_then(chain_id) {
                let named = whole.entry(chain).or_default();
                if named.len() < NAMED {
                    named.push(format!("{repository}:{tag}"));
                }
            }
        }
        if !images.is_empty() && road.bases.released_to(&repository).is_none() {
            stands.push(stand(road, repository, &images, now));
        }
    }
    let is_unapproved = |stand: &&Stand| {
        matches!(
            stand.verdict.because,
            Because::NoBase | Because::NotDeclared { .. }
        )
    };
    let unapproved = stands.iter().filter(is_unapproved);
    let proposals = shared(unapproved, TEAMS_THAT_PROPOSE, TEAMS_THAT_PROPOSE);
    let all_shared = shared(&stands, 0, LEAST_REPOSITORIES);
    Survey {
        by_owner: by_owner(&stands),
        waiting,
        proposals: named(proposals, &whole),
        shared: named(all_shared, &whole),
    }
}

fn named(bases: Vec<SharedBase>, whole: &HashMap<Digest, Vec<String>>) -> Vec<SharedBase> {
    let named = bases.into_iter().take(SHARED_TOLD).map(|base| SharedBase {
        images: whole.get(&base.chain).cloned().unwrap_or_default(),
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
    let exemption = application
        .as_ref()
        .and_then(|name| road.paving.exemption(name, now));
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
