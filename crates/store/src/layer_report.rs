//! What was found in layers: kept by the digest that the registry verified, once per blob whatever images have it.
//!
//! A report outlives its blob: what was once known of an image is not forgotten with its bytes. An upgrade of the analysers
//! makes a new one that takes the old one's place when it stands.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use findings::{LayerReport, Listing};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use oci::{Digest, RepoName};
use sea_orm::{FromQueryResult, Value};

use crate::db::{Tx, sql};
use crate::job::{self, Job, JobKind};
use crate::{Store, StoreError, Timestamp};

/// Uncompressed bytes of a report; a worker's answer has a lower cap of its own.
const REPORT_BYTES: u64 = 1 << 30;

/// A report of more uncompressed bytes is read while no other such one is.
const LARGE: u64 = 16 << 20;

/// Largest report with its listing that is read with others, in bytes as it is kept.
const SMALL: u64 = 512 << 10;

/// The same, unpacked.
const SMALL_UNPACKED: u64 = 4 << 20;

/// Reports that are read at a time.
const SMALL_ONES: usize = 100;

/// Whose turn it is to read one.
static LARGE_ONE: Mutex<()> = Mutex::new(());

/// Reports that are looked at in one transaction when analysers have changed.
const OUTDATED_CHUNK: i64 = 10_000;

#[derive(FromQueryResult)]
struct Row {
    report: Vec<u8>,
    listing: Vec<u8>,
}

#[derive(FromQueryResult)]
struct LastRow {
    text: Option<String>,
}

#[derive(FromQueryResult)]
struct BlobRow {
    size: i64,
    location: String,
}

#[derive(FromQueryResult)]
struct KnownRow {
    digest: String,
    analysers: String,
}

#[derive(FromQueryResult)]
struct SmallRow {
    digest: String,
    made_at: i64,
    report: Vec<u8>,
    listing: Vec<u8>,
}

#[derive(FromQueryResult)]
struct MadeRow {
    digest: String,
    made_at: i64,
}

impl Store {
    /// What is known of a blob.
    pub async fn layer_report(&self, digest: &Digest) -> Result<Option<LayerReport>, StoreError> {
        let sql = "SELECT report, listing FROM layer_report WHERE digest = $1";
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, [digest.to_string().into()]).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let digest = *digest;
        self.aside(move || {
            let mut report = decode(&digest, &row.report, REPORT_BYTES)?;
            report.listing = Listing::from_bytes(row.listing);
            Ok(Some(report))
        })
        .await
    }

    /// Reads or writes a report on a thread that serves nobody, and so many at a time as there are cores: each of them may take a
    /// second and a gibibyte.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let places = Arc::clone(&self.inner.reports);
        let place = places.acquire_owned().await;
        // The place goes with the work: it is taken until that is done, also when nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await?
    }

    /// Reports of many blobs, with the moment at which each was made; of those that are small, and no more than `most` bytes of them
    /// together, unpacked. Whoever wants the others asks for them one by one.
    pub async fn small_layer_reports(
        &self,
        digests: &[Digest],
        most: u64,
    ) -> Result<Vec<(Timestamp, LayerReport)>, StoreError> {
        let (mut found, mut left) = (Vec::with_capacity(digests.len()), most);
        for chunk in digests.chunks(SMALL_ONES) {
            let sql = format!(
                "SELECT digest, made_at, report, listing FROM layer_report WHERE digest IN ({}) \
                 AND length(report) + length(listing) <= $1",
                sql::placeholders(2, chunk.len())
            );
            let most = std::iter::once(Value::from(sql::to_db(SMALL)));
            let values = most.chain(chunk.iter().map(|digest| digest.to_string().into()));
            let rows: Vec<SmallRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            let room = left;
            let (read, used) = self.aside(move || read_small(rows, room)).await?;
            found.extend(read);
            left = left.saturating_sub(used);
            if left == 0 {
                break;
            }
        }
        Ok(found)
    }

    /// When the reports of blobs were made; those that have none are not among them.
    pub async fn layer_reports_made_at(
        &self,
        digests: &[Digest],
    ) -> Result<HashMap<Digest, Timestamp>, StoreError> {
        let mut found = HashMap::with_capacity(digests.len());
        for chunk in digests.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT digest, made_at FROM layer_report WHERE digest IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let values = chunk.iter().map(|digest| digest.to_string().into());
            let rows: Vec<MadeRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            for row in rows {
                found.insert(crate::blob::parse_digest(&row.digest)?, Timestamp(row.made_at));
            }
        }
        Ok(found)
    }

    /// When the report of a blob was made, if there is one.
    pub async fn layer_report_made_at(&self, digest: &Digest) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT made_at AS number FROM layer_report WHERE digest = $1";
        let row: Option<sql::Number> =
            sql::first(self.inner.db.read(), sql, [digest.to_string().into()]).await?;
        Ok(row.map(|row| Timestamp(row.number)))
    }

    /// Which of `digests` were looked into, and by which analysers.
    pub async fn known_layers(&self, digests: &[Digest]) -> Result<Vec<(Digest, String)>, StoreError> {
        let mut known = Vec::with_capacity(digests.len());
        for chunk in digests.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT digest, analysers FROM layer_report WHERE digest IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let values = chunk.iter().map(|digest| digest.to_string().into());
            for row in sql::all::<KnownRow>(self.inner.db.read(), &sql, values).await? {
                known.push((crate::blob::parse_digest(&row.digest)?, row.analysers));
            }
        }
        Ok(known)
    }

    /// The open file of a blob that is good, for the process that looks into it. It is read-only, and stays readable even if
    /// the blob is deleted meanwhile.
    pub async fn blob_file(&self, digest: &Digest) -> Result<Option<File>, StoreError> {
        let sql = "SELECT size, location FROM blob WHERE digest = $1 AND state = 0";
        let row: Option<BlobRow> = sql::first(self.inner.db.read(), sql, [digest.to_string().into()]).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let (location, size) = (
            crate::blob::parse_location(&row.location)?,
            sql::from_db(row.size),
        );
        match self.inner.files.reader().file(location, size).await {
            Ok(file) => Ok(Some(file)),
            Err(error) => self.lost(*digest, location, &error).await.map(|()| None),
        }
    }

    /// Whether the blob is here and good.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM blob WHERE digest = $1 AND state = 0";
        let row: Option<sql::Id> = sql::first(self.inner.db.read(), sql, [digest.to_string().into()]).await?;
        Ok(row.is_some())
    }

    /// Has blobs looked into again that other analysers have looked into; old reports stand until there are new ones. Answers
    /// how many.
    pub async fn request_outdated_scans(&self, analysers: &str) -> Result<u64, StoreError> {
        let (mut asked, mut after) = (0, String::new());
        loop {
            let sql = "SELECT MAX(digest) AS text FROM (SELECT digest FROM layer_report WHERE digest > $1 \
                       ORDER BY digest LIMIT $2) AS part";
            let values = [after.clone().into(), OUTDATED_CHUNK.into()];
            let last: Option<LastRow> = sql::first(self.inner.db.read(), sql, values).await?;
            let Some(last) = last.and_then(|row| row.text) else {
                return Ok(asked);
            };
            let (analysers, first) = (analysers.to_owned(), std::mem::replace(&mut after, last.clone()));
            asked += self
                .write(move |tx| Box::pin(async move { outdate(tx, &analysers, first, last).await }))
                .await?;
        }
    }

    /// Whether a repository has a blob, by a push or a mount.
    pub async fn is_linked(&self, repo: &RepoName, digest: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT b.id FROM repository_blob l JOIN repository r ON r.id = l.repository_id \
                   JOIN blob b ON b.id = l.blob_id WHERE r.name = $1 AND b.digest = $2";
        let values = [repo.as_str().into(), digest.to_string().into()];
        let row: Option<sql::Id> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.is_some())
    }

    /// Keeps what a job found, and wakes the images that waited for it. Nothing is kept of a worker that took so long that the job is
    /// somebody else's or done.
    pub async fn finish_scan(&self, job: &Job, report: LayerReport) -> Result<(), StoreError> {
        let (job, digest) = (job.clone(), report.blob);
        let (body, listing) = self.aside(move || encode(report)).await?;
        self.write(move |tx| Box::pin(async move { keep(tx, &job, digest, body, listing).await }))
            .await
    }

    /// Keeps what a job found for now, wakes the images that waited for it, and has the blob looked into again after `again`:
    /// something that was to look at it was away.
    pub async fn keep_scan(&self, job: &Job, report: LayerReport, again: Duration) -> Result<(), StoreError> {
        let (job, digest) = (job.clone(), report.blob);
        let (body, listing) = self.aside(move || encode(report)).await?;
        self.write(move |tx| {
            Box::pin(async move {
                if !job::is_held(tx, &job).await? {
                    return Ok(());
                }
                let priority = put(tx, digest, body, listing).await?;
                job::put_off(tx, &job, again).await?;
                wake_images(tx, &digest, priority).await
            })
        })
        .await
    }
}

/// A report as it is written: what it says by itself, deflated, and its listing.
pub(crate) struct Body {
    analysers: String,
    is_whole: bool,
    deflated: Vec<u8>,
}

pub(crate) fn encode(mut report: LayerReport) -> Result<(Body, Vec<u8>), StoreError> {
    let listing = std::mem::take(&mut report.listing).into_bytes();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let unwritable =
        |error: std::io::Error| StoreError::damaged(format!("a report cannot be written: {error}"));
    let json = serde_json::to_vec(&report)
        .map_err(|error| StoreError::damaged(format!("a report cannot be written: {error}")))?;
    encoder.write_all(&json).map_err(unwritable)?;
    let body = Body {
        is_whole: report.not_scannable.is_empty(),
        deflated: encoder.finish().map_err(unwritable)?,
        analysers: report.analysers,
    };
    Ok((body, listing))
}

fn decode(digest: &Digest, deflated: &[u8], most: u64) -> Result<LayerReport, StoreError> {
    let damaged = |error: &dyn std::fmt::Display| StoreError::damaged(format!("report of {digest}: {error}"));
    let mut json = Vec::new();
    let mut inflated = ZlibDecoder::new(deflated).take(LARGE.min(most + 1));
    inflated.read_to_end(&mut json).map_err(|error| damaged(&error))?;
    let is_large = json.len() as u64 == LARGE;
    let turn = is_large.then(|| LARGE_ONE.lock().unwrap_or_else(PoisonError::into_inner));
    if is_large {
        inflated.set_limit((most + 1).saturating_sub(LARGE));
        inflated.read_to_end(&mut json).map_err(|error| damaged(&error))?;
    }
    if json.len() as u64 > most {
        return Err(damaged(&format_args!("it has more than {most} bytes")));
    }
    let report = serde_json::from_slice(&json).map_err(|error| damaged(&error));
    drop(turn);
    report
}

/// Reads reports until they take `room` bytes, and says how many they take. One that is damaged or larger than it looked is left out:
/// whoever asks for it alone is told.
fn read_small(rows: Vec<SmallRow>, room: u64) -> Result<(Vec<(Timestamp, LayerReport)>, u64), StoreError> {
    let (mut read, mut used) = (Vec::with_capacity(rows.len()), 0_u64);
    for row in rows {
        if used >= room {
            break;
        }
        let digest = crate::blob::parse_digest(&row.digest)?;
        let mut json = Vec::new();
        let inflated = ZlibDecoder::new(row.report.as_slice()).take(SMALL_UNPACKED + 1);
        let is_whole = std::io::BufReader::new(inflated).read_to_end(&mut json).is_ok();
        used = used.saturating_add(json.len() as u64 + row.listing.len() as u64);
        if !is_whole || json.len() as u64 > SMALL_UNPACKED {
            continue;
        }
        let Ok(mut report) = serde_json::from_slice::<LayerReport>(&json) else {
            tracing::warn!(%digest, "a report cannot be read with others");
            continue;
        };
        report.listing = Listing::from_bytes(row.listing);
        read.push((Timestamp(row.made_at), report));
    }
    Ok((read, used))
}

/// Enqueues blobs behind `first` up to `last`.
async fn outdate(tx: &Tx, analysers: &str, first: String, last: String) -> Result<u64, StoreError> {
    let sql = "INSERT INTO job (kind, subject, priority, attempts, ready_at, lease_until, created_at) \
               SELECT $1, l.digest, $2, 0, $3, 0, $3 FROM layer_report l \
               WHERE l.analysers <> $4 AND l.digest > $5 AND l.digest <= $6 \
               AND EXISTS (SELECT 1 FROM blob b WHERE b.digest = l.digest AND b.state = 0) \
               ON CONFLICT (kind, subject) DO NOTHING";
    let values = [
        JobKind::Scan.name().into(),
        (job::JobPriority::Backfill as i64).into(),
        tx.now().micros().into(),
        analysers.into(),
        first.into(),
        last.into(),
    ];
    let asked = sql::execute(tx.sql(), sql, values).await?;
    tx.wake_workers();
    Ok(asked)
}

async fn keep(tx: &Tx, job: &Job, digest: Digest, body: Body, listing: Vec<u8>) -> Result<(), StoreError> {
    if !job::is_held(tx, job).await? {
        return Ok(());
    }
    let priority = put(tx, digest, body, listing).await?;
    job::finish(tx, job).await?;
    wake_images(tx, &digest, priority).await
}

/// Answers when images are to be judged by it: those that were judged by an older report do not go before those that were never
/// judged.
pub(crate) async fn put(
    tx: &Tx,
    digest: Digest,
    body: Body,
    listing: Vec<u8>,
) -> Result<job::JobPriority, StoreError> {
    let sql = "SELECT made_at AS number FROM layer_report WHERE digest = $1";
    let before: Option<sql::Number> = sql::first(tx.sql(), sql, [digest.to_string().into()]).await?;
    let sql = "INSERT INTO layer_report (digest, analysers, is_whole, report, listing, made_at, revision) \
               VALUES ($1, $2, $3, $4, $5, $6, (SELECT COALESCE(MAX(revision), 0) + 1 FROM layer_report)) \
               ON CONFLICT (digest) DO UPDATE SET \
               analysers = excluded.analysers, is_whole = excluded.is_whole, report = excluded.report, \
               listing = excluded.listing, made_at = excluded.made_at, revision = excluded.revision";
    let values = [
        digest.to_string().into(),
        body.analysers.into(),
        body.is_whole.into(),
        body.deflated.into(),
        listing.into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    Ok(before.map_or(job::JobPriority::Push, |_| job::JobPriority::Backfill))
}

#[derive(FromQueryResult)]
struct ImageRow {
    name: String,
    digest: String,
}

/// Every image that has the layer may be judged now.
async fn wake_images(tx: &Tx, layer: &Digest, priority: job::JobPriority) -> Result<(), StoreError> {
    let sql = "SELECT r.name, m.digest FROM manifest_reference f \
               JOIN manifest m ON m.id = f.manifest_id JOIN repository r ON r.id = m.repository_id \
               WHERE f.digest = $1 AND f.kind = 0";
    let images: Vec<ImageRow> = sql::all(tx.sql(), sql, [layer.to_string().into()]).await?;
    for image in images {
        let subject = format!("{}@{}", image.name, image.digest);
        job::enqueue(tx, JobKind::Judge, &subject, priority).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
