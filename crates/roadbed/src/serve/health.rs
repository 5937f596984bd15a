//! `/healthz`, `/readyz` and `/metrics`.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use access::{Authorization, Caller};
use axum::{
    Extension, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use prometheus_client::registry::Registry as Metrics;
use store::Store;
use web::PeerAddress;

/// Names the process that answers, so that whoever started it can tell it from another on the same port.
static INSTANCE: HeaderName = HeaderName::from_static("roadbed-instance");

/// How long an answer of the database is believed. Anybody may ask `/readyz`, as often as they like, and the database has
/// few connections.
const BELIEVED: Duration = Duration::from_secs(1);

/// What the three endpoints know.
#[derive(Clone)]
pub(super) struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    instance: HeaderValue,
    draining: AtomicBool,
    /// When the database was last asked, and whether it answered.
    asked: tokio::sync::Mutex<Option<(Instant, bool)>>,
    metrics: Mutex<Metrics>,
    public_metrics: bool,
}

impl Health {
    pub(super) fn new(store: Store, instance: &str, metrics: Metrics, public_metrics: bool) -> Self {
        let instance =
            HeaderValue::try_from(instance).unwrap_or_else(|_| HeaderValue::from_static("unnamed"));
        let draining = AtomicBool::new(false);
        let metrics = Mutex::new(metrics);
        Self {
            inner: Arc::new(Inner {
                store,
                instance,
                draining,
                asked: tokio::sync::Mutex::default(),
                metrics,
                public_metrics,
            }),
        }
    }

    /// From now on `/readyz` says no; what is under way goes on.
    pub(super) fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the database answers. Those who ask at the same time wait for one question.
    async fn has_database(&self) -> bool {
        let mut asked = self.inner.asked.lock().await;
        if let Some((at, answered)) = *asked
            && at.elapsed() < BELIEVED
        {
            return answered;
        }
        let ping = self.inner.store.ping().await;
        if let Err(error) = &ping {
            tracing::warn!(error = error as &dyn std::error::Error, "not ready");
        }
        *asked = Some((Instant::now(), ping.is_ok()));
        ping.is_ok()
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

/// The process answers. Says nothing about what it depends on: a restart would not mend that.
async fn healthz(State(health): State<Health>) -> Response {
    ([(INSTANCE.clone(), health.inner.instance.clone())], "ok\n").into_response()
}

/// The process should get traffic.
async fn readyz(State(health): State<Health>) -> Response {
    let (status, text) = if health.inner.draining.load(Ordering::Relaxed) {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "draining: the server is about to stop\n",
        )
    } else if health.has_database().await {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
    };
    (status, [(INSTANCE.clone(), health.inner.instance.clone())], text).into_response()
}

/// Counters tell repositories' traffic apart by nothing, but still more than a stranger should know: whoever signs in
/// may read them, everybody only where `metrics.public` says so.
async fn metrics(
    State(health): State<Health>,
    Extension(PeerAddress(address)): Extension<PeerAddress>,
    headers: HeaderMap,
) -> Response {
    if !health.inner.public_metrics && sign_in(&health.inner.store, &headers, address).await.is_none() {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"roadbed metrics\"")];
        return (
            StatusCode::UNAUTHORIZED,
            challenge,
            "sign in to read the metrics\n",
        )
            .into_response();
    }
    let mut text = String::new();
    let encoded = {
        let metrics = health
            .inner
            .metrics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &metrics)
    };
    if encoded.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn sign_in(store: &Store, headers: &HeaderMap, address: std::net::IpAddr) -> Option<Caller> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    match Authorization::parse(value).ok()? {
        Authorization::Basic { user, secret } => store.authenticate(&user, &secret, address).await.ok(),
        Authorization::Bearer(_) => None,
    }
}
