//! What is counted.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use store::DeliveryCounts;

/// Counters of what is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct TellingMetrics {
    sent: Counter,
    failed: Counter,
    dropped: Gauge,
    pending: Gauge,
    dead: Gauge,
}

impl TellingMetrics {
    /// Adds them to a registry.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "deliveries_sent",
            "Deliveries that a sink took",
            metrics.sent.clone(),
        );
        registry.register(
            "delivery_attempts_failed",
            "Tries to tell a sink something that failed",
            metrics.failed.clone(),
        );
        registry.register(
            "deliveries_dropped",
            "Deliveries for which a sink had no room, since there are sinks",
            metrics.dropped.clone(),
        );
        registry.register(
            "deliveries_pending",
            "Deliveries that are still to be made",
            metrics.pending.clone(),
        );
        registry.register(
            "deliveries_dead",
            "Deliveries that were given up",
            metrics.dead.clone(),
        );
        metrics
    }

    pub(super) fn sent(&self) {
        self.sent.inc();
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    /// What the store says.
    pub(super) fn show(&self, counts: &DeliveryCounts) {
        for (gauge, value) in [
            (&self.pending, counts.pending),
            (&self.dead, counts.dead),
            (&self.dropped, counts.dropped),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
