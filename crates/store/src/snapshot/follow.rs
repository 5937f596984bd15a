//! How the access data in memory follows what the database says.
//!
//! A change is acknowledged once it is effective. Where it cannot be read back, reading is tried again for
//! [`crate::StoreLimits::access_reload`]; after that the book is closed: nobody may do anything until the change can be read. So what was
//! revoked ends within that time, whatever the database does, and never while its revocation counts as done.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Snapshot;
use crate::handle::Inner;
use crate::{Store, StoreError, setting};

/// How often the store looks whether somebody else changed the access data, and writes down who logged in.
const REFRESH_EVERY: Duration = Duration::from_secs(10);
/// The same while the book is closed.
const REFRESH_CLOSED_EVERY: Duration = Duration::from_secs(1);
/// Waits between attempts to read the access data again: the first, and the longest (each is twice the one before).
const RELOAD_PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

impl Store {
    /// Makes the state of `generation`, which was just committed, the one that holds.
    pub(crate) async fn follow_access(&self, generation: u64) {
        let reloaded = tokio::time::timeout(self.limits().access_reload, self.reload_until(generation)).await;
        if reloaded.is_err() {
            self.close_access(generation);
        }
    }

    async fn reload_until(&self, generation: u64) {
        let (mut pause, longest) = RELOAD_PAUSES;
        while let Err(error) = self.reload_access().await {
            tracing::error!(%error, "the access data could not be read after a change, trying again");
            tokio::time::sleep(pause).await;
            pause = longest.min(pause * 2);
            if self.access().generation() >= generation {
                return;
            }
        }
    }

    /// Allows nothing any more, unless somebody else has read the change meanwhile.
    fn close_access(&self, generation: u64) {
        let closed = Arc::new(Snapshot::closed(generation));
        let before = self.inner.snapshot.rcu(|current| {
            if current.book.generation() < generation {
                Arc::clone(&closed)
            } else {
                Arc::clone(current)
            }
        });
        if before.book.generation() < generation {
            tracing::error!(
                "a change of the access data cannot be read: all requests are refused until it can, look at the disk"
            );
        }
    }

    /// Fails while the book is closed. It knows nobody then, and who has a good password must neither be told that it is
    /// wrong nor be slowed down for it afterwards.
    pub(crate) fn demand_open_book(&self) -> Result<(), StoreError> {
        if self.inner.snapshot.load().is_closed {
            return Err(StoreError::Closed);
        }
        Ok(())
    }

    /// Reads the access data again.
    pub(crate) async fn reload_access(&self) -> Result<(), StoreError> {
        let fresh = Arc::new(Snapshot::load(self.inner.db.read()).await?);
        // Two reloads may overtake each other; the later state stays.
        self.inner.snapshot.rcu(|current| {
            if current.book.generation() > fresh.book.generation() {
                Arc::clone(current)
            } else {
                Arc::clone(&fresh)
            }
        });
        Ok(())
    }

    /// Makes the book as new as the database, if it is not.
    async fn refresh_access(&self) -> Result<(), StoreError> {
        let known = self.inner.snapshot.load_full();
        if !known.is_closed {
            let present = setting::access_generation(self.inner.db.read()).await?;
            if present == known.book.generation() {
                return Ok(());
            }
        }
        self.reload_access().await
    }
}

/// Notices access data that another process changed. Ends with the last handle.
pub(crate) async fn refresh(inner: Weak<Inner>) {
    let mut pause = REFRESH_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let Some(store) = inner.upgrade().map(|inner| Store { inner }) else {
            return;
        };
        if let Err(error) = store.refresh_access().await
            && !error.is_away()
        {
            tracing::error!(%error, "the access data could not be refreshed");
        }
        if let Err(error) = store.flush_logins().await
            && !error.is_away()
        {
            tracing::error!(%error, "logins could not be written to the audit log");
        }
        pause = if store.inner.snapshot.load().is_closed {
            REFRESH_CLOSED_EVERY
        } else {
            REFRESH_EVERY
        };
    }
}

#[cfg(test)]
mod tests;
