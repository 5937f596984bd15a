//! A directory that is worked on, cut into layers: each has what came, changed or went since the last one.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use tar::{Builder, Header};

/// What a machine mounts over, or empties.
const FLEETING: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

/// What tells whether something at a path has changed.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    mode: u32,
    owner: (u32, u32),
    size: u64,
    /// Seconds and nanoseconds. Of a directory it says that something in it changed, which is seen there.
    modified: (i64, i64),
}

/// A directory and what the layers so far have of it.
pub(super) struct Tree {
    root: PathBuf,
    layered: BTreeMap<PathBuf, Mark>,
}

impl Tree {
    /// A directory of which there is no layer yet.
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            layered: BTreeMap::new(),
        }
    }

    /// Takes what is there for layers that are there already.
    pub(super) fn mark(&mut self) -> io::Result<()> {
        self.layered.clear();
        walk(&self.root, Path::new(""), &mut self.layered)
    }

    /// A layer of what is other than in the last one, as a tar archive with whiteouts.
    pub(super) fn layer(&mut self) -> io::Result<Vec<u8>> {
        let mut now = BTreeMap::new();
        walk(&self.root, Path::new(""), &mut now)?;
        let mut tar = Builder::new(Vec::new());
        tar.follow_symlinks(false);
        // As builders of images do: runtimes do not take files with holes.
        tar.sparse(false);
        for (path, mark) in &now {
            if self.layered.get(path) != Some(mark) {
                tar.append_path_with_name(self.root.join(path), path)?;
            }
        }
        let is_there = |path: &Path| path == Path::new("") || now.contains_key(path);
        let gone = self.layered.keys().filter(|path| !is_there(path));
        // What went with its directory has no whiteout of its own.
        for path in gone.filter(|path| path.parent().is_some_and(is_there)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let mut header = Header::new_gnu();
            header.set_size(0);
            header.set_mode(0o644);
            let whiteout = path.with_file_name(format!(".wh.{name}"));
            tar.append_data(&mut header, whiteout, io::empty())?;
        }
        self.layered = now;
        tar.into_inner()
    }
}

fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<PathBuf, Mark>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(directory))? {
        let path = directory.join(entry?.file_name());
        if FLEETING.iter().any(|fleeting| path == Path::new(fleeting)) {
            continue;
        }
        let metadata = fs::symlink_metadata(root.join(&path))?;
        let is_directory = metadata.is_dir();
        let mark = Mark {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: if is_directory { 0 } else { metadata.size() },
            modified: if is_directory {
                (0, 0)
            } else {
                (metadata.mtime(), metadata.mtime_nsec())
            },
        };
        found.insert(path.clone(), mark);
        if is_directory {
            walk(root, &path, found)?;
        }
    }
    Ok(())
}
