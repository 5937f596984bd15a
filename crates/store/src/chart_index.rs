//! Indexes of repositories of charts: kept as they came, for the time when their repository is gone.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use sea_orm::FromQueryResult;

use crate::db::sql;
use crate::{Store, StoreError};

/// Most repositories whose index is kept; of more, the one that was read longest ago goes.
const KEPT: i64 = 256;

#[derive(FromQueryResult)]
struct Row {
    body: Vec<u8>,
}

impl Store {
    /// The index that was last read from an upstream; `None` also where it has more than `most` bytes.
    pub async fn chart_index(&self, upstream: &str, most: usize) -> Result<Option<Bytes>, StoreError> {
        let sql = "SELECT body FROM chart_index WHERE upstream = $1";
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, [upstream.into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let inflated = tokio::task::spawn_blocking(move || inflate(&row.body, most)).await?;
        inflated.map_err(|error| StoreError::damaged(format!("an index of charts that was kept: {error}")))
    }

    /// Keeps an index in place of the one before it.
    pub async fn keep_chart_index(&self, upstream: &str, index: Bytes) -> Result<(), StoreError> {
        let deflated = tokio::task::spawn_blocking(move || deflate(&index)).await?;
        let body = deflated.map_err(|error| StoreError::damaged(format!("an index of charts: {error}")))?;
        let upstream = upstream.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO chart_index (upstream, read_at, body) VALUES ($1, $2, $3) \
                           ON CONFLICT (upstream) DO UPDATE SET read_at = excluded.read_at, body = excluded.body";
                let values = [upstream.into(), tx.now().micros().into(), body.into()];
                sql::execute(tx.sql(), sql, values).await?;
                let sql = "DELETE FROM chart_index WHERE upstream NOT IN \
                           (SELECT upstream FROM chart_index ORDER BY read_at DESC, upstream LIMIT $1)";
                sql::execute(tx.sql(), sql, [KEPT.into()]).await.map(drop)
            })
        })
        .await
    }
}

fn deflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn inflate(deflated: &[u8], most: usize) -> std::io::Result<Option<Bytes>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    ZlibDecoder::new(deflated).take(limit).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then(|| bytes.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{StoreConfig, StoreLimits, SystemClock};

    #[tokio::test]
    async fn the_last_index_of_a_place_is_kept_and_no_other_place_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            data_dir: directory.path().to_owned(),
            touches_blobs: false,
            limits: StoreLimits::default(),
        };
        let store = Store::open(config, Arc::new(SystemClock)).await.unwrap();
        let place = "https://charts.example/stable";
        assert_eq!(store.chart_index(place, 100).await.unwrap(), None);
        for index in ["first", "second"] {
            store
                .keep_chart_index(place, Bytes::from_static(index.as_bytes()))
                .await
                .unwrap();
            assert_eq!(store.chart_index(place, 100).await.unwrap().unwrap(), index);
        }
        assert_eq!(
            store.chart_index(place, 5).await.unwrap(),
            None,
            "larger than is taken"
        );
        assert_eq!(
            store.chart_index("https://charts.example", 100).await.unwrap(),
            None
        );
        for number in 0..KEPT {
            let other = format!("https://{number}.example");
            store.keep_chart_index(&other, Bytes::new()).await.unwrap();
        }
        assert_eq!(
            store.chart_index(place, 100).await.unwrap(),
            None,
            "the oldest goes"
        );
    }
}
