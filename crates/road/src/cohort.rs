//! The one enumeration: paved, stale, exempt, own road, unknown.
//!
//! Lineage decides first. An exemption only counts for what is not on the road by itself, so that it never hides that an
//! application is paved; and what is not known is *unknown*, never paved.

use std::fmt;

use findings::Severity;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::base::{BaseImage, Bases, Lifecycle};
use crate::exemption::Exemption;
use crate::lineage::{Lineage, Standing};
use crate::names::{BaseName, RuleId};

/// Where an image or an application stands on the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cohort {
    /// On a supported, current base by lineage.
    Paved,
    /// Its base has been superseded for longer than its owner promised, or is no longer supported.
    Stale,
    /// Not on the road, by a live exemption.
    Exempt,
    /// On no approved base.
    OwnRoad,
    /// Nobody knows.
    Unknown,
}

impl Cohort {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Paved,
        Self::Stale,
        Self::Exempt,
        Self::OwnRoad,
        Self::Unknown,
    ];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paved => "paved",
            Self::Stale => "stale",
            Self::Exempt => "exempt",
            Self::OwnRoad => "own-road",
            Self::Unknown => "unknown",
        }
    }

    /// How much it says about an application, when its images differ: greater decides.
    const fn weight(self) -> u8 {
        match self {
            Self::Paved => 0,
            Self::Exempt => 1,
            Self::Unknown => 2,
            Self::Stale => 3,
            Self::OwnRoad => 4,
        }
    }
}

impl fmt::Display for Cohort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an image is in its cohort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Because {
    /// Its base is the present release.
    Current {
        /// Which base.
        base: BaseName,
    },
    /// There is a newer release, and the promise has not run out.
    WithinPromise {
        /// Which base.
        base: BaseName,
        /// Until when that is so, not included.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
    /// There is a newer release, and the promise has run out.
    PromiseOver {
        /// Which base.
        base: BaseName,
        /// Since when.
        #[serde(with = "time::serde::rfc3339")]
        since: OffsetDateTime,
        /// The worst problem that the newer release is without.
        worst_fixed: Severity,
    },
    /// The base is retired, or its support has ended.
    SupportEnded {
        /// Which base.
        base: BaseName,
        /// What takes its place.
        replaced_by: Option<BaseName>,
    },
    /// The base is an experiment.
    Experimental {
        /// Which base.
        base: BaseName,
    },
    /// The base is known by its releases and declared no more.
    NotDeclared {
        /// Which base.
        base: BaseName,
    },
    /// It stands on what was pushed to a base and its declared signer has not signed.
    NotSigned {
        /// Which base.
        base: BaseName,
    },
    /// It stands on no known base.
    NoBase,
    /// A layer could not be read, so there may be a base.
    LayersUnknown,
    /// No image of the application was judged.
    NoImages,
}

/// A cohort with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which.
    pub cohort: Cohort,
    /// Why it would be so without an exemption.
    #[serde(flatten)]
    pub because: Because,
    /// The exemption, where one decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<Exempt>,
}

/// By which exemption something is exempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exempt {
    /// From which rule.
    pub rule: RuleId,
    /// Why.
    pub reason: String,
    /// Until when, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// Where an image stands. `lineage` is `None` while nobody looked.
pub fn of_image(
    lineage: Option<&Lineage>,
    bases: &Bases,
    exemption: Option<&Exemption>,
    now: OffsetDateTime,
) -> Verdict {
    let (cohort, because) = by_lineage(lineage, bases, now);
    let live = exemption.filter(|exemption| cohort != Cohort::Paved && exemption.is_live(now));
    Verdict {
        cohort: live.map_or(cohort, |_| Cohort::Exempt),
        because,
        exempt: live.map(|exemption| Exempt {
            rule: exemption.rule.clone(),
            reason: exemption.reason.clone(),
            until: exemption.until,
        }),
    }
}

fn by_lineage(lineage: Option<&Lineage>, bases: &Bases, now: OffsetDateTime) -> (Cohort, Because) {
    let Some(lineage) = lineage else {
        return (Cohort::Unknown, Because::LayersUnknown);
    };
    // The longest base that is on the road; so one between that is undeclared or does not count does not hide the base below it.
    let declared = |standing: &Standing| {
        let base = bases.get(&standing.base).filter(|_| standing.word.counts());
        base.map(|base| (base, standing.clone()))
    };
    match lineage.stack.iter().rev().find_map(declared) {
        Some((base, standing)) => on_base(base, &standing, now),
        None if !lineage.is_complete() => (Cohort::Unknown, Because::LayersUnknown),
        None => match lineage.base() {
            Some(standing) => {
                let base = standing.base.clone();
                let because = if bases.get(&base).is_some() {
                    Because::NotSigned { base }
                } else {
                    Because::NotDeclared { base }
                };
                (Cohort::OwnRoad, because)
            }
            None => (Cohort::OwnRoad, Because::NoBase),
        },
    }
}

fn on_base(declared: &BaseImage, standing: &Standing, now: OffsetDateTime) -> (Cohort, Because) {
    let base = declared.name.clone();
    if declared.lifecycle == Lifecycle::Experimental {
        return (Cohort::OwnRoad, Because::Experimental { base });
    }
    if !declared.is_supported(now) {
        let replaced_by = declared.replaced_by.clone();
        return (Cohort::Stale, Because::SupportEnded { base, replaced_by });
    }
    let Some(superseded) = standing.superseded.filter(|superseded| superseded.at <= now) else {
        return (Cohort::Paved, Because::Current { base });
    };
    let promise = declared.patch_within.within(superseded.worst_fixed);
    let until = superseded
        .at
        .checked_add(promise)
        .unwrap_or(superseded.at + Duration::DAY);
    if now < until {
        (Cohort::Paved, Because::WithinPromise { base, until })
    } else {
        let worst_fixed = superseded.worst_fixed;
        let since = until;
        (
            Cohort::Stale,
            Because::PromiseOver {
                base,
                since,
                worst_fixed,
            },
        )
    }
}

/// Where an application stands, by the images behind its tags that are in use. **The rule:** the image that says most decides, in
/// the order own road, stale, unknown, exempt, paved. So one image that is known to be off the road puts the application off it;
/// else one that nobody knows makes it unknown; and an application is paved only if all of its images are.
pub fn of_application(images: impl IntoIterator<Item = Verdict>) -> Verdict {
    let worst = images.into_iter().max_by_key(|verdict| verdict.cohort.weight());
    worst.unwrap_or(Verdict {
        cohort: Cohort::Unknown,
        because: Because::NoImages,
        exempt: None,
    })
}

#[cfg(test)]
mod tests;
