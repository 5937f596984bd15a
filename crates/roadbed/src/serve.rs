//! `roadbed serve`: opens the store, binds the socket, serves until told to stop, and stops in good order.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use access::SecretString;
use anyhow::Context as _;
use registry::{
    Registry,
    access_log::AccessLog,
    gate::Gate,
    metrics::{ConnectionMetrics, RegistryMetrics},
    traffic::{lanes::Lanes, listener::Listener, tls::CertificateStore},
};
use store::{Store, SystemClock};
use tokio::{net::TcpListener, signal::unix::SignalKind};
use uuid::Uuid;

use crate::{
    config::{Config, LogTarget},
    telemetry,
    telling::TellingMetrics,
};

pub(crate) mod app;
pub(crate) mod background;
pub(crate) mod copying;
mod fetching;
mod first_start;
mod front;
mod health;
mod housekeeping;
mod looking;
mod prefetching;
pub(crate) mod process;
mod proxies;
pub(crate) mod proxying;
pub(crate) mod store_metrics;
mod telling;
pub(crate) mod traffic_metrics;
mod trying;
mod upstreams;
mod watching;

use app::App;
use background::Background;
use fetching::Fetching;
use health::Health;
use housekeeping::Housekeeping;
use prefetching::Prefetching;
use proxies::TrustedProxies;
use telling::Tellers;
use upstreams::Through;
use watching::Watched;

/// File that receives the address once the server listens; for whoever starts it on port 0.
const READY_FILE: &str = "ROADBED_READY_FILE";

/// Name that `/healthz` answers with; a random one by default.
pub(crate) const INSTANCE_ID: &str = "ROADBED_INSTANCE_ID";

/// How long the last lines of the access log may take when the server stops.
const LOG_WAIT: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(&config.log, &config.telemetry)?;
    process::raise_descriptor_limit();
    // What can fail for a reason outside of the data directory comes before the first administrator is made: the
    // password is printed once, and a start that fails afterwards would have lost it.
    let tls = config
        .tls_files()
        .map(|(cert, key)| CertificateStore::load(cert, key))
        .transpose()?;
    proxying::check(&config)?;
    let socket = bind(config.server.listen).await?;
    let address = socket.local_addr().context("the socket has no address")?;
    let store = open_store(&config).await?;
    refuse_mirror(&store).await?;
    let generated = first_start::make_administrator(&store).await?;
    announce(&config, &store, address, generated.as_ref())?;

    let mut metrics = prometheus_client::registry::Registry::with_prefix("roadbed");
    let access_log = access_log(&config)?;
    let knowledge = looking::knowledge(&config, &store);
    let gate = looking::gate(&config, &store, &knowledge);
    let registry = registry(&config, &store, access_log.clone(), gate, &mut metrics)?;
    traffic_metrics::register(&mut metrics, registry.clone());
    let connections = ConnectionMetrics::register(&mut metrics);
    store_metrics::register(&mut metrics, store.clone());
    let told = TellingMetrics::register(&mut metrics);

    let instance = std::env::var(INSTANCE_ID).unwrap_or_else(|_| Uuid::now_v7().to_string());
    let served = (store.clone(), registry.clone());
    let health = Health::new(served, &instance, metrics, config.metrics.public);
    let background = Background::start().context("cannot start the threads that work beside requests")?;
    let looking = looking::start(&background, &config, &store, knowledge, &instance).await?;
    let prefetching = Prefetching::start(&background, &config, &store, &registry);
    let fetching = Fetching::start(&background, &config, &store, looking::judging(looking.as_ref()));
    let tellers = Tellers::start(
        &background,
        &config,
        &store,
        looking::messages(looking.as_ref()),
        told,
    )?;
    let state = web::WebState::new(store.clone(), web_config(&config, &instance))
        .fed_by(fetching.syncing())
        .watched_by(Arc::new(Watched(registry.clone())))
        .proxied_by(Through::of(&registry, &config, &prefetching));
    let state = looking::serving(looking.as_ref(), Tellers::serving(tellers.as_ref(), state));
    let app = app(&config, registry, state, &health);
    let watching = tls.clone().map(CertificateStore::watch);
    let (limits, delay) = (config.connection_limits(), config.connections.drain_delay.0);
    let server_config = tls.as_ref().map(CertificateStore::server_config);
    let lanes = Lanes::start().context("cannot start the threads that serve connections")?;
    let listener = Listener::new(socket, server_config, lanes, limits, connections, app);
    let housekeeping = Housekeeping::start(&config, &store);

    write_ready_file(&url_of(&config, address))?;
    let stop = process::stop_requested(move || health.drain(), delay);
    tell_of_cut(listener.run(stop).await);
    looking::stop(looking).await;
    drop((fetching, prefetching));
    drop(tellers);
    drop(background);
    give_back_jobs(&store).await;
    drop(housekeeping);
    flush(&access_log);
    if let Some(watching) = watching {
        watching.abort();
    }
    close(store).await
}

async fn refuse_mirror(store: &Store) -> anyhow::Result<()> {
    if store.is_mirror().await? {
        anyhow::bail!(
            "{} is the data directory of a mirror: name another one with --data",
            store.data_dir().display()
        );
    }
    Ok(())
}

pub(crate) fn flush(access_log: &AccessLog) {
    if !access_log.flush(LOG_WAIT) {
        tracing::warn!("stopped with lines of the access log unwritten: nobody reads them");
    }
}

/// The last thing that is done.
pub(crate) async fn close(store: Store) -> anyhow::Result<()> {
    store
        .close()
        .await
        .context("the store did not close in good order; nothing acknowledged is lost")?;
    tracing::info!("stopped");
    Ok(())
}

/// No job is to be blamed for a stop that was asked for.
async fn give_back_jobs(store: &Store) {
    if let Err(error) = store.give_back_jobs().await {
        tracing::warn!(%error, "what was being looked into and judged could not be given back");
    }
}

/// Says how many connections the end of the drain has cut.
pub(crate) fn tell_of_cut(connections: usize) {
    if connections > 0 {
        tracing::warn!(connections, "stopped with connections still open, they were cut");
    }
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let data_dir: PathBuf = config
        .data_dir()
        .context("no data directory: name one with --data, or set HOME or XDG_DATA_HOME")?;
    let shown = data_dir.display().to_string();
    let opened = Store::open(config.store_config(data_dir), Arc::new(SystemClock)).await;
    opened.with_context(|| format!("cannot open the data directory {shown}"))
}

pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| {
        format!("cannot listen on {address}: choose another with --listen, or stop what uses it")
    })
}

pub(crate) fn access_log(config: &Config) -> anyhow::Result<AccessLog> {
    let access_log = match config.log.access {
        LogTarget::Off => Ok(AccessLog::off()),
        LogTarget::Stdout => AccessLog::to(io::stdout(), config.log.access_queue),
        LogTarget::Stderr => AccessLog::to(io::stderr(), config.log.access_queue),
    };
    access_log.context("cannot start the thread of the access log")
}

fn registry(
    config: &Config,
    store: &Store,
    access_log: AccessLog,
    gate: Arc<dyn Gate>,
    metrics: &mut prometheus_client::registry::Registry,
) -> anyhow::Result<Registry> {
    let counters = RegistryMetrics::register(metrics);
    let proxy = proxying::proxy(config, store, &gate, metrics)?;
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("the system has no random bytes: {error}"))?;
    Ok(Registry::new(
        store.clone(),
        config.registry_config(),
        counters,
        access_log,
        gate,
        key,
        proxy,
    ))
}

/// What answers all requests.
fn app(config: &Config, registry: Registry, state: web::WebState, health: &Health) -> App {
    App {
        registry,
        other: web::router(state)
            .merge(front::router())
            .merge(health.clone().router()),
        proxies: TrustedProxies::new(config.server.trusted_proxies.clone()),
        class_header: config.traffic.class_header.clone(),
    }
}

fn url_of(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls_files().is_some() {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{address}")
}

/// Says where the server is and how to log in.
fn announce(
    config: &Config,
    store: &Store,
    address: SocketAddr,
    generated: Option<&SecretString>,
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {}", url_of(config, address))?;
    first_start::greet(&mut out, config, store.data_dir(), address, generated)?;
    out.flush()?;
    Ok(())
}

/// Tells programs the address. Written beside and renamed: whoever waits for it never reads half of it.
pub(crate) fn write_ready_file(url: &str) -> anyhow::Result<()> {
    let Some(file) = std::env::var_os(READY_FILE) else {
        return Ok(());
    };
    let partial = PathBuf::from(&file).with_extension("partial");
    std::fs::write(&partial, url)
        .and_then(|()| std::fs::rename(&partial, &file))
        .with_context(|| format!("cannot write {READY_FILE} {}", PathBuf::from(&file).display()))
}

fn web_config(config: &Config, instance: &str) -> web::WebConfig {
    web::WebConfig {
        instance: instance.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..config.web_config()
    }
}

/// The signals that ask for a stop.
const STOP_SIGNALS: [SignalKind; 2] = [SignalKind::terminate(), SignalKind::interrupt()];
