//! Who pulled what: written in batches, bounded, and never in the way of a pull.

use oci::{Digest, RepoName};

use crate::{Page, Store, StoreError, Timestamp};

/// What kind of client pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullClass {
    /// A cluster node (containerd, CRI-O, kubelet).
    Node,
    /// Automation: a robot or a known build tool.
    Ci,
    /// Everything else.
    Other,
}

/// One pull of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullNote {
    /// From where.
    pub repo: RepoName,
    /// What.
    pub digest: Digest,
    /// By whom; `None` for anonymous.
    pub principal: Option<access::PrincipalName>,
    /// By what.
    pub class: PullClass,
    /// When.
    pub at: Timestamp,
}

/// A line of the pull log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullEntry {
    /// Position in the log; the cursor of [`Store::pulls`].
    pub seq: i64,
    /// The pull.
    pub note: PullNote,
}

/// Which pulls to list; everything that is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullFilter {
    /// From this repository.
    pub repo: Option<RepoName>,
    /// Of this manifest.
    pub digest: Option<Digest>,
    /// Not before.
    pub since: Option<Timestamp>,
}

impl Store {
    /// Takes a note of a pull. Never waits: when the queue is full, the note is dropped and counted
    /// ([`crate::StoreMetrics::pull_notes_dropped`]).
    pub fn note_pull(&self, note: PullNote) {
        let _ = note;
        todo!()
    }

    /// The pull log, newest first, from the first line before `before`.
    pub async fn pulls(
        &self,
        _permit: &access::SystemPermit,
        filter: &PullFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<PullEntry>, StoreError> {
        let _ = (filter, before, limit);
        todo!()
    }
}
