//! What must hold for any input, one function per parser.
//!
//! Shared by the fuzz targets (`fuzz/` at the root of the repository) and by `tests/packages_generated.rs`. Each input is
//! read from memory and from a spool; both must say the same, and no more than the limits allow.

use std::io::Cursor;

use inspect::packages::CATALOGERS;
use inspect::{Budget, Content, Facts, File, Limits};

/// Small enough for any input to reach them.
fn limits() -> Limits {
    Limits {
        packages: 50,
        owned_bytes: 10_000,
        ..Limits::default()
    }
}

fn read<'a>(path: &'a str, content: Content<'a>, size: u64, index: usize) -> (Facts, String) {
    let mut facts = Facts::default();
    let mut file = File {
        path,
        size,
        mode: 0o755,
        content,
    };
    let end = CATALOGERS[index].read(&mut file, &mut Budget::new(limits()), &mut facts);
    (facts, format!("{end:?}"))
}

fn check(facts: &Facts) {
    let limits = limits();
    assert!(facts.packages.len() as u64 <= limits.packages);
    let owned: usize = facts
        .owned
        .iter()
        .map(|(package, path)| package.len() + path.len())
        .sum();
    assert!(owned as u64 <= limits.owned_bytes);
    for (_, path) in &facts.owned {
        assert!(!path.starts_with('/') && !path.is_empty() && path.len() <= limits.path_bytes + "usr/".len());
    }
    for package in &facts.packages {
        assert!(!package.name.is_empty());
    }
}

/// Has a file of that path read by all that want it.
fn catalog(path: &str, data: &[u8]) {
    let head = &data[..data.len().min(512)];
    for (index, cataloger) in CATALOGERS.iter().enumerate() {
        if !cataloger.wants(path, head) {
            continue;
        }
        let (facts, end) = read(path, Content::of(data), data.len() as u64, index);
        check(&facts);
        let mut spool = Cursor::new(data);
        let (spooled, spooled_end) = read(path, Content::Spooled(&mut spool), data.len() as u64, index);
        if !spooled_end.contains("file.memory") {
            assert_eq!(spooled_end, end);
            assert_eq!(spooled.packages, facts.packages);
            assert_eq!(spooled.owned, facts.owned);
        }
    }
}

/// `os-release` and the files that are older than it.
pub(crate) fn os_release(data: &[u8]) {
    for path in [
        "etc/os-release",
        "etc/alpine-release",
        "etc/debian_version",
        "etc/redhat-release",
        "etc/apk/repositories",
    ] {
        catalog(path, data);
    }
}

/// What dpkg keeps, and licences.
pub(crate) fn dpkg(data: &[u8]) {
    for path in [
        "var/lib/dpkg/status",
        "var/lib/dpkg/status.d/bGliYzY",
        "var/lib/dpkg/status.d/bGliYzY.md5sums",
        "var/lib/dpkg/info/libc6:amd64.list",
        "usr/share/doc/libc6/copyright",
    ] {
        catalog(path, data);
    }
}

/// The database of apk.
pub(crate) fn apk(data: &[u8]) {
    catalog("lib/apk/db/installed", data);
}

/// The database of rpm, in the form that its first bytes say.
pub(crate) fn rpm(data: &[u8]) {
    catalog("var/lib/rpm/Packages", data);
}

/// The header of one package, in the simplest of databases around it.
pub(crate) fn rpm_header(data: &[u8]) {
    let Ok(length) = u32::try_from(data.len()) else {
        return;
    };
    let mut database = b"RpmP\0\0\0\0\x01\0\0\0\x01\0\0\0".to_vec();
    database.resize(32, 0);
    database.extend(b"Slot\x01\0\0\0\0\x01\0\0\x01\0\0\0");
    while database.len() < 4_096 {
        database.extend(b"Slot\0\0\0\0\0\0\0\0\0\0\0\0");
    }
    database.extend(b"BlbS\x01\0\0\0\0\0\0\0");
    database.extend(length.to_le_bytes());
    database.extend(data);
    catalog("var/lib/rpm/Packages.db", &database);
}

/// Executables of any format, of which Go's and Rust's say what is in them.
pub(crate) fn executable(data: &[u8]) {
    catalog("usr/bin/program", data);
}

/// What Go's linker writes, in a program that has little else.
pub(crate) fn go_build_info(data: &[u8]) {
    let mut program = b"\xce\xfa\xed\xfe".to_vec();
    let segment_and_section = 56 + 68;
    for number in [0, 0, 2, 1, segment_and_section, 0, 1, segment_and_section] {
        program.extend(u32::to_le_bytes(number));
    }
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_add(16);
    let offset = 256_u32;
    program.extend([0; 16]);
    for number in [0x1000, size, offset, size, 3, 3, 1, 0] {
        program.extend(u32::to_le_bytes(number));
    }
    program.extend(b"__go_buildinfo\0\0");
    program.extend([0; 16]);
    for number in [0x1000, size, offset] {
        program.extend(u32::to_le_bytes(number));
    }
    program.resize(offset as usize, 0);
    program.extend(b"\xff Go buildinf:");
    program.extend(data);
    catalog("usr/bin/program", &program);
}
