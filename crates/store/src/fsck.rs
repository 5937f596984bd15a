//! Checking what is stored against its digests, while serving.
//!
//! What is checked may change meanwhile: before anything is called damaged, the row is asked again whether it still
//! means this file. Memory is bounded by one page of rows and the list of damages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oci::Digest;
use sea_orm::FromQueryResult;
use serde::Serialize;
use serde_json::json;

use crate::blob::{self, BlobState};
use crate::db::sql;
use crate::event::EventKind;
use crate::files::{FilesError, Location};
use crate::{Actor, Store, StoreError};

mod children;
mod images;
mod reasons;

pub use images::IMAGES_LISTED;
use images::Needed;

/// Rows of blobs read at a time.
const BLOBS_PER_PAGE: i64 = 200;
/// Manifests read at a time, of up to 4 MiB each.
const MANIFESTS_PER_PAGE: i64 = 4;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DamageKind {
    /// The file of a blob is gone.
    Missing,
    /// The file of a blob has other bytes than its digest says, or is no file.
    Corrupt,
    /// The file of a blob could not be read.
    Unreadable,
    /// A file that no row names (collected after the time of grace).
    Orphan,
    /// The bytes of a manifest do not have its digest.
    ManifestCorrupt,
    /// A manifest that an index names is not in the index's repository.
    ChildMissing,
    /// The reasons of decisions do not have their digest, or cannot be unpacked.
    ReasonsCorrupt,
    /// The reasons of decisions are gone.
    ReasonsMissing,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What kind.
    pub kind: DamageKind,
    /// The blob, manifest or text of reasons; `None` for an orphan.
    pub digest: Option<Digest>,
    /// The file below the data directory; `None` for what is in the database.
    pub location: Option<String>,
    /// Whether it was put into quarantine: it counts as unknown from now on, and clients push it again. Of reasons: whether the images
    /// that have them are judged again, which makes them anew.
    pub quarantined: bool,
    /// Whether an earlier check or a pull has found it: it counts as unknown since, until somebody pushes it again.
    pub known: bool,
    /// Images that cannot be pulled because of it, such as `team/app:1.0`, at most [`IMAGES_LISTED`]; by digest where no
    /// tag leads to them. Of reasons: images whose reasons cannot be told; they are served as they were decided.
    pub needed_by: Vec<String>,
    /// Whether there are more of them.
    pub needed_by_more: bool,
}

impl Damage {
    fn of(kind: DamageKind) -> Self {
        Self {
            kind,
            digest: None,
            location: None,
            quarantined: false,
            known: false,
            needed_by: Vec::new(),
            needed_by_more: false,
        }
    }
}

/// How to check.
#[derive(Debug, Clone, Default)]
pub struct FsckOptions {
    /// Move what is corrupt away and treat it and what is missing as unknown; have images judged again whose reasons are.
    pub quarantine: bool,
    /// Only compare sizes; do not read the files.
    pub quick: bool,
    /// Set it to end the check early.
    pub cancel: Arc<AtomicBool>,
}

/// How far the check is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FsckProgress {
    /// Blobs checked.
    pub blobs: u64,
    /// Blobs that there were when the check began.
    pub blobs_total: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Manifests checked.
    pub manifests: u64,
    /// Texts of reasons checked.
    pub reasons: u64,
}

/// Damages listed in one report; what comes on top is only counted.
pub const DAMAGES_LISTED: usize = 10_000;

/// What the check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FsckReport {
    /// How far it came.
    pub progress: FsckProgress,
    /// What is wrong, at most [`DAMAGES_LISTED`].
    pub damages: Vec<Damage>,
    /// How much is wrong, orphans and what was known before excepted.
    pub damaged: u64,
    /// How much was known before: blobs that images need, that count as unknown and that nobody has pushed
    /// again.
    pub known: u64,
    /// Files that no row names.
    pub orphans: u64,
    /// Whether it ended early.
    pub cancelled: bool,
}

impl Store {
    /// Checks every blob, every manifest and the reasons of all decisions; `progress` is called now and then from the checking task.
    pub async fn fsck(
        &self,
        options: FsckOptions,
        progress: impl FnMut(FsckProgress) + Send + 'static,
    ) -> Result<FsckReport, StoreError> {
        let total: Option<sql::Number> =
            sql::first(self.inner.db.read(), "SELECT COUNT(*) AS number FROM blob", []).await?;
        let mut report = FsckReport::default();
        report.progress.blobs_total = sql::from_db(total.map_or(0, |row| row.number));
        let check = Check {
            store: self.clone(),
            options,
            progress: Box::new(progress),
            report,
        };
        tokio::spawn(check.run()).await?
    }
}

/// A running check.
struct Check {
    store: Store,
    options: FsckOptions,
    progress: Box<dyn FnMut(FsckProgress) + Send>,
    report: FsckReport,
}

#[derive(FromQueryResult)]
struct BlobRow {
    id: i64,
    digest: String,
    size: i64,
    location: String,
    state: i64,
}

#[derive(FromQueryResult)]
struct ContentRow {
    id: i64,
    digest: String,
    bytes: Vec<u8>,
}

impl Check {
    async fn run(mut self) -> Result<FsckReport, StoreError> {
        self.blobs().await?;
        self.manifests().await?;
        self.children().await?;
        self.reasons().await?;
        self.orphans().await?;
        self.report.cancelled = self.is_cancelled();
        let FsckReport {
            progress,
            damaged,
            known,
            orphans,
            cancelled,
            ..
        } = &self.report;
        let body = json!({
            "progress": progress, "damaged": damaged, "known": known, "orphans": orphans, "cancelled": cancelled,
        });
        self.store
            .note(&actor(), EventKind::FsckFinish, "store".to_owned(), body)
            .await?;
        Ok(self.report)
    }

    fn is_cancelled(&self) -> bool {
        self.options.cancel.load(Ordering::Relaxed)
    }

    async fn blobs(&mut self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let sql = "SELECT id, digest, size, location, state FROM blob WHERE id > $1 ORDER BY id LIMIT $2";
            let values = [after.into(), BLOBS_PER_PAGE.into()];
            let page: Vec<BlobRow> = sql::all(self.store.inner.db.read(), sql, values).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for row in page {
                if self.is_cancelled() {
                    return Ok(());
                }
                self.blob(row).await?;
                self.report.progress.blobs += 1;
                (self.progress)(self.report.progress);
            }
        }
    }

    async fn blob(&mut self, row: BlobRow) -> Result<(), StoreError> {
        let (digest, location) = (
            blob::parse_digest(&row.digest)?,
            blob::parse_location(&row.location)?,
        );
        let known = match row.state {
            0 => None,
            state if state == BlobState::Missing.number() => Some(DamageKind::Missing),
            _ => Some(DamageKind::Corrupt),
        };
        let needed = Needed::Blob { id: row.id, digest };
        let damage = |kind, quarantined| Damage {
            digest: Some(digest),
            location: Some(location.to_string()),
            quarantined,
            ..Damage::of(kind)
        };
        if let Some(kind) = known {
            let known = Damage {
                known: true,
                ..damage(kind, true)
            };
            return self.needed(known, needed).await;
        }
        let Some(kind) = self.examine(digest, location, sql::from_db(row.size)).await? else {
            return Ok(());
        };
        if !self.store.named(&[location]).await?.contains(&location) {
            return Ok(());
        }
        let quarantined = self.options.quarantine && self.quarantine(kind, digest, location).await?;
        self.needed(damage(kind, quarantined), needed).await
    }

    /// What is wrong with the file, if anything is.
    async fn examine(
        &mut self,
        digest: Digest,
        location: Location,
        size: u64,
    ) -> Result<Option<DamageKind>, StoreError> {
        let files = &self.store.inner.files;
        let found = if self.options.quick {
            files
                .reader()
                .open(location, size)
                .await
                .map(|_| (digest, size))
                .map_err(|error| kind_of(&error))
        } else {
            files.hash_blob(location).await.map_err(|error| kind_of(&error))
        };
        match found {
            Ok((found, len)) => {
                self.report.progress.bytes += if self.options.quick { 0 } else { len };
                Ok((found != digest || len != size).then_some(DamageKind::Corrupt))
            }
            Err(Some(kind)) => Ok(Some(kind)),
            Err(None) => Err(StoreError::Busy),
        }
    }

    /// The row first, then the file, like everything that goes. Answers whether the blob counts as unknown now.
    async fn quarantine(
        &mut self,
        kind: DamageKind,
        digest: Digest,
        location: Location,
    ) -> Result<bool, StoreError> {
        let state = match kind {
            DamageKind::Missing => BlobState::Missing,
            DamageKind::Corrupt => BlobState::Quarantined,
            // The disk may read it tomorrow.
            _ => return Ok(false),
        };
        if !self.store.mark_blob(digest, location, state, actor()).await? {
            return Ok(false);
        }
        if kind == DamageKind::Corrupt
            && let Err(error) = self.store.inner.files.quarantine(location).await
        {
            tracing::error!(%location, %error, "a damaged file could not be moved into quarantine");
        }
        Ok(true)
    }

    async fn manifests(&mut self) -> Result<(), StoreError> {
        let mut after = 0;
        while !self.is_cancelled() {
            let sql = "SELECT id, digest, bytes FROM manifest_content WHERE id > $1 ORDER BY id LIMIT $2";
            let values = [after.into(), MANIFESTS_PER_PAGE.into()];
            let page: Vec<ContentRow> = sql::all(self.store.inner.db.read(), sql, values).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for row in page {
                let digest = blob::parse_digest(&row.digest)?;
                if Digest::of(digest.algorithm(), &row.bytes) != digest {
                    let damage = Damage {
                        digest: Some(digest),
                        ..Damage::of(DamageKind::ManifestCorrupt)
                    };
                    self.needed(damage, Needed::Content(row.id)).await?;
                }
                self.report.progress.manifests += 1;
            }
            (self.progress)(self.report.progress);
        }
        Ok(())
    }

    async fn orphans(&mut self) -> Result<(), StoreError> {
        let mut listing = self.store.inner.files.list_blobs();
        while let Some(entries) = listing.next().await {
            if self.is_cancelled() {
                return Ok(());
            }
            let found: Vec<Location> = entries?.into_iter().map(|entry| entry.location).collect();
            for location in self.store.orphans(&found).await? {
                self.damage(Damage {
                    location: Some(location.to_string()),
                    ..Damage::of(DamageKind::Orphan)
                });
            }
        }
        Ok(())
    }

    /// Something that images need. What was put away and none needs any more is only waiting for its collection.
    async fn needed(&mut self, mut damage: Damage, what: Needed) -> Result<(), StoreError> {
        if damage.known || self.report.damages.len() < DAMAGES_LISTED {
            let images = self.store.images_that_need(what).await?;
            if damage.known && images.names.is_empty() {
                return Ok(());
            }
            damage.needed_by = images.names;
            damage.needed_by_more = images.more;
        }
        self.damage(damage);
        Ok(())
    }

    fn damage(&mut self, damage: Damage) {
        if damage.kind == DamageKind::Orphan {
            self.report.orphans += 1;
        } else if damage.known {
            self.report.known += 1;
        } else {
            self.report.damaged += 1;
        }
        if self.report.damages.len() < DAMAGES_LISTED {
            self.report.damages.push(damage);
        }
    }
}

fn actor() -> Actor {
    Actor::system("fsck")
}

/// What an error of the files says about the blob; `None` if it says something about the moment only.
fn kind_of(error: &FilesError) -> Option<DamageKind> {
    match error {
        FilesError::BlobMissing { .. } => Some(DamageKind::Missing),
        FilesError::Damaged { .. } | FilesError::NotAFile { .. } => Some(DamageKind::Corrupt),
        FilesError::Busy { .. } | FilesError::Pool(_) => None,
        _ => Some(DamageKind::Unreadable),
    }
}

#[cfg(test)]
mod tests;
