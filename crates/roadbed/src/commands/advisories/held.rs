//! What is said of an import that waits for a person: what it lifts, one by one, and the command that lets it through.

use anyhow::{Error, anyhow};
use store::Lifts;
use thiserror::Error;

use crate::output;

/// An import that would let pass much of what is refused.
#[derive(Debug, Error)]
#[error("{said}")]
pub(crate) struct HeldImport {
    /// What is said of it in a sentence.
    pub(crate) said: String,
    /// What it lifts.
    pub(crate) lifts: Lifts,
}

/// With the list and the command, where an import is held; other errors stay as they are. `words`: what was typed, without what
/// accepts.
pub(super) fn with_command(error: Error, words: &[String]) -> Error {
    match error.downcast::<HeldImport>() {
        Ok(held) => anyhow!("{}\n{}", held.said, listed(&held.lifts, words).trim_end()),
        Err(other) => other,
    }
}

/// What it lifts, one by one, and `roadbed advisories` with these words, which lets it through.
pub(super) fn listed(lifts: &Lifts, words: &[String]) -> String {
    let listed = lifts.listed().into_iter();
    let listed = output::lines(listed.map(|line| format!("  {}", output::printable(&line))));
    listed + &accepting(words, &format!("--accept-lifts {}", lifts.lifted))
}

/// The command that lets something through.
pub(super) fn accepting(words: &[String], accept: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let command = format!(
        "  if that is right: roadbed advisories {} {accept}",
        words.join(" ")
    );
    output::lines([output::printable(command.trim_end())])
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use store::LiftedCause;

    use super::*;

    #[test]
    fn what_is_lifted_and_the_command_are_told() {
        let held = HeldImport {
            said: "it is held".to_owned(),
            lifts: Lifts {
                refused: 40,
                lifted: 6,
                images: vec!["team/app@sha256:0".to_owned()],
                causes: vec![LiftedCause {
                    id: "CVE-2021-44228".to_owned(),
                    images: 1,
                }],
                ..Lifts::default()
            },
        };
        let words = ["import", "my osv", "it's"].map(str::to_owned);
        let said = with_command(held.into(), &words).to_string();
        assert_eq!(
            said,
            "it is held\n  no longer refused for CVE-2021-44228: 1 image\n  would pass: team/app@sha256:0\n  and 5 more\n  \
             if that is right: roadbed advisories import 'my osv' 'it'\\''s' --accept-lifts 6"
        );
        let other = with_command(anyhow!("it failed"), &words).to_string();
        assert_eq!(other, "it failed");
    }
}
