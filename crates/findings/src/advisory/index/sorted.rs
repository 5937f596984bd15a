//! A range with its events in the order of versions, and where a version lies in it.

use std::{cmp::Ordering, sync::Arc};

use super::intern::Interner;
use crate::{
    Ecosystem,
    advisory::record::{Event, Range, RangeKind},
    version::{VersionError, compare},
};

/// Before every version.
const BEGINNING: &str = "0";
/// After every version.
const END: &str = "*";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Introduced,
    Fixed,
    LastAffected,
    Limit,
}

/// A range that can be evaluated.
#[derive(Debug, Clone)]
pub(crate) struct SortedRange {
    /// Whose order.
    ecosystem: Ecosystem,
    /// One of its versions has no place in the order.
    is_unordered: bool,
    marks: Box<[(Mark, Arc<str>)]>,
}

/// The part of a range that a version lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inside<'a> {
    /// Where the part begins.
    pub(crate) introduced: &'a str,
    /// The first version that has the fix, if the part ends with one.
    pub(crate) fixed: Option<&'a str>,
    /// The last affected version, if the part ends with one.
    pub(crate) last_affected: Option<&'a str>,
}

impl SortedRange {
    /// `None` for ranges of commits, which have no order here.
    pub(super) fn of(ecosystem: Ecosystem, range: &Range, texts: &mut Interner) -> Option<Self> {
        let ecosystem = match range.kind {
            RangeKind::Git => return None,
            RangeKind::Semver => semantic_order(ecosystem),
            RangeKind::Ecosystem => ecosystem,
        };
        let mut sorted: Vec<(Mark, Arc<str>)> = Vec::with_capacity(range.events.len());
        let mut is_unordered = false;
        for event in &range.events {
            let mark = (Mark::of(event), texts.intern(event.version()));
            // Bisection and no sort of the library's: a sort may panic over an order with a flaw.
            let place = sorted.partition_point(|before| {
                order(ecosystem, &before.1, &mark.1).unwrap_or_else(|_| {
                    is_unordered = true;
                    Ordering::Equal
                }) != Ordering::Greater
            });
            sorted.insert(place, mark);
        }
        if let [(_, only)] = sorted.as_slice() {
            is_unordered = order(ecosystem, only, only).is_err();
        }
        Some(Self {
            ecosystem,
            is_unordered,
            marks: sorted.into(),
        })
    }

    /// The versions that it names as those with the fix.
    pub(super) fn fixed(&self) -> impl Iterator<Item = &Arc<str>> {
        let fixed = self.marks.iter().filter(|(mark, _)| *mark == Mark::Fixed);
        fixed.map(|(_, version)| version)
    }

    pub(crate) const fn is_unordered(&self) -> bool {
        self.is_unordered
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.marks.as_ref())
    }

    /// Where `version` lies: OSV's evaluation. The marks up to the version are gone through in their order; *introduced*
    /// opens, *fixed* and *limit* close, *last affected* closes for what is later than it. Marks of one version keep the
    /// source's order.
    ///
    /// # Errors
    /// The version, or one that it has to be compared with, has no place in the order.
    pub(crate) fn locate(&self, version: &str) -> Result<Option<Inside<'_>>, VersionError> {
        let mut introduced: Option<&str> = None;
        let mut rest = self.marks.iter();
        let mut ahead = None;
        for mark in rest.by_ref() {
            let passed = match self.order(version, &mark.1)? {
                Ordering::Less => {
                    ahead = ahead.or(Some(mark));
                    break;
                }
                Ordering::Equal if mark.0 == Mark::LastAffected => {
                    ahead = ahead.or(Some(mark));
                    continue;
                }
                Ordering::Equal | Ordering::Greater => mark,
            };
            introduced = match passed.0 {
                Mark::Introduced => introduced.or(Some(&passed.1)),
                Mark::Fixed | Mark::LastAffected | Mark::Limit => None,
            };
        }
        Ok(introduced.map(|introduced| {
            let end = ahead
                .into_iter()
                .chain(rest)
                .find(|(mark, _)| *mark != Mark::Introduced);
            let end_if = |wanted: Mark| {
                end.filter(|(mark, _)| *mark == wanted)
                    .map(|(_, version)| version.as_ref())
            };
            Inside {
                introduced,
                fixed: end_if(Mark::Fixed),
                last_affected: end_if(Mark::LastAffected),
            }
        }))
    }

    /// Versions that a fix came with.
    pub(crate) fn fixes(&self) -> impl Iterator<Item = &str> {
        self.marks
            .iter()
            .filter(|(mark, _)| *mark == Mark::Fixed)
            .map(|(_, version)| version.as_ref())
    }

    /// Every version that it names.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &str> {
        self.marks.iter().map(|(_, version)| version.as_ref())
    }

    fn order(&self, version: &str, mark: &str) -> Result<Ordering, VersionError> {
        match mark {
            BEGINNING => Ok(Ordering::Greater),
            END => Ok(Ordering::Less),
            _ => compare(self.ecosystem, version, mark),
        }
    }
}

impl Mark {
    const fn of(event: &Event) -> Self {
        match event {
            Event::Introduced(_) => Self::Introduced,
            Event::Fixed(_) => Self::Fixed,
            Event::LastAffected(_) => Self::LastAffected,
            Event::Limit(_) => Self::Limit,
        }
    }
}

/// The order of two versions of events: `0` is before and `*` after all others.
fn order(ecosystem: Ecosystem, left: &str, right: &str) -> Result<Ordering, VersionError> {
    if left == right && matches!(left, BEGINNING | END) {
        return Ok(Ordering::Equal);
    }
    match (left, right) {
        (BEGINNING, _) | (_, END) => Ok(Ordering::Less),
        (_, BEGINNING) | (END, _) => Ok(Ordering::Greater),
        _ => compare(ecosystem, left, right),
    }
}

/// SEMVER ranges are ordered by semantic versioning; ecosystems whose own order is that, with leniency, keep theirs.
const fn semantic_order(ecosystem: Ecosystem) -> Ecosystem {
    match ecosystem {
        Ecosystem::Go
        | Ecosystem::Npm
        | Ecosystem::CratesIo
        | Ecosystem::Hex
        | Ecosystem::Pub
        | Ecosystem::Bitnami
        | Ecosystem::DockerHardenedImages => ecosystem,
        _ => Ecosystem::SemVer,
    }
}
