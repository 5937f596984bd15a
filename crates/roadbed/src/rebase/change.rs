//! What differs between two releases of a base: made once for all images that stand on it.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use findings::LayerReport;
use moka::future::Cache;
use oci::Digest;
use road::rebase::{BaseChange, Libraries, Tree};

use super::load::Loaded;

/// Paths of releases that are kept for the next image.
const KEPT_PATHS: u64 = 2_000_000;

/// Two releases by path, and what each offers to programs.
pub(super) struct Change {
    pub(super) paths: BaseChange,
    pub(super) old: Libraries,
    pub(super) new: Libraries,
}

/// The last ones.
pub(super) struct Changes(Cache<(Digest, Digest), Arc<Change>>);

impl Default for Changes {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(KEPT_PATHS)
            .weigher(|_, change: &Arc<Change>| {
                let paths = change.paths.old.len() + change.paths.new.len();
                u32::try_from(paths).unwrap_or(u32::MAX)
            });
        Self(cache.build())
    }
}

impl Changes {
    /// The change from one release to another.
    pub(super) async fn between(
        &self,
        old: &Arc<Loaded>,
        new: &Arc<Loaded>,
        place: Option<web::Place>,
    ) -> Result<Arc<Change>> {
        let key = (old.digest, new.digest);
        let (old, new) = (Arc::clone(old), Arc::clone(new));
        let made = self.0.try_get_with(key, async move {
            let made = tokio::task::spawn_blocking(move || {
                let made = make(&old, &new);
                drop(place);
                made
            });
            made.await
                .context("the comparison was lost")
                .and_then(|made| made)
        });
        made.await
            .map_err(|error: Arc<anyhow::Error>| anyhow!("{error:#}"))
    }
}

fn make(old: &Loaded, new: &Loaded) -> Result<Arc<Change>> {
    let paths = |image: &Loaded| {
        let paths = image.paths(0);
        paths.map_err(|(layer, why)| anyhow!("layer {layer} of release {} of the base: {why}", image.digest))
    };
    let paths = BaseChange::of(&paths(old)?, &paths(new)?)?;
    Ok(Arc::new(Change {
        old: libraries(&paths.old, &old.layers),
        new: libraries(&paths.new, &new.layers),
        paths,
    }))
}

fn libraries(tree: &Tree, layers: &[Option<Arc<LayerReport>>]) -> Libraries {
    let facts = layers
        .iter()
        .flatten()
        .filter_map(|report| report.rebase.as_deref());
    let linkages = facts.flat_map(|facts| &facts.linkages);
    Libraries::of(tree, linkages.filter(|linkage| tree.get(&linkage.path).is_some()))
}
