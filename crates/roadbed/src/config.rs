//! The configuration: one TOML file, the environment over it, the command line over both.
//!
//! `sections` holds one table per section, from which the structs, the checks and the printed documentation are made.
//! `layers` merges the three sources and remembers where each value came from, so that a complaint names file and line.
//! Everything that is wrong is reported at once.

use std::fmt;
use std::path::{Path, PathBuf};

use registry::traffic::limits::ConnectionLimits;
use registry::{BodyRate, FormLimits, HeaderCache, RegistryConfig, Unwanted};
use store::{StoreConfig, StoreLimits};
use thiserror::Error;
use web::WebConfig;

use crate::catalogue::CatalogueConfig;
use crate::gate::GateConfig;
use crate::judge::SignatureLimits;
use crate::judge::attach::SbomConfig;
use crate::worker::{BrokerConfig, ClamdConfig, PoolConfig, Skips};

pub(crate) mod feeds;
mod key;
mod layers;
mod logging;
mod made;
pub(crate) mod mirror;
pub(crate) mod nearest;
mod network;
mod problem;
mod proxy;
mod road;
mod sbom;
mod sections;
mod setting;
mod show;
mod telling;
pub(crate) mod traffic;
mod units;
mod variables;

#[cfg(test)]
mod tests;

use key::{Effective, Key, Reader};
use layers::Layers;

pub(crate) use access::Cidr;
pub(crate) use feeds::Feeds;
pub(crate) use layers::{Flag, Sources};
pub(crate) use logging::{LogFormat, LogTarget};
pub(crate) use mirror::Mirror;
pub(crate) use network::PublicUrl;
pub(crate) use problem::Problem;
pub(crate) use proxy::{PrefetchWhat, Proxy, SecretFrom, UpstreamEntry};
pub(crate) use road::Road;
pub(crate) use sbom::SbomFormat;
pub(crate) use sections::{
    Api, Auth, Catalog, Connections, Gate, IncidentDeadlines, Log, Metrics, Rebase, Reevaluation, Registry,
    Sbom, Scan, Server, Signatures, Storage, Telemetry,
};
pub(crate) use show::{defaults_list, defaults_page, defaults_toml, effective_list, effective_toml};
pub(crate) use telling::Telling;
pub(crate) use traffic::Traffic;
pub(crate) use units::{Size, Span};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Config {
    /// Where the registry listens and where it keeps its data.
    pub(crate) server: Server,
    /// What a connection may cost.
    pub(crate) connections: Connections,
    /// The registry's protocol.
    pub(crate) registry: Registry,
    /// What is pulled through.
    pub(crate) proxy: Proxy,
    /// A mirror of a registry.
    pub(crate) mirror: Mirror,
    /// The store.
    pub(crate) storage: Storage,
    /// Looking into what is pushed.
    pub(crate) scan: Scan,
    /// Where advisories are fetched from.
    pub(crate) feeds: Feeds,
    /// What is attached to images as signatures.
    pub(crate) signatures: Signatures,
    /// What is judged again after an import.
    pub(crate) reevaluation: Reevaluation,
    /// A catalogue that is pushed as an artifact.
    pub(crate) catalog: Catalog,
    /// What the road asks of pushes.
    pub(crate) road: Road,
    /// What a pull has to pass.
    pub(crate) gate: Gate,
    pub(crate) incidents: IncidentDeadlines,
    /// How images follow the releases of their bases.
    pub(crate) rebase: Rebase,
    /// SBOMs that are attached to images.
    pub(crate) sbom: Sbom,
    /// How people are told what happens.
    pub(crate) telling: Telling,
    /// Who comes first, and who may ask for how much.
    pub(crate) traffic: Traffic,
    /// Signing in.
    pub(crate) auth: Auth,
    /// The JSON API.
    pub(crate) api: Api,
    /// What is written to the console.
    pub(crate) log: Log,
    /// The page /metrics.
    pub(crate) metrics: Metrics,
    /// Traces.
    pub(crate) telemetry: Telemetry,
}

/// Why a configuration cannot be used: everything that is wrong with it.
#[derive(Debug, Error)]
pub(crate) struct ConfigError {
    /// At least one.
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} problem", self.problems.len())?;
        if self.problems.len() != 1 {
            f.write_str("s")?;
        }
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl Config {
    /// Reads all sources and checks every value.
    pub(crate) fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::load_with_origins(sources).map(|(config, _)| config)
    }

    /// The same, with what set each value.
    pub(crate) fn load_with_origins(sources: &Sources) -> Result<(Self, Layers), ConfigError> {
        let layers = Layers::read(sources).map_err(|problem| ConfigError {
            problems: vec![problem],
        })?;
        let mut problems = layers.unknown_keys(&known_names());
        problems.extend(variables::misspelt(&sources.environment, &known_names()));
        let mut reader = Reader::new(&layers);
        let config = Self {
            server: Server::read(&mut reader),
            connections: Connections::read(&mut reader),
            registry: Registry::read(&mut reader),
            proxy: Proxy::read(&mut reader),
            mirror: Mirror::read(&mut reader),
            storage: Storage::read(&mut reader),
            scan: Scan::read(&mut reader),
            feeds: Feeds::read(&mut reader),
            signatures: Signatures::read(&mut reader),
            reevaluation: Reevaluation::read(&mut reader),
            catalog: Catalog::read(&mut reader),
            road: Road::read(&mut reader),
            gate: Gate::read(&mut reader),
            incidents: IncidentDeadlines::read(&mut reader),
            rebase: Rebase::read(&mut reader),
            sbom: Sbom::read(&mut reader),
            telling: Telling::read(&mut reader),
            traffic: Traffic::read(&mut reader),
            auth: Auth::read(&mut reader),
            api: Api::read(&mut reader),
            log: Log::read(&mut reader),
            metrics: Metrics::read(&mut reader),
            telemetry: Telemetry::read(&mut reader),
        };
        config.check_together(&mut reader);
        problems.extend(reader.into_problems());
        if problems.is_empty() {
            Ok((config, layers))
        } else {
            Err(ConfigError { problems })
        }
    }

    /// What only two values together can get wrong.
    fn check_together(&self, reader: &mut Reader<'_>) {
        match (&self.server.tls_cert, &self.server.tls_key) {
            (Some(_), None) => reader.complain(
                "server.tls_cert",
                "a certificate needs its key: set server.tls_key",
            ),
            (None, Some(_)) => reader.complain(
                "server.tls_key",
                "a key needs its certificate: set server.tls_cert",
            ),
            _ => {}
        }
        if self.server.data_dir.as_ref().is_some_and(|path| path.is_file()) {
            reader.complain("server.data_dir", "is a file: name a directory");
        }
        if self.connections.per_address > self.connections.total {
            let reason = "more than connections.total: one address could never reach it, lower it";
            reader.complain("connections.per_address", reason);
        }
        if self.catalog.repository.is_some() && self.catalog.signers.is_empty() {
            let reason = "a catalogue counts only by a signature: name its signers in catalog.signers";
            reader.complain("catalog.repository", reason);
        }
        self.mirror.check(reader);
        self.check_memory(reader);
        self.check_namespaces(reader);
        self.check_prefetch(reader);
    }

    /// What is fetched before somebody pulls it comes from upstreams that may be asked for it.
    fn check_prefetch(&self, reader: &mut Reader<'_>) {
        for reason in self.proxy.wrong_prefetches() {
            reader.complain("proxy.prefetch", &reason);
        }
    }

    /// A namespace means one place.
    fn check_namespaces(&self, reader: &mut Reader<'_>) {
        let local = &self.registry.namespaces.0;
        let of_upstreams = self.proxy.upstreams.0.iter().flat_map(|upstream| &upstream.ns);
        for namespace in of_upstreams.filter(|namespace| local.contains_key(*namespace)) {
            let reason = format!("ns {namespace:?} is in registry.namespaces already: keep one of them");
            reader.complain("proxy.upstreams", &reason);
        }
    }

    /// The largest manifest must find room, or it could neither be pushed nor pulled.
    fn check_memory(&self, reader: &mut Reader<'_>) {
        let Registry {
            manifest_bytes,
            manifest_memory,
            answer_memory,
            ..
        } = &self.registry;
        if manifest_memory < manifest_bytes {
            let reason = "less than registry.manifest_bytes: such a manifest could never be pushed, raise it";
            reader.complain("registry.manifest_memory", reason);
        }
        if answer_memory.0 / 2 < manifest_bytes.0 {
            let reason =
                "less than twice registry.manifest_bytes: such a manifest could never be pulled, raise it";
            reader.complain("registry.answer_memory", reason);
        }
    }

    /// The data directory: the configured one or the user's own.
    pub(crate) fn data_dir(&self) -> Option<PathBuf> {
        self.server.data_dir.clone().or_else(users_data_dir)
    }

    /// The data directory of a mirror: the configured one or the user's own.
    pub(crate) fn mirror_data_dir(&self) -> Option<PathBuf> {
        let own = || Some(users_data_dir()?.with_file_name("roadbed-mirror"));
        self.mirror.data_dir.clone().or_else(own)
    }

    /// The certificate and its key, if TLS is on.
    pub(crate) fn tls_files(&self) -> Option<(&Path, &Path)> {
        Some((self.server.tls_cert.as_deref()?, self.server.tls_key.as_deref()?))
    }

    /// How the listener is bounded.
    pub(crate) fn connection_limits(&self) -> ConnectionLimits {
        let from = &self.connections;
        ConnectionLimits {
            connections: from.total,
            connections_per_address: from.per_address,
            handshake_timeout: from.handshake_timeout.0,
            header_timeout: from.header_timeout.0,
            idle_timeout: from.idle_timeout.0,
            header_bytes: from.header_bytes,
            headers: from.headers,
            unfinished_heads: from.unfinished_heads,
            minimum_read_rate: from.minimum_read_rate.0,
            minimum_write_rate: from.minimum_write_rate.0,
            rate_window: from.rate_window.0,
            drain_delay: from.drain_delay.0,
            drain_timeout: from.drain_timeout.0,
        }
    }

    /// How the protocol is bounded.
    pub(crate) fn registry_config(&self) -> RegistryConfig {
        let from = &self.registry;
        let mut config = RegistryConfig {
            public_url: self.server.public_url.as_ref().map(|url| url.as_str().to_owned()),
            token_lifetime: self.auth.token_lifetime.0,
            namespaces: from.namespaces.0.clone(),
            concurrent_uploads: from.concurrent_uploads,
            concurrent_requests: from.concurrent_requests,
            concurrent_lists: from.concurrent_lists,
            concurrent_lookups: from.concurrent_lookups,
            manifest_memory: from.manifest_memory.0,
            answer_memory: from.answer_memory.0,
            manifest_timeout: from.manifest_timeout.0,
            forms: FormLimits {
                memory: self.auth.form_memory.0,
                timeout: self.auth.form_timeout.0,
            },
            header_cache: HeaderCache {
                entries: self.auth.header_cache_entries,
                time: self.auth.header_cache_time.0,
            },
            unwanted: Unwanted {
                bytes: from.unwanted_bytes.0,
                time: from.unwanted_time.0,
            },
            body_rate: BodyRate {
                minimum: self.connections.minimum_write_rate.0,
                window: self.connections.rate_window.0,
            },
            page_items: from.page_items,
            traffic: self.traffic.traffic_config(),
            trace_requests: self.telemetry.otlp_endpoint.is_some(),
            manifest_limits: oci::ManifestLimits::default(),
        };
        config.manifest_limits.bytes = usize::try_from(from.manifest_bytes.0).unwrap_or(usize::MAX);
        config.manifest_limits.layers = from.manifest_layers;
        config.manifest_limits.children = from.manifest_children;
        for upstream in &self.proxy.upstreams.0 {
            let pairs = upstream
                .ns
                .iter()
                .map(|ns| (ns.clone(), upstream.prefix.to_string()));
            config.namespaces.extend(pairs);
        }
        config
    }

    /// How the JSON API is bounded.
    pub(crate) fn web_config(&self) -> WebConfig {
        WebConfig {
            api_token_lifetime: self.auth.api_token_lifetime.0,
            concurrent_requests: self.api.concurrent_requests,
            request_timeout: self.api.request_timeout.0,
            concurrent_sign_ins: self.api.concurrent_sign_ins,
            sign_in_timeout: self.api.sign_in_timeout.0,
            ..WebConfig::default()
        }
    }

    /// How the store in `data_dir` is opened.
    pub(crate) fn store_config(&self, data_dir: PathBuf) -> StoreConfig {
        StoreConfig {
            data_dir,
            touches_blobs: self.tls_files().is_some(),
            limits: self.store_limits(),
        }
    }

    /// How the store is bounded.
    pub(crate) fn store_limits(&self) -> StoreLimits {
        let (storage, auth) = (&self.storage, &self.auth);
        StoreLimits {
            manifest_cache_bytes: storage.manifest_cache.0,
            lookup_cache_bytes: storage.lookup_cache.0,
            blob_bytes: storage.blob_bytes.0,
            uploads_per_principal: storage.uploads_per_principal,
            upload_bytes_per_principal: storage.upload_bytes_per_principal.0,
            upload_lifetime: storage.upload_lifetime.0,
            upload_hashers: storage.upload_hashers,
            upload_memory: storage.upload_memory.0,
            upload_memory_wait: storage.upload_memory_wait.0,
            write_queue: storage.write_queue,
            write_wait: storage.write_wait.0,
            read_connections: storage.read_connections,
            read_wait: storage.read_wait.0,
            read_queue: storage.read_queue,
            answer_wait: storage.answer_wait.0,
            lock_wait: storage.lock_wait.0,
            reserve_bytes: storage.reserve.0,
            open_blobs: storage.open_blobs,
            small_blob_cache_bytes: storage.small_blob_cache.0,
            manifest_depth: storage.manifest_depth,
            referrers_per_subject: storage.referrers_per_subject,
            referrer_lists: storage.referrer_lists,
            referrer_list_wait: storage.referrer_list_wait.0,
            tags_per_put: storage.tags_per_put,
            page_items: self.registry.page_items,
            mount_candidates: storage.mount_candidates,
            collect_grace: storage.collect_grace.0,
            access_reload: auth.access_reload.0,
            pull_log_rows: storage.pull_log_rows,
            pull_log_age: storage.pull_log_age.0,
            gone_images: storage.gone_images,
            gone_images_age: storage.gone_images_age.0,
            pull_log_queue: storage.pull_log_queue,
            advisories: storage.advisories,
            password_workers: auth.password_workers,
            password_queue: auth.password_queue,
            password_address_share: auth.password_address_share,
            password_stranger_share: auth.password_stranger_share,
            credential_cache_time: auth.credential_cache_time.0,
            credential_cache_entries: auth.credential_cache_entries,
            login_failures: auth.login_failures,
            login_backoff: auth.login_backoff.0,
            login_failure_entries: auth.login_failure_entries,
            principals: auth.principals,
            grants: auth.grants,
            rules: auth.rules,
        }
    }

    /// What looking into a blob may cost.
    pub(crate) fn pool_config(&self) -> PoolConfig {
        let scan = &self.scan;
        PoolConfig {
            starts_ahead: true,
            children: scan.workers,
            blob_time: scan.blob_time.0,
            memory: scan.worker_memory.0,
            report_bytes: scan.report_bytes.0,
            report_memory: scan.report_memory.0,
            limits: inspect::Limits {
                layer_bytes: scan.layer_bytes.0,
                ratio: scan.layer_ratio,
                entries: scan.layer_entries,
                archive_depth: scan.archive_depth,
                archive_bytes: scan.archive_bytes.0,
                archive_entries: scan.archive_entries,
                file_memory: scan.file_memory.0,
                spool_bytes: scan.file_spool.0,
                packages: scan.packages,
                findings: scan.findings,
                ..inspect::Limits::default()
            },
            malware_rules: scan.malware_rules.clone(),
            secret_rules: scan.secret_rules.clone(),
            skips: Skips {
                secrets: !scan.secrets,
                malware: !scan.malware,
            },
            clamd: scan.clamd.clone().map(|address| ClamdConfig {
                address,
                file_time: scan.clamd_file_time.0,
                blob_time: scan.clamd_blob_time.0,
                file_bytes: scan.clamd_bytes.0.min(scan.file_spool.0),
                streams: scan.clamd_streams,
                retry: scan.clamd_retry.0,
            }),
        }
    }

    /// How jobs are claimed.
    pub(crate) fn broker_config(&self) -> BrokerConfig {
        BrokerConfig {
            attempts: self.scan.attempts,
            ..BrokerConfig::default()
        }
    }

    /// How much of what is attached to an image is read.
    pub(crate) fn signature_limits(&self) -> SignatureLimits {
        SignatureLimits {
            document_bytes: self.signatures.document_bytes.0,
            documents: self.signatures.documents,
            total_bytes: self.signatures.total_bytes.0,
        }
    }

    /// Which catalogue is followed, if one is.
    pub(crate) fn catalogue_config(&self) -> Option<CatalogueConfig> {
        let catalog = &self.catalog;
        Some(CatalogueConfig {
            repository: catalog.repository.clone()?,
            tag: catalog.tag.clone(),
            signers: catalog.signers.iter().map(|name| name.0.clone()).collect(),
            speaks_of: catalog.speaks_of.clone(),
            prune: catalog.prune,
            signatures: self.signature_limits(),
        })
    }

    /// How the gate holds pulls.
    pub(crate) fn gate_config(&self) -> GateConfig {
        GateConfig {
            first_wait: self.gate.first_wait.0,
            waiters: self.gate.waiters,
            push_wait: self.gate.push_wait.0,
        }
    }

    /// How much of what is in use may turn to refuse without a person.
    pub(crate) fn brake(&self) -> policy::Brake {
        policy::Brake {
            share: policy::Share::basis_points(self.gate.brake_share),
            floor: self.gate.brake_floor,
        }
    }

    /// Which images get an SBOM.
    pub(crate) fn sbom_config(&self) -> SbomConfig {
        SbomConfig {
            attach: self.sbom.attach.clone(),
            format: self.sbom.format,
            bytes: self.sbom.bytes.0,
            image_memory: self.scan.image_memory.0,
        }
    }

    /// Every key with the value in effect, in the order of the table.
    fn effective(&self) -> Vec<Effective> {
        [
            self.server.effective(),
            self.connections.effective(),
            self.registry.effective(),
            self.proxy.effective(),
            self.mirror.effective(),
            self.storage.effective(),
            self.scan.effective(),
            self.feeds.effective(),
            self.signatures.effective(),
            self.reevaluation.effective(),
            self.catalog.effective(),
            self.road.effective(),
            self.gate.effective(),
            self.incidents.effective(),
            self.rebase.effective(),
            self.sbom.effective(),
            self.telling.effective(),
            self.traffic.effective(),
            self.auth.effective(),
            self.api.effective(),
            self.log.effective(),
            self.metrics.effective(),
            self.telemetry.effective(),
        ]
        .concat()
    }
}

/// A section as it is documented.
struct SectionDoc {
    table: &'static str,
    about: &'static [&'static str],
    keys: Vec<Key>,
}

/// The whole table.
fn all_sections() -> Vec<SectionDoc> {
    macro_rules! documented {
        ($($section:ident),+) => {
            vec![$(SectionDoc {
                table: $section::TABLE,
                about: $section::ABOUT,
                keys: $section::keys(),
            }),+]
        };
    }
    documented![
        Server,
        Connections,
        Registry,
        Proxy,
        Mirror,
        Storage,
        Scan,
        Feeds,
        Signatures,
        Reevaluation,
        Catalog,
        Road,
        Gate,
        IncidentDeadlines,
        Rebase,
        Sbom,
        Telling,
        Traffic,
        Auth,
        Api,
        Log,
        Metrics,
        Telemetry
    ]
}

fn known_names() -> Vec<&'static str> {
    all_sections()
        .iter()
        .flat_map(|section| section.keys.iter().map(|key| key.name))
        .collect()
}

/// `$XDG_DATA_HOME/roadbed`, else `~/.local/share/roadbed` (XDG base directory specification).
fn users_data_dir() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let data_home =
        absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?;
    Some(data_home.join("roadbed"))
}
