//! What is known after an import, from what was known before and what it changed.
//!
//! Reading all advisories takes seconds, and longer the more often they changed; who asks about a vulnerability of which the first
//! advisory has just come waits for it. So only what changed is read, and taken into a copy of the index.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result};
use findings::advisory::{Advisory, AdvisoryIndex, Changed, Epss, Kev};
use store::{AdvisoryRow, Store, Touches};

use super::{Advised, Facts, Fixes, document, index_of, read_with};

/// Advisories that are taken in one by one. When more changed, all are read: that is faster then.
const MOST: u64 = 2_000;

/// Changed advisories that are read at a time.
const PAGE: usize = 1_000;

/// Reads what is different from a state of before.
pub(super) async fn read_after(store: &Store, before: &Arc<Facts>) -> Result<Facts> {
    read_with(store, async |generation| advised(store, before, generation).await).await
}

async fn advised(store: &Store, before: &Arc<Facts>, generation: u64) -> Result<Advised> {
    let since = before.generation;
    let (kev, epss) = if store.touches(since).await? == Touches::default() {
        (before.kev.clone(), before.epss.clone())
    } else {
        (
            document(store, "kev", Kev::read).await?,
            document(store, "epss", Epss::read).await?,
        )
    };
    if store.count_changed(since, generation).await? > MOST {
        return Ok(Advised {
            index: Arc::new(index_of(store, generation).await?),
            kev,
            epss,
            fixes: Arc::new(Fixes::read(store).await?),
        });
    }
    let changed = changed(store, (since, generation)).await?;
    if changed.is_empty() {
        return Ok(Advised {
            index: Arc::clone(&before.index),
            kev,
            epss,
            fixes: Arc::new(before.fixes.updated(store, &BTreeSet::new()).await?),
        });
    }
    let ids: BTreeSet<String> = changed.iter().map(|one| one.after.id.clone()).collect();
    Ok(Advised {
        index: Arc::new(index_after(store, before, generation, changed).await?),
        kev,
        epss,
        fixes: Arc::new(before.fixes.updated(store, &ids).await?),
    })
}

/// What a generation changes of what is known; `None`: so much that reading all of it is faster.
pub(in crate::judge) async fn changed_by(
    store: &Store,
    before: &Arc<Facts>,
    generation: u64,
) -> Result<Option<Vec<Changed>>> {
    let since = before.generation;
    if store.count_changed(since, generation).await? > MOST {
        return Ok(None);
    }
    changed(store, (since, generation)).await.map(Some)
}

/// One that cannot be read any more says nothing, as if it were taken back.
async fn changed(store: &Store, generations: (u64, u64)) -> Result<Vec<Changed>> {
    let (mut changed, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.changed_advisories(generations, &after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(changed);
        };
        after.clone_from(&last.after.id);
        changed.extend(page.iter().filter_map(|row| {
            let before = row.before.as_ref().and_then(super::advisory);
            let after = super::advisory(&row.after).or_else(|| {
                let mut gone = before.clone()?;
                gone.withdrawn = gone.withdrawn.or(Some(time::OffsetDateTime::UNIX_EPOCH));
                Some(gone)
            })?;
            Some(Changed { before, after })
        }));
    }
}

/// The index with what these changes say.
pub(in crate::judge) async fn index_after(
    store: &Store,
    before: &Arc<Facts>,
    generation: u64,
    changed: Vec<Changed>,
) -> Result<AdvisoryIndex> {
    let names: Vec<Box<str>> = changed.iter().flat_map(Changed::names).collect();
    let beside = before.index.beside(names.iter().map(AsRef::as_ref));
    let own: BTreeSet<&str> = changed.iter().map(|one| one.after.id.as_str()).collect();
    let beside: Vec<&str> = beside
        .iter()
        .map(AsRef::as_ref)
        .filter(|id| !own.contains(id))
        .collect();
    let beside: Vec<AdvisoryRow> = store.advisories_as_of(generation, &beside).await?;
    let before = Arc::clone(before);
    let computed = tokio::task::spawn_blocking(move || {
        let beside = beside.iter().filter_map(super::advisory);
        let present: Vec<Advisory> = changed.into_iter().map(|one| one.after).chain(beside).collect();
        before.index.updated(names.iter().map(AsRef::as_ref), present)
    });
    Ok(computed.await.context("the index was lost")??)
}
