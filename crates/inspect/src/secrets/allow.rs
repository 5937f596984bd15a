//! What is no secret although a rule found it.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

use super::{format::AllowTable, pattern::Pattern};

/// What a list's expressions are matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Secret,
    Match,
    Line,
}

/// A list of what is allowed.
#[derive(Debug)]
pub(super) struct Allow {
    all_must_hold: bool,
    target: Target,
    regexes: Pattern,
    paths: Pattern,
    stopwords: Vec<String>,
    stopword_search: OnceLock<Option<AhoCorasick>>,
    target_rules: Vec<String>,
}

/// What a rule found, as lists look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) path: &'a str,
    pub(super) secret: &'a [u8],
    pub(super) whole: &'a [u8],
    pub(super) line: &'a [u8],
}

impl Allow {
    pub(super) fn of(table: AllowTable) -> Result<Self, Box<regex_syntax::Error>> {
        Ok(Self {
            all_must_hold: table.condition.eq_ignore_ascii_case("AND"),
            target: match table.regex_target.as_str() {
                "match" => Target::Match,
                "line" => Target::Line,
                _ => Target::Secret,
            },
            regexes: Pattern::parse(&table.regexes)?,
            paths: Pattern::parse(&table.paths)?,
            stopwords: table.stopwords,
            stopword_search: OnceLock::new(),
            target_rules: table.target_rules,
        })
    }

    /// Whether a global list speaks of a rule.
    pub(super) fn is_about(&self, rule: &str) -> bool {
        self.target_rules.is_empty() || self.target_rules.iter().any(|target| target == rule)
    }

    /// Whether it allows the candidate. A list that says nothing allows nothing.
    pub(super) fn allows(&self, candidate: Candidate<'_>) -> bool {
        let bytes = match self.target {
            Target::Secret => candidate.secret,
            Target::Match => candidate.whole,
            Target::Line => candidate.line,
        };
        let checks = [
            (!self.paths.hirs().is_empty()).then(|| self.paths.is_match(candidate.path.as_bytes())),
            (!self.regexes.hirs().is_empty()).then(|| self.regexes.is_match(bytes)),
            (!self.stopwords.is_empty()).then(|| self.has_stopword(candidate.secret)),
        ];
        let mut said = checks.into_iter().flatten().peekable();
        if self.all_must_hold {
            said.peek().is_some() && said.all(|holds| holds)
        } else {
            said.any(|holds| holds)
        }
    }

    fn has_stopword(&self, secret: &[u8]) -> bool {
        let search = self.stopword_search.get_or_init(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(&self.stopwords)
                .ok()
        });
        search.as_ref().is_some_and(|search| search.is_match(secret))
    }

    pub(super) fn patterns(&self) -> [&Pattern; 2] {
        [&self.regexes, &self.paths]
    }
}
