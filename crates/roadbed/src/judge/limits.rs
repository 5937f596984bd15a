//! How much judges hold in memory and do at once.

use std::time::Duration;

use super::{SignatureLimits, evidence::IMAGE_MEMORY};

/// Limits of judges and of what they judge by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JudgeLimits {
    /// How much of what is attached to an image is read.
    pub(crate) signatures: SignatureLimits,
    /// Bytes that the reports of one image may take. Default 1 GiB.
    pub(crate) image_memory: u64,
    /// Judgements that nobody waits for and that are made together. Default 256.
    pub(crate) batch: usize,
    /// Longest time of these, after they were read, but for the last one; what was not begun by then is put back. Default 250 ms.
    pub(crate) batch_time: Duration,
    /// Bytes of reports that are read for them, unpacked; images beyond are judged one by one. Default 48 MiB.
    pub(crate) batch_memory: u64,
    /// Bytes of what is remembered of packages for as long as the advisories are the same; what comes on top takes the place of
    /// others. Default 64 MiB.
    pub(crate) package_memory: u64,
    /// Changed advisories that are taken into what is known one by one; when more have changed, all are read: that is faster then.
    /// Default 2,000.
    pub(crate) updated: u64,
}

impl Default for JudgeLimits {
    fn default() -> Self {
        Self {
            signatures: SignatureLimits::default(),
            image_memory: IMAGE_MEMORY,
            batch: 256,
            batch_time: Duration::from_millis(250),
            batch_memory: 48 << 20,
            package_memory: 64 << 20,
            updated: 2_000,
        }
    }
}
