//! The reports of an image's layers.

use std::{
    collections::{BTreeSet, HashMap},
    io::Read as _,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use findings::{CONFIG_BYTES, ImageConfig, ImageReport, LayerReport, NotScannable, ReadConfig};
use moka::sync::Cache;
use oci::{Descriptor, Digest, Manifest, RepoName};
use policy::{Unknown, UnknownKind};
use store::{JobPriority, Store, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

mod weight;

/// Bytes of reports kept in memory: the base of many images is decoded once.
const CACHE_BYTES: u64 = 48 << 20;

/// An image whose reports take more memory than this is the only such one that is worked on.
const LIGHT: u64 = 64 << 20;

/// Whose turn it is to hold more. Of the whole process: judges, pushes, previews and whoever asks for a report share its memory.
static HEAVY: Semaphore = Semaphore::const_new(1);

/// Reports that were read for many images at once.
#[derive(Default)]
pub(super) struct Ahead(HashMap<Digest, Weighed>);

/// A report, with the bytes that it takes: to weigh one is to walk through all of it.
#[derive(Clone)]
struct Weighed {
    made_at: Timestamp,
    report: Arc<LayerReport>,
    bytes: usize,
}

impl Weighed {
    fn new(made_at: Timestamp, report: LayerReport) -> Self {
        Self {
            made_at,
            bytes: weight::of(&report),
            report: Arc::new(report),
        }
    }
}

impl Ahead {
    /// The reports of all blobs of an image. `None`: it has to be gathered by itself, because a report was not read or is not there, it
    /// is large, or a layer is foreign.
    pub(super) fn gather(&self, manifest: &Manifest) -> Option<Gathered> {
        let mut gathered = Gathered::default();
        let mut weight = 0;
        let mut report = |blob: &Descriptor| {
            let weighed = self.0.get(&blob.digest)?;
            weight += weighed.bytes as u64;
            (weight <= LIGHT && !blob.is_foreign()).then(|| Arc::clone(&weighed.report))
        };
        if let Some(config) = &manifest.config {
            gathered.set_config(config, Some(report(config)?));
        }
        for layer in &manifest.layers {
            gathered.push_layer(layer, Some(report(layer)?));
        }
        Some(gathered)
    }
}

/// Reads reports, and asks for those that are not there. Clones share what they remember.
#[derive(Clone)]
pub(crate) struct Evidence {
    store: Store,
    image_memory: u64,
    /// [`LIGHT`].
    light: u64,
    reports: Cache<Digest, Weighed>,
}

/// What is known of an image's bytes.
#[derive(Default)]
pub(crate) struct Gathered {
    /// The layers that could be had, lowest first.
    pub(crate) image: ImageReport,
    /// Digest of the uncompressed bytes of every layer, where it is known.
    pub(crate) diff_ids: Vec<Option<String>>,
    /// The configuration, if it is that of an image.
    pub(crate) config: Option<ImageConfig>,
    /// What the configuration's report found.
    pub(crate) config_report: Option<Arc<LayerReport>>,
    /// What could not be found out.
    pub(crate) unknowns: Vec<Unknown>,
    /// Bytes that the reports of the layers take in memory.
    pub(crate) bytes: u64,
    /// Held for as long as the reports are, if they are many.
    turn: Option<SemaphorePermit<'static>>,
}

impl Gathered {
    /// Takes the report of the configuration, or that there is none.
    pub(crate) fn set_config(&mut self, config: &Descriptor, report: Option<Arc<LayerReport>>) {
        let Some(report) = report else {
            self.unknowns.push(absent(config));
            return;
        };
        self.config = report.config.as_deref().cloned();
        self.config_report = Some(report);
    }

    /// Takes the report of the next layer, or that there is none.
    pub(crate) fn push_layer(&mut self, layer: &Descriptor, report: Option<Arc<LayerReport>>) {
        let Some(report) = report else {
            self.unknowns.push(absent(layer));
            self.diff_ids.push(None);
            return;
        };
        note_unknowns(&report, &mut self.unknowns);
        note_other_table(layer, &report, &mut self.unknowns);
        self.diff_ids
            .push(report.diff_id.map(|digest| digest.to_string()));
        self.image.layers.push(report);
    }
}

impl Evidence {
    /// Over a store. `image_memory`: bytes that the reports of one image may take.
    pub(crate) fn new(store: Store, image_memory: u64) -> Self {
        let reports = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, weighed: &Weighed| u32::try_from(weighed.bytes).unwrap_or(u32::MAX))
            .build();
        Self {
            store,
            image_memory,
            light: LIGHT,
            reports,
        }
    }

    /// Reads the reports of many images at once, as far as they are small and take no more than `most` bytes.
    pub(super) async fn ahead(&self, blobs: BTreeSet<Digest>, most: u64) -> Result<Ahead> {
        let blobs: Vec<Digest> = blobs.into_iter().collect();
        let made_at = self.store.layer_reports_made_at(&blobs).await?;
        let (mut ahead, mut unread) = (Ahead::default(), Vec::new());
        for blob in blobs {
            // Other analysers make another report, and so does a clamd that is back.
            let Some(made_at) = made_at.get(&blob) else {
                continue;
            };
            match self.reports.get(&blob).filter(|known| known.made_at == *made_at) {
                Some(known) => drop(ahead.0.insert(blob, known)),
                None => unread.push(blob),
            }
        }
        for (made_at, report) in self.store.small_layer_reports(&unread, most).await? {
            let (blob, weighed) = (report.blob, Weighed::new(made_at, report));
            self.reports.insert(blob, weighed.clone());
            ahead.0.insert(blob, weighed);
        }
        Ok(ahead)
    }

    /// The reports of all blobs of an image. `None`: one of them was not looked into yet; it is asked for.
    pub(crate) async fn gather(&self, repo: &RepoName, manifest: &Manifest) -> Result<Option<Gathered>> {
        let mut missing = BTreeSet::new();
        let gathered = self.collect(repo, manifest, &mut missing).await?;
        if missing.is_empty() {
            return Ok(Some(gathered));
        }
        for digest in missing {
            self.store.request_scan(&digest, JobPriority::Asked).await?;
        }
        Ok(None)
    }

    /// The same for whoever only wants to know: nothing is asked for.
    pub(crate) async fn look(&self, repo: &RepoName, manifest: &Manifest) -> Result<Option<Gathered>> {
        let mut missing = BTreeSet::new();
        let gathered = self.collect(repo, manifest, &mut missing).await?;
        Ok(missing.is_empty().then_some(gathered))
    }

    async fn collect(
        &self,
        repo: &RepoName,
        manifest: &Manifest,
        missing: &mut BTreeSet<Digest>,
    ) -> Result<Gathered> {
        let mut gathered = Gathered::default();
        if let Some(config) = &manifest.config {
            let report = self.report(config, missing).await?;
            gathered.set_config(config, report.map(|weighed| weighed.report));
        }
        let mut room = Room::new(self.image_memory);
        for layer in &manifest.layers {
            let report = self.layer_report(repo, layer, missing, &mut room).await?;
            gathered.push_layer(layer, report);
        }
        gathered.turn = room.turn.take();
        gathered.bytes = room.used_with(None);
        room.tell(&mut gathered.unknowns);
        Ok(gathered)
    }

    /// What is known by now of a manifest that is being pushed. What nobody has looked into yet is no unknown: it is only
    /// early. Layers count all together or not at all, because each can replace what lies below it.
    pub(crate) async fn known(&self, repo: &RepoName, manifest: &Manifest) -> Result<Gathered> {
        let mut gathered = Gathered::default();
        let mut missing = BTreeSet::new();
        if let Some(config) = &manifest.config {
            match self.report(config, &mut missing).await? {
                None if missing.contains(&config.digest) => {
                    gathered.config = self.read_config(config).await?;
                }
                report => gathered.set_config(config, report.map(|weighed| weighed.report)),
            }
        }
        missing.clear();
        let mut room = Room::new(self.image_memory);
        for layer in &manifest.layers {
            let report = self.layer_report(repo, layer, &mut missing, &mut room).await?;
            if !missing.is_empty() {
                gathered.image.layers.clear();
                gathered.diff_ids = vec![None; manifest.layers.len()];
                gathered.unknowns.clear();
                break;
            }
            gathered.push_layer(layer, report);
        }
        gathered.turn = room.turn.take();
        gathered.bytes = room.used_with(None);
        room.tell(&mut gathered.unknowns);
        Ok(gathered)
    }

    /// The configuration from its bytes, which are as small and plain as a manifest's. `None`: it is not that of an image.
    async fn read_config(&self, blob: &Descriptor) -> Result<Option<ImageConfig>> {
        if blob.size > CONFIG_BYTES as u64 {
            return Ok(None);
        }
        let Some(file) = self.store.blob_file(&blob.digest).await? else {
            return Ok(None);
        };
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            file.take(CONFIG_BYTES as u64 + 1).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(ReadConfig::parse(&bytes).ok().map(|read| read.config))
        });
        Ok(read.await.context("the reading was lost")??)
    }

    /// The report of a layer. A foreign one was asked of nobody when the image was pushed: only where the repository has it
    /// is it known that whoever pushed it may know what is in it.
    async fn layer_report(
        &self,
        repo: &RepoName,
        layer: &Descriptor,
        missing: &mut BTreeSet<Digest>,
        room: &mut Room,
    ) -> Result<Option<Arc<LayerReport>>> {
        if layer.is_foreign() && !self.store.is_linked(repo, &layer.digest).await? {
            return Ok(None);
        }
        let mut report = self.report(layer, missing).await?;
        if room.turn.is_none() && room.used_with(report.as_ref()) > self.light {
            // Nobody waits with a large report in the hand.
            drop(report);
            room.turn = Some(HEAVY.acquire().await.context("stopping")?);
            report = self.report(layer, missing).await?;
        }
        Ok(room.take(report))
    }

    /// The report of a blob. `None`: there is none, and none will come unless it is among the `missing`.
    async fn report(&self, blob: &Descriptor, missing: &mut BTreeSet<Digest>) -> Result<Option<Weighed>> {
        // Other analysers make another report, and so does a clamd that is back.
        let made_at = self.store.layer_report_made_at(&blob.digest).await?;
        if let Some(made_at) = made_at {
            let known = self.reports.get(&blob.digest);
            if let Some(known) = known.filter(|known| known.made_at == made_at) {
                return Ok(Some(known));
            }
            if let Some(report) = self.store.layer_report(&blob.digest).await? {
                let weighed = Weighed::new(made_at, report);
                self.reports.insert(blob.digest, weighed.clone());
                return Ok(Some(weighed));
            }
        }
        if self.store.has_blob(&blob.digest).await? {
            missing.insert(blob.digest);
        }
        Ok(None)
    }
}

/// Memory that the reports of one image may take while it is judged, in bytes, unless the configuration says otherwise: it may have a
/// thousand layers, each of which fills a report.
pub(crate) const IMAGE_MEMORY: u64 = 1 << 30;

/// What is left of it.
struct Room {
    bytes: u64,
    left: u64,
    is_exceeded: bool,
    /// Held once the image is large.
    turn: Option<SemaphorePermit<'static>>,
}

impl Room {
    fn new(bytes: u64) -> Self {
        Self {
            bytes,
            left: bytes,
            is_exceeded: false,
            turn: None,
        }
    }

    /// Bytes that are taken once this report is, too.
    fn used_with(&self, report: Option<&Weighed>) -> u64 {
        self.bytes - self.left + report.map_or(0, |weighed| weighed.bytes) as u64
    }

    fn take(&mut self, report: Option<Weighed>) -> Option<Arc<LayerReport>> {
        let Weighed { report, bytes, .. } = report?;
        let Some(left) = self.left.checked_sub(bytes as u64) else {
            self.is_exceeded = true;
            return None;
        };
        self.left = left;
        Some(report)
    }

    fn tell(&self, unknowns: &mut Vec<Unknown>) {
        if self.is_exceeded {
            unknowns.push(Unknown {
                kind: UnknownKind::NotScannable,
                detail: "image.reports".to_owned(),
            });
        }
    }
}

/// By these annotations clients know the table of contents that they unpack a layer by, wherever it lies (containers/storage,
/// `pkg/chunked`; stargz-snapshotter, docs/estargz.md).
const NAMES_TABLE: [&str; 2] = [
    "io.github.containers.zstd-chunked.manifest-checksum",
    "containerd.io/snapshot/stargz/toc.digest",
];

/// A layer may hold a table that only the manifest names. What a client would unpack by it is not what was looked into.
fn note_other_table(layer: &Descriptor, report: &LayerReport, unknowns: &mut Vec<Unknown>) {
    let Some(compared) = &report.tables else {
        return;
    };
    let named = NAMES_TABLE
        .into_iter()
        .filter_map(|name| layer.annotations.get(name));
    let is_compared = |named: &str| compared.iter().any(|table| table.to_string() == named);
    if named.into_iter().any(|named| !is_compared(named)) {
        unknowns.push(Unknown {
            kind: UnknownKind::Ambiguous,
            detail: "the manifest names a table of contents for lazy clients that is not the layer's"
                .to_owned(),
        });
    }
}

fn absent(blob: &Descriptor) -> Unknown {
    Unknown {
        kind: UnknownKind::ForeignLayer,
        detail: blob.digest.to_string(),
    }
}

fn note_unknowns(report: &LayerReport, unknowns: &mut Vec<Unknown>) {
    let limits: BTreeSet<&str> = report
        .not_scannable
        .iter()
        .map(|NotScannable { limit, .. }| limit.as_str())
        .collect();
    unknowns.extend(limits.into_iter().map(|limit| Unknown {
        kind: match limit {
            findings::MALFORMED => UnknownKind::MalformedEvidence,
            findings::NO_CLAMD => UnknownKind::NotLookedAtByClamd,
            _ => UnknownKind::NotScannable,
        },
        detail: limit.to_owned(),
    }));
    if let Some(oddity) = report.oddities.first() {
        unknowns.push(Unknown {
            kind: UnknownKind::Ambiguous,
            detail: oddity.what.clone(),
        });
    }
}

#[cfg(test)]
mod tests;
