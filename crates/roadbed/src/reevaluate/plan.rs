//! What an import touches: from the advisories that changed to images.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use findings::advisory::{AdvisoryIndex, Changed, Touched};
use store::{Store, Touches};

use super::{Limits, Told, news_of};
use crate::{
    fleet::FleetService,
    judge::{self, Facts, Holders, Holding},
};

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// All images are to be judged again.
    pub(super) is_everything: bool,
    /// Those that are, otherwise: `repository@digest`.
    pub(super) images: Vec<String>,
    /// Advisories that changed.
    pub(super) advisories: u64,
    /// Packages that are touched.
    pub(super) packages: u64,
    /// What there is to tell.
    pub(super) told: Told,
    /// Why nothing is told of single vulnerabilities.
    pub(super) summarised: Option<String>,
}

impl Plan {
    fn everything(advisories: u64, why: String) -> Self {
        Self {
            is_everything: true,
            advisories,
            summarised: Some(why),
            ..Self::default()
        }
    }
}

/// What the generations behind `since` touch, up to that of the facts.
pub(super) async fn of(
    store: &Store,
    fleet: &Arc<FleetService>,
    facts: &Arc<Facts>,
    since: u64,
    limits: Limits,
) -> Result<Plan> {
    let advisories = store.count_changed(since, facts.generation).await?;
    if advisories > limits.advisories {
        let why = format!("{advisories} advisories changed, more than {}", limits.advisories);
        return Ok(Plan::everything(advisories, why));
    }
    if !fleet.caught_up(limits.wait).await? {
        let why = "the index of the fleet does not stand".to_owned();
        return Ok(Plan::everything(advisories, why));
    }
    let changed = judge::changed(store, (since, facts.generation)).await?;
    let besides = store.touches(since).await?;
    let touched = touched(Arc::clone(facts), changed, besides.clone()).await?;
    let before = before(store, facts, since, &touched, limits.compared).await?;
    let (fleet, facts, is_everything) = (Arc::clone(fleet), Arc::clone(facts), besides.everything);
    let computed = tokio::task::spawn_blocking(move || {
        let told = match before {
            Before::Known(before) => Ok(news_of(
                &fleet,
                &touched,
                &besides.catalogues.kev,
                (&before, &facts),
                limits.news,
            )),
            Before::TooMany(why) => Err(why),
        };
        let (told, summarised) = told.map_or_else(|why| (Told::default(), Some(why)), |told| (told, None));
        Plan {
            is_everything,
            images: images(&fleet, &touched),
            advisories,
            packages: touched.packages.len() as u64,
            told,
            summarised,
        }
    });
    computed.await.context("what an import touches was lost")
}

/// Tells whoever asks what advisories would change which images these touch.
pub(crate) struct FleetHolders(pub(crate) Arc<FleetService>);

/// How long who asks waits for the index of the fleet.
const ASKED_WAIT: Duration = Duration::from_secs(5);

impl Holders for FleetHolders {
    fn holding(&self, touched: Touched) -> Holding<'_> {
        Box::pin(async move {
            if !self.0.caught_up(ASKED_WAIT).await? {
                return Ok(None);
            }
            let fleet = Arc::clone(&self.0);
            let found = tokio::task::spawn_blocking(move || images(&fleet, &touched)).await;
            Ok(Some(found.context("the images were lost")?))
        })
    }
}

/// The images that hold what is touched.
fn images(fleet: &FleetService, touched: &Touched) -> Vec<String> {
    if touched.is_empty() {
        return Vec::new();
    }
    let keys = fleet.look(|fleet| {
        let all = fleet.scope(|_| true, None);
        fleet.keys(&fleet.holding(touched, &all)).unwrap_or_default()
    });
    let names = keys
        .into_iter()
        .map(|key| format!("{}@{}", key.repository, key.digest));
    let mut names: Vec<String> = names.collect();
    // Builds of one application are judged together, and mostly come to the same.
    names.sort_unstable();
    names
}

async fn touched(facts: Arc<Facts>, changed: Vec<Changed>, touches: Touches) -> Result<Touched> {
    let computed = tokio::task::spawn_blocking(move || {
        judge::touched(changed, &touches.catalogues, &facts.index, facts.reads_epss)
    });
    computed.await.context("what an import touches was lost")?
}

/// What was said before of the vulnerabilities that may read otherwise.
enum Before {
    Known(Box<AdvisoryIndex>),
    TooMany(String),
}

async fn before(store: &Store, facts: &Facts, since: u64, touched: &Touched, limit: usize) -> Result<Before> {
    // What is known no more is found by what it was called.
    let mut ids: BTreeSet<&str> = touched.names.iter().map(AsRef::as_ref).collect();
    for id in &touched.vulnerabilities {
        ids.insert(id);
        if let Some(known) = facts.index.vulnerability(id) {
            ids.extend(known.ids.iter().map(AsRef::as_ref));
            ids.extend(
                facts
                    .index
                    .advisories_of(known)
                    .map(|advisory| advisory.id.as_ref()),
            );
        }
    }
    if ids.len() > limit {
        return Ok(Before::TooMany(format!(
            "{} advisories would have to be compared, more than {limit}",
            ids.len()
        )));
    }
    let ids: Vec<&str> = ids.into_iter().collect();
    let rows = store.advisories_as_of(since, &ids).await?;
    let built =
        tokio::task::spawn_blocking(move || AdvisoryIndex::build(rows.iter().filter_map(judge::readable)));
    let built = built.await.context("the index was lost")??;
    Ok(Before::Known(Box::new(built)))
}
