//! Moments as people write them: RFC 3339, a date, or a span from now.

use std::str::FromStr;
use std::time::SystemTime;

use store::{End, Timestamp};
use time::OffsetDateTime;
use web::wire::Moment;

use crate::config::Span;

/// A moment on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MomentArg {
    /// This moment.
    At(Timestamp),
    /// A day (UTC) from its first to its last second.
    Day { first: Timestamp, last: Timestamp },
    /// So long from now.
    Span(Span),
}

impl FromStr for MomentArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = || {
            Some(Self::Day {
                first: Timestamp::from_rfc3339(&format!("{text}T00:00:00Z"))?,
                last: Timestamp::from_rfc3339(&last_second(text))?,
            })
        };
        Timestamp::from_rfc3339(text)
            .map(Self::At)
            .or_else(day)
            .or_else(|| text.parse().map(Self::Span).ok())
            .ok_or_else(|| {
                "write a date such as 2026-11-22 (UTC), a moment in RFC 3339 such as 2026-11-22T08:33:00Z, or a span \
                 such as 24h or 90d"
                    .to_owned()
            })
    }
}

impl MomentArg {
    /// When something ends: a span counts from now on, a date is over when its day is.
    pub(crate) fn ahead(self) -> Moment {
        match self {
            Self::At(moment) | Self::Day { last: moment, .. } => Moment(moment),
            Self::Span(span) => Moment(Timestamp::from(SystemTime::now()).plus(span.0)),
        }
    }

    /// Since when: a span counts back from now, a date from the start of its day.
    pub(crate) fn ago(self) -> Moment {
        match self {
            Self::At(moment) | Self::Day { first: moment, .. } => Moment(moment),
            Self::Span(span) => Moment(Timestamp::from(SystemTime::now()).minus(span.0)),
        }
    }
}

/// The end that a file declares: `never`, a moment, or a date that counts until its day is over.
pub(crate) fn end(text: &str) -> Result<End, String> {
    let day = || Timestamp::from_rfc3339(&last_second(text)).map(End::At);
    text.parse().ok().or_else(day).ok_or_else(|| {
        format!(
            "{text:?} is no end: write a date such as 2030-01-01 (UTC), a moment such as 2030-01-01T08:00:00Z, or never"
        )
    })
}

/// As a date of a calendar; none beyond any.
pub(crate) fn date_of(moment: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment.micros()) * 1_000).ok()
}

fn last_second(day: &str) -> String {
    format!("{day}T23:59:59Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_whole_day() {
        let day: MomentArg = "2030-01-31".parse().unwrap();
        assert_eq!(
            day.ago().0,
            Timestamp::from_rfc3339("2030-01-31T00:00:00Z").unwrap()
        );
        assert_eq!(
            day.ahead().0,
            Timestamp::from_rfc3339("2030-01-31T23:59:59Z").unwrap()
        );
        let read = |text: &str| end(text).unwrap().to_string();
        assert_eq!(read("2030-01-31"), "2030-01-31T23:59:59Z");
        assert_eq!(read("2030-01-31T01:00:00Z"), "2030-01-31T01:00:00Z");
        assert_eq!(read("never"), "never");
    }

    #[test]
    fn what_is_no_moment_is_refused_with_examples() {
        for text in [
            "",
            "soon",
            "2030-02-30",
            "2030-1-1",
            "31.01.2030",
            "2030-01-01 08:00",
        ] {
            let error = text.parse::<MomentArg>().unwrap_err();
            assert!(
                error.contains("RFC 3339") && error.contains("2026-11-22"),
                "{text}: {error}"
            );
            assert!(end(text).is_err(), "{text}");
        }
        assert!(matches!("90d".parse(), Ok(MomentArg::Span(_))));
        assert!(end("90d").is_err());
    }
}
