//! Policy files as they are written.

use serde_saphyr::Spanned;

use crate::yaml::{OneOrMany, mapping};

mapping! {
    /// A whole file.
    PolicyFile, "a policy" {
        "version" => version: Spanned<u32>,
        "rules" => rules: Vec<Spanned<RuleEntry>>,
    }
}

mapping! {
    /// One rule. Words are read as text, so that a wrong one can be answered with the nearest right one.
    RuleEntry, "a rule" {
        "id" => id: Spanned<String>,
        "about" => about: String,
        "when" => when: Spanned<String>,
        "decide" => decide: Spanned<String>,
        "on" => on: Spanned<OneOrMany<String>>,
        "running" => running: Spanned<String>,
        "after" => after: Spanned<u32>,
        "message" => message: Spanned<String>,
        "repositories" => repositories: Spanned<OneOrMany<String>>,
        "severity" => severity: Spanned<String>,
        "on_error" => on_error: Spanned<String>,
    }
}
