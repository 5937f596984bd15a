//! Keys, tokens and passwords in files and configuration.
//!
//! Rules are data, in the form of gitleaks' files: the product has a [`Pack`] of its own, an operator may add others. A file
//! is read once by a prefilter that knows the keywords of all rules; a rule's expression is run only near its keywords, in
//! windows of a bounded length, by an engine whose time is linear. What an expression finds must then pass the checks that
//! the rule names: entropy, checksum, lists of what is allowed.
//!
//! Read first: `format.rs` (what a rule says), `rule.rs`, then `scan.rs` (how files are read) and `prefilter.rs`.

mod allow;
mod check;
mod files;
mod format;
mod known;
mod pack;
mod pattern;
mod prefilter;
mod reach;
mod redact;
mod rule;
mod rules;
mod scan;
mod scratch;
mod syntax;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use findings::ByteFinding;

pub use pack::{Pack, PackError};
pub use rule::RuleError;
pub use scan::SecretLimits;

use crate::{Content, File, FileError};
use rules::RuleSet;
use scratch::Scratch;

/// Looks for secrets, by the rules of its packs.
pub struct Secrets {
    rules: Arc<RuleSet>,
    limits: SecretLimits,
    scratch: Scratch,
}

impl Secrets {
    /// With these packs. Where two find the same bytes, the earlier one is believed.
    pub fn new(packs: Vec<Pack>, limits: SecretLimits) -> Self {
        let rules = Arc::new(RuleSet::new(packs));
        Self {
            scratch: Scratch::new(rules.len()),
            rules,
            limits,
        }
    }

    /// How many rules it has.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Whether a file may hold secrets. `head` has its first bytes, 512 or more where the file has them.
    pub fn wants(&self, path: &str, head: &[u8], size: u64, _mode: u32) -> bool {
        size > 0 && (files::may_hold_secrets(path, head) || self.rules.names_files_like(path))
    }

    /// Reads a file and adds what it found.
    ///
    /// # Errors
    /// The file could not be read, or has more candidates or findings than one file may have. What was found until then is
    /// added.
    pub fn look(&mut self, file: &mut File<'_>, sink: &mut Vec<ByteFinding>) -> Result<(), FileError> {
        self.scratch.begin();
        let scan = scan::Scan::new(&self.rules, &self.limits, file.path);
        let done = match &mut file.content {
            Content::Memory(bytes) => scan.memory(bytes.get_ref(), &mut self.scratch),
            Content::Spooled(spool) => scan.reader(spool, &mut self.scratch),
        };
        scan.report(&mut self.scratch, sink);
        done
    }

    /// Looks through a text that is no file: environment, labels, history. Names that begin with `image:` are read as if they
    /// were files of settings (`image:env`), so that generic passwords are looked for too.
    ///
    /// What exceeds the limits of a file is not looked at.
    pub fn scan_text(&self, name: &str, text: &str) -> Vec<ByteFinding> {
        let mut scratch = Scratch::new(self.rules.len());
        let scan = scan::Scan::new(&self.rules, &self.limits, name);
        let mut findings = Vec::new();
        // A limit that is exceeded ends the search; what was found counts.
        let _ = scan.memory(text.as_bytes(), &mut scratch);
        scan.report(&mut scratch, &mut findings);
        findings
    }
}
