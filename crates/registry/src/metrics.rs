//! What the registry counts, in Prometheus' text form.

use std::sync::Arc;

use http::{Method, StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0,
];

/// Counters of the accept loop.
#[derive(Debug, Clone, Default)]
pub struct ConnectionMetrics {
    /// Connections that are open now.
    pub open: Gauge,
    /// Connections accepted since the start.
    pub accepted: Counter,
    /// Connections refused because a cap was reached.
    pub shed: Counter,
    /// Connections on which nothing was asked, ended because another address needed the place.
    pub displaced: Counter,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: Counter,
}

/// Counters of the protocol.
#[derive(Debug, Clone)]
pub struct RegistryMetrics {
    requests: Family<RequestLabels, Counter>,
    latency: Family<LatencyLabels, Histogram, fn() -> Histogram>,
    /// Bytes of response bodies that were handed to clients.
    pub sent_bytes: Counter,
    /// Bytes of request bodies that were taken from clients.
    pub received_bytes: Counter,
    /// Requests refused because a bound was reached (429).
    pub shed: Counter,
    /// Uploads, of blobs and of manifests, that are being received now.
    pub uploads_in_flight: Gauge,
    /// Access log lines dropped because the log's reader was too slow.
    pub access_log_dropped: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LatencyLabels {
    route: &'static str,
    method: &'static str,
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("route", self.route), ("method", self.method)].encode(encoder)?;
        [("status", self.status.to_string())].encode(encoder)
    }
}

impl EncodeLabelSet for LatencyLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("route", self.route), ("method", self.method)].encode(encoder)
    }
}

impl ConnectionMetrics {
    /// Makes the counters and adds them to a registry of metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("connections_open", "Open connections", metrics.open.clone());
        registry.register(
            "connections_accepted",
            "Connections accepted",
            metrics.accepted.clone(),
        );
        registry.register(
            "connections_shed",
            "Connections refused at a cap",
            metrics.shed.clone(),
        );
        registry.register(
            "connections_displaced",
            "Connections without a request that ended because another address needed the place",
            metrics.displaced.clone(),
        );
        let failed = metrics.handshakes_failed.clone();
        registry.register(
            "tls_handshakes_failed",
            "TLS handshakes that failed or timed out",
            failed,
        );
        metrics
    }
}

impl RegistryMetrics {
    /// Makes the counters and adds them to a registry of metrics.
    pub fn register(registry: &mut Registry) -> Arc<Self> {
        let metrics = Self {
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS)),
            sent_bytes: Counter::default(),
            received_bytes: Counter::default(),
            shed: Counter::default(),
            uploads_in_flight: Gauge::default(),
            access_log_dropped: Counter::default(),
        };
        registry.register(
            "http_requests",
            "Requests by route, method and status",
            metrics.requests.clone(),
        );
        let latency = metrics.latency.clone();
        registry.register_with_unit(
            "http_request_duration",
            "Time to the response's head",
            Unit::Seconds,
            latency,
        );
        registry.register_with_unit(
            "http_sent",
            "Body bytes sent",
            Unit::Bytes,
            metrics.sent_bytes.clone(),
        );
        let received = metrics.received_bytes.clone();
        registry.register_with_unit("http_received", "Body bytes received", Unit::Bytes, received);
        registry.register(
            "http_requests_shed",
            "Requests answered 429",
            metrics.shed.clone(),
        );
        registry.register(
            "uploads_in_flight",
            "Uploads being received",
            metrics.uploads_in_flight.clone(),
        );
        let dropped = metrics.access_log_dropped.clone();
        registry.register("access_log_dropped", "Access log lines dropped", dropped);
        Arc::new(metrics)
    }

    /// Counts one answered request.
    pub fn observe(&self, route: &'static str, method: &Method, status: StatusCode, seconds: f64) {
        let method = method_label(method);
        self.requests
            .get_or_create(&RequestLabels {
                route,
                method,
                status: status.as_u16(),
            })
            .inc();
        self.latency
            .get_or_create(&LatencyLabels { route, method })
            .observe(seconds);
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.shed.inc();
        }
    }
}

/// A method's name from a closed set: a client must not be able to make new time series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
