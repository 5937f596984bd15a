//! What judges, re-evaluation, incidents and rebases are bounded by, made of the configuration.

use super::{Config, units};
use crate::judge::JudgeLimits;
use crate::rebase::MassSettings;
use crate::reevaluate;

impl Config {
    /// How much judges hold and do at once.
    pub(crate) fn judge_limits(&self) -> JudgeLimits {
        JudgeLimits {
            signatures: self.signature_limits(),
            image_memory: self.scan.image_memory.0,
            batch: self.reevaluation.batch,
            batch_time: self.reevaluation.batch_time.0,
            batch_memory: self.reevaluation.batch_memory.0,
            package_memory: self.reevaluation.package_memory.0,
            updated: self.reevaluation.updated,
        }
    }

    /// How much of an import is looked at in detail.
    pub(crate) fn reevaluation_limits(&self) -> reevaluate::Limits {
        reevaluate::Limits {
            advisories: self.reevaluation.advisories,
            compared: self.reevaluation.compared,
            news: self.reevaluation.news,
            wait: self.reevaluation.index_wait.0,
        }
    }

    /// How much of what is refused an import may let pass without a person.
    pub(crate) fn lift_guard(&self) -> policy::LiftGuard {
        policy::LiftGuard {
            share: policy::Share::basis_points(self.feeds.lift_share),
            floor: self.feeds.lift_floor,
        }
    }

    /// By when incidents are to be over of which nothing else is said.
    pub(crate) fn incident_deadlines(&self) -> road::incident::Deadlines {
        let seconds = |span: units::Span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX);
        road::incident::Deadlines {
            critical: seconds(self.incidents.critical),
            high: seconds(self.incidents.high),
            medium: seconds(self.incidents.medium),
            low: seconds(self.incidents.low),
            by: None,
        }
    }

    /// How images follow the releases of their bases.
    pub(crate) fn mass_settings(&self) -> MassSettings {
        let from = &self.rebase;
        let delay = |span: units::Span| time::Duration::try_from(span.0).unwrap_or(time::Duration::MAX);
        MassSettings {
            how: if from.in_place {
                store::TagMove::InPlace
            } else {
                store::TagMove::Suffix
            },
            pace: road::mass::Pace {
                delays: [
                    time::Duration::ZERO,
                    delay(from.early_after),
                    delay(from.normal_after),
                    delay(from.late_after),
                ],
                per_hour: from.per_hour,
            },
            thaw: from.thaw.severity(),
        }
    }
}
