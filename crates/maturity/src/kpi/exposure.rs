//! 3.4 Exposures: one application in one environment of one cluster, with one vulnerability, from its beginning to its end.
//!
//! The clocks of each: D0 advisory, D1 fix for the release line, D2 matched here, D3 owner told, D4 patched image pushed, D5 first
//! patched replica ready, D6 last affected replica gone and nothing dormant that would start one, D7 confirmed by looking again.
//! What begins again after it was over is another exposure of the same place.

use oci::Digest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Severity;
use super::event::{Place, VulnerabilityGroup};
use super::journal::{Journal, Matched, PlaceHistory, READY_FOR};

/// From, and up to when if it is over.
pub(crate) type Span = (OffsetDateTime, Option<OffsetDateTime>);

/// When what happened; `None` for what has not yet, or is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// D0: the first advisory of a trusted source; where there is none, the match.
    #[serde(with = "time::serde::rfc3339")]
    pub advisory: OffsetDateTime,
    /// D1: there is a fixed version for each release line that is affected here.
    #[serde(with = "time::serde::rfc3339::option")]
    pub fix: Option<OffsetDateTime>,
    /// D2: it was matched.
    #[serde(with = "time::serde::rfc3339")]
    pub matched: OffsetDateTime,
    /// D3: the owner was told.
    #[serde(with = "time::serde::rfc3339::option")]
    pub notified: Option<OffsetDateTime>,
    /// D4: the patched image was pushed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub pushed: Option<OffsetDateTime>,
    /// D5: the first patched replica was ready.
    #[serde(with = "time::serde::rfc3339::option")]
    pub patched: Option<OffsetDateTime>,
    /// D6: the last affected one was gone.
    #[serde(with = "time::serde::rfc3339::option")]
    pub gone: Option<OffsetDateTime>,
    /// D7: what runs in its place was looked at and does not have it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub confirmed: Option<OffsetDateTime>,
}

/// One exposure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// Where.
    pub place: Place,
    /// To what.
    pub group: VulnerabilityGroup,
    /// How bad.
    pub severity: Severity,
    /// Which one of this place, from 0: later ones are those that came back.
    pub ordinal: u32,
    /// The later of the advisory and the first ready affected digest.
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    /// Its clocks.
    pub clocks: Clocks,
}

impl Exposure {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.clocks.gone.is_some()
    }
}

/// All exposures, by place, vulnerability and time.
pub fn exposures(journal: &Journal) -> Vec<Exposure> {
    let mut found = Vec::new();
    for (place, history) in &journal.places {
        for group in journal.groups_in(history) {
            found.extend(of_place(journal, place, history, group));
        }
    }
    found
}

fn of_place(
    journal: &Journal,
    place: &Place,
    history: &PlaceHistory,
    group: &VulnerabilityGroup,
) -> Vec<Exposure> {
    let Some(advisory) = advisory(journal, group) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let spans = merged(affected(journal, history, group, advisory));
    for (ordinal, (start, gone)) in (0_u32..).zip(spans) {
        let matched = matches_within(journal, history, group, (start, gone));
        let Some(first_match) = matched.iter().map(|matched| matched.at).min() else {
            continue;
        };
        let severity = matched.iter().map(|matched| matched.severity).max();
        let patched = patched(journal, history, group, start);
        let key = (place.app.clone(), group.clone());
        found.push(Exposure {
            place: place.clone(),
            group: group.clone(),
            severity: severity.unwrap_or(Severity::Unknown),
            ordinal,
            start,
            clocks: Clocks {
                advisory,
                fix: fix(journal, group, &matched),
                matched: first_match,
                notified: journal.notified.get(&key).copied(),
                pushed: pushed(journal, place, group, start, patched.map(|(_, digest)| digest)),
                patched: patched.map(|(at, _)| at),
                gone,
                confirmed: gone.and_then(|gone| confirmed(journal, history, group, gone)),
            },
        });
    }
    found
}

/// D0: by the first advisory; where no source has published one, by the first match.
pub(crate) fn advisory(journal: &Journal, group: &VulnerabilityGroup) -> Option<OffsetDateTime> {
    let first_match = || {
        journal
            .matches
            .get(group)?
            .values()
            .map(|matched| matched.at)
            .min()
    };
    journal.advisories.get(group).copied().or_else(first_match)
}

/// When affected digests were there since the advisory, dormant ones too; in the order of their beginning.
pub(crate) fn affected(
    journal: &Journal,
    history: &PlaceHistory,
    group: &VulnerabilityGroup,
    advisory: OffsetDateTime,
) -> Vec<Span> {
    let Some(matches) = journal.matches.get(group) else {
        return Vec::new();
    };
    let stays = history
        .stays
        .iter()
        .filter(|stay| matches.contains_key(&stay.digest));
    stays
        .filter(|stay| stay.until.is_none_or(|until| until > stay.from.max(advisory)))
        .map(|stay| (stay.from.max(advisory), stay.until))
        .collect()
}

/// Spans without the overlaps and without gaps that are shorter than a rollout needs to be ready.
pub(crate) fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for (from, until) in spans {
        match merged.last_mut() {
            Some((_, end)) if end.is_none_or(|end| from - end < READY_FOR) => {
                *end = end.zip(until).map(|(end, until)| end.max(until));
            }
            _ => merged.push((from, until)),
        }
    }
    merged
}

/// What was found in the digests that were there at some time of a span.
fn matches_within<'j>(
    journal: &'j Journal,
    history: &PlaceHistory,
    group: &VulnerabilityGroup,
    (start, gone): Span,
) -> Vec<&'j Matched> {
    let is_in = |from: OffsetDateTime, until: Option<OffsetDateTime>| {
        gone.is_none_or(|gone| from <= gone) && until.is_none_or(|until| until > start)
    };
    let stays = history.stays.iter().filter(|stay| is_in(stay.from, stay.until));
    let matches = journal.matches.get(group);
    stays.filter_map(|stay| matches?.get(&stay.digest)).collect()
}

/// D1: when the last of the affected lines had its fix; `None` while one has none.
fn fix(journal: &Journal, group: &VulnerabilityGroup, matched: &[&Matched]) -> Option<OffsetDateTime> {
    let of_all = journal.fixes.get(&(group.clone(), None)).copied();
    let lines = matched.iter().flat_map(|matched| &matched.lines);
    let fixes = lines.map(|line| {
        let of_line = journal.fixes.get(&(group.clone(), line.clone())).copied();
        of_line.into_iter().chain(of_all).min()
    });
    fixes.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Whether a digest was looked at and does not have it.
fn is_clear(journal: &Journal, group: &VulnerabilityGroup, digest: Digest) -> bool {
    let affected = journal
        .matches
        .get(group)
        .is_some_and(|found| found.contains_key(&digest));
    let cleared = journal
        .cleared
        .get(group)
        .is_some_and(|clear| clear.contains_key(&digest));
    !affected && (cleared || journal.scanned.contains_key(&digest))
}

/// D5, with the digest.
fn patched(
    journal: &Journal,
    history: &PlaceHistory,
    group: &VulnerabilityGroup,
    start: OffsetDateTime,
) -> Option<(OffsetDateTime, Digest)> {
    let starts = history.starts.iter().filter(|one| one.at >= start && one.held);
    starts
        .filter(|one| is_clear(journal, group, one.digest))
        .map(|one| (one.at, one.digest))
        .min()
}

/// D4: of what is ready, or else of the first that was pushed since.
fn pushed(
    journal: &Journal,
    place: &Place,
    group: &VulnerabilityGroup,
    start: OffsetDateTime,
    patched: Option<Digest>,
) -> Option<OffsetDateTime> {
    let of_app = journal.pushed.get(&place.app)?;
    if let Some(digest) = patched {
        return of_app.get(&digest).copied();
    }
    let later = of_app.iter().filter(|(_, at)| **at >= start);
    let clear = later.filter(|(digest, _)| is_clear(journal, group, **digest));
    clear.map(|(_, at)| *at).min()
}

/// D7: what is there at the end is known to be without it. Where nothing is there, nothing has to be looked at.
fn confirmed(
    journal: &Journal,
    history: &PlaceHistory,
    group: &VulnerabilityGroup,
    gone: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let cleared = journal.cleared.get(group);
    let there = history
        .stays
        .iter()
        .filter(|stay| stay.from <= gone && stay.until.is_none_or(|until| until > gone));
    let looks = there.map(|stay| cleared?.get(&stay.digest).copied());
    let last = looks.collect::<Option<Vec<_>>>()?.into_iter().max();
    Some(last.map_or(gone, |last| last.max(gone)))
}

#[cfg(test)]
mod tests;
