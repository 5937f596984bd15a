//! Archives that are made to hurt their reader.

use std::io::Cursor;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::builder::{Spec, Zip, log4j_core, properties};
use super::{names, read, read_within};
use crate::packages::java::JavaArchive;
use crate::{Budget, Cataloger as _, Content, Facts, File, FileError, Limits};

fn limit_of(result: &Result<(), FileError>) -> Option<&'static str> {
    match result {
        Err(FileError::Exceeded(exceeded)) => Some(exceeded.limit),
        _ => None,
    }
}

fn small() -> Limits {
    Limits {
        archive_bytes: 1 << 20,
        archive_entries: 1_000,
        file_memory: 1 << 18,
        ..Limits::default()
    }
}

#[test]
fn archives_deeper_than_allowed_are_noted() {
    let mut archive = log4j_core("2.14.1");
    for _ in 0..5 {
        archive = Zip::of(&[("inner.jar", &archive)]);
    }
    let (facts, result) = read("deep.jar", &archive);
    result.unwrap();
    assert_eq!(facts.packages, []);
    assert_eq!(facts.skipped[0].limit, "archive.depth");
}

#[test]
fn a_bomb_ends_at_what_fits_into_memory_and_at_the_budget() {
    let zeros = vec![0; 1 << 19];
    let mut zip = Zip::default();
    zip.add(&Spec {
        deflated: true,
        ..Spec::of("bomb.jar", &zeros)
    });
    let archive = zip.finish();
    let (facts, result) = read_within("x.jar", &archive, small());
    result.unwrap();
    assert_eq!(facts.skipped[0].limit, "file.memory");
    let mut zip = Zip::default();
    for n in 0..10 {
        zip.add(&Spec {
            deflated: true,
            ..Spec::of(&format!("bomb{n}.jar"), &zeros)
        });
    }
    let (_, result) = read_within("x.jar", &zip.finish(), small());
    assert_eq!(limit_of(&result), Some("archive.bytes"));
}

#[test]
fn entries_that_share_one_content_use_up_the_budget() {
    let kernel = Zip::of(&[("a", &vec![0; 100_000])]);
    let mut zip = Zip::default();
    zip.add(&Spec::of("k0.jar", &kernel));
    let common = zip.directory[6..28].to_vec();
    for n in 1..900 {
        zip.list(&format!("k{n}.jar"), &common, 0);
    }
    let (_, result) = read_within("x.jar", &zip.finish(), small());
    assert_eq!(limit_of(&result), Some("archive.bytes"));
}

#[test]
fn a_zip_that_lists_itself_ends() {
    // The stored content of `x.jar` is claimed to be the rest of the file, directory included.
    let mut zip = Zip::default();
    zip.add(&Spec::of("x.jar", b""));
    let mut bytes = zip.finish();
    let rest = u32::try_from(bytes.len() - 35).unwrap().to_le_bytes();
    for place in [20, 24] {
        bytes[35 + place..35 + place + 4].copy_from_slice(&rest);
    }
    let (facts, result) = read("x.jar", &bytes);
    result.unwrap();
    assert_eq!(facts.packages, []);
    assert!(!facts.oddities.is_empty());
}

#[test]
fn announced_entries_cost_nothing() {
    let mut zip = Zip::default();
    let text = properties("a", "b", "1");
    zip.add(&Spec::of("META-INF/maven/a/b/pom.properties", &text));
    let (facts, result) = read("b.jar", &zip.finish_announcing(u16::MAX));
    result.unwrap();
    assert_eq!(names(&facts.packages), ["a:b@1"]);
    assert!(facts.oddities[0].what.contains("announces"));
}

#[test]
fn a_large_archive_may_lie_about_billions() {
    let mut bytes = Zip::of(&[("A.class", b"x")]);
    let end = bytes.split_off(bytes.len() - 22);
    let mut large = b"PK\x06\x06".to_vec();
    large.resize(24, 0);
    for value in [u64::MAX, 1_000_000_000, u64::MAX, 0] {
        large.extend(value.to_le_bytes());
    }
    large.extend(b"PK\x06\x07");
    large.resize(76, 0);
    bytes.extend(large);
    bytes.extend(end);
    let (_, result) = read("x.jar", &bytes);
    assert!(matches!(result, Err(FileError::Malformed(_))), "{result:?}");
}

#[test]
fn more_entries_than_allowed() {
    let mut zip = Zip::default();
    for n in 0..1_001 {
        zip.add(&Spec::of(&format!("{n}"), b""));
    }
    let (_, result) = read_within("x.jar", &zip.finish(), small());
    assert_eq!(limit_of(&result), Some("archive.entries"));
}

#[test]
fn headers_that_disagree_are_odd() {
    let text = properties("a", "b", "1");
    let name = "META-INF/maven/a/b/pom.properties";
    for (spec, what) in [
        (
            Spec {
                local_name: Some("x"),
                ..Spec::of(name, &text)
            },
            "another name",
        ),
        (
            Spec {
                crc: Some(7),
                ..Spec::of(name, &text)
            },
            "checksum",
        ),
    ] {
        let mut zip = Zip::default();
        zip.add(&spec);
        let (facts, result) = read("b.jar", &zip.finish());
        result.unwrap();
        assert_eq!(names(&facts.packages), ["a:b@1"]);
        assert!(facts.oddities[0].what.contains(what), "{:?}", facts.oddities);
    }
}

#[test]
fn what_is_encrypted_or_packed_otherwise_is_noted() {
    let inner = log4j_core("2.14.1");
    for (spec, limit) in [
        (
            Spec {
                flags: 1,
                ..Spec::of("a.jar", &inner)
            },
            "archive.encrypted",
        ),
        (
            Spec {
                method: Some(93),
                ..Spec::of("a.jar", &inner)
            },
            "archive.method",
        ),
    ] {
        let mut zip = Zip::default();
        zip.add(&spec);
        let (facts, result) = read("b.jar", &zip.finish());
        result.unwrap();
        assert_eq!(facts.packages, []);
        assert_eq!(facts.skipped[0].limit, limit);
    }
}

#[test]
fn something_before_or_behind_the_archive() {
    let jar = log4j_core("2.14.1");
    let script = [b"#!/bin/sh\nexec java -jar \"$0\"\n".as_slice(), &jar].concat();
    let (facts, result) = read("run.jar", &script);
    result.unwrap();
    assert_eq!(facts.packages.len(), 1);
    let (facts, result) = read("run.jar", &[&jar[..], b"signature"].concat());
    result.unwrap();
    assert_eq!(facts.packages.len(), 1);
}

#[test]
fn two_entries_of_one_name() {
    let jar = Zip::of(&[("a.jar", &log4j_core("2.17.1")), ("a.jar", &log4j_core("2.14.1"))]);
    let (facts, result) = read("x.war", &jar);
    result.unwrap();
    assert_eq!(facts.packages.len(), 2);
    assert!(facts.oddities[0].what.contains("two entries"));
}

#[test]
fn what_was_spooled_is_read_as_what_is_in_memory() {
    let jar = Zip::of(&[("WEB-INF/lib/log4j-core-2.14.1.jar", &log4j_core("2.14.1"))]);
    let mut spool = Cursor::new(jar);
    let mut facts = Facts::default();
    let mut file = File {
        path: "usr/share/jenkins/plugin.hpi",
        size: spool.get_ref().len() as u64,
        mode: 0o644,
        content: Content::Spooled(&mut spool),
    };
    JavaArchive
        .read(&mut file, &mut Budget::new(Limits::default()), &mut facts)
        .unwrap();
    assert_eq!(
        names(&facts.packages),
        ["org.apache.logging.log4j:log4j-core@2.14.1"]
    );
}

#[test]
fn no_archive_at_all() {
    let zeros = vec![0; 70_000];
    for bytes in [&b""[..], b"PK\x03\x04", &zeros] {
        let (_, result) = read("x.jar", bytes);
        assert!(matches!(result, Err(FileError::Malformed(_))), "{result:?}");
    }
}

#[test]
fn one_broken_archive_does_not_hide_the_next() {
    let jar = Zip::of(&[
        ("a.jar", b"not a zip"),
        ("log4j-core-2.14.1.jar", &log4j_core("2.14.1")),
    ]);
    let (facts, result) = read("x.war", &jar);
    result.unwrap();
    assert_eq!(facts.packages.len(), 1);
    assert!(facts.oddities[0].what.starts_with("a.jar: "));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    /// Whatever bytes are changed, reading ends without a panic.
    #[test]
    fn damaged_archives(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), cut in any::<prop::sample::Index>()) {
        let inner = log4j_core("2.14.1");
        let mut zip = Zip::default();
        zip.add(&Spec { deflated: true, ..Spec::of("lib/a.jar", &inner) });
        zip.add(&Spec::of("lib/b.jar", &inner));
        let mut bytes = zip.finish();
        for (place, value) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *value;
        }
        let _ = read("x.jar", &bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read("x.jar", &bytes);
    }
}
