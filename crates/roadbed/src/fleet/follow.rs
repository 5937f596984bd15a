//! Builds the index and keeps it current.
//!
//! What an event says only tells where to look: what is put into the index is what the store has now, so that an event that is
//! taken in twice does no harm. Only the moment at which an image went is the event's.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, RepoName, Tag};
use road::fleet::{ImageKey, Moment};
use store::{FleetChange, FleetEvent, FleetMark, Timestamp};
use tokio::sync::watch;

use super::{
    FleetService, State, bases, excuses,
    file::{self, Stored},
    look::{Looked, Looker},
};

/// How often it looks for changes that it is not told of by themselves, while anything is written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After a change, before it is looked at: a push is many changes.
const SETTLE: Duration = Duration::from_millis(100);

/// Before what failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How often the index is written down, where it has changed.
const WRITE_EVERY: Duration = Duration::from_mins(5);

/// Events, reports or images that are read at a time.
const PAGE: usize = 500;

/// Images that are looked at at the same time: what is judged meanwhile must not wait.
const AT_ONCE: usize = 1;

/// Images that are gathered before they are looked at, so that each is looked at once.
const GATHERED: usize = 2_000;

type Images = BTreeSet<(RepoName, Digest)>;

/// Keeps one index current.
pub(super) struct Follower {
    pub(super) service: Arc<FleetService>,
    pub(super) looker: Looker,
    path: PathBuf,
}

/// What some events ask for.
#[derive(Default)]
struct Wanted {
    look: Images,
    decided: Images,
    tags: BTreeSet<RepoName>,
}

/// Until it is told to stop; then what is known is written down.
pub(super) async fn run(service: Arc<FleetService>, mut stop: watch::Receiver<bool>) {
    let follower = Follower {
        looker: Looker::new(service.store.clone(), service.knowledge.evidence()),
        path: file::path(service.store.data_dir()),
        service,
    };
    tokio::select! {
        _ = stop.wait_for(|is_asked| *is_asked) => {}
        () = follower.work() => {}
    }
    // Half an index would be taken for a whole one.
    if follower.service.progress.percent() == 100 {
        follower.try_to_write().await;
    }
}

impl Follower {
    async fn work(&self) {
        let began = Instant::now();
        while let Err(error) = self.begin().await {
            let error = format!("{error:#}");
            tracing::error!(
                error,
                "the index of the fleet could not be built; it is tried again"
            );
            tokio::time::sleep(TRY_AGAIN).await;
        }
        self.service.progress.stands();
        let (images, seconds) = (self.service.read().fleet.len(), began.elapsed().as_secs_f32());
        tracing::info!(images, seconds, "the index of the fleet stands");
        self.follow().await;
    }

    async fn follow(&self) {
        let store = &self.service.store;
        let (mut decisions, mut jobs, mut entries) = (store.decisions(), store.jobs(), store.entries());
        let mut writes = store.writes();
        let (mut written, mut has_changed) = (Instant::now(), true);
        loop {
            writes.mark_unchanged();
            decisions.mark_unchanged();
            jobs.mark_unchanged();
            entries.mark_unchanged();
            match self.catch_up().await {
                Ok(changed) => has_changed |= changed,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the index of the fleet could not be brought up to date");
                    writes.mark_changed();
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
            if has_changed && written.elapsed() >= WRITE_EVERY {
                self.try_to_write().await;
                (written, has_changed) = (Instant::now(), false);
            }
            let something_written = async {
                tokio::time::sleep(LOOK_EVERY).await;
                writes.changed().await
            };
            let told = tokio::select! {
                told = decisions.changed() => told.is_ok(),
                told = jobs.changed() => told.is_ok(),
                told = entries.changed() => told.is_ok(),
                told = something_written => told.is_ok(),
                () = self.service.hurry.notified() => true,
                () = tokio::time::sleep(WRITE_EVERY.saturating_sub(written.elapsed())), if has_changed => true,
            };
            if !told {
                return;
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Reads the index, or builds it, and takes in what has happened meanwhile.
    async fn begin(&self) -> Result<()> {
        let mark = self.service.store.fleet_mark().await?;
        match self.stored(mark).await {
            Ok(Some(state)) => {
                self.service.progress.begin(1);
                *self.service.write() = state;
                excuses::take_all(&self.service).await?;
                self.drop_gone().await?;
            }
            Ok(None) => self.build(mark).await?,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "the stored index of the fleet is not used; it is built anew"
                );
                self.build(mark).await?;
            }
        }
        self.catch_up().await?;
        Ok(())
    }

    /// What was written down, if it is of this store.
    async fn stored(&self, now: FleetMark) -> Result<Option<State>> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || file::read(&path)).await;
        let Some(Stored { state, stamp }) = read.context("the reading was lost")?? else {
            return Ok(None);
        };
        let present = self.service.store.event_stamp(state.mark.event).await?;
        let is_of_this = state.mark.event <= now.event
            && state.mark.report <= now.report
            && stamp == present.unwrap_or_default();
        ensure!(is_of_this, "it was written beside another state of the database");
        Ok(Some(state))
    }

    /// Takes out what is in no repository any more although no event said so: a deletion of a repository that was cut short.
    async fn drop_gone(&self) -> Result<()> {
        let keys = {
            let state = self.service.read();
            let all = state.fleet.scope(|_| true, None);
            state.fleet.keys_in(&all)
        };
        let mut by_repository: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
        for key in keys {
            by_repository.entry(key.repository).or_default().push(key.digest);
        }
        for (repository, digests) in by_repository {
            let Ok(repo) = repository.parse::<RepoName>() else {
                continue;
            };
            let here: BTreeSet<Digest> = self
                .service
                .store
                .image_digests(&repo)
                .await?
                .into_iter()
                .collect();
            for digest in digests.into_iter().filter(|digest| !here.contains(digest)) {
                self.remove(&repo, &digest, self.service.store.now());
            }
        }
        Ok(())
    }

    async fn build(&self, mark: FleetMark) -> Result<()> {
        *self.service.write() = State::default();
        self.service
            .progress
            .begin(self.service.store.image_count().await?);
        let (mut after, mut repositories) = (0, BTreeSet::new());
        // What is gone comes first, since an image may have come back.
        let gone = self.take_gone(0).await?;
        loop {
            let page = self.service.store.images_after(after, PAGE).await?;
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            repositories.extend(page.iter().map(|(_, repo, _)| repo.clone()));
            let images = page.into_iter().map(|(_, repo, digest)| (repo, digest)).collect();
            self.look_at(images).await?;
        }
        // What went while the others were looked at.
        self.take_gone(gone).await?;
        for repo in &repositories {
            self.take_tags(repo).await?;
        }
        let mut state = self.service.write();
        state.fleet.shrink();
        state.mark = mark;
        Ok(())
    }

    /// Takes in what has happened since. Answers whether anything has.
    async fn catch_up(&self) -> Result<bool> {
        let mut has_changed = false;
        loop {
            let mark = self.service.read().mark;
            let events = self.service.store.fleet_events(mark.event, PAGE).await?;
            let Some(last) = events.last().map(|event| event.seq) else {
                break;
            };
            let wanted = self.wanted(events);
            has_changed |= !(wanted.look.is_empty() && wanted.tags.is_empty());
            self.look_at(wanted.look).await?;
            excuses::take_many(&self.service, wanted.decided).await?;
            for repo in &wanted.tags {
                self.take_tags(repo).await?;
            }
            self.service.write().mark.event = last;
        }
        Ok(has_changed | self.take_reports().await? | bases::take(&self.service).await?)
    }

    /// Takes out what went, in the order of events, and says where else to look.
    fn wanted(&self, events: Vec<FleetEvent>) -> Wanted {
        let mut wanted = Wanted::default();
        for event in events {
            match event.what {
                None => {}
                Some(FleetChange::Tagged(repo)) => {
                    wanted.tags.insert(repo);
                }
                Some(FleetChange::Decided(repo, digest)) => {
                    wanted.decided.insert((repo, digest));
                }
                Some(FleetChange::Pushed(repo, digest)) => {
                    wanted.tags.insert(repo.clone());
                    wanted.look.insert((repo, digest));
                }
                // It may have been an index, whose tags named other images.
                Some(FleetChange::Deleted(repo, digest)) => {
                    self.remove(&repo, &digest, event.at);
                    wanted.tags.insert(repo);
                }
                Some(FleetChange::Emptied(repo)) => {
                    let gone = self.service.read().keys_of(repo.as_str());
                    for key in gone {
                        self.remove(&repo, &key.digest, event.at);
                    }
                    self.service.write().waiting.remove(repo.as_str());
                    wanted.tags.insert(repo);
                }
            }
        }
        wanted
    }

    async fn take_reports(&self) -> Result<bool> {
        let mut has_changed = false;
        loop {
            let mark = self.service.read().mark;
            let layers = self.service.store.reported_layers(mark.report, PAGE).await?;
            let Some((last, _)) = layers.last().copied() else {
                return Ok(has_changed);
            };
            has_changed = true;
            let mut images = Images::new();
            for (_, layer) in layers {
                self.gather(&layer, &mut images).await?;
            }
            self.look_at_and_tag(images).await?;
            self.service.write().mark.report = last;
        }
    }

    /// The images that have a layer.
    async fn gather(&self, layer: &Digest, images: &mut Images) -> Result<()> {
        let mut after = 0;
        loop {
            let page = self.service.store.images_with_blob(layer, after, PAGE).await?;
            let Some((last, ..)) = page.last() else {
                return Ok(());
            };
            after = *last;
            images.extend(page.into_iter().map(|(_, repo, digest)| (repo, digest)));
            if images.len() >= GATHERED {
                self.look_at_and_tag(std::mem::take(images)).await?;
            }
        }
    }

    /// One that was not known before has no tags yet.
    async fn look_at_and_tag(&self, images: Images) -> Result<()> {
        let repositories: BTreeSet<RepoName> = {
            let state = self.service.read();
            let new = images
                .iter()
                .filter(|(repo, digest)| !state.fleet.has(&key(repo, digest)));
            new.map(|(repo, _)| repo.clone()).collect()
        };
        self.look_at(images).await?;
        for repo in &repositories {
            self.take_tags(repo).await?;
        }
        Ok(())
    }

    async fn look_at(&self, images: Images) -> Result<()> {
        let looks = images
            .into_iter()
            .map(|(repo, digest)| self.look_at_one(repo, digest));
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        while looks.try_next().await?.is_some() {}
        Ok(())
    }

    async fn look_at_one(&self, repo: RepoName, digest: Digest) -> Result<()> {
        let key = key(&repo, &digest);
        match self.looker.look(&repo, &digest).await? {
            Looked::Image(mut facts, at) => {
                let road = self.service.store.road().await?;
                let diff_ids: Vec<_> = facts
                    .layers
                    .iter()
                    .map(|layer| layer.diff_id().copied())
                    .collect();
                facts.base_layers = bases::layers(&road, &diff_ids);
                {
                    let mut state = self.service.write();
                    state.waits_no_more(&key);
                    state.fleet.add_image(&key, &facts, Moment(at.micros()));
                }
                // It may have been decided of before it was known here.
                excuses::take(&self.service, &repo, &digest).await?;
            }
            Looked::Waits => {
                let mut state = self.service.write();
                // What was known of it before stands.
                if !state.fleet.has(&key) {
                    state.waits(&key);
                }
            }
            Looked::Other | Looked::Gone => self.remove(&repo, &digest, self.service.store.now()),
        }
        self.service.progress.step();
        Ok(())
    }

    fn remove(&self, repo: &RepoName, digest: &Digest, at: Timestamp) {
        let key = key(repo, digest);
        let mut state = self.service.write();
        state.waits_no_more(&key);
        state.fleet.remove_image(&key, Moment(at.micros()));
    }

    /// What the images of a repository are called now.
    async fn take_tags(&self, repo: &RepoName) -> Result<()> {
        self.drop_waiting(repo).await?;
        let mut tags: BTreeMap<Digest, Vec<Tag>> = BTreeMap::new();
        for (digest, tag) in self.service.store.image_tags(repo).await? {
            tags.entry(digest).or_default().push(tag);
        }
        let mut state = self.service.write();
        for key in state.keys_of(repo.as_str()) {
            let own = tags.get(&key.digest).map(Vec::as_slice).unwrap_or_default();
            state.fleet.set_tags(&key, own.iter().map(Tag::as_str));
        }
        Ok(())
    }

    async fn try_to_write(&self) {
        if let Err(error) = self.write_down().await {
            let error = format!("{error:#}");
            tracing::warn!(error, "the index of the fleet could not be written down");
        }
    }

    async fn write_down(&self) -> Result<()> {
        let store = &self.service.store;
        if store.condition().disk_full.is_some() {
            // A start makes it again; what is left of the disk is for what makes room.
            return Ok(());
        }
        let before = store.now().minus(store.gone_images_age());
        let event = {
            let mut state = self.service.write();
            state.fleet.forget(Moment(before.micros()));
            state.mark.event
        };
        let stamp = self.service.store.event_stamp(event).await?.unwrap_or_default();
        let (service, path) = (Arc::clone(&self.service), self.path.clone());
        let written = tokio::task::spawn_blocking(move || file::write(&path, &service.read(), &stamp));
        let bytes = written.await.context("the writing was lost")??;
        tracing::debug!(bytes, "the index of the fleet was written down");
        Ok(())
    }
}

fn key(repo: &RepoName, digest: &Digest) -> ImageKey {
    ImageKey {
        repository: repo.to_string(),
        digest: *digest,
    }
}
