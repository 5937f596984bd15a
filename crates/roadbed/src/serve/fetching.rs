//! Fetching advisories beside the requests, and following the catalogue that is pushed.

use std::sync::Arc;

use store::Store;
use tokio::task::JoinHandle;
use web::{Judging, Syncing};

use super::background::Background;
use crate::{catalogue, config::Config, feeds::Feeds};

/// What fetches, by itself if it is to, and when somebody asks. Dropping it ends it; the next start goes on.
pub(super) struct Fetching {
    feeds: Feeds,
    following: Vec<JoinHandle<()>>,
}

impl Fetching {
    pub(super) fn start(
        background: &Background,
        config: &Config,
        store: &Store,
        judging: Option<Arc<dyn Judging>>,
    ) -> Self {
        let feeds = Feeds::new(&config.feeds, store.clone(), judging);
        // What was held before the start is held still, also where nothing is fetched by itself.
        let counted = store.clone();
        background.handle().spawn(async move {
            if let Err(error) = counted.refresh_feed_counts().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "feeds cannot be counted for the metrics"
                );
            }
        });
        let follow = || background.handle().spawn(feeds.clone().follow());
        let feeds_of_their_own = config.feeds.enabled.then(follow);
        let catalogue = config
            .catalogue_config()
            .map(|of| background.handle().spawn(catalogue::follow(store.clone(), of)));
        Self {
            following: feeds_of_their_own.into_iter().chain(catalogue).collect(),
            feeds,
        }
    }

    /// Who fetches for the API.
    pub(super) fn syncing(&self) -> Arc<dyn Syncing> {
        Arc::new(self.feeds.clone())
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.following.iter().for_each(JoinHandle::abort);
        self.feeds.end();
    }
}
