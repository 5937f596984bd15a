//! Waivers as they travel.

use oci::{Digest, RepoName, RepoPattern};
use policy::{KeptWaiver, WaiverKind, WaiverRequest, WaiverState};
use serde::{Deserialize, Serialize};
use store::Timestamp;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::moment::Moment;
use crate::problem::ApiError;

/// A waiver that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWaiver {
    /// `accepted` (true, and borne for a while) or `false-positive` (not true; ends when its facts change).
    #[serde(default = "accepted")]
    #[schema(value_type = String)]
    pub kind: WaiverKind,
    /// Ids of findings, by any source's word. Findings, rules or both are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// Ids of rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Patterns of repositories. Whoever does not administer a pattern can name repositories only.
    #[schema(value_type = Vec<String>)]
    pub repositories: Vec<RepoPattern>,
    /// This image only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub digest: Option<Digest>,
    /// This package only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// This path only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Fingerprint of what is called a false positive. Without it `image` says where to take it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub facts: Option<Digest>,
    /// An image that has the finding which is called a false positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<WaiverImage>,
    /// Why.
    pub reason: String,
    /// Until when, not included; at most 366 days ahead.
    pub until: Moment,
}

/// Names an image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaiverImage {
    /// The repository, such as `team/app`.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Tag or digest.
    pub reference: String,
}

/// A waiver and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaiverEntry {
    /// Its name.
    pub id: String,
    /// `requested` (no effect), `in-force`, `expired`, or `coming`.
    pub state: String,
    /// `accepted` or `false-positive`.
    #[schema(value_type = String)]
    pub kind: WaiverKind,
    /// Ids of findings.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Ids of rules.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Where.
    #[schema(value_type = Vec<String>)]
    pub repositories: Vec<RepoPattern>,
    /// This image only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub digest: Option<Digest>,
    /// This package only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// This path only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Fingerprint of the facts that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub facts: Option<Digest>,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub requester: String,
    /// Who approved it; missing while nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// When it was asked for, or approved where it was.
    pub since: Moment,
    /// Until when, not included.
    pub until: Moment,
}

fn accepted() -> WaiverKind {
    WaiverKind::Accepted
}

impl NewWaiver {
    /// The request that it is.
    pub(super) fn into_request(
        self,
        id: String,
        requester: String,
        requested_at: OffsetDateTime,
    ) -> Result<WaiverRequest, ApiError> {
        Ok(WaiverRequest {
            id,
            kind: self.kind,
            findings: self.findings,
            rules: self.rules,
            repositories: self.repositories,
            digest: self.digest,
            package: self.package,
            path: self.path,
            facts: self.facts,
            reason: self.reason,
            requester,
            requested_at,
            until: date_of(self.until)?,
        })
    }
}

impl WaiverEntry {
    /// How it stands at `now`.
    pub(super) fn of(kept: &KeptWaiver, now: OffsetDateTime) -> Self {
        match kept {
            KeptWaiver::Requested(request) => {
                let state = if now < request.until {
                    "requested"
                } else {
                    "expired"
                };
                Self::asked(request.clone(), state, None)
            }
            KeptWaiver::Approved(waiver) => {
                let state = match waiver.state(now) {
                    WaiverState::Coming => "coming",
                    WaiverState::InForce => "in-force",
                    WaiverState::Expired => "expired",
                };
                let waiver = waiver.clone();
                let asked = WaiverRequest {
                    id: waiver.id,
                    kind: waiver.kind,
                    findings: waiver.findings,
                    rules: waiver.rules,
                    repositories: waiver.repositories,
                    digest: waiver.digest,
                    package: waiver.package,
                    path: waiver.path,
                    facts: waiver.facts,
                    reason: waiver.reason,
                    requester: waiver.requester,
                    requested_at: waiver.from,
                    until: waiver.until,
                };
                Self::asked(asked, state, Some(waiver.approver))
            }
        }
    }

    fn asked(request: WaiverRequest, state: &str, approver: Option<String>) -> Self {
        Self {
            id: request.id,
            state: state.to_owned(),
            kind: request.kind,
            findings: request.findings,
            rules: request.rules,
            repositories: request.repositories,
            digest: request.digest,
            package: request.package,
            path: request.path,
            facts: request.facts,
            reason: request.reason,
            requester: request.requester,
            approver,
            since: moment_of(request.requested_at),
            until: moment_of(request.until),
        }
    }
}

/// A moment as the rules reckon with it.
pub(crate) fn date_of(moment: Moment) -> Result<OffsetDateTime, ApiError> {
    let nanoseconds = i128::from(moment.0.micros()) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
        .map_err(|_| ApiError::malformed(format!("{} is beyond any calendar", moment.0)))
}

/// And back.
pub(crate) fn moment_of(date: OffsetDateTime) -> Moment {
    Moment(Timestamp(
        i64::try_from(date.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX),
    ))
}
