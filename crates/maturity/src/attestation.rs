//! What a person vouches for, until a day.
//!
//! An attestation names who, what, for whom, from when and until when. It ends by itself; it is renewed by another one, it can be
//! revoked, and where the criterion says so another person must confirm it before it counts.

mod inbox;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::model::{Attester, Criterion};
use crate::words::{CriterionId, EventId, MAX_TEXT_BYTES, Person, RecordId, Role, Subject};

pub use inbox::{InboxItem, InboxKind, inbox};

/// How far an attestation may lie in the future of the registry's clock.
pub const ATTESTATION_SKEW: Duration = Duration::minutes(5);

/// How long before its confirmation runs out of meaning an attestation may wait for it.
pub const LONGEST_WAIT_FOR_CONFIRMATION: Duration = Duration::days(30);

/// What is claimed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// The criterion is met.
    #[default]
    Holds,
    /// The criterion does not apply. A second person must always confirm this.
    DoesNotApply,
}

/// Somebody's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// Its id.
    pub id: RecordId,
    /// For whom.
    pub subject: Subject,
    /// What.
    pub criterion: CriterionId,
    /// Who.
    pub by: Person,
    /// What is claimed.
    #[serde(default)]
    pub claim: Claim,
    /// Where it can be seen.
    pub link: String,
    /// What else is to be said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// From when on.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Until when, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// Which one it renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<RecordId>,
}

/// Somebody's act on an attestation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who.
    pub by: Person,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Why, of a revocation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// An attestation and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What was vouched for.
    pub attestation: Attestation,
    /// The event with which it came.
    pub event: EventId,
    /// By which second person it was confirmed.
    pub confirmed: Option<Act>,
    /// Who revoked it.
    pub revoked: Option<Act>,
}

impl Record {
    /// The moment from which it counts no longer; a criterion may have become stricter since.
    pub fn ends_at(&self, attester: &Attester) -> OffsetDateTime {
        let allowed = Duration::days(i64::from(attester.expires_days));
        let latest = self.attestation.from.checked_add(allowed);
        latest.map_or(self.attestation.until, |latest| {
            latest.min(self.attestation.until)
        })
    }

    /// Whether another person must have confirmed it and nobody has.
    pub fn waits(&self, attester: &Attester) -> bool {
        needs_second_person(&self.attestation, attester) && self.confirmed.is_none()
    }
}

/// The roles that somebody has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles(pub BTreeSet<Role>);

impl Roles {
    /// Of a list of them.
    pub fn of(roles: impl IntoIterator<Item = Role>) -> Self {
        Self(roles.into_iter().collect())
    }
}

/// Why an attestation is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttestationError {
    /// Evidence proves it.
    #[error("`{0}` is proven by evidence: nobody can vouch for it")]
    NotAttestable(CriterionId),
    /// The caller does not have the role.
    #[error("{person} may not vouch for `{criterion}`: the role `{role}` is needed")]
    NotAllowed {
        /// Who.
        person: Person,
        /// For what.
        criterion: CriterionId,
        /// Which role is needed.
        role: Role,
    },
    /// Of another kind of subject.
    #[error("`{criterion}` is about the {scope}: vouch for one of those, not for {subject}")]
    WrongSubject {
        /// Which.
        criterion: CriterionId,
        /// What it is about.
        scope: &'static str,
        /// For whom it was vouched.
        subject: Subject,
    },
    /// [`ATTESTATION_SKEW`].
    #[error("it begins in the future: vouch for it when it holds")]
    Future,
    /// It is over.
    #[error("it ends before it begins or has ended already: write a later `until`")]
    Over,
    /// Longer than the criterion allows.
    #[error("it lasts {days} days: `{criterion}` allows {allowed}, renew it then")]
    TooLong {
        /// Which.
        criterion: CriterionId,
        /// How long.
        days: i64,
        /// How long is allowed.
        allowed: u32,
    },
    /// Nothing to look at.
    #[error(
        "it needs a link that shows it, https:// or http://, and at most {MAX_TEXT_BYTES} bytes of each text"
    )]
    NoLink,
    /// Who vouches cannot confirm.
    #[error("{0} vouched for it: another person must confirm it")]
    SamePerson(Person),
    /// It was confirmed or needs no confirmation.
    #[error("it needs no confirmation")]
    NothingToConfirm,
    /// [`LONGEST_WAIT_FOR_CONFIRMATION`].
    #[error("it waited for {0} days: vouch for it again")]
    WaitedTooLong(i64),
    /// It counts no longer.
    #[error("it was revoked or has ended: vouch for it again")]
    NotLive,
}

/// Whether somebody with these roles may vouch for this now.
pub fn check(
    attestation: &Attestation,
    criterion: &Criterion,
    roles: &Roles,
    now: OffsetDateTime,
) -> Result<(), AttestationError> {
    let attester = may(&attestation.by, criterion, roles)?;
    if criterion.scope != attestation.subject.kind {
        return Err(AttestationError::WrongSubject {
            criterion: criterion.id.clone(),
            scope: criterion.scope.as_str(),
            subject: attestation.subject.clone(),
        });
    }
    check_dates(attestation, now)?;
    let length = attestation.until - attestation.from;
    if length > Duration::days(i64::from(attester.expires_days)) {
        return Err(AttestationError::TooLong {
            criterion: criterion.id.clone(),
            days: length.whole_days(),
            allowed: attester.expires_days,
        });
    }
    let is_link = ["https://", "http://"]
        .iter()
        .any(|scheme| attestation.link.starts_with(scheme));
    if !is_link || attestation.link.len() > MAX_TEXT_BYTES || attestation.note.len() > MAX_TEXT_BYTES {
        return Err(AttestationError::NoLink);
    }
    Ok(())
}

/// What holds of every attestation, whoever makes it.
pub(crate) fn check_dates(attestation: &Attestation, now: OffsetDateTime) -> Result<(), AttestationError> {
    if attestation.from > now + ATTESTATION_SKEW {
        return Err(AttestationError::Future);
    }
    if attestation.until <= attestation.from || attestation.until <= now {
        return Err(AttestationError::Over);
    }
    Ok(())
}

/// Whether somebody with these roles may confirm this now.
pub fn check_confirmation(
    record: &Record,
    criterion: &Criterion,
    by: &Person,
    roles: &Roles,
    now: OffsetDateTime,
) -> Result<(), AttestationError> {
    let attester = may(by, criterion, roles)?;
    if !record.waits(attester) {
        return Err(AttestationError::NothingToConfirm);
    }
    if record.attestation.by == *by {
        return Err(AttestationError::SamePerson(by.clone()));
    }
    if record.revoked.is_some() || record.ends_at(attester) <= now {
        return Err(AttestationError::NotLive);
    }
    let waited = now - record.attestation.from;
    if waited > LONGEST_WAIT_FOR_CONFIRMATION {
        return Err(AttestationError::WaitedTooLong(waited.whole_days()));
    }
    Ok(())
}

fn may<'c>(
    person: &Person,
    criterion: &'c Criterion,
    roles: &Roles,
) -> Result<&'c Attester, AttestationError> {
    let attester = criterion.attester.as_ref();
    let attester = attester.ok_or_else(|| AttestationError::NotAttestable(criterion.id.clone()))?;
    if roles.0.contains(&attester.role) {
        return Ok(attester);
    }
    Err(AttestationError::NotAllowed {
        person: person.clone(),
        criterion: criterion.id.clone(),
        role: attester.role.clone(),
    })
}

/// Whether a second person must confirm it.
pub fn needs_second_person(attestation: &Attestation, attester: &Attester) -> bool {
    attester.second_person || attestation.claim == Claim::DoesNotApply
}

#[cfg(test)]
mod tests;
