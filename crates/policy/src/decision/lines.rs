//! A decision on one line, for the clients of registries.

use crate::limits::MAX_LINE_BYTES;
use crate::text::{one_line, quoted};
use crate::{Decision, Eased, Effect, Reason};

/// Reasons that a line names.
const NAMED: usize = 3;

/// Longest reason on a line, in bytes: three of them, and what is around them, stay within [`MAX_LINE_BYTES`].
const MAX_REASON_BYTES: usize = 260;

/// Longest fix on a line, in bytes.
const MAX_FIX_BYTES: usize = 100;

impl Decision {
    /// Why it was refused: one line for the error message of a registry, with the three worst reasons and their fixes.
    pub fn refusal_text(&self) -> String {
        self.line("refused by policy", Effect::Refuse)
    }

    /// What is warned about, on one line.
    pub fn warning_line(&self) -> String {
        let head = if self.is_held() {
            "policy warns (it would be refused, and is held until a person approves that)"
        } else {
            "policy warns"
        };
        self.line(head, Effect::Warn)
    }

    /// Whether it would be refused, were it not for the [`brake`](crate::brake()).
    fn is_held(&self) -> bool {
        self.reasons
            .iter()
            .any(|reason| reason.eased == Some(Eased::Brake))
    }

    /// The value of the `Warning` header (RFC 7234, 5.5, with the code that distribution-spec prescribes):
    /// `299 - "…"`, in ASCII.
    pub fn warning_text(&self) -> String {
        format!("299 - {}", quoted(&self.refusal_or_warning()))
    }

    /// The refusal of what is refused, the warnings of anything else.
    pub fn refusal_or_warning(&self) -> String {
        if self.outcome.is_served() {
            return self.warning_line();
        }
        self.refusal_text()
    }

    fn line(&self, head: &str, effect: Effect) -> String {
        let meant: Vec<&Reason> = self
            .reasons
            .iter()
            .filter(|reason| reason.effect == effect)
            .collect();
        let named: Vec<String> = meant.iter().take(NAMED).map(|reason| reason.line()).collect();
        let named = named.join("; ");
        let more = meant.len().saturating_sub(NAMED) + self.more_reasons;
        let rest = if more > 0 {
            format!(" (and {more} more)")
        } else {
            String::new()
        };
        one_line(&format!("{head}: {named}{rest}"), MAX_LINE_BYTES)
    }
}

impl Reason {
    /// Rule, message, and the fix where the message does not say it.
    fn line(&self) -> String {
        let fix = self
            .fix
            .as_deref()
            .map(|fix| one_line(fix, MAX_FIX_BYTES))
            .filter(|fix| !self.message.contains(fix.as_str()))
            .map(|fix| format!(" (fix: {fix})"))
            .unwrap_or_default();
        let room = MAX_REASON_BYTES.saturating_sub(self.rule.len() + fix.len() + 3);
        format!("[{}] {}{fix}", self.rule, one_line(&self.message, room))
    }
}
