//! Referrers: what points to a manifest with its `subject`.

use std::collections::BTreeMap;

use access::Permit;
use access::permit::Pull;
use oci::{Digest, MediaType};

use crate::{Page, Store, StoreError};

/// One entry of the referrers index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerDescriptor {
    /// Media type of the referring manifest.
    pub media_type: MediaType,
    /// Digest of the referring manifest.
    pub digest: Digest,
    /// Bytes of the referring manifest.
    pub size: u64,
    /// Its artifact type, else its config's media type.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Store {
    /// What refers to `subject`, ordered by digest, from the first one behind `after`; with what the index under the
    /// fallback tag (`sha256-<hex>`) of the subject names. Empty for what nothing refers to, known or not.
    pub async fn referrers(
        &self,
        permit: &Permit<Pull>,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<ReferrerDescriptor>, StoreError> {
        let _ = (permit, subject, artifact_type, after, limit);
        todo!()
    }
}
