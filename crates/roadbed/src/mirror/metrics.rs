//! Whether the centre answers and how much it refuses, read when somebody asks for the metrics.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry as Metrics;

use super::centre::Centre;
use super::refusals::Refusals;

/// Adds them to a registry of metrics.
pub(super) fn register(metrics: &mut Metrics, centre: Arc<Centre>, refusals: Arc<Refusals>) {
    metrics.register_collector(Box::new(MirrorCollector { centre, refusals }));
}

struct MirrorCollector {
    centre: Arc<Centre>,
    refusals: Arc<Refusals>,
}

impl std::fmt::Debug for MirrorCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MirrorCollector")
    }
}

impl Collector for MirrorCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let reached = i64::from(self.centre.away().is_none());
        let refused = i64::try_from(self.refusals.count()).unwrap_or(i64::MAX);
        for (name, help, value) in [
            (
                "mirror_centre_reached",
                "The centre answers (1) or does not (0)",
                reached,
            ),
            (
                "mirror_refusals",
                "Refusals of the centre that are known",
                refused,
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
