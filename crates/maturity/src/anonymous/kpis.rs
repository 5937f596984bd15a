//! Figures of groups that are large enough.

use std::collections::BTreeSet;

use super::document::{Figure, Key, ShareAfter, Value};
use super::{ExportError, Group, LEAST_GROUP, Measured, Quotient, merge};
use crate::kpi::KpiId;
use crate::kpi::remediation::SHARES_AFTER_SECONDS;
use crate::kpi::survival::{Curve, Observation};

/// Figures, and those of which there are too few applications.
pub(super) fn figures(measured: &[Measured]) -> Result<(Vec<Figure>, Vec<KpiId>), ExportError> {
    let mut seen = BTreeSet::new();
    let mut figures = Vec::new();
    let mut withheld = Vec::new();
    for one in measured {
        let kpi = one.kpi();
        if !seen.insert(kpi) {
            return Err(ExportError::FigureTwice(kpi));
        }
        let of_kpi = match one {
            Measured::Quotients { groups, .. } => told(kpi, groups, add, |data| quotient(kpi, *data)),
            Measured::Times { groups, .. } => told(kpi, groups, extend, |data| times(data)),
        };
        if of_kpi.is_empty() {
            withheld.push(kpi);
        }
        figures.extend(of_kpi);
    }
    figures.sort_by(|a, b| (a.kpi, &a.keys).cmp(&(b.kpi, &b.keys)));
    withheld.sort_unstable();
    Ok((figures, withheld))
}

fn add(into: &mut Quotient, other: Quotient) {
    into.numerator = into.numerator.saturating_add(other.numerator);
    into.denominator = into.denominator.saturating_add(other.denominator);
}

fn extend(into: &mut Vec<Observation>, other: Vec<Observation>) {
    into.extend(other);
}

/// Merged until each is of enough applications; what is left below that is not told.
fn told<D: Clone + Ord>(
    kpi: KpiId,
    groups: &[Group<D>],
    merge_data: impl Fn(&mut D, D),
    value: impl Fn(&D) -> Option<Value>,
) -> Vec<Figure> {
    let keyed = groups
        .iter()
        .filter(|group| !group.apps.is_empty())
        .map(|group| (vec![group.key], group.apps.clone(), group.data.clone()));
    let size = |apps: usize| u64::try_from(apps).unwrap_or(u64::MAX);
    let merged = merge::groups(
        keyed.collect(),
        |(_, apps, _)| size(apps.len()),
        |into, (keys, apps, data)| {
            into.0.extend(keys);
            into.0.sort_unstable();
            into.1.extend(apps);
            merge_data(&mut into.2, data);
        },
    );
    let figures = merged.into_iter().filter_map(|(keys, apps, data)| {
        let applications = size(apps.len());
        let value = value(&data).filter(|_| applications >= LEAST_GROUP)?;
        Some(Figure {
            kpi,
            keys: once(keys),
            applications_at_least: applications / LEAST_GROUP * LEAST_GROUP,
            value,
        })
    });
    figures.collect()
}

fn once(mut keys: Vec<Key>) -> Vec<Key> {
    keys.dedup();
    keys
}

/// Folds and versions per week are numbers, everything else is a share.
pub(super) const fn is_number(kpi: KpiId) -> bool {
    matches!(kpi, KpiId::Fold | KpiId::Velocity)
}

fn quotient(kpi: KpiId, data: Quotient) -> Option<Value> {
    let scaled = |scale: u64| {
        let denominator = u128::from(data.denominator);
        let doubled = u128::from(data.numerator) * u128::from(scale) * 2 + denominator;
        u64::try_from(doubled.checked_div(denominator * 2)?).ok()
    };
    if is_number(kpi) {
        let hundredths = scaled(100)?;
        return Some(Value::Number { hundredths });
    }
    let per_mille = scaled(1_000).filter(|share| *share <= 1_000)?;
    Some(Value::Share { per_mille })
}

fn times(observations: &[Observation]) -> Option<Value> {
    if observations.is_empty() {
        return None;
    }
    let curve = Curve::of(observations.iter().copied());
    let after = |seconds: u64| ShareAfter {
        seconds,
        per_mille: curve.share_ended(seconds).map(thousandths),
    };
    Some(Value::Times {
        median_seconds: curve.ended_by(0.5).map(two_digits),
        p90_seconds: curve.ended_by(0.9).map(two_digits),
        over_after: SHARES_AFTER_SECONDS.into_iter().map(after).collect(),
    })
}

/// A share between 0 and 1, rounded to a thousandth.
fn thousandths(share: f64) -> u64 {
    let reached = |thousandth: &u64| share * 1_000.0 >= crate::kpi::exact(*thousandth) - 0.5;
    (0..=1_000).rev().find(reached).unwrap_or(0)
}

/// Rounded to its first two digits.
pub(super) fn two_digits(number: u64) -> u64 {
    let mut unit = 1_u64;
    while number / unit >= 100 {
        unit *= 10;
    }
    let rounded = number / unit + u64::from(number % unit >= unit.div_ceil(2) && unit > 1);
    rounded.saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_left() {
        for (number, rounded) in [
            (0, 0),
            (7, 7),
            (99, 99),
            (104, 100),
            (105, 110),
            (1_849, 1_800),
            (1_850, 1_900),
            (996, 1_000),
            (183_412, 180_000),
        ] {
            assert_eq!(two_digits(number), rounded, "{number}");
        }
        assert_eq!(two_digits(u64::MAX), 18_000_000_000_000_000_000);
    }

    #[test]
    fn shares_are_rounded() {
        for (share, per_mille) in [
            (0.0, 0),
            (0.000_4, 0),
            (0.000_6, 1),
            (0.333_33, 333),
            (1.0, 1_000),
        ] {
            assert_eq!(thousandths(share), per_mille, "{share}");
        }
    }

    #[test]
    fn quotients_are_rounded() {
        let of = |kpi, numerator, denominator| {
            quotient(
                kpi,
                Quotient {
                    numerator,
                    denominator,
                },
            )
        };
        assert_eq!(of(KpiId::Recurrence, 1, 3), Some(Value::Share { per_mille: 333 }));
        assert_eq!(of(KpiId::Recurrence, 2, 3), Some(Value::Share { per_mille: 667 }));
        assert_eq!(of(KpiId::Fold, 5, 2), Some(Value::Number { hundredths: 250 }));
        assert_eq!(of(KpiId::Fold, 5, 0), None);
        // No share.
        assert_eq!(of(KpiId::Adoption, 5, 4), None);
    }
}
