//! From a request to its answer: read the path, find out who asks, get the permit, call the handler, count and log.

use std::{net::IpAddr, pin::pin, sync::Arc, time::Instant};

use access::{Caller, Class, PrincipalId, PrincipalName};
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use oci::RepoName;
use store::Store;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::{
    access_log::{AccessLog, AccessRecord},
    admission::{Admission, LookupPlace, Place, Places},
    answers::AnswerRoom,
    auth::{self, Authenticator, Failure},
    body::{InboundBody, RequestBody, Waiting},
    config::RegistryConfig,
    error::ApiError,
    gate::{Gate, Pull},
    metrics::RegistryMetrics,
    overload::{self, Overload, TrafficUsage, asker, in_turn},
    proxy::Proxy,
    query::Query,
    rates::RateOf,
    route::{HELM, Route},
    sent::SentBody,
    token::MAX_FORM_BYTES,
    traffic::{
        listener::Peer,
        turnstile::{LineState, Turn},
    },
};

/// The registry's protocol over a store. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    config: RegistryConfig,
    authenticator: Authenticator,
    metrics: Arc<RegistryMetrics>,
    access_log: AccessLog,
    admission: Admission,
    overload: Arc<Overload>,
    form_room: Semaphore,
    manifest_room: Semaphore,
    answer_room: AnswerRoom,
    gate: Arc<dyn Gate>,
    proxy: Option<Proxy>,
}

/// One request, as far as it is understood before its handler runs.
pub(crate) struct Exchange<'r> {
    pub method: &'r Method,
    pub headers: &'r HeaderMap,
    pub query: &'r Query<'r>,
    pub caller: &'r Caller,
    pub address: IpAddr,
    pub class: Class,
    pub path: &'r str,
}

/// What is found out about a request on the way to its answer.
struct Noted {
    label: &'static str,
    principal: Option<PrincipalName>,
    id: Option<PrincipalId>,
    /// Who asks was found out, if only that it is nobody in particular.
    is_known: bool,
    class: Class,
    /// The rates that its bytes are taken from.
    rates: Box<[RateOf]>,
}

impl Noted {
    /// Of a request that nothing is known of yet.
    fn of(label: &'static str, class: Class) -> Self {
        Self {
            label,
            principal: None,
            id: None,
            is_known: false,
            class,
            rates: Box::default(),
        }
    }
}

impl<'r> Exchange<'r> {
    /// What the gate is told of a pull.
    pub(crate) fn pull(&self, repo: &'r RepoName) -> Pull<'r> {
        Pull {
            caller: self.caller,
            repo,
            waits: *self.method != Method::HEAD,
        }
    }
}

static API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Registry {
    /// Prepares the protocol. `key` is random and keys what is remembered of credentials; without a `proxy` every repository is
    /// a local one.
    pub fn new(
        store: Store,
        config: RegistryConfig,
        metrics: Arc<RegistryMetrics>,
        access_log: AccessLog,
        gate: Arc<dyn Gate>,
        key: [u8; 32],
        proxy: Option<Proxy>,
    ) -> Self {
        let overload = Overload::new(config.traffic.clone(), config.concurrent_lookups);
        let overload = Arc::new(overload);
        let inner = Inner {
            authenticator: Authenticator::new(
                store.clone(),
                key,
                &config.header_cache,
                Arc::clone(&overload),
            ),
            overload,
            admission: Admission::new(places(&config), metrics.uploads_in_flight.clone()),
            form_room: room(config.forms.memory),
            manifest_room: room(config.manifest_memory),
            answer_room: AnswerRoom::new(config.answer_memory),
            store,
            config,
            metrics,
            access_log,
            gate,
            proxy,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn gate(&self) -> &dyn Gate {
        &*self.inner.gate
    }

    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.inner.proxy.as_ref()
    }

    pub(crate) fn config(&self) -> &RegistryConfig {
        &self.inner.config
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.inner.authenticator
    }

    pub(crate) fn inbound(&self, body: RequestBody) -> InboundBody {
        InboundBody::new(body, self.inner.config.body_rate, Arc::clone(&self.inner.metrics))
    }

    /// Whether a path is one of the protocol, or of charts: what [`Registry::handle`] answers.
    pub fn is_own_path(path: &str) -> bool {
        let rest = path.strip_prefix("/v2");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) || path.starts_with(HELM)
    }

    /// Answers one request whose path is [`Registry::is_own_path`].
    pub async fn handle(&self, peer: Peer, address: IpAddr, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let body = RequestBody::new(body, &parts.headers, self.config().unwanted);
        let waiting = body.waiting();
        let mut noted = Noted::of("unknown", Class::Scan);
        let answer = self.answer((peer, address), started, &parts, body, &mut noted);
        let outcome = if self.inner.config.trace_requests {
            let span = tracing::info_span!("request", method = %parts.method, path = parts.uri.path());
            answer.instrument(span).await
        } else {
            answer.await
        };
        // Whoever cannot be told apart from others has no turn to wait for, and must not get answers for nothing.
        if outcome.is_err() && !noted.is_known && self.inner.overload.is_pressed(started) {
            overload::hold().await;
        }
        let mut response = outcome.unwrap_or_else(ApiError::into_response);
        response
            .headers_mut()
            .insert(API_VERSION.clone(), HeaderValue::from_static("registry/2.0"));
        waiting.end(&mut response);
        let head = (&parts.method, &parts.uri, &parts.headers);
        self.conclude(noted, address, head, started, response)
    }

    /// The answer to everybody at an address that is banned, before anything is done for them.
    pub async fn refusal_of(&self, address: IpAddr) -> Option<Response<Body>> {
        let mut measures = self.store().measures_of_address(address).into_iter();
        let measure = measures.find(|measure| measure.measure == store::Measure::Ban)?;
        let overload = &self.inner.overload;
        let nobody = asker(Class::Scan, None, address);
        overload.note(Instant::now(), None, nobody, (true, Some(0)), Box::default());
        self.inner.metrics.shed.inc();
        overload::hold().await;
        let close = HeaderValue::from_static("close");
        let refusal = overload::banned(&measure, self.store()).header(header::CONNECTION, close);
        Some(refusal.into_response())
    }

    /// Lets a request beside the protocol wait until its turn comes, or answers it where it would wait too long. It comes behind
    /// all that pulls and pushes, unless it is `urgent`: a probe that is not answered ends the server.
    pub async fn wait_for_turn(&self, address: IpAddr, urgent: bool) -> Option<Response<Body>> {
        let class = if urgent { Class::Node } else { Class::Pages };
        let asker = asker(class, None, address);
        let turn = self.inner.overload.turn(asker, Instant::now()).await;
        turn.err().map(ApiError::into_response)
    }

    /// What goes on at the turnstiles: of the processor, and of the database.
    pub fn turns(&self) -> (LineState, LineState) {
        self.inner.overload.turns()
    }

    /// Who uses what now.
    pub fn traffic(&self) -> TrafficUsage {
        self.inner.overload.usage(&self.store().access())
    }

    /// Counts an answer beside the protocol and writes its line of the access log when its body has been sent.
    pub fn record(
        &self,
        label: &'static str,
        address: IpAddr,
        head: (&Method, &http::Uri, &HeaderMap),
        principal: Option<PrincipalName>,
        started: Instant,
        response: Response<Body>,
    ) -> Response<Body> {
        let noted = Noted {
            principal,
            ..Noted::of(label, Class::Pages)
        };
        self.conclude(noted, address, head, started, response)
    }

    fn conclude(
        &self,
        noted: Noted,
        address: IpAddr,
        (method, uri, headers): (&Method, &http::Uri, &HeaderMap),
        started: Instant,
        response: Response<Body>,
    ) -> Response<Body> {
        let now = Instant::now();
        let duration = now.saturating_duration_since(started);
        let Noted {
            label,
            principal,
            id,
            class,
            rates,
            ..
        } = noted;
        let status = response.status();
        self.inner
            .metrics
            .observe(label, method, status, duration.as_secs_f64());
        let shed = status == StatusCode::TOO_MANY_REQUESTS;
        let answer = (shed, response.body().size_hint().exact());
        let asker = asker(class, id, address);
        let charged = self
            .inner
            .overload
            .note(now, principal.as_ref(), asker, answer, rates);
        let record = self.inner.access_log.is_on().then(|| AccessRecord {
            at: self.inner.store.now(),
            address,
            principal,
            status: status.as_u16(),
            sent_bytes: 0,
            duration,
            user_agent: headers.get(header::USER_AGENT).cloned(),
            method: method.clone(),
            uri: uri.clone(),
        });
        SentBody::wrap(
            response,
            record,
            charged,
            &self.inner.access_log,
            &self.inner.metrics,
            started,
        )
    }

    async fn answer(
        &self,
        (peer, address): (Peer, IpAddr),
        started: Instant,
        parts: &http::request::Parts,
        body: RequestBody,
        noted: &mut Noted,
    ) -> Result<Response<Body>, ApiError> {
        let route = Route::parse(parts.uri.path())?;
        noted.label = route.label();
        let query = Query::parse(parts.uri.query())?;
        let (route, namespace) = self.in_namespace(route, &parts.method, &query, &parts.headers)?;
        let route = self.by_its_one_name(route);
        let known = match self.inner.authenticator.caller(&parts.headers, address).await {
            Ok(known) => known,
            Err(error) => {
                return Err(self.challenged(error, peer, parts, &route, &query, Some(Failure::InvalidToken)));
            }
        };
        let (overload, caller) = (&self.inner.overload, &known.caller);
        noted.principal = caller.principal().map(|principal| principal.name.clone());
        noted.id = caller.principal_id();
        noted.is_known = true;
        let asked = (&route, &parts.method);
        noted.class = overload.class(self.store(), &known, address, &parts.headers, asked);
        noted.rates = match overload.allow(self.store(), &known, address) {
            Ok(rates) => rates,
            Err(refusal) => {
                overload::hold().await;
                return Err(refusal);
            }
        };
        let turn = overload
            .turn(asker(noted.class, noted.id, address), started)
            .await?;
        let exchange = Exchange {
            method: &parts.method,
            headers: &parts.headers,
            query: &query,
            caller,
            address,
            class: noted.class,
            path: parts.uri.path(),
        };
        let answer = in_turn(turn, pin!(self.dispatch(&route, &exchange, body))).await;
        let failure = parts
            .headers
            .contains_key(header::AUTHORIZATION)
            .then_some(Failure::InsufficientScope);
        let mut response =
            answer.map_err(|error| self.challenged(error, peer, parts, &route, &query, failure))?;
        // A form that asks for a token says in its body who it is from.
        if let Some(name) = response.extensions_mut().remove() {
            noted.principal = Some(name);
        }
        if let Some(namespace) = namespace {
            response
                .headers_mut()
                .insert(HeaderName::from_static("oci-namespace"), namespace);
        }
        Ok(response)
    }

    async fn dispatch(
        &self,
        route: &Route,
        exchange: &Exchange<'_>,
        body: RequestBody,
    ) -> Result<Response<Body>, ApiError> {
        self.demand_writable(route, exchange)?;
        let _place = self.admit(route, exchange)?;
        let _turn = match route {
            Route::Catalog | Route::Tags(_) | Route::Referrers(..) => {
                Some(self.database_turn(exchange).await?)
            }
            _ => None,
        };
        let answer = match route {
            Route::Ping => ping(exchange),
            Route::Token => self.token_request(exchange, body).await,
            Route::Catalog => self.catalog(exchange).await,
            Route::Tags(repo) => self.tags(exchange, repo).await,
            Route::Referrers(repo, digest) => self.referrers(exchange, repo, digest).await,
            Route::Manifest(repo, reference) => self.manifest(exchange, repo, reference, body).await,
            Route::Blob(repo, digest) => self.blob(exchange, repo, digest).await,
            Route::Uploads(repo) => self.uploads(exchange, repo, body).await,
            Route::Upload(repo, id) => self.upload(exchange, repo, id, body).await,
            Route::ChartIndex(prefix) => self.chart_index(exchange, prefix).await,
            Route::ChartArchive(repo, chart) => self.chart_file(exchange, repo, chart).await,
        };
        self.inner
            .answer_room
            .hold(exchange.caller.principal_id(), answer?)
    }

    /// Refuses what would change something while the registry is read-only.
    fn demand_writable(&self, route: &Route, exchange: &Exchange<'_>) -> Result<(), ApiError> {
        if matches!(*exchange.method, Method::GET | Method::HEAD) || matches!(route, Route::Token) {
            return Ok(());
        }
        match self.inner.store.maintenance() {
            Some(maintenance) => Err(ApiError::read_only(&maintenance, self.inner.store.now())),
            None => Ok(()),
        }
    }

    /// The place of a request until its answer begins; what of the answer stands in memory then has room of its own.
    fn admit(&self, route: &Route, exchange: &Exchange<'_>) -> Result<Option<Place>, ApiError> {
        let receives = match route {
            // A stranger's form is read before a place is taken, or slow forms would keep everybody else out.
            Route::Token => return Ok(None),
            Route::Uploads(_) | Route::Upload(..) => *exchange.method != Method::GET,
            // It is held in memory while it comes and while it waits for the database.
            Route::Manifest(..) => *exchange.method == Method::PUT,
            Route::Ping
            | Route::Catalog
            | Route::Tags(_)
            | Route::Referrers(..)
            | Route::Blob(..)
            | Route::ChartIndex(_)
            | Route::ChartArchive(..) => false,
        };
        let (admission, principal) = (&self.inner.admission, exchange.caller.principal_id());
        let place = match route {
            _ if receives => admission.upload(principal),
            Route::Catalog | Route::Tags(_) | Route::Referrers(..) | Route::ChartIndex(_) => {
                admission.list(principal)
            }
            _ => admission.request(principal),
        };
        place.map(Some)
    }

    async fn token_request(
        &self,
        exchange: &Exchange<'_>,
        body: RequestBody,
    ) -> Result<Response<Body>, ApiError> {
        let form = match *exchange.method {
            Method::GET => None,
            Method::POST => Some(self.read_form(body).await?),
            _ => return Err(ApiError::method_not_allowed("GET, POST")),
        };
        let _place = self.inner.admission.request(exchange.caller.principal_id())?;
        let address = exchange.address;
        self.token(exchange.method, exchange.caller, address, exchange.query, form)
            .await
    }

    /// The place of a pull while it asks the database, and its turn.
    pub(crate) async fn lookup_place(
        &self,
        exchange: &Exchange<'_>,
    ) -> Result<(LookupPlace, Turn), ApiError> {
        let principal = exchange.caller.principal_id();
        let place = self.inner.admission.lookup(principal, exchange.address)?;
        Ok((place, self.database_turn(exchange).await?))
    }

    async fn database_turn(&self, exchange: &Exchange<'_>) -> Result<Turn, ApiError> {
        let asker = asker(exchange.class, exchange.caller.principal_id(), exchange.address);
        self.inner.overload.database_turn(asker).await
    }

    async fn read_form(&self, body: RequestBody) -> Result<bytes::Bytes, ApiError> {
        let form =
            self.inbound(body)
                .collect(MAX_FORM_BYTES, self.config().forms.timeout, &self.inner.form_room);
        Ok(form.await?.bytes)
    }

    /// Room for manifests that are being received and stored, in KiB.
    pub(crate) fn manifest_room(&self) -> &Semaphore {
        &self.inner.manifest_room
    }

    /// Wraps a body of a request beside the protocol: it must come as fast as any other, and its answer is told what the
    /// client waits for.
    pub fn guard_body(&self, body: Incoming, headers: &HeaderMap) -> (Body, Waiting) {
        let body = RequestBody::new(body, headers, self.config().unwanted);
        let waiting = body.waiting();
        (Body::from_stream(self.inbound(body)), waiting)
    }
}

fn places(config: &RegistryConfig) -> Places {
    Places {
        requests: config.concurrent_requests,
        lists: config.concurrent_lists,
        uploads: config.concurrent_uploads,
        lookups: config.concurrent_lookups,
    }
}

/// Room for bodies that are held in memory, in KiB.
fn room(bytes: u64) -> Semaphore {
    let kib = usize::try_from(bytes / 1024).unwrap_or(usize::MAX);
    Semaphore::new(kib.min(Semaphore::MAX_PERMITS))
}

fn ping(exchange: &Exchange<'_>) -> Result<Response<Body>, ApiError> {
    if !matches!(*exchange.method, Method::GET | Method::HEAD) {
        return Err(ApiError::method_not_allowed("GET, HEAD"));
    }
    // The ping is how clients find out where to log in, so it asks even where anonymous pulls are granted.
    if !exchange.headers.contains_key(header::AUTHORIZATION) {
        return Err(auth::unauthorized(
            "log in, or fetch an anonymous token where anonymous pull is granted",
        ));
    }
    let mut response = Response::new(Body::from("{}"));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
