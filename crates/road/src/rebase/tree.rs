//! Stacks of layers as one tree of paths, and which of them two bases have in common.

use std::collections::BTreeMap;
use std::ops::Bound;

use findings::{LayerReport, Listing, ListingEntry, ListingError};

use super::MAX_PATHS;

/// Bytes that the listing of one layer may decode to.
const LISTING_BYTES: u64 = 128 << 20;

/// Every path of one layer, and what it takes away from the layers below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerPaths {
    /// What the layer has.
    pub entries: Vec<ListingEntry>,
    /// Paths that it deletes.
    pub whiteouts: Vec<String>,
    /// Directories of which it hides what lies below.
    pub opaque: Vec<String>,
}

impl LayerPaths {
    /// Those of a report.
    ///
    /// # Errors
    /// The listing is damaged or too long.
    pub fn of(report: &LayerReport) -> Result<Self, ListingError> {
        Self::read(&report.listing, &report.whiteouts, &report.opaque)
    }

    /// From the parts of a report.
    ///
    /// # Errors
    /// The listing is damaged or too long.
    pub fn read(listing: &Listing, whiteouts: &[String], opaque: &[String]) -> Result<Self, ListingError> {
        Ok(Self {
            entries: listing.entries(LISTING_BYTES)?,
            whiteouts: whiteouts.to_vec(),
            opaque: opaque.to_vec(),
        })
    }
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Type of the entry as in a tar header.
    pub kind: char,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// Bytes of a file.
    pub size: u64,
    /// Hash of a file or target of a link.
    pub content: String,
}

impl Node {
    fn of(entry: &ListingEntry) -> Self {
        Self {
            kind: entry.kind,
            mode: entry.mode,
            size: entry.size,
            content: entry.content.clone(),
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == '5'
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind == '2'
    }
}

/// A stack of layers as a container sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

/// A stack has more paths than are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the layers have more than {MAX_PATHS} paths: an image of that size is not rebased")]
pub struct TooManyPaths;

impl Tree {
    /// The overlay of layers, lowest first.
    ///
    /// # Errors
    /// More than [`MAX_PATHS`].
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a LayerPaths>) -> Result<Self, TooManyPaths> {
        Self::of_at_most(layers, MAX_PATHS)
    }

    /// The same with another limit.
    pub(super) fn of_at_most<'a>(
        layers: impl IntoIterator<Item = &'a LayerPaths>,
        most: usize,
    ) -> Result<Self, TooManyPaths> {
        let mut tree = Self::default();
        for layer in layers {
            for path in &layer.whiteouts {
                tree.nodes.remove(path);
                tree.remove_below(path);
            }
            for path in &layer.opaque {
                tree.remove_below(path);
            }
            for entry in &layer.entries {
                tree.put(entry);
            }
            if tree.nodes.len() > most {
                return Err(TooManyPaths);
            }
        }
        Ok(tree)
    }

    /// A file where a directory was hides what lay below it; a directory where one was keeps it.
    fn put(&mut self, entry: &ListingEntry) {
        let node = Node::of(entry);
        let was_directory = self.nodes.get(&entry.path).is_some_and(Node::is_directory);
        if was_directory && !node.is_directory() {
            self.remove_below(&entry.path);
        }
        self.nodes.insert(entry.path.clone(), node);
    }

    fn remove_below(&mut self, directory: &str) {
        let below: Vec<String> = self.below(directory).map(|(path, _)| path.to_owned()).collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }

    /// What lies at `path`.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All that lies below a directory, by path.
    pub fn below<'a>(&'a self, directory: &str) -> impl Iterator<Item = (&'a str, &'a Node)> + use<'a> {
        let prefix = if directory.is_empty() {
            String::new()
        } else {
            format!("{directory}/")
        };
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        self.nodes
            .range::<String, _>(from)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, node)| (path.as_str(), node))
    }

    /// All, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// How many paths it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether a container would find `path`: links on the way to it and at its end are followed.
    pub fn resolves(&self, path: &str) -> bool {
        self.resolve(path).is_some()
    }

    /// Where `path` leads to, without a link in it.
    pub fn resolve(&self, path: &str) -> Option<String> {
        resolve(
            path,
            |path| self.get(path),
            |path| self.below(path).next().is_some(),
        )
    }
}

/// Parts of a path, and of the links on its way, that are looked at: what leads to and fro for longer leads nowhere.
const MAX_STEPS: usize = 1_000;

/// Follows the links on the way to `path` and at its end. Archives need not name the directories of what they hold: `has_below`.
pub(super) fn resolve<'a>(
    path: &str,
    get: impl Fn(&str) -> Option<&'a Node>,
    has_below: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut todo: Vec<String> = parts(path).rev().map(str::to_owned).collect();
    let mut at = String::new();
    // As many as Linux follows.
    let mut links = 40;
    let mut steps = MAX_STEPS;
    while let Some(part) = todo.pop() {
        steps -= 1;
        if steps == 0 {
            return None;
        }
        if part == ".." {
            at.truncate(at.rfind('/').unwrap_or(0));
            continue;
        }
        let next = join(&at, &part);
        match get(&next) {
            Some(node) if node.is_symlink() => {
                links -= 1;
                if links == 0 {
                    return None;
                }
                if node.content.starts_with('/') {
                    at.clear();
                }
                todo.extend(parts(&node.content).rev().map(str::to_owned));
            }
            Some(node) if !node.is_directory() && !todo.is_empty() => return None,
            Some(_) => at = next,
            None if has_below(&next) => at = next,
            None => return None,
        }
    }
    Some(at)
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

/// `name` in `directory`, which may be the root.
pub(super) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// The directories above a path, from the root down.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `name`: a file; `name/`: a directory; `name>target`: a link; `name=text`: a file with that content; `-name`: a whiteout.
    pub(in crate::rebase) fn layer(words: &[&str]) -> LayerPaths {
        let mut layer = LayerPaths::default();
        for word in words {
            if let Some(path) = word.strip_prefix('-') {
                layer.whiteouts.push(path.to_owned());
                continue;
            }
            let (path, kind, content) = match word.split_once('>') {
                Some((path, target)) => (path, '2', target),
                None => match word.split_once('=') {
                    Some((path, text)) => (path, '0', text),
                    None if word.ends_with('/') => (word.trim_end_matches('/'), '5', ""),
                    None => (*word, '0', "same"),
                },
            };
            layer.entries.push(ListingEntry {
                path: path.to_owned(),
                kind,
                mode: if kind == '5' { 0o755 } else { 0o644 },
                size: content.len() as u64,
                content: content.to_owned(),
            });
        }
        layer
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn upper_layers_replace_delete_and_hide() {
        let lower = layer(&["etc/", "etc/a", "etc/b", "etc-x", "opt/", "opt/x", "lib>usr/lib"]);
        let mut upper = layer(&["-etc/a", "opt=now a file", "etc/c"]);
        let tree = Tree::of([&lower, &upper]).unwrap();
        assert_eq!(paths(&tree), ["etc", "etc-x", "etc/b", "etc/c", "lib", "opt"]);
        upper.opaque.push("etc".to_owned());
        let tree = Tree::of([&lower, &upper]).unwrap();
        assert_eq!(paths(&tree), ["etc", "etc-x", "etc/c", "lib", "opt"]);
    }

    #[test]
    fn links_are_followed_as_a_container_does() {
        let tree = Tree::of([&layer(&[
            "usr/lib/libc.so.6",
            "lib>usr/lib",
            "a>b",
            "b>a",
            "usr/bin/sh>../../lib/libc.so.6",
            "abs>/lib",
        ])])
        .unwrap();
        assert_eq!(
            tree.resolve("lib/libc.so.6").as_deref(),
            Some("usr/lib/libc.so.6")
        );
        assert_eq!(tree.resolve("usr/bin/sh").as_deref(), Some("usr/lib/libc.so.6"));
        assert_eq!(
            tree.resolve("abs/libc.so.6").as_deref(),
            Some("usr/lib/libc.so.6")
        );
        assert!(!tree.resolves("a"), "a loop leads nowhere");
        assert!(!tree.resolves("usr/lib/libc.so.6/x"));
    }
}
