//! Moments, as small as they can be.

use time::OffsetDateTime;

/// Microseconds since the beginning of 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// After every moment.
    pub const NEVER: Self = Self(i64::MAX);
}

impl From<OffsetDateTime> for Moment {
    fn from(time: OffsetDateTime) -> Self {
        // The years that `time` knows fit in microseconds.
        Self(i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
    }
}

impl From<Moment> for Option<OffsetDateTime> {
    fn from(moment: Moment) -> Self {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment.0) * 1_000).ok()
    }
}
