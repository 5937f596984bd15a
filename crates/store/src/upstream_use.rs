//! What was asked of upstreams within the last hour: kept, so that a start gives nobody a budget that is spent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::setting::{self, Setting};
use crate::{Store, StoreError, Timestamp};

/// What was asked of an upstream within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamUse {
    /// When the minute began.
    pub at: Timestamp,
    /// Requests.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Store {
    /// What was kept last, by the name of the upstream.
    pub async fn upstream_use(&self) -> Result<BTreeMap<String, Vec<UpstreamUse>>, StoreError> {
        let kept = setting::get(self.inner.db.read(), Setting::UpstreamUse).await?;
        let Some(kept) = kept else {
            return Ok(BTreeMap::new());
        };
        let damaged = |error| {
            StoreError::damaged(format!(
                "the setting for the use of upstreams cannot be read: {error}"
            ))
        };
        serde_json::from_str(&kept).map_err(damaged)
    }

    /// Keeps this in place of what was kept before.
    pub async fn keep_upstream_use(
        &self,
        used: &BTreeMap<String, Vec<UpstreamUse>>,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(used);
        let text = text.map_err(|error| StoreError::damaged(format!("the use of upstreams: {error}")))?;
        self.write(move |tx| {
            Box::pin(async move { setting::set(tx.sql(), Setting::UpstreamUse, text).await })
        })
        .await
    }
}
