//! When findings were first made here, by image: what days of grace count from where a source gives no date.
//!
//! An image has hundreds of findings and most of them were made at the same moment, so a row per image holds moments with the
//! keys of the findings that were first made then. Nothing is forgotten while the image is there: a finding that goes and comes
//! back was first made when it was first made.

use std::collections::{BTreeMap, HashMap, HashSet};

use oci::Digest;
use sea_orm::{FromQueryResult, Value};

use crate::db::{Tx, sql};
use crate::{Store, StoreError, Timestamp};

/// Findings of one image whose moments are kept. Of more, that of the others is not known.
pub const MAX_SEEN: usize = 100_000;

/// When the findings of an image were first made. A finding is named by a key of eight bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// In the order of keys, each once: most are read and looked at, and few are ever added to.
    keys: Vec<(u64, Timestamp)>,
}

#[derive(FromQueryResult)]
struct Row {
    body: Vec<u8>,
}

#[derive(FromQueryResult)]
struct DigestRow {
    digest: String,
    body: Vec<u8>,
}

impl Seen {
    /// When a finding was first made here, if that is known.
    pub fn at(&self, key: u64) -> Option<Timestamp> {
        self.place(key).ok().map(|place| self.keys[place].1)
    }

    /// Takes note of findings that are made at a moment. Answers whether any of them is new.
    pub fn note(&mut self, keys: impl IntoIterator<Item = u64>, now: Timestamp) -> bool {
        let (before, mut known) = (self.keys.len(), HashSet::new());
        let is_fresh = |key: &u64| self.place(*key).is_err() && known.insert(*key);
        let fresh: Vec<u64> = keys.into_iter().filter(is_fresh).collect();
        let room = MAX_SEEN.saturating_sub(before);
        self.keys
            .extend(fresh.into_iter().take(room).map(|key| (key, now)));
        self.keys.sort_unstable_by_key(|(key, _)| *key);
        self.keys.len() > before
    }

    fn place(&self, key: u64) -> Result<usize, usize> {
        self.keys.binary_search_by_key(&key, |(key, _)| *key)
    }

    /// What both know, the earlier moment of each finding. Of more than [`MAX_SEEN`] what is known here stays.
    fn merge(&mut self, other: &Self) {
        let mut fresh = Vec::new();
        for (key, at) in &other.keys {
            match self.place(*key) {
                Ok(place) => self.keys[place].1 = self.keys[place].1.min(*at),
                Err(_) => fresh.push((*key, *at)),
            }
        }
        fresh.truncate(MAX_SEEN.saturating_sub(self.keys.len()));
        self.keys.extend(fresh);
        self.keys.sort_unstable_by_key(|(key, _)| *key);
    }

    /// Moments in order, each as microseconds, number of keys, and the keys; numbers of eight bytes, little end first.
    fn to_bytes(&self) -> Vec<u8> {
        let mut by_moment: BTreeMap<Timestamp, Vec<u64>> = BTreeMap::new();
        for (key, at) in &self.keys {
            by_moment.entry(*at).or_default().push(*key);
        }
        let mut bytes = Vec::with_capacity(self.keys.len() * 8);
        for (at, keys) in by_moment {
            bytes.extend(at.micros().to_le_bytes());
            bytes.extend((keys.len() as u64).to_le_bytes());
            for key in keys {
                bytes.extend(key.to_le_bytes());
            }
        }
        bytes
    }

    /// `None`: they are not those of [`Seen::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks::<8>() else {
            return None;
        };
        let mut numbers = numbers.iter().copied();
        let mut keys = Vec::with_capacity(numbers.len());
        while let Some(at) = numbers.next() {
            let at = Timestamp(i64::from_le_bytes(at));
            for _ in 0..u64::from_le_bytes(numbers.next()?) {
                keys.push((u64::from_le_bytes(numbers.next()?), at));
            }
        }
        keys.sort_unstable();
        keys.dedup_by_key(|(key, _)| *key);
        Some(Self { keys })
    }
}

impl Store {
    /// When the findings of an image were first made here.
    pub async fn seen(&self, digest: &Digest) -> Result<Seen, StoreError> {
        let sql = "SELECT body FROM finding_seen WHERE digest = $1";
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, [digest.to_string().into()]).await?;
        let read = |row: Row| {
            let damaged = || StoreError::damaged(format!("the findings of {digest} cannot be read"));
            Seen::from_bytes(&row.body).ok_or_else(damaged)
        };
        row.map(read).transpose().map(Option::unwrap_or_default)
    }
}

impl Store {
    /// The same for many images at once; nothing for those of which nothing is known.
    pub async fn seen_of(&self, digests: &[Digest]) -> Result<HashMap<String, Seen>, StoreError> {
        let mut found = HashMap::new();
        for chunk in digests.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT digest, body FROM finding_seen WHERE digest IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let values = chunk.iter().map(|digest| digest.to_string().into());
            let rows: Vec<DigestRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            for row in rows {
                let damaged =
                    || StoreError::damaged(format!("the findings of {} cannot be read", row.digest));
                let seen = Seen::from_bytes(&row.body).ok_or_else(damaged)?;
                found.insert(row.digest, seen);
            }
        }
        Ok(found)
    }
}

/// Keeps when findings were first made. What somebody else kept meanwhile was first.
pub(crate) async fn keep(tx: &Tx, digest: &Digest, seen: &Seen) -> Result<(), StoreError> {
    keep_all(tx, &[(digest, seen)]).await
}

/// The same for many images, in few statements.
pub(crate) async fn keep_all(tx: &Tx, all: &[(&Digest, &Seen)]) -> Result<(), StoreError> {
    for chunk in all.chunks(sql::CHUNK) {
        let mut kept: BTreeMap<String, Seen> = BTreeMap::new();
        for (digest, seen) in chunk {
            // One image may lie in two repositories, each with its own judgement.
            kept.entry(digest.to_string()).or_default().merge(seen);
        }
        let sql = format!(
            "SELECT digest, body FROM finding_seen WHERE digest IN ({})",
            sql::placeholders(1, kept.len())
        );
        let values = kept.keys().map(|digest| digest.as_str().into());
        let known: Vec<DigestRow> = sql::all(tx.sql(), &sql, values).await?;
        for row in known {
            let Some(mut first) = Seen::from_bytes(&row.body) else {
                continue;
            };
            if let Some(seen) = kept.get_mut(&row.digest) {
                first.merge(seen);
                *seen = first;
            }
        }
        let sql = format!(
            "INSERT INTO finding_seen (digest, body) VALUES {} ON CONFLICT (digest) DO UPDATE SET body = excluded.body",
            sql::tuples(kept.len(), 2)
        );
        let row = |(digest, seen): (String, Seen)| -> [Value; 2] { [digest.into(), seen.to_bytes().into()] };
        sql::execute_list(tx.sql(), &sql, kept.into_iter().flat_map(row)).await?;
    }
    Ok(())
}

/// Forgets an image that no repository has any more.
pub(crate) async fn forget(tx: &Tx, digest: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM finding_seen WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM manifest_content WHERE digest = $1)";
    sql::execute(tx.sql(), sql, [digest.into()]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;
    use crate::testing::Kit;

    #[test]
    fn what_was_first_stays_first_and_comes_back_from_bytes() {
        let mut seen = Seen::default();
        assert!(seen.note([1, 2], Timestamp(10)));
        assert!(!seen.note([2, 1], Timestamp(20)));
        assert!(seen.note([2, 3], Timestamp(30)));
        let read = Seen::from_bytes(&seen.to_bytes()).unwrap();
        assert_eq!(read, seen);
        let at = [1, 2, 3, 4].map(|key| read.at(key).map(Timestamp::micros));
        assert_eq!(at, [Some(10), Some(10), Some(30), None]);
    }

    #[test]
    fn what_is_damaged_is_told_and_takes_no_memory() {
        let mut lying = 5_i64.to_le_bytes().to_vec();
        lying.extend(u64::MAX.to_le_bytes());
        lying.extend(1_u64.to_le_bytes());
        for bytes in [&lying[..], &[1, 2, 3], &5_i64.to_le_bytes()] {
            assert_eq!(Seen::from_bytes(bytes), None);
        }
        assert_eq!(Seen::from_bytes(&[]), Some(Seen::default()));
    }

    #[test]
    fn how_much_is_kept_is_bounded() {
        let mut seen = Seen::default();
        seen.note(0..MAX_SEEN as u64 + 10, Timestamp(1));
        assert_eq!(
            (seen.at(MAX_SEEN as u64 - 1), seen.at(MAX_SEEN as u64)),
            (Some(Timestamp(1)), None)
        );
        assert!(!seen.note([u64::MAX], Timestamp(2)));
    }

    #[tokio::test]
    async fn the_earlier_moment_wins_whoever_keeps_last() {
        let kit = Kit::new().await;
        let digest = Digest::of(Algorithm::Sha256, b"image");
        for (keys, at) in [(vec![1, 2], 20), (vec![2, 3], 10)] {
            let mut seen = Seen::default();
            seen.note(keys, Timestamp(at));
            kit.store
                .write(move |tx| Box::pin(async move { keep(tx, &digest, &seen).await }))
                .await
                .unwrap();
        }
        let seen = kit.store.seen(&digest).await.unwrap();
        let at = [1, 2, 3].map(|key| seen.at(key).map(Timestamp::micros));
        assert_eq!(at, [Some(20), Some(10), Some(10)]);
    }
}
