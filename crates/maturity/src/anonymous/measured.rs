//! From figures as they are shown inside to what may be told outside. What is withheld inside is not told outside either.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::{Group, Key, Measured, Quotient};
use crate::kpi::exposure::Exposure;
use crate::kpi::remediation::{Cohorts, Remediation, lasted};
use crate::kpi::survival::Observation;
use crate::kpi::{App, Cohort, Kpi, KpiId, Reading};

/// A figure that is a numerator and a denominator, of all these applications together. `None` if it is withheld, or if what it is
/// about are durations. Velocity becomes versions per application and week, so that it says nothing about the size.
pub fn quotient<V>(kpi: &Kpi<V>, apps: BTreeSet<App>) -> Option<Measured> {
    let Reading::Measured(measured) = &kpi.reading else {
        return None;
    };
    let times = match kpi.kpi {
        KpiId::LeadTime | KpiId::Recovery | KpiId::TimeToRemediate => return None,
        KpiId::Velocity => u64::try_from(apps.len()).ok()?,
        _ => 1,
    };
    let data = Quotient {
        numerator: measured.numerator,
        denominator: measured.denominator.checked_mul(times)?,
    };
    let group = Group {
        key: Key::default(),
        apps,
        data,
    };
    Some(Measured::Quotients {
        kpi: kpi.kpi,
        groups: vec![group],
    })
}

/// Time to remediate by severity and frozen cohort; `None` if it is withheld.
pub fn time_to_remediate(
    kpi: &Kpi<Remediation>,
    exposures: &[Exposure],
    cohorts: &Cohorts,
    now: OffsetDateTime,
) -> Option<Measured> {
    kpi.value()?;
    let mut groups: BTreeMap<Key, Group<Vec<Observation>>> = BTreeMap::new();
    for one in exposures {
        let frozen = cohorts.get(&(one.group.clone(), one.place.app.clone()));
        let key = Key {
            severity: Some(one.severity),
            cohort: Some(frozen.map_or(Cohort::Unknown, |frozen| frozen.cohort)),
        };
        let group = groups.entry(key).or_insert_with(|| Group {
            key,
            apps: BTreeSet::new(),
            data: Vec::new(),
        });
        group.apps.insert(one.place.app.clone());
        group.data.push(lasted(one, one.start, now));
    }
    Some(Measured::Times {
        kpi: KpiId::TimeToRemediate,
        groups: groups.into_values().collect(),
    })
}
