//! What the protocol may be told, with the defaults of its bounds.

use std::{collections::BTreeMap, time::Duration};

use oci::ManifestLimits;

use crate::{
    auth::HeaderCache,
    body::{BodyRate, Unwanted},
    overload::TrafficConfig,
    token::FormLimits,
};

/// What the protocol needs to know, with its bounds.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// The address by which clients know this registry, such as `https://registry.example`; without it the `Host` header
    /// of each request is believed (it only comes back to whoever sent it).
    pub public_url: Option<String>,
    /// How long a bearer token is good for. What its owner may do is looked up each time all the same.
    pub token_lifetime: Duration,
    /// `ns=` of a pull to the path prefix under which that registry's repositories are kept here.
    pub namespaces: BTreeMap<String, String>,
    /// What a manifest may hold.
    pub manifest_limits: ManifestLimits,
    /// Uploads, of blobs and of manifests, that may be received at the same time; one more is answered 429.
    pub concurrent_uploads: usize,
    /// Requests other than uploads that may be worked on at the same time; one more is answered 429.
    pub concurrent_requests: usize,
    /// Lists (of tags, referrers, repositories) that may be made at the same time; one more is answered 429. One principal
    /// may have half of them, as of requests and uploads.
    pub concurrent_lists: usize,
    /// Pulls of what memory does not know that may ask the database at the same time; one more is answered 429. One
    /// principal may have half of them. Callers without a name have half as many beside them, one address half of those.
    pub concurrent_lookups: usize,
    /// Bytes of manifests that may be held in memory while they are received and stored, over all requests; one more is
    /// answered 429. Reading one costs about twice its bytes besides.
    pub manifest_memory: u64,
    /// Bytes of manifests and lists that may be held in memory until their readers have read them, over all answers
    /// above 64 KiB; one more is answered 429. One principal may hold half of it.
    pub answer_memory: u64,
    /// A manifest must be here after this time: it is small, and it is held in memory while it comes.
    pub manifest_timeout: Duration,
    /// Forms that ask for tokens.
    pub forms: FormLimits,
    /// What is remembered of `Authorization` headers.
    pub header_cache: HeaderCache,
    /// How much of a body is read that nobody wants.
    pub unwanted: Unwanted,
    /// How fast bodies must come.
    pub body_rate: BodyRate,
    /// Most names on a page of the catalog, tags on a page of tags, or referrers on a page of referrers.
    pub page_items: usize,
    /// What is done where not everybody can be served at once.
    pub traffic: TrafficConfig,
    /// Whether each request makes a span for the exporter of traces; costs about a microsecond.
    pub trace_requests: bool,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            token_lifetime: Duration::from_mins(5),
            namespaces: BTreeMap::new(),
            manifest_limits: ManifestLimits::default(),
            concurrent_uploads: 256,
            concurrent_requests: 4_096,
            concurrent_lists: 64,
            concurrent_lookups: 512,
            manifest_memory: 32 * 1024 * 1024,
            answer_memory: 256 * 1024 * 1024,
            manifest_timeout: Duration::from_mins(1),
            forms: FormLimits::default(),
            header_cache: HeaderCache::default(),
            unwanted: Unwanted::default(),
            body_rate: BodyRate {
                minimum: 1024,
                window: Duration::from_secs(30),
            },
            page_items: 1_000,
            traffic: TrafficConfig::default(),
            trace_requests: false,
        }
    }
}
