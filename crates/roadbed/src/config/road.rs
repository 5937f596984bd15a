//! `[road]`: what the catalogue of the road asks of pushes.

use time::Duration;

use super::key::section;
use super::units::Span;
use crate::judge::RoadAtPush;

const DAY: u64 = 24 * 60 * 60;

section! {
    /// What the catalogue of the road asks of pushes.
    Road = "road" {
        /// Whether new images on a retired base are refused once its notice is over. An exemption of the application counts.
        refuse_retired: bool = true;
        /// How long after it was retired a base takes new images, unless it says another notice itself (`retireNotice`).
        retire_notice: Span = Span::seconds(30 * DAY), Span::seconds(0) => Span::seconds(3_650 * DAY);
    }
}

impl Road {
    /// For whoever judges pushes.
    pub(crate) fn at_push(&self) -> RoadAtPush {
        RoadAtPush {
            refuse_retired: self.refuse_retired,
            notice: Duration::try_from(self.retire_notice.0).unwrap_or(Duration::MAX),
        }
    }
}
