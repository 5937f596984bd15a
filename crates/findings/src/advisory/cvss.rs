//! Base scores of CVSS vectors, in tenths.
//!
//! 2.0 and 3.x are computed here by their specifications' formulas. 4.0 looks a score up in a table of 270 rows and
//! interpolates; that is the `cvss` crate's part, which gets the base metrics alone and only when all of them are there.
//! Everything that is no well-formed vector is `None`.

mod v2;
mod v3;
mod v4;

#[cfg(test)]
mod tests;

pub(crate) use v2::v2_base_tenths;
pub(crate) use v3::v3_base_tenths;
pub(crate) use v4::v4_base_tenths;

use super::limits::VECTOR_BYTES;

/// Most metrics of a vector: CVSS 4.0 has 32.
const METRICS: usize = 40;

/// The metrics of a vector, each named once.
struct Metrics<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Metrics<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text.len() > VECTOR_BYTES {
            return None;
        }
        let mut metrics: Vec<(&str, &str)> = Vec::new();
        for part in text.split('/') {
            let (name, value) = part.split_once(':')?;
            if metrics.len() == METRICS || metrics.iter().any(|(seen, _)| *seen == name) {
                return None;
            }
            metrics.push((name, value));
        }
        Some(Self(metrics))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(seen, _)| *seen == name)
            .map(|(_, value)| *value)
    }

    /// The number that belongs to the value of a metric.
    fn weigh(&self, name: &str, weights: &[(&str, f64)]) -> Option<f64> {
        let value = self.get(name)?;
        weights
            .iter()
            .find(|(text, _)| *text == value)
            .map(|(_, weight)| *weight)
    }
}

/// A score from 0 to 10 in tenths, rounded to the nearest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0 to 100 just before"
)]
pub(crate) fn tenths_of(score: f64) -> u8 {
    (score * 10.0).round().clamp(0.0, 100.0) as u8
}
