//! CVSS 3.0 and 3.1 (FIRST, specification documents, 7.1 and appendix A). They differ in how a score is rounded up.

use super::{Metrics, tenths_of};

/// The base score of a vector such as `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`.
pub(crate) fn v3_base_tenths(vector: &str) -> Option<u8> {
    let (metrics, round_up): (_, fn(f64) -> u8) = match vector.strip_prefix("CVSS:3.1/") {
        Some(metrics) => (metrics, round_up_31),
        None => (vector.strip_prefix("CVSS:3.0/")?, round_up_30),
    };
    let metrics = Metrics::parse(metrics)?;
    let is_changed = metrics.weigh("S", &[("U", 0.0), ("C", 1.0)])? > 0.5;
    let impact = impact(&metrics, is_changed)?;
    let exploitability = exploitability(&metrics, is_changed)?;
    if impact <= 0.0 {
        return Some(0);
    }
    let sum = impact + exploitability;
    Some(round_up(if is_changed {
        (1.08 * sum).min(10.0)
    } else {
        sum.min(10.0)
    }))
}

fn impact(metrics: &Metrics<'_>, is_changed: bool) -> Option<f64> {
    let loss = |name| metrics.weigh(name, &[("N", 0.0), ("L", 0.22), ("H", 0.56)]);
    let base = 1.0 - (1.0 - loss("C")?) * (1.0 - loss("I")?) * (1.0 - loss("A")?);
    Some(if is_changed {
        7.52 * (base - 0.029) - 3.25 * (base - 0.02).powi(15)
    } else {
        6.42 * base
    })
}

fn exploitability(metrics: &Metrics<'_>, is_changed: bool) -> Option<f64> {
    let vector = metrics.weigh("AV", &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?;
    let complexity = metrics.weigh("AC", &[("L", 0.77), ("H", 0.44)])?;
    let privileges = if is_changed {
        metrics.weigh("PR", &[("N", 0.85), ("L", 0.68), ("H", 0.5)])?
    } else {
        metrics.weigh("PR", &[("N", 0.85), ("L", 0.62), ("H", 0.27)])?
    };
    let interaction = metrics.weigh("UI", &[("N", 0.85), ("R", 0.62)])?;
    Some(8.22 * vector * complexity * privileges * interaction)
}

fn round_up_30(score: f64) -> u8 {
    tenths_of((score * 10.0).ceil() / 10.0)
}

/// Appendix A of 3.1: on hundred-thousandths, so that the error of floating point does not lift a score by a tenth.
fn round_up_31(score: f64) -> u8 {
    let fine = (score * 100_000.0).round();
    tenths_of((fine / 10_000.0).ceil() / 10.0)
}
