//! Digests of single files, searched in the listings of layers, one after the other, for so long; then whether what lies above in
//! an image hides them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use oci::{Digest, RepoName};
use road::fleet::{Answer, Fleet, ImageKey, Moment, Scope, State, files_with, hidden_by};
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

/// Different paths of which is found out whether something hides them.
const FOLLOWED: usize = 10_000;

/// What was found, and in how much.
pub(super) struct Searched {
    /// Paths of the file, by the layer that has it.
    found: BTreeMap<Digest, Vec<String>>,
    /// What each layer that was looked at hides of these paths.
    hides: BTreeMap<Digest, BTreeSet<String>>,
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
        let scope = |fleet: &Fleet| {
            let at = at.map(|at| Moment(at.micros()));
            let may = |name: &str| name.parse().is_ok_and(|repo: RepoName| may_pull(&repo));
            fleet.scope(may, at)
        };
        let layers = {
            let state = self.read();
            state.fleet.layers_of(&scope(&state.fleet))
        };
        let mut searched = Searched {
            found: BTreeMap::new(),
            hides: BTreeMap::new(),
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
        let above = {
            let state = self.read();
            state.fleet.layers_above(&searched.layers(), &scope(&state.fleet))
        };
        self.find_hidden(&mut searched, above, deadline).await?;
        Ok(searched)
    }

    /// What these layers hide of what was found. Of those that there is no time for, nobody knows.
    async fn find_hidden(
        &self,
        searched: &mut Searched,
        above: Vec<Digest>,
        deadline: Instant,
    ) -> Result<()> {
        let paths: BTreeSet<String> = searched.found.values().flatten().cloned().collect();
        if paths.len() > FOLLOWED {
            return Ok(());
        }
        let paths = std::sync::Arc::new(paths);
        for layer in above.into_iter().take(LAYERS) {
            if Instant::now() >= deadline {
                break;
            }
            let Some(report) = self.store.layer_report(&layer).await? else {
                continue;
            };
            let paths = std::sync::Arc::clone(&paths);
            let read = tokio::task::spawn_blocking(move || hidden_by(&report, &paths, LISTING_BYTES));
            match read.await.context("the search was lost")? {
                Ok(hidden) => {
                    searched.hides.insert(layer, hidden);
                }
                Err(error) => tracing::warn!(%layer, %error, "what a layer hides cannot be found out"),
            }
        }
        Ok(())
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
    fn layers(&self) -> BTreeSet<Digest> {
        self.found.keys().copied().collect()
    }

    /// The images that have it, each in the state of its best known place.
    pub(super) fn answer(&self, fleet: &Fleet, scope: &Scope) -> Answer {
        fleet.by_layers(&self.layers(), scope, |stack| {
            let states = self.places(stack).map(|(.., state)| state);
            states.max().unwrap_or(State::Uncertain)
        })
    }

    /// Where a stack of layers, lowest first, has it, and whether the running image does.
    fn places<'a>(&'a self, stack: &'a [Option<Digest>]) -> impl Iterator<Item = (usize, &'a str, State)> {
        let of_layer = move |(at, layer): (usize, &'a Option<Digest>)| {
            let paths = layer.as_ref().and_then(|layer| self.found.get(layer));
            let place = move |path: &'a String| (at, path.as_str(), self.state(&stack[at + 1..], path));
            paths.into_iter().flatten().map(place)
        };
        stack.iter().enumerate().flat_map(of_layer)
    }

    /// Of a path below these layers.
    fn state(&self, above: &[Option<Digest>], path: &str) -> State {
        let hides = |layer: &Option<Digest>| {
            let hidden = layer.as_ref().and_then(|layer| self.hides.get(layer));
            hidden.map(|hidden| hidden.contains(path))
        };
        let mut state = State::Affected;
        for layer in above {
            match hides(layer) {
                Some(true) => return State::Hidden,
                Some(false) => {}
                None => state = State::Uncertain,
            }
        }
        state
    }

    /// Says where an image has it.
    pub(super) fn add_places(&self, fleet: &Fleet, key: &ImageKey, image: &mut AffectedImage) {
        let Some((layers, base)) = fleet.stack_of(key) else {
            return;
        };
        for (at, path, state) in self.places(&layers) {
            image.places.push(AffectedPlace {
                layer: at as u64,
                layer_digest: layers[at],
                origin: rows::origin(base > 0, at < base as usize).to_owned(),
                path: path.to_owned(),
                inner_path: Vec::new(),
                package: None,
                state: rows::state(state).to_owned(),
                mitigations: Vec::new(),
                evidence: None,
                finding: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    #[test]
    fn a_file_is_there_unless_something_above_hides_it_or_was_not_looked_at() {
        use State::{Affected, Hidden, Uncertain};
        let layer = |name: &str| Digest::of(Algorithm::Sha256, name.as_bytes());
        let searched = Searched {
            found: BTreeMap::from([(layer("low"), vec!["a.jar".to_owned(), "b.jar".to_owned()])]),
            hides: BTreeMap::from([
                (layer("hides a"), BTreeSet::from(["a.jar".to_owned()])),
                (layer("hides nothing"), BTreeSet::new()),
                (
                    layer("low"),
                    BTreeSet::from(["a.jar".to_owned(), "b.jar".to_owned()]),
                ),
            ]),
            looked_at: 1,
            all: 1,
        };
        let states = |names: &[&str]| {
            let stack: Vec<Option<Digest>> = names
                .iter()
                .map(|name| (*name != "none").then(|| layer(name)))
                .collect();
            searched
                .places(&stack)
                .map(|(.., state)| state)
                .collect::<Vec<_>>()
        };
        assert_eq!(states(&["low"]), [Affected, Affected]);
        assert_eq!(states(&["hides a", "low", "hides nothing"]), [Affected, Affected]);
        assert_eq!(states(&["low", "hides nothing", "hides a"]), [Hidden, Affected]);
        assert_eq!(states(&["low", "never seen", "hides a"]), [Hidden, Uncertain]);
        assert_eq!(states(&["low", "none"]), [Uncertain, Uncertain]);
        // Put back by a layer further up.
        assert_eq!(
            states(&["low", "hides a", "low"]),
            [Hidden, Hidden, Affected, Affected]
        );
        assert_eq!(states(&["hides a"]), []);
    }
}
