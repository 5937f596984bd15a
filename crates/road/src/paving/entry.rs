//! What is asked of an entry whatever it is: whose it is, until when it counts, where it stands.

use time::OffsetDateTime;

use super::{RoadEntry, RoadKind};
use crate::exemption::ExemptionState;
use crate::names::{GoldenPathId, Owner};

impl RoadKind {
    /// How messages call it, in front of its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BaseImage => "base",
            Self::Toolchain => "toolchain",
            Self::GoldenPath => "golden path",
            Self::AppRoad => "road of application",
            Self::Exemption => "exemption",
        }
    }
}

impl RoadEntry {
    /// Who answers for it; of what an application says, nobody may be named.
    pub const fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Toolchain(toolchain) => Some(&toolchain.owner),
            Self::GoldenPath(path) => Some(&path.owner),
            Self::AppRoad(road) => road.owner.as_ref(),
            Self::Exemption(exemption) => Some(&exemption.owner),
        }
    }

    /// Until when it counts, not included. `end_of_path`: until when a golden path does, by which what applications say ends that has
    /// no end of its own.
    pub fn ends(
        &self,
        end_of_path: impl FnOnce(&GoldenPathId) -> Option<OffsetDateTime>,
    ) -> Option<OffsetDateTime> {
        match self {
            Self::Toolchain(toolchain) => Some(toolchain.supported_until),
            Self::GoldenPath(path) => Some(path.supported_until),
            Self::AppRoad(road) => road.until.or_else(|| road.path.as_ref().and_then(end_of_path)),
            Self::Exemption(exemption) => Some(exemption.until),
        }
    }

    /// Where it stands at a moment, with the end that [`ends`](Self::ends) gave: only exemptions have a beginning.
    pub fn state(&self, ends: Option<OffsetDateTime>, now: OffsetDateTime) -> ExemptionState {
        match self {
            Self::Exemption(exemption) => exemption.state(now),
            _ if ends.is_some_and(|end| now >= end) => ExemptionState::Expired,
            _ => ExemptionState::Live,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::exemption::tests::video;

    const END: OffsetDateTime = datetime!(2027-01-01 0:00 UTC);

    fn app_road(more: &str) -> RoadEntry {
        let text = format!(
            r#"{{"kind": "AppRoad", "entry": {{"application": "shop", "ring": "early", "auto_rebase": "auto"{more}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_an_application_says_ends_with_its_path() {
        let path = |_: &GoldenPathId| Some(END);
        assert_eq!(app_road(r#", "path": "java@3""#).ends(path), Some(END));
        let own = app_road(r#", "path": "java@3", "until": "2026-06-01T00:00:00Z", "owner": "team-shop""#);
        assert_eq!(own.ends(path), Some(datetime!(2026-06-01 0:00 UTC)));
        assert_eq!(
            own.owner().map(ToString::to_string),
            Some("team-shop".parse::<Owner>().unwrap().to_string())
        );
        let none = app_road("");
        assert_eq!((none.ends(path), none.owner()), (None, None));
        assert_eq!(none.state(None, END), ExemptionState::Live);
    }

    #[test]
    fn an_end_is_not_included() {
        let entry = app_road("");
        assert_eq!(
            entry.state(Some(END), END - Duration::NANOSECOND),
            ExemptionState::Live
        );
        assert_eq!(entry.state(Some(END), END), ExemptionState::Expired);
        let exemption = video();
        let from = exemption.from;
        let entry = RoadEntry::Exemption(exemption);
        let ends = entry.ends(|_| None);
        assert_eq!(
            entry.state(ends, from - Duration::NANOSECOND),
            ExemptionState::Pending
        );
        assert_eq!(entry.state(ends, from), ExemptionState::Live);
    }
}
