//! Texts that are not what their digests say. Nothing but a decision knows what they said: they go, and the images whose decisions
//! name them are judged again, which writes them anew or says something else.

use std::io::Read as _;

use oci::{Algorithm, Digest, Hasher};
use serde_json::json;

use super::{LONGEST, PackedRow};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::job::{self, JobPriority};
use crate::{Actor, Store, StoreError};

/// A text that is damaged, as it was seen: what was written anew meanwhile is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DamagedText {
    pub(crate) said: String,
    /// Of the packed bytes.
    seen: Digest,
}

impl DamagedText {
    pub(crate) fn of(row: &PackedRow) -> Self {
        Self {
            said: row.said.clone(),
            seen: Digest::of(Algorithm::Sha256, &row.packed),
        }
    }

    /// Whether it lies there as it was seen.
    async fn is_there(&self, tx: &Tx) -> Result<bool, StoreError> {
        let sql = "SELECT said, packed FROM decision_text WHERE said = $1";
        let row: Option<PackedRow> = sql::first(tx.sql(), sql, [self.said.as_str().into()]).await?;
        Ok(row.is_some_and(|row| Self::of(&row) == *self))
    }
}

impl PackedRow {
    /// What is wrong with it, if anything is. It is unpacked piece by piece: a few bytes may stand for a very long text.
    pub(crate) fn check(&self) -> Option<DamagedText> {
        let is_whole = hash(&self.packed, LONGEST).is_some_and(|digest| digest.hex() == self.said);
        (!is_whole).then(|| DamagedText::of(self))
    }
}

/// The digest of what was packed; `None`: it cannot be unpacked, or is longer than this.
fn hash(packed: &[u8], longest: u64) -> Option<Digest> {
    let reader = zstd::stream::read::Decoder::new(packed).ok()?;
    let mut reader = reader.take(longest + 1);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        let read = reader.read(&mut buffer).ok()?;
        if read == 0 {
            return (length <= longest).then(|| hasher.finish());
        }
        length += read as u64;
        hasher.update(&buffer[..read]);
    }
}

impl Store {
    /// Takes away what was found while somebody read it. That it could not be is logged: whoever reads has no more of it by an error.
    pub(super) async fn heal_texts(&self, damaged: Vec<DamagedText>) {
        if damaged.is_empty() {
            return;
        }
        let taken = self.write(move |tx| {
            Box::pin(async move {
                for text in &damaged {
                    take_away(tx, text).await?;
                }
                Ok::<_, StoreError>(())
            })
        });
        if let Err(error) = taken.await {
            tracing::error!(%error, "reasons that are damaged could not be taken away");
        }
    }
}

/// Takes a text away and has the images judged again whose decisions name it. Answers whether it was there as it was seen.
pub(crate) async fn take_away(tx: &Tx, text: &DamagedText) -> Result<bool, StoreError> {
    if !text.is_there(tx).await? {
        return Ok(false);
    }
    let sql = "DELETE FROM decision_text WHERE said = $1";
    sql::execute(tx.sql(), sql, [text.said.as_str().into()]).await?;
    judge_again(tx, &text.said, "damaged").await?;
    Ok(true)
}

/// Has the images judged again whose decisions name a text. Answers how many there are.
pub(crate) async fn judge_again(tx: &Tx, said: &str, state: &str) -> Result<u64, StoreError> {
    let images = "WHERE m.id IN (SELECT n.id FROM decision d JOIN manifest n \
                  ON n.repository_id = d.repository_id AND n.digest = d.digest WHERE d.said = $4 AND d.body = '')";
    let judged = job::enqueue_judgements(tx, images, JobPriority::Backfill, Some(said.into())).await?;
    let body = json!({ "reasons": said, "state": state, "judged_again": judged });
    let subject = format!("sha256:{said}");
    event::record(tx, &Actor::system("fsck"), EventKind::FsckDamage, &subject, body).await?;
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_bytes_that_stand_for_a_long_text_are_not_unpacked_to_its_end() {
        let text = vec![b'a'; 1 << 20];
        let packed = zstd::bulk::compress(&text, 1).unwrap();
        assert!(packed.len() < 1 << 10);
        let longest = text.len() as u64;
        assert_eq!(hash(&packed, longest), Some(Digest::of(Algorithm::Sha256, &text)));
        assert_eq!(hash(&packed, longest - 1), None);
        assert_eq!(hash(b"no zstd", longest), None);
        assert_eq!(hash(&packed[..packed.len() - 1], longest), None);
    }
}
