//! Who crowds: a sender of so many requests at once that others would wait behind them.
//!
//! An express lane takes what has come in the order in which it came, so a thousand connections of one sender make everybody on it
//! wait, however fair the line is that they are put into once they were read. Their connections move to a lane that crowds
//! share, whose threads the system takes the processor from as soon as an express lane has something to do.
//!
//! Whoever finds out during a poll says so here, since the connection's own future knows nothing of lanes; the traveller hears of it
//! when that poll ends.

use std::cell::Cell;

thread_local! {
    static IS_CROWDED: Cell<bool> = const { Cell::new(false) };
    static SAID: Cell<Option<Said>> = const { Cell::new(None) };
}

/// What was found out about the connection that is being polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Its sender crowds.
    Crowds,
    /// One more of its requests came while its sender did not.
    IsCalm,
}

/// Called once on each thread of the lane for crowds.
pub(super) fn begin() {
    IS_CROWDED.with(|is_crowded| is_crowded.set(true));
}

/// Whether this thread serves crowds.
pub(crate) fn is_here() -> bool {
    IS_CROWDED.with(Cell::get)
}

/// The sender of the connection that is being polled crowds: the connection moves when this poll ends, and stays until a number of its
/// requests in a row were calm.
pub(crate) fn join() {
    SAID.with(|said| said.set(Some(Said::Crowds)));
}

/// The sender of the connection that is being polled does not crowd.
pub(crate) fn calm() {
    SAID.with(|said| {
        if said.get().is_none() {
            said.set(Some(Said::IsCalm));
        }
    });
}

/// What was said since this was asked last.
pub(super) fn said() -> Option<Said> {
    SAID.with(Cell::take)
}
