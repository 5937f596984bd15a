use findings::UnitKind;
use proptest::prelude::*;

use super::CATALOGERS;
use crate::packages::harness::read;

fn kinds(path: &str, head: &[u8]) -> Vec<UnitKind> {
    CATALOGERS
        .iter()
        .filter(|cataloger| cataloger.wants(path, head))
        .map(|cataloger| cataloger.kind())
        .collect()
}

#[test]
fn who_reads_what_of_an_operating_system() {
    for (path, kind) in [
        ("etc/os-release", UnitKind::OsRelease),
        ("usr/lib/os-release", UnitKind::OsRelease),
        ("etc/alpine-release", UnitKind::OsRelease),
        ("etc/debian_version", UnitKind::OsRelease),
        ("etc/redhat-release", UnitKind::OsRelease),
        ("etc/apk/repositories", UnitKind::OsRelease),
        ("var/lib/dpkg/status", UnitKind::DpkgStatus),
        ("var/lib/dpkg/info/libc6:amd64.list", UnitKind::DpkgStatus),
        ("usr/share/doc/libc6/copyright", UnitKind::DpkgStatus),
        ("var/lib/dpkg/status.d/libc6", UnitKind::DpkgStatusD),
        ("var/lib/dpkg/status.d/libc6.md5sums", UnitKind::DpkgStatus),
        ("lib/apk/db/installed", UnitKind::ApkInstalled),
        ("usr/lib/apk/db/installed", UnitKind::ApkInstalled),
        ("var/lib/rpm/Packages", UnitKind::RpmDatabase),
        ("usr/lib/sysimage/rpm/rpmdb.sqlite", UnitKind::RpmDatabase),
        ("usr/lib/sysimage/rpm/Packages.db", UnitKind::RpmDatabase),
    ] {
        assert_eq!(kinds(path, b"text"), [kind], "{path}");
        assert!(kinds(&format!("backup/{path}"), b"text").is_empty(), "{path}");
    }
    for head in [&b"\x7fELF\x02\x01"[..], b"MZ\x90", b"\xcf\xfa\xed\xfe"] {
        assert_eq!(kinds("any", head), [UnitKind::GoBinary, UnitKind::RustBinary]);
    }
}

proptest! {
    #[test]
    fn any_path_and_bytes_end(path in "[ -~/]{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for cataloger in CATALOGERS {
            if cataloger.wants(&path, &bytes) {
                let _ = read(*cataloger, &path, &bytes);
            }
        }
    }
}
