//! Binaries that Go itself builds, compared with what `go version -m` says of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GoBinary, facts, names, stdlib_version};

const MAIN: &str = "package main\n\nimport \"example.org/dep\"\n\nvar version = \"none\"\n\nfunc main() { println(version, dep.Name) }\n";

/// A module that needs another, which a directory replaces.
fn write_module(directory: &Path) {
    let dep = directory.join("dep");
    fs::create_dir(&dep).unwrap();
    fs::write(dep.join("go.mod"), "module example.org/dep\n\ngo 1.18\n").unwrap();
    fs::write(dep.join("dep.go"), "package dep\n\nvar Name = \"dep\"\n").unwrap();
    let app = directory.join("app");
    fs::create_dir(&app).unwrap();
    fs::write(
        app.join("go.mod"),
        "module example.org/app\n\ngo 1.18\n\nrequire example.org/dep v1.2.3\n\nreplace example.org/dep => ../dep\n",
    )
    .unwrap();
    fs::write(app.join("main.go"), MAIN).unwrap();
    fs::write(
        app.join("alone.go.txt"),
        "package main\n\nfunc main() { println(1) }\n",
    )
    .unwrap();
    fs::copy(app.join("alone.go.txt"), directory.join("alone.go")).unwrap();
}

fn go(directory: &Path, target: &str) -> Command {
    let mut command = Command::new("go");
    let (system, machine) = target.split_once('/').unwrap();
    command
        .current_dir(directory)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOOS", system)
        .env("GOARCH", machine);
    command
}

fn build(directory: &Path, target: &str, arguments: &[&str], what: &str) -> Option<PathBuf> {
    let out = directory.join("out");
    let mut command = go(&directory.join(if what == "." { "app" } else { "." }), target);
    let built = command
        .arg("build")
        .args(arguments)
        .arg("-o")
        .arg(&out)
        .arg(what)
        .output()
        .ok()?;
    if !built.status.success() {
        println!("{}", String::from_utf8_lossy(&built.stderr));
        return None;
    }
    Some(out)
}

/// `name version` of what `go version -m` lists, with replacements that have a version applied.
fn said_by_go(directory: &Path, binary: &Path) -> Vec<String> {
    let output = go(directory, "linux/amd64")
        .args(["version", "-m"])
        .arg(binary)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let release = lines.next().unwrap().rsplit_once(": ").unwrap().1;
    let mut said = vec![format!("stdlib {}", stdlib_version(release))];
    for line in lines {
        let fields: Vec<&str> = line.trim_start().split('\t').collect();
        match fields[..] {
            ["mod" | "dep", path, version, ..] => said.push(format!("{path} {version}")),
            ["=>", _, "(devel)" | "", ..] => {
                let replaced = said.pop().unwrap();
                said.push(format!("{} ", replaced.split_once(' ').unwrap().0));
            }
            _ => {}
        }
    }
    said.sort_unstable();
    said
}

#[test]
fn binaries_are_read_as_go_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    write_module(directory.path());
    for (target, arguments, what, main) in [
        ("linux/amd64", &["-trimpath", "-ldflags=-s -w"][..], ".", ""),
        (
            "linux/amd64",
            &["-ldflags=-s -w -X main.version=1.2.3"],
            ".",
            "v1.2.3",
        ),
        ("linux/amd64", &[], "alone.go", ""),
    ] {
        let Some(binary) = build(directory.path(), target, arguments, what) else {
            crate::skipped::skip("go is not installed or cannot build");
            return;
        };
        let found = facts(&GoBinary, "app", &fs::read(&binary).unwrap());
        let said: Vec<String> = said_by_go(directory.path(), &binary)
            .into_iter()
            .map(|line| line.replace("(devel)", main))
            .collect();
        assert_eq!(names(&found), said, "{target} {arguments:?} {what}");
        assert!(said.len() == if what == "." { 3 } else { 1 }, "{said:?}");
    }
}
