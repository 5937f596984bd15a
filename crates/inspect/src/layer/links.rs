//! Links within a layer: hard links to what is in it, and entries that lie below a symbolic link.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hasher as _},
};

/// Hard links of hard links are followed this far; whoever unpacks needs the target to be there already, so chains end.
const DEPTH: usize = 16;

/// What is known of links so far.
#[derive(Default)]
pub(super) struct Links {
    symbolic: HashSet<String>,
    /// Of all symbolic links: a path of thousands of directories is looked up by the hash of each prefix, made in one go.
    symbolic_hashes: HashSet<u64>,
    hard: HashMap<String, String>,
    /// A directory that has no symbolic link above it, so that not every file asks again.
    plain_directory: String,
}

impl Links {
    /// Notes an entry that is not a link: what lay there before is gone.
    pub(super) fn replace(&mut self, path: &str) {
        self.symbolic.remove(path);
        self.hard.remove(path);
    }

    pub(super) fn add_symbolic(&mut self, path: &str) {
        self.plain_directory.clear();
        self.hard.remove(path);
        self.symbolic_hashes
            .extend(prefixes(path).last().map(|(_, hash)| hash));
        self.symbolic.insert(path.to_owned());
    }

    /// Notes a hard link; gives the path that it stands for.
    pub(super) fn add_hard(&mut self, path: &str, target: &str) -> String {
        self.symbolic.remove(path);
        let mut target = target;
        for _ in 0..DEPTH {
            match self.hard.get(target) {
                Some(next) if next != path => target = next,
                _ => break,
            }
        }
        let target = target.to_owned();
        self.hard.insert(path.to_owned(), target.clone());
        target
    }

    /// Whether a directory above the path is a symbolic link of this layer: whoever unpacks writes elsewhere then.
    pub(super) fn is_below_symbolic(&mut self, path: &str) -> bool {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if self.symbolic.is_empty() || directory.is_empty() || directory == self.plain_directory {
            return false;
        }
        let is_symbolic = |(end, hash): (usize, u64)| {
            self.symbolic_hashes.contains(&hash) && self.symbolic.contains(&directory[..end])
        };
        if prefixes(directory).any(is_symbolic) {
            return true;
        }
        directory.clone_into(&mut self.plain_directory);
        false
    }
}

/// Each directory of a path, and the path: where it ends and its hash.
fn prefixes(path: &str) -> impl Iterator<Item = (usize, u64)> + '_ {
    let mut hasher = DefaultHasher::new();
    let mut end = 0;
    path.split_inclusive('/').map(move |part| {
        let name = part.strip_suffix('/').unwrap_or(part);
        hasher.write(name.as_bytes());
        let hash = hasher.finish();
        hasher.write_u8(b'/');
        let name_end = end + name.len();
        end += part.len();
        (name_end, hash)
    })
}
