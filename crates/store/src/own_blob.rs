//! Blobs of the registry's own: stored as files first, then named by the rows of one transaction.

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest, Hasher};

use crate::db::{Tx, Work};
use crate::files::{AppendError, Committed, Location, Part};
use crate::upload::Claim;
use crate::{Store, StoreError, UploadError};

impl Store {
    /// Stores blobs and has the rows written that name them. `rows` is given their files, in the order of `blobs`, and answers also
    /// which of these are those of blobs from then on; the others are removed.
    ///
    /// `is_refused` says of an error that `rows` itself answered it, so that nothing was written. After any other one nobody knows
    /// whether the rows are there: the files stay, and those that nobody names are collected.
    pub(crate) async fn with_own_blobs<T, E, F>(
        &self,
        blobs: Vec<Bytes>,
        is_refused: fn(&E) -> bool,
        rows: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t Tx, Vec<Committed>) -> Work<'t, (T, Vec<Location>), E> + Send + 'static,
    {
        // Until its row is written, a file is one that nobody names.
        let mut claims = Vec::with_capacity(blobs.len());
        let mut committed = Vec::with_capacity(blobs.len());
        for bytes in blobs {
            let (claim, file) = self.own_blob(bytes).await?;
            claims.push(claim);
            committed.push(file);
        }
        let files = committed.clone();
        let written = self.write(move |tx| rows(tx, files)).await;
        let ours = match &written {
            Ok((_, ours)) => ours.as_slice(),
            Err(error) if is_refused(error) => &[],
            Err(_) => return written.map(|(done, _)| done),
        };
        for file in committed.iter().filter(|file| !ours.contains(&file.location)) {
            self.remove_blob_file(*file).await;
        }
        written.map(|(done, _)| done)
    }

    async fn own_blob(&self, bytes: Bytes) -> Result<(Claim, Committed), StoreError> {
        self.demand_room().await?;
        let id = self.new_upload_id();
        let claim = self.claim(id).await.map_err(of_upload)?;
        let expect = Digest::of(Algorithm::Sha256, &bytes);
        self.doubt_blob(expect).await?;
        self.inner.files.create_upload(id.0).await?;
        let part = Part {
            id: id.0,
            offset: 0,
            hasher: Hasher::new(Algorithm::Sha256),
            max_len: bytes.len() as u64,
        };
        let body = stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
        match self.inner.files.append_and_commit(part, body, expect).await {
            Ok(committed) => Ok((claim, committed)),
            Err(error) => {
                self.remove_upload_file(id.0).await;
                Err(match error {
                    AppendError::Files { source, .. } => source.into(),
                    AppendError::TooLarge { .. } | AppendError::Interrupted { .. } => {
                        StoreError::damaged("a blob of the registry's own did not come to its end")
                    }
                })
            }
        }
    }
}

fn of_upload(error: UploadError) -> StoreError {
    match error {
        UploadError::Store(error) => error,
        _ => StoreError::Busy,
    }
}

#[cfg(test)]
mod tests;
