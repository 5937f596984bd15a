//! How much a layer may grow.

use crate::{Exceeded, Limits};

/// The ratio is that of this many uncompressed bytes: a bomb cannot hide behind gigabytes of honest content, and a run of
/// zeros that is shorter than this is no bomb.
pub(super) const WINDOW: u64 = 64 << 20;

/// Counts uncompressed bytes against `layer.bytes` and `layer.ratio`.
pub(super) struct Meter {
    most: u64,
    ratio: u64,
    bytes: u64,
    window_bytes: u64,
    window_consumed: u64,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.layer_bytes,
            ratio: limits.ratio,
            bytes: 0,
            window_bytes: 0,
            window_consumed: 0,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts `produced` bytes, which were made of all that is `consumed` so far. `None`: not compressed.
    pub(super) fn take(&mut self, produced: u64, consumed: Option<u64>) -> Result<(), Exceeded> {
        self.bytes = self.bytes.saturating_add(produced);
        if self.bytes > self.most {
            return Err(Exceeded {
                limit: "layer.bytes",
                detail: format!("the layer has more than {} uncompressed bytes", self.most),
            });
        }
        let Some(consumed) = consumed else { return Ok(()) };
        self.window_bytes += produced;
        if self.window_bytes < WINDOW {
            return Ok(());
        }
        let from = consumed.saturating_sub(self.window_consumed);
        if self.window_bytes > from.saturating_mul(self.ratio) {
            return Err(Exceeded {
                limit: "layer.ratio",
                detail: format!(
                    "{from} compressed bytes became {}, more than {} for one",
                    self.window_bytes, self.ratio
                ),
            });
        }
        (self.window_bytes, self.window_consumed) = (0, consumed);
        Ok(())
    }
}
