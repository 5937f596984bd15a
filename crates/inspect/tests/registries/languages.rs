//! Packages of Node and Python, compared with what their own tools list.

use std::path::PathBuf;

use super::fetch::{kept, npm, output, pypi, run};
use super::scan::{names, scan};

#[test]
fn single_packages() {
    for (directory, expected) in [
        (npm("lodash", "4.17.4"), "lodash@4.17.4"),
        (npm("minimist", "0.0.8"), "minimist@0.0.8"),
        (pypi("django", "2.2.0"), "django@2.2"),
        (pyyaml(), "pyyaml@5.3"),
    ] {
        let Some(directory) = directory else { continue };
        let mut found = names(&scan(&directory));
        found.dedup();
        assert_eq!(found, [expected]);
    }
}

/// Published as sources only, so it is installed.
fn pyyaml() -> Option<PathBuf> {
    kept("pyyaml==5.3", |directory| {
        run(
            directory,
            &[
                "python3",
                "-m",
                "pip",
                "install",
                "-q",
                "--no-deps",
                "--target",
                "lib",
                "pyyaml==5.3",
            ],
        )
    })
}

#[test]
fn a_virtual_environment_has_what_pip_lists() {
    let environment = kept("venv", |directory| {
        run(directory, &["python3", "-m", "venv", "--copies", "env"])
            && run(
                directory,
                &[
                    "env/bin/python",
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "django==2.2",
                    "requests==2.25.1",
                ],
            )
    });
    let Some(environment) = environment else { return };
    let mut found = scan(&environment);
    // What setuptools brings along lies in the image, but pip lists only what it installed itself.
    found.retain(|(path, _)| !path.contains("/_vendor/"));
    let listed = output(
        &environment,
        &["env/bin/python", "-m", "pip", "list", "--format=freeze"],
    );
    let mut expected: Vec<String> = listed
        .lines()
        .map(|line| normalised(&line.replace("==", "@")))
        .collect();
    expected.sort();
    assert!(expected.len() > 5, "{listed}");
    assert_eq!(names(&found), expected);
}

fn normalised(package: &str) -> String {
    let (name, version) = package.split_once('@').unwrap();
    format!("{}@{version}", name.to_lowercase().replace(['_', '.'], "-"))
}

#[test]
fn a_tree_of_modules_has_what_npm_lists() {
    let tree = kept("modules", |directory| {
        std::fs::write(
            directory.join("package.json"),
            r#"{"name":"app","version":"1.0.0"}"#,
        )
        .is_ok()
            && run(
                directory,
                &[
                    "npm",
                    "install",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "lodash@4.17.4",
                    "minimist@0.0.8",
                    "mkdirp@0.5.5",
                    "express@4.17.1",
                ],
            )
    });
    let Some(tree) = tree else { return };
    let listed = output(&tree, &["npm", "ls", "--all", "--parseable", "--long"]);
    let mut expected: Vec<String> = listed
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split(':').nth(1)?.to_owned()))
        .collect();
    expected.sort();
    let (locked, installed): (Vec<_>, Vec<_>) = scan(&tree)
        .into_iter()
        .partition(|(path, _)| path == "package-lock.json");
    assert!(expected.len() > 40, "{listed}");
    assert_eq!(names(&installed), expected);
    assert_eq!(names(&locked), expected);
}
