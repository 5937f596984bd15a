//! What memory knows of uploads: who is writing to which, how much each principal holds, and hash states to go on with.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use oci::Hasher;
use sea_orm::FromQueryResult;
use uuid::Uuid;

use super::{BodyError, UploadError};
use crate::db::{Db, sql};
use crate::room::Room;
use crate::{StoreError, StoreLimits};

/// The account under which uploads without a principal are kept.
pub(crate) const NOBODY: i64 = 0;

/// The book. Clones share it.
#[derive(Clone)]
pub(crate) struct UploadBook(Arc<Shared>);

struct Shared {
    claims: Mutex<HashSet<Uuid>>,
    held: Mutex<HashMap<i64, Held>>,
    hashers: moka::sync::Cache<Uuid, (u64, Hasher)>,
    sessions_limit: u64,
    bytes_limit: u64,
}

/// What a principal's open sessions hold together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) sessions: u64,
    pub(crate) bytes: u64,
}

#[derive(FromQueryResult)]
struct HeldRow {
    principal_id: i64,
    sessions: i64,
    bytes: i64,
}

impl UploadBook {
    /// Counts what is open. There are few: their number is capped and they expire.
    pub(crate) async fn load(db: &Db, limits: &StoreLimits) -> Result<Self, StoreError> {
        // Without the cast PostgreSQL sums to a type of its own.
        let sql = "SELECT principal_id, COUNT(*) AS sessions, CAST(SUM(received) AS BIGINT) AS bytes \
                   FROM upload GROUP BY principal_id";
        let rows: Vec<HeldRow> = sql::all(db.read(), sql, []).await?;
        let held = |row: HeldRow| {
            let held = Held {
                sessions: sql::from_db(row.sessions),
                bytes: sql::from_db(row.bytes),
            };
            (row.principal_id, held)
        };
        Ok(Self(Arc::new(Shared {
            claims: Mutex::default(),
            held: Mutex::new(rows.into_iter().map(held).collect()),
            hashers: moka::sync::Cache::new(limits.upload_hashers as u64),
            sessions_limit: limits.uploads_per_principal,
            bytes_limit: limits.upload_bytes_per_principal,
        })))
    }

    /// The sole right to work on a session, if nobody has it.
    pub(super) fn claim(&self, id: Uuid) -> Option<Claim> {
        let claimed = lock(&self.0.claims).insert(id);
        claimed.then(|| Claim {
            book: self.clone(),
            id,
        })
    }

    /// Whether somebody works on the session right now.
    pub(crate) fn is_claimed(&self, id: Uuid) -> bool {
        lock(&self.0.claims).contains(&id)
    }

    /// Counts a new session.
    #[expect(
        clippy::result_large_err,
        reason = "two digests are what the client is told; it is rare"
    )]
    pub(super) fn open(&self, principal: i64) -> Result<(), UploadError> {
        let mut held = lock(&self.0.held);
        let account = held.entry(principal).or_default();
        let limit = self.0.sessions_limit;
        if account.sessions >= limit {
            return Err(UploadError::TooManySessions { limit });
        }
        account.sessions += 1;
        Ok(())
    }

    /// A session with `bytes` is gone.
    pub(super) fn close(&self, principal: i64, bytes: u64) {
        let mut held = lock(&self.0.held);
        if let Some(account) = held.get_mut(&principal) {
            account.sessions = account.sessions.saturating_sub(1);
            account.bytes = account.bytes.saturating_sub(bytes);
            if *account == Held::default() {
                held.remove(&principal);
            }
        }
    }

    fn add(&self, principal: i64, bytes: u64) -> Result<(), Stop> {
        let mut held = lock(&self.0.held);
        let account = held.entry(principal).or_default();
        let limit = self.0.bytes_limit;
        if account.bytes.saturating_add(bytes) > limit {
            return Err(Stop::TooManyBytes { limit });
        }
        account.bytes += bytes;
        Ok(())
    }

    fn take_back(&self, principal: i64, bytes: u64) {
        if let Some(account) = lock(&self.0.held).get_mut(&principal) {
            account.bytes = account.bytes.saturating_sub(bytes);
        }
    }

    /// What all principals hold together.
    pub(crate) fn total(&self) -> Held {
        lock(&self.0.held)
            .values()
            .fold(Held::default(), |sum, held| Held {
                sessions: sum.sessions + held.sessions,
                bytes: sum.bytes + held.bytes,
            })
    }

    /// Takes out the hash state of the session, if it has seen exactly `offset` bytes.
    pub(super) fn take_hasher(&self, id: Uuid, offset: u64) -> Option<Hasher> {
        let (seen, hasher) = self.0.hashers.remove(&id)?;
        (seen == offset).then_some(hasher)
    }

    /// How many hash states are kept.
    #[cfg(test)]
    pub(super) fn kept_hashers(&self) -> u64 {
        self.0.hashers.run_pending_tasks();
        self.0.hashers.entry_count()
    }

    /// Keeps a hash state for the next chunk.
    pub(super) fn keep_hasher(&self, id: Uuid, offset: u64, hasher: Hasher) {
        self.0.hashers.insert(id, (offset, hasher));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sole right to work on a session; given back when dropped.
pub(crate) struct Claim {
    book: UploadBook,
    id: Uuid,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.book.0.claims).remove(&self.id);
    }
}

/// Why a metered body ended.
#[derive(Debug)]
pub(crate) enum Stop {
    Body(BodyError),
    TooManyBytes {
        limit: u64,
    },
    /// The disk has become full.
    NoRoom,
}

/// A body that ends once the disk is full: what it brings would take what the reserve has just given back.
pub(crate) struct WithRoom<S> {
    pub(crate) body: S,
    pub(crate) room: Arc<Room>,
}

impl<S: Stream<Item = Result<Bytes, BodyError>> + Unpin> Stream for WithRoom<S> {
    type Item = Result<Bytes, Stop>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = match ready!(Pin::new(&mut self.body).poll_next(context)) {
            Some(Ok(_)) if self.room.is_full() => Some(Err(Stop::NoRoom)),
            item => item.map(|item| item.map_err(Stop::Body)),
        };
        Poll::Ready(item)
    }
}

/// Counts the bytes of a body against what its principal may hold, while they come.
pub(super) struct Meter {
    book: UploadBook,
    principal: i64,
    counted: AtomicU64,
}

impl Meter {
    pub(super) fn new(book: &UploadBook, principal: i64) -> Arc<Self> {
        Arc::new(Self {
            book: book.clone(),
            principal,
            counted: AtomicU64::new(0),
        })
    }

    fn count(&self, bytes: u64) -> Result<(), Stop> {
        self.book.add(self.principal, bytes)?;
        self.counted.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Of what was counted, only `kept` bytes are there in the end.
    pub(super) fn settle(&self, kept: u64) {
        let counted = self.counted.swap(kept, Ordering::Relaxed);
        self.book.take_back(self.principal, counted.saturating_sub(kept));
    }

    /// Everything counted so far.
    pub(super) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }
}

/// A body whose bytes are counted.
pub(super) struct Metered<S> {
    pub(super) body: S,
    pub(super) meter: Arc<Meter>,
}

impl<S: Stream<Item = Result<Bytes, Stop>> + Unpin> Stream for Metered<S> {
    type Item = Result<Bytes, Stop>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = match ready!(Pin::new(&mut self.body).poll_next(context)) {
            None => None,
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(frame)) => Some(self.meter.count(frame.len() as u64).map(|()| frame)),
        };
        Poll::Ready(item)
    }
}
