//! What an import touches: the one rule for whoever reads the advisories anew, has images judged again, or only foresees it.

use anyhow::{Context as _, Result};
use findings::advisory::{Advisory, AdvisoryIndex, CatalogueChange, Changed, Delta, Touched};
use store::{AdvisoryRow, ChangedAdvisory, Store};

/// Advisories that are read at a time.
const PAGE: usize = 1_000;

/// An advisory as it is stored. `None`: it cannot be read any more, which is told; all others still count.
pub(crate) fn readable(row: &AdvisoryRow) -> Option<Advisory> {
    match row.advisory() {
        Ok(advisory) => Some(advisory),
        Err(error) => {
            tracing::error!(advisory = row.id, %error, "an advisory that was stored cannot be read");
            None
        }
    }
}

/// The advisories that changed behind a generation, up to another.
pub(crate) async fn changed(store: &Store, generations: (u64, u64)) -> Result<Vec<Changed>> {
    let (mut changed, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.changed_advisories(generations, &after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(changed);
        };
        after.clone_from(&last.after.id);
        // Unpacking computes; a thread that others wait for must not.
        let read = tokio::task::spawn_blocking(move || page.iter().filter_map(read).collect::<Vec<_>>());
        changed.extend(read.await.context("the reading was lost")?);
    }
}

/// One that cannot be read any more matches nothing, as if it were taken back.
fn read(row: &ChangedAdvisory) -> Option<Changed> {
    let before = row.before.as_ref().and_then(readable);
    let after = readable(&row.after).or_else(|| {
        let mut gone = before.clone()?;
        gone.withdrawn = gone.withdrawn.or(Some(time::OffsetDateTime::UNIX_EPOCH));
        Some(gone)
    })?;
    Some(Changed { before, after })
}

/// What advisories and catalogues touch that changed, by what all of them say now. `reads_epss`: whether rules read probabilities.
///
/// # Errors
/// The advisories are more than an index may have.
pub(crate) fn touched(
    changed: Vec<Changed>,
    catalogues: &CatalogueChange,
    present: &AdvisoryIndex,
    reads_epss: bool,
) -> Result<Touched> {
    let delta = Delta::of(changed)?;
    Ok(delta.touched(present, catalogues.mattering(present, reads_epss)))
}

#[cfg(test)]
mod tests;
