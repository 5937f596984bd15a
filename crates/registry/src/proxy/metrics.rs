//! Numbers about upstreams. Their labels are names from the configuration, never a client's.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, LabelSetEncoder},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::upstreams::{Upstream, Upstreams};

/// Counters of all upstreams.
#[derive(Debug, Clone, Default)]
pub struct ProxyMetrics {
    hits: Family<Of, Counter>,
    misses: Family<Of, Counter>,
    stale: Family<Of, Counter>,
    errors: Family<Of, Counter>,
    fetched: Family<Of, Counter>,
    prefetched: Family<Of, Counter>,
    prefetch_failures: Family<Of, Counter>,
    /// Blobs that come in now.
    pub(crate) flights: Gauge,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct Of(Arc<str>);

impl EncodeLabelSet for Of {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("upstream", &*self.0)].encode(encoder)
    }
}

impl ProxyMetrics {
    /// Makes the counters and adds them to a registry of metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, family) in [
            (
                "upstream_hits",
                "Pulls answered with what is held and fresh",
                &metrics.hits,
            ),
            (
                "upstream_misses",
                "Pulls for which an upstream was asked",
                &metrics.misses,
            ),
            (
                "upstream_stale",
                "Pulls answered with what is held in place of an upstream's answer",
                &metrics.stale,
            ),
            (
                "upstream_errors",
                "Questions to an upstream that failed",
                &metrics.errors,
            ),
            (
                "upstream_prefetched",
                "Images and charts that were here, or came, before somebody asked for them",
                &metrics.prefetched,
            ),
            (
                "upstream_prefetch_failures",
                "Images and charts that were to come before somebody asked for them, and did not",
                &metrics.prefetch_failures,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register_with_unit(
            "upstream_fetched",
            "Bytes of blobs and manifests taken in",
            Unit::Bytes,
            metrics.fetched.clone(),
        );
        registry.register(
            "upstream_flights",
            "Blobs that come in now",
            metrics.flights.clone(),
        );
        metrics
    }

    pub(crate) fn hit(&self, upstream: &Upstream) {
        self.hits.get_or_create(&of(upstream)).inc();
    }

    pub(crate) fn miss(&self, upstream: &Upstream) {
        self.misses.get_or_create(&of(upstream)).inc();
    }

    pub(crate) fn stale(&self, upstream: &Upstream) {
        self.stale.get_or_create(&of(upstream)).inc();
    }

    pub(crate) fn error(&self, upstream: &Upstream) {
        self.errors.get_or_create(&of(upstream)).inc();
    }

    pub(crate) fn prefetched(&self, upstream: &Upstream, is_here: bool) {
        let family = if is_here {
            &self.prefetched
        } else {
            &self.prefetch_failures
        };
        family.get_or_create(&of(upstream)).inc();
    }

    pub(crate) fn fetched(&self, upstream: &Upstream, bytes: u64) {
        self.fetched.get_or_create(&of(upstream)).inc_by(bytes);
    }

    /// What was counted of an upstream since the start.
    pub(crate) fn counted(&self, upstream: &Upstream) -> Counted {
        let of = of(upstream);
        let count = |family: &Family<Of, Counter>| family.get_or_create(&of).get();
        Counted {
            hits: count(&self.hits),
            misses: count(&self.misses),
            stale: count(&self.stale),
            errors: count(&self.errors),
            fetched_bytes: count(&self.fetched),
        }
    }
}

/// What was counted of one upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) stale: u64,
    pub(crate) errors: u64,
    pub(crate) fetched_bytes: u64,
}

fn of(upstream: &Upstream) -> Of {
    Of(Arc::clone(&upstream.config.name))
}

/// A number about an upstream, if there is one.
type Value = dyn Fn(&Upstream) -> Option<u64>;

/// What is asked of upstreams when somebody asks for the metrics.
pub(crate) struct UpstreamCollector(pub(crate) Arc<Upstreams>);

impl std::fmt::Debug for UpstreamCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamCollector")
    }
}

impl Collector for UpstreamCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let reached = |upstream: &Upstream| Some(u64::from(upstream.breaker.is_closed()));
        let requests = |upstream: &Upstream| upstream.config.source.budget_left().requests;
        let bytes = |upstream: &Upstream| upstream.config.source.budget_left().bytes;
        let gauges: [(&str, &str, &Value); 3] = [
            (
                "upstream_reached",
                "Whether an upstream answered when it was last asked",
                &reached,
            ),
            (
                "upstream_requests_left",
                "Requests left of an upstream's budget",
                &requests,
            ),
            (
                "upstream_bytes_left",
                "Bytes left of an upstream's budget",
                &bytes,
            ),
        ];
        for (name, help, value) in gauges {
            let of_type = ConstGauge::new(0_i64).metric_type();
            let mut descriptor = encoder.encode_descriptor(name, help, None, of_type)?;
            for upstream in self.0.iter() {
                let Some(value) = value(upstream) else { continue };
                let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                gauge.encode(descriptor.encode_family(&of(upstream))?)?;
            }
        }
        Ok(())
    }
}
