//! Images whose manifest has come from an upstream and whose blobs are on their way.
//!
//! The registry fetches the blobs itself, so that what is decided about the image does not wait for a client to want all of them.
//! Only when all are here the manifest is stored, as a push is stored: by the same rules, in one transaction with its tags, its
//! event and its job. Until then it lives in memory, and after a restart it is asked for anew. One that does not arrive is remembered
//! for a moment: whoever was streamed its manifest asks for its blobs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Caller;
use futures_util::{StreamExt as _, stream};
use moka::sync::Cache;
use oci::{Descriptor, Digest, Manifest, RepoName, Tag};
use store::{Intake, PutError, PutManifest, Store, StoredManifest};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::Known;
use super::error::ProxyError;
use super::flights::{Flights, Wanted};
use super::places::{Places, Words};
use super::upstreams::Proxied;
use crate::gate::{Gate, Push, PushVerdict};

/// How many images may be on their way.
#[derive(Debug, Clone, Copy)]
pub struct ImageLimits {
    /// Images at the same time, each with a manifest in memory, half of them for one user or robot, and for one upstream where there
    /// are several; one more is answered 429. Default 256.
    pub images: usize,
    /// Bytes of their manifests, in the same parts; one more is answered 429. Default 64 MiB.
    pub bytes: u64,
    /// Blobs of one image that are asked for at the same time when no client wants them. Default 4.
    pub blobs_at_once: usize,
}

impl Default for ImageLimits {
    fn default() -> Self {
        Self {
            images: 256,
            bytes: 64 << 20,
            blobs_at_once: 4,
        }
    }
}

const IMAGES: Words = Words {
    all: "too many images are on their way from upstreams",
    upstream: "too many images of this upstream are on their way",
    payer: "too many images that this user or robot wants are on their way from upstreams",
};

const MANIFESTS: Words = Words {
    all: "images whose manifests are too large together (proxy.image_memory) are on their way from upstreams",
    upstream: "images whose manifests are too large together (proxy.image_memory) are on their way from this upstream",
    payer: "images whose manifests are too large together (proxy.image_memory) and that this user or robot wants are on their way",
};

/// How long an image that did not arrive is remembered.
const LATELY: Duration = Duration::from_mins(1);

/// What came of it.
pub(crate) type Arrived = Option<Result<(), ProxyError>>;

/// A manifest that came from an upstream.
#[derive(Clone)]
pub(crate) struct Fetched {
    pub(crate) proxied: Proxied,
    pub(crate) intake: Intake,
    /// Who asked first.
    pub(crate) caller: Caller,
    pub(crate) manifest: Manifest,
    pub(crate) stored: Arc<StoredManifest>,
}

/// An image on its way.
pub(crate) struct Coming {
    pub(crate) manifest: Arc<StoredManifest>,
    /// What the manifest names, with the lengths that it states.
    blobs: HashMap<Digest, u64>,
    /// To be set once it is here; `None` when it is too late to say so.
    tags: Mutex<Option<Vec<Tag>>>,
    arrived: watch::Receiver<Arrived>,
}

type Key = (RepoName, Digest);

/// All images on their way.
pub(crate) struct Images {
    store: Store,
    gate: Arc<dyn Gate>,
    flights: Arc<Flights>,
    runtime: Handle,
    limits: ImageLimits,
    places: Places,
    bytes: Places,
    known: Cache<(RepoName, Tag), Known>,
    running: Mutex<HashMap<Key, Arc<Coming>>>,
    /// Those that did not arrive lately, within the same bounds.
    lost: Cache<Key, Arc<Coming>>,
}

impl Coming {
    /// Why it does not come, once that is known.
    pub(crate) fn failure(&self) -> Option<ProxyError> {
        match &*self.arrived.borrow() {
            Some(Err(error)) => Some(error.clone()),
            Some(Ok(())) | None => None,
        }
    }

    /// Waits until it is here, or does not come.
    pub(crate) async fn arrived(&self) -> Result<(), ProxyError> {
        let mut arrived = self.arrived.clone();
        match arrived.wait_for(Option::is_some).await {
            Ok(arrived) => arrived.clone().unwrap_or(Ok(())),
            Err(_) => Err(ProxyError::Lost),
        }
    }

    /// Wants a tag to be set with it; answers whether it is not too late.
    pub(crate) fn tag(&self, tag: &Tag) -> bool {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *tags {
            None => false,
            Some(tags) => {
                if !tags.contains(tag) {
                    tags.push(tag.clone());
                }
                true
            }
        }
    }

    /// The tag is another one's by now; answers whether it is not too late.
    fn untag(&self, tag: &Tag) -> bool {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tags) = &mut *tags {
            tags.retain(|own| own != tag);
        }
        tags.is_some()
    }

    fn take_tags(&self) -> Vec<Tag> {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.take().unwrap_or_default()
    }
}

impl Images {
    pub(crate) fn new(
        store: Store,
        gate: Arc<dyn Gate>,
        flights: Arc<Flights>,
        runtime: Handle,
        limits: ImageLimits,
        known: Cache<(RepoName, Tag), Known>,
        upstreams: usize,
    ) -> Arc<Self> {
        let bytes = usize::try_from(limits.bytes).unwrap_or(usize::MAX);
        Arc::new(Self {
            places: Places::new(limits.images, upstreams, IMAGES),
            bytes: Places::new(bytes, upstreams, MANIFESTS),
            store,
            gate,
            flights,
            runtime,
            limits,
            known,
            running: Mutex::default(),
            lost: lost(limits),
        })
    }

    /// The image, if it is on its way.
    pub(crate) fn coming(&self, repo: &RepoName, digest: &Digest) -> Option<Arc<Coming>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(&(repo.clone(), *digest)).cloned()
    }

    /// An image of the repository that is on its way and has the blob, else one that did not arrive a moment ago, and the length that
    /// it states.
    pub(crate) fn naming(&self, repo: &RepoName, blob: &Digest) -> Option<(Arc<Coming>, u64)> {
        let names = |key: &Key, image: &Arc<Coming>| {
            let size = image.blobs.get(blob).filter(|_| key.0 == *repo)?;
            Some((Arc::clone(image), *size))
        };
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let coming = running.iter().find_map(|(key, image)| names(key, image));
        drop(running);
        coming.or_else(|| self.lost.iter().find_map(|(key, image)| names(&key, &image)))
    }

    /// The upstream calls this image by the tag: of those that are on their way no other one takes it, however late it comes. One
    /// that is being stored just now is waited for: what is newer comes after it.
    pub(crate) async fn named(&self, repo: &RepoName, tag: &Tag, digest: &Digest) {
        let stored: Vec<Arc<Coming>> = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let others = running
                .iter()
                .filter(|((name, other), _)| name == repo && other != digest);
            let too_late = others.filter(|(_, image)| !image.untag(tag));
            too_late.map(|(_, image)| Arc::clone(image)).collect()
        };
        for image in stored {
            // What became of it does not matter.
            let _ = image.arrived().await;
        }
    }

    /// Has the blobs of an image come, and the image when they are here. One that is on its way already gets the tag too.
    pub(crate) fn begin(
        self: &Arc<Self>,
        fetched: Fetched,
        tag: Option<&Tag>,
    ) -> Result<Arc<Coming>, ProxyError> {
        let key = (fetched.intake.repo().clone(), fetched.stored.digest);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(coming) = running.get(&key)
            && tag.is_none_or(|tag| coming.tag(tag))
        {
            return Ok(Arc::clone(coming));
        }
        let (upstream, payer) = (&fetched.proxied.upstream, fetched.caller.principal_id());
        let places = (
            self.places.take(upstream, payer, 1)?,
            self.bytes.take(upstream, payer, fetched.stored.bytes.len())?,
        );
        let (sender, arrived) = watch::channel(None);
        let coming = Arc::new(Coming {
            manifest: Arc::clone(&fetched.stored),
            blobs: needed(&fetched.manifest),
            tags: Mutex::new(Some(tag.into_iter().cloned().collect())),
            arrived,
        });
        running.insert(key.clone(), Arc::clone(&coming));
        drop(running);
        self.lost.invalidate(&key);
        let (images, image) = (Arc::clone(self), Arc::clone(&coming));
        self.runtime.spawn(async move {
            let over = Over(Arc::clone(&images), key, Arc::clone(&image));
            let arrived = images.bring(fetched, &image).await;
            if arrived.is_err() {
                images.lost.insert(over.1.clone(), Arc::clone(&image));
            }
            drop((over, places));
            sender.send_replace(Some(arrived));
        });
        Ok(coming)
    }

    async fn bring(&self, fetched: Fetched, image: &Coming) -> Result<(), ProxyError> {
        let flight = |(digest, size): (&Digest, &u64)| {
            self.flights.bring(Wanted {
                proxied: fetched.proxied.clone(),
                intake: fetched.intake.clone(),
                digest: *digest,
                size: Some(*size),
                payer: fetched.caller.principal_id(),
            })
        };
        let flights: Vec<_> = image.blobs.iter().map(flight).collect();
        let mut coming = stream::iter(flights).buffer_unordered(self.limits.blobs_at_once.max(1));
        while let Some(arrived) = coming.next().await {
            arrived?;
        }
        drop(coming);
        let (repo, tags) = (fetched.intake.repo().clone(), image.take_tags());
        let (digest, checked_at) = (fetched.stored.digest, fetched.stored.pushed_at);
        let kept = self.take_in(fetched, tags.clone()).await?;
        // Whoever asks next must not be told of what was here before, whatever else fails until then.
        for tag in tags {
            let known = Known {
                digest: kept.unwrap_or(digest),
                checked_at,
                gone: false,
            };
            self.known.insert((repo.clone(), tag), known);
        }
        Ok(())
    }

    /// Stores a manifest whose blobs are here, as a push is stored. Answers what the tags are where a rule here keeps them there.
    pub(crate) async fn take_in(
        &self,
        fetched: Fetched,
        tags: Vec<Tag>,
    ) -> Result<Option<Digest>, ProxyError> {
        let Fetched {
            proxied,
            intake,
            caller,
            manifest,
            stored,
        } = fetched;
        let push = Push {
            caller: &caller,
            repo: intake.repo(),
            digest: &stored.digest,
            manifest: &manifest,
        };
        if let PushVerdict::Refuse { message, detail } = self.gate.push(push).await {
            return Err(ProxyError::Refused { message, detail });
        }
        let put = PutManifest {
            digest: stored.digest,
            bytes: stored.bytes.clone(),
            manifest,
            tags,
            is_refused: false,
        };
        let mut kept = None;
        let mut taken = self.store.take_in_manifest(&intake, put.clone()).await;
        if let Err(PutError::TagImmutable { current, .. }) = taken {
            // The image comes in, and the tag stays.
            kept = Some(current);
            let put = PutManifest {
                tags: Vec::new(),
                ..put
            };
            taken = self.store.take_in_manifest(&intake, put).await;
        }
        match taken {
            Ok(_) => Ok(kept),
            Err(source) => Err(ProxyError::Manifest {
                upstream: Arc::clone(&proxied.upstream.config.name),
                source: Box::new(source),
            }),
        }
    }
}

/// As many as may be on their way, in as many bytes.
fn lost(limits: ImageLimits) -> Cache<Key, Arc<Coming>> {
    let share = limits.bytes / (limits.images as u64).max(1);
    Cache::builder()
        .max_capacity(limits.bytes)
        .weigher(move |_, image: &Arc<Coming>| {
            let weight = share.max(image.manifest.bytes.len() as u64);
            u32::try_from(weight).unwrap_or(u32::MAX)
        })
        .time_to_live(LATELY)
        .build()
}

/// The blobs that must be here before the manifest is. What an index names is fetched when somebody asks for it, but for what it does
/// not call manifests.
pub(crate) fn needed(manifest: &Manifest) -> HashMap<Digest, u64> {
    let is_blob = |child: &&Descriptor| {
        !child.is_foreign() && !oci::media_type::MANIFESTS.contains(&child.media_type.as_str())
    };
    let blobs = manifest.blobs().chain(manifest.manifests.iter().filter(is_blob));
    blobs.map(|blob| (blob.digest, blob.size)).collect()
}

/// Takes an image off the list, if it is still the one that is on it.
struct Over(Arc<Images>, Key, Arc<Coming>);

impl Drop for Over {
    fn drop(&mut self) {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running
            .get(&self.1)
            .is_some_and(|coming| Arc::ptr_eq(coming, &self.2))
        {
            running.remove(&self.1);
        }
    }
}
