//! The bodies of the fuzz targets of the catalogers on a few thousand generated inputs each: seconds, on a stable toolchain.
//!
//! The seed is fixed: what fails once fails again. Whole databases and executables, damaged, are beside their parsers.

#[path = "packages_generated/bodies.rs"]
mod bodies;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..ProptestConfig::default()
    }
}

/// Up to `most` of `pieces` in a row, with any bytes among them.
fn joined(pieces: &'static [&'static [u8]], most: usize) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![8 => select(pieces).prop_map(<[u8]>::to_vec), 1 => vec(any::<u8>(), 0..6)];
    vec(piece, 0..=most).prop_map(|parts| parts.concat())
}

const OS_RELEASE: &[&[u8]] = &[
    b"ID",
    b"VERSION_ID",
    b"ID_LIKE",
    b"=",
    b"\"",
    b"'",
    b"\\",
    b"debian",
    b"12",
    b"\n",
    b"#",
    b" release ",
    b"/main",
    b"/edge",
    b"v3.18",
    b"@",
];
const DPKG: &[&[u8]] = &[
    b"Package: ",
    b"Status: install ok installed\n",
    b"Version: ",
    b"Source: ",
    b"(",
    b")",
    b"a",
    b"1:2",
    b"\n",
    b"\n\n",
    b" ",
    b"Format: x\n",
    b"License: ",
    b"/usr",
    b"/bin/a",
    b"  ",
    b"./",
];
const APK: &[&[u8]] = &[
    b"P:", b"V:", b"o:", b"A:", b"L:", b"F:", b"R:", b"Z:", b"a", b"b/c", b"\n", b"\n\n", b"\r",
];
const HEADER: &[&[u8]] = &[
    b"\0\0\0\x01",
    b"\0\0\0\x04",
    b"\0\0\0\x06",
    b"\0\0\0\x08",
    b"\0\0\x03\xe8",
    b"\0\0\x03\xe9",
    b"\0\0\x04\x14",
    b"\0\0\x04\x5c",
    b"\0\0\x04\x5d",
    b"\0\0\x04\x5e",
    b"\0\0\0\0",
    b"\0\0\0\x10",
    b"\xff\xff\xff\xff",
    b"abc\0",
    b"/d/\0",
];
const DATABASE: &[&[u8]] = &[
    b"SQLite format 3\0",
    b"\x02\0",
    b"RpmP",
    b"Slot",
    b"BlbS",
    b"\x61\x15\x06\0",
    b"\0\0\0\0\0\0\0\0",
    b"\x0d",
    b"\x05",
    b"\0\x02\0\0",
    b"\x01\0\0\0",
    b"table",
    b"Packages",
];
const GO: &[&[u8]] = &[
    b"\x08\x02",
    b"\x04\x00",
    b"\x08\x01",
    b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x0a",
    b"go1.21.3",
    b"\x7f",
    b"\xff",
    b"path\t",
    b"mod\t",
    b"dep\t",
    b"=>\t",
    b"build\t-ldflags=",
    b"\t",
    b"\n",
    b"v1.2.3",
    b"(devel)",
    b"\"",
    b"-X main.version=",
];
const EXECUTABLE: &[&[u8]] = &[
    b"\x7fELF\x02\x01",
    b"\x7fELF\x01\x02",
    b"MZ",
    b"PE\0\0",
    b"\xcf\xfa\xed\xfe",
    b"\0\0\0\0\0\0\0\0",
    b"\x40\0\0\0",
    b"\x38\0",
    b"\x01\0\0\0",
    b".dep-v0\0",
    b"\x19\0\0\0",
    b"\xff\xff",
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn os_release(data in joined(OS_RELEASE, 20)) {
        bodies::os_release(&data);
    }

    #[test]
    fn dpkg(data in joined(DPKG, 40)) {
        bodies::dpkg(&data);
    }

    #[test]
    fn apk(data in joined(APK, 40)) {
        bodies::apk(&data);
    }

    #[test]
    fn rpm(data in joined(DATABASE, 200)) {
        bodies::rpm(&data);
    }

    #[test]
    fn rpm_header(data in joined(HEADER, 80)) {
        bodies::rpm_header(&data);
    }

    #[test]
    fn executable(data in joined(EXECUTABLE, 60)) {
        bodies::executable(&data);
    }

    #[test]
    fn go_build_info(data in joined(GO, 40)) {
        bodies::go_build_info(&data);
    }
}
