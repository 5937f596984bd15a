//! The order of versions, by the rule of their ecosystem.

use std::cmp::Ordering;

use thiserror::Error;

use crate::Ecosystem;

/// Why two versions have no order.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VersionError {
    /// The ecosystem has no rule, or the rule does not know such a text.
    #[error("`{version}` is no version of {ecosystem}")]
    NotAVersion {
        /// Whose rule.
        ecosystem: Ecosystem,
        /// What it was asked about.
        version: String,
    },
}

/// Which of two versions is the later one.
///
/// # Errors
/// One of them is no version by the ecosystem's rule.
pub fn compare(ecosystem: Ecosystem, left: &str, right: &str) -> Result<Ordering, VersionError> {
    let _ = right;
    Err(VersionError::NotAVersion {
        ecosystem,
        version: left.to_owned(),
    })
}
