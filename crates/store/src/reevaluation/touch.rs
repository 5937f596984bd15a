//! What an import changed beside advisories: which vulnerabilities are exploited or likely to be, and what VEX says.
//!
//! A catalogue is kept as it is now, so what is different from before is noted while both are there, in the transaction that makes the
//! import the present generation, and forgotten once images were asked to be judged by it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use findings::advisory::{CatalogueChange, Epss, Kev};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use sea_orm::FromQueryResult;

use crate::db::{Tx, sql};
use crate::{AdvisoryDocument, Store, StoreError};

/// Bytes of the ids of one kind, unpacked: as many as a catalogue can have.
const BYTES: u64 = 64 << 20;

/// What changed beside advisories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches {
    /// In catalogues of what is exploited.
    pub catalogues: CatalogueChange,
    /// Something changed that may be about any image.
    pub everything: bool,
}

#[derive(FromQueryResult)]
struct Row {
    kind: String,
    body: Vec<u8>,
}

/// As it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Touch {
    kind: &'static str,
    body: Vec<u8>,
}

const KEV: &str = "kev";
const EPSS: &str = "epss";
const EPSS_SEVERITY: &str = "epss-severity";
const EVERYTHING: &str = "everything";

impl Touch {
    fn of<'a>(kind: &'static str, ids: impl Iterator<Item = &'a str>) -> Self {
        let lines: String = ids.flat_map(|id| [id, "\n"]).collect();
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail.
        let _ = encoder.write_all(lines.as_bytes());
        let body = encoder.finish().unwrap_or_default();
        Self { kind, body }
    }

    fn everything() -> Self {
        Self::of(EVERYTHING, std::iter::empty())
    }
}

impl Row {
    fn ids(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut lines = String::new();
        let read = ZlibDecoder::new(self.body.as_slice()).take(BYTES);
        let damaged =
            |_| StoreError::damaged(format!("what an import changed ({}) cannot be read", self.kind));
        std::io::BufReader::new(read)
            .read_to_string(&mut lines)
            .map_err(damaged)?;
        Ok(lines.lines().map(str::to_owned).collect())
    }
}

impl Store {
    /// What came with the generations behind `since` beside advisories.
    pub async fn touches(&self, since: u64) -> Result<Touches, StoreError> {
        let sql = "SELECT kind, body FROM advisory_touch WHERE generation > $1 ORDER BY generation, kind";
        let rows: Vec<Row> = sql::all(self.inner.db.read(), sql, [sql::to_db(since).into()]).await?;
        let mut touches = Touches::default();
        for row in rows {
            match row.kind.as_str() {
                KEV => touches.catalogues.kev.extend(row.ids()?),
                EPSS => touches.catalogues.epss.extend(row.ids()?),
                EPSS_SEVERITY => touches.catalogues.epss_severity.extend(row.ids()?),
                _ => touches.everything = true,
            }
        }
        Ok(touches)
    }

    /// What documents that come with an import change of those that are there.
    pub(crate) async fn touches_of(&self, documents: &[AdvisoryDocument]) -> Result<Vec<Touch>, StoreError> {
        let mut touches = Vec::new();
        for document in documents {
            let before = self.advisory_document(&document.kind, &document.name).await?;
            let before = before.map(|document| document.body).unwrap_or_default();
            let (kind, after) = (document.kind.clone(), document.body.clone());
            // Catalogues have hundreds of thousands of entries.
            let compared = tokio::task::spawn_blocking(move || compare(&kind, &before, &after));
            touches.extend(compared.await.map_err(|_| StoreError::TaskLost)?);
        }
        touches.sort_by_key(|touch| touch.kind);
        touches.dedup_by_key(|touch| touch.kind);
        Ok(touches)
    }
}

/// One that cannot be read says that anything may have changed.
fn compare(kind: &str, before: &[u8], after: &[u8]) -> Vec<Touch> {
    match kind {
        "kev" => of_kev(before, after),
        "epss" => of_epss(before, after),
        _ => None,
    }
    .unwrap_or_else(|| vec![Touch::everything()])
}

fn of_kev(before: &[u8], after: &[u8]) -> Option<Vec<Touch>> {
    let read = |bytes: &[u8]| match bytes {
        [] => Some(Kev::default()),
        bytes => Kev::read(bytes).ok(),
    };
    let (before, after) = (read(before)?, read(after)?);
    let change = CatalogueChange::of_kev(&before, &after);
    Some(vec![Touch::of(KEV, change.kev.iter().map(String::as_str))])
}

fn of_epss(before: &[u8], after: &[u8]) -> Option<Vec<Touch>> {
    let read = |bytes: &[u8]| match bytes {
        [] => Some(Epss::default()),
        bytes => Epss::read(bytes).ok(),
    };
    let (before, after) = (read(before)?, read(after)?);
    let change = CatalogueChange::of_epss(&before, &after);
    Some(vec![
        Touch::of(EPSS, change.epss.iter().map(String::as_str)),
        Touch::of(EPSS_SEVERITY, change.epss_severity.iter().map(String::as_str)),
    ])
}

/// Notes what an import changes.
pub(crate) async fn note(tx: &Tx, generation: i64, touches: &[Touch]) -> Result<(), StoreError> {
    for touch in touches {
        let sql = "INSERT INTO advisory_touch (generation, kind, body) VALUES ($1, $2, $3)";
        let values = [generation.into(), touch.kind.into(), touch.body.clone().into()];
        sql::execute(tx.sql(), sql, values).await?;
    }
    Ok(())
}
