//! What was read once stays in memory, bounded by bytes, and is never believed after it was changed.
//!
//! An entry remembers the *epoch* of its key as it was **before** the database was asked, and counts only while the
//! epoch is the same. A writer moves the epoch on **after** its commit and before anybody hears of it. So whoever asks
//! after a write was acknowledged never gets what was there before, no matter how loads and writes interleave:
//! a load that began before the commit carries the old epoch, whenever it ends.
//!
//! A writer also knows what is true from now on: it keeps what it *learned*, if nobody else wrote to the key meanwhile, so
//! that what was just pushed is pulled without a question to the database.
//!
//! Concurrent loads of one key are one load. What is unknown is not kept: it could be asked for without end.

use std::future::Future;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dashmap::DashSet;
use moka::future::Cache as Entries;
use oci::{Digest, RepoName, Tag};

use crate::StoreError;

/// Epochs; keys share them by hash, and a write to one key costs what is remembered of those that share its epoch. A push writes to some
/// ten keys, so with these (1 MiB) most of what it taught is still there after ten thousand others.
const EPOCHS: usize = 1 << 18;
/// How long a load may take where nothing else is said.
const LOAD_WAIT: Duration = Duration::from_secs(5);
/// Loads that a caller repeats because a writer came in between, before it reads past the cache.
const ATTEMPTS: usize = 3;

/// Name of a cache entry: a keyed 128-bit hash of what it is about, so that a lookup needs no text of its own. The
/// keys are random per process; two names that collide cannot be found from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u128);

static HASH_KEYS: LazyLock<(RandomState, RandomState)> = LazyLock::new(Default::default);

impl Key {
    /// A tag of a repository.
    pub(crate) fn tag(repo: &RepoName, tag: &Tag) -> Self {
        Self::of(&(0_u8, repo.as_str(), tag.as_str()))
    }

    /// A manifest of a repository.
    pub(crate) fn manifest(repo: &RepoName, digest: &Digest) -> Self {
        Self::of(&(1_u8, repo.as_str(), digest))
    }

    /// A blob of a repository.
    pub(crate) fn blob(repo: &RepoName, digest: &Digest) -> Self {
        Self::of(&(2_u8, repo.as_str(), digest))
    }

    /// What was decided of a manifest of a repository.
    pub(crate) fn decision(repo: &RepoName, digest: &Digest, point: &str) -> Self {
        Self::of(&(3_u8, repo.as_str(), digest, point))
    }

    /// What was decided of the images that have a blob of a repository.
    pub(crate) fn standing(repo: &RepoName, digest: &Digest) -> Self {
        Self::of(&(4_u8, repo.as_str(), digest))
    }

    /// The reasons of decisions, by their digest.
    pub(crate) fn decision_text(said: &str) -> Self {
        Self::of(&(5_u8, said))
    }

    fn of(what: &impl Hash) -> Self {
        let (high, low) = &*HASH_KEYS;
        Self(u128::from(high.hash_one(what)) << 64 | u128::from(low.hash_one(what)))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0);
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, _: &[u8]) {}

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How often each group of keys was written, and how often any was.
pub(crate) struct Epochs {
    groups: Box<[AtomicU32]>,
    /// Moved on before the group is: who sees a new epoch of a group sees that somebody wrote.
    writes: AtomicU64,
}

/// A moment between writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(u64);

impl Epochs {
    pub(crate) fn new() -> Self {
        Self {
            groups: (0..EPOCHS).map(|_| AtomicU32::new(0)).collect(),
            writes: AtomicU64::new(0),
        }
    }

    /// Now; taken before the database is asked for something whose key is part of the answer.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.writes.load(Ordering::SeqCst))
    }

    /// The epoch that a key had at `moment`, if nobody has written since.
    fn at(&self, moment: Moment, key: Key) -> Option<u32> {
        let epoch = self.of(key).load(Ordering::SeqCst);
        (self.moment() == moment).then_some(epoch)
    }

    fn of(&self, key: Key) -> &AtomicU32 {
        &self.groups[Self::group(key)]
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below EPOCHS")]
    fn group(key: Key) -> usize {
        ((key.0 >> 64) % EPOCHS as u128) as usize
    }

    fn current(&self, key: Key) -> u32 {
        self.of(key).load(Ordering::Acquire)
    }

    /// What is cached under `key` is no longer true.
    pub(crate) fn bump(&self, key: Key) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.of(key).fetch_add(1, Ordering::SeqCst);
    }

    /// The epoch that a key will have once each of `touched` was bumped and nobody else bumped anything. Asked while no
    /// transaction but the caller's can commit.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "epochs begin again at 0, as they are counted"
    )]
    fn after(&self, key: Key, touched: &[Key]) -> u32 {
        let group = Self::group(key);
        let bumps = touched.iter().filter(|&&key| Self::group(key) == group).count();
        self.current(key).wrapping_add(bumps as u32)
    }

    /// Nothing that is cached is known to be true.
    pub(crate) fn bump_all(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        for epoch in &self.groups {
            epoch.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[derive(Clone)]
struct Entry<V> {
    epoch: u32,
    value: V,
}

/// Why a load has no entry. Shared by all who waited for it.
enum Miss {
    Unknown { epoch: u32 },
    Failed(StoreError),
}

/// A load under way; over when dropped, also when nobody waits for it any more.
struct Loading<'c> {
    loading: &'c DashSet<Key, BuildHasherDefault<AsIs>>,
    key: Key,
}

impl<'c> Loading<'c> {
    fn begin(loading: &'c DashSet<Key, BuildHasherDefault<AsIs>>, key: Key) -> Self {
        loading.insert(key);
        Self { loading, key }
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.loading.remove(&self.key);
    }
}

/// A cache of one kind of row.
pub(crate) struct Cache<V> {
    entries: Entries<Key, Entry<V>, BuildHasherDefault<AsIs>>,
    /// How long a load may take.
    wait: Duration,
    /// What is being loaded.
    loading: DashSet<Key, BuildHasherDefault<AsIs>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<V: Clone + Send + Sync + 'static> Cache<V> {
    /// A cache of at most `bytes`, by what `weigh` says that a value takes.
    pub(crate) fn new(bytes: u64, weigh: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        /// Key, epoch, links of the cache's own lists.
        const OVERHEAD: usize = 200;
        let entries = Entries::builder()
            .max_capacity(bytes)
            .weigher(move |_, entry: &Entry<V>| {
                u32::try_from(weigh(&entry.value) + OVERHEAD).unwrap_or(u32::MAX)
            })
            .build_with_hasher(BuildHasherDefault::default());
        Self {
            entries,
            wait: LOAD_WAIT,
            loading: DashSet::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The same with another limit for how long a load may take.
    pub(crate) fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The value from memory, if it is there and true.
    pub(crate) async fn get(&self, epochs: &Epochs, key: Key) -> Option<V> {
        let entry = self.entries.get(&key).await?;
        if entry.epoch == epochs.current(key) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Some(entry.value);
        }
        self.entries.invalidate(&key).await;
        None
    }

    /// Whether [`Self::get`] would answer; counted neither as a hit nor as a miss.
    pub(crate) async fn knows(&self, epochs: &Epochs, key: Key) -> bool {
        let entry = self.entries.get(&key).await;
        entry.is_some_and(|entry| entry.epoch == epochs.current(key))
    }

    /// Whether somebody loads it already: whoever asks now waits for that and causes no load of their own, unless it fails.
    pub(crate) fn is_loading(&self, key: Key) -> bool {
        self.loading.contains(&key)
    }

    /// The value from memory, or what `load` says. `None` is not kept.
    pub(crate) async fn get_or_load<F, L>(
        &self,
        epochs: &Epochs,
        key: Key,
        load: F,
    ) -> Result<Option<V>, StoreError>
    where
        F: Fn() -> L + Send + Sync,
        L: Future<Output = Result<Option<V>, StoreError>> + Send,
    {
        for _ in 0..ATTEMPTS {
            if let Some(value) = self.get(epochs, key).await {
                return Ok(Some(value));
            }
            self.misses.fetch_add(1, Ordering::Relaxed);
            let loaded = self
                .entries
                .try_get_with(key, self.entry(epochs, key, &load))
                .await;
            let (epoch, result) = match loaded {
                Ok(entry) => (entry.epoch, Some(entry.value)),
                Err(miss) => match &*miss {
                    Miss::Unknown { epoch } => (*epoch, None),
                    Miss::Failed(error) => return Err(error.clone()),
                },
            };
            if epoch == epochs.current(key) {
                return Ok(result);
            }
        }
        self.within(Box::pin(load())).await
    }

    /// Whoever pulls is not kept waiting by a database that hangs, nor is the place that they hold.
    async fn within<T>(&self, load: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.wait, load).await {
            Ok(loaded) => loaded,
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// Keeps a value that was read from the database after `moment`, unless somebody wrote since.
    pub(crate) async fn keep(&self, epochs: &Epochs, moment: Moment, key: Key, value: V) {
        if let Some(epoch) = epochs.at(moment, key) {
            self.entries.insert(key, Entry { epoch, value }).await;
        }
    }

    /// Keeps a value that is true in `epoch` of the key, unless that has passed.
    async fn keep_of(&self, epochs: &Epochs, epoch: u32, key: Key, value: V) {
        if epochs.current(key) == epoch {
            self.entries.insert(key, Entry { epoch, value }).await;
        }
    }

    async fn entry<F, L>(&self, epochs: &Epochs, key: Key, load: &F) -> Result<Entry<V>, Miss>
    where
        F: Fn() -> L,
        L: Future<Output = Result<Option<V>, StoreError>>,
    {
        let _loading = Loading::begin(&self.loading, key);
        let epoch = epochs.current(key);
        match self.within(Box::pin(load())).await {
            Ok(Some(value)) => Ok(Entry { epoch, value }),
            Ok(None) => Err(Miss::Unknown { epoch }),
            Err(error) => Err(Miss::Failed(error)),
        }
    }

    /// Answers from memory and from the database so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.hits.load(Ordering::Relaxed),
            self.misses.load(Ordering::Relaxed),
        )
    }

    /// Bytes by the weigher, roughly: the cache does its accounts with a delay.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }
}

/// What is true once a transaction is committed.
#[derive(Clone)]
pub(crate) enum Fact {
    /// Where a tag points.
    Tag(Digest),
    /// A manifest of a repository.
    Manifest(Arc<crate::StoredManifest>),
    /// A blob of a repository.
    Blob(crate::blob::BlobRow),
    /// What was decided of an image.
    Decision(Arc<crate::Decided>),
}

/// A fact that counts while its key is in this epoch.
pub(crate) struct Learned {
    key: Key,
    epoch: u32,
    fact: Fact,
}

/// The caches of a store.
pub(crate) struct Caches {
    pub(crate) epochs: Epochs,
    pub(crate) tags: Cache<Digest>,
    pub(crate) manifests: Cache<Arc<crate::StoredManifest>>,
    pub(crate) blobs: Cache<crate::blob::BlobRow>,
    pub(crate) decisions: Cache<Arc<crate::Decided>>,
    /// Named by what they are, so none of them ever changes.
    pub(crate) texts: Cache<Arc<str>>,
    pub(crate) standings: Cache<crate::Standing>,
}

impl Caches {
    pub(crate) fn new(limits: &crate::StoreLimits) -> Self {
        let wait = limits.answer_wait;
        let (lookups, bytes) = (limits.lookup_cache_bytes, limits.manifest_cache_bytes);
        Self {
            epochs: Epochs::new(),
            tags: Cache::new(lookups, size_of_val).waiting(wait),
            manifests: Cache::new(bytes, |manifest: &Arc<crate::StoredManifest>| manifest.weight())
                .waiting(wait),
            blobs: Cache::new(lookups, size_of_val).waiting(wait),
            decisions: Cache::new(lookups, |decided: &Arc<crate::Decided>| decided.weight()).waiting(wait),
            texts: Cache::new(bytes, |text: &Arc<str>| text.len()).waiting(wait),
            standings: Cache::new(lookups, size_of_val).waiting(wait),
        }
    }

    /// What `facts` of a transaction that touches `touched` are worth. Asked before it commits, because no other one can
    /// commit then.
    pub(crate) fn learn(&self, facts: Vec<(Key, Fact)>, touched: &[Key]) -> Vec<Learned> {
        let learned = |(key, fact)| Learned {
            key,
            epoch: self.epochs.after(key, touched),
            fact,
        };
        facts.into_iter().map(learned).collect()
    }

    /// Keeps what a transaction taught, after it was committed and all that it touched was bumped.
    pub(crate) async fn keep(&self, learned: Vec<Learned>) {
        for Learned { key, epoch, fact } in learned {
            match fact {
                Fact::Tag(digest) => self.tags.keep_of(&self.epochs, epoch, key, digest).await,
                Fact::Manifest(manifest) => self.manifests.keep_of(&self.epochs, epoch, key, manifest).await,
                Fact::Blob(row) => self.blobs.keep_of(&self.epochs, epoch, key, row).await,
                Fact::Decision(decided) => self.decisions.keep_of(&self.epochs, epoch, key, decided).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
