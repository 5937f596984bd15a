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
use registry::Registry;
use store::Store;
use web::PeerAddress;

mod mode;

use mode::{Mode, Readiness};

/// Names the process that answers, so that whoever started it can tell it from another on the same port.
static INSTANCE: HeaderName = HeaderName::from_static("roadbed-instance");

/// How long an answer of the database is believed. Anybody may ask `/readyz`, as often as they like, and the database has
/// few connections.
const BELIEVED: Duration = Duration::from_secs(1);

/// How long the database may take to answer it.
const PING_WAIT: Duration = Duration::from_secs(2);

/// What the three endpoints know.
#[derive(Clone)]
pub(super) struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    registry: Registry,
    instance: HeaderValue,
    draining: AtomicBool,
    /// When the database was last asked, and whether it answered.
    asked: tokio::sync::Mutex<Option<(Instant, bool)>>,
    metrics: Mutex<Metrics>,
    public_metrics: bool,
}

impl Health {
    pub(super) fn new(
        (store, registry): (Store, Registry),
        instance: &str,
        metrics: Metrics,
        public_metrics: bool,
    ) -> Self {
        let instance =
            HeaderValue::try_from(instance).unwrap_or_else(|_| HeaderValue::from_static("unnamed"));
        let draining = AtomicBool::new(false);
        let metrics = Mutex::new(metrics);
        Self {
            inner: Arc::new(Inner {
                store,
                registry,
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
        let answered = match tokio::time::timeout(PING_WAIT, self.inner.store.ping()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                if !error.is_away() {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the database was asked in vain"
                    );
                }
                false
            }
            Err(_) => {
                tracing::warn!("the database did not answer in {PING_WAIT:?}");
                false
            }
        };
        *asked = Some((Instant::now(), answered));
        answered
    }

    async fn readiness(&self) -> Readiness {
        let is_draining = self.inner.draining.load(Ordering::Relaxed);
        let answers = is_draining || self.has_database().await;
        let readiness = Readiness::of(self.inner.store.condition(), is_draining, answers);
        readiness.without(self.inner.registry.unreached_upstreams())
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

/// The process should get traffic, and how much it can do with it. A server whose database is away still serves what it has in
/// memory, which no other one could do better: it says 200 and tells its mode.
async fn readyz(State(health): State<Health>, headers: HeaderMap) -> Response {
    let readiness = health.readiness().await;
    let status = match readiness.mode {
        Mode::Ready | Mode::ReadOnly | Mode::DiskFull | Mode::Degraded => StatusCode::OK,
        Mode::Closed | Mode::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    let instance = [(INSTANCE.clone(), health.inner.instance.clone())];
    if wants_json(&headers) {
        return (status, instance, axum::Json(readiness.to_json())).into_response();
    }
    (status, instance, readiness.to_text()).into_response()
}

/// Probes take anything and get text.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/json"))
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
