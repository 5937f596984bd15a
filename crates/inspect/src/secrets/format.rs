//! What a file of rules says: gitleaks' TOML, with a few words of our own.

use serde::Deserialize;

/// A file of rules.
#[derive(Debug, Deserialize)]
pub(super) struct PackFile {
    #[serde(default)]
    pub(super) rules: Vec<RuleTable>,
    /// The old spelling of one global list.
    pub(super) allowlist: Option<AllowTable>,
    #[serde(default)]
    pub(super) allowlists: Vec<AllowTable>,
    #[serde(flatten)]
    pub(super) rest: toml::Table,
}

/// Words of a file that mean nothing here and are no surprise.
pub(super) const KNOWN_REST: &[&str] = &["title", "description", "minVersion"];

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleTable {
    pub(super) id: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) regex: Option<String>,
    #[serde(default)]
    pub(super) secret_group: usize,
    pub(super) entropy: Option<f64>,
    #[serde(default)]
    pub(super) keywords: Vec<String>,
    pub(super) path: Option<String>,
    /// The old spelling of one list.
    pub(super) allowlist: Option<AllowTable>,
    #[serde(default)]
    pub(super) allowlists: Vec<AllowTable>,
    #[serde(default)]
    pub(super) skip_report: bool,

    /// Ours: `low` … `critical`. Default `high`.
    pub(super) severity: Option<String>,
    /// Ours: what to do about it.
    pub(super) fix: Option<String>,
    /// Ours: a check beside the expression, by its name (`check.rs`).
    pub(super) check: Option<String>,
    /// Ours: show nothing of what was found.
    #[serde(default)]
    pub(super) hide: bool,
    #[serde(flatten)]
    pub(super) rest: toml::Table,
}

/// What is no secret although a rule found it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AllowTable {
    #[serde(default)]
    pub(super) condition: String,
    #[serde(default)]
    pub(super) regex_target: String,
    #[serde(default)]
    pub(super) regexes: Vec<String>,
    #[serde(default)]
    pub(super) paths: Vec<String>,
    #[serde(default)]
    pub(super) stopwords: Vec<String>,
    /// Of global lists: only for these rules.
    #[serde(default)]
    pub(super) target_rules: Vec<String>,
    #[serde(flatten)]
    pub(super) rest: toml::Table,
}

/// Words of a list that mean nothing here: there are no commits in an image.
pub(super) const KNOWN_ALLOW_REST: &[&str] = &["description", "commits"];
