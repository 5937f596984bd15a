//! `/healthz`, `/readyz` and `/metrics` of a mirror.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use prometheus_client::registry::Registry as Metrics;
use store::Store;

use super::answer::text;
use super::centre::Centre;
use super::room::DiskRoom;
use super::who::Keyring;

/// Names the process that answers.
static INSTANCE: HeaderName = HeaderName::from_static("roadbed-instance");

/// What this is, for whoever opens the address.
const ABOUT: &str = "\
This is a mirror of a registry for container images (Roadbed). Nodes pull from it; `roadbed mirror install` tells containerd so.
Everything else is done at the registry itself. /healthz, /readyz and /metrics are for whoever runs it.
";

/// What the endpoints know.
#[derive(Clone)]
pub(super) struct MirrorHealth(Arc<Inner>);

struct Inner {
    store: Store,
    centre: Arc<Centre>,
    keyring: Arc<Keyring>,
    room: DiskRoom,
    instance: String,
    metrics: Mutex<Metrics>,
    public_metrics: bool,
    draining: AtomicBool,
}

impl MirrorHealth {
    pub(super) fn new(
        store: Store,
        centre: Arc<Centre>,
        (keyring, room): (Arc<Keyring>, DiskRoom),
        instance: String,
        metrics: Metrics,
        public_metrics: bool,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            centre,
            keyring,
            room,
            instance,
            metrics: Mutex::new(metrics),
            public_metrics,
            draining: AtomicBool::new(false),
        }))
    }

    /// From now on `/readyz` says no.
    pub(super) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// The answer to what is not the protocol.
    pub(super) async fn answer(&self, path: &str, address: IpAddr) -> Response<Body> {
        let mut response = match path {
            "/" => text(StatusCode::OK, ABOUT),
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.ready(),
            "/metrics" if self.0.public_metrics || self.0.keyring.is_near(address) => {
                self.0.room.count().await;
                self.metrics()
            }
            "/metrics" => text(
                StatusCode::FORBIDDEN,
                "the metrics are read from a network of mirror.robot_networks, or set metrics.public\n",
            ),
            _ => text(
                StatusCode::NOT_FOUND,
                "a mirror has /v2/, /healthz, /readyz and /metrics\n",
            ),
        };
        if let Ok(instance) = HeaderValue::try_from(&self.0.instance) {
            response.headers_mut().insert(INSTANCE.clone(), instance);
        }
        response
    }

    /// A mirror whose centre is gone is what it is for: it is ready, and says so.
    fn ready(&self) -> Response<Body> {
        let condition = self.0.store.condition();
        if self.0.draining.load(Ordering::Relaxed) {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "draining: the mirror is about to stop\n",
            );
        }
        if condition.is_closed {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "closed: its database cannot be read\n",
            );
        }
        let host = self.0.centre.host();
        let mut body = match self.0.centre.away() {
            None => "ready\n".to_owned(),
            Some(away) => format!(
                "alone: {host} does not answer for {} s ({}); what is held is served\n",
                away.since.elapsed().as_secs(),
                away.why
            ),
        };
        if condition.reads.is_some() || condition.writes.is_some() {
            body.push_str("degraded: the mirror's database is away; what is in memory is served\n");
        }
        if condition.disk_full.is_some() {
            body.push_str("disk-full: what is held is served, nothing more is taken in\n");
        }
        text(StatusCode::OK, body)
    }

    fn metrics(&self) -> Response<Body> {
        let mut body = String::new();
        let metrics = self.0.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        if prometheus_client::encoding::text::encode(&mut body, &metrics).is_err() {
            return text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics could not be written\n",
            );
        }
        drop(metrics);
        let mut response = text(StatusCode::OK, body);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        );
        response
    }
}
