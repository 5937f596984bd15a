pub(in crate::packages) mod build;
mod damaged;
mod real;

use self::build::{Tag, berkeley, header, ndb, sqlite};
use super::Database;
use crate::packages::harness::{Spool, exceeded, facts, names, read, read_spooled, read_with};
use crate::{Cataloger, Facts, Limits};

type Builder = fn(&[Vec<u8>]) -> Vec<u8>;

/// Where each form of the database lies, and what makes one.
const FORMS: [(&str, Builder); 4] = [
    ("usr/lib/sysimage/rpm/rpmdb.sqlite", sqlite),
    ("usr/lib/sysimage/rpm/Packages.db", ndb),
    ("var/lib/rpm/Packages", |blobs| berkeley(blobs, false)),
    ("usr/share/rpm/Packages", |blobs| berkeley(blobs, true)),
];

fn bash() -> Vec<Tag> {
    vec![
        (1000, "bash".into()),
        (1001, "5.1.8".into()),
        (1002, "6.el9".into()),
        (1014, "GPLv3+".into()),
        (1022, "x86_64".into()),
        (1044, "bash-5.1.8-6.el9.src.rpm".into()),
        (1116, vec![0, 0, 1].into()),
        (1117, vec!["bash", "sh", "README"].into()),
        (1118, vec!["/usr/bin/", "/usr/share/doc/bash/"].into()),
    ]
}

fn named(name: &str) -> Vec<u8> {
    header(&[(1000, name.into()), (1001, "1".into()), (1002, "1".into())])
}

fn of(tags: &[Tag]) -> Facts {
    facts(&Database, FORMS[1].0, &ndb(&[header(tags)]))
}

#[test]
fn all_forms_say_the_same() {
    // Long enough to fill many pages, and to need several more for one package.
    let long = header(&[
        (1000, "long".into()),
        (1001, "1".into()),
        (1002, "1".into()),
        (1004, "x".repeat(20_000).as_str().into()),
    ]);
    let mut blobs: Vec<Vec<u8>> = (0..50).map(|index| named(&format!("p{index:02}"))).collect();
    blobs.extend([header(&bash()), long, named("gpg-pubkey")]);
    for (path, build) in FORMS {
        let bytes = build(&blobs);
        let found = facts(&Database, path, &bytes);
        assert_eq!(found.packages.len(), 52, "{path}");
        assert!(names(&found).contains(&"bash 5.1.8-6.el9".to_owned()), "{path}");
        assert!(names(&found).contains(&"long 1-1".to_owned()), "{path}");
        assert_eq!(found.owned.len(), 3, "{path}");
        let (spooled, end) = read_spooled(&Database, path, &mut Spool(std::io::Cursor::new(bytes)));
        end.unwrap();
        assert_eq!(spooled.packages, found.packages, "{path}");
    }
}

#[test]
fn a_package_with_all_that_matters() {
    let found = of(&bash());
    let package = &found.packages[0];
    assert_eq!(package.version, "5.1.8-6.el9");
    assert_eq!(package.advised(), ("bash", "5.1.8-6.el9"));
    assert_eq!(package.arch.as_deref(), Some("x86_64"));
    assert_eq!(package.licences, ["GPLv3+"]);
    assert_eq!(package.modularity, None);
    let paths: Vec<&str> = found.owned.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, ["usr/bin/bash", "usr/bin/sh", "usr/share/doc/bash/README"]);
}

#[test]
fn epochs_and_modules() {
    let mut tags = bash();
    tags.extend([(1003, vec![2].into()), (5096, "nodejs:18:8090:abc".into())]);
    let package = of(&tags).packages.remove(0);
    assert_eq!(package.version, "2:5.1.8-6.el9");
    assert_eq!(package.advised(), ("bash", "2:5.1.8-6.el9"));
    assert_eq!(package.modularity.as_deref(), Some("nodejs:18:8090:abc"));
}

#[test]
fn the_source_is_read_from_the_end() {
    let advised = |file: &str| {
        let mut tags = bash();
        tags.retain(|(tag, _)| *tag != 1044);
        tags.extend([(1044, file.into()), (1003, vec![1].into())]);
        let package = of(&tags).packages.remove(0);
        let (name, version) = package.advised();
        format!("{name} {version}")
    };
    assert_eq!(
        advised("python-a-b-3.9-1.el9_2.src.rpm"),
        "python-a-b 3.9-1.el9_2"
    );
    assert_eq!(advised("bash-5.1.8-6.el9.nosrc.rpm"), "bash 1:5.1.8-6.el9");
    assert_eq!(advised("(none)"), "bash 1:5.1.8-6.el9");
    assert_eq!(advised("a.src.rpm"), "bash 1:5.1.8-6.el9");
}

#[test]
fn only_the_databases_are_wanted() {
    for (path, _) in FORMS {
        assert!(Database.wants(path, b""));
    }
    for path in [
        "var/lib/rpm/Name",
        "var/lib/rpm/x/Packages",
        "Packages",
        "var/lib/rpm/rpmdb.sqlite-wal",
    ] {
        assert!(!Database.wants(path, b""), "{path}");
    }
}

#[test]
fn packages_have_a_limit() {
    for (path, build) in FORMS {
        let limits = Limits {
            packages: 1,
            ..Limits::default()
        };
        let (found, end) = read_with(
            limits,
            &Database,
            path,
            &build(&[named("a"), named("b"), named("c")]),
        );
        assert_eq!(exceeded(end), "report.packages", "{path}");
        assert_eq!(found.packages.len(), 1, "{path}");
    }
}

#[test]
fn a_blob_too_large_for_memory_does_not_hide_the_others() {
    let large = header(&[(1000, "large".into()), (1004, "x".repeat(8_000).as_str().into())]);
    for (path, build) in FORMS {
        let limits = Limits {
            file_memory: 4_000,
            ..Limits::default()
        };
        let (found, end) = read_with(limits, &Database, path, &build(&[large.clone(), named("b")]));
        assert_eq!(exceeded(end), "file.memory", "{path}");
        assert_eq!(names(&found), ["b 1-1"], "{path}");
    }
}

#[test]
fn one_long_directory_told_of_many_files_is_bounded() {
    let directory = format!("/{}/", "d".repeat(4_000));
    let tags = [
        (1000, "a".into()),
        (1116, vec![0; 10_000].into()),
        (1117, vec!["f"; 10_000].into()),
        (1118, vec![directory.as_str()].into()),
    ];
    let limits = Limits {
        owned_bytes: 100_000,
        ..Limits::default()
    };
    let (found, end) = read_with(limits, &Database, FORMS[1].0, &ndb(&[header(&tags), named("b")]));
    end.unwrap();
    assert!(found.owned.len() < 25);
    assert_eq!(found.skipped[0].limit, "report.owned_bytes");
    assert_eq!(names(&found), ["a ", "b 1-1"]);
}

#[test]
fn nothing_is_no_database_and_no_fault() {
    assert!(facts(&Database, FORMS[2].0, b"").packages.is_empty());
    assert!(read(&Database, FORMS[2].0, &[7; 5_000]).1.is_err());
}
