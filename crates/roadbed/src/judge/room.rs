//! Whether an index has room for what an import brings, found out before it counts: what no index can hold would leave a server
//! without any after its next start.

use anyhow::Result;
use findings::advisory::{AdvisoryError, IndexLimits, IndexStats};
use store::{ImportSize, StagedImport};
use web::JudgingError;

use super::asked::{Asked, failed};

/// Bytes in memory for each byte of an advisory as JSON, at most.
const BYTES_OF_EACH: usize = 8;

impl Asked {
    /// Fails where no index could hold what would be known. An index is only made of it where that is not plain from numbers.
    pub(super) async fn check_room(&self, size: ImportSize, staged: &StagedImport) -> Result<()> {
        let before = self.knowledge.facts().await;
        if has_room(before.index.stats(), size, IndexLimits::default()) {
            return Ok(());
        }
        self.index_with(&before, staged).await.map(drop)
    }
}

/// Whether all that comes fits in, even if none of it takes the place of what is there.
fn has_room(stats: &IndexStats, size: ImportSize, limits: IndexLimits) -> bool {
    let bytes = size.bytes.saturating_mul(BYTES_OF_EACH);
    stats.entries.saturating_add(size.entries) <= limits.entries
        && stats.bytes.saturating_add(bytes) <= limits.bytes
}

/// What an index has no room for is no fault of the server's.
pub(super) fn too_much_or_failed(error: anyhow::Error) -> JudgingError {
    match error.downcast_ref::<AdvisoryError>() {
        Some(error @ AdvisoryError::IndexTooLarge { .. }) => JudgingError::Malformed(format!(
            "{error}: nothing of it was taken; import fewer ecosystems or smaller documents"
        )),
        _ => failed(error),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn room_is_counted_as_if_nothing_was_replaced() {
        let limits = IndexLimits {
            advisories: 10,
            entries: 100,
            bytes: 1_000,
        };
        let stats = IndexStats {
            entries: 60,
            bytes: 600,
            ..IndexStats::default()
        };
        let of = |entries, bytes| has_room(&stats, ImportSize { entries, bytes }, limits);
        assert!(of(0, 0) && of(40, 400 / BYTES_OF_EACH));
        assert!(!of(41, 0) && !of(0, 400 / BYTES_OF_EACH + 1) && !of(usize::MAX, usize::MAX));
    }

    #[test]
    fn what_is_too_much_is_told_to_whoever_brings_it() {
        let full = AdvisoryError::IndexTooLarge {
            what: "packages",
            limit: 7,
        };
        let error = Err::<(), _>(full).context("the index was lost").unwrap_err();
        let told = too_much_or_failed(error);
        assert!(
            matches!(&told, JudgingError::Malformed(why) if why.contains("more than 7 packages")),
            "{told}"
        );
        let other = too_much_or_failed(anyhow::anyhow!("the disk is gone"));
        assert!(matches!(other, JudgingError::Failed(_)));
    }
}
