//! What may be set: where the data lies and every cap of the store.

use std::path::PathBuf;
use std::time::Duration;

/// How a [`crate::Store`] is opened.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The data directory; made if it does not exist.
    pub data_dir: PathBuf,
    /// Blobs are sent over TLS, so their bytes are touched in this process and not by the kernel alone. A page that cannot
    /// be read must not end the process then: the store installs a handler for `SIGBUS`.
    pub touches_blobs: bool,
    /// Caps, each with a default.
    pub limits: StoreLimits,
}

impl StoreConfig {
    /// The defaults over `data_dir`.
    pub fn at(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            touches_blobs: false,
            limits: StoreLimits::default(),
        }
    }
}

/// Every cap of the store. Sizes are bytes, spans are [`Duration`]s, the rest are counts.
#[derive(Debug, Clone)]
pub struct StoreLimits {
    /// Manifest bytes kept in memory. Default 32 MiB.
    pub manifest_cache_bytes: u64,
    /// Tags and blob rows kept in memory, each of the two. Default 8 MiB.
    pub lookup_cache_bytes: u64,
    /// Largest blob. Default 1 TiB: more than any layer, less than any overflow.
    pub blob_bytes: u64,
    /// Open upload sessions of one principal. Default 256.
    pub uploads_per_principal: u64,
    /// Bytes held by the open upload sessions of one principal. Default 256 GiB.
    pub upload_bytes_per_principal: u64,
    /// An upload session that nobody continued for this long is dropped. Default 7 days.
    pub upload_lifetime: Duration,
    /// Hash states of open uploads kept in memory; the others are hashed again from the file. Default 1,024.
    pub upload_hashers: usize,
    /// Bytes of all uploads together that were received and not yet written. Default 32 MiB.
    pub upload_memory: u64,
    /// How long an upload waits for its share of `upload_memory`. Default 60 seconds.
    pub upload_memory_wait: Duration,
    /// Transactions waiting for the one connection that writes; what comes on top is refused at once. Default 4,096.
    pub write_queue: usize,
    /// How long a transaction waits for that connection. Default 30 seconds.
    pub write_wait: Duration,
    /// Connections that read the database. Default 4.
    pub read_connections: u32,
    /// How long a reader waits for one of them. Default 10 seconds.
    pub read_wait: Duration,
    /// Questions to the database at the same time, those that wait for a connection among them; one more is refused at once.
    /// Default 1,024.
    pub read_queue: usize,
    /// How long a pull waits for what the database says. Default 5 seconds.
    pub answer_wait: Duration,
    /// How long a connection waits for a lock that another process holds; after that the database counts as away. Default 5
    /// seconds.
    pub lock_wait: Duration,
    /// Bytes that are kept free for deletions, on a disk that is full (see `room.rs`); at most a sixteenth of the disk. 0: none.
    /// Default 64 MiB.
    pub reserve_bytes: u64,
    /// Maps of blobs that are kept; they cost address space and page tables, no memory of ours. Default 1,024.
    pub open_blobs: u64,
    /// Bytes of blobs below 64 KiB that are kept in memory. Default 8 MiB.
    pub small_blob_cache_bytes: u64,
    /// How deep indexes may be nested: an image has depth 0, an index of images 1. Default 4.
    pub manifest_depth: u32,
    /// Manifests of one repository that may name the same subject. Default 10,000.
    pub referrers_per_subject: u64,
    /// Lists of referrers made at the same time; each holds a page of 1 MiB, and for a moment the fallback index as it
    /// is read (at most a manifest). Default 8.
    pub referrer_lists: usize,
    /// How long a request waits for its turn to make such a list. Default 10 seconds.
    pub referrer_list_wait: Duration,
    /// Tags that one PUT of a manifest may set. Default 64 (the specification asks for at least 10).
    pub tags_per_put: usize,
    /// Items on one page of any list. Default 1,000.
    pub page_items: usize,
    /// Repositories looked at to find one that the pusher may pull a blob from. Default 64.
    pub mount_candidates: u64,
    /// How long what nobody names is kept before it is collected. Default 24 hours.
    pub collect_grace: Duration,
    /// How long a change of who may do what may be committed and not be effective, before nobody may do anything. Default
    /// 10 seconds.
    pub access_reload: Duration,
    /// Rows of the pull log; the latest pull of each image stays beside them until there are twice as many. Default 1,000,000.
    pub pull_log_rows: u64,
    /// Age of the pull log. Default 90 days.
    pub pull_log_age: Duration,
    /// Images that were deleted and are known all the same, for questions as of a moment when they were there. Default 1,000,000.
    pub gone_images: u64,
    /// How long they are. Default two years.
    pub gone_images_age: Duration,
    /// Pulls waiting to be written to the pull log; what comes on top is counted and dropped. Default 16,384.
    pub pull_log_queue: usize,
    /// Password hashes computed at the same time. Default 2 (19 MiB each).
    pub password_workers: usize,
    /// Logins waiting for one of them; what comes on top is told to come again. Default 64.
    pub password_queue: usize,
    /// Of the places in that queue one address may take one in so many with names that did not sign in from there
    /// lately. Default 16: 4 places of 64.
    pub password_address_share: usize,
    /// All such names together may take one in so many of all places; the others are for names where they are known.
    /// Default 2.
    pub password_stranger_share: usize,
    /// How long a verified credential is believed without looking again. Default 60 seconds.
    pub credential_cache_time: Duration,
    /// Verified credentials kept in memory. Default 10,000.
    pub credential_cache_entries: u64,
    /// Failed logins of one name from one address before it has to wait. Default 5.
    pub login_failures: u32,
    /// The longest wait after failed logins; the first is one second and each failure doubles it. Default 60 seconds.
    /// Two seconds where the name signed in from the address lately.
    pub login_backoff: Duration,
    /// (name, address) pairs whose failures are remembered, as many that signed in lately, and as many addresses.
    /// Default 10,000.
    pub login_failure_entries: u64,
    /// Users and robots. Default 10,000.
    pub principals: u64,
    /// Grants. Default 100,000.
    pub grants: u64,
    /// Rules. Default 10,000.
    pub rules: u64,
    /// Advisories of all sources together, those that were taken back among them. Default 2,000,000, which is what an index in
    /// memory can hold.
    pub advisories: u64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
/// Hours of a day.
const DAY: u64 = 24;

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            manifest_cache_bytes: 32 * MIB,
            lookup_cache_bytes: 8 * MIB,
            blob_bytes: 1024 * GIB,
            uploads_per_principal: 256,
            upload_bytes_per_principal: 256 * GIB,
            upload_lifetime: Duration::from_hours(7 * DAY),
            upload_hashers: 1_024,
            upload_memory: 32 * MIB,
            upload_memory_wait: Duration::from_mins(1),
            write_queue: 4_096,
            write_wait: Duration::from_secs(30),
            read_connections: 4,
            read_wait: Duration::from_secs(10),
            read_queue: 1_024,
            answer_wait: Duration::from_secs(5),
            lock_wait: Duration::from_secs(5),
            reserve_bytes: 64 * MIB,
            open_blobs: 1_024,
            small_blob_cache_bytes: 8 * MIB,
            manifest_depth: 4,
            referrers_per_subject: 10_000,
            referrer_lists: 8,
            referrer_list_wait: Duration::from_secs(10),
            tags_per_put: 64,
            page_items: 1_000,
            mount_candidates: 64,
            collect_grace: Duration::from_hours(DAY),
            access_reload: Duration::from_secs(10),
            pull_log_rows: 1_000_000,
            pull_log_age: Duration::from_hours(90 * DAY),
            gone_images: 1_000_000,
            gone_images_age: Duration::from_hours(2 * 366 * DAY),
            pull_log_queue: 16_384,
            password_workers: 2,
            password_queue: 64,
            password_address_share: 16,
            password_stranger_share: 2,
            credential_cache_time: Duration::from_mins(1),
            credential_cache_entries: 10_000,
            login_failures: 5,
            login_backoff: Duration::from_mins(1),
            login_failure_entries: 10_000,
            principals: 10_000,
            grants: 100_000,
            rules: 10_000,
            advisories: findings::advisory::limits::INDEX_ADVISORIES as u64,
        }
    }
}
