//! Backstage's entities as they are written. Keys of others are passed over: the format is theirs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// What every document says of itself.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) kind: Option<Spanned<String>>,
}

#[derive(Deserialize)]
pub(super) struct Entity {
    pub(super) metadata: Option<Metadata>,
    pub(super) spec: Option<Spec>,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) name: Option<Spanned<String>>,
    pub(super) namespace: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, Spanned<Text>>>,
}

#[derive(Default, Deserialize)]
pub(super) struct Spec {
    pub(super) owner: Option<Spanned<String>>,
    #[serde(rename = "type")]
    pub(super) kind: Option<Spanned<String>>,
    pub(super) lifecycle: Option<Spanned<String>>,
    pub(super) system: Option<Spanned<String>>,
    /// Of a group.
    pub(super) parent: Option<Spanned<String>>,
    /// Of a component.
    #[serde(rename = "subcomponentOf")]
    pub(super) subcomponent_of: Option<Spanned<String>>,
    /// Of a domain.
    #[serde(rename = "subdomainOf")]
    pub(super) subdomain_of: Option<Spanned<String>>,
    /// Of a group or user.
    pub(super) profile: Option<Profile>,
}

#[derive(Deserialize)]
pub(super) struct Profile {
    pub(super) email: Option<Spanned<String>>,
}

/// A scalar, whatever it looks like: people write `tier: 1` and mean a text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Words(String),
    Number(i64),
    Flag(bool),
    /// Lists and the like, which Backstage forbids and other tools write.
    Other(serde::de::IgnoredAny),
}

impl Text {
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Words(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Other(_) => String::new(),
        }
    }
}
