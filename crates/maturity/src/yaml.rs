//! YAML of people, as a tree in which every value knows its line.
//!
//! All that is wrong with a document is collected: whoever corrects it need not ask again for each line.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::words::{did_you_mean, one_line};

/// What is wrong, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1.
    pub(crate) line: u64,
    /// On one line.
    pub(crate) reason: String,
}

/// A value as it was written.
#[derive(Debug, Clone)]
enum Tree {
    Nothing,
    Flag(bool),
    Number(i64),
    /// A fraction, or a number that is too large.
    Fraction,
    Text(String),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(i64::try_from(value).map_or_else(|_| Tree::Fraction, Tree::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Tree::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
}

/// Reads one document: at most 32 levels, 100,000 nodes, and few aliases.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 100_000,
            max_events: 200_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
    };
    let read: Result<Spanned<Tree>, _> = serde_saphyr::from_str_with_options(text, options);
    match read {
        Ok(tree) => Ok(Node::of(tree)),
        Err(error) => {
            let text = error.without_snippet().to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            let line = error.location().map_or(1, |location| location.line());
            let reason = one_line(reason, 400);
            Err(Fault { line, reason })
        }
    }
}

/// A value and its line.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Counted from 1.
    pub(crate) line: u64,
    tree: Tree,
}

impl Node {
    fn of(spanned: Spanned<Tree>) -> Self {
        Self {
            line: spanned.referenced.line().max(1),
            tree: spanned.value,
        }
    }

    fn what(&self) -> &'static str {
        match self.tree {
            Tree::Nothing => "nothing",
            Tree::Flag(_) => "true or false",
            Tree::Number(_) => "a number",
            Tree::Fraction => "a fraction",
            Tree::Text(_) => "text",
            Tree::List(_) => "a list",
            Tree::Map(_) => "a mapping",
        }
    }
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, line: u64, reason: impl AsRef<str>) {
        let reason = one_line(reason.as_ref(), 400);
        self.0.push(Fault { line, reason });
    }

    fn wanted(&mut self, node: &Node, key: &str, wanted: &str) {
        let found = node.what();
        self.add(node.line, format!("`{key}` is {found}: write {wanted}"));
    }

    /// Its entries.
    pub(crate) fn map(&mut self, node: Node, what: &'static str) -> Option<Map<'_>> {
        let line = node.line;
        if let Tree::Map(entries) = node.tree {
            return Some(Map {
                what,
                line,
                entries: entries.into_iter().map(Some).collect(),
                asked: Vec::new(),
                faults: self,
            });
        }
        self.wanted(&node, what, "a mapping");
        None
    }

    /// Its values; one value that is no list is a list of one.
    pub(crate) fn list(node: Node) -> Vec<Node> {
        match node.tree {
            Tree::Nothing => Vec::new(),
            Tree::List(values) => values.into_iter().map(Node::of).collect(),
            _ => vec![node],
        }
    }

    pub(crate) fn text(&mut self, node: &Node, key: &str, max: usize) -> Option<String> {
        match &node.tree {
            Tree::Text(text) if text.len() > max => {
                let length = text.len();
                self.add(
                    node.line,
                    format!("`{key}` has {length} bytes: at most {max} are read"),
                );
                None
            }
            Tree::Text(text) => Some(text.trim().to_owned()),
            Tree::Number(number) => Some(number.to_string()),
            Tree::Fraction => {
                self.add(node.line, format!("`{key}` is a fraction: put it in quotes"));
                None
            }
            _ => {
                self.wanted(node, key, "text");
                None
            }
        }
    }

    pub(crate) fn number(&mut self, node: &Node, key: &str) -> Option<i64> {
        if let Tree::Number(number) = node.tree {
            return Some(number);
        }
        self.wanted(node, key, "a whole number");
        None
    }

    pub(crate) fn word<T: FromStr>(&mut self, node: &Node, key: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let text = self.text(node, key, 1000)?;
        match text.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                self.add(node.line, format!("`{key}`: {error}"));
                None
            }
        }
    }

    /// One of few words.
    pub(crate) fn one_of<T: Copy>(&mut self, node: &Node, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, key, 1000)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let hint = did_you_mean(&text, words.iter().map(|(word, _)| *word));
            self.add(
                node.line,
                format!("`{key}` has no value `{}`{hint}", one_line(&text, 64)),
            );
        }
        found.map(|(_, value)| *value)
    }
}

/// The entries of a mapping, each of which is asked for once.
pub(crate) struct Map<'f> {
    what: &'static str,
    /// Where it begins.
    pub(crate) line: u64,
    entries: Vec<Option<(Spanned<String>, Spanned<Tree>)>>,
    asked: Vec<&'static str>,
    /// Of everything that is read.
    pub(crate) faults: &'f mut Faults,
}

impl Map<'_> {
    /// The value of a key.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        let is_it = |entry: &&mut Option<(Spanned<String>, Spanned<Tree>)>| {
            entry.as_ref().is_some_and(|(name, _)| name.value == key)
        };
        let (_, value) = self.entries.iter_mut().find(is_it)?.take()?;
        Some(Node::of(value))
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&mut self, key: &'static str) -> Option<Node> {
        let found = self.take(key);
        if found.is_none() {
            self.faults.add(self.line, format!("{} needs `{key}`", self.what));
        }
        found
    }

    pub(crate) fn text(&mut self, key: &'static str, max: usize) -> Option<String> {
        let node = self.take(key)?;
        self.faults.text(&node, key, max)
    }

    pub(crate) fn need_text(&mut self, key: &'static str, max: usize) -> Option<String> {
        let node = self.need(key)?;
        self.faults.text(&node, key, max)
    }

    pub(crate) fn need_word<T: FromStr>(&mut self, key: &'static str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let node = self.need(key)?;
        self.faults.word(&node, key)
    }

    pub(crate) fn word<T: FromStr>(&mut self, key: &'static str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let node = self.take(key)?;
        self.faults.word(&node, key)
    }

    pub(crate) fn words<T: FromStr>(&mut self, key: &'static str) -> Vec<T>
    where
        T::Err: fmt::Display,
    {
        let nodes = self.list(key);
        let words = nodes.iter().filter_map(|node| self.faults.word(node, key));
        words.collect()
    }

    pub(crate) fn one_of<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let node = self.take(key)?;
        self.faults.one_of(&node, key, words)
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.take(key)?;
        if let Tree::Flag(flag) = node.tree {
            return Some(flag);
        }
        self.faults.wanted(&node, key, "true or false");
        None
    }

    /// A whole number within bounds.
    pub(crate) fn number(&mut self, key: &'static str, least: i64, most: i64) -> Option<i64> {
        let node = self.take(key)?;
        let number = self.faults.number(&node, key)?;
        if (least..=most).contains(&number) {
            return Some(number);
        }
        let reason = format!("`{key}` is {number}: write {least} to {most}");
        self.faults.add(node.line, reason);
        None
    }

    pub(crate) fn list(&mut self, key: &'static str) -> Vec<Node> {
        self.take(key).map(Faults::list).unwrap_or_default()
    }

    /// Tells of keys that nobody asked for.
    pub(crate) fn end(self) {
        for (key, _) in self.entries.into_iter().flatten() {
            let hint = did_you_mean(&key.value, self.asked.iter().copied());
            let reason = format!("{} has no key `{}`{hint}", self.what, one_line(&key.value, 64));
            self.faults.add(key.referenced.line().max(1), reason);
        }
    }
}
