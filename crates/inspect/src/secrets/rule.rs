//! One rule.

use findings::Severity;
use thiserror::Error;

use super::{
    allow::{Allow, Candidate},
    check::{self, Check},
    format::{KNOWN_ALLOW_REST, RuleTable},
    pattern::Pattern,
    reach,
};

/// The longest match that is looked for where an expression has no bound of its own: the key of 16,384 bits in PEM.
pub(super) const LONGEST_MATCH: usize = 16 << 10;

/// A rule that can be searched with.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) severity: Severity,
    pub(super) fix: Option<String>,
    pub(super) hide: bool,
    /// `None`: the path alone is the finding.
    pub(super) regex: Option<Pattern>,
    pub(super) group: usize,
    /// See [`reach::lead`].
    pub(super) lead: Option<usize>,
    /// The most bytes of a match.
    pub(super) reach: usize,
    /// In lower case.
    pub(super) keywords: Vec<String>,
    pub(super) path: Option<Pattern>,
    pub(super) check: Option<Check>,
    entropy: Option<f64>,
    allow: Vec<Allow>,
}

/// Why a rule cannot be used.
#[derive(Debug, Error)]
pub enum RuleError {
    /// An expression of it.
    #[error("an expression cannot be read")]
    Syntax(#[from] Box<regex_syntax::Error>),
    /// An expression of it needs an automaton larger than `secrets.rule_size`.
    #[error("an expression cannot be compiled")]
    Build(#[from] Box<regex_automata::meta::BuildError>),
    /// It has nothing to look for.
    #[error("it has neither `regex` nor `path`")]
    Empty,
    /// A word that is not known.
    #[error("`{word}` is no {what} that is known here")]
    Word {
        /// What it should be.
        what: &'static str,
        /// What it is.
        word: String,
    },
}

impl Rule {
    /// Reads a rule. Words that mean nothing here go to `notes`.
    pub(super) fn of(mut table: RuleTable, notes: &mut Vec<String>) -> Result<Self, RuleError> {
        let tables = table.allowlist.take().into_iter().chain(table.allowlists);
        let tables: Vec<_> = tables.collect();
        let allow_rest = tables.iter().flat_map(|allow| allow.rest.keys());
        let unknown = allow_rest.filter(|word| !KNOWN_ALLOW_REST.contains(&word.as_str()));
        for word in table.rest.keys().chain(unknown) {
            notes.push(format!("rule {}: `{word}` is not known here", table.id));
        }
        let regex = table.regex.map(|go| Pattern::parse(&[go])).transpose()?;
        let path = table.path.map(|go| Pattern::parse(&[go])).transpose()?;
        if regex.is_none() && path.is_none() {
            return Err(RuleError::Empty);
        }
        let keywords: Vec<_> = table
            .keywords
            .iter()
            .filter(|keyword| !keyword.is_empty())
            .map(|keyword| keyword.to_ascii_lowercase())
            .collect();
        let hir = regex.as_ref().and_then(|regex| regex.hirs().first());
        Ok(Self {
            lead: hir.and_then(|hir| reach::lead(hir, &keywords, LONGEST_MATCH)),
            reach: hir.map_or(0, |hir| reach::reach(hir, LONGEST_MATCH)),
            title: if table.description.is_empty() {
                table.id.clone()
            } else {
                table.description
            },
            id: table.id,
            severity: severity(table.severity.as_deref())?,
            fix: table.fix,
            hide: table.hide,
            regex,
            group: table.secret_group,
            keywords,
            path,
            check: table.check.map(|name| Check::named(&name)).transpose()?,
            entropy: table.entropy,
            allow: tables.into_iter().map(Allow::of).collect::<Result<_, _>>()?,
        })
    }

    /// Whether what its expression found is a secret.
    pub(super) fn accepts(&self, candidate: Candidate<'_>) -> bool {
        self.entropy
            .is_none_or(|floor| check::entropy(candidate.secret) > floor)
            && self.check.is_none_or(|check| check.holds(candidate.secret))
            && !self.allow.iter().any(|allow| allow.allows(candidate))
    }

    /// Compiles every expression of it.
    pub(super) fn verify(&self) -> Result<(), RuleError> {
        let own = [&self.regex, &self.path].into_iter().flatten();
        for pattern in own.chain(self.allow.iter().flat_map(Allow::patterns)) {
            pattern.verify()?;
        }
        Ok(())
    }
}

fn severity(word: Option<&str>) -> Result<Severity, RuleError> {
    match word {
        None | Some("high") => Ok(Severity::High),
        Some("critical") => Ok(Severity::Critical),
        Some("medium") => Ok(Severity::Medium),
        Some("low") => Ok(Severity::Low),
        Some(word) => Err(RuleError::Word {
            what: "severity",
            word: word.to_owned(),
        }),
    }
}
