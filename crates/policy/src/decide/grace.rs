//! When the days of grace are over.

use findings::FindingKind;
use time::{Duration, OffsetDateTime};

use crate::JudgedFinding;

/// Where the days of grace stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grace {
    /// There are none, or no more.
    Over,
    /// They end then.
    Until(OffsetDateTime),
    /// They begin when a fix is known.
    NotBegun,
}

/// The days are counted from the later of publication and fix known here. While a vulnerability has no fix they have not
/// begun: nobody can use them. Where neither moment is known they are counted from when the finding was first made here, and
/// without that there are none: a date that is missing must not be a way around the rule. Moments that lie ahead are not
/// believed.
pub(super) fn of(days: u16, finding: Option<&JudgedFinding>, now: OffsetDateTime) -> Grace {
    let Some(finding) = finding.filter(|_| days > 0) else {
        return Grace::Over;
    };
    if finding.kind == FindingKind::Vulnerability && finding.fix.is_none() {
        return Grace::NotBegun;
    }
    let past = |moment: Option<OffsetDateTime>| moment.filter(|moment| *moment <= now);
    let begin = past(finding.published)
        .max(past(finding.fix_known_at))
        .or(past(finding.first_seen));
    match begin.and_then(|begin| begin.checked_add(Duration::days(days.into()))) {
        Some(end) if now < end => Grace::Until(end),
        _ => Grace::Over,
    }
}

#[cfg(test)]
mod tests {
    use findings::Severity;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);

    type Moment = Option<OffsetDateTime>;

    fn finding(kind: FindingKind, fix: bool, [published, known, seen]: [Moment; 3]) -> JudgedFinding {
        let mut finding = JudgedFinding::new(kind, "X", Severity::High);
        finding.fix = fix.then(|| "upgrade".to_owned());
        finding.published = published;
        finding.fix_known_at = known;
        finding.first_seen = seen;
        finding
    }

    #[test]
    fn days_are_counted_from_the_later_moment() {
        use FindingKind::{Secret, Vulnerability};
        let ago = |days| Some(NOW - Duration::days(days));
        let ahead = |days| Some(NOW + Duration::days(days));
        let until = |days| Grace::Until(NOW + Duration::days(days));
        for (kind, fix, moments, expected) in [
            (Vulnerability, true, [ago(20), ago(3), None], until(4)),
            (Vulnerability, true, [ago(3), ago(20), None], until(4)),
            (Vulnerability, true, [ago(20), ago(7), None], Grace::Over),
            (Vulnerability, true, [ago(20), ago(6), None], until(1)),
            (Vulnerability, true, [ago(2), None, ago(300)], until(5)),
            (Vulnerability, true, [None, None, ago(1)], until(6)),
            (Vulnerability, true, [None, None, None], Grace::Over),
            (Vulnerability, false, [ago(900), None, ago(900)], Grace::NotBegun),
            (Vulnerability, true, [ahead(3_000), ago(8), None], Grace::Over),
            (Secret, false, [None, None, ago(2)], until(5)),
            (Secret, false, [None, None, None], Grace::Over),
        ] {
            assert_eq!(
                of(7, Some(&finding(kind, fix, moments)), NOW),
                expected,
                "{kind:?} {moments:?}"
            );
        }
        assert_eq!(
            of(0, Some(&finding(Vulnerability, false, [None; 3])), NOW),
            Grace::Over
        );
        assert_eq!(of(7, None, NOW), Grace::Over);
    }
}
