//! Durations and sizes as people write them: `"30s"`, `"64MiB"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// A span of time, written with its unit: `"500ms"`, `"30s"`, `"5m"`, `"24h"`, `"7d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes, written with its unit: `"512B"`, `"64KiB"`, `"64MiB"`, `"1GiB"`, `"1TiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Size(pub(crate) u64);

/// Units of time, the longest first, in milliseconds.
const SPAN_UNITS: [(&str, u64); 5] = [
    ("d", 24 * 60 * 60 * 1_000),
    ("h", 60 * 60 * 1_000),
    ("m", 60 * 1_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size, the largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum UnitError {
    /// Not a whole number and a unit of time.
    #[error("`{text}` is not a duration: write a whole number and ms, s, m, h or d, such as \"30s\"")]
    Span {
        /// What was written.
        text: String,
    },
    /// Not a whole number and a unit of size.
    #[error("`{text}` is not a size: write a whole number and B, KiB, MiB, GiB or TiB, such as \"64MiB\"")]
    Size {
        /// What was written.
        text: String,
    },
}

impl Span {
    /// So many seconds.
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let millis = measure(text, &SPAN_UNITS).ok_or_else(|| UnitError::Span {
            text: text.to_owned(),
        })?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        measure(text, &SIZE_UNITS)
            .map(Self)
            .ok_or_else(|| UnitError::Size {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write_measure(f, millis, &SPAN_UNITS, "s")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_measure(f, self.0, &SIZE_UNITS, "B")
    }
}

/// `None` for what is no whole number directly followed by a unit, or too large.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes the largest unit that divides the amount.
fn write_measure(
    f: &mut fmt::Formatter<'_>,
    amount: u64,
    units: &[(&str, u64)],
    unit_of_zero: &str,
) -> fmt::Result {
    match units
        .iter()
        .find(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor))
    {
        Some((unit, factor)) => write!(f, "{}{unit}", amount / factor),
        None => write!(f, "0{unit_of_zero}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        for text in ["0s", "250ms", "30s", "90s", "5m", "25h", "7d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["0B", "1023B", "64KiB", "4MiB", "256GiB", "1TiB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!("24h".parse::<Span>().unwrap(), "1d".parse().unwrap());
        assert_eq!("64 MiB".parse::<Size>(), Ok(Size(64 << 20)));
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_an_example() {
        for text in [
            "",
            "30",
            "s",
            "1.5h",
            "-1s",
            "30 seconds",
            "5M",
            "99999999999999999999d",
            "99999999999999d",
        ] {
            let error = text.parse::<Span>().unwrap_err();
            assert!(error.to_string().contains("\"30s\""), "{text}: {error}");
        }
        for text in ["", "64", "64MB", "64mib", "1.5GiB", "99999999TiB"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.to_string().contains("\"64MiB\""), "{text}: {error}");
        }
    }
}
