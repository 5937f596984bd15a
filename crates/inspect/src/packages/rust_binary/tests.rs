use std::io::Write;

use findings::Confidence;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use super::{MAX_LIST, RustBinary};
use crate::packages::executable::build::{FORMATS, executable};
use crate::packages::harness::{Spool, exceeded, facts, mutate, names, read, read_spooled, read_with};
use crate::{Cataloger, Limits};

const PATH: &str = "usr/bin/program";

const LIST: &str = r#"{"packages":[
    {"name":"app","version":"0.1.0","source":"local","dependencies":[1,2],"root":true},
    {"name":"serde","version":"1.0.200","source":"crates.io"},
    {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
    {"name":"fork","version":"2.0.0","source":"git","kind":"runtime","unknown":{"a":[]}}
],"format":8}"#;

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn elf(list: &str) -> Vec<u8> {
    executable(FORMATS[0], ".dep-v0", &compressed(list.as_bytes()))
}

#[test]
fn crates_of_each_format() {
    for format in FORMATS {
        let bytes = executable(format, ".dep-v0", &compressed(LIST.as_bytes()));
        let found = facts(&RustBinary, PATH, &bytes);
        assert_eq!(
            names(&found),
            ["app 0.1.0", "fork 2.0.0", "serde 1.0.200"],
            "{format:?}"
        );
        let (spooled, end) = read_spooled(&RustBinary, PATH, &mut Spool(std::io::Cursor::new(bytes)));
        end.unwrap();
        assert_eq!(spooled.packages, found.packages);
    }
    let older = executable(FORMATS[0], "rust-audit-info", &compressed(LIST.as_bytes()));
    assert_eq!(facts(&RustBinary, PATH, &older).packages.len(), 3);
}

#[test]
fn the_root_is_marked_and_what_is_not_public_is_less_sure() {
    let found = facts(&RustBinary, PATH, &elf(LIST));
    let seen: Vec<_> = found
        .packages
        .iter()
        .map(|package| (package.is_root, package.confidence))
        .collect();
    assert_eq!(
        seen,
        [
            (true, Confidence::Medium),
            (false, Confidence::High),
            (false, Confidence::Medium)
        ]
    );
}

#[test]
fn without_a_list_nothing_is_said() {
    assert!(
        facts(&RustBinary, PATH, &executable(FORMATS[0], ".data", b"x"))
            .packages
            .is_empty()
    );
    assert!(
        facts(&RustBinary, PATH, b"MZ is how this text begins")
            .packages
            .is_empty()
    );
    assert!(!RustBinary.wants("bin/sh", b"#!/bin/sh"));
}

#[test]
fn a_list_that_cannot_be_read_says_so() {
    for list in [
        "",
        "{}",
        "[]",
        "{\"packages\":[{\"name\":1}]}",
        &"[".repeat(10_000),
    ] {
        assert!(read(&RustBinary, PATH, &elf(list)).1.is_err(), "{list}");
    }
    let plain = executable(FORMATS[0], ".dep-v0", LIST.as_bytes());
    assert!(read(&RustBinary, PATH, &plain).1.is_err());
    let cut = compressed(LIST.as_bytes());
    let cut = executable(FORMATS[0], ".dep-v0", &cut[..cut.len() / 2]);
    assert!(read(&RustBinary, PATH, &cut).1.is_err());
}

#[test]
fn limits() {
    let bomb = executable(FORMATS[0], ".dep-v0", &compressed(&vec![b' '; MAX_LIST + 1]));
    assert!(bomb.len() < 20_000);
    assert_eq!(exceeded(read(&RustBinary, PATH, &bomb).1), "rust.list_bytes");
    let limits = Limits {
        archive_bytes: 10,
        ..Limits::default()
    };
    assert_eq!(
        exceeded(read_with(limits, &RustBinary, PATH, &elf(LIST)).1),
        "archive.bytes"
    );
    let limits = Limits {
        packages: 1,
        ..Limits::default()
    };
    assert_eq!(
        exceeded(read_with(limits, &RustBinary, PATH, &elf(LIST)).1),
        "report.packages"
    );
}

proptest! {
    #[test]
    fn damaged_ones_end(seed: u64) {
        let bytes = mutate(&elf(LIST), seed);
        if RustBinary.wants(PATH, &bytes) {
            let _ = read(&RustBinary, PATH, &bytes);
        }
    }
}
