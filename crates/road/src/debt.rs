//! What the owner of a base owes: each problem that a fix is known for, until a release is without it. Measured from the advisory to
//! the patched base, whether the promise was kept or not.

use std::collections::{BTreeMap, BTreeSet};

use findings::Severity;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::base::BaseImage;
use crate::names::{BaseName, VulnerabilityId};

/// Problems of one base that begin to be followed: the worst of those that it has. Default: the only value.
pub const MAX_DEBTS: usize = 5_000;

/// Most problems of one base that are followed at the same time, worse ones that came later included. Default: the only value.
pub const MAX_FOLLOWED: usize = 2 * MAX_DEBTS;

/// A problem of a current release for which a fix is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Which.
    pub vulnerability: VulnerabilityId,
    /// How bad.
    pub severity: Severity,
    /// Since when the owner could have known: the later of its publication and the fix known here.
    pub known_at: OffsetDateTime,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DebtState {
    /// To be patched.
    Open,
    /// To be patched, and the promise is broken.
    Late,
    /// Patched.
    Patched,
    /// It went away without a new release: the advisory was withdrawn, or it does not count.
    Gone,
}

impl DebtState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Late, Self::Patched, Self::Gone];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Late => "late",
            Self::Patched => "patched",
            Self::Gone => "gone",
        }
    }

    /// Whether it is still owed.
    pub const fn is_owed(self) -> bool {
        matches!(self, Self::Open | Self::Late)
    }
}

/// What is or was owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// By which base.
    pub base: BaseName,
    /// Which problem.
    pub vulnerability: VulnerabilityId,
    /// How bad.
    pub severity: Severity,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub known_at: OffsetDateTime,
    /// Until when, by the promise.
    #[serde(with = "time::serde::rfc3339")]
    pub due_at: OffsetDateTime,
    /// How it went.
    pub state: DebtState,
    /// When the release came that is without it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub patched_at: Option<OffsetDateTime>,
    /// Which release that was.
    #[serde(default)]
    pub release: String,
}

impl Debt {
    /// Whether the promise was kept; nothing while that is open, or where there was nothing to patch.
    pub fn is_kept(&self) -> Option<bool> {
        match self.state {
            DebtState::Open | DebtState::Gone => None,
            DebtState::Late => Some(false),
            DebtState::Patched => Some(self.patched_at.is_some_and(|at| at <= self.due_at)),
        }
    }
}

/// The current releases of a base, as far as they could be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// What they have. Of several releases all that any has.
    pub owed: Vec<Owed>,
    /// When the newest of them came.
    pub since: OffsetDateTime,
    /// What that is called.
    pub release: String,
    /// When the first release of the base came: nobody owed anything before.
    pub first: OffsetDateTime,
}

/// What has changed: the debts that are other than they were. Severities for which nothing is promised are not followed. What is
/// followed is followed until it is over, however much that is worse came since.
pub fn settle(base: &BaseImage, known: &[Debt], current: &Current, now: OffsetDateTime) -> Vec<Debt> {
    let before: BTreeMap<&VulnerabilityId, &Debt> =
        known.iter().map(|debt| (&debt.vulnerability, debt)).collect();
    let mut owed: Vec<(&Owed, time::Duration)> = current
        .owed
        .iter()
        .filter_map(|owed| Some((owed, base.patch_within.said(owed.severity)?)))
        .collect();
    owed.sort_by(|(one, _), (other, _)| {
        let by_severity = other.severity.cmp(&one.severity);
        by_severity.then_with(|| one.vulnerability.cmp(&other.vulnerability))
    });
    // Several releases have the same problem, and may not say the same of how bad it is: the worst counts.
    let mut still = BTreeSet::new();
    owed.retain(|(owed, _)| still.insert(&owed.vulnerability));
    let mut followed = known.iter().filter(|debt| debt.state.is_owed()).count();
    let mut changed = Vec::new();
    for (rank, (owed, within)) in owed.into_iter().enumerate() {
        let was = before.get(&owed.vulnerability).copied();
        if !was.is_some_and(|debt| debt.state.is_owed()) {
            if rank >= MAX_DEBTS || followed >= MAX_FOLLOWED {
                continue;
            }
            followed += 1;
        }
        let debt = owes(base, owed, within, was, current, now);
        if was != Some(&debt) {
            changed.push(debt);
        }
    }
    let there: BTreeSet<&VulnerabilityId> = current.owed.iter().map(|owed| &owed.vulnerability).collect();
    let over = known
        .iter()
        .filter(|debt| debt.state.is_owed() && !still.contains(&debt.vulnerability));
    changed.extend(over.map(|debt| paid(debt, current, there.contains(&debt.vulnerability))));
    changed
}

fn owes(
    base: &BaseImage,
    owed: &Owed,
    within: time::Duration,
    was: Option<&Debt>,
    current: &Current,
    now: OffsetDateTime,
) -> Debt {
    let known_at = match was {
        // What comes back is owed since it came back.
        Some(was) if was.state == DebtState::Patched => current.since,
        // When it began does not move with later words of others.
        Some(was) if was.state.is_owed() => was.known_at,
        _ => owed.known_at.max(current.first),
    };
    let due_at = known_at.checked_add(within).unwrap_or(known_at);
    let state = if now < due_at {
        DebtState::Open
    } else {
        DebtState::Late
    };
    Debt {
        base: base.name.clone(),
        vulnerability: owed.vulnerability.clone(),
        severity: owed.severity,
        known_at,
        due_at,
        state,
        patched_at: None,
        release: String::new(),
    }
}

/// A release that came since is the patch; without one it went away by itself, and what is there still is promised no more.
fn paid(debt: &Debt, current: &Current, is_there: bool) -> Debt {
    let is_patched = current.since > debt.known_at && !is_there;
    Debt {
        state: if is_patched {
            DebtState::Patched
        } else {
            DebtState::Gone
        },
        patched_at: is_patched.then_some(current.since),
        release: if is_patched {
            current.release.clone()
        } else {
            String::new()
        },
        ..debt.clone()
    }
}

#[cfg(test)]
mod tests;
