//! Signers as files declare them.

use oci::RepoPattern;
use serde::{Deserialize, de::IgnoredAny};
use signatures::{Identity, SignerSpec};
use store::End;

use crate::moment::date_of;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignerDocument {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    name: String,
    repositories: Vec<RepoPattern>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    identity: Option<Identity>,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    roots: Option<String>,
    #[serde(default)]
    match_reference: bool,
    #[serde(default, deserialize_with = "super::documents::end")]
    until: Option<End>,
    #[serde(default)]
    vex: bool,
    #[serde(default)]
    products: Vec<String>,
}

impl From<SignerDocument> for SignerSpec {
    fn from(document: SignerDocument) -> Self {
        let SignerDocument {
            _kind,
            name,
            repositories,
            key,
            identity,
            author,
            roots,
            match_reference,
            until,
            vex,
            products,
        } = document;
        Self {
            name,
            repositories,
            key,
            identity,
            author,
            roots,
            match_reference,
            until: until.and_then(End::moment).and_then(date_of),
            vex,
            products,
        }
    }
}
