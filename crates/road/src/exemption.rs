//! That an application need not follow a rule for a while: with a reason, an owner, somebody else's word, and an end.
//!
//! Easy to get, hard to forget. A longer end is a renewal: it needs a reason of its own, and there are so many of them at most.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::app_road::LAST_YEAR;
use crate::names::{ApplicationName, Owner, RuleId};

/// Most exemptions.
pub const MAX_EXEMPTIONS: usize = 10_000;

/// Longest exemption, from its beginning to its end.
pub const MAX_EXEMPTION: Duration = Duration::days(366);

/// Longest reason, and longest text of what is done instead, in bytes.
pub const MAX_REASON_BYTES: usize = 1_000;

/// Most people who approved one.
pub const MAX_APPROVERS: usize = 20;

/// Most renewals that an exemption may allow.
pub const MAX_RENEWALS: u8 = 12;

/// Days before its end on which an exemption is warned of.
pub const WARNED_BEFORE: [u16; 3] = [30, 14, 3];

/// An exemption as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exemption {
    /// Which application.
    pub application: ApplicationName,
    /// From which rule.
    pub rule: RuleId,
    /// Why; of a renewal, why still.
    pub reason: String,
    /// Who answers for it.
    pub owner: Owner,
    /// Who let it be; one of them at least is not the owner.
    pub approved_by: Vec<Owner>,
    /// From when.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Until when, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// How often it may be given a later end.
    pub max_renewals: u8,
    /// What is done instead.
    #[serde(default)]
    pub compensating: Option<String>,
}

/// Where an exemption stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExemptionState {
    /// It has not begun.
    Pending,
    /// It counts.
    Live,
    /// It counts no more, and is a debt until somebody takes it back or renews it.
    Expired,
}

/// Why an exemption cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExemptionError {
    /// The end comes first.
    #[error("it ends before it begins")]
    Backwards,
    /// [`MAX_EXEMPTION`].
    #[error("it lasts longer than 366 days: name an earlier `expiresAt`, and renew it then")]
    Long,
    /// [`LAST_YEAR`].
    #[error("`expiresAt` is after {LAST_YEAR}: that is no end")]
    Endless,
    /// Nobody else stands for it.
    #[error("nobody but its owner approved it: name somebody else in `approvedBy`")]
    NotApproved,
    /// [`MAX_APPROVERS`].
    #[error("`approvedBy` lists {0}: at most {MAX_APPROVERS} are allowed")]
    Approvers(usize),
    /// [`MAX_RENEWALS`].
    #[error("`maxRenewals` is {0}: at most {MAX_RENEWALS} are allowed")]
    Renewals(u8),
    /// A text that is none, or too long.
    #[error("`{0}` must be one line of 1 to {MAX_REASON_BYTES} bytes")]
    Text(&'static str),
}

/// Why an exemption cannot take the place of another one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenewalError {
    /// The same words again.
    #[error("a later end is a renewal and needs a reason of its own: say why it is still needed")]
    SameReason,
    /// As many as there may be.
    #[error(
        "it was renewed {done} times, and `maxRenewals` was {max} when it was given: follow the rule, or ask for another rule"
    )]
    Spent {
        /// How often it was.
        done: u8,
        /// How often it may be.
        max: u8,
    },
    /// [`MAX_EXEMPTION`] from its first beginning on, whatever the beginning is said to be now.
    #[error(
        "it counts since {0} and would last longer than {days} days from then: name an earlier `expiresAt`, follow the rule, or ask \
         for another rule",
        days = MAX_EXEMPTION.whole_days()
    )]
    Long(OffsetDateTime),
    /// More of them by one's own word.
    #[error("`maxRenewals` was {was} when it was given and cannot become {to}")]
    Raised {
        /// What it was.
        was: u8,
        /// What it should become.
        to: u8,
    },
}

impl Exemption {
    /// Where it stands.
    pub fn state(&self, now: OffsetDateTime) -> ExemptionState {
        if now < self.from {
            ExemptionState::Pending
        } else if now < self.until {
            ExemptionState::Live
        } else {
            ExemptionState::Expired
        }
    }

    /// Whether it counts.
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.state(now) == ExemptionState::Live
    }

    /// Whether it makes sense by itself.
    pub fn check(&self) -> Result<(), ExemptionError> {
        if self.until <= self.from {
            return Err(ExemptionError::Backwards);
        }
        if self.until - self.from > MAX_EXEMPTION {
            return Err(ExemptionError::Long);
        }
        if self.until.year() > LAST_YEAR {
            return Err(ExemptionError::Endless);
        }
        if self.approved_by.len() > MAX_APPROVERS {
            return Err(ExemptionError::Approvers(self.approved_by.len()));
        }
        if self.approved_by.iter().all(|by| *by == self.owner) {
            return Err(ExemptionError::NotApproved);
        }
        if self.max_renewals > MAX_RENEWALS {
            return Err(ExemptionError::Renewals(self.max_renewals));
        }
        let texts = [
            ("reason", Some(&self.reason)),
            ("compensating", self.compensating.as_ref()),
        ];
        for (key, text) in texts {
            if text.is_some_and(|text| !is_line(text)) {
                return Err(ExemptionError::Text(key));
            }
        }
        Ok(())
    }

    /// The same as it is kept in the place of `was`: it began when that did.
    #[must_use]
    pub fn since(self, was: &Self) -> Self {
        Self {
            from: self.from.min(was.from),
            ..self
        }
    }

    /// Whether it may take the place of `was`, which has had `renewals`; answers how many there are then. What was taken back is
    /// remembered, so that nobody starts anew by leaving it out once.
    pub fn renews(&self, was: &Self, renewals: u8) -> Result<u8, RenewalError> {
        if self.until - self.from.min(was.from) > MAX_EXEMPTION {
            return Err(RenewalError::Long(was.from));
        }
        if self.max_renewals > was.max_renewals {
            let (was, to) = (was.max_renewals, self.max_renewals);
            return Err(RenewalError::Raised { was, to });
        }
        if self.until <= was.until {
            return Ok(renewals);
        }
        if same_words(&self.reason, &was.reason) {
            return Err(RenewalError::SameReason);
        }
        if renewals >= was.max_renewals {
            let (done, max) = (renewals, was.max_renewals);
            return Err(RenewalError::Spent { done, max });
        }
        Ok(renewals + 1)
    }
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && policy::yaml::one_line(text, MAX_REASON_BYTES) == text
}

/// Letters and digits are what a reason says.
fn same_words(one: &str, other: &str) -> bool {
    let words = |text: &str| -> String {
        let said = text.chars().filter(|c| c.is_alphanumeric());
        said.flat_map(char::to_lowercase).collect()
    };
    words(one) == words(other)
}

#[cfg(test)]
pub(crate) mod tests;
