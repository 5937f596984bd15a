//! The promise that "it is here" is to whoever may push.
//!
//! A client that is told so skips the upload and names the blob in a manifest some time later. A blob that no manifest
//! names yet would be collected once its time of grace is over, and the push would fail. So the time of grace begins
//! anew when a pusher asks, but only once a quarter of it is over: a blob costs one small transaction per quarter,
//! however often it is asked for, and one that a manifest names costs nothing.

use std::time::Duration;

use access::Permit;
use access::permit::{Pull, Push};
use oci::{Digest, RepoName};

use super::BlobRow;
use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::{Store, StoreError};

/// Longest wait for a renewal. A pull is answered even if the database cannot write: it does not depend on the promise.
const RENEWAL_WAIT: Duration = Duration::from_secs(2);

impl Store {
    /// What is known of the blob, with the promise kept if the caller is one who gets it.
    pub(super) async fn promised_row(
        &self,
        permit: &Permit<Pull>,
        digest: &Digest,
    ) -> Result<Option<BlobRow>, StoreError> {
        let (repo, caller) = (permit.repo(), permit.caller());
        let Some(row) = self.blob_row(repo, digest).await? else {
            return Ok(None);
        };
        if !self.needs_renewal(&row) || !self.access().may::<Push>(caller, repo) {
            return Ok(Some(row));
        }
        match tokio::time::timeout(RENEWAL_WAIT, self.renewed_row(repo, digest)).await {
            Ok(Ok(renewed)) => return Ok(renewed),
            Ok(Err(error)) => {
                tracing::warn!(%repo, %digest, %error, "the grace of a blob could not be renewed");
            }
            Err(_) => tracing::warn!(%repo, %digest, "renewing the grace of a blob took too long"),
        }
        Ok(Some(row))
    }

    fn needs_renewal(&self, row: &BlobRow) -> bool {
        let quarter = self.limits().collect_grace / 4;
        row.idle_since
            .is_some_and(|since| since.plus(quarter) < self.now())
    }

    /// Renewals take turns, so that many who ask for one blob at once cost one transaction. Answers `None` where the
    /// collection came first.
    async fn renewed_row(&self, repo: &RepoName, digest: &Digest) -> Result<Option<BlobRow>, StoreError> {
        let _turn = self.inner.collector.renewals.lock().await;
        let row = self.blob_row(repo, digest).await?;
        if !row.is_some_and(|row| self.needs_renewal(&row)) {
            return Ok(row);
        }
        let (name, wanted) = (repo.clone(), *digest);
        self.write(move |tx| Box::pin(async move { renew(tx, &name, &wanted).await }))
            .await?;
        self.blob_row(repo, digest).await
    }
}

async fn renew(tx: &Tx, repo: &RepoName, digest: &Digest) -> Result<(), StoreError> {
    let sql = "UPDATE repository_blob SET idle_since = $3 WHERE names = 0 \
               AND repository_id = (SELECT id FROM repository WHERE name = $1) \
               AND blob_id = (SELECT id FROM blob WHERE digest = $2)";
    let values = [
        repo.as_str().into(),
        digest.to_string().into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    // Also when nothing was changed: what is remembered was not so any more.
    tx.touch(Key::blob(repo, digest));
    Ok(())
}

#[cfg(test)]
mod tests;
