//! The files of this checkout.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is made, not written. In a linked worktree `.git` is a file.
const MADE: [&str; 4] = ["target", ".git", "corpus", "artifacts"];

/// The top of the workspace.
pub(super) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors()
        .nth(2)
        .expect("the crate lies two levels below the top")
        .to_owned()
}

/// One text file of the checkout.
pub(super) struct SourceFile {
    /// From the top of the checkout, with slashes.
    pub(super) path: String,
    /// What it holds.
    pub(super) text: String,
}

impl SourceFile {
    /// Whether it is Rust.
    pub(super) fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    }

    /// The last part of its path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Every text file below the top; what is not UTF-8 is left out.
pub(super) fn text_files() -> Vec<SourceFile> {
    let root = root();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("the checkout can be read") {
            let path = entry.expect("the checkout can be read").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_symlink() || MADE.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(&root).expect("it was found below the top");
                found.push(SourceFile {
                    path: path.to_string_lossy().into_owned(),
                    text,
                });
            }
        }
    }
    assert!(
        found.len() > 50,
        "only {} files below {}: is this the checkout?",
        found.len(),
        root.display()
    );
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust file below the top.
pub(super) fn rust_files() -> Vec<SourceFile> {
    text_files().into_iter().filter(SourceFile::is_rust).collect()
}

/// Fails with all violations, one per line.
pub(super) fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}
