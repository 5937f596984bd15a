//! Lists that are made to hurt their reader.

use std::io::Cursor;

use crate::packages::CATALOGERS;
use crate::packages::node::NodeLock;
use crate::packages::python::PythonLock;
use crate::packages::testing::read_within;
use crate::{Budget, Content, Exceeded, Facts, File, FileError, Limits};

/// A path that each cataloger of text wants.
const TEXTS: [&str; 16] = [
    "a/node_modules/b/package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "b.dist-info/METADATA",
    "conda-meta/b.json",
    "poetry.lock",
    "Pipfile.lock",
    "requirements.txt",
    "specifications/b.gemspec",
    "Gemfile.lock",
    "composer.lock",
    "b.deps.json",
    "packages.lock.json",
    "META-INF/maven/a/b/pom.properties",
];

/// The results of all that want a file.
fn read_all(path: &'static str, content: impl Fn() -> Content<'static>) -> Vec<Result<(), FileError>> {
    let readers: Vec<_> = CATALOGERS
        .iter()
        .filter(|cataloger| cataloger.wants(path, b""))
        .collect();
    assert!(!readers.is_empty(), "nobody wants {path}");
    let read = |cataloger: &&&dyn crate::Cataloger| {
        let mut file = File {
            path,
            size: 100,
            mode: 0o644,
            content: content(),
        };
        cataloger.read(
            &mut file,
            &mut Budget::new(Limits::default()),
            &mut Facts::default(),
        )
    };
    readers.iter().map(read).collect()
}

fn limit_of(result: &Result<(), FileError>) -> &str {
    match result {
        Err(FileError::Exceeded(Exceeded { limit, .. })) => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_fit_into_memory_is_not_read() {
    for path in TEXTS {
        let results = read_all(path, || Content::Spooled(Box::leak(Box::new(Cursor::new(b"{}")))));
        assert!(
            results.iter().all(|result| limit_of(result) == "file.memory"),
            "{path}"
        );
    }
}

#[test]
fn one_line_of_a_hundred_megabytes() {
    let line: &'static [u8] = vec![b'a'; 100_000_000].leak();
    for path in TEXTS {
        for result in read_all(path, || Content::of(line)) {
            let _ = result;
        }
    }
}

#[test]
fn trees_are_smaller_than_memory() {
    let text = "a: b\n".repeat(4 << 20);
    for (cataloger, path) in [
        (&NodeLock as &dyn crate::Cataloger, "pnpm-lock.yaml"),
        (&PythonLock, "uv.lock"),
    ] {
        let (_, result) = read_within(cataloger, path, text.as_bytes(), Limits::default());
        assert_eq!(limit_of(&result), "lockfile.bytes");
    }
}

#[test]
fn packages_are_counted() {
    let text = "a==1\nb==1\nc==1\n";
    let limits = Limits {
        packages: 2,
        ..Limits::default()
    };
    let (facts, result) = read_within(&PythonLock, "requirements.txt", text.as_bytes(), limits);
    assert_eq!(limit_of(&result), "report.packages");
    assert_eq!(facts.packages.len(), 2);
}

#[test]
fn lists_have_an_end() {
    let items = "{},".repeat(500_001);
    let text = format!("{{\"packages\":[{}]}}", items.trim_end_matches(','));
    let (_, result) = read_within(
        &crate::packages::php::Composer,
        "composer.lock",
        text.as_bytes(),
        Limits::default(),
    );
    assert!(matches!(result, Err(FileError::Malformed(_))), "{result:?}");
}
