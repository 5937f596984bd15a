//! The names on a simulated disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(usize),
}

/// All names by their whole path. The many directories are shared between copies, since they hardly ever change.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    dirs: Arc<BTreeSet<Arc<str>>>,
    files: BTreeMap<Arc<str>, usize>,
}

impl Names {
    pub(super) fn get(&self, path: &str) -> Option<Node> {
        match self.files.get(path) {
            Some(inode) => Some(Node::File(*inode)),
            None => self.dirs.contains(path).then_some(Node::Dir),
        }
    }

    pub(super) fn is_dir(&self, path: &str) -> bool {
        self.dirs.contains(path)
    }

    /// Sets or removes a name.
    pub(super) fn set(&mut self, path: &Arc<str>, node: Option<Node>) {
        match node {
            Some(Node::File(inode)) => drop(self.files.insert(Arc::clone(path), inode)),
            Some(Node::Dir) => drop(Arc::make_mut(&mut self.dirs).insert(Arc::clone(path))),
            None => drop(self.files.remove(path)),
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(|path| &**path)
    }

    /// The names right below `dir`.
    pub(super) fn children(&self, dir: &str) -> Vec<(String, Node)> {
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let name = |path: &Arc<str>| path.strip_prefix(&prefix).map(str::to_owned);
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        let dirs = self
            .dirs
            .range::<str, _>(from)
            .map_while(|path| Some((name(path)?, Node::Dir)));
        let files = self.files.range::<str, _>(from);
        let files = files.map_while(|(path, inode)| Some((name(path)?, Node::File(*inode))));
        dirs.chain(files)
            .filter(|(name, _)| !name.contains('/'))
            .collect()
    }

    /// Drops the names whose directory is not there.
    pub(super) fn forget_homeless(&mut self) {
        // Parents sort before their children, so that one pass over the directories sees them in order.
        let mut kept = BTreeSet::new();
        for dir in &*self.dirs {
            if parent(dir).is_empty() || kept.contains(parent(dir)) {
                kept.insert(Arc::clone(dir));
            }
        }
        self.files.retain(|path, _| kept.contains(parent(path)));
        self.dirs = Arc::new(kept);
    }
}

/// The directory of a path; the root is the empty text.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
