//! What is known after an import, from what was known before and what it changed.
//!
//! Reading all advisories takes seconds, and longer the more often they changed; who asks about a vulnerability of which the first
//! advisory has just come waits for it. So only what changed is read, and taken into a copy of the index.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result};
use findings::advisory::{Advisory, AdvisoryIndex, Changed, Epss, Kev};
use store::{AdvisoryRow, Store, Touches};

use super::{Advised, Facts, Fixes, document, index_of, read_with};
use crate::judge::touched;

/// Reads what is different from a state of before. `most`: changed advisories that are taken in one by one; when there are more, all are
/// read.
pub(super) async fn read_after(store: &Store, before: &Arc<Facts>, most: u64) -> Result<Facts> {
    read_with(store, async |generation| {
        advised(store, before, generation, most).await
    })
    .await
}

async fn advised(store: &Store, before: &Arc<Facts>, generation: u64, most: u64) -> Result<Advised> {
    let since = before.generation;
    let (kev, epss) = if store.touches(since).await? == Touches::default() {
        (before.kev.clone(), before.epss.clone())
    } else {
        (
            document(store, "kev", Kev::read).await?,
            document(store, "epss", Epss::read).await?,
        )
    };
    let Some(changed) = changed_by(store, before, generation, most).await? else {
        return Ok(Advised {
            index: Arc::new(index_of(store, generation).await?),
            kev,
            epss,
            fixes: Arc::new(Fixes::read(store).await?),
        });
    };
    if changed.is_empty() {
        return Ok(Advised {
            index: Arc::clone(&before.index),
            kev,
            epss,
            fixes: Arc::new(before.fixes.updated(store, &BTreeSet::new(), None).await?),
        });
    }
    let ids: BTreeSet<String> = changed.iter().map(|one| one.after.id.clone()).collect();
    Ok(Advised {
        index: Arc::new(index_after(store, before, generation, changed).await?),
        kev,
        epss,
        fixes: Arc::new(before.fixes.updated(store, &ids, None).await?),
    })
}

/// What a generation changes of what is known; `None`: more than `most`, so that reading all of it is faster.
pub(in crate::judge) async fn changed_by(
    store: &Store,
    before: &Arc<Facts>,
    generation: u64,
    most: u64,
) -> Result<Option<Vec<Changed>>> {
    let since = before.generation;
    if store.count_changed(since, generation).await? > most {
        return Ok(None);
    }
    touched::changed(store, (since, generation)).await.map(Some)
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
        let beside = beside.iter().filter_map(touched::readable);
        let present: Vec<Advisory> = changed.into_iter().map(|one| one.after).chain(beside).collect();
        before.index.updated(names.iter().map(AsRef::as_ref), present)
    });
    Ok(computed.await.context("the index was lost")??)
}
