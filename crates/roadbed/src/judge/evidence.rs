//! The reports of an image's layers.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Result;
use findings::{ImageConfig, ImageReport, LayerReport, NotScannable};
use moka::sync::Cache;
use oci::{Descriptor, Digest, Manifest};
use policy::{Unknown, UnknownKind};
use store::{JobPriority, Store};

/// Bytes of reports kept in memory: the base of many images is decoded once.
const CACHE_BYTES: u64 = 48 << 20;

/// What of a report is not counted by its lists.
const OVERHEAD: usize = 4_096;

/// Reads reports, and asks for those that are not there.
pub(crate) struct Evidence {
    store: Store,
    reports: Cache<Digest, Arc<LayerReport>>,
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
        self.diff_ids
            .push(report.diff_id.map(|digest| digest.to_string()));
        self.image.layers.push(report);
    }
}

impl Evidence {
    /// Over a store.
    pub(crate) fn new(store: Store) -> Self {
        let reports = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, report: &Arc<LayerReport>| u32::try_from(weight(report)).unwrap_or(u32::MAX))
            .build();
        Self { store, reports }
    }

    /// The reports of all blobs of an image. `None`: one of them was not looked into yet; it is asked for.
    pub(crate) async fn gather(&self, manifest: &Manifest) -> Result<Option<Gathered>> {
        let mut gathered = Gathered::default();
        let mut missing = BTreeSet::new();
        if let Some(config) = &manifest.config {
            let report = self.report(config, &mut missing).await?;
            gathered.set_config(config, report);
        }
        for layer in &manifest.layers {
            let report = self.report(layer, &mut missing).await?;
            gathered.push_layer(layer, report);
        }
        if missing.is_empty() {
            return Ok(Some(gathered));
        }
        for digest in missing {
            self.store.request_scan(&digest, JobPriority::Asked).await?;
        }
        Ok(None)
    }

    /// The report of a blob. `None`: there is none, and none will come unless it is among the `missing`.
    async fn report(
        &self,
        blob: &Descriptor,
        missing: &mut BTreeSet<Digest>,
    ) -> Result<Option<Arc<LayerReport>>> {
        if let Some(report) = self.reports.get(&blob.digest) {
            return Ok(Some(report));
        }
        if let Some(report) = self.store.layer_report(&blob.digest).await? {
            let report = Arc::new(report);
            self.reports.insert(blob.digest, Arc::clone(&report));
            return Ok(Some(report));
        }
        if self.store.has_blob(&blob.digest).await? {
            missing.insert(blob.digest);
        }
        Ok(None)
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
        kind: UnknownKind::NotScannable,
        detail: limit.to_owned(),
    }));
    if let Some(oddity) = report.oddities.first() {
        unknowns.push(Unknown {
            kind: UnknownKind::Ambiguous,
            detail: oddity.what.clone(),
        });
    }
}

/// Bytes that a report takes, roughly.
fn weight(report: &LayerReport) -> usize {
    let packages: usize = report.units.iter().map(|unit| unit.unit.packages.len()).sum();
    OVERHEAD
        + report.listing.len()
        + packages * 400
        + report.units.len() * 200
        + report.findings.len() * 400
        + (report.whiteouts.len() + report.opaque.len()) * 100
}
