//! A waiver as it is written and kept.

use oci::Digest;
use serde::{Deserialize, Serialize};
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime};

use super::{Waiver, WaiverError, WaiverKind};
use crate::text::one_line;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaiverForm {
    id: String,
    #[serde(default = "accepted")]
    kind: WaiverKind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    findings: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<String>,
    repositories: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    package: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    facts: Option<Digest>,
    reason: String,
    requester: String,
    approver: String,
    from: String,
    until: String,
}

fn accepted() -> WaiverKind {
    WaiverKind::Accepted
}

impl TryFrom<WaiverForm> for Waiver {
    type Error = WaiverError;

    fn try_from(form: WaiverForm) -> Result<Self, WaiverError> {
        let repositories: Result<Vec<_>, _> = form.repositories.iter().map(|text| text.parse()).collect();
        let waiver = Self {
            id: form.id,
            kind: form.kind,
            findings: form.findings,
            rules: form.rules,
            repositories: repositories?,
            digest: form.digest,
            package: form.package,
            path: form.path,
            facts: form.facts,
            reason: form.reason,
            requester: form.requester,
            approver: form.approver,
            from: moment(&form.from, Duration::ZERO)?,
            // A day that is named as the end still counts.
            until: moment(&form.until, Duration::DAY)?,
        };
        waiver.check()
    }
}

impl From<Waiver> for WaiverForm {
    fn from(waiver: Waiver) -> Self {
        Self {
            id: waiver.id,
            kind: waiver.kind,
            findings: waiver.findings,
            rules: waiver.rules,
            repositories: waiver.repositories.iter().map(ToString::to_string).collect(),
            digest: waiver.digest,
            package: waiver.package,
            path: waiver.path,
            facts: waiver.facts,
            reason: waiver.reason,
            requester: waiver.requester,
            approver: waiver.approver,
            from: written(waiver.from),
            until: written(waiver.until),
        }
    }
}

/// A moment, or a day (in UTC) with so much added. Years that RFC 3339 cannot write are no dates of waivers.
fn moment(text: &str, added: Duration) -> Result<OffsetDateTime, WaiverError> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
        let day = Date::parse(text, &Iso8601::DATE).ok()?;
        day.midnight().assume_utc().checked_add(added)
    });
    moment
        .filter(|moment| (1970..9999).contains(&moment.year()))
        .ok_or_else(|| WaiverError::Date(one_line(text, 64)))
}

fn written(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}
