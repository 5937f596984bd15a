mod real;

use findings::{Confidence, Package};
use proptest::prelude::*;

use super::GoBinary;
use super::main_version;
use super::stdlib_version;
use crate::packages::executable::build::{DATA_ADDRESS, FORMATS, Format, executable};
use crate::packages::harness::{Spool, exceeded, facts, mutate, names, read, read_spooled, read_with};
use crate::{Cataloger, Limits};

const PATH: &str = "usr/bin/program";

/// Texts as Go 1.18 and later keep them.
fn inline(go_version: &str, modules: &str) -> Vec<u8> {
    let mut out = b"\xff Go buildinf:\x08\x02".to_vec();
    out.resize(32, 0);
    for text in [go_version.as_bytes(), &wrapped(modules)] {
        let mut length = text.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend(text);
    }
    out
}

/// Texts as Go kept them before: pointers to where they are.
fn pointed_at(format: Format, go_version: &str, modules: &str) -> Vec<u8> {
    let word = if format.is_wide() { 8 } else { 4 };
    let mut out = b"\xff Go buildinf:".to_vec();
    out.extend([u8::try_from(word).unwrap(), u8::from(format.is_big_endian())]);
    let texts = [go_version.as_bytes().to_vec(), wrapped(modules)];
    let headers = 32;
    let mut at = headers + 4 * word;
    let (mut pointers, mut places) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        pointers.extend(format.word(DATA_ADDRESS + (headers + index * 2 * word) as u64));
        places.extend(format.word(DATA_ADDRESS + at as u64));
        places.extend(format.word(text.len() as u64));
        at += text.len();
    }
    out.extend(pointers);
    out.resize(headers, 0);
    out.extend(places);
    out.extend(texts.concat());
    out
}

fn wrapped(modules: &str) -> Vec<u8> {
    [&[0x30; 16][..], modules.as_bytes(), &[0xf9; 16]].concat()
}

fn elf(modules: &str) -> Vec<u8> {
    executable(FORMATS[0], ".go.buildinfo", &inline("go1.21.3", modules))
}

const MODULES: &str = "path\texample.org/app/cmd\nmod\texample.org/app\tv1.2.3\th1:x=\n\
    dep\tgithub.com/a/b\tv1.0.0\th1:x=\ndep\tgithub.com/c/d\tv2.0.0+incompatible\n\
    =>\tgithub.com/fork/d\tv2.0.1\th1:x=\ndep\tgithub.com/e/f\tv0.0.0-20230801120000-abcdefabcdef\n\
    dep\tgithub.com/g/h\tv1.0.0\n=>\t../h\t\nbuild\t-compiler=gc\n";

const FOUND: [&str; 6] = [
    "example.org/app v1.2.3",
    "github.com/a/b v1.0.0",
    "github.com/e/f v0.0.0-20230801120000-abcdefabcdef",
    "github.com/fork/d v2.0.1",
    "github.com/g/h ",
    "stdlib 1.21.3",
];

#[test]
fn modules_of_each_format() {
    for format in FORMATS {
        for data in [
            inline("go1.21.3", MODULES),
            pointed_at(format, "go1.21.3", MODULES),
        ] {
            for section in [".go.buildinfo", "__go_buildinfo", ".data"] {
                let bytes = executable(format, section, &data);
                assert_eq!(
                    names(&facts(&GoBinary, PATH, &bytes)),
                    FOUND,
                    "{format:?} {section}"
                );
                let (found, end) = read_spooled(&GoBinary, PATH, &mut Spool(std::io::Cursor::new(bytes)));
                end.unwrap();
                assert_eq!(names(&found), FOUND);
            }
        }
    }
}

#[test]
fn the_magic_is_found_far_inside_the_data_at_a_multiple_of_16_only() {
    let mut data = vec![0; 200_000];
    data.extend(inline("go1.21.3", MODULES));
    let at_multiple = executable(FORMATS[0], ".data", &data);
    assert_eq!(names(&facts(&GoBinary, PATH, &at_multiple)), FOUND);
    data.insert(0, 0);
    let between = executable(FORMATS[0], ".data", &data);
    assert!(facts(&GoBinary, PATH, &between).packages.is_empty());
}

#[test]
fn only_the_main_module_is_the_root() {
    let found = facts(&GoBinary, PATH, &elf(MODULES));
    let roots: Vec<&str> = found
        .packages
        .iter()
        .filter(|package| package.is_root)
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(roots, ["example.org/app"]);
}

fn main_of(settings: &str) -> Package {
    let text = format!("mod\texample.org/app\t(devel)\t\n{settings}");
    let mut found = facts(&GoBinary, PATH, &elf(&text));
    found.packages.pop().unwrap()
}

#[test]
fn a_main_module_from_a_work_tree() {
    let vcs = "build\tvcs=git\nbuild\tvcs.revision=0123456789abcdef0123456789abcdef01234567\nbuild\tvcs.time=2023-08-01T12:30:00Z\n";
    let flags = "build\t-ldflags=\"-s -w -X main.version=1.4.0\"\n";
    for (settings, version, confidence) in [
        ("", "", Confidence::High),
        (vcs, "v0.0.0-20230801123000-0123456789ab", Confidence::Low),
        (flags, "v1.4.0", Confidence::Medium),
        (&format!("{vcs}{flags}"), "v1.4.0", Confidence::Medium),
        (
            "build\tvcs.revision=short\nbuild\tvcs.time=2023-08-01T12:30:00Z\n",
            "",
            Confidence::High,
        ),
        (
            "build\tvcs.revision=0123456789abcdef\nbuild\tvcs.time=yesterday\n",
            "",
            Confidence::High,
        ),
    ] {
        let package = main_of(settings);
        assert_eq!(
            (package.version.as_str(), package.confidence),
            (version, confidence),
            "{settings}"
        );
        assert!(package.is_root);
    }
}

#[test]
fn versions_in_flags_of_the_linker() {
    let version = |flags: &str| main_version::of("example.org/app", &format!("build\t-ldflags={flags}\n")).0;
    for (flags, found) in [
        ("-X=main.version=v1.2.3", "v1.2.3"),
        ("-Xmain.Version=1.2.3", "v1.2.3"),
        (r#""-X 'main.Version=1.2.3-rc.1' -s""#, "v1.2.3-rc.1"),
        (r#""-X \"main.version=1.2.3\"""#, "v1.2.3"),
        ("`-X main.date=1.1.1 -X main.version=1.2.3`", "v1.2.3"),
        ("\"-X example.org/app/internal/build.Version=1.2.3\"", "v1.2.3"),
        ("\"-X example.org/apple.Version=1.2.3\"", ""),
        ("\"-X github.com/prometheus/common/version.Version=2.45.0\"", ""),
        ("\"-X main.version=v1.2.3-5-gabcdef0\"", "v1.2.3"),
        ("\"-X main.version=v1.2.3-5-gabcdef0-dirty\"", "v1.2.3"),
        ("\"-X main.version=$(git describe)\"", ""),
        ("\"-X main.version=dev\"", ""),
        ("\"-X main.version=1.2\"", ""),
        ("\"-X main.version=2023-08-01\"", ""),
        ("\"-X\"", ""),
        ("-X", ""),
        ("", ""),
    ] {
        assert_eq!(version(flags), found, "{flags}");
    }
}

#[test]
fn releases_of_go() {
    for (stated, version) in [
        ("go1.21.3", "1.21.3"),
        ("go1.20", "1.20.0"),
        ("go1.21rc2", "1.21.0-rc.2"),
        ("go1.9beta1", "1.9.0-beta.1"),
        ("go1.22.5 (Red Hat 1.22.5-1.el9)", "1.22.5"),
        ("go1.21.3 X:boringcrypto", "1.21.3"),
        ("go1.21.3-custom", "1.21.3"),
        ("devel go1.23-2f4b2ff Wed Jan 1", ""),
        ("", ""),
    ] {
        assert_eq!(stdlib_version(stated), version, "{stated}");
    }
}

#[test]
fn other_executables_and_what_only_begins_like_one() {
    let c = executable(FORMATS[0], ".data", b"nothing of Go");
    assert!(facts(&GoBinary, PATH, &c).packages.is_empty());
    assert!(
        facts(&GoBinary, PATH, b"MZ is how this text begins")
            .packages
            .is_empty()
    );
    assert!(facts(&GoBinary, PATH, b"\x7fELF").packages.is_empty());
    assert!(!GoBinary.wants("bin/sh", b"#!/bin/sh"));
}

#[test]
fn without_modules_there_is_still_the_standard_library() {
    let data = inline("go1.21.3", "");
    let bytes = executable(FORMATS[0], ".go.buildinfo", &data);
    assert_eq!(names(&facts(&GoBinary, PATH, &bytes)), ["stdlib 1.21.3"]);
}

#[test]
fn limits() {
    let limits = Limits {
        packages: 3,
        ..Limits::default()
    };
    assert_eq!(
        exceeded(read_with(limits, &GoBinary, PATH, &elf(MODULES)).1),
        "report.packages"
    );
    let limits = Limits {
        file_memory: 100,
        ..Limits::default()
    };
    assert_eq!(
        exceeded(read_with(limits, &GoBinary, PATH, &elf(MODULES)).1),
        "file.memory"
    );
}

#[test]
fn announced_lengths_are_not_believed() {
    let mut data = inline("go1.21.3", MODULES);
    for length in [
        &[0xff, 0xff, 0x7f][..],
        &[0xff; 11],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ] {
        data.truncate(32);
        data.extend(length);
        assert!(
            read(&GoBinary, PATH, &executable(FORMATS[0], ".go.buildinfo", &data))
                .1
                .is_err()
        );
    }
    let mut data = pointed_at(FORMATS[0], "go1.21.3", MODULES);
    data[16..24].fill(0xff);
    assert!(
        read(&GoBinary, PATH, &executable(FORMATS[0], ".go.buildinfo", &data))
            .1
            .is_err()
    );
}

proptest! {
    #[test]
    fn damaged_ones_end(seed: u64, form in 0..9_usize) {
        for data in [inline("go1.21.3", MODULES), pointed_at(FORMATS[form], "go1.21.3", MODULES)] {
            let bytes = executable(FORMATS[form], ".go.buildinfo", &data);
            let mut bytes = mutate(&bytes, seed);
let head = bytes.len().min(4);
bytes[..head].copy_from_slice(&executable(FORMATS[form], "", b"")[..head]);
            if GoBinary.wants(PATH, &bytes) {
                let _ = read(&GoBinary, PATH, &bytes);
            }
        }
    }

    #[test]
    fn any_list_ends(text in "((mod|dep|=>|build|path|-ldflags=|-X |main.version=|vcs.time=|[\t\n\"'`\\\\a-z0-9.]){1,2}){0,60}") {
        let _ = read(&GoBinary, PATH, &elf(&text));
    }
}
