//! Each limit exceeded, and damage everywhere.

use proptest::prelude::*;

use super::{
    super::{Reader, TarError},
    builder::{archive, entry, file, global, long, pax},
    generator::{Chance, generate},
    walk,
};
use crate::Limits;

fn limit_of(archive: &[u8], limits: &Limits) -> &'static str {
    match walk(archive, limits).error {
        Some(TarError::Exceeded(exceeded)) => exceeded.limit,
        other => panic!("no limit: {other:?}"),
    }
}

#[test]
fn entries_are_limited() {
    let limits = Limits {
        entries: 3,
        ..Limits::default()
    };
    let three = [file("a", ""), file("b", ""), file("c", "")];
    assert!(walk(&archive(&three), &limits).error.is_none());
    let extended = [global(&[]), global(&[]), global(&[]), file("a", "")];
    assert_eq!(limit_of(&archive(&extended), &limits), "layer.entries");
}

#[test]
fn names_are_limited() {
    let limits = Limits::default();
    let name = "n".repeat(4_097);
    for parts in [
        [long(b'L', &name), file("a", "")],
        [long(b'K', &name), file("a", "")],
        [pax(&[("path", &name)]), file("a", "")],
        [
            pax(&[
                ("GNU.sparse.map", "0,0"),
                ("GNU.sparse.numblocks", "1"),
                ("GNU.sparse.name", &name),
            ]),
            file("a", ""),
        ],
    ] {
        assert_eq!(limit_of(&archive(&parts), &limits), "layer.path_bytes");
    }
    let name = "n".repeat(4_096);
    assert!(
        walk(&archive(&[long(b'L', &name), file("a", "")]), &limits)
            .error
            .is_none()
    );
}

#[test]
fn extended_headers_are_limited() {
    for type_flag in *b"xgLK" {
        for claimed in [65_537, 7 << 30] {
            let header = entry(type_flag, "x").size(claimed);
            assert_eq!(limit_of(&header.bytes(), &Limits::default()), "layer.name_bytes");
        }
        let whole = entry(type_flag, "x").size_field(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(limit_of(&whole.bytes(), &Limits::default()), "layer.name_bytes");
    }
}

#[test]
fn holes_are_bytes() {
    let most = i64::MAX.to_string();
    let records = [
        ("GNU.sparse.map", ""),
        ("GNU.sparse.numblocks", "0"),
        ("GNU.sparse.major", "0"),
    ];
    let records = [
        &records[..],
        &[("GNU.sparse.minor", "1"), ("GNU.sparse.size", &most)],
    ]
    .concat();
    let claims = archive(&[pax(&records), file("a", "")]);
    assert_eq!(limit_of(&claims, &Limits::default()), "layer.bytes");
    let piece = [
        ("GNU.sparse.map", "0,0"),
        ("GNU.sparse.numblocks", "1"),
        ("GNU.sparse.size", "600"),
    ];
    let limits = Limits {
        layer_bytes: 1_000,
        ..Limits::default()
    };
    let twice = archive(&[pax(&piece), file("a", ""), pax(&piece), file("b", "")]);
    assert_eq!(limit_of(&twice, &limits), "layer.bytes");
}

#[test]
fn a_lying_size_costs_nothing() {
    let lie = file("a", "short").size_field(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    let bytes = lie.bytes();
    let mut reader = Reader::new(bytes.as_slice(), &Limits::default());
    assert_eq!(
        reader.next_entry().unwrap().unwrap().size,
        i64::MAX.unsigned_abs()
    );
    assert!(matches!(reader.next_entry(), Err(TarError::Truncated)));
    assert!(reader.next_entry().is_err(), "it stays failed");
}

#[test]
fn notices_are_capped() {
    let limits = Limits {
        findings: 2,
        ..Limits::default()
    };
    let odd: Vec<_> = (0..5).map(|n| file(&format!("{n}/"), "")).collect();
    let bytes = archive(&odd);
    let mut reader = Reader::new(bytes.as_slice(), &limits);
    while reader.next_entry().unwrap().is_some() {}
    let (kept, more) = reader.oddities_mut().take();
    assert_eq!((kept.len(), more), (2, 3));
}

#[test]
fn a_cut_anywhere_is_no_panic() {
    let mut chance = Chance(99);
    let generated = (0..20).map(|_| (generate(&mut chance), 41));
    let traps = super::traps::archives().into_iter().map(|archive| (archive, 13));
    let small = archive(&[
        pax(&[("path", "b")]),
        file("a", "abc"),
        long(b'L', "c"),
        file("d", "e"),
    ]);
    for (archive, step) in generated.chain(traps).chain([(small, 1)]) {
        let whole = walk(&archive, &Limits::default()).seen.len();
        for end in (0..archive.len().min(8_000)).step_by(step) {
            assert!(walk(&archive[..end], &Limits::default()).seen.len() <= whole);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn damage_is_no_panic(
        seed in 1..u64::MAX,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut archive = generate(&mut Chance(seed));
        for (place, byte) in damage {
            if !archive.is_empty() {
                let place = place.index(archive.len());
                archive[place] = byte;
            }
        }
        let walk = walk(&archive, &Limits::default());
        prop_assert!(walk.seen.len() <= archive.len() / 512);
    }
}
