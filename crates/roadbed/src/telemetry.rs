//! Logs to standard error, traces to an OTLP collector where one is named.

use std::{io::IsTerminal as _, time::Duration};

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{Log, LogFormat, Telemetry};

/// Lines of the log that may wait to be written; what comes on top is lost. Whoever does not read the log (a full pipe)
/// must not stop the threads that write to it.
const QUEUE_LINES: usize = 8_192;

/// Writes the last lines and ends the export of traces in good order when it is dropped.
#[derive(Debug)]
pub(crate) struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
    _lines: WorkerGuard,
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            let _ = provider.shutdown_with_timeout(Duration::from_secs(5));
        }
    }
}

/// Starts logging to standard error, and tracing where a collector is named.
pub(crate) fn init(log: &Log, telemetry: &Telemetry) -> anyhow::Result<TelemetryGuard> {
    // Every start would say at length that there is nothing to migrate; whoever wants to read that can name it.
    let level = log.level.as_str();
    let level = if level.contains('=') {
        level.to_owned()
    } else {
        format!("{level},sea_orm_migration=warn")
    };
    let filter = EnvFilter::try_new(level).context("log.level is not a filter")?;
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUE_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let provider = telemetry
        .otlp_endpoint
        .as_ref()
        .map(|endpoint| exporter(endpoint.as_str(), telemetry));
    let provider = provider.transpose()?;
    let traces = provider.as_ref().map(|provider| {
        // Only requests are traced; the exporter's own HTTP client must not trace itself.
        let requests = Targets::new().with_target("registry::service", tracing::Level::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("roadbed"))
            .with_filter(requests)
    });
    let subscriber = Registry::default().with(traces).with(lines.with_filter(filter));
    subscriber.try_init().context("logging is set up already")?;
    Ok(TelemetryGuard {
        provider,
        _lines: guard,
    })
}

fn exporter(endpoint: &str, telemetry: &Telemetry) -> anyhow::Result<SdkTracerProvider> {
    let url = format!("{endpoint}/v1/traces");
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(&url)
        .with_timeout(telemetry.export_timeout.0)
        .build()
        .with_context(|| format!("cannot export traces to {url}"))?;
    let resource = Resource::builder().with_service_name("roadbed").build();
    let share = f64::from(telemetry.sample_per_thousand) / 1000.0;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share)));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(resource)
        .build())
}
