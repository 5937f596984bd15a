//! How much is told, how often, and for how long it is tried.

use std::time::Duration;

/// Bounds of telling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TellingLimits {
    /// Between two looks for something to tell.
    pub(crate) look_every: Duration,
    /// Between two looks at open incidents, for what is due soon or overdue.
    pub(crate) remind_every: Duration,
    /// Longest pause after the first failure; each further one may be twice as long.
    pub(crate) first_pause: Duration,
    /// Longest pause between two tries.
    pub(crate) longest_pause: Duration,
    /// How often something is tried before it is given up.
    pub(crate) attempts: u64,
    /// How long.
    pub(crate) give_up_after: Duration,
    /// What one sink may be still to be told.
    pub(crate) pending: u64,
    /// Deliveries that are over and kept.
    pub(crate) kept: u64,
    /// How long they are.
    pub(crate) kept_for: Duration,
}

impl Default for TellingLimits {
    fn default() -> Self {
        Self {
            look_every: Duration::from_secs(1),
            remind_every: Duration::from_mins(10),
            first_pause: Duration::from_secs(10),
            longest_pause: Duration::from_hours(1),
            attempts: 200,
            give_up_after: Duration::from_hours(3 * 24),
            pending: 10_000,
            kept: 10_000,
            kept_for: Duration::from_hours(30 * 24),
        }
    }
}
