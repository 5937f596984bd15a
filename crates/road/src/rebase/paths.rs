//! What the layers of an application do to the paths of its base.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::known::{Strategy, is_derived, is_rpm, strategy};
use super::obstacle::Obstacle;
use super::tree::{LayerPaths, Node, TooManyPaths, Tree, ancestors, join};

/// Most paths that evidence names; the rest is counted.
pub const MAX_NAMED_PATHS: usize = 20;

/// Two releases of one base. Made once for all images that stand on it.
#[derive(Debug, Clone, Default)]
pub struct BaseChange {
    /// The one below the image now.
    pub old: Tree,
    /// The one to go to.
    pub new: Tree,
}

impl BaseChange {
    /// From the layers of both, lowest first.
    ///
    /// # Errors
    /// More paths than are looked at.
    pub fn of(old: &[LayerPaths], new: &[LayerPaths]) -> Result<Self, TooManyPaths> {
        Ok(Self {
            old: Tree::of(old)?,
            new: Tree::of(new)?,
        })
    }
}

/// What was seen of paths: the evidence for a safety class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathEvidence {
    /// Files and links of the application.
    pub paths: usize,
    /// Of these, ones that the old base has too and the new one leaves as they were.
    pub unchanged: usize,
    /// Some of these.
    pub unchanged_named: Vec<String>,
    /// Of these, logs, caches and the like.
    pub derived: usize,
    /// Files that must be merged.
    pub merged: BTreeMap<String, Strategy>,
}

/// What lies at a path for a container: the application's, else the base's.
struct View<'a> {
    app: &'a Tree,
    base: &'a Tree,
}

impl View<'_> {
    fn get(&self, path: &str) -> Option<&Node> {
        self.app.get(path).or_else(|| self.base.get(path))
    }

    fn resolves(&self, path: &str) -> bool {
        let has_below = |path: &str| {
            let mut trees = [self.app, self.base].into_iter();
            trees.any(|tree| tree.below(path).next().is_some())
        };
        super::tree::resolve(path, |path| self.get(path), has_below).is_some()
    }
}

/// Compares the layers of an application, lowest first, with a change of its base.
pub(super) struct Comparison<'a> {
    change: &'a BaseChange,
    app: Tree,
    obstacles: BTreeSet<Obstacle>,
    evidence: PathEvidence,
    links: usize,
}

/// Most symbolic links of an application that are followed; one with more is built again.
pub const MAX_LINKS: usize = 100_000;

pub(super) fn compare(
    change: &BaseChange,
    layers: &[LayerPaths],
) -> Result<(PathEvidence, BTreeSet<Obstacle>, Tree), TooManyPaths> {
    let mut comparison = Comparison {
        change,
        app: Tree::of(layers)?,
        obstacles: BTreeSet::new(),
        evidence: PathEvidence::default(),
        links: 0,
    };
    for layer in layers {
        comparison.removals(layer);
    }
    let app = std::mem::take(&mut comparison.app);
    for (path, node) in app.iter() {
        comparison.entry(&app, path, node);
    }
    Ok((comparison.evidence, comparison.obstacles, app))
}

impl Comparison<'_> {
    fn removals(&mut self, layer: &LayerPaths) {
        let new = &self.change.new;
        let has_below = |path: &str| new.below(path).any(|(below, _)| !is_derived(below));
        for path in &layer.whiteouts {
            if !is_derived(path) && (new.get(path).is_some() || has_below(path)) {
                self.obstacles.insert(Obstacle::Deletes { path: path.clone() });
            }
        }
        for path in &layer.opaque {
            if !is_derived(path) && has_below(path) {
                self.obstacles.insert(Obstacle::Hides { path: path.clone() });
            }
        }
    }

    fn entry(&mut self, app: &Tree, path: &str, node: &Node) {
        let (old, new) = (self.change.old.get(path), self.change.new.get(path));
        if node.is_directory() {
            if new.is_some_and(|new| !new.is_directory()) && old != new {
                self.obstacles.insert(Obstacle::Kind {
                    path: path.to_owned(),
                });
            }
            return;
        }
        self.evidence.paths += 1;
        if is_rpm(path) {
            self.obstacles.insert(Obstacle::Rpm {
                path: path.to_owned(),
            });
            return;
        }
        if let Some(link) = self.moved_link(app, path) {
            let path = path.to_owned();
            self.obstacles.insert(Obstacle::MovedBelow { path, link });
            return;
        }
        if is_derived(path) {
            self.evidence.derived += 1;
            return;
        }
        if let Some(strategy) = strategy(path)
            && (strategy.is_package_list() || (old != new && new != Some(node)))
        {
            self.evidence.merged.insert(path.to_owned(), strategy);
            return;
        }
        self.links += usize::from(node.is_symlink());
        if self.links > MAX_LINKS {
            let why =
                format!("the application has more than {MAX_LINKS} links: not all of them are followed");
            self.obstacles.insert(Obstacle::Document { why });
            return;
        }
        let obstacle = self.against_base(path, node);
        self.obstacles.extend(obstacle);
        let obstacle = self.link(app, path, node);
        self.obstacles.extend(obstacle);
    }

    /// A link of the base above `path` that leads elsewhere now, or has become or ceased to be one.
    fn moved_link(&self, app: &Tree, path: &str) -> Option<String> {
        let moved = ancestors(path).find(|above| {
            let (old, new) = (self.change.old.get(above), self.change.new.get(above));
            let is_no_directory = |node: Option<&Node>| node.is_some_and(|node| !node.is_directory());
            app.get(above).is_none() && old != new && (is_no_directory(old) || is_no_directory(new))
        });
        moved.map(str::to_owned)
    }

    fn against_base(&mut self, path: &str, node: &Node) -> Option<Obstacle> {
        let (old, new) = (self.change.old.get(path), self.change.new.get(path));
        let path = path.to_owned();
        match (old, new) {
            (None, None) if self.change.new.below(&path).next().is_some() => Some(Obstacle::Kind { path }),
            (None, None) => None,
            (_, Some(new)) if new == node => None,
            (_, Some(new)) if new.is_directory() && Some(new) != old => Some(Obstacle::Kind { path }),
            (None, Some(_)) => Some(Obstacle::Collides { path }),
            (Some(_), None) => Some(Obstacle::ShadowsGone { path }),
            (Some(old), Some(new)) if old == new => {
                self.evidence.unchanged += 1;
                if self.evidence.unchanged_named.len() < MAX_NAMED_PATHS {
                    self.evidence.unchanged_named.push(path);
                }
                None
            }
            (Some(_), Some(_)) => Some(Obstacle::Shadows { path }),
        }
    }

    /// What a link of the application leads to must still be there.
    fn link(&self, app: &Tree, path: &str, node: &Node) -> Option<Obstacle> {
        let target = node.content.as_str();
        let (old, new) = (&self.change.old, &self.change.new);
        match node.kind {
            '1' if app.get(target).is_none() && old.get(target) != new.get(target) => {
                Some(Obstacle::Dangles {
                    path: path.to_owned(),
                    target: target.to_owned(),
                })
            }
            '2' => {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                let absolute = match target.strip_prefix('/') {
                    Some(rest) => rest.to_owned(),
                    None => join(parent, target),
                };
                let [was, is] = [old, new].map(|base| View { app, base }.resolves(&absolute));
                (was && !is).then(|| Obstacle::Dangles {
                    path: path.to_owned(),
                    target: target.to_owned(),
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
