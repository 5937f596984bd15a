//! Waivers that were asked for and that nobody has approved yet.

use oci::{Digest, RepoPattern};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use super::{Waiver, WaiverError, WaiverKind};

/// Stands for the approver while there is none. No name of a principal has parentheses.
const NOBODY: &str = "(nobody yet)";

/// A waiver without the word of a second person. It has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverRequest {
    /// Its name.
    pub id: String,
    /// Accepted, or not true.
    pub kind: WaiverKind,
    /// As in [`Waiver::findings`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// As in [`Waiver::rules`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Where; never empty.
    pub repositories: Vec<RepoPattern>,
    /// This image only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// This package only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// This path only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// As in [`Waiver::facts`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Digest>,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub requester: String,
    /// When they asked.
    #[serde(with = "time::serde::rfc3339")]
    pub requested_at: OffsetDateTime,
    /// Until when it should hold, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

impl WaiverRequest {
    /// Whether somebody could approve it.
    ///
    /// # Errors
    /// What would be wrong with the waiver.
    pub fn check(&self) -> Result<(), WaiverError> {
        self.approve(NOBODY, self.requested_at).map(drop)
    }

    /// The waiver that it becomes by the word of `approver`, in force from `now` on.
    ///
    /// # Errors
    /// The approver is the requester, its time is over, or it is no waiver.
    pub fn approve(&self, approver: &str, now: OffsetDateTime) -> Result<Waiver, WaiverError> {
        Waiver {
            id: self.id.clone(),
            kind: self.kind,
            findings: self.findings.clone(),
            rules: self.rules.clone(),
            repositories: self.repositories.clone(),
            digest: self.digest,
            package: self.package.clone(),
            path: self.path.clone(),
            facts: self.facts,
            reason: self.reason.clone(),
            requester: self.requester.clone(),
            approver: approver.to_owned(),
            from: now,
            until: self.until,
        }
        .check()
    }
}

/// A waiver as it is kept: asked for, or approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptWaiver {
    /// Asked for; it has no effect.
    Requested(WaiverRequest),
    /// Approved by another person.
    Approved(Waiver),
}

/// Why a text is no kept waiver.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct KeptWaiverError(#[from] serde_json::Error);

/// Only a request has this around it, so that nothing that reads waivers takes one for the other.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<T> {
    requested: T,
}

impl KeptWaiver {
    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// It is neither of the two.
    pub fn from_json(text: &str) -> Result<Self, KeptWaiverError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        if value.get("requested").is_some() {
            let envelope: Envelope<WaiverRequest> = serde_json::from_value(value)?;
            return Ok(Self::Requested(envelope.requested));
        }
        Ok(Self::Approved(serde_json::from_value(value)?))
    }

    /// As JSON.
    ///
    /// # Errors
    /// A date that RFC 3339 cannot write.
    pub fn to_json(&self) -> Result<String, KeptWaiverError> {
        Ok(match self {
            Self::Requested(requested) => serde_json::to_string(&Envelope { requested }),
            Self::Approved(waiver) => serde_json::to_string(waiver),
        }?)
    }

    /// Where it holds, or would.
    pub fn repositories(&self) -> &[RepoPattern] {
        match self {
            Self::Requested(request) => &request.repositories,
            Self::Approved(waiver) => &waiver.repositories,
        }
    }

    /// Who asked for it.
    pub fn requester(&self) -> &str {
        match self {
            Self::Requested(request) => &request.requester,
            Self::Approved(waiver) => &waiver.requester,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn request() -> WaiverRequest {
        WaiverRequest {
            id: "w1".to_owned(),
            kind: WaiverKind::Accepted,
            findings: vec!["CVE-2021-44228".to_owned()],
            rules: Vec::new(),
            repositories: vec!["team/app".parse().unwrap()],
            digest: None,
            package: None,
            path: None,
            facts: None,
            reason: "behind a proxy".to_owned(),
            requester: "ann".to_owned(),
            requested_at: datetime!(2026-11-27 12:00 UTC),
            until: datetime!(2026-12-24 00:00 UTC),
        }
    }

    #[test]
    fn another_person_makes_a_waiver_of_it() {
        let now = datetime!(2026-11-28 12:00 UTC);
        request().check().unwrap();
        assert_eq!(
            request().approve("ANN ", now),
            Err(WaiverError::SamePerson("ANN ".to_owned()))
        );
        let waiver = request().approve("bob", now).unwrap();
        assert_eq!((waiver.from, waiver.approver.as_str()), (now, "bob"));
        let late = datetime!(2026-12-24 00:00 UTC);
        assert_eq!(request().approve("bob", late), Err(WaiverError::Backwards));
    }

    #[test]
    fn what_is_kept_is_one_or_the_other() {
        let approved = request().approve("bob", datetime!(2026-11-28 12:00 UTC)).unwrap();
        for kept in [KeptWaiver::Requested(request()), KeptWaiver::Approved(approved)] {
            let text = kept.to_json().unwrap();
            assert_eq!(KeptWaiver::from_json(&text).unwrap(), kept);
            let is_waiver = serde_json::from_str::<Waiver>(&text).is_ok();
            assert_eq!(is_waiver, matches!(kept, KeptWaiver::Approved(_)));
        }
        assert!(KeptWaiver::from_json("{}").is_err());
        assert!(KeptWaiver::from_json(r#"{"requested":{}}"#).is_err());
    }

    #[test]
    fn a_request_that_could_never_be_a_waiver_is_refused_at_once() {
        let refused = |change: fn(&mut WaiverRequest)| {
            let mut request = request();
            change(&mut request);
            request.check().unwrap_err()
        };
        assert_eq!(refused(|request| request.findings.clear()), WaiverError::Nothing);
        assert_eq!(
            refused(|request| request.repositories.clear()),
            WaiverError::Missing("repositories")
        );
        assert_eq!(
            refused(|request| request.kind = WaiverKind::FalsePositive),
            WaiverError::NoFacts
        );
        assert!(matches!(
            refused(|request| request.until = datetime!(2036-01-01 00:00 UTC)),
            WaiverError::TooLong { .. }
        ));
    }
}
