//! Turns that are waited for, read when somebody asks for the metrics.

use access::Class;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::gauge::ConstGauge,
    registry::Registry as Metrics,
};
use registry::Registry;

/// Adds them to a registry of metrics.
pub(crate) fn register(metrics: &mut Metrics, registry: Registry) {
    metrics.register_collector(Box::new(TurnCollector(registry)));
}

struct TurnCollector(Registry);

impl std::fmt::Debug for TurnCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TurnCollector")
    }
}

impl Collector for TurnCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (lanes, database) = self.0.turns();
        let waiting = lanes.waiting.iter().sum::<usize>();
        let gauges = [
            ("turns_waiting", "Requests that wait for their turn", waiting),
            (
                "turns_waiting_nodes",
                "Pulls of nodes that wait for their turn",
                lanes.waiting[Class::Node.index()],
            ),
            (
                "database_turns_waiting",
                "Requests that wait for their turn at the database",
                database.waiting.iter().sum(),
            ),
            (
                "database_turns_limit",
                "Requests that may ask the database at the same time",
                database.limit,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
