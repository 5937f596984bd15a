//! All images on a base, when a release of it comes that counts.
//!
//! One task looks whenever bases, what people decreed or decisions have changed, and every second while something waits for its time: it
//! notes the tags that stand on another release than they could (`store::RebaseItem`, each once), plans the new ones, and has those begin
//! whose turn it is (`road::mass`). All that it knows lies in the store: one that is killed goes on with the next look.
//!
//! - `mass/begin.rs`: how one begins.
//! - `mass/find.rs`: which tags are to follow. `mass/wishes.rs`: what their applications say about it.
//! - `mass/report.rs`: what was possible and what was not. `mass/work.rs`: what those that cannot follow ask of their owners.

mod begin;
mod find;
mod report;
mod wishes;
mod work;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use findings::Severity;
use futures_util::{StreamExt as _, stream};
use oci::{Digest, Manifest, ManifestKind};
use road::mass::{Candidate, Pace, Standing, Turn, turn};
use road::names::BaseName;
use store::{ItemState, MAX_ITEMS, Placed, RebaseItem, RoadEntries, Store, TagMove};
use time::OffsetDateTime;
use tokio::sync::watch;
use web::{PlanOf, RebasingError, images_to_plan};

use super::{Rebases, news};
use crate::fleet::FleetService;
use crate::incidents::IncidentService;
use crate::judge::stored_limits;
use find::Finder;
use wishes::{Wishes, of_item};

pub(crate) use report::Reports;
pub(crate) use wishes::Thaw;

/// Between two looks, at least.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How often it is asked whether there is a reason for another look: what people approve is only written, and delays only pass.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A base of which nothing could begin is looked at again after so many times as long as that took to find out.
const REST_TIMES: u32 = 20;

/// Tags that are planned in one look.
const PLANNED_AT_ONCE: usize = 500;

/// Rebases that are carried out at a time.
const AT_ONCE: usize = 4;

/// How long tags that cannot be planned yet hold up the others of their base.
const PATIENCE: Duration = Duration::from_mins(1);

/// Time in which no more than the cap begin.
const HOUR: Duration = Duration::from_hours(1);

/// How images follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MassSettings {
    /// How tags do.
    pub(crate) how: TagMove,
    /// How fast.
    pub(crate) pace: Pace,
    /// From which severity on an incident overrides a freeze; `None`: none does.
    pub(crate) thaw: Option<Severity>,
}

/// Has images follow.
pub(crate) struct Mass {
    store: Store,
    rebases: Arc<Rebases>,
    incidents: Arc<IncidentService>,
    settings: MassSettings,
    finder: Finder,
    /// Bases that are not looked at before a moment.
    resting: BTreeMap<BaseName, Instant>,
    /// What the last look left.
    left: Left,
}

/// What a look leaves to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Nothing but what others will write, or what the index will know.
    Nothing,
    /// What waits for its time, or is to be tried again.
    Something,
}

/// What an item means now.
enum Meant {
    Image(Box<PlanOf>),
    /// There is nothing to plan, and why.
    Nothing(String),
    /// Not all of it was judged yet.
    Waits,
}

impl Mass {
    pub(crate) fn new(
        store: Store,
        rebases: Arc<Rebases>,
        fleet: Arc<FleetService>,
        incidents: Arc<IncidentService>,
        settings: MassSettings,
    ) -> Self {
        let reports = Reports::new(store.clone(), Arc::clone(&incidents), settings);
        // Whoever asks for a report is told what this one waits for.
        let _ = rebases.reports.set(Arc::new(reports));
        Self {
            finder: Finder::new(store.clone(), fleet),
            resting: BTreeMap::new(),
            left: Left::Something,
            store,
            rebases,
            incidents,
            settings,
        }
    }

    /// Has images follow until its task is ended.
    pub(crate) async fn follow(mut self) {
        let (mut entries, mut decided) = (self.store.entries(), self.store.decisions());
        let mut writes = self.store.writes();
        loop {
            entries.mark_unchanged();
            decided.mark_unchanged();
            writes.mark_unchanged();
            self.left = self.look().await.unwrap_or_else(|error| {
                let error = format!("{error:#}");
                tracing::warn!(error, "images could not follow their bases");
                Left::Something
            });
            tokio::time::sleep(BETWEEN_LOOKS).await;
            tokio::select! {
                _ = entries.changed() => {}
                _ = decided.changed() => {}
                () = self.until_there_is_a_reason(&writes) => {}
            }
        }
    }

    /// At rest it asks the database nothing.
    async fn until_there_is_a_reason(&self, writes: &watch::Receiver<u64>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let is_left = match self.left {
                Left::Nothing => self.finder.has_news(),
                Left::Something => true,
            };
            // A store that is gone ends the process.
            if is_left || writes.has_changed().unwrap_or(true) {
                return;
            }
        }
    }

    async fn look(&mut self) -> Result<Left> {
        let is_stopped = self.store.rebases_stopped_by().await?.is_some();
        let road = self.store.road().await?;
        self.finder.find(&road).await?;
        if is_stopped {
            // What owners have done is done all the same; nothing that is still to be planned is waited for.
            self.store.tell_of_work(self.store.now()).await?;
            return Ok(Left::Nothing);
        }
        let new = self.plan_new(&road).await?;
        self.store.tell_of_work(self.store.now().minus(PATIENCE)).await?;
        let waiting = self.store.bases_with_items_in(&[ItemState::Waiting]).await?;
        let left = match (new, waiting.is_empty()) {
            (0, true) => Left::Nothing,
            _ => Left::Something,
        };
        self.resting.retain(|base, _| waiting.contains(base));
        for base in waiting {
            let began = Instant::now();
            if self.resting.get(&base).is_some_and(|until| began < *until) {
                continue;
            }
            if self.advance(&base, &road).await? == 0 {
                // All of them may wait for days, and to read them all costs something.
                self.resting
                    .insert(base, Instant::now() + began.elapsed() * REST_TIMES);
            }
        }
        Ok(left)
    }

    /// Plans what was found; what cannot be planned yet is tried again. Answers how many there were.
    async fn plan_new(&self, road: &RoadEntries) -> Result<usize> {
        let new = self
            .store
            .rebase_items_in(ItemState::New, PLANNED_AT_ONCE)
            .await?;
        let mut planned: Vec<Work<'_, ()>> = Vec::with_capacity(new.len());
        for item in &new {
            planned.push(Box::pin(self.place(item, road)));
        }
        Ok(some_at_once(planned).await?.len())
    }

    /// Plans one and says where it goes.
    async fn place(&self, item: &RebaseItem, road: &RoadEntries) -> Result<()> {
        let place =
            async |state: ItemState, why: &str| self.store.place_rebase_item(item.id, state, "", why).await;
        let of = match self.plan_of(item).await? {
            Meant::Image(of) => of,
            Meant::Waits => return Ok(()),
            Meant::Nothing(why) => {
                place(ItemState::LeftOut, &why).await?;
                return Ok(());
            }
        };
        let plan = match self.rebases.make(*of).await {
            Ok(plan) => plan.entry,
            Err(error) => {
                if let Some(state) = begin::state_after(item, &error) {
                    place(state, &error.to_string()).await?;
                }
                return Ok(());
            }
        };
        let class = plan.class.map(|class| format!("{class:?}")).unwrap_or_default();
        let wishes = of_item(item, road, self.now()?);
        let (state, why) = match (plan.class, plan.new_digest) {
            (None, _) => (ItemState::LeftOut, "it stands on the newest release".to_owned()),
            (_, None) => (ItemState::Impossible, super::why_not(&plan).to_string()),
            _ => match news::worse(&plan) {
                Some(why) => (ItemState::Failed, why),
                None => wishes.state_of(item),
            },
        };
        let is_stuck = state == ItemState::Impossible;
        let placed = Placed {
            state,
            class,
            reason: why,
            remains: work::remains_of(&plan),
            task: is_stuck
                .then(|| work::task_of(&plan, &item.of.new_release, road))
                .flatten(),
        };
        Ok(self.store.place_rebase_plan(item.id, placed).await?)
    }

    /// Which image is meant.
    async fn plan_of(&self, item: &RebaseItem) -> Result<Meant> {
        let of = &item.of;
        let Some(stored) = self.store.manifest_to_judge(&of.repository, &of.old).await? else {
            return Ok(Meant::Nothing("the image is gone".to_owned()));
        };
        let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type), &stored_limits())
            .context("a manifest that was stored cannot be read")?;
        let children = (manifest.kind == ManifestKind::Index)
            .then(|| manifest.manifests.iter().map(|child| child.digest).collect());
        let images = match images_to_plan(&self.store, &of.repository, of.old, children).await? {
            Ok(images) => images,
            Err(RebasingError::Waits(_)) => return Ok(Meant::Waits),
            Err(error) => return Ok(Meant::Nothing(error.to_string())),
        };
        Ok(Meant::Image(Box::new(PlanOf {
            repository: of.repository.clone(),
            digest: of.old,
            images,
            onto: None,
            // The base's owner promised it for whatever stands on it.
            may_pull: Arc::new(|_| true),
            place: None,
        })))
    }

    /// Has those of a base begin whose turn it is; answers of how many something came.
    async fn advance(&self, base: &BaseName, road: &RoadEntries) -> Result<usize> {
        let now = self.now()?;
        let items = self
            .store
            .rebase_items(base, &targets(road, base), MAX_ITEMS)
            .await?;
        let since = self.store.now().minus(PATIENCE);
        let is_new = |item: &RebaseItem| item.state == ItemState::New && item.created_at > since;
        if items.iter().any(is_new) {
            return Ok(0);
        }
        let (turn, _) = turn_of(&self.store, (&items, road), &self.incidents, &self.settings, now).await?;
        let mut begun: Vec<Work<'_, bool>> = Vec::with_capacity(turn.begin.len());
        for item in turn.begin.into_iter().filter_map(|place| items.get(place)) {
            begun.push(Box::pin(self.begin(item, road, now)));
        }
        let begun = some_at_once(begun).await?;
        Ok(begun.into_iter().filter(|came| *came).count())
    }

    fn now(&self) -> Result<OffsetDateTime> {
        moment_of(&self.store)
    }
}

type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// All of it, a few at a time; what fails keeps none of the others from being done.
async fn some_at_once<T>(work: Vec<Work<'_, T>>) -> Result<Vec<T>> {
    let done: Vec<Result<T>> = stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

fn moment_of(store: &Store) -> Result<OffsetDateTime> {
    crate::judge::moment(store.now())
}

/// The releases of a base that images follow to.
fn targets(road: &RoadEntries, base: &BaseName) -> Vec<Digest> {
    let releases = road.releases.of_base(base).filter(|release| release.is_target);
    releases.map(|release| release.digest).collect()
}

/// Whose turn it is, and what each application says.
async fn turn_of(
    store: &Store,
    (items, road): (&[RebaseItem], &RoadEntries),
    incidents: &IncidentService,
    settings: &MassSettings,
    now: OffsetDateTime,
) -> Result<(Turn, Vec<Wishes>)> {
    let begun = store.rebases_started_since(store.now().minus(HOUR)).await?;
    let wishes: Vec<Wishes> = items.iter().map(|item| of_item(item, road, now)).collect();
    let candidates = items.iter().zip(&wishes).map(|(item, wishes)| {
        let thawed = || thawed(incidents, settings, item, now);
        Candidate {
            ring: wishes.ring,
            standing: standing(item),
            is_frozen: item.state == ItemState::Waiting
                && wishes.frozen_until.is_some()
                && thawed().is_none(),
        }
    });
    let candidates: Vec<Candidate> = candidates.collect();
    Ok((turn(&candidates, &settings.pace, begun, now), wishes))
}

/// The incident that overrides a freeze, if one does.
fn thawed(
    incidents: &IncidentService,
    settings: &MassSettings,
    item: &RebaseItem,
    now: OffsetDateTime,
) -> Option<String> {
    let severity = settings.thaw?;
    incidents.open_on(&item.of.repository, &item.of.tag, severity, now)
}

fn standing(item: &RebaseItem) -> Standing {
    let settled = item.settled_at.and_then(|at| crate::judge::moment(at).ok());
    match item.state {
        ItemState::Waiting => Standing::Waits,
        ItemState::Made => Standing::Runs,
        ItemState::Moved => Standing::Followed(settled.unwrap_or(OffsetDateTime::UNIX_EPOCH)),
        ItemState::Failed => Standing::Failed,
        ItemState::New
        | ItemState::Asking
        | ItemState::Rejected
        | ItemState::Impossible
        | ItemState::LeftOut => Standing::Aside,
    }
}
