//! An upstream for tests, which does what it is told and counts what it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use access::permit::Pull;
use access::{AccessBook, Caller, Grant, Permit};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{Algorithm, Digest, ManifestLimits, PatternMap, Reference, RepoName, Tag};
use store::{ManualClock, Store, StoreConfig, StoreLimits};
use tempfile::TempDir;

use super::source::{Asked, Source, SourceBlob, SourceError, SourceHead, SourceManifest, SourceSpent};
use super::upstreams::{Gone, Undecided, UpstreamConfig, UpstreamRule, Upstreams};
use super::{Ask, Proxy, ProxyLimits, ProxyMetrics};
use crate::gate::Gate;

/// How an answer with a blob ends before its time, after so many bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    End(usize),
    Error(usize),
    Silence(usize),
}

#[derive(Default)]
pub(crate) struct State {
    /// By reference, whatever the repository.
    pub(crate) manifests: HashMap<String, (Bytes, &'static str)>,
    pub(crate) blobs: HashMap<Digest, Bytes>,
    /// How the next answers end.
    pub(crate) cuts: Vec<Cut>,
    /// Whether it knows ranges.
    pub(crate) ranges: bool,
    /// How far besides what is asked it goes on.
    pub(crate) shift: u64,
    /// What it answers to everything.
    pub(crate) error: Option<SourceError>,
    /// What it says of the length of blobs.
    pub(crate) says: Option<u64>,
    /// How long it pauses before each piece of a blob.
    pub(crate) pace: Option<Duration>,
    /// How long it thinks.
    pub(crate) latency: Duration,
    /// Whether it answered something else all the while.
    pub(crate) heard: bool,
    /// What was spent of its budget.
    pub(crate) spent: Vec<SourceSpent>,
    /// Whether it says nothing of the length of blobs.
    pub(crate) is_mute: bool,
    pub(crate) asked: Asks,
}

/// What it was asked, how often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    pub(crate) heads: u32,
    pub(crate) manifests: u32,
    pub(crate) blobs: u32,
}

pub(crate) struct Fake(Mutex<State>);

pub(crate) const RULE: UpstreamRule = UpstreamRule {
    fresh: Duration::from_mins(1),
    undecided: Undecided::Hold,
    gone: Gone::Keep,
};

/// An upstream that everything may be pulled from.
pub(crate) fn upstream(prefix: &str, fake: &Arc<Fake>) -> UpstreamConfig {
    UpstreamConfig {
        name: prefix.into(),
        prefix: prefix.parse().unwrap(),
        place: format!("https://{}.example", prefix.replace('/', "-")).into(),
        library: false,
        allow: Vec::new(),
        deny: Vec::new(),
        rule: RULE,
        rules: PatternMap::default(),
        flights: 16,
        fetches: 16,
        source: Arc::clone(fake) as _,
        charts: None,
    }
}

/// A store into which one upstream's repositories come, below `hub/`.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    upstreams: Upstreams,
    _directory: TempDir,
}

impl World {
    pub(crate) async fn new(fake: &Arc<Fake>) -> Self {
        Self::of(upstream("hub", fake)).await
    }

    pub(crate) async fn of(upstream: UpstreamConfig) -> Self {
        Self::of_all(vec![upstream]).await
    }

    pub(crate) async fn of_all(upstreams: Vec<UpstreamConfig>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(SystemTime::now().into()));
        let config = StoreConfig {
            data_dir: directory.path().to_owned(),
            touches_blobs: false,
            limits: StoreLimits::default(),
        };
        let opened = Store::open(config, Arc::clone(&clock) as Arc<dyn store::Clock>);
        Self {
            store: opened.await.unwrap(),
            clock,
            upstreams: Upstreams::new(upstreams),
            _directory: directory,
        }
    }

    /// Somebody without a name pulls from a repository.
    pub(crate) fn ask(&self, repo: &str) -> Ask {
        let repo: RepoName = repo.parse().unwrap();
        let grant = Grant {
            subject: "anonymous".parse().unwrap(),
            pattern: "**".parse().unwrap(),
            roles: "pull".parse().unwrap(),
        };
        let caller = Caller::anonymous();
        let book = AccessBook::build(vec![], vec![], vec![grant], 1);
        let permit: Permit<Pull> = book.authorize(&caller, &repo).unwrap();
        Ask {
            proxied: self.upstreams.of(&repo).unwrap(),
            permit,
            caller,
        }
    }

    /// A proxy of this one upstream.
    pub(crate) fn proxy(&self, config: UpstreamConfig, gate: Arc<dyn Gate>, limits: ProxyLimits) -> Proxy {
        let made = Proxy::new(
            self.store.clone(),
            gate,
            vec![config],
            limits,
            ManifestLimits::default(),
            ProxyMetrics::default(),
            None,
        );
        made.unwrap()
    }
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        let state = State {
            ranges: true,
            ..State::default()
        };
        Arc::new(Self(Mutex::new(state)))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    pub(crate) fn asked(&self) -> Asks {
        self.0.lock().unwrap().asked
    }

    pub(crate) fn blobs_asked(&self) -> u32 {
        self.asked().blobs
    }

    /// Adds a blob.
    pub(crate) fn blob_of(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        self.change(|state| drop(state.blobs.insert(digest, Bytes::copy_from_slice(bytes))));
        digest
    }

    /// Adds an image under a tag, with its blobs; answers its digest.
    pub(crate) fn image(&self, tag: &str, config: &[u8], layers: &[&[u8]]) -> Digest {
        let descriptor = |media_type: &str, bytes: &[u8]| {
            let digest = self.blob_of(bytes);
            serde_json::json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
        };
        let layers: Vec<_> = layers
            .iter()
            .map(|bytes| descriptor(oci::media_type::OCI_LAYER_GZIP, bytes))
            .collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
            "config": descriptor(oci::media_type::OCI_IMAGE_CONFIG, config),
            "layers": layers,
        });
        self.tag(
            tag,
            manifest.to_string().as_bytes(),
            oci::media_type::OCI_IMAGE_MANIFEST,
        )
    }

    /// Bytes of a manifest.
    pub(crate) fn size_of(&self, digest: &Digest) -> usize {
        self.0.lock().unwrap().manifests[&digest.to_string()].0.len()
    }

    /// Adds a manifest under a tag; answers its digest.
    pub(crate) fn tag(&self, tag: &str, bytes: &[u8], media_type: &'static str) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let bytes = Bytes::copy_from_slice(bytes);
        self.change(|state| {
            for reference in [tag.to_owned(), digest.to_string()] {
                state.manifests.insert(reference, (bytes.clone(), media_type));
            }
        });
        digest
    }

    async fn think(&self) -> Result<(), SourceError> {
        let (latency, error) = {
            let state = self.0.lock().unwrap();
            (state.latency, state.error.clone())
        };
        tokio::time::sleep(latency).await;
        error.map_or(Ok(()), Err)
    }

    fn manifest_of(&self, reference: &Reference) -> Result<SourceManifest, SourceError> {
        let state = self.0.lock().unwrap();
        let (bytes, media_type) = state
            .manifests
            .get(&reference.to_string())
            .ok_or(SourceError::NotFound)?;
        Ok(SourceManifest {
            digest: Digest::of(Algorithm::Sha256, bytes),
            bytes: bytes.clone(),
            media_type: Some((*media_type).to_owned()),
        })
    }

    fn begin(&self, digest: &Digest, from: u64) -> Result<SourceBlob, SourceError> {
        let mut state = self.0.lock().unwrap();
        let bytes = state.blobs.get(digest).ok_or(SourceError::NotFound)?.clone();
        let from = if state.ranges {
            from + if from > 0 { state.shift } else { 0 }
        } else {
            0
        };
        let rest = bytes.slice(usize::try_from(from).unwrap()..);
        let cut = if state.cuts.is_empty() {
            None
        } else {
            Some(state.cuts.remove(0))
        };
        let (len, end): (usize, Option<Result<Bytes, SourceError>>) = match cut {
            None => (rest.len(), None),
            Some(Cut::End(at) | Cut::Silence(at)) => (at, None),
            Some(Cut::Error(at)) => (at, Some(Err(SourceError::Unreachable("cut".into())))),
        };
        let rest = rest.slice(..len.min(rest.len()));
        let pieces: Vec<_> = rest
            .chunks(1_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let pace = state.pace;
        let body = stream::iter(pieces.into_iter().chain(end)).then(move |piece| async move {
            if let Some(pace) = pace {
                tokio::time::sleep(pace).await;
            }
            piece
        });
        Ok(SourceBlob {
            size: if state.is_mute {
                None
            } else {
                state.says.or(Some(bytes.len() as u64))
            },
            from,
            body: match cut {
                Some(Cut::Silence(_)) => Box::pin(body.chain(stream::pending())),
                _ => Box::pin(body),
            },
        })
    }
}

impl Source for Fake {
    fn head_manifest<'a>(&'a self, _: &'a RepoName, reference: &'a Reference) -> Asked<'a, SourceHead> {
        Box::pin(async move {
            self.change(|state| state.asked.heads += 1);
            self.think().await?;
            let digest = Some(self.manifest_of(reference)?.digest);
            Ok(SourceHead { digest })
        })
    }

    fn manifest<'a>(
        &'a self,
        _: &'a RepoName,
        reference: &'a Reference,
        _: usize,
    ) -> Asked<'a, SourceManifest> {
        Box::pin(async move {
            self.change(|state| state.asked.manifests += 1);
            self.think().await?;
            self.manifest_of(reference)
        })
    }

    fn blob<'a>(&'a self, _: &'a RepoName, digest: &'a Digest, from: u64) -> Asked<'a, SourceBlob> {
        Box::pin(async move {
            self.change(|state| state.asked.blobs += 1);
            self.think().await?;
            self.begin(digest, from)
        })
    }

    fn tags<'a>(&'a self, _: &'a RepoName, most: usize) -> Asked<'a, Vec<Tag>> {
        Box::pin(async move {
            self.think().await?;
            let mut tags = Vec::new();
            self.change(|state| {
                tags.extend(state.manifests.keys().filter_map(|key| key.parse::<Tag>().ok()));
            });
            tags.truncate(most);
            Ok(tags)
        })
    }

    fn spent(&self) -> Vec<SourceSpent> {
        self.0.lock().unwrap().spent.clone()
    }

    fn recall(&self, spent: &[SourceSpent]) {
        self.change(|state| state.spent = spent.to_vec());
    }

    fn heard_since(&self, _: std::time::Instant) -> bool {
        self.0.lock().unwrap().heard
    }
}
