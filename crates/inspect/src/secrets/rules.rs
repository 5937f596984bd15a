//! All rules of all packs, ready to be searched with.

use regex_automata::PatternSet;

use super::{
    allow::{Allow, Candidate},
    pack::Pack,
    pattern::Pattern,
    prefilter::Prefilter,
    rule::Rule,
};

/// The rules, in the order in which they are believed.
#[derive(Debug)]
pub(super) struct RuleSet {
    rules: Vec<(usize, Rule)>,
    packs: Vec<(String, Vec<Allow>)>,
    /// Keywords of the rules that apply to files of any path.
    pub(super) anywhere: Prefilter,
    /// Keywords of the rules that name a path.
    pub(super) by_path: Prefilter,
    /// Rules of any path that have no keywords.
    pub(super) always: Vec<usize>,
    /// Rules that name a path; one expression each in `paths`.
    with_path: Vec<usize>,
    paths: Pattern,
}

impl RuleSet {
    pub(super) fn new(packs: Vec<Pack>) -> Self {
        let mut rules = Vec::new();
        let mut named = Vec::new();
        for (
            pack,
            Pack {
                name,
                rules: own,
                allow,
                ..
            },
        ) in packs.into_iter().enumerate()
        {
            rules.extend(own.into_iter().map(|rule| (pack, rule)));
            named.push((name, allow));
        }
        let of_path = |rule: &Rule| rule.path.as_ref().and_then(|path| path.hirs().first()).cloned();
        let keywords = |with_path: bool| {
            let chosen = rules.iter().enumerate();
            let chosen = chosen.filter(move |(_, (_, rule))| rule.path.is_some() == with_path);
            chosen.flat_map(|(index, (_, rule))| rule.keywords.iter().map(move |word| (index, word.as_str())))
        };
        let indices = |chosen: fn(&Rule) -> bool| {
            let rules = rules.iter().enumerate();
            let chosen = rules.filter(move |(_, (_, rule))| chosen(rule));
            chosen.map(|(index, _)| index).collect()
        };
        Self {
            anywhere: Prefilter::new(keywords(false)),
            by_path: Prefilter::new(keywords(true)),
            always: indices(|rule| rule.path.is_none() && rule.keywords.is_empty()),
            with_path: indices(|rule| rule.path.is_some()),
            paths: Pattern::of(rules.iter().filter_map(|(_, rule)| of_path(rule)).collect()),
            rules,
            packs: named,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn rule(&self, index: usize) -> &Rule {
        &self.rules[index].1
    }

    pub(super) fn pack_name(&self, index: usize) -> &str {
        &self.packs[self.rules[index].0].0
    }

    /// The lists that belong to the pack of a rule allow what it found.
    pub(super) fn pack_allows(&self, index: usize, candidate: Candidate<'_>) -> bool {
        let (pack, rule) = &self.rules[index];
        let mut lists = self.packs[*pack].1.iter();
        lists.any(|allow| allow.is_about(&rule.id) && allow.allows(candidate))
    }

    /// Whether a rule names this path.
    pub(super) fn names_files_like(&self, path: &str) -> bool {
        !self.with_path.is_empty() && self.paths.is_match(path.as_bytes())
    }

    /// The rules that name this path.
    pub(super) fn for_path(&self, path: &str) -> impl Iterator<Item = usize> {
        let matching: PatternSet = self.paths.matching(path.as_bytes());
        let with_path = self.with_path.iter().enumerate();
        with_path.filter_map(move |(position, &index)| {
            let pattern = regex_automata::PatternID::new(position).ok()?;
            matching.contains(pattern).then_some(index)
        })
    }
}
