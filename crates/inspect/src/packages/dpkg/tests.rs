use std::collections::BTreeMap;
use std::process::Command;

use proptest::prelude::*;

use super::{Copyright, FileList, Status, StatusD};
use crate::packages::harness::{exceeded, facts, names, read, read_with};
use crate::{Cataloger, Facts, Limits};

const STATUS: &str = "var/lib/dpkg/status";

fn of_status(text: &str) -> Facts {
    facts(&Status, STATUS, text.as_bytes())
}

fn source_of(text: &str) -> (String, String) {
    let facts = of_status(text);
    let (name, version) = facts.packages[0].advised();
    (name.to_owned(), version.to_owned())
}

#[test]
fn only_what_is_installed_counts() {
    let found = of_status(
        "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n\
         Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\n\
         Package: c\nStatus: install ok half-installed\nVersion: 1\n\n\
         Package: d\nVersion: 1\n\n\n\
         Package: e\nStatus: hold ok installed\nVersion: 2:1.0-1\n",
    );
    assert_eq!(names(&found), ["a 1", "e 2:1.0-1"]);
    assert_eq!(found.packages[0].arch.as_deref(), Some("amd64"));
}

#[test]
fn the_source_is_what_advisories_name() {
    let with = |source: &str| {
        source_of(&format!(
            "Package: p\nStatus: install ok installed\nVersion: 1.2-3+b1\n{source}"
        ))
    };
    assert_eq!(with(""), ("p".into(), "1.2-3+b1".into()));
    assert_eq!(with("Source: s\n"), ("s".into(), "1.2-3+b1".into()));
    assert_eq!(with("Source: s (1.2-3)\n"), ("s".into(), "1.2-3".into()));
    assert_eq!(with("Source: s ( 2:1.2-3 ) \n"), ("s".into(), "2:1.2-3".into()));
}

#[test]
fn continued_lines_are_no_fields() {
    let found = of_status(
        "Package: a\nStatus: install ok installed\nVersion: 1\nDescription: text\n Package: evil\n\tVersion: 9\n .\nConffiles:\n /x y\n",
    );
    assert_eq!(names(&found), ["a 1"]);
}

#[test]
fn names_of_fields_have_no_case_and_lines_may_end_in_cr() {
    let found = of_status(
        "package: a\r\nSTATUS: install ok installed\r\nversion: 1\r\n\r\nPackage: b\r\nStatus: install ok installed\r\n",
    );
    assert_eq!(names(&found), ["a 1", "b "]);
}

#[test]
fn a_paragraph_without_name_does_not_hide_the_next() {
    let (found, end) = read(
        &Status,
        STATUS,
        b"Status: install ok installed\nVersion: 1\n\nPackage: a\xff\nStatus: install ok installed\nVersion: 1\n",
    );
    assert!(end.is_err());
    assert_eq!(names(&found), ["a\u{fffd} 1"]);
}

#[test]
fn distroless_keeps_a_file_each() {
    let found = facts(
        &StatusD,
        "var/lib/dpkg/status.d/bGliYzY",
        b"Package: libc6\nSource: glibc\nVersion: 2.36-9\n",
    );
    assert_eq!(names(&found), ["libc6 2.36-9"]);
    assert_eq!(found.packages[0].advised(), ("glibc", "2.36-9"));
    assert!(!StatusD.wants("var/lib/dpkg/status.d/libc6.md5sums", b""));
    assert!(!StatusD.wants("var/lib/dpkg/status.d/x/y", b""));
    assert!(!Status.wants("var/lib/dpkg/status-old", b""));
}

fn owned(path: &str, text: &str) -> Vec<(String, String)> {
    facts(&FileList, path, text.as_bytes()).owned
}

#[test]
fn lists_say_whose_a_file_is() {
    let pair = |package: &str, path: &str| (package.to_owned(), path.to_owned());
    assert_eq!(
        owned(
            "var/lib/dpkg/info/python3-yaml:amd64.list",
            "/.\n/usr\n/usr/lib\n/usr/lib/x\n/usr/lib/x/METADATA\n/usr/lib/xy\n"
        ),
        [
            pair("python3-yaml", "usr/lib/x/METADATA"),
            pair("python3-yaml", "usr/lib/xy")
        ]
    );
    assert_eq!(
        owned("var/lib/dpkg/info/bash.list", "/.\n/bin\n/bin/bash\n"),
        [pair("bash", "usr/bin/bash"), pair("bash", "bin/bash")]
    );
    let sums = "d41d8cd98f00b204e9800998ecf8427e  usr/share/a\n";
    for name in ["libc6", "bGliYzY", "bGliYzY="] {
        assert_eq!(
            owned(&format!("var/lib/dpkg/status.d/{name}.md5sums"), sums),
            [pair("libc6", "usr/share/a")]
        );
    }
    assert_eq!(
        owned("var/lib/dpkg/status.d/Odd!.md5sums", sums),
        [pair("Odd!", "usr/share/a")]
    );
}

#[test]
fn licences_are_read_where_they_are_written_for_machines() {
    let path = "usr/share/doc/zlib1g/copyright";
    let found = facts(
        &Copyright,
        path,
        b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nSource: x\n\nFiles: *\nLicense: Zlib\n text\n\n\
          Files: debian/*\nlicense: GPL-2+ or Artistic\n\nLicense: Zlib\n License: not-a-field\n",
    );
    assert_eq!(
        found.licences,
        [(
            "zlib1g".to_owned(),
            vec!["GPL-2+ or Artistic".to_owned(), "Zlib".to_owned()]
        )]
    );
    let prose = facts(&Copyright, path, b"This is the Debian package.\nLicense: GPL\n");
    assert!(prose.licences.is_empty());
    assert!(!Copyright.wants("usr/share/doc/a/b/copyright", b""));
}

#[test]
fn packages_and_ownership_have_limits() {
    let two = b"Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: install ok installed\n";
    let limits = Limits {
        packages: 1,
        ..Limits::default()
    };
    let (found, end) = read_with(limits, &Status, STATUS, two);
    assert_eq!(exceeded(end), "report.packages");
    assert_eq!(names(&found), ["a "]);

    let long = format!(
        "Package: a\nStatus: install ok installed\nVersion: {}\n\n",
        "1".repeat(2_000)
    );
    let (found, end) = read(&Status, STATUS, &[long.as_bytes(), two].concat());
    end.unwrap();
    assert_eq!(names(&found), ["a ", "b "]);
    assert_eq!(found.skipped[0].limit, "package.text_bytes");

    let limits = Limits {
        owned_bytes: 100,
        ..Limits::default()
    };
    let (found, end) = read_with(
        limits,
        &FileList,
        "var/lib/dpkg/info/a.list",
        b"/usr/a\n/usr/b\n/usr/c\n",
    );
    end.unwrap();
    assert_eq!(found.owned.len(), 1);
    assert_eq!(found.skipped.len(), 1);
    assert_eq!(found.skipped[0].limit, "report.owned_bytes");

    let long = format!("/{}\n/usr/a\n", "x".repeat(5_000));
    let found = facts(&FileList, "var/lib/dpkg/info/a.list", long.as_bytes());
    assert_eq!(found.owned, [("a".to_owned(), "usr/a".to_owned())]);
}

/// Name, version, source and source version of what dpkg says is installed here.
fn of_dpkg_query() -> Option<Vec<String>> {
    let format =
        "${db:Status-Status}|${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}\n";
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", format])
        .output()
        .ok()?;
    let mut lines: Vec<String> = String::from_utf8(output.stdout)
        .ok()?
        .lines()
        .filter_map(|line| line.strip_prefix("installed|"))
        .map(str::to_owned)
        .collect();
    lines.sort_unstable();
    (!lines.is_empty()).then_some(lines)
}

#[test]
fn this_machine_is_read_as_dpkg_reads_it() {
    let (Some(expected), Ok(bytes)) = (of_dpkg_query(), std::fs::read("/var/lib/dpkg/status")) else {
        crate::skipped::impossible("this is no Debian");
        return;
    };
    let mut found: Vec<String> = facts(&Status, STATUS, &bytes)
        .packages
        .iter()
        .map(|package| {
            let (source, version) = package.advised();
            let arch = package.arch.as_deref().unwrap_or_default();
            format!("{}|{}|{arch}|{source}|{version}", package.name, package.version)
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn this_machines_lists_say_what_dpkg_says() {
    let path = "/var/lib/dpkg/info/dpkg.list";
    let Ok(bytes) = std::fs::read(path) else {
        crate::skipped::impossible("this is no Debian");
        return;
    };
    let found: BTreeMap<String, String> = facts(&FileList, &path[1..], &bytes)
        .owned
        .into_iter()
        .map(|(package, path)| (path, package))
        .collect();
    assert_eq!(found.get("usr/bin/dpkg-query").map(String::as_str), Some("dpkg"));
}

proptest! {
    #[test]
    fn any_text_ends(bytes in "(Package|Version|Status|Source|Format|License|[a:( \\n]{0,9}|: install ok installed\n){0,30}") {
        let cases: [(&dyn Cataloger, &str); 5] = [
            (&Status, STATUS),
            (&StatusD, "var/lib/dpkg/status.d/a"),
            (&FileList, "var/lib/dpkg/info/a.list"),
            (&FileList, "var/lib/dpkg/status.d/a.md5sums"),
            (&Copyright, "usr/share/doc/a/copyright"),
        ];
        for (cataloger, path) in cases {
            let _ = read(cataloger, path, bytes.as_bytes());
        }
    }

    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&Status, STATUS, &bytes);
        let _ = read(&FileList, "var/lib/dpkg/info/a.list", &bytes);
    }
}
