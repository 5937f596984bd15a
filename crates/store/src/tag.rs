//! Tags.

use access::Permit;
use access::permit::{Delete, Pull};
use oci::Tag;

use crate::manifest::DeleteError;
use crate::{Page, Store, StoreError};

impl Store {
    /// Tags in byte order, from the first one behind `after`. `None` when there is no such repository.
    ///
    /// At most `limit` and never more than [`crate::StoreLimits::page_items`].
    pub async fn tags(
        &self,
        permit: &Permit<Pull>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<Tag>>, StoreError> {
        let _ = (permit, after, limit);
        todo!()
    }

    /// Deletes a tag; the manifest stays.
    pub async fn delete_tag(&self, permit: &Permit<Delete>, tag: &Tag) -> Result<(), DeleteError> {
        let _ = (permit, tag);
        todo!()
    }
}
