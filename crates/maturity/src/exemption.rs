//! Criteria that somebody need not meet, for a while.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::model::Model;
use crate::words::{CriterionId, MAX_TEXT_BYTES, Person, RecordId, Subject};

/// Longest exemption. It counts for the level, so it must end.
pub const LONGEST_EXEMPTION: Duration = Duration::days(365);

/// A criterion that a subject need not meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemption {
    /// Its id.
    pub id: RecordId,
    /// Who.
    pub subject: Subject,
    /// Which.
    pub criterion: CriterionId,
    /// From when on.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Until when, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub requested_by: Person,
    /// Who granted it.
    pub approved_by: Person,
}

/// Why an exemption is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExemptionError {
    /// Not a criterion.
    #[error("there is no criterion `{id}`{hint}")]
    NoCriterion {
        /// The name.
        id: CriterionId,
        /// The nearest one.
        hint: String,
    },
    /// Of another kind of subject.
    #[error("`{criterion}` is about the {scope}: exempt one of those, not {subject}")]
    WrongSubject {
        /// Which.
        criterion: CriterionId,
        /// What it is about.
        scope: &'static str,
        /// Who was to be exempt.
        subject: Subject,
    },
    /// It ends before it begins.
    #[error("it ends before it begins: write a later `until`")]
    Backwards,
    /// [`LONGEST_EXEMPTION`].
    #[error("it lasts {0} days: at most {max} are allowed, ask again then", max = LONGEST_EXEMPTION.whole_days())]
    TooLong(i64),
    /// It has no reason, or a very long one.
    #[error("it needs a reason, of at most {MAX_TEXT_BYTES} bytes")]
    NoReason,
    /// Who asks cannot grant.
    #[error("{0} asked for it: another person must approve it")]
    SamePerson(Person),
}

impl Exemption {
    /// Whether it holds.
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it may be taken.
    pub fn check(&self, model: &Model) -> Result<(), ExemptionError> {
        let Some(criterion) = model.criterion(&self.criterion) else {
            return Err(ExemptionError::NoCriterion {
                id: self.criterion.clone(),
                hint: model.nearest_criterion(self.criterion.as_str()),
            });
        };
        if criterion.scope != self.subject.kind {
            return Err(ExemptionError::WrongSubject {
                criterion: self.criterion.clone(),
                scope: criterion.scope.as_str(),
                subject: self.subject.clone(),
            });
        }
        if self.until <= self.from {
            return Err(ExemptionError::Backwards);
        }
        if self.until - self.from > LONGEST_EXEMPTION {
            return Err(ExemptionError::TooLong((self.until - self.from).whole_days()));
        }
        if self.reason.trim().is_empty() || self.reason.len() > MAX_TEXT_BYTES {
            return Err(ExemptionError::NoReason);
        }
        if self.requested_by == self.approved_by {
            return Err(ExemptionError::SamePerson(self.requested_by.clone()));
        }
        Ok(())
    }
}
