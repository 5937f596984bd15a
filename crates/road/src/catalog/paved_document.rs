//! `pavedroad.yaml` as it is written. Ours: a key that is not known is an error.

use std::collections::BTreeMap;

use std::fmt;

use policy::yaml::mapping;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
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
        "retireNotice" => retire_notice: Spanned<String>,
        "patchWithin" => patch_within: BTreeMap<String, Spanned<String>>,
        "signer" => signer: String,
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

mapping! {
    /// Who and what, of every other kind.
    EntryMetadata, "`metadata`" {
        "name" => name: Spanned<Word>,
        "owner" => owner: Spanned<String>,
        "contact" => contact: Spanned<String>,
    }
}

mapping! {
    /// One document of kind `Toolchain`.
    ToolchainDocument, "an entry of the paved road" {
        "apiVersion" => version: String,
        "kind" => kind: String,
        "metadata" => metadata: EntryMetadata,
        "spec" => spec: ToolchainSpec,
    }
}

mapping! {
    /// Who may have built.
    ToolchainSpec, "`spec` of a toolchain" {
        "builders" => builders: Spanned<Vec<String>>,
        "slsaLevel" => slsa_level: Spanned<Word>,
        "supportedUntil" => supported_until: Spanned<String>,
    }
}

mapping! {
    /// One document of kind `GoldenPath`.
    GoldenPathDocument, "an entry of the paved road" {
        "apiVersion" => version: String,
        "kind" => kind: String,
        "metadata" => metadata: EntryMetadata,
        "spec" => spec: GoldenPathSpec,
    }
}

mapping! {
    /// A template with all that comes with it.
    GoldenPathSpec, "`spec` of a golden path" {
        "version" => version: Spanned<Word>,
        "template" => template: Spanned<String>,
        "bases" => bases: Spanned<Vec<String>>,
        "toolchains" => toolchains: Spanned<Vec<String>>,
        "policies" => policies: Spanned<Vec<String>>,
        "gives" => gives: Spanned<Vec<String>>,
        "supportedUntil" => supported_until: Spanned<String>,
    }
}

mapping! {
    /// One document of kind `AppRoad`.
    AppRoadDocument, "an entry of the paved road" {
        "apiVersion" => version: String,
        "kind" => kind: String,
        "metadata" => metadata: EntryMetadata,
        "spec" => spec: AppRoadSpec,
    }
}

mapping! {
    /// What an application says.
    AppRoadSpec, "`spec` of an application's road" {
        "path" => path: Spanned<String>,
        "ring" => ring: Spanned<String>,
        "tier" => tier: Spanned<Word>,
        "autoRebase" => auto_rebase: Spanned<Word>,
        "freeze" => freeze: Spanned<Vec<String>>,
        "targetLevels" => target_levels: BTreeMap<String, Spanned<Word>>,
        "until" => until: Spanned<String>,
    }
}

mapping! {
    /// One document of kind `Exemption`.
    ExemptionDocument, "an entry of the paved road" {
        "apiVersion" => version: String,
        "kind" => kind: String,
        "metadata" => metadata: EntryMetadata,
        "spec" => spec: ExemptionSpec,
    }
}

mapping! {
    /// What an application need not do.
    ExemptionSpec, "`spec` of an exemption" {
        "app" => application: Spanned<String>,
        "rule" => rule: Spanned<String>,
        "reason" => reason: Spanned<String>,
        "owner" => owner: Spanned<String>,
        "approvedBy" => approved_by: Spanned<Vec<String>>,
        "createdAt" => from: Spanned<String>,
        "expiresAt" => until: Spanned<String>,
        "maxRenewals" => max_renewals: Spanned<Word>,
        "compensating" => compensating: Spanned<String>,
    }
}

/// A word, whether YAML takes it for one or not: `true` and `3` are words too.
#[derive(Clone, Debug, Default)]
pub(super) struct Word(pub(super) String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyWord;

        impl Visitor<'_> for AnyWord {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Word, E> {
                Ok(Word(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<Word, E> {
                Ok(Word(is.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Word, E> {
                Ok(Word(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Word, E> {
                Ok(Word(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Word, E> {
                Ok(Word(number.to_string()))
            }
        }

        deserializer.deserialize_any(AnyWord)
    }
}
