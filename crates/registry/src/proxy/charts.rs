//! Classic repositories of Helm charts: an `index.yaml` and archives (<https://helm.sh/docs/topics/chart_repository/>).
//!
//! What such a repository has is made to look like a registry's: a [`ChartRepository`] is a [`Source`] whose repositories are charts and
//! whose tags are their versions (`+` is `_`, as Helm has it in registries). Each version is an artifact of a configuration, the
//! archive and what is signed of it (`artifact.rs`), so whatever is true of a pull through a registry is true of charts: one request for all who
//! wait, by the same rules, stored with the same checks, served when the repository is gone, and pulled by `oci://` as well.
//!
//! The index is read once for all (`index.rs`) and kept in the store, so that it outlives a restart without the repository. It is
//! answered anew for each caller, with those charts that they may pull (`answer.rs`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use moka::sync::Cache;
use oci::{Algorithm, Digest, Reference, RepoName, Tag};
use store::Store;
use tokio::time::Instant;

use super::source::{
    Asked, Source, SourceBlob, SourceBudget, SourceError, SourceHead, SourceManifest, SourceSpent,
};

mod answer;
mod artifact;
mod index;
mod listing;

pub(crate) use artifact::tag_of;
pub use index::{ChartIndex, IndexError, IndexLimits};
pub(crate) use listing::ProxiedCharts;

use artifact::{Artifact, Provenance};
use index::ChartVersion;

/// What charts are bounded by.
#[derive(Debug, Clone, Copy)]
pub struct ChartLimits {
    /// What an index may have.
    pub index: IndexLimits,
    /// Bytes of one chart. Default 32 MiB.
    pub chart_bytes: usize,
    /// Bytes of what is signed of one chart: metadata, a digest and a signature. A larger file is as none. Default 256 KiB.
    pub provenance_bytes: usize,
    /// Bytes of charts of one repository that are in memory between their fetch and their storing. Default 64 MiB.
    pub memory: u64,
    /// Versions of one repository of which it is remembered what artifact they are. Default 10,000.
    pub artifacts: u64,
    /// How long an index is taken as it was without asking again. Default 5 minutes.
    pub fresh: Duration,
}

impl Default for ChartLimits {
    fn default() -> Self {
        Self {
            index: IndexLimits::default(),
            chart_bytes: 32 << 20,
            provenance_bytes: 256 << 10,
            memory: 64 << 20,
            artifacts: 10_000,
            fresh: Duration::from_mins(5),
        }
    }
}

/// How long the bytes of a chart stay in memory if nobody stores them.
const CHART_TIME: Duration = Duration::from_mins(5);

/// A file of a repository of charts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartFile {
    /// The bytes; nobody has compared them with anything.
    pub bytes: Bytes,
    /// What the server calls this state of it.
    pub etag: Option<String>,
}

/// How the files of a repository of charts are got.
pub trait ChartFiles: Send + Sync {
    /// The index, in at most `most` bytes; `None`: it is still what `known` names.
    fn index<'a>(&'a self, known: Option<&'a str>, most: usize) -> Asked<'a, Option<ChartFile>>;

    /// An archive, in at most `most` bytes. `url` is what the index says: whole, or relative to the index, or `oci://` with a tag
    /// or a digest.
    fn archive<'a>(&'a self, url: &'a str, most: usize) -> Asked<'a, ChartFile>;

    /// What is signed of the archive at `url`, in at most `most` bytes.
    fn provenance<'a>(&'a self, url: &'a str, most: usize) -> Asked<'a, ChartFile>;

    /// What may still be asked of it within this hour.
    fn budget_left(&self) -> SourceBudget;

    /// What was spent of its budget ([`Source::spent`]).
    fn spent(&self) -> Vec<SourceSpent> {
        Vec::new()
    }

    /// Counts what was spent before the last start ([`Source::recall`]).
    fn recall(&self, _spent: &[SourceSpent]) {}

    /// Whether its host has answered anything since then ([`Source::heard_since`]).
    fn heard_since(&self, _moment: std::time::Instant) -> bool {
        false
    }
}

/// An index that is here.
#[derive(Clone)]
struct Held {
    index: Arc<ChartIndex>,
    etag: Option<String>,
    /// When the repository was last asked and answered; `None`: it comes from before the last start.
    checked_at: Option<Instant>,
}

/// A classic repository of charts.
pub struct ChartRepository {
    files: Arc<dyn ChartFiles>,
    store: Store,
    /// Where it is.
    place: Arc<str>,
    limits: ChartLimits,
    held: Mutex<Option<Held>>,
    /// Whoever asks for the index; all others wait for what comes of it.
    asking: tokio::sync::Mutex<()>,
    /// By chart and tag, what the version was made into.
    artifacts: Cache<(RepoName, Tag), Arc<Artifact>>,
    /// By digest, which chart's artifact that is.
    names: Cache<Digest, (RepoName, Tag)>,
    /// Bytes that are about to be stored.
    bytes: Cache<Digest, Bytes>,
}

impl ChartRepository {
    /// The repository at `place`, of which nothing is known yet but what is in the store.
    pub fn new(files: Arc<dyn ChartFiles>, store: Store, place: Arc<str>, limits: ChartLimits) -> Self {
        let weight = |_: &Digest, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self {
            files,
            store,
            place,
            limits,
            held: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            artifacts: Cache::new(limits.artifacts),
            names: Cache::new(limits.artifacts),
            bytes: Cache::builder()
                .weigher(weight)
                .max_capacity(limits.memory)
                .time_to_live(CHART_TIME)
                .build(),
        }
    }

    /// The index as it was last read, and whether it is fresh.
    pub(crate) fn last(&self) -> Option<(Arc<ChartIndex>, bool)> {
        let held = self.held()?;
        let is_fresh = held.checked_at.is_some_and(|at| at.elapsed() < self.limits.fresh);
        Some((held.index, is_fresh))
    }

    /// Takes the index from before the last start, where nothing else is known.
    pub(crate) async fn recall(&self) {
        if self.held().is_some() {
            return;
        }
        let kept = self.store.chart_index(&self.place, self.limits.index.bytes).await;
        let kept = kept.unwrap_or_else(|error| {
            tracing::debug!(%error, "an index of charts that was kept could not be read");
            None
        });
        let Some(kept) = kept else { return };
        if let Ok(index) = self.read(kept).await {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.get_or_insert_with(|| Held {
                index: Arc::new(index),
                etag: None,
                checked_at: None,
            });
        }
    }

    /// The index as it is now, by one question for all who ask.
    pub(crate) async fn index(&self) -> Result<Arc<ChartIndex>, SourceError> {
        let _alone = self.asking.lock().await;
        if let Some((index, true)) = self.last() {
            return Ok(index);
        }
        let before = self.held();
        let known = before.as_ref().and_then(|held| held.etag.as_deref());
        let came = self.files.index(known, self.limits.index.bytes).await?;
        let (index, etag) = match (came, before) {
            (None, Some(before)) => (before.index, before.etag),
            (None, None) => {
                return Err(SourceError::Broken("it says that an index is what it was".into()));
            }
            (Some(file), _) => {
                let index = self.read(file.bytes.clone()).await?;
                self.keep(&index, file.bytes).await;
                (Arc::new(index), file.etag)
            }
        };
        let now = Held {
            index: Arc::clone(&index),
            etag,
            checked_at: Some(Instant::now()),
        };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(index)
    }

    async fn read(&self, bytes: Bytes) -> Result<ChartIndex, SourceError> {
        let limits = self.limits.index;
        // A large one takes a second.
        let read = tokio::task::spawn_blocking(move || ChartIndex::read(&bytes, &limits)).await;
        let read = read.map_err(|_| SourceError::Broken("its index could not be read".into()))?;
        read.map_err(|error| SourceError::Broken(format!("its index cannot be read: {error}").into()))
    }

    /// Without it the index is not there after a start without the repository.
    async fn keep(&self, index: &ChartIndex, bytes: Bytes) {
        if index.passed_over > 0 {
            tracing::info!(
                upstream = %self.place, versions = index.len(), passed_over = index.passed_over,
                "an index of charts has versions that cannot be kept: their name, version, URL or digest is none"
            );
        }
        if let Err(error) = self.store.keep_chart_index(&self.place, bytes).await {
            tracing::warn!(%error, upstream = %self.place, "an index of charts was not kept");
        }
    }

    fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The version that a tag means.
    async fn version(&self, chart: &RepoName, tag: &Tag) -> Result<(Arc<ChartIndex>, usize), SourceError> {
        let index = self.index().await?;
        let place = index.find(chart, tag).ok_or(SourceError::NotFound)?;
        Ok((index, place))
    }

    /// What a version is as an artifact, if that is known already.
    fn known(&self, chart: &RepoName, version: &ChartVersion) -> Option<Arc<Artifact>> {
        let known = self.artifacts.get(&(chart.clone(), version.tag.clone()))?;
        known.is_of(version).then_some(known)
    }

    /// Fetches a version's archive and makes an artifact of it.
    async fn make(&self, chart: &RepoName, version: &ChartVersion) -> Result<Arc<Artifact>, SourceError> {
        let archive = self.fetch(version).await?;
        let provenance = self.provenance(version).await;
        let artifact = Arc::new(Artifact::of(version, &archive, &provenance));
        let (key, digest) = ((chart.clone(), version.tag.clone()), artifact.digest);
        self.bytes.insert(artifact.archive, archive);
        if let (Some(digest), Provenance::Signed(bytes)) = (artifact.provenance, provenance) {
            self.bytes.insert(digest, bytes);
        }
        self.artifacts.insert(key.clone(), Arc::clone(&artifact));
        self.names.insert(digest, key);
        Ok(artifact)
    }

    async fn fetch(&self, version: &ChartVersion) -> Result<Bytes, SourceError> {
        let archive = self
            .files
            .archive(&version.url, self.limits.chart_bytes)
            .await?
            .bytes;
        let found = Digest::of(Algorithm::Sha256, &archive);
        match version.digest {
            Some(stated) if stated != found => {
                let offence = format!(
                    "the archive of {} {} has digest {found}, not {stated} as its index says",
                    version.name, version.version
                );
                Err(SourceError::Broken(offence.into()))
            }
            _ => Ok(archive),
        }
    }

    /// What is signed of a version. Whoever pulls the chart gets it all the same where that cannot be had.
    async fn provenance(&self, version: &ChartVersion) -> Provenance {
        let most = self.limits.provenance_bytes;
        let error = match self.files.provenance(&version.url, most).await {
            Ok(file) => return Provenance::Signed(file.bytes),
            Err(error) => error,
        };
        match error {
            SourceError::NotFound => Provenance::Unsigned,
            // Some servers say it of what is not there, others answer a page.
            SourceError::Denied(_)
            | SourceError::Refused { .. }
            | SourceError::Broken(_)
            | SourceError::TooLarge { .. } => {
                tracing::info!(
                    %error, chart = &*version.name, version = &*version.version,
                    "a chart has a provenance file that is not taken"
                );
                Provenance::Unsigned
            }
            // It may be had another time.
            _ => Provenance::Unknown,
        }
    }

    /// The bytes of a blob that one of the artifacts of a chart has.
    async fn content(&self, chart: &RepoName, digest: &Digest) -> Result<Bytes, SourceError> {
        if let Some(bytes) = self.bytes.get(digest) {
            return Ok(bytes);
        }
        let mine = self.artifacts.iter().find(|(key, artifact)| {
            let has = [artifact.config_digest(), artifact.archive].contains(digest)
                || artifact.provenance == Some(*digest);
            key.0 == *chart && has
        });
        let (key, artifact) = mine.ok_or(SourceError::NotFound)?;
        if artifact.config_digest() == *digest {
            return Ok(artifact.config.clone());
        }
        let (index, place) = self.version(chart, &key.1).await?;
        let version = &index.versions(chart)[place];
        let bytes = if artifact.archive == *digest {
            self.fetch(version).await?
        } else {
            let most = self.limits.provenance_bytes;
            self.files.provenance(&version.url, most).await?.bytes
        };
        if Digest::of(Algorithm::Sha256, &bytes) != *digest {
            return Err(SourceError::NotFound);
        }
        Ok(bytes)
    }
}

impl Source for ChartRepository {
    fn head_manifest<'a>(&'a self, repo: &'a RepoName, reference: &'a Reference) -> Asked<'a, SourceHead> {
        Box::pin(async move {
            let Reference::Tag(tag) = reference else {
                return Err(SourceError::NotFound);
            };
            let (index, place) = self.version(repo, tag).await?;
            let known = self.known(repo, &index.versions(repo)[place]);
            Ok(SourceHead {
                digest: known.map(|artifact| artifact.digest),
            })
        })
    }

    fn manifest<'a>(
        &'a self,
        repo: &'a RepoName,
        reference: &'a Reference,
        most: usize,
    ) -> Asked<'a, SourceManifest> {
        Box::pin(async move {
            let artifact = match reference {
                Reference::Digest(digest) => {
                    let key = self.names.get(digest).filter(|(chart, _)| chart == repo);
                    let artifact = key.and_then(|key| self.artifacts.get(&key));
                    let artifact = artifact.filter(|artifact| artifact.digest == *digest);
                    artifact.ok_or(SourceError::NotFound)?
                }
                Reference::Tag(tag) => {
                    let (index, place) = self.version(repo, tag).await?;
                    let version = &index.versions(repo)[place];
                    match self.known(repo, version) {
                        Some(artifact) => artifact,
                        None => self.make(repo, version).await?,
                    }
                }
            };
            if artifact.manifest.len() > most {
                return Err(SourceError::TooLarge { most: most as u64 });
            }
            Ok(SourceManifest {
                bytes: artifact.manifest.clone(),
                media_type: Some(oci::media_type::OCI_IMAGE_MANIFEST.to_owned()),
                digest: artifact.digest,
            })
        })
    }

    fn blob<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest, from: u64) -> Asked<'a, SourceBlob> {
        Box::pin(async move {
            let whole = self.content(repo, digest).await?;
            let start = usize::try_from(from).unwrap_or(usize::MAX).min(whole.len());
            let rest = whole.slice(start..);
            Ok(SourceBlob {
                size: Some(whole.len() as u64),
                from: start as u64,
                body: Box::pin(stream::iter([Ok(rest)])),
            })
        })
    }

    fn tags<'a>(&'a self, repo: &'a RepoName, most: usize) -> Asked<'a, Vec<Tag>> {
        Box::pin(async move {
            let index = self.index().await?;
            let tags = index
                .versions(repo)
                .iter()
                .take(most)
                .map(|version| version.tag.clone());
            Ok(tags.collect())
        })
    }

    fn budget_left(&self) -> SourceBudget {
        self.files.budget_left()
    }

    fn spent(&self) -> Vec<SourceSpent> {
        self.files.spent()
    }

    fn recall(&self, spent: &[SourceSpent]) {
        self.files.recall(spent);
    }

    fn heard_since(&self, moment: std::time::Instant) -> bool {
        self.files.heard_since(moment)
    }
}

/// The versions of charts, by chart.
type Charts = HashMap<RepoName, Vec<ChartVersion>>;

#[cfg(test)]
mod tests;
