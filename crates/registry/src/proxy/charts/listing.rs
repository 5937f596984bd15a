//! The index of an upstream for somebody who pulls: what it is now if that is known soon, else what is held.

use std::sync::Arc;

use oci::RepoName;
use tokio::time::{Instant, timeout_at};

use super::{ChartIndex, ChartRepository};
use crate::proxy::error::ProxyError;
use crate::proxy::question::question;
use crate::proxy::upstreams::Upstream;
use crate::proxy::{Proxy, Stale};

/// A repository of charts that is pulled through.
#[derive(Clone)]
pub(crate) struct ProxiedCharts {
    pub(crate) upstream: Arc<Upstream>,
    repository: Arc<ChartRepository>,
}

impl Proxy {
    /// The repository of charts whose prefix this is.
    pub(crate) fn charts(&self, prefix: &RepoName) -> Option<ProxiedCharts> {
        let upstream = self
            .inner
            .upstreams
            .iter()
            .find(|upstream| upstream.config.prefix == *prefix)?;
        let repository = upstream.config.charts.clone()?;
        Some(ProxiedCharts {
            upstream: Arc::clone(upstream),
            repository,
        })
    }

    /// Its index, and why that may not be what it is now.
    pub(crate) async fn chart_index(
        &self,
        charts: &ProxiedCharts,
    ) -> Result<(Arc<ChartIndex>, Option<Stale>), ProxyError> {
        let (upstream, repository) = (&charts.upstream, &charts.repository);
        if let Some((index, true)) = repository.last() {
            self.inner.metrics.hit(upstream);
            return Ok((index, None));
        }
        repository.recall().await;
        let held = repository.last().map(|(index, _)| index);
        let patience = match held {
            Some(_) if upstream.breaker.is_closed() => self.inner.limits.revalidate_wait,
            Some(_) => std::time::Duration::ZERO,
            None => self.inner.limits.first_wait,
        };
        self.inner.metrics.miss(upstream);
        let asked = self.inner.runtime.spawn(refresh(self.clone(), charts.clone()));
        let answer = match timeout_at(Instant::now() + patience, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ProxyError::Lost),
            Err(_) => Err(ProxyError::OnItsWay {
                upstream: Arc::clone(&upstream.config.name),
            }),
        };
        match (answer, held) {
            (Ok(index), _) => Ok((index, None)),
            (Err(error), Some(held)) => {
                self.inner.metrics.stale(upstream);
                let why = format!(
                    "stale: as it was last seen at upstream {}; {error}",
                    upstream.name()
                );
                Ok((held, Some(why)))
            }
            (Err(error), None) => Err(error),
        }
    }
}

/// Asks for the index. Not ended by whoever goes away.
async fn refresh(proxy: Proxy, charts: ProxiedCharts) -> Result<Arc<ChartIndex>, ProxyError> {
    let upstream = &charts.upstream;
    let most = proxy.inner.limits.manifest_time;
    let read = question(upstream, "index.yaml", most, charts.repository.index()).await;
    read.inspect_err(|_| proxy.inner.metrics.error(upstream))
}
