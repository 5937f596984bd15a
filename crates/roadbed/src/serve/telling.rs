//! Telling people beside the requests.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use store::Store;
use tokio::task::JoinHandle;
use web::Telling;

use super::background::Background;
use crate::{
    config::Config,
    telling::{Messages, TellingMetrics, TellingService},
};

/// What tells. Dropping it ends it; what was not told is told by the next start.
pub(super) struct Tellers {
    service: TellingService,
    looking: JoinHandle<()>,
}

impl Tellers {
    /// Starts it, unless it is switched off.
    pub(super) fn start(
        background: &Background,
        config: &Config,
        store: &Store,
        messages: Arc<dyn Messages>,
        metrics: TellingMetrics,
    ) -> Result<Option<Self>> {
        if !config.telling.enabled {
            return Ok(None);
        }
        let service = TellingService::new(config, store.clone(), messages, metrics)
            .context("the configuration of telling cannot be used")?;
        let looking = background.handle().spawn(service.clone().run());
        Ok(Some(Self { service, looking }))
    }

    /// The API with who tells; without, nobody does.
    pub(super) fn serving(tellers: Option<&Self>, state: web::WebState) -> web::WebState {
        state.told_by(tellers.map(|tellers| Arc::new(tellers.service.clone()) as Arc<dyn Telling>))
    }
}

impl Drop for Tellers {
    fn drop(&mut self) {
        self.looking.abort();
        self.service.end();
    }
}
