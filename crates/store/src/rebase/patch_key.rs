//! The key that the registry signs with what it makes of images: made at its first use, kept with the other secrets of the server.

use std::sync::Arc;

use signatures::patch::PatchKey;

use crate::db::Tx;
use crate::setting::{self, Setting};
use crate::{Store, StoreError};

impl Store {
    /// The key. Two who ask for the first one at once get the same.
    pub async fn patch_key(&self) -> Result<Arc<PatchKey>, StoreError> {
        let kept = match setting::get(self.inner.db.read(), Setting::PatchKey).await? {
            Some(kept) => kept,
            None => self.write(|tx| Box::pin(make(tx))).await?,
        };
        read(&kept)
    }

    /// The same, if there is one: what was never used has signed nothing.
    pub async fn patch_key_if_any(&self) -> Result<Option<Arc<PatchKey>>, StoreError> {
        let kept = setting::get(self.inner.db.read(), Setting::PatchKey).await?;
        kept.map(|kept| read(&kept)).transpose()
    }
}

async fn make(tx: &Tx) -> Result<String, StoreError> {
    if let Some(kept) = setting::get(tx.sql(), Setting::PatchKey).await? {
        return Ok(kept);
    }
    let made = PatchKey::make().map_err(|error| StoreError::damaged(error.to_string()))?;
    let kept = hex::encode(made);
    setting::set(tx.sql(), Setting::PatchKey, kept.clone()).await?;
    Ok(kept)
}

fn read(kept: &str) -> Result<Arc<PatchKey>, StoreError> {
    let damaged = || StoreError::damaged("the patch key cannot be read");
    let kept = hex::decode(kept).map_err(|_| damaged())?;
    Ok(Arc::new(PatchKey::read(&kept).map_err(|_| damaged())?))
}
