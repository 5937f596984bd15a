//! How new what was signed was when it was taken in. A signature stays right for ever; without this, whoever keeps an old one could
//! put it in the place of a newer one.

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::db::{Tx, sql};
use crate::{Store, StoreError, Timestamp};

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedKind {
    /// A catalogue, by its repository and tag.
    Catalog,
    /// A bundle of advisories.
    Bundle,
}

#[derive(FromQueryResult)]
struct Row {
    made_at: i64,
    what: String,
}

impl SignedKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Bundle => "bundle",
        }
    }
}

impl Store {
    /// When the newest of a name that was taken in was made, by its own word, and which it is.
    pub async fn newest_signed(
        &self,
        kind: SignedKind,
        name: &str,
    ) -> Result<Option<(Timestamp, String)>, StoreError> {
        newest(self.inner.db.read(), kind, name).await
    }

    /// Keeps that this one was taken in. One that is older than the one before is kept all the same: a person has allowed it.
    pub async fn note_signed(
        &self,
        kind: SignedKind,
        name: &str,
        made_at: Timestamp,
        what: &str,
    ) -> Result<(), StoreError> {
        let (name, what) = (name.to_owned(), what.to_owned());
        self.write(move |tx| Box::pin(async move { note(tx, kind, &name, made_at, &what).await }))
            .await
    }
}

/// The same as [`Store::newest_signed`], within a transaction too.
pub(crate) async fn newest(
    on: &impl ConnectionTrait,
    kind: SignedKind,
    name: &str,
) -> Result<Option<(Timestamp, String)>, StoreError> {
    let sql = "SELECT made_at, what FROM newest_signed WHERE kind = $1 AND name = $2";
    let row: Option<Row> = sql::first(on, sql, [kind.name().into(), name.into()]).await?;
    Ok(row.map(|row| (Timestamp(row.made_at), row.what)))
}

/// The newest of all names from the first on, up to the other one.
pub(crate) async fn newest_between(
    on: &impl ConnectionTrait,
    kind: SignedKind,
    (from, to): (&str, &str),
) -> Result<Option<(Timestamp, String)>, StoreError> {
    let sql = "SELECT made_at, what FROM newest_signed WHERE kind = $1 AND name >= $2 AND name < $3 \
               ORDER BY made_at DESC LIMIT 1";
    let values = [kind.name().into(), from.into(), to.into()];
    let row: Option<Row> = sql::first(on, sql, values).await?;
    Ok(row.map(|row| (Timestamp(row.made_at), row.what)))
}

/// The same as [`Store::note_signed`] in the transaction that takes it in.
pub(crate) async fn note(
    tx: &Tx,
    kind: SignedKind,
    name: &str,
    made_at: Timestamp,
    what: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO newest_signed (kind, name, made_at, what) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (kind, name) DO UPDATE SET made_at = excluded.made_at, what = excluded.what";
    let values = [
        kind.name().into(),
        name.into(),
        made_at.micros().into(),
        what.into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Kit;

    #[tokio::test]
    async fn the_last_one_that_was_taken_in_is_known() {
        let kit = Kit::new().await;
        let store = &kit.store;
        assert_eq!(store.newest_signed(SignedKind::Catalog, "a").await.unwrap(), None);
        for (kind, made_at) in [
            (SignedKind::Catalog, 9),
            (SignedKind::Bundle, 5),
            (SignedKind::Catalog, 7),
        ] {
            store
                .note_signed(kind, "a", Timestamp(made_at), "it")
                .await
                .unwrap();
        }
        let newest = store.newest_signed(SignedKind::Catalog, "a").await.unwrap();
        assert_eq!(newest, Some((Timestamp(7), "it".to_owned())));
    }
}
