//! What package managers leave behind.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::{ImageReport, LISTING_BYTES};
use crate::ListingError;

/// Directories in which package managers keep what they can fetch again, relative to the root.
const CACHES: [&str; 10] = [
    "root/.cache/pip",
    "root/.cache/uv",
    "root/.cargo/registry/cache",
    "root/.m2/repository",
    "root/.npm/_cacache",
    "usr/local/share/.cache/yarn",
    "var/cache/apk",
    "var/cache/apt/archives",
    "var/cache/dnf",
    "var/lib/apt/lists",
];

/// Names that package managers put there even when nothing is cached.
const EMPTY: [&str; 2] = ["lock", "CACHEDIR.TAG"];

/// Files of one image's caches that are looked at; more tell nothing more.
const FILES: usize = 10_000;

impl ImageReport {
    /// Caches of package managers in which a container of the image would find files.
    ///
    /// # Errors
    /// The listing of a layer is damaged.
    pub fn caches(&self) -> Result<Vec<String>, ListingError> {
        let mut files: BTreeSet<String> = BTreeSet::new();
        for layer in &self.layers {
            for gone in layer.opaque.iter().chain(&layer.whiteouts) {
                // As many as a layer has entries: what is hidden is found, not looked for.
                if gone.is_empty() {
                    files.clear();
                }
                files.remove(gone);
                let below = format!("{gone}/");
                let from = (Bound::Included(below.as_str()), Bound::Unbounded);
                let hidden = files.range::<str, _>(from);
                let hidden = hidden.take_while(|file| file.starts_with(&below));
                for file in hidden.cloned().collect::<Vec<_>>() {
                    files.remove(&file);
                }
            }
            layer.listing.for_each(LISTING_BYTES, |path, kind| {
                if kind == '0' && files.len() < FILES && cache_of(path).is_some() {
                    files.insert(path.to_owned());
                }
            })?;
        }
        let caches: BTreeSet<&str> = files.iter().filter_map(|file| cache_of(file)).collect();
        Ok(caches.into_iter().map(str::to_owned).collect())
    }
}

/// The cache that a file belongs to.
fn cache_of(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if EMPTY.contains(&name) {
        return None;
    }
    CACHES
        .into_iter()
        .find(|cache| path.strip_prefix(cache).is_some_and(|rest| rest.starts_with('/')))
}
