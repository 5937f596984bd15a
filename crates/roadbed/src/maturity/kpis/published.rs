//! What was published: pushes of tags of releases, with lineage, revision and verdict of the images behind them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use maturity::kpi::{
    Source,
    event::{App, Event, Revision, What},
};
use oci::{Digest, RepoName, Tag};
use road::names::ApplicationName;
use store::{LogLine, Store, Timestamp};
use time::OffsetDateTime;

use super::{Of, named};
use crate::maturity::collect::{Ground, Places, is_release};

/// Lines of the audit log that are read at a time.
const LINES: usize = 2_000;

/// Releases of one repository that are counted: the latest. Default: the only value.
const MAX_RELEASES: usize = 5_000;

/// Bytes of reports of configurations that are read at a time, unpacked.
const LABEL_BYTES: u64 = 32 << 20;

/// Which commit an image was built from.
const REVISION: &str = "org.opencontainers.image.revision";

/// That a tag of a release came to name something.
struct Release {
    at: OffsetDateTime,
    whole: Digest,
}

/// All events about what was published since a moment.
pub(super) async fn events(
    ground: &Ground,
    places: &Places,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Vec<Of<Event>>> {
    let mut events = Vec::new();
    for (repository, releases) in releases(ground.store(), places, since).await? {
        let Some((name, app)) = whose(places, &repository) else {
            continue;
        };
        let found = of_repository(ground, places, (&repository, name, &app), releases, now).await?;
        events.extend(found.into_iter().map(|event| (Some(app.clone()), event)));
    }
    Ok(events)
}

fn whose<'p>(places: &'p Places, repository: &RepoName) -> Option<(&'p ApplicationName, App)> {
    let (name, _) = places.app_of(repository)?;
    Some((name, named(name)?))
}

/// The releases of each repository of an application, in the order of time.
async fn releases(
    store: &Store,
    places: &Places,
    since: OffsetDateTime,
) -> Result<BTreeMap<RepoName, Vec<Release>>> {
    let mut found: BTreeMap<RepoName, Vec<Release>> = BTreeMap::new();
    let (since, mut after) = (Timestamp::from(since), 0);
    loop {
        let lines = store.lines_of("tag.set", since, after, LINES).await?;
        let Some(last) = lines.last() else {
            return Ok(found);
        };
        after = last.seq;
        for line in &lines {
            if let Some((repository, tag, whole)) = tagged(line)
                && is_published(store, places, &repository, &tag)
            {
                let releases = found.entry(repository).or_default();
                releases.push(Release {
                    at: line.at.to_utc(),
                    whole,
                });
            }
        }
    }
}

fn tagged(line: &LogLine) -> Option<(RepoName, Tag, Digest)> {
    let (repository, tag) = line.subject.rsplit_once(':')?;
    let digest = line.body.get("digest")?.as_str()?;
    Some((repository.parse().ok()?, tag.parse().ok()?, digest.parse().ok()?))
}

/// Whether a tag is what the organisation releases by: it looks like a release, or it is called like an environment of its application.
fn is_published(store: &Store, places: &Places, repository: &RepoName, tag: &Tag) -> bool {
    let Some((name, _)) = places.app_of(repository) else {
        return false;
    };
    let app = places.road.applications.get(name);
    let environments = app.and_then(|app| app.environments.as_ref());
    let is_environment = environments.is_some_and(|environments| {
        let mut all = environments.value().iter();
        all.any(|environment| environment.as_str() == tag.as_str())
    });
    is_environment || is_release(&store.rules(repository), tag)
}

async fn of_repository(
    ground: &Ground,
    places: &Places,
    (repository, name, app): (&RepoName, &ApplicationName, &App),
    mut releases: Vec<Release>,
    now: OffsetDateTime,
) -> Result<Vec<Event>> {
    let surplus = releases.len().saturating_sub(MAX_RELEASES);
    releases.drain(..surplus);
    let wholes: BTreeSet<Digest> = releases.iter().map(|release| release.whole).collect();
    let wholes: Vec<Digest> = wholes.into_iter().collect();
    let first: HashMap<Digest, OffsetDateTime> = {
        let of = releases.iter().rev().map(|release| (release.whole, release.at));
        of.collect()
    };
    let event = |at: OffsetDateTime, what: What| Event {
        at,
        source: Source::RegistryProxy,
        what,
    };
    let mut events: Vec<Event> = releases
        .iter()
        .map(|release| event(release.at, push(app, release.whole, None, true)))
        .collect();
    let store = ground.store();
    let images = store.released_images(repository, &wholes).await?;
    let configs: Vec<Digest> = images.iter().filter_map(|image| image.config).collect();
    let revisions = revisions(store, configs).await?;
    let digests: Vec<Digest> = images.iter().map(|image| image.image).collect();
    let decided = store.first_decisions(repository, &digests).await?;
    for found in images {
        let Some(at) = first.get(&found.whole).copied() else {
            continue;
        };
        if found.image != found.whole {
            events.push(event(at, push(app, found.image, Some(found.whole), false)));
        }
        if let Some(lineage) = lineage(ground, places, name, (repository, &found.image), now) {
            events.push(event(at, lineage));
        }
        let revision = found.config.and_then(|config| revisions.get(&config).cloned());
        let digest = found.image;
        let label = What::Label {
            digest,
            revision,
            created: None,
        };
        events.push(event(at, label));
        if let Some(decided) = decided.get(&found.image) {
            events.push(event(decided.to_utc(), What::Scanned { digest }));
        }
    }
    Ok(events)
}

fn push(app: &App, digest: Digest, index: Option<Digest>, release: bool) -> What {
    What::Push {
        app: app.clone(),
        digest,
        index,
        release,
    }
}

/// What an image stands on and which layers are its own. `None`: not all of them are known.
fn lineage(
    ground: &Ground,
    places: &Places,
    name: &ApplicationName,
    (repository, image): (&RepoName, &Digest),
    now: OffsetDateTime,
) -> Option<What> {
    let stack = ground.diff_ids(repository, image)?;
    let layers: Vec<Digest> = stack.into_iter().collect::<Option<_>>()?;
    let (lineage, _) = ground.lineage(places, name, (repository, image), now)?;
    let base = lineage.base();
    let below = base.map_or(0, |base| base.layers);
    Some(What::Lineage {
        digest: *image,
        base: base.map(|base| base.release),
        app_layers: layers.into_iter().skip(below).collect(),
    })
}

async fn revisions(store: &Store, mut configs: Vec<Digest>) -> Result<HashMap<Digest, Revision>> {
    configs.sort_unstable();
    configs.dedup();
    let reports = store.small_layer_reports(&configs, LABEL_BYTES).await?;
    let named = reports.into_iter().filter_map(|(_, report)| {
        let labels = &report.config.as_ref()?.labels;
        let (_, revision) = labels.iter().find(|(label, _)| label == REVISION)?;
        Some((report.blob, revision.trim().parse().ok()?))
    });
    Ok(named.collect())
}
