//! 3.6 Where applications stand on the road, as bands: unknown is one of them and never left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::event::App;
use super::numbers::{self, seconds};
use super::{Cohort, Frame, Kpi, KpiId, Measured, Spread, no_data, spread};

/// How long a base may have been superseded before what stands on it is stale, unless something else is asked for.
pub const STALE_AFTER: Duration = Duration::days(30);

/// The base of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "base", rename_all = "kebab-case")]
pub enum Base {
    /// Nobody looked, or it could not be seen.
    Unknown,
    /// It stands on none that is approved.
    NotApproved,
    /// It stands on an approved one.
    Approved {
        /// Whether that is still supported.
        supported: bool,
        /// Since when there is a newer release of it.
        #[serde(default, with = "time::serde::rfc3339::option")]
        superseded_at: Option<OffsetDateTime>,
    },
}

/// One digest of an application in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What it stands on.
    pub base: Base,
    /// Whether an approved toolchain built it; `None` where nobody knows.
    pub approved_toolchain: Option<bool>,
    /// Whether it is in a ring that is updated by itself; `None` where nobody knows.
    pub automatic_updates: Option<bool>,
    /// How long its replicas ran in the period, in hours.
    pub replica_hours: u64,
}

/// One application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Which.
    pub app: App,
    /// Its production digests.
    pub images: Vec<Image>,
    /// Until when it is exempt, not included.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub exempt_until: Option<OffsetDateTime>,
}

/// An application that began in the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewApplication {
    /// Whether it began on the road.
    pub on_the_road: bool,
    /// Whether somebody told it to; `None` where nobody knows.
    pub mandated: Option<bool>,
    /// Whether it has left the road since.
    pub opted_out: bool,
    /// When it was made from a template.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub from_template_at: Option<OffsetDateTime>,
    /// When it was first ready in production.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub first_production_at: Option<OffsetDateTime>,
}

/// One band.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// How many applications.
    pub apps: u64,
    /// How long their replicas ran, in hours.
    pub replica_hours: u64,
}

/// How the road is taken up without being told to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// New applications of which is known whether they were told.
    pub new_apps: u64,
    /// Those that chose the road by themselves.
    pub chose: u64,
    /// Their share.
    pub share: Option<f64>,
    /// New applications that left the road again.
    pub opt_outs: u64,
    /// From template to first production.
    pub template_to_production: Option<Spread>,
}

/// The bands, and what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adoption {
    /// Every cohort, also empty ones.
    pub bands: BTreeMap<Cohort, Band>,
    /// Paved divided by all applications.
    pub share: f64,
    /// The same by replica-hours; `None` where nothing ran.
    pub weighted_share: Option<f64>,
    /// How it is taken up.
    pub pull: Pull,
}

/// Where one image stands. What has an approved base and not the toolchain or the updates that belong to the road is on its own
/// road; what is not known of them makes it unknown.
pub fn cohort_of_image(image: &Image, stale_after: Duration, now: OffsetDateTime) -> Cohort {
    let (supported, superseded_at) = match image.base {
        Base::Unknown => return Cohort::Unknown,
        Base::NotApproved => return Cohort::OwnRoad,
        Base::Approved {
            supported,
            superseded_at,
        } => (supported, superseded_at),
    };
    let too_old = superseded_at.is_some_and(|at| now - at > stale_after);
    match (image.approved_toolchain, image.automatic_updates) {
        _ if !supported || too_old => Cohort::Stale,
        (Some(false), _) | (_, Some(false)) => Cohort::OwnRoad,
        (Some(true), Some(true)) => Cohort::Paved,
        _ => Cohort::Unknown,
    }
}

/// Where an application stands: by the worst of its images, in the order own road, stale, unknown, paved. A live exemption counts
/// for what is not paved by itself.
pub fn cohort_of_application(
    application: &Application,
    stale_after: Duration,
    now: OffsetDateTime,
) -> Cohort {
    let cohorts = application.images.iter();
    let worst = cohorts
        .map(|image| cohort_of_image(image, stale_after, now))
        .max_by_key(|cohort| badness(*cohort))
        .unwrap_or(Cohort::Unknown);
    let exempt = application.exempt_until.is_some_and(|until| now < until);
    if exempt && worst != Cohort::Paved {
        Cohort::Exempt
    } else {
        worst
    }
}

const fn badness(cohort: Cohort) -> u8 {
    match cohort {
        Cohort::Paved => 0,
        Cohort::Exempt => 1,
        Cohort::Unknown => 2,
        Cohort::Stale => 3,
        Cohort::OwnRoad => 4,
    }
}

/// Over all applications that there are.
pub fn adoption(
    applications: &[Application],
    new_applications: &[NewApplication],
    frame: &Frame<'_>,
    stale_after: Duration,
) -> Kpi<Adoption> {
    Kpi::measure(KpiId::Adoption, frame, |caveats| {
        let mut bands: BTreeMap<Cohort, Band> = Cohort::ALL
            .into_iter()
            .map(|cohort| (cohort, Band::default()))
            .collect();
        for application in applications {
            let cohort = cohort_of_application(application, stale_after, frame.now);
            let band = bands.entry(cohort).or_default();
            band.apps += 1;
            let hours = application.images.iter().map(|image| image.replica_hours);
            band.replica_hours += hours.sum::<u64>();
        }
        let paved = bands.get(&Cohort::Paved).copied().unwrap_or_default();
        let all = numbers::count(applications);
        let all_hours = bands.values().map(|band| band.replica_hours).sum();
        let share =
            numbers::share(paved.apps, all).ok_or_else(|| no_data("there is no application: declare one"))?;
        let unknown = bands.get(&Cohort::Unknown).map_or(0, |band| band.apps);
        if unknown > 0 {
            caveats.push(format!(
                "{unknown} applications are unknown: they count as not paved"
            ));
        }
        Ok(Measured {
            value: Adoption {
                share,
                weighted_share: numbers::share(paved.replica_hours, all_hours),
                bands,
                pull: pull(new_applications),
            },
            numerator: paved.apps,
            denominator: all,
        })
    })
}

fn pull(new_applications: &[NewApplication]) -> Pull {
    let mut pull = Pull::default();
    let mut times = Vec::new();
    for new in new_applications {
        if let Some(mandated) = new.mandated {
            pull.new_apps += 1;
            pull.chose += u64::from(new.on_the_road && !mandated);
        }
        pull.opt_outs += u64::from(new.opted_out);
        if let Some((template, production)) = new.from_template_at.zip(new.first_production_at) {
            times.extend(seconds(production - template));
        }
    }
    pull.share = numbers::share(pull.chose, pull.new_apps);
    pull.template_to_production = spread(times);
    pull
}

#[cfg(test)]
mod tests;
