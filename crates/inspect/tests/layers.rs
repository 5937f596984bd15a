//! The bodies of the fuzz targets on a few thousand generated inputs each: seconds, on a stable toolchain.
//!
//! The seed is fixed: what fails once fails again.

#[path = "layers/bodies.rs"]
mod bodies;

use std::io::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(5),
        ..ProptestConfig::default()
    }
}

/// A header without its checksum, and content.
fn part(type_flag: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes[100..107].copy_from_slice(b"0000644");
    bytes[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    bytes[156] = type_flag;
    bytes[257..265].copy_from_slice(b"ustar\x0000");
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn parts() -> impl Strategy<Value = Vec<u8>> {
    let names = &[
        "a",
        "dir/b",
        "./c",
        "../d",
        "dir",
        ".wh.a",
        "dir/.wh..wh..opq",
        "package.json",
        "l/x",
    ][..];
    let contents = &[
        "",
        "text",
        "12 path=abc\n",
        "14 linkpath=a\n",
        "10 size=3\n",
        "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n22 GNU.sparse.name=ab\n",
        "2\n0\n1\n5\n2\n",
    ][..];
    let one = (select(&b"00000125SLKxg3"[..]), select(names), select(contents));
    vec(one, 0..6).prop_map(|parts| {
        let parts = parts.into_iter();
        parts
            .flat_map(|(kind, name, content)| part(kind, name, content.as_bytes()))
            .collect()
    })
}

/// Behind a byte that says whether checksums are to be repaired; with some bytes damaged.
fn archive() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (parts(), damage).prop_map(|(parts, damage)| {
        let mut bytes = [&[1], &parts[..], &[0; 1024]].concat();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    })
}

fn blob() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("memory takes all");
    let piece = (parts(), 0..3).prop_map(move |(bytes, form)| match form {
        0 => gzip(&bytes),
        1 => zstd(&bytes),
        _ => bytes,
    });
    (vec(piece, 1..4), damage).prop_map(|(pieces, damage)| {
        let mut bytes = pieces.concat();
        for (place, byte) in damage {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        bytes
    })
}

/// A library of this machine, small enough to be read some thousand times.
fn small_program() -> Vec<u8> {
    const SEED: &[u8] = include_bytes!("../../../fuzz/seeds/inspect_linkage/library");
    SEED.to_vec()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn codec(data in blob()) {
        bodies::codec(&data);
    }

    #[test]
    fn tar(data in archive()) {
        bodies::tar(&data);
    }

    #[test]
    fn linkage(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), length in any::<prop::sample::Index>()) {
        let mut file = small_program();
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        bodies::linkage(&file);
        bodies::linkage(&file[..length.index(file.len())]);
    }

    #[test]
    fn layer(data in prop_oneof![3 => archive(), 1 => blob().prop_map(|blob| [&[0], &blob[..]].concat())]) {
        bodies::layer(&data);
    }
}
