//! Maps that may be touched although somebody else may cut their files.
//!
//! Touching a page of a map that cannot be read (its file was cut, the disk failed) is a `SIGBUS`, and that ends the
//! process. A [`GuardedMap`] is entered in a [`Table`] that a handler of that signal looks at: there the pages from the
//! fault to the end of the map become zeros, the map is marked as *torn*, and whoever touched it goes on. He has to ask
//! [`GuardedMap::is_torn`] after he has touched what he wanted and before he says that it was right.
//!
//! A guard may be refused: the table is full, the handler cannot be installed, or the system is another one than Linux.
//! Then the map must not be touched here, only given to the kernel.

use std::ops::Deref;

use memmap2::Mmap;

use slot::{Slot, Taken};

#[cfg(target_os = "linux")]
mod handler;
mod slot;

/// Maps that are guarded at once. Four times as many as a reader keeps: streams hold some longer.
#[cfg(target_os = "linux")]
const SLOTS: usize = 4096;

#[cfg(target_os = "linux")]
static TABLE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];
#[cfg(not(target_os = "linux"))]
static TABLE: [Slot; 0] = [];

/// Where guarded maps are entered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table(&'static [Slot]);

impl Table {
    /// The one that the handler looks at.
    pub(crate) fn of_process() -> Self {
        Self(&TABLE)
    }

    /// One without a free slot.
    #[cfg(test)]
    pub(crate) fn full() -> Self {
        Self(&[])
    }

    fn take(self, start: usize, len: usize) -> Option<Taken> {
        let page = page_size();
        let end = start.checked_add(len)?.checked_next_multiple_of(page)?;
        self.0.iter().find_map(|slot| slot.take(start..end))
    }
}

/// A map with its guard, if it got one.
#[derive(Debug)]
pub(crate) struct GuardedMap {
    // Dropped before the map: the address may be somebody else's a moment after that.
    guard: Option<Taken>,
    map: Mmap,
}

impl GuardedMap {
    /// Enters the map in `table`; without one, or if that fails, it has no guard.
    pub(crate) fn new(map: Mmap, table: Option<Table>) -> Self {
        let enter = |table: Table| {
            is_handled()
                .then(|| table.take(map.as_ptr().expose_provenance(), map.len()))
                .flatten()
        };
        Self {
            guard: table.and_then(enter),
            map,
        }
    }

    /// Whether touching it is harmless.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Whether somebody has touched what could not be read, and may have seen zeros instead.
    pub(crate) fn is_torn(&self) -> bool {
        self.guard.as_ref().is_some_and(Taken::is_torn)
    }
}

impl Deref for GuardedMap {
    type Target = Mmap;

    fn deref(&self) -> &Mmap {
        &self.map
    }
}

fn page_size() -> usize {
    rustix::param::page_size()
}

/// Installs the handler with the first call.
#[cfg(target_os = "linux")]
fn is_handled() -> bool {
    static INSTALLED: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let installed = handler::install();
        if let Err(error) = &installed {
            tracing::warn!(%error, "no handler for SIGBUS: blobs are copied instead of mapped");
        }
        installed.is_ok()
    });
    *INSTALLED
}

#[cfg(not(target_os = "linux"))]
fn is_handled() -> bool {
    false
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests;
