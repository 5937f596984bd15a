//! Digests of single files, searched in the listings of layers, one after the other, for so long.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use oci::Digest;
use road::fleet::{Fleet, ImageKey, Moment, files_with};
use store::Timestamp;
use web::{
    MayPull,
    wire::{AffectedImage, AffectedPlace},
};

use super::{FleetService, rows};

/// Layers whose listing is read for one question.
const LAYERS: usize = 20_000;

/// How long is searched for one question: the API waits half a minute.
const SEARCH: Duration = Duration::from_secs(15);

/// Bytes that a listing decodes to. A larger one counts as not looked at.
const LISTING_BYTES: u64 = 256 << 20;

/// Paths that are told of a layer.
const PATHS: usize = 20;

/// What was found, and in how much.
pub(super) struct Searched {
    /// Paths of the file, by the layer that has it.
    found: BTreeMap<Digest, Vec<String>>,
    pub(super) looked_at: u64,
    pub(super) all: u64,
}

impl FleetService {
    /// Searches the layers of all images that whoever asks may pull.
    pub(super) async fn search(
        &self,
        file: Digest,
        (may_pull, at): (MayPull, Option<Timestamp>),
    ) -> Result<Searched> {
        let layers = {
            let state = self.read();
            let at = at.map(|at| Moment(at.micros()));
            let may = |name: &str| name.parse().is_ok_and(|repo| may_pull(&repo));
            let scope = state.fleet.scope(may, at);
            state.fleet.layers_of(&scope)
        };
        let mut searched = Searched {
            found: BTreeMap::new(),
            looked_at: 0,
            all: layers.len() as u64,
        };
        let deadline = Instant::now() + SEARCH;
        for layer in layers.into_iter().take(LAYERS) {
            if Instant::now() >= deadline {
                break;
            }
            let Some(listing) = self.store.layer_listing(&layer).await? else {
                continue;
            };
            let read = tokio::task::spawn_blocking(move || files_with(&listing, &file, LISTING_BYTES));
            match read.await.context("the search was lost")? {
                Ok(paths) => searched.note(layer, paths),
                Err(error) => tracing::warn!(%layer, %error, "the files of a layer cannot be searched"),
            }
        }
        Ok(searched)
    }
}

impl Searched {
    fn note(&mut self, layer: Digest, mut paths: Vec<String>) {
        self.looked_at += 1;
        if !paths.is_empty() {
            paths.truncate(PATHS);
            self.found.insert(layer, paths);
        }
    }

    /// The layers that have the file.
    pub(super) fn layers(&self) -> Vec<Digest> {
        self.found.keys().copied().collect()
    }

    /// Says where an image has it.
    pub(super) fn add_places(&self, fleet: &Fleet, key: &ImageKey, image: &mut AffectedImage) {
        let Some((layers, base)) = fleet.stack_of(key) else {
            return;
        };
        for (at, layer) in layers.iter().enumerate() {
            let paths = layer.as_ref().and_then(|layer| self.found.get(layer));
            for path in paths.into_iter().flatten() {
                image.places.push(AffectedPlace {
                    layer: at as u64,
                    layer_digest: *layer,
                    origin: rows::origin(base > 0, at < base as usize).to_owned(),
                    path: path.clone(),
                    inner_path: Vec::new(),
                    package: None,
                    state: image.state.clone(),
                    mitigations: Vec::new(),
                    finding: None,
                });
            }
        }
    }
}
