//! A mirror of a registry, its centre, on a node or in a rack: `roadbed mirror serve`.
//!
//! It is a store and the registry's own pulling through ([`registry::proxy`]), with the centre's namespaces as upstreams, and before
//! it the question who may pull what. It judges nothing and looks into nothing: the centre does.
//!
//! 1. **Request.** `app.rs` reads what is meant (`spaces.rs`) and who asks (`who.rs`), refuses what is no pull and what comes from a
//!    mirror, and hands on what may be had under a path of the mirror's own.
//! 2. **Permit.** `admit.rs` lets pass what is public or what a permit covers (`permits.rs`); else it asks the centre about the very
//!    thing that is wanted, with what the client brought. While the centre is away (`reach.rs`) permits count for longer.
//! 3. **What is held** is served by the registry. `gate.rs` refuses what the centre was heard to refuse (`refusals.rs`), and asks it
//!    behind the pull whether it does.
//! 4. **What is not** comes by `source.rs`: from peers (`peers.rs`) if it has a digest, else from the centre (`centre.rs`). Before
//!    that `room.rs` lets go of what was not used for longest.
//!
//! `install` tells containerd of it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use oci::PatternMap;
use outbound::distribution::{Budget, Upstream, UpstreamSettings};
use outbound::{AddressGuard, Settings, Url};
use prometheus_client::registry::Registry as Metrics;
use registry::gate::Gate;
use registry::metrics::{ConnectionMetrics, RegistryMetrics};
use registry::proxy::{
    Gone, ImageLimits, Proxy, ProxyLimits, ProxyMetrics, Room, Undecided, UpstreamConfig, UpstreamRule,
};
use registry::traffic::lanes::Lanes;
use registry::traffic::listener::Listener;
use registry::traffic::tls::CertificateStore;
use registry::{Registry, access_log::AccessLog};
use store::{Store, StoreConfig, StoreLimits, SystemClock};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::config::mirror::NamespaceName;
use crate::config::{Config, Mirror};
use crate::serve::proxying::{CA_BYTES, SECRET_BYTES, read};
use crate::serve::{self, process};
use crate::telemetry;

mod admit;
mod answer;
mod app;
mod centre;
mod gate;
mod health;
pub(crate) mod install;
mod lists;
mod metrics;
mod peers;
mod permits;
pub(crate) mod pins;
mod reach;
mod refusals;
mod room;
mod source;
mod spaces;
mod who;

use admit::Admission;
use app::MirrorApp;
use centre::Centre;
use gate::MirrorGate;
use health::MirrorHealth;
use peers::listener::PeerApp;
use peers::{PeerSettings, Peers};
use permits::{PermitTimes, Permits};
use refusals::Refusals;
use room::DiskRoom;
use source::MirrorSource;
use spaces::Spaces;
use who::Keyring;

/// How long blobs stay that no image names: those of an image that did not come whole. Nobody pushes here, so nobody is to be waited for.
const GRACE: Duration = Duration::from_hours(1);

/// How often it is tidied.
const TIDY_EVERY: Duration = Duration::from_mins(1);

/// Rows that one step of the collection may touch.
const COLLECTED: u64 = 500;

/// Longest time that a pull waits for what is not here yet.
const FIRST_WAIT: Duration = Duration::from_mins(1);

/// Longest time that a pull waits for the centre while something is held.
const REVALIDATE_WAIT: Duration = Duration::from_secs(1);

/// How long it is remembered that the centre does not have something.
const ABSENT: Duration = Duration::from_secs(3);

/// Memory of a mirror for what a registry has more for: manifests, rows, small blobs.
const CACHES: [u64; 3] = [16 << 20, 4 << 20, 8 << 20];

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(config: Config) -> Result<()> {
    let _telemetry = telemetry::init(&config.log, &config.telemetry)?;
    process::raise_descriptor_limit();
    let parts = Parts::make(&config).await?;
    let url = parts.url()?;
    announce(&url, &parts)?;

    let mut metrics = Metrics::with_prefix("roadbed");
    let counters = RegistryMetrics::register(&mut metrics);
    let room = parts.room(&config.mirror, &mut metrics);
    room.settle().await;
    let gate: Arc<dyn Gate> = Arc::new(parts.gate(&config));
    let peers = parts.peers(&config.mirror, &mut metrics)?;
    let proxy = parts.proxy(
        &config,
        &gate,
        peers.as_ref(),
        Arc::new(room.clone()),
        &mut metrics,
    );
    let access_log = serve::access_log(&config)?;
    let registry = parts.registry(
        &config,
        counters.clone(),
        access_log.clone(),
        Arc::clone(&gate),
        proxy,
    )?;
    serve::store_metrics::register(&mut metrics, parts.store.clone());
    serve::traffic_metrics::register(&mut metrics, registry.clone());
    metrics::register(
        &mut metrics,
        Arc::clone(&parts.centre),
        Arc::clone(&parts.refusals),
    );
    let connections = ConnectionMetrics::register(&mut metrics);
    let peer_connections = ConnectionMetrics::register(metrics.sub_registry_with_prefix("peer"));

    let lanes = Lanes::start().context("cannot start the threads that serve connections")?;
    let held = parts.registry(&config, counters, access_log.clone(), gate, None)?;
    let (stop, stopped) = watch::channel(false);
    let peer_listener = parts
        .listen_to_peers(&config, held, lanes.clone(), peer_connections, stopped)
        .await?;
    let health = parts.health(&config, room, metrics);
    let app = parts.app(registry, &health);
    let listener = Listener::new(
        parts.socket,
        parts.tls.as_ref().map(CertificateStore::server_config),
        lanes,
        config.connection_limits(),
        connections,
        app,
    );
    let mut tasks = vec![
        tokio::spawn(Arc::clone(&parts.centre).watch()),
        tokio::spawn(tidy(parts.store.clone(), parts.permits, config.mirror.clone())),
    ];
    tasks.extend(parts.tls.map(CertificateStore::watch));
    serve::write_ready_file(&url)?;
    let delay = config.connections.drain_delay.0;
    serve::tell_of_cut(listener.run(stop_requested(health, delay, stop)).await);
    if let Some(listener) = peer_listener {
        let _ = listener.await;
    }
    tasks.iter().for_each(JoinHandle::abort);
    serve::flush(&access_log);
    serve::close(parts.store).await
}

/// What everything else is made of.
struct Parts {
    store: Store,
    socket: tokio::net::TcpListener,
    tls: Option<Arc<CertificateStore>>,
    instance: String,
    spaces: Arc<Spaces>,
    keyring: Arc<Keyring>,
    centre: Arc<Centre>,
    permits: Arc<Permits>,
    refusals: Arc<Refusals>,
    admission: Admission,
}

impl Parts {
    /// Where it is reached.
    fn url(&self) -> Result<String> {
        let address = self.socket.local_addr().context("the socket has no address")?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{address}"))
    }

    async fn make(config: &Config) -> Result<Self> {
        let mirror = &config.mirror;
        let (url, name) = centre_of(mirror)?;
        let robot = robot(mirror)?;
        let tls = config
            .tls_files()
            .map(|(cert, key)| CertificateStore::load(cert, key))
            .transpose()?;
        let socket = serve::bind(mirror.listen).await?;
        let store = open_store(config).await?;
        let key = store
            .become_mirror()
            .await
            .with_context(|| format!("{} cannot be used", store.data_dir().display()))?;
        let keyring = Arc::new(Keyring::new(
            &key,
            robot.as_ref(),
            mirror.robot_networks.clone(),
            mirror.robot_only,
        ));
        let instance = std::env::var(serve::INSTANCE_ID).unwrap_or_else(|_| Uuid::now_v7().to_string());
        let base = Upstream::new(upstream_settings(mirror, url)?, Instant::now)?;
        let centre = Centre::new(
            base,
            name.to_string(),
            keyring.itself().clone(),
            &instance,
            mirror.permit_kept.0,
        );
        let times = PermitTimes {
            fresh: mirror.permit.0,
            kept: mirror.permit_kept.0,
        };
        let centre = Arc::new(centre);
        let permits = Arc::new(Permits::load(store.clone(), times, mirror.permits).await?);
        let refusals = Arc::new(Refusals::load(store.clone(), mirror.refusals).await?);
        Ok(Self {
            admission: Admission::new(
                Arc::clone(&centre),
                Arc::clone(&permits),
                Arc::clone(&refusals),
                keyring.nobody().clone(),
                Handle::current(),
            ),
            spaces: Arc::new(Spaces::new(&name, &mirror.namespaces)),
            store,
            socket,
            tls,
            instance,
            keyring,
            centre,
            permits,
            refusals,
        })
    }

    fn room(&self, mirror: &Mirror, metrics: &mut Metrics) -> DiskRoom {
        DiskRoom::new(self.store.clone(), mirror.disk.0, mirror.pinned.clone(), metrics)
    }

    fn app(&self, registry: Registry, health: &MirrorHealth) -> MirrorApp {
        MirrorApp {
            registry,
            spaces: Arc::clone(&self.spaces),
            keyring: Arc::clone(&self.keyring),
            admission: self.admission.clone(),
            centre: Arc::clone(&self.centre),
            health: health.clone(),
        }
    }

    fn gate(&self, config: &Config) -> MirrorGate {
        MirrorGate::new(
            self.store.clone(),
            Arc::clone(&self.spaces),
            Arc::clone(&self.centre),
            (Arc::clone(&self.permits), Arc::clone(&self.refusals)),
            config.mirror.recheck.0,
            Handle::current(),
        )
    }

    fn peers(&self, mirror: &Mirror, metrics: &mut Metrics) -> Result<Option<Arc<Peers>>> {
        if mirror.peers.is_empty() {
            return Ok(None);
        }
        let file = |path: &Option<std::path::PathBuf>| match path {
            Some(path) => read(path, CA_BYTES),
            None => bail!(
                "peers know each other by certificates: set mirror.peer_ca, mirror.peer_cert and mirror.peer_key"
            ),
        };
        let settings = PeerSettings {
            names: mirror.peers.clone(),
            server_name: mirror.peer_name.clone(),
            authority: file(&mirror.peer_ca)?,
            identity: [file(&mirror.peer_cert)?, b"\n".to_vec(), file(&mirror.peer_key)?].concat(),
            wait: mirror.peer_wait.0,
            instance: self.instance.clone(),
        };
        let peers = Peers::new(settings, metrics).context("peers cannot be asked")?;
        Ok(Some(Arc::new(peers)))
    }

    fn proxy(
        &self,
        config: &Config,
        gate: &Arc<dyn Gate>,
        peers: Option<&Arc<Peers>>,
        room: Arc<dyn Room>,
        metrics: &mut Metrics,
    ) -> Option<Proxy> {
        let place = self.centre.host();
        let upstreams = self.spaces.iter().map(|space| UpstreamConfig {
            name: space.name.as_str().into(),
            prefix: space.prefix.clone(),
            place: place.into(),
            library: false,
            allow: Vec::new(),
            deny: Vec::new(),
            rule: UpstreamRule {
                fresh: config.mirror.fresh.0,
                undecided: Undecided::Stream,
                gone: Gone::Keep,
            },
            rules: PatternMap::default(),
            flights: config.proxy.flights,
            fetches: config.proxy.fetches,
            charts: None,
            source: Arc::new(MirrorSource {
                space: Arc::clone(space),
                centre: Arc::clone(&self.centre),
                peers: peers.cloned(),
                permits: Arc::clone(&self.permits),
                refusals: Arc::clone(&self.refusals),
            }),
        });
        let proxy = Proxy::new(
            self.store.clone(),
            Arc::clone(gate),
            upstreams.collect(),
            limits(config),
            config.registry_config().manifest_limits,
            ProxyMetrics::register(metrics),
            Some(room),
        );
        if let Some(proxy) = &proxy {
            proxy.register(metrics);
        }
        proxy
    }

    /// The protocol over the store; without a proxy, over what is held alone.
    fn registry(
        &self,
        config: &Config,
        counters: Arc<RegistryMetrics>,
        access_log: AccessLog,
        gate: Arc<dyn Gate>,
        proxy: Option<Proxy>,
    ) -> Result<Registry> {
        let mut protocol = config.registry_config();
        // What is meant was found out before.
        protocol.namespaces.clear();
        protocol.public_url = None;
        let mut key = [0; 32];
        getrandom::fill(&mut key)
            .map_err(|error| anyhow::anyhow!("the system has no random bytes: {error}"))?;
        Ok(Registry::new(
            self.store.clone(),
            protocol,
            counters,
            access_log,
            gate,
            key,
            proxy,
        ))
    }

    async fn listen_to_peers(
        &self,
        config: &Config,
        held: Registry,
        lanes: Lanes,
        connections: ConnectionMetrics,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<Option<JoinHandle<usize>>> {
        let mirror = &config.mirror;
        let (Some(listen), Some(ca), Some(cert), Some(key)) = (
            mirror.peer_listen,
            &mirror.peer_ca,
            &mirror.peer_cert,
            &mirror.peer_key,
        ) else {
            return Ok(None);
        };
        let certificates = CertificateStore::load(cert, key)?;
        let tls = certificates.mutual_config(ca)?;
        let socket = serve::bind(listen).await?;
        let app = PeerApp {
            spaces: Arc::clone(&self.spaces),
            held,
            instance: self.instance.clone(),
        };
        tracing::info!(address = %socket.local_addr()?, "peers are answered");
        let limits = config.connection_limits();
        let listener = Listener::new(socket, Some(tls), lanes, limits, connections, app);
        Ok(Some(tokio::spawn(async move {
            let watching = certificates.watch();
            let cut = listener.run(async move { drop(stopped.wait_for(|stop| *stop).await) });
            let cut = cut.await;
            watching.abort();
            cut
        })))
    }

    fn health(&self, config: &Config, room: DiskRoom, metrics: Metrics) -> MirrorHealth {
        MirrorHealth::new(
            self.store.clone(),
            Arc::clone(&self.centre),
            (Arc::clone(&self.keyring), room),
            self.instance.clone(),
            metrics,
            config.metrics.public,
        )
    }
}

/// The centre's URL, and what it is called.
fn centre_of(mirror: &Mirror) -> Result<(Url, NamespaceName)> {
    let url = mirror.centre.as_ref().context(
        "no centre: set mirror.centre to the registry that is mirrored, such as https://registry.example",
    )?;
    let (_, host) = url.as_str().split_once("://").unwrap_or_default();
    let name = host.to_ascii_lowercase().parse();
    let name = name.with_context(|| format!("mirror.centre {url}: {host} is no name of a registry"))?;
    Ok((Url::parse(url.as_str())?, name))
}

fn robot(mirror: &Mirror) -> Result<Option<(String, String)>> {
    let Some(user) = &mirror.username else {
        return Ok(None);
    };
    let secret = match (&mirror.password_file, &mirror.password_env) {
        (Some(path), _) => String::from_utf8(read(path, SECRET_BYTES)?)
            .ok()
            .with_context(|| format!("{} is no text", path.display()))?,
        (None, Some(name)) => std::env::var(name)
            .ok()
            .with_context(|| format!("the variable {name} is not set"))?,
        (None, None) => bail!("mirror.username {user} has no secret: set mirror.password_file"),
    };
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        bail!("the secret of mirror.username {user} is empty");
    }
    Ok(Some((user.clone(), secret.to_owned())))
}

/// The operator has named the centre, so it may be anywhere; where it redirects to, too.
fn upstream_settings(mirror: &Mirror, url: Url) -> Result<UpstreamSettings> {
    let authorities = match &mirror.ca_file {
        Some(path) => vec![read(path, CA_BYTES)?],
        None => Vec::new(),
    };
    Ok(UpstreamSettings {
        url,
        login: None,
        realm_hosts: mirror.realm_hosts.clone(),
        blob_hosts: Vec::new(),
        budget: Budget::default(),
        client: Settings {
            guard: AddressGuard::with_listed(|_| true),
            authorities,
            connect_timeout: mirror.centre_wait.0,
            total_timeout: mirror.centre_answer.0,
            ..Settings::default()
        },
        first_byte: mirror.centre_answer.0,
        idle: Duration::from_secs(30),
    })
}

/// A mirror is small: nobody pushes, signs in or asks for reports.
fn limits_of_store(limits: &StoreLimits) -> StoreLimits {
    let [manifests, rows, small] = CACHES;
    StoreLimits {
        manifest_cache_bytes: limits.manifest_cache_bytes.min(manifests),
        lookup_cache_bytes: limits.lookup_cache_bytes.min(rows),
        small_blob_cache_bytes: limits.small_blob_cache_bytes.min(small),
        read_connections: limits.read_connections.min(2),
        collect_grace: limits.collect_grace.min(GRACE),
        pull_log_rows: limits.pull_log_rows.min(10_000),
        ..limits.clone()
    }
}

async fn open_store(config: &Config) -> Result<Store> {
    let data_dir = config
        .mirror_data_dir()
        .context("no data directory: set mirror.data_dir, or HOME or XDG_DATA_HOME in the environment")?;
    let shown = data_dir.display().to_string();
    let opened = Store::open(
        StoreConfig {
            data_dir,
            touches_blobs: config.tls_files().is_some() || config.mirror.peer_listen.is_some(),
            limits: limits_of_store(&config.store_limits()),
        },
        Arc::new(SystemClock),
    );
    opened
        .await
        .with_context(|| format!("cannot open the data directory {shown}"))
}

fn limits(config: &Config) -> ProxyLimits {
    let limits = config.proxy.limits(config.gate.first_wait);
    ProxyLimits {
        first_wait: FIRST_WAIT,
        revalidate_wait: REVALIDATE_WAIT,
        absent: ABSENT,
        flights: registry::proxy::FlightLimits {
            absent: ABSENT,
            ..limits.flights
        },
        images: ImageLimits {
            bytes: limits.images.bytes.min(16 << 20),
            ..limits.images
        },
        // Names are the centre's business.
        names: 0,
        ..limits
    }
}

/// Says where the mirror is and whose it is.
fn announce(url: &str, parts: &Parts) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {url}")?;
    writeln!(out, "a mirror of {}", parts.centre.host())?;
    writeln!(out, "data in {}", parts.store.data_dir().display())?;
    out.flush()?;
    Ok(())
}

/// Collects what did not come whole, and forgets what is over. Never ends.
async fn tidy(store: Store, permits: Arc<Permits>, settings: Mirror) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        let since = store.now().minus(permits.kept());
        if let Err(error) = store.tidy_mirror(since, settings.permits).await {
            tracing::debug!(%error, "what is over could not be forgotten");
        }
        if let Err(error) = store.trim_mirror_log(settings.audit_lines).await {
            tracing::debug!(%error, "the audit log could not be cut");
        }
        loop {
            match store.gc_step_spread(COLLECTED).await {
                Ok(step) if step.more && !step.paused => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "collection stopped, it goes on next time");
                    break;
                }
            }
        }
    }
}

/// Resolves when the listener should close, and has told that of peers so.
async fn stop_requested(health: MirrorHealth, delay: Duration, stop: watch::Sender<bool>) {
    process::stop_requested(move || health.drain(), delay).await;
    stop.send_replace(true);
}

/// Where a mirror that is configured so is reached from its own machine.
pub(crate) fn own_url(config: &Config) -> String {
    let scheme = if config.tls_files().is_some() {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{}", config.mirror.listen)
}
