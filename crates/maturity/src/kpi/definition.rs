//! What each figure is defined as, in one place, so that what is shown beside it is what was computed.

use serde::{Deserialize, Serialize};

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KpiId {
    /// Versions shipped to customers, by week.
    Velocity,
    /// How many times as many versions as at the baseline.
    Fold,
    /// From commit to production.
    LeadTime,
    /// Share of versions that failed.
    ChangeFailureRate,
    /// From a failure to a healthy version.
    Recovery,
    /// How long a vulnerability stays.
    TimeToRemediate,
    /// Replica-hours with a vulnerability.
    ExposureWindow,
    /// Exposures that came back.
    Recurrence,
    /// Where applications stand on the road.
    Adoption,
    /// How old what runs is.
    Freshness,
    /// Which levels moved.
    Movement,
}

impl KpiId {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Velocity,
        Self::Fold,
        Self::LeadTime,
        Self::ChangeFailureRate,
        Self::Recovery,
        Self::TimeToRemediate,
        Self::ExposureWindow,
        Self::Recurrence,
        Self::Adoption,
        Self::Freshness,
        Self::Movement,
    ];

    /// Its definition, as it is shown.
    pub const fn definition(self) -> &'static str {
        match self {
            Self::Velocity => {
                "Feature versions per ISO week: digests that became ready in production for the first time, whose own \
                 layers or source revision no earlier production digest of the application had. Rebases (the same own \
                 layers on another base), rollbacks and configuration deploys are counted apart. An index counts once, \
                 and so do many clusters. Numerator: feature versions; denominator: full weeks."
            }
            Self::Fold => {
                "Feature versions of the last 12 full weeks divided by those of the 12 weeks of the frozen baseline. \
                 For one application by the median week; for all by the sums over applications that were alive in both, \
                 with a 95 % bootstrap interval over applications. Fewer than 8 versions are too few; from none is no \
                 number."
            }
            Self::LeadTime => {
                "From commit to first ready in production, for all commits since the revision before: median and 90th \
                 percentile. Where only the head commit is known it is a lower bound; without a revision only push to \
                 production is told. Commits of machines are a series of their own. Numerator: versions whose commits \
                 are known; denominator: feature versions."
            }
            Self::ChangeFailureRate => {
                "Versions that failed divided by versions shipped to production. Failed: within 24 hours of first ready \
                 it was rolled back, exceeded its progress deadline, or an incident names it. Versions younger than \
                 that are not counted yet."
            }
            Self::Recovery => {
                "From the detection of a failure to the next healthy version or rollback being ready in the same place \
                 (failed deployment recovery time). Failures that last are censored, not left out. Numerator: \
                 recovered; denominator: failures whose detection is known."
            }
            Self::TimeToRemediate => {
                "Per application, environment, cluster and vulnerability: from the later of the first public advisory \
                 and the first ready affected replica to the last affected one being gone, with nothing dormant that \
                 would start one. Kaplan-Meier median and 90th percentile by severity and frozen cohort; open exposures \
                 count as longer than this. Fair: from when there was a fix for the release line. Numerator: closed; \
                 denominator: all."
            }
            Self::ExposureWindow => {
                "Sum over exposures of ready affected replicas times how long, in replica-hours, by whether they face \
                 the internet; time under a live mitigation apart. Numerator: whole replica-hours without mitigation; \
                 denominator: all whole replica-hours."
            }
            Self::Recurrence => {
                "Exposures that opened again after the application had closed them, divided by exposures closed by \
                 applications."
            }
            Self::Adoption => {
                "Applications by the worst of their production digests: paved (approved and supported base, approved \
                 toolchain, automatic updates), stale, exempt, own road, unknown. Adoption is paved divided by all, \
                 unknown included."
            }
            Self::Freshness => {
                "How long ago the first newer release of the same base line than the one that runs came out; none if it \
                 is the newest. The grade follows from the oldest critical or important fix that is not applied. \
                 Numerator: running digests up to 30 days behind; denominator: running digests with a known base line."
            }
            Self::Movement => {
                "Per topic the applications whose level rose, fell, or fell because an attestation ended, from the \
                 start of the period to its end. Numerator: core criteria that are met by automatic evidence; \
                 denominator: core criteria that are met."
            }
        }
    }
}
