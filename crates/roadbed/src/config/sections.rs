//! Every key of the configuration: the one table from which structs, checks and documentation are made.
//!
//! Defaults of bounds are those of the crate that enforces them, so that they are written down once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use access::Cidr;
use oci::{RepoName, RepoPattern, Tag};
use registry::RegistryConfig;
use registry::traffic::limits::ConnectionLimits;
use store::StoreLimits;
use web::WebConfig;

use super::key::section;
use super::logging::{LogFilter, LogFormat, LogTarget};
use super::network::PublicUrl;
use super::sbom::SbomFormat;
use super::setting::{Namespaces, SignerName};
use super::units::{Size, Span};
use crate::gate::GateConfig;
use crate::judge::{JudgeLimits, SignatureLimits};
use crate::rebase::Thaw;
use crate::reevaluate;
use crate::worker::{BrokerConfig, ClamdAddress, ClamdConfig, PoolConfig};

/// Where the registry listens if nobody says otherwise: reachable from this machine only.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

const MILLISECOND: Span = Span(Duration::from_millis(1));
const SECOND: Span = Span::seconds(1);
const MINUTE: Span = Span::seconds(60);
const HOUR: Span = Span::seconds(60 * 60);
const DAY: Span = Span::seconds(24 * 60 * 60);
const YEAR: Span = Span::seconds(365 * 24 * 60 * 60);
const MIB: Size = Size(1 << 20);
const GIB: Size = Size(1 << 30);
const PIB: Size = Size(1 << 50);

fn connections() -> ConnectionLimits {
    ConnectionLimits::default()
}

fn protocol() -> RegistryConfig {
    RegistryConfig::default()
}

fn api() -> WebConfig {
    WebConfig::default()
}

fn clamd() -> ClamdConfig {
    ClamdConfig::at(ClamdAddress::Tcp(String::new()))
}

fn pool() -> PoolConfig {
    PoolConfig::default()
}

fn deadlines() -> road::incident::Deadlines {
    road::incident::Deadlines::default()
}

fn broker() -> BrokerConfig {
    BrokerConfig::default()
}

fn layers() -> inspect::Limits {
    inspect::Limits::default()
}

fn signatures() -> SignatureLimits {
    SignatureLimits::default()
}

fn judging() -> JudgeLimits {
    JudgeLimits::default()
}

fn reevaluation() -> reevaluate::Limits {
    reevaluate::Limits::default()
}

fn gate() -> GateConfig {
    GateConfig::default()
}

fn limits() -> StoreLimits {
    StoreLimits::default()
}

section! {
    /// Where the registry listens and where it keeps its data.
    Server = "server" {
        /// Address and port to listen on; only this machine can reach 127.0.0.1.
        listen: SocketAddr = DEFAULT_LISTEN;
        /// Address by which clients know the registry; empty: the Host header of each request is believed.
        public_url: Option<PublicUrl> = None;
        /// Directory of the database and the blobs; empty: `$XDG_DATA_HOME/roadbed` or `~/.local/share/roadbed`.
        data_dir: Option<PathBuf> = None;
        /// File of the certificate chain (PEM), looked at again when it changes; empty: plain HTTP.
        tls_cert: Option<PathBuf> = None;
        /// File of the certificate's private key (PEM); goes together with `tls_cert`.
        tls_key: Option<PathBuf> = None;
        /// Proxies whose X-Forwarded-For and X-Forwarded-Proto headers are believed.
        trusted_proxies: Vec<Cidr> = Vec::new();
    }
}

section! {
    /// What a connection may cost.
    Connections = "connections" {
        /// Open connections over all addresses; one more takes the place of an idle one of the address that has most, or is turned away at once.
        total: usize = connections().connections, 1 => 1_000_000;
        /// Open connections from one address, of IPv6 from one network of 64 bits; it may hide a whole cluster.
        per_address: usize = connections().connections_per_address, 1 => 1_000_000;
        /// Longest TLS handshake.
        handshake_timeout: Span = Span(connections().handshake_timeout), SECOND => MINUTE;
        /// Longest time from the first byte of a request to the end of its headers.
        header_timeout: Span = Span(connections().header_timeout), SECOND => MINUTE;
        /// A connection without a request is closed after this time.
        idle_timeout: Span = Span(connections().idle_timeout), SECOND => HOUR;
        /// Bytes of the head of one request.
        header_bytes: usize = connections().header_bytes, 8 * 1024 => 1024 * 1024;
        /// Header fields of one request.
        headers: usize = connections().headers, 16 => 1_000;
        /// Connections whose request head has begun and is not complete; one more is cut.
        unfinished_heads: usize = connections().unfinished_heads, 16 => 1_000_000;
        /// A client that reads its answer slower than this, per second, is cut off.
        minimum_read_rate: Size = Size(connections().minimum_read_rate), Size(1) => GIB;
        /// A client that sends its body slower than this, per second, is cut off.
        minimum_write_rate: Size = Size(connections().minimum_write_rate), Size(1) => GIB;
        /// Time over which the two rates are measured.
        rate_window: Span = Span(connections().rate_window), SECOND => HOUR;
        /// Between the signal to stop and the closed port, so that load balancers can turn away first.
        drain_delay: Span = Span(connections().drain_delay), Span(Duration::ZERO) => HOUR;
        /// Requests under way may take this long to finish after the port is closed.
        drain_timeout: Span = Span(connections().drain_timeout), SECOND => HOUR;
    }
}

section! {
    /// The registry's protocol.
    Registry = "registry" {
        /// Uploads of blobs and manifests received at the same time; one more is told to come again (429).
        concurrent_uploads: usize = protocol().concurrent_uploads, 1 => 100_000;
        /// Other requests worked on at the same time; one more is told to come again (429).
        concurrent_requests: usize = protocol().concurrent_requests, 1 => 1_000_000;
        /// Lists of tags, referrers or repositories made at the same time, half for one user; one more is told to come again (429).
        concurrent_lists: usize = protocol().concurrent_lists, 2 => 100_000;
        /// Pulls asking the database at the same time, half for one user; strangers: half as many, half of those for one address; more: 429.
        concurrent_lookups: usize = protocol().concurrent_lookups, 4 => 100_000;
        /// Bytes of manifests held in memory while they are received and stored; one more is told to come again (429).
        manifest_memory: Size = Size(protocol().manifest_memory), MIB => Size(1 << 40);
        /// Bytes of manifests and lists above 64 KiB held in memory until they are read, half for one user; more: 429.
        answer_memory: Size = Size(protocol().answer_memory), Size(16 << 20) => Size(1 << 40);
        /// Largest manifest; the specification asks for at least 4 MiB.
        manifest_bytes: Size = Size(protocol().manifest_limits.bytes as u64), Size(64 << 10) => Size(64 << 20);
        /// Longest time until a manifest that is pushed is here.
        manifest_timeout: Span = Span(protocol().manifest_timeout), SECOND => HOUR;
        /// Layers of one image.
        manifest_layers: usize = protocol().manifest_limits.layers, 1 => 100_000;
        /// Manifests in one index.
        manifest_children: usize = protocol().manifest_limits.children, 1 => 100_000;
        /// Items on one page of tags, referrers or repositories.
        page_items: usize = protocol().page_items, 1 => 10_000;
        /// Bytes read of a body that nobody wants, so that its sender gets to read why; more cuts the connection.
        unwanted_bytes: Size = Size(protocol().unwanted.bytes), Size(0) => GIB;
        /// Longest time that such a body is read.
        unwanted_time: Span = Span(protocol().unwanted.time), MILLISECOND => MINUTE;
        /// For `ns=` of a pull: host = "path/prefix" under which that registry's repositories are kept here.
        namespaces: Namespaces = Namespaces::default();
    }
}

section! {
    /// The store: what it keeps in memory, what it lets in, when it cleans up.
    Storage = "storage" {
        /// Manifests kept in memory.
        manifest_cache: Size = Size(limits().manifest_cache_bytes), MIB => Size(1 << 40);
        /// Tags and blob rows kept in memory, each of the two.
        lookup_cache: Size = Size(limits().lookup_cache_bytes), MIB => Size(1 << 40);
        /// Largest blob.
        blob_bytes: Size = Size(limits().blob_bytes), MIB => PIB;
        /// Open uploads of one user or robot.
        uploads_per_principal: u64 = limits().uploads_per_principal, 1 => 1_000_000;
        /// Bytes held by the open uploads of one user or robot.
        upload_bytes_per_principal: Size = Size(limits().upload_bytes_per_principal), MIB => PIB;
        /// An upload that nobody continued for this long is dropped.
        upload_lifetime: Span = Span(limits().upload_lifetime), MINUTE => YEAR;
        /// Hash states of open uploads kept in memory; others are hashed again from their file.
        upload_hashers: usize = limits().upload_hashers, 1 => 1_000_000;
        /// Bytes of all uploads together that were received and are not yet written.
        upload_memory: Size = Size(limits().upload_memory), MIB => Size(1 << 40);
        /// How long an upload waits for its share of that memory before it is told to come again.
        upload_memory_wait: Span = Span(limits().upload_memory_wait), MILLISECOND => HOUR;
        /// Changes waiting for the one connection that writes the database; one more is told to come again (503).
        write_queue: usize = limits().write_queue, 1 => 1_000_000;
        /// How long a change waits for that connection.
        write_wait: Span = Span(limits().write_wait), MILLISECOND => HOUR;
        /// Connections that read the database.
        read_connections: u32 = limits().read_connections, 1 => 256;
        /// How long a reader waits for one of them; opening it, on a busy machine too, is part of that.
        read_wait: Span = Span(limits().read_wait), SECOND => HOUR;
        /// Questions to the database at the same time, those that wait for a connection among them; one more is told to come again (503).
        read_queue: usize = limits().read_queue, 16 => 1_000_000;
        /// How long a pull waits for what the database says before it is told to come again.
        answer_wait: Span = Span(limits().answer_wait), SECOND => HOUR;
        /// How long a connection waits for a lock of the database that another process holds; then the database counts as away.
        lock_wait: Span = Span(limits().lock_wait), MILLISECOND => HOUR;
        /// Room that is kept on the disk and given back when it is full, so that deletions and collection go on; at most a sixteenth of the disk.
        reserve: Size = Size(limits().reserve_bytes), Size(0) => Size(1 << 40);
        /// Blobs kept open (mapped) after a pull; they take address space, no memory.
        open_blobs: u64 = limits().open_blobs, 0 => 1_000_000;
        /// Blobs below 64 KiB kept in memory.
        small_blob_cache: Size = Size(limits().small_blob_cache_bytes), Size(0) => Size(1 << 40);
        /// How deep indexes may be nested; an index of images has depth 1.
        manifest_depth: u32 = limits().manifest_depth, 1 => 16;
        /// Manifests of one repository that may refer to the same subject.
        referrers_per_subject: u64 = limits().referrers_per_subject, 1 => 1_000_000;
        /// Lists of referrers made at the same time, a page of 1 MiB each.
        referrer_lists: usize = limits().referrer_lists, 1 => 10_000;
        /// How long a request waits for its turn to make one.
        referrer_list_wait: Span = Span(limits().referrer_list_wait), MILLISECOND => HOUR;
        /// Tags that one PUT of a manifest may set.
        tags_per_put: usize = limits().tags_per_put, 10 => 1_000;
        /// Repositories looked at to find one that the pusher may take a blob from.
        mount_candidates: u64 = limits().mount_candidates, 1 => 10_000;
        /// What nobody refers to is kept this long before it is collected.
        collect_grace: Span = Span(limits().collect_grace), MINUTE => YEAR;
        /// Time between two runs of the collection.
        collect_interval: Span = MINUTE, SECOND => DAY;
        /// Rows that one step of the collection may touch.
        collect_budget: u64 = 500, 1 => 100_000;
        /// Lines of the pull log; the latest pull of each image stays beside them, until these are as many.
        pull_log_rows: u64 = limits().pull_log_rows, 0 => 1_000_000_000;
        /// Age of the pull log.
        pull_log_age: Span = Span(limits().pull_log_age), MINUTE => Span::seconds(10 * 365 * 24 * 60 * 60);
        /// Images that were deleted and are known all the same, for questions as of a moment when they were there.
        gone_images: u64 = limits().gone_images, 0 => 100_000_000;
        /// How long they are.
        gone_images_age: Span = Span(limits().gone_images_age), MINUTE => Span::seconds(10 * 365 * 24 * 60 * 60);
        /// Pulls waiting to be written to the pull log; what comes on top is counted and dropped.
        pull_log_queue: usize = limits().pull_log_queue, 1 => 10_000_000;
        /// Advisories of all sources together; what would be more is not imported.
        advisories: u64 = limits().advisories, 1 => limits().advisories;
    }
}

section! {
    /// Looking into what is pushed.
    Scan = "scan" {
        /// Whether it is looked into at all; without it nothing is decided, and nothing is held.
        enabled: bool = true;
        /// Blobs looked into at the same time, each by a process of its own.
        workers: usize = pool().children, 1 => 256;
        /// Longest time for one blob.
        blob_time: Span = Span(pool().blob_time), SECOND => DAY;
        /// Address space of such a process.
        worker_memory: Size = Size(pool().memory), Size(256 << 20) => Size(1 << 40);
        /// Largest report of one blob.
        report_bytes: Size = Size(pool().report_bytes), MIB => GIB;
        /// Memory that such a report may take once it is read; it is refused before.
        report_memory: Size = Size(pool().report_memory), Size(16 << 20) => Size(64 << 30);
        /// Memory for the reports of one image while it is judged; layers beyond it are left out, and it is not scannable.
        image_memory: Size = Size(crate::judge::IMAGE_MEMORY), MIB => Size(64 << 30);
        /// Times that a blob is tried before it counts as not scannable.
        attempts: u32 = broker().attempts, 1 => 100;
        /// Uncompressed bytes of a layer.
        layer_bytes: Size = Size(layers().layer_bytes), MIB => PIB;
        /// Uncompressed bytes per compressed one, over windows of 64 MiB.
        layer_ratio: u64 = layers().ratio, 2 => 100_000;
        /// Entries of a layer.
        layer_entries: u64 = layers().entries, 1 => 1_000_000_000;
        /// Archives within archives.
        archive_depth: u32 = layers().archive_depth, 1 => 100;
        /// Uncompressed bytes of all archives within a layer.
        archive_bytes: Size = Size(layers().archive_bytes), MIB => PIB;
        /// Entries of all archives within a layer.
        archive_entries: u64 = layers().archive_entries, 1 => 1_000_000_000;
        /// A file that is read as a whole; larger ones are spooled.
        file_memory: Size = Size(layers().file_memory), MIB => GIB;
        /// A larger file that is read from more than one place.
        file_spool: Size = Size(layers().spool_bytes), MIB => Size(1 << 40);
        /// Packages of a layer.
        packages: u64 = layers().packages, 1 => 100_000_000;
        /// Secrets and malware found in a layer; more are counted, not kept.
        findings: u64 = layers().findings, 1 => 1_000_000;
        /// Whether malware is looked for.
        malware: bool = true;
        /// Whether secrets are looked for.
        secrets: bool = true;
        /// Files and directories with YARA rules, beside our own.
        malware_rules: Vec<PathBuf> = Vec::new();
        /// Files with rules for secrets in gitleaks' form, beside our own.
        secret_rules: Vec<PathBuf> = Vec::new();
        /// A clamd that is asked about files that may be malware, `unix:/run/clamav/clamd.ctl` or `host:port`; empty: none.
        clamd: Option<ClamdAddress> = None;
        /// Largest file that it is given; its own `StreamMaxLength` or less. Larger ones are not looked at by it, which is said.
        clamd_bytes: Size = Size(clamd().file_bytes), MIB => Size(4 << 30);
        /// Longest time that it may take for one file.
        clamd_file_time: Span = Span(clamd().file_time), SECOND => HOUR;
        /// Longest time that it may take for all files of one blob; the rest is not looked at by it, which is said.
        clamd_blob_time: Span = Span(clamd().blob_time), SECOND => DAY;
        /// Files that it is asked about at the same time.
        clamd_streams: usize = clamd().streams, 1 => 256;
        /// Before a blob is tried again that it did not look at because it was away.
        clamd_retry: Span = Span(clamd().retry), SECOND => DAY;
    }
}

section! {
    /// What is attached to images as signatures and attestations.
    Signatures = "signatures" {
        /// Largest document that is read; a larger one does not count.
        document_bytes: Size = Size(signatures().document_bytes), Size(4 << 10) => Size(16 << 20);
        /// Documents that are read of one image; what comes on top is counted as unknown.
        documents: usize = signatures().documents, 1 => 10_000;
        /// Bytes of all documents that are read of one image; what comes on top is counted as unknown.
        total_bytes: Size = Size(signatures().total_bytes), Size(4 << 10) => GIB;
    }
}

section! {
    /// What is judged again after an import of advisories, and how.
    Reevaluation = "reevaluation" {
        /// Advisories that changed and are looked at one by one; when more have, all images are judged again and the audit log has one line.
        advisories: u64 = reevaluation().advisories, 1 => 1_000_000;
        /// Advisories about the same vulnerabilities whose earlier states are compared; beyond, the audit log has one line.
        compared: usize = reevaluation().compared, 1 => 10_000_000;
        /// Lines that an import writes to the audit log, the weightiest first; the rest is counted.
        news: usize = reevaluation().news, 0 => 100_000;
        /// How long the index of the fleet is waited for; without it all images are judged again.
        index_wait: Span = Span(reevaluation().wait), SECOND => DAY;
        /// Advisories that changed and are taken into what is known one by one; when more have, all are read.
        updated: u64 = judging().updated, 0 => 1_000_000;
        /// Judgements that nobody waits for and that are made together.
        batch: usize = judging().batch, 1 => 1_000;
        /// Longest time of these; what was not begun by then is put back, and whoever waits for a judgement waits no longer.
        batch_time: Span = Span(judging().batch_time), MILLISECOND => MINUTE;
        /// Reports that are read for these, unpacked; images with larger ones are judged one by one.
        batch_memory: Size = Size(judging().batch_memory), Size(0) => Size(64 << 30);
        /// What is remembered of single packages until advisories change.
        package_memory: Size = Size(judging().package_memory), Size(0) => Size(64 << 30);
    }
}

section! {
    /// A catalogue of applications and bases that is pushed as an artifact.
    Catalog = "catalog" {
        /// Repository that it is pushed to; empty: none is followed.
        repository: Option<RepoName> = None;
        /// Tag that is followed.
        tag: Tag = Tag::latest();
        /// Names of the signers (`roadbed signer add`), one of whom must have signed it.
        signers: Vec<SignerName> = Vec::new();
        /// Patterns of the repositories that it may speak of.
        speaks_of: Vec<RepoPattern> = vec![RepoPattern::everything()];
        /// Whether what catalogues said of applications that it does not name is taken back.
        prune: bool = false;
    }
}

section! {
    /// What a pull has to pass, and a push.
    Gate = "gate" {
        /// Whether pulls are held and refused by policy; otherwise decisions are made and shown, and nothing more.
        enabled: bool = true;
        /// How long a pull waits for the first decision about its image; then it is told to come again (503).
        first_wait: Span = Span(gate().first_wait), Span(Duration::ZERO) => MINUTE;
        /// Pulls that wait at the same time; one more is told to come again at once (503).
        waiters: usize = gate().waiters, 1 => 1_000_000;
        /// How long a push may take to be judged where a rule says `on: push`; one that takes longer is taken in and told so.
        push_wait: Span = Span(gate().push_wait), MILLISECOND => MINUTE;
        /// Hundredths of a percent of what is in use that a change may turn to refuse without a person; 10000: all of it.
        brake_share: u32 = 100, 0 => 10_000;
        /// Images in use that a change may turn to refuse however few are in use.
        brake_floor: u64 = policy::Brake::default().floor, 0 => 1_000_000;
    }
}

section! {
    /// By when incidents are to be over that are opened without other deadlines: so long after something is found to be affected.
    IncidentDeadlines = "incidents" {
        /// For what is critical.
        critical: Span = Span::seconds(deadlines().critical.into()), HOUR => YEAR;
        /// For what is high, and for what nobody rates.
        high: Span = Span::seconds(deadlines().high.into()), HOUR => YEAR;
        /// For what is medium.
        medium: Span = Span::seconds(deadlines().medium.into()), HOUR => YEAR;
        /// For everything else.
        low: Span = Span::seconds(deadlines().low.into()), HOUR => YEAR;
    }
}

section! {
    /// How images follow the releases of their bases.
    Rebase = "rebase" {
        /// Whether a tag that follows names the new image itself (`1.4`); otherwise the new image gets a tag of its own (`1.4-p1`).
        in_place: bool = false;
        /// How long ring `early` waits after the last image of the ring before it has followed.
        early_after: Span = Span(Duration::from_mins(10)), Span(Duration::ZERO) => YEAR;
        /// How long ring `normal` does.
        normal_after: Span = Span(Duration::from_hours(1)), Span(Duration::ZERO) => YEAR;
        /// How long ring `late` does.
        late_after: Span = Span(Duration::from_hours(24)), Span(Duration::ZERO) => YEAR;
        /// Images that begin to follow within an hour, of all bases together.
        per_hour: u64 = 1_000, 0 => 10_000_000;
        /// From which severity on an open incident lets images follow in spite of a freeze of their application.
        thaw: Thaw = Thaw::Critical;
    }
}

section! {
    /// SBOMs that are attached to images, as artifacts that refer to them.
    Sbom = "sbom" {
        /// Patterns of the repositories whose images get one once it is known what is in them; none: no image.
        attach: Vec<RepoPattern> = vec![RepoPattern::everything()];
        /// Its form, of version 1.6 of the one or 2.3 of the other.
        format: SbomFormat = SbomFormat::CycloneDx;
        /// Largest one that is attached; `roadbed sbom` prints larger ones.
        bytes: Size = Size(crate::judge::attach::BYTES), Size(1 << 10) => GIB;
    }
}

section! {
    /// Signing in.
    Auth = "auth" {
        /// Life of a token of the registry's protocol; a revoked secret ends it at once.
        token_lifetime: Span = Span(protocol().token_lifetime), MINUTE => DAY;
        /// Life of a token that `roadbed login` gets, unless it asks for less.
        api_token_lifetime: Span = Span(api().api_token_lifetime), MINUTE => DAY;
        /// Password hashes computed at the same time, 19 MiB each.
        password_workers: usize = limits().password_workers, 1 => 256;
        /// Sign-ins waiting for one of them; one more is told to come again (429).
        password_queue: usize = limits().password_queue, 1 => 100_000;
        /// One address may take one in so many of those places with names that did not sign in from there lately.
        password_address_share: usize = limits().password_address_share, 1 => 100_000;
        /// All such names together may take one in so many of all places, so that known ones find one.
        password_stranger_share: usize = limits().password_stranger_share, 1 => 100_000;
        /// Bytes of forms that ask for tokens, held while they are read; one more is told to come again (429).
        form_memory: Size = Size(protocol().forms.memory), Size(16 << 10) => GIB;
        /// Longest time until such a form is here.
        form_timeout: Span = Span(protocol().forms.timeout), MILLISECOND => MINUTE;
        /// Authorization headers whose meaning is remembered.
        header_cache_entries: u64 = protocol().header_cache.entries, 0 => 10_000_000;
        /// How long it is; revoking ends it at once.
        header_cache_time: Span = Span(protocol().header_cache.time), MILLISECOND => HOUR;
        /// How long checked credentials are believed without checking again; revoking ends it at once.
        credential_cache_time: Span = Span(limits().credential_cache_time), MILLISECOND => HOUR;
        /// Checked credentials kept in memory.
        credential_cache_entries: u64 = limits().credential_cache_entries, 1 => 10_000_000;
        /// Failed sign-ins of one name from one address before it has to wait.
        login_failures: u32 = limits().login_failures, 1 => 1_000;
        /// Longest wait after failed sign-ins; the first is a second, each failure doubles it.
        login_backoff: Span = Span(limits().login_backoff), SECOND => DAY;
        /// How long a change of who may do what may be written and not effective; after that nobody may do anything until it is.
        access_reload: Span = Span(limits().access_reload), SECOND => Span::seconds(25);
        /// Pairs of name and address whose failures are remembered.
        login_failure_entries: u64 = limits().login_failure_entries, 1 => 10_000_000;
        /// Users and robots.
        principals: u64 = limits().principals, 1 => 1_000_000;
        /// Grants.
        grants: u64 = limits().grants, 1 => 10_000_000;
        /// Rules.
        rules: u64 = limits().rules, 1 => 1_000_000;
    }
}

section! {
    /// The JSON API, which the command line uses.
    Api = "api" {
        /// Requests worked on at the same time; one more is told to come again (429).
        concurrent_requests: usize = api().concurrent_requests, 1 => 1_000_000;
        /// Longest time until an answer begins.
        request_timeout: Span = Span(api().request_timeout), SECOND => HOUR;
        /// Sign-ins worked on at the same time; one more is told to come again (429).
        concurrent_sign_ins: usize = api().concurrent_sign_ins, 1 => 1_000_000;
        /// Longest time until a sign-in is answered.
        sign_in_timeout: Span = Span(api().sign_in_timeout), SECOND => HOUR;
    }
}

section! {
    /// What is written to the console.
    Log = "log" {
        /// Level, or filter per module.
        level: LogFilter = LogFilter::level("info");
        /// How a line looks.
        format: LogFormat = LogFormat::Text;
        /// Where one line of JSON per request goes.
        access: LogTarget = LogTarget::Stdout;
        /// Such lines waiting to be written; what comes on top is counted and dropped.
        access_queue: usize = registry::access_log::QUEUE_LINES, 1 => 1_000_000;
    }
}

section! {
    /// The page /metrics.
    Metrics = "metrics" {
        /// Whether everybody may read /metrics; otherwise only users and robots with a password or secret.
        public: bool = false;
    }
}

section! {
    /// Traces.
    Telemetry = "telemetry" {
        /// URL of an OpenTelemetry collector (OTLP over HTTP), such as `http://127.0.0.1:4318`; empty: off.
        otlp_endpoint: Option<PublicUrl> = None;
        /// Of a thousand requests so many are traced.
        sample_per_thousand: u32 = 1000, 0 => 1000;
        /// Longest time to hand over one batch of traces.
        export_timeout: Span = Span(Duration::from_secs(10)), SECOND => MINUTE;
    }
}
