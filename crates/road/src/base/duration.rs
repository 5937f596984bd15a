//! Spans of time as people write them.

use time::Duration;

/// Longest span that a promise or a deadline may have: ten years.
pub const MAX_DURATION: Duration = Duration::days(3_650);

/// `30m`, `24h`, `7d` or `2w`: a whole number and its unit, above zero and at most [`MAX_DURATION`].
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number = &text[..text.len() - unit.len_utf8()];
    let seconds: i64 = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number: i64 = is_number.then(|| number.parse().ok())??;
    let span = Duration::seconds(number.checked_mul(seconds)?);
    (span > Duration::ZERO && span <= MAX_DURATION).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        assert_eq!(parse_duration("30m"), Some(Duration::minutes(30)));
        assert_eq!(parse_duration("24h"), Some(Duration::days(1)));
        assert_eq!(parse_duration("7d"), Some(Duration::days(7)));
        assert_eq!(parse_duration("2w"), Some(Duration::days(14)));
        assert_eq!(parse_duration("3650d"), Some(MAX_DURATION));
        for text in [
            "",
            "d",
            "7",
            "0d",
            "-1d",
            "+1d",
            "1.5h",
            "3651d",
            "99999999999999999999d",
            "9223372036854775807w",
            "1ä",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
