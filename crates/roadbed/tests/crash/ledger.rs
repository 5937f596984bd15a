//! What one pusher was told by the server: everything here must be true after a crash.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{content::Blob, manifest::Document};

/// The book of one repository, which only one pusher writes to.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The repository.
    pub(super) repository: String,
    /// Digest and length of each blob that was acknowledged and not deleted since.
    pub(super) blobs: BTreeMap<String, usize>,
    /// Manifests that were acknowledged and not deleted since, by digest.
    pub(super) manifests: BTreeMap<String, Manifest>,
    /// Tags and the digests that were last acknowledged for them.
    pub(super) tags: BTreeMap<String, String>,
    /// Upload sessions that were left open.
    pub(super) uploads: Vec<OpenUpload>,
    /// The one thing that was sent and not answered.
    pub(super) under_way: Option<Step>,
    /// Digests that came or went since they were last compared.
    pub(super) touched: BTreeSet<String>,
    /// Things that were acknowledged.
    pub(super) acknowledged: usize,
}

/// A manifest and what keeps its blobs from being deleted.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) document: Document,
    pub(super) names: Vec<String>,
}

/// An upload session that goes on after the crash.
#[derive(Debug, Clone)]
pub(super) struct OpenUpload {
    /// Path and query of the session: the port is another after each start.
    pub(super) path: String,
    /// What it is to become.
    pub(super) content: Blob,
    /// Bytes that the server said it has.
    pub(super) acknowledged: usize,
    /// Bytes that it may have.
    pub(super) sent: usize,
}

/// Something that changes what the server holds, and may be half done.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A blob comes, by whatever way.
    Blob { digest: String, length: usize },
    /// More bytes for the last of the open uploads.
    Append,
    /// A manifest comes, perhaps under a tag.
    Manifest { manifest: Manifest, tag: Option<String> },
    /// A tag goes.
    DeleteTag(String),
    /// A manifest goes with its tags.
    DeleteManifest(String),
    /// A blob goes.
    DeleteBlob(String),
    /// A session is opened or cancelled; nothing that was promised depends on it.
    Session,
}

impl Ledger {
    pub(super) fn new(repository: String) -> Self {
        Self {
            repository,
            blobs: BTreeMap::new(),
            manifests: BTreeMap::new(),
            tags: BTreeMap::new(),
            uploads: Vec::new(),
            under_way: None,
            touched: BTreeSet::new(),
            acknowledged: 0,
        }
    }

    /// The step under way was acknowledged.
    pub(super) fn settle(&mut self) {
        self.acknowledged += 1;
        if let Some(step) = self.under_way.take() {
            self.apply(step);
        }
    }

    /// Writes down that a step is done.
    pub(super) fn apply(&mut self, step: Step) {
        match step {
            Step::Blob { digest, length } => {
                self.touched.insert(digest.clone());
                self.blobs.insert(digest, length);
            }
            Step::Manifest { manifest, tag } => {
                let digest = manifest.document.digest.clone();
                self.touched.insert(digest.clone());
                self.manifests.insert(digest.clone(), manifest);
                if let Some(tag) = tag {
                    self.tags.insert(tag, digest);
                }
            }
            Step::DeleteTag(tag) => {
                self.tags.remove(&tag);
            }
            Step::DeleteManifest(digest) => {
                self.manifests.remove(&digest);
                self.tags.retain(|_, named| *named != digest);
            }
            Step::DeleteBlob(digest) => {
                self.blobs.remove(&digest);
            }
            Step::Append | Step::Session => {}
        }
    }

    /// Blobs that no manifest names.
    pub(super) fn loose_blobs(&self) -> Vec<String> {
        let named: BTreeSet<&String> = self
            .manifests
            .values()
            .flat_map(|manifest| &manifest.names)
            .collect();
        self.blobs
            .keys()
            .filter(|digest| !named.contains(digest))
            .cloned()
            .collect()
    }
}
