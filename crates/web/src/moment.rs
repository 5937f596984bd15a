//! Moments on the wire: RFC 3339 text.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use store::Timestamp;
use utoipa::ToSchema;

/// A moment, `2026-11-22T08:33:00Z` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-22T08:33:00Z")]
pub struct Moment(pub Timestamp);

impl From<Timestamp> for Moment {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = Timestamp::from_rfc3339(&text);
        moment
            .map(Self)
            .ok_or_else(|| de::Error::custom("not a moment in RFC 3339, such as 2026-11-22T08:33:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_travel_as_text() {
        let json = "\"2026-11-22T08:33:00.123456Z\"";
        let moment: Moment = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&moment).unwrap(), json);
        let error = serde_json::from_str::<Moment>("\"tomorrow\"").unwrap_err();
        assert!(error.to_string().contains("RFC 3339"));
    }
}
