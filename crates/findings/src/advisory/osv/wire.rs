//! The schema's words, for reading only.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::advisory::{
    bounded::Bounded,
    limits::{AFFECTED, ALIASES, EVENTS, RANGES, SEVERITIES, VERSIONS},
};

#[derive(Deserialize)]
pub(super) struct WireAdvisory<'a> {
    pub(super) id: String,
    pub(super) modified: String,
    pub(super) published: Option<String>,
    pub(super) withdrawn: Option<String>,
    #[serde(default)]
    pub(super) aliases: Bounded<String, ALIASES>,
    #[serde(default)]
    pub(super) upstream: Bounded<String, ALIASES>,
    #[serde(default)]
    pub(super) related: Bounded<String, ALIASES>,
    pub(super) summary: Option<String>,
    pub(super) details: Option<String>,
    #[serde(default)]
    pub(super) severity: Bounded<WireSeverity, SEVERITIES>,
    #[serde(default, borrow)]
    pub(super) affected: Bounded<WireAffected<'a>, AFFECTED>,
    #[serde(borrow)]
    pub(super) database_specific: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct WireSeverity {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) score: String,
}

#[derive(Deserialize)]
pub(super) struct WireAffected<'a> {
    pub(super) package: Option<WirePackage>,
    #[serde(default)]
    pub(super) severity: Bounded<WireSeverity, SEVERITIES>,
    #[serde(default)]
    pub(super) ranges: Bounded<WireRange, RANGES>,
    #[serde(default)]
    pub(super) versions: Bounded<String, VERSIONS>,
    #[serde(borrow)]
    pub(super) database_specific: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) ecosystem_specific: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
pub(super) struct WirePackage {
    pub(super) ecosystem: String,
    pub(super) name: String,
    pub(super) purl: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireRange {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) events: Bounded<WireEvent, EVENTS>,
}

#[derive(Deserialize)]
pub(super) struct WireEvent {
    pub(super) introduced: Option<String>,
    pub(super) fixed: Option<String>,
    pub(super) last_affected: Option<String>,
    pub(super) limit: Option<String>,
}
