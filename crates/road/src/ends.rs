//! Everything on the road has an end, and nobody meets one unwarned.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::base::Bases;
use crate::exemption::WARNED_BEFORE;
use crate::names::Owner;
use crate::paving::{Paving, RoadKind};

/// Days before the end of what is supported on which it is warned of.
pub const SUPPORT_WARNED_BEFORE: [u16; 3] = [90, 30, 7];

/// The last day that counts, UTC, of what counts until `end`, not included.
pub fn last_day(end: OffsetDateTime) -> time::Date {
    end.checked_sub(Duration::NANOSECOND).unwrap_or(end).date()
}

/// That something ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// What it is.
    pub kind: RoadKind,
    /// Which one.
    pub name: String,
    /// Who answers for it, where somebody is named.
    pub owner: Option<Owner>,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What takes its place, or why it is there: what whoever is warned should know.
    pub note: Option<String>,
}

impl Ending {
    /// The days before its end on which it is warned of, the most first.
    pub const fn steps(&self) -> [u16; 3] {
        match self.kind {
            RoadKind::Exemption => WARNED_BEFORE,
            RoadKind::BaseImage | RoadKind::Toolchain | RoadKind::GoldenPath | RoadKind::AppRoad => {
                SUPPORT_WARNED_BEFORE
            }
        }
    }

    /// What is to be said of it by now: the fewest days of [`steps`](Self::steps) that have been reached, 0 once it is over, nothing
    /// before the first one. Whoever was not there at an earlier step is told the last one alone.
    pub fn due(&self, now: OffsetDateTime) -> Option<u16> {
        if now >= self.at {
            return Some(0);
        }
        let left = self.at - now;
        self.steps()
            .into_iter()
            .rev()
            .find(|days| left <= Duration::days(i64::from(*days)))
    }
}

/// All ends that there are.
pub fn endings(bases: &Bases, paving: &Paving) -> Vec<Ending> {
    let of_bases = bases.iter().map(|base| Ending {
        kind: RoadKind::BaseImage,
        name: base.name.to_string(),
        owner: Some(base.owner.clone()),
        at: base.supported_until,
        note: base.replaced_by.as_ref().map(|by| format!("replaced by {by}")),
    });
    let of_toolchains = paving.toolchains().map(|toolchain| Ending {
        kind: RoadKind::Toolchain,
        name: toolchain.name.to_string(),
        owner: Some(toolchain.owner.clone()),
        at: toolchain.supported_until,
        note: None,
    });
    let of_paths = paving.paths().map(|path| Ending {
        kind: RoadKind::GoldenPath,
        name: path.id.to_string(),
        owner: Some(path.owner.clone()),
        at: path.supported_until,
        note: None,
    });
    // Where it has none of its own, its golden path is warned of.
    let of_apps = paving.app_roads().filter_map(|road| {
        Some(Ending {
            kind: RoadKind::AppRoad,
            name: road.application.to_string(),
            owner: road.owner.clone(),
            at: road.until?,
            note: None,
        })
    });
    let of_exemptions = paving.exemptions().map(|of| Ending {
        kind: RoadKind::Exemption,
        name: format!("{}:{}", of.application, of.rule),
        owner: Some(of.owner.clone()),
        at: of.until,
        note: Some(of.reason.clone()),
    });
    of_bases
        .chain(of_toolchains)
        .chain(of_paths)
        .chain(of_apps)
        .chain(of_exemptions)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tests::base;
    use crate::exemption::tests::video;
    use crate::paving::RoadEntry;

    fn ends() -> Vec<Ending> {
        let bases = Bases::build(vec![base("java17")]).unwrap();
        let paving = Paving::build(&bases, vec![RoadEntry::Exemption(video())]).unwrap();
        endings(&bases, &paving)
    }

    #[test]
    fn it_is_warned_of_step_by_step() {
        for ending in ends() {
            let before = |days: i64| ending.due(ending.at - Duration::days(days));
            let [first, second, third] = ending.steps().map(i64::from);
            assert_eq!(before(first + 1), None);
            assert_eq!(before(first).map(i64::from), Some(first));
            assert_eq!(before(second + 1).map(i64::from), Some(first));
            assert_eq!(before(second).map(i64::from), Some(second));
            assert_eq!(before(third).map(i64::from), Some(third));
            assert_eq!(before(1).map(i64::from), Some(third));
            assert_eq!((before(0), before(-400)), (Some(0), Some(0)));
        }
    }

    #[test]
    fn each_kind_has_its_steps() {
        let steps: Vec<_> = ends()
            .iter()
            .map(|ending| (ending.kind, ending.steps()))
            .collect();
        let wanted = [
            (RoadKind::BaseImage, [90, 30, 7]),
            (RoadKind::Exemption, [30, 14, 3]),
        ];
        assert_eq!(steps, wanted);
    }
}
