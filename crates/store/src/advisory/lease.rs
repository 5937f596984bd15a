//! One import at a time: two would write under the same number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::StoreError;

/// An import that nobody goes on with for this long makes room for another one.
const IDLE: Duration = Duration::from_mins(10);

/// Who imports, of those that use this store. The lock of the data directory keeps out everybody else.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    next: AtomicU64,
    holder: Mutex<Option<(u64, Instant)>>,
    /// How feeds stood when they were last counted.
    pub(crate) feeds: FeedCounts,
}

/// How many feeds stand badly.
#[derive(Debug, Default)]
pub(crate) struct FeedCounts {
    /// Those whose last try failed.
    pub(crate) failing: AtomicU64,
    /// Those of them that wait for a person.
    pub(crate) held: AtomicU64,
    /// Refusals that these would lift.
    pub(crate) lifts: AtomicU64,
}

/// The right to import; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    imports: Arc<Imports>,
    number: u64,
}

impl Imports {
    /// Takes it, unless somebody has it who still goes on.
    pub(super) fn take(self: &Arc<Self>) -> Result<Lease, StoreError> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if holder.is_some_and(|(_, touched)| touched.elapsed() < IDLE) {
            return Err(StoreError::ImportRunning);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        *holder = Some((number, Instant::now()));
        Ok(Lease {
            imports: Arc::clone(self),
            number,
        })
    }
}

impl Lease {
    /// Whether it still is ours; then it is for longer.
    pub(super) fn hold(&self) -> Result<(), StoreError> {
        let mut holder = self.imports.holder.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *holder {
            Some((number, touched)) if *number == self.number => {
                *touched = Instant::now();
                Ok(())
            }
            _ => Err(StoreError::ImportOver),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut holder = self.imports.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if holder.is_some_and(|(number, _)| number == self.number) {
            *holder = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_is_dropped_or_idle() {
        let imports = Arc::new(Imports::default());
        let first = imports.take().unwrap();
        assert!(matches!(imports.take(), Err(StoreError::ImportRunning)));
        drop(first);
        let second = imports.take().unwrap();
        let Some(long_ago) = Instant::now().checked_sub(IDLE) else {
            return;
        };
        *imports.holder.lock().unwrap() = Some((second.number, long_ago));
        let third = imports.take().unwrap();
        assert!(matches!(second.hold(), Err(StoreError::ImportOver)));
        // Whoever was overtaken gives back nothing.
        drop(second);
        third.hold().unwrap();
    }
}
