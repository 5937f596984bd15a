//! Rows of blobs: how one comes to be, is found damaged, and is healed by being pushed again.

use oci::Digest;
use sea_orm::FromQueryResult;
use serde_json::json;

use super::link::Linkable;
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::files::{Committed, Location};
use crate::{Actor, Store, StoreError};

/// What is known of a blob's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlobState {
    /// As it should be, as far as anybody knows.
    Good,
    /// Not what its digest says.
    Quarantined,
    /// Gone.
    Missing,
}

impl BlobState {
    /// Its number in the database.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Good => 0,
            Self::Quarantined => 1,
            Self::Missing => 2,
        }
    }
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    size: i64,
    state: i64,
    location: String,
}

/// Makes `committed` the blob of its digest. Answers the blob, and whether the file is the one that counts: when
/// the blob was there before and is good, the file is one too many.
pub(crate) async fn adopt(tx: &Tx, committed: &Committed) -> Result<(Linkable, bool), StoreError> {
    let (digest, location) = (committed.location.digest(), committed.location.to_string());
    let size = sql::to_db(committed.size);
    let now = tx.now().micros();
    let found: Option<Row> = sql::first(
        tx.sql(),
        "SELECT id, size, state, location FROM blob WHERE digest = $1",
        [digest.to_string().into()],
    )
    .await?;
    let linkable = |id, location| Linkable {
        id,
        digest,
        size: committed.size,
        location,
        counted: false,
    };
    match found {
        None => {
            let sql = "INSERT INTO blob (digest, size, location, state, links, idle_since, created_at) \
                       VALUES ($1, $2, $3, 0, 0, $4, $4) RETURNING id";
            let values = [
                digest.to_string().into(),
                size.into(),
                location.into(),
                now.into(),
            ];
            let made: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
            let made = made.ok_or_else(|| StoreError::damaged("an insert answered no row"))?;
            Ok((linkable(made.id, committed.location), true))
        }
        Some(row) if row.state == BlobState::Good.number() => {
            let sql = "UPDATE blob SET idle_since = $2 WHERE id = $1";
            sql::execute(tx.sql(), sql, [row.id.into(), now.into()]).await?;
            Ok((linkable(row.id, super::parse_location(&row.location)?), false))
        }
        Some(row) => {
            heal(tx, &row, &location, size).await?;
            Ok((linkable(row.id, committed.location), true))
        }
    }
}

/// Gives a damaged blob a new file. Its size can only have been wrong if the database was changed by a stranger; then
/// fsck tells about the counters.
async fn heal(tx: &Tx, row: &Row, location: &str, size: i64) -> Result<(), StoreError> {
    let sql = "UPDATE blob SET location = $2, size = $3, state = 0, idle_since = $4 WHERE id = $1";
    let values = [
        row.id.into(),
        location.into(),
        size.into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    if row.size != size {
        tracing::error!(
            blob = row.id,
            was = row.size,
            is = size,
            "a healed blob has another size than before"
        );
    }
    // Every repository that has it may serve it again.
    tx.touch_everything();
    Ok(())
}

#[derive(FromQueryResult)]
struct Place {
    size: i64,
    location: String,
}

impl Store {
    /// Looks at the file of a blob that is there already, before a pushed one is thrown away as one too many. Where it is
    /// gone or cut, the blob counts as unknown from now on, and the push heals it.
    pub(crate) async fn doubt_blob(&self, digest: Digest) -> Result<(), StoreError> {
        let sql = "SELECT size, location FROM blob WHERE digest = $1 AND state = 0";
        let place: Option<Place> = sql::first(self.inner.db.read(), sql, [digest.to_string().into()]).await?;
        let Some(place) = place else { return Ok(()) };
        let location = super::parse_location(&place.location)?;
        match self.inner.files.check(location, sql::from_db(place.size)).await {
            Ok(()) => Ok(()),
            Err(error) => self.lost(digest, location, &error).await,
        }
    }

    /// Notes that a blob's file is damaged or gone, if it still is the blob's file; answers whether it was.
    pub(crate) async fn mark_blob(
        &self,
        digest: Digest,
        location: Location,
        state: BlobState,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE blob SET state = $3 WHERE digest = $1 AND location = $2 AND state = 0";
                let values = [
                    digest.to_string().into(),
                    location.to_string().into(),
                    state.number().into(),
                ];
                if sql::execute(tx.sql(), sql, values).await? == 0 {
                    return Ok(false);
                }
                tx.touch_everything();
                let body =
                    json!({ "location": location.to_string(), "state": format!("{state:?}").to_lowercase() });
                event::record(tx, &actor, EventKind::FsckDamage, &digest.to_string(), body).await?;
                Ok(true)
            })
        })
        .await
    }
}
