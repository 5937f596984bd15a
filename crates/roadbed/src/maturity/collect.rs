//! Collectors: what the store knows becomes evidence of the vocabulary of `maturity::signal::Fact`.
//!
//! Each of them asks what happened and not what is set up: an application signs if its images are signed. What only a cluster can know
//! none of them says, so that it stays unknown.
//!
//! - `collect/notes.rs`: evidence under ids that stay, so that only what is new is written.
//! - `collect/ground.rs`: what all of them stand on: whose repositories are, what images stand on, the policy.
//! - `collect/applications.rs`: what applications and their teams say, and what they need not do.
//! - `collect/images.rs`: images, by what was decided of them (`collect/said.rs`), one by one (`collect/image.rs`), and what follows for
//!   their application (`collect/newest.rs`).
//! - `collect/promotions.rs`: tags of environments. `collect/rebases.rs`: what followed its base. `collect/incidents.rs`: what became of incidents (`collect/lines.rs`).
//! - `collect/figures.rs`: what figures say. `collect/registry.rs`: policy, accounts and advisories. `collect/catalogue.rs`: the catalogue of the road and its use.

use std::sync::Arc;

use oci::{Digest, RepoName};
use road::fleet::ImageKey;
use store::Store;

use super::collector::Collector;
use crate::fleet::FleetService;

mod applications;
mod catalogue;
mod figures;
mod ground;
mod image;
mod images;
mod incidents;
mod lines;
mod newest;
mod notes;
mod promotions;
mod rebases;
mod registry;
mod said;
#[cfg(test)]
pub(super) mod tests;

pub(super) use ground::{Ground, Places, is_release};
pub(super) use said::Said;

/// Who knows the layers of images.
pub(crate) trait Stacks: Send + Sync {
    /// The diff ids of an image's layers as they were computed, lowest first. `None`: the image was not looked into yet.
    fn diff_ids(&self, repository: &RepoName, image: &Digest) -> Option<Vec<Option<Digest>>>;
}

impl Stacks for FleetService {
    fn diff_ids(&self, repository: &RepoName, image: &Digest) -> Option<Vec<Option<Digest>>> {
        let key = ImageKey {
            repository: repository.to_string(),
            digest: *image,
        };
        self.look(|index| index.diff_ids_of(&key))
    }
}

/// All collectors over a store.
pub(crate) fn all(store: Store, stacks: Arc<dyn Stacks>) -> Vec<Arc<dyn Collector>> {
    let ground = Ground::of(store, stacks);
    vec![
        Arc::new(applications::Applications(Arc::clone(&ground))),
        Arc::new(images::Images(Arc::clone(&ground))),
        Arc::new(promotions::Promotions(Arc::clone(&ground))),
        Arc::new(rebases::Rebases(Arc::clone(&ground))),
        Arc::new(incidents::Incidents::of(Arc::clone(&ground))),
        Arc::new(registry::Registry(Arc::clone(&ground))),
        Arc::new(catalogue::Catalogue(Arc::clone(&ground))),
        Arc::new(figures::Figures::of(ground)),
    ]
}
