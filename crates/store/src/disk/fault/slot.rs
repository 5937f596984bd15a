//! A place in the table of guarded maps: atomics only, because a signal handler reads it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Where one map lies, or nothing.
#[derive(Debug)]
pub(super) struct Slot {
    is_taken: AtomicBool,
    /// Odd while `start` and `end` are being written, another one after each change.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    is_torn: AtomicBool,
}

impl Slot {
    /// A free one.
    pub(super) const fn new() -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            is_torn: AtomicBool::new(false),
        }
    }

    /// Takes it for a map at the addresses of `range`, if it is free.
    pub(super) fn take(&'static self, range: Range<usize>) -> Option<Taken> {
        self.is_taken.compare_exchange(false, true, SeqCst, SeqCst).ok()?;
        self.write(range);
        Some(Taken(self))
    }

    /// Marks the map that `address` lies in as torn and answers where it ends. Safe in a signal handler.
    ///
    /// Whoever touches a map holds it, so its slot does not change meanwhile: a slot that does is another's.
    pub(super) fn tear(&self, address: usize) -> Option<usize> {
        let version = self.version.load(SeqCst);
        let range = self.start.load(SeqCst)..self.end.load(SeqCst);
        let is_steady = version.is_multiple_of(2) && self.version.load(SeqCst) == version;
        (is_steady && range.contains(&address)).then(|| {
            self.is_torn.store(true, SeqCst);
            range.end
        })
    }

    /// Only who has taken the slot writes.
    fn write(&self, range: Range<usize>) {
        self.version.fetch_add(1, SeqCst);
        self.start.store(range.start, SeqCst);
        self.end.store(range.end, SeqCst);
        self.version.fetch_add(1, SeqCst);
    }
}

/// A slot that is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken(&'static Slot);

impl Taken {
    /// Whether the map was touched where it could not be read.
    pub(super) fn is_torn(&self) -> bool {
        self.0.is_torn.load(SeqCst)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.write(0..0);
        self.0.is_torn.store(false, SeqCst);
        self.0.is_taken.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SLOT: Slot = Slot::new();

    #[test]
    fn a_slot_is_for_one_map_at_a_time_and_forgets_it() {
        for round in 0..100 {
            let taken = SLOT.take(4096..8192).unwrap();
            assert!(SLOT.take(0..4096).is_none());
            assert!(SLOT.tear(4095).is_none() && SLOT.tear(8192).is_none() && !taken.is_torn());
            assert_eq!(SLOT.tear(8191 - round), Some(8192));
            assert!(taken.is_torn());
            drop(taken);
            assert!(SLOT.tear(5000).is_none());
        }
    }

    #[test]
    fn a_slot_that_is_being_written_is_no_map() {
        static SLOT: Slot = Slot::new();
        let _taken = SLOT.take(4096..8192);
        SLOT.version.fetch_add(1, SeqCst);
        assert!(SLOT.tear(5000).is_none());
    }
}
