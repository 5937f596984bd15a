//! Databases that rpm and Berkeley DB made themselves.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Database, bash, header, named};
use crate::Facts;
use crate::packages::harness::{facts, names};

/// How many packages are built beside `main`.
const OTHERS: usize = 12;

/// A package with an epoch and a label, and enough others to need more than one page of anything.
fn spec() -> String {
    let mut spec = format!(
        "Name: main\nVersion: 1.2~rc1\nRelease: 3\nEpoch: 4\nSummary: s\nLicense: MIT\nBuildArch: noarch\n\
         %description\nd\n%install\n\
         for p in $(seq {OTHERS}); do for f in $(seq $((p * 15))); do\n\
         d=%{{buildroot}}/opt/p$p/d$((f % 3)); [ -d $d ] || mkdir -p $d; : >$d/f$f\n\
         done; done\n%files\n"
    );
    for package in 1..=OTHERS {
        let _ = write!(spec, "%package p{package}\nSummary: s\n");
        if package % 2 == 0 {
            spec.push_str("Version: 7\nEpoch: 0\n");
        }
        let _ = write!(
            spec,
            "%description p{package}\nd\n%files p{package}\n/opt/p{package}/*/*\n"
        );
    }
    spec
}

fn run(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    String::from_utf8(output.stdout).ok()
}

fn rpm(backend: &str, database: &Path) -> Command {
    let mut command = Command::new("rpm");
    command.arg("--define").arg(format!("_db_backend {backend}"));
    command.arg("--dbpath").arg(database);
    command
}

/// Builds the packages.
fn built(directory: &Path) -> Option<Vec<PathBuf>> {
    let file = directory.join("main.spec");
    fs::write(&file, spec()).ok()?;
    let mut build = Command::new("rpmbuild");
    build.arg("-bb").arg("--nodeps");
    for definition in [
        &format!("_topdir {}", directory.display()),
        "modularitylabel m:1:2:3",
    ] {
        build.arg("--define").arg(definition);
    }
    run(build.arg(&file))?;
    let files = fs::read_dir(directory.join("RPMS/noarch")).ok()?;
    Some(files.flatten().map(|entry| entry.path()).collect())
}

/// Installs them into a database of its own. Not every rpm has every kind.
fn install(backend: &str, database: &Path, packages: &[PathBuf]) -> Option<()> {
    fs::create_dir(database).ok()?;
    run(rpm(backend, database).arg("--initdb"))?;
    run(rpm(backend, database)
        .args(["-i", "--justdb", "--nodeps", "--ignoreos"])
        .args(packages))?;
    Some(())
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    lines
}

fn packages(facts: &Facts) -> Vec<String> {
    sorted(facts.packages.iter().map(|package| {
        let label = package.modularity.as_deref().unwrap_or("(none)");
        let arch = package.arch.as_deref().unwrap_or_default();
        let source = package
            .source
            .as_ref()
            .map(|source| source.name.as_str())
            .unwrap_or_default();
        format!(
            "{}|{}|{arch}|{}|{label}|{source}",
            package.name,
            package.version,
            package.licences.join(" ")
        )
    }))
}

#[test]
fn rpms_own_databases_are_read_as_rpm_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    let Some(built) = built(directory.path()) else {
        crate::skipped::skip("rpm is not installed (apt-get install rpm)");
        return;
    };
    for (backend, file) in [("sqlite", "rpmdb.sqlite"), ("ndb", "Packages.db")] {
        let database = directory.path().join(backend);
        if install(backend, &database, &built).is_none() {
            crate::skipped::impossible(&format!("this rpm cannot write {backend}"));
            continue;
        }
        let found = facts(
            &Database,
            &format!("var/lib/rpm/{file}"),
            &fs::read(database.join(file)).unwrap(),
        );
        assert_eq!(found.packages.len(), OTHERS + 1);
        let format = "%{NAME}|%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}|%{ARCH}|%{LICENSE}|%{MODULARITYLABEL}|main\n";
        let said = run(rpm(backend, &database).args(["-qa", "--qf", format])).unwrap();
        assert_eq!(
            packages(&found),
            sorted(said.lines().map(str::to_owned)),
            "{backend}"
        );
        let said = run(rpm(backend, &database).args(["-qa", "--qf", "[%{=NAME} %{FILENAMES}\n]"])).unwrap();
        let owned = found
            .owned
            .iter()
            .map(|(package, path)| format!("{package} /{path}"));
        assert_eq!(
            sorted(owned),
            sorted(said.lines().map(str::to_owned)),
            "{backend}"
        );
        assert!(found.owned.len() > 1_000);
    }
}

/// A hash table with those values under the numbers from 1, made by Berkeley DB.
fn loaded(values: &[Vec<u8>], order: &str, path: &Path) -> Option<Vec<u8>> {
    let mut input =
        format!("VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\ndb_lorder={order}\nHEADER=END\n");
    for (index, value) in values.iter().enumerate() {
        let key = u32::try_from(index + 1).ok()?.to_le_bytes();
        for bytes in [&key[..], value] {
            input.push(' ');
            for byte in bytes {
                write!(input, "{byte:02x}").ok()?;
            }
            input.push('\n');
        }
    }
    input.push_str("DATA=END\n");
    let mut child = Command::new("db5.3_load")
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(input.as_bytes()).ok()?;
    child.wait().ok()?.success().then(|| fs::read(path).ok())?
}

#[test]
fn berkeleys_own_tables_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut values: Vec<Vec<u8>> = (0..300).map(|index| named(&format!("p{index}"))).collect();
    values.push(header(&bash()));
    values.push(header(&[
        (1000, "long".into()),
        (1004, "x".repeat(50_000).as_str().into()),
    ]));
    for order in ["1234", "4321"] {
        let Some(bytes) = loaded(&values, order, &directory.path().join(order)) else {
            crate::skipped::skip("db5.3_load is not installed (apt-get install db5.3-util)");
            return;
        };
        let found = facts(&Database, "var/lib/rpm/Packages", &bytes);
        assert_eq!(found.packages.len(), 302);
        assert!(names(&found).contains(&"bash 5.1.8-6.el9".to_owned()));
        assert!(names(&found).contains(&"p299 1-1".to_owned()));
    }
}
