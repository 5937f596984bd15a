//! Every file of a directory, as a layer would hand it to the catalogers.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use findings::Package;
use inspect::packages::CATALOGERS;
use inspect::{Budget, Content, Facts, File, Limits};

/// Path and package.
pub(super) type Found = (String, Package);

/// What is found, in the order of paths; nothing may be left unread.
pub(super) fn scan(root: &Path) -> Vec<Found> {
    let mut budget = Budget::new(Limits::default());
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                read(root, &entry.path(), &mut budget, &mut found);
            }
        }
    }
    found.sort();
    found
}

fn read(root: &Path, file: &Path, budget: &mut Budget, found: &mut Vec<Found>) {
    let path = file.strip_prefix(root).unwrap().to_str().unwrap();
    let mut head = Vec::new();
    fs::File::open(file)
        .unwrap()
        .take(512)
        .read_to_end(&mut head)
        .unwrap();
    for cataloger in CATALOGERS.iter().filter(|cataloger| cataloger.wants(path, &head)) {
        let size = fs::metadata(file).unwrap().len();
        let is_small = size <= budget.limits().file_memory;
        let bytes = if is_small {
            fs::read(file).unwrap()
        } else {
            Vec::new()
        };
        let mut spool = fs::File::open(file).unwrap();
        let content = if is_small {
            Content::of(&bytes)
        } else {
            Content::Spooled(&mut spool)
        };
        let mut facts = Facts::default();
        let mut file = File {
            path,
            size,
            mode: 0o644,
            content,
        };
        let result = cataloger.read(&mut file, budget, &mut facts);
        assert!(result.is_ok(), "{path}: {result:?}");
        assert_eq!(facts.skipped, [], "{path}");
        assert_eq!(facts.oddities, [], "{path}");
        found.extend(
            facts
                .packages
                .into_iter()
                .map(|package| (path.to_owned(), package)),
        );
    }
}

/// `name@version` of each.
pub(super) fn names(found: &[Found]) -> Vec<String> {
    let mut names: Vec<String> = found
        .iter()
        .map(|(_, package)| format!("{}@{}", package.name, package.version))
        .collect();
    names.sort();
    names
}
