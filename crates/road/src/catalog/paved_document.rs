//! `pavedroad.yaml` as it is written. Ours: a key that is not known is an error.

use std::collections::BTreeMap;

use policy::yaml::mapping;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// Which kind it is, before its fields are looked at.
#[derive(Deserialize)]
pub(super) struct Head {
    #[serde(rename = "apiVersion")]
    pub(super) version: Option<Spanned<String>>,
    pub(super) kind: Option<Spanned<String>>,
}

mapping! {
    /// One document of kind `BaseImage`.
    BaseDocument, "an entry of the paved road" {
        "apiVersion" => version: String,
        "kind" => kind: String,
        "metadata" => metadata: BaseMetadata,
        "spec" => spec: BaseSpec,
    }
}

mapping! {
    /// Who and what.
    BaseMetadata, "`metadata`" {
        "name" => name: Spanned<String>,
        "owner" => owner: Spanned<String>,
        "contact" => contact: Spanned<String>,
    }
}

mapping! {
    /// The line of releases.
    BaseSpec, "`spec` of a base" {
        "repo" => repository: Spanned<String>,
        "channels" => channels: BTreeMap<String, Spanned<String>>,
        "lifecycle" => lifecycle: Spanned<String>,
        "supportedUntil" => supported_until: Spanned<String>,
        "replacedBy" => replaced_by: Spanned<String>,
        "rebase" => rebase: RebaseDocument,
        "patchWithin" => patch_within: BTreeMap<String, Spanned<String>>,
    }
}

mapping! {
    /// Whether it may be swapped.
    RebaseDocument, "`rebase`" {
        "safe" => safe: bool,
        "abi" => abi: String,
        "arch" => arch: Spanned<Vec<String>>,
    }
}
