//! Byte ranges: `Range` of a download, `Content-Range` of an uploaded chunk.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::text::excerpt;

/// What a `Range` header asks for (RFC 9110, 14.2), before the size of the content is known.
///
/// | header | becomes |
/// |---|---|
/// | `bytes=500-1499`, `bytes=500-` | [`From`](Self::From) |
/// | `bytes=-500` | [`Suffix`](Self::Suffix) |
/// | `bytes=0-1,5-6` and other lists | [`Whole`](Self::Whole) |
/// | another unit, or no unit | [`Whole`](Self::Whole) |
/// | `bytes=500-0`, `bytes=x` | [`Invalid`](Self::Invalid) |
///
/// A server may ignore a list of ranges, and no registry client sends one; it must ignore an unknown unit.
/// Nonsense in the unit `bytes` may be ignored or refused: it is refused, because a client that wanted a part
/// must not be handed gigabytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// Everything: the header asks for nothing that is offered.
    Whole,
    /// From `first` on, up to and including `last` if there is one. Positions count from 0.
    From {
        /// First byte wanted.
        first: u64,
        /// Last byte wanted, never before `first`.
        last: Option<u64>,
    },
    /// The last bytes.
    Suffix {
        /// How many.
        length: u64,
    },
    /// Nonsense in the unit `bytes`.
    Invalid,
}

/// A [`RangeRequest`] held against a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedRange {
    /// Answer 200 with everything.
    Whole,
    /// Answer 206 with these bytes; never empty, never past the end.
    Part(Range<u64>),
    /// Answer 416 with `Content-Range: bytes */size`.
    Unsatisfiable,
}

impl RangeRequest {
    /// Reads a header's value. Never fails: see the table above for what becomes of nonsense.
    ///
    /// Positions too large for 64 bits are taken as the largest: past every end.
    pub fn parse(header: &str) -> RangeRequest {
        let Some((unit, ranges)) = header.split_once('=') else {
            return RangeRequest::Whole;
        };
        if !unit.trim_matches(BLANKS).eq_ignore_ascii_case("bytes") {
            return RangeRequest::Whole;
        }
        let mut ranges = ranges
            .split(',')
            .map(|range| range.trim_matches(BLANKS))
            .filter(|range| !range.is_empty());
        match (ranges.next(), ranges.next()) {
            (Some(only), None) => RangeRequest::parse_one(only).unwrap_or(RangeRequest::Invalid),
            (Some(_), Some(_)) => RangeRequest::Whole,
            (None, _) => RangeRequest::Invalid,
        }
    }

    fn parse_one(range: &str) -> Option<RangeRequest> {
        let (first, last) = range.split_once('-')?;
        if first.is_empty() {
            return Some(RangeRequest::Suffix {
                length: saturating(last)?,
            });
        }
        let first = saturating(first)?;
        let last = if last.is_empty() {
            None
        } else {
            Some(saturating(last)?)
        };
        match last {
            Some(last) if last < first => None,
            _ => Some(RangeRequest::From { first, last }),
        }
    }

    /// Which bytes of a content of `size` bytes that is.
    pub fn resolve(self, size: u64) -> ResolvedRange {
        match self {
            RangeRequest::Whole => ResolvedRange::Whole,
            RangeRequest::Suffix { length: 0 } | RangeRequest::Invalid => ResolvedRange::Unsatisfiable,
            // Any suffix of nothing is satisfiable, and no `Content-Range` can say so.
            RangeRequest::Suffix { .. } if size == 0 => ResolvedRange::Whole,
            RangeRequest::Suffix { length } => ResolvedRange::Part(size.saturating_sub(length)..size),
            RangeRequest::From { first, .. } if first >= size => ResolvedRange::Unsatisfiable,
            RangeRequest::From { first, last } => {
                let end = last.map_or(size, |last| last.saturating_add(1).min(size));
                ResolvedRange::Part(first..end)
            }
        }
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

fn saturating(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Where an uploaded chunk belongs: first and last byte, both inclusive.
///
/// Read from `Content-Range`, in the specification's own form `0-499` or in HTTP's `bytes 0-499/1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentRange {
    start: u64,
    end: u64,
}

/// Why a `Content-Range` is refused. Answered to clients as 416, `RANGE_INVALID`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "content range `{range}` is malformed: expected `first-last`, such as 0-499, with last not before first"
)]
pub struct ContentRangeError {
    /// The header's value, clipped and escaped.
    pub range: String,
}

impl ContentRange {
    /// Largest position: what fits a file offset.
    pub const MAX: u64 = i64::MAX as u64;

    /// Offset in bytes of the chunk's first byte.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Offset in bytes of the chunk's last byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Length of the chunk in bytes; at least 1.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a range with two inclusive ends is never empty"
    )]
    pub fn len(&self) -> u64 {
        self.end - self.start + 1
    }

    fn parse(text: &str) -> Option<ContentRange> {
        let (range, total) = match text.strip_prefix("bytes ") {
            None => (text, None),
            Some(http) => {
                let (range, total) = http.split_once('/')?;
                let total = if total == "*" { None } else { Some(exact(total)?) };
                (range, total)
            }
        };
        let (start, end) = range.split_once('-')?;
        let (start, end) = (exact(start)?, exact(end)?);
        (start <= end && total.is_none_or(|total| end < total)).then_some(ContentRange { start, end })
    }
}

/// A number without sign or leading zeros that is a possible file offset.
fn exact(digits: &str) -> Option<u64> {
    let canonical = digits == "0" || !digits.starts_with('0');
    let value = digits.parse().ok().filter(|&value| value <= ContentRange::MAX)?;
    (canonical && digits.bytes().all(|b| b.is_ascii_digit())).then_some(value)
}

impl FromStr for ContentRange {
    type Err = ContentRangeError;

    fn from_str(text: &str) -> Result<Self, ContentRangeError> {
        ContentRange::parse(text).ok_or_else(|| ContentRangeError { range: excerpt(text) })
    }
}

/// The specification's form: `0-499`.
impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests;
