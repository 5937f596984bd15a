//! Waivers as files declare them: requests, which somebody else approves.

use std::time::SystemTime;

use oci::{Digest, RepoPattern};
use policy::{WaiverKind, WaiverRequest};
use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer};
use store::{End, Timestamp};
use time::OffsetDateTime;
use web::wire::{Moment, NewWaiver, WaiverEntry, WaiverImage};

use crate::moment;

/// Stands for whoever applies: they are not known before the registry is asked.
const WHOEVER_APPLIES: &str = "(whoever applies)";

/// A waiver that is to be asked for.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredWaiver {
    /// Its name.
    pub(crate) name: String,
    /// What is asked for.
    pub(crate) wanted: NewWaiver,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaiverDocument {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    name: String,
    #[serde(default)]
    findings: Vec<String>,
    #[serde(default)]
    rules: Vec<String>,
    repositories: Vec<RepoPattern>,
    #[serde(default)]
    digest: Option<Digest>,
    #[serde(default)]
    package: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    false_positive: bool,
    #[serde(default)]
    facts: Option<Digest>,
    #[serde(default)]
    image: Option<WaiverImage>,
    reason: String,
    #[serde(deserialize_with = "until")]
    until: Timestamp,
}

/// A date or a moment. There is no waiver without an end.
fn until<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    match moment::end(&text).map_err(de::Error::custom)? {
        End::At(moment) => Ok(moment),
        End::Never => Err(de::Error::custom("a waiver needs an end, at most 366 days ahead")),
    }
}

impl From<WaiverDocument> for DeclaredWaiver {
    fn from(document: WaiverDocument) -> Self {
        let wanted = NewWaiver {
            kind: if document.false_positive {
                WaiverKind::FalsePositive
            } else {
                WaiverKind::Accepted
            },
            findings: document.findings,
            rules: document.rules,
            repositories: document.repositories,
            digest: document.digest,
            package: document.package,
            path: document.path,
            facts: document.facts,
            image: document.image,
            reason: document.reason,
            until: Moment(document.until),
        };
        Self {
            name: document.name,
            wanted,
        }
    }
}

impl DeclaredWaiver {
    /// Whether somebody could approve it. One whose time is over stays in the files until somebody takes it out, and is no
    /// mistake.
    pub(super) fn check(&self) -> Result<(), String> {
        let now = Timestamp::from(SystemTime::now());
        if self.is_over(now) {
            return Ok(());
        }
        let wanted = self.wanted.clone();
        let request = WaiverRequest {
            id: self.name.clone(),
            kind: wanted.kind,
            findings: wanted.findings,
            rules: wanted.rules,
            repositories: wanted.repositories,
            digest: wanted.digest,
            package: wanted.package,
            path: wanted.path,
            // The registry takes them from the image.
            facts: wanted.facts.or(wanted
                .image
                .as_ref()
                .map(|_| Digest::of(oci::Algorithm::Sha256, b""))),
            reason: wanted.reason,
            requester: WHOEVER_APPLIES.to_owned(),
            requested_at: date(now)?,
            until: date(wanted.until.0)?,
        };
        request.check().map_err(|error| error.to_string())
    }

    /// Whether its end is past.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.wanted.until.0 <= now
    }

    /// Whether a waiver that there is says this. The facts of an image are what they were when it was asked for.
    pub(crate) fn is(&self, entry: &WaiverEntry) -> bool {
        let wanted = &self.wanted;
        wanted.kind == entry.kind
            && wanted.findings == entry.findings
            && wanted.rules == entry.rules
            && wanted.repositories == entry.repositories
            && wanted.digest == entry.digest
            && wanted.package == entry.package
            && wanted.path == entry.path
            && (wanted.facts == entry.facts || wanted.image.is_some())
            && wanted.reason == entry.reason
            && wanted.until.0.seconds() == entry.until.0.seconds()
    }
}

fn date(moment: Timestamp) -> Result<OffsetDateTime, String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(moment.micros()) * 1_000)
        .map_err(|_| format!("{moment} is beyond any calendar"))
}
