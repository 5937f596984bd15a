//! Which tags stand on another release of their base than they could.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use oci::{Digest, RepoName, Tag};
use road::lineage::Release;
use road::names::BaseName;
use store::{ItemState, NewRebaseItem, RoadEntries, Store, Timestamp};

use super::work::{Stands, Watched, settle, supersede, watched};
use crate::fleet::FleetService;

/// Between two searches that only a push to some repository has caused, at least, and so many times as long as the last one took.
const BETWEEN_SEARCHES: Duration = Duration::from_secs(2);
const SEARCH_REST_TIMES: u32 = 20;

/// Between two searches that only time has caused, at least.
const AGAIN_AT_LEAST: Duration = Duration::from_hours(1);

/// How long is waited until the index knows of all images that were pushed before a release.
const CATCH_UP: Duration = Duration::from_secs(5);

/// Tags that are noted in one transaction.
const NOTED_AT_ONCE: usize = 500;

/// A tag of a repository.
type Named = (RepoName, Tag);

/// The release that an image stands on, and the one that it could stand on.
type Move = (BaseName, Digest, Digest);

/// Where an image stands.
enum Found {
    /// On a release that images follow to.
    On(Digest),
    /// It could follow.
    Behind(Move),
}

/// What a search has found.
struct Searched {
    moves: BTreeMap<Named, Move>,
    watched: Watched,
    stands: Stands,
}

impl Searched {
    fn new(watched: Watched) -> Self {
        Self {
            moves: BTreeMap::new(),
            watched,
            stands: Stands::default(),
        }
    }

    fn take(&mut self, named: Named, found: &Found) {
        let is_watched = self.watched.contains(&named);
        match found {
            Found::On(release) if is_watched => {
                self.stands.on.entry(named).or_default().insert(*release);
            }
            Found::On(_) => {}
            Found::Behind(to) => {
                if is_watched {
                    let (repository, tag) = named.clone();
                    self.stands.behind.insert((repository, tag, to.0.clone()));
                }
                // Of an index one of its images stands for all of them, always the same one.
                let known = self.moves.entry(named).or_insert_with(|| to.clone());
                if to < known {
                    *known = to.clone();
                }
            }
        }
    }
}

/// Searches the index of all images.
pub(super) struct Finder {
    store: Store,
    fleet: Arc<FleetService>,
    /// The state of bases and of the index that was last searched.
    seen: Option<(u64, u64)>,
    /// When what a repository did not take is tried again, if there is such a tag.
    again: Option<Timestamp>,
    /// The state of bases for which what is over was last closed and forgotten.
    closed: Option<u64>,
    not_before: Instant,
}

impl Finder {
    pub(super) fn new(store: Store, fleet: Arc<FleetService>) -> Self {
        Self {
            store,
            fleet,
            seen: None,
            again: None,
            closed: None,
            not_before: Instant::now(),
        }
    }

    /// Whether bases or the index have changed since it was searched, or something is to be tried again.
    pub(super) fn has_news(&self) -> bool {
        if self.is_time() {
            return true;
        }
        let change = *self.store.entries().borrow();
        self.seen != Some((change, self.fleet.stand().epoch))
    }

    fn is_time(&self) -> bool {
        self.again.is_some_and(|again| self.store.now() >= again)
    }

    /// Notes what is to follow, if there may be news.
    pub(super) async fn find(&mut self, road: &Arc<RoadEntries>) -> Result<()> {
        let targets = targets(road);
        let stand = self.fleet.stand();
        let now = (road.change, stand.epoch);
        let is_other_road = self.seen.is_none_or(|(change, _)| change != road.change);
        if self.seen == Some(now) && !self.is_time() {
            return Ok(());
        }
        if self.closed != Some(road.change) {
            self.leave_out(road).await?;
            supersede(&self.store, road).await?;
            self.store.forget_work().await?;
            self.closed = Some(road.change);
        }
        if targets.is_empty() && self.store.work(true).await?.is_empty() {
            (self.seen, self.again) = (Some(now), None);
            return Ok(());
        }
        if !is_other_road && Instant::now() < self.not_before {
            return Ok(());
        }
        if !self.fleet.caught_up(CATCH_UP).await? {
            return Ok(());
        }
        let epoch = self.fleet.stand().epoch;
        let began = Instant::now();
        let open = self.store.work(true).await?;
        let (found, stands) = self.search(road, targets, watched(&open)).await?;
        settle(&self.store, &self.fleet, open, &stands).await?;
        self.note(found).await?;
        // A tag that is found no more would be due for ever.
        let not_again_before = self.store.now().plus(AGAIN_AT_LEAST);
        let again = self.store.next_let_in().await?;
        self.again = again.map(|again| again.max(not_again_before));
        self.not_before = Instant::now() + BETWEEN_SEARCHES.max(began.elapsed() * SEARCH_REST_TIMES);
        self.seen = Some((road.change, epoch));
        Ok(())
    }

    /// What waits for a release that does not count any more.
    async fn leave_out(&self, road: &RoadEntries) -> Result<()> {
        let open = [ItemState::New, ItemState::Asking, ItemState::Waiting];
        for base in self.store.bases_with_items_in(&open).await? {
            let targets = super::targets(road, &base);
            let left = self.store.leave_out_rebase_items(&base, &targets).await?;
            if left > 0 {
                tracing::info!(%base, left, "tags do not follow to a release that was superseded");
            }
        }
        Ok(())
    }

    /// Also where tags stand that work is about.
    async fn search(
        &self,
        road: &Arc<RoadEntries>,
        targets: Targets,
        watched: Watched,
    ) -> Result<(BTreeMap<Named, Move>, Stands)> {
        let (fleet, road) = (Arc::clone(&self.fleet), Arc::clone(road));
        let found = tokio::task::spawn_blocking(move || {
            let own: BTreeSet<&str> = road.bases.iter().map(|base| base.repository.as_str()).collect();
            let of = |diff_ids: &[Option<Digest>]| {
                let lineage = road.releases.lineage(diff_ids);
                let release = road.releases.release(&lineage.base()?.release)?;
                if release.is_target {
                    return (!watched.is_empty()).then_some(Found::On(release.digest));
                }
                let to = targets.get(&release.base)?.get(&release.platform)?;
                Some(Found::Behind((release.base.clone(), release.digest, *to)))
            };
            // A release of a base on another base is for its owner to make.
            let found = fleet.look(|fleet| fleet.tagged(&fleet.scope(|name| !own.contains(name), None), of));
            let mut searched = Searched::new(watched);
            for (key, tags, found) in found {
                let Ok(repository) = key.repository.parse::<RepoName>() else {
                    continue;
                };
                for tag in tags.iter().filter_map(|tag| tag.parse::<Tag>().ok()) {
                    searched.take((repository.clone(), tag), &found);
                }
            }
            (searched.moves, searched.stands)
        });
        found.await.context("the search for images was lost")
    }

    async fn note(&self, found: BTreeMap<Named, Move>) -> Result<()> {
        let mut by_repository: BTreeMap<RepoName, HashMap<Tag, Move>> = BTreeMap::new();
        for ((repository, tag), to) in found {
            by_repository.entry(repository).or_default().insert(tag, to);
        }
        let mut items = Vec::new();
        for (repository, moves) in by_repository {
            for (tag, old) in self.store.tags_to_follow(&repository).await? {
                let Some((base, old_release, new_release)) = moves.get(&tag).cloned() else {
                    continue;
                };
                items.push(NewRebaseItem {
                    base,
                    repository: repository.clone(),
                    tag,
                    old,
                    old_release,
                    new_release,
                });
                if items.len() == NOTED_AT_ONCE {
                    self.store.add_rebase_items(std::mem::take(&mut items)).await?;
                }
            }
        }
        self.store.add_rebase_items(items).await?;
        Ok(())
    }
}

/// Where images of a base and platform could stand.
type Targets = HashMap<BaseName, HashMap<String, Digest>>;

fn targets(road: &RoadEntries) -> Targets {
    let safe = road
        .bases
        .iter()
        .filter(|base| base.rebase.as_ref().is_some_and(|rebase| rebase.safe));
    let mut targets = Targets::new();
    for base in safe {
        let mut releases: Vec<&Release> = road.releases.of_base(&base.name).collect();
        if releases.len() < 2 {
            continue;
        }
        releases.retain(|release| release.is_target);
        // Of several the newest counts, as for a single image.
        releases.sort_by_key(|release| (release.released_at, release.digest));
        let by_platform = releases
            .into_iter()
            .map(|release| (release.platform.clone(), release.digest));
        targets.insert(base.name.clone(), by_platform.collect());
    }
    targets
}
