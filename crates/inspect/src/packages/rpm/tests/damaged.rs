//! What strangers may put where a database should be.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::build::{SQLITE_PAGE, berkeley, header, ndb, sqlite};
use super::{Database, FORMS, bash, named};
use crate::packages::harness::{mutate, names, read};

fn long(name: &str) -> Vec<u8> {
    header(&[(1000, name.into()), (1004, "x".repeat(3_000).as_str().into())])
}

/// What is found in a database that is broken somewhere.
fn found(form: usize, bytes: &[u8]) -> Vec<String> {
    let (facts, end) = read(&Database, FORMS[form].0, bytes);
    assert!(end.is_err(), "nothing was wrong");
    names(&facts)
}

#[test]
fn a_broken_header_does_not_hide_the_others() {
    for cut in [0, 4, 8, 12, 40, 60] {
        let mut broken = named("b");
        broken.truncate(cut);
        for (form, (path, build)) in FORMS.iter().enumerate() {
            let bytes = build(&[named("a"), broken.clone(), named("c")]);
            assert_eq!(found(form, &bytes), ["a 1-1", "c 1-1"], "{path} {cut}");
        }
    }
}

#[test]
fn announced_sizes_are_not_believed() {
    let mut blob = named("b");
    for at in [0, 4] {
        let kept = blob[at..at + 4].to_vec();
        blob[at..at + 4].fill(0xff);
        assert_eq!(found(1, &ndb(&[blob.clone(), named("c")])), ["c 1-1"]);
        blob[at..at + 4].copy_from_slice(&kept);
    }
}

#[test]
fn sqlite_pages_that_lead_back_are_read_once() {
    // The root points at itself, and an overflow page at itself.
    let mut bytes = sqlite(&[named("a"), named("b")]);
    bytes[SQLITE_PAGE + 8..SQLITE_PAGE + 12].copy_from_slice(&2_u32.to_be_bytes());
    assert_eq!(found(0, &bytes), ["a 1-1"]);
    let mut bytes = sqlite(&[long("a"), named("b")]);
    bytes[3 * SQLITE_PAGE..3 * SQLITE_PAGE + 4].copy_from_slice(&4_u32.to_be_bytes());
    assert_eq!(found(0, &bytes), ["b 1-1"]);
    // The table is the schema.
    let at = bytes
        .windows(9)
        .position(|window| window == b"Packages\x02")
        .unwrap();
    bytes[at + 8] = 1;
    assert!(found(0, &bytes).is_empty());
}

#[test]
fn sqlite_cells_over_each_other_are_not_multiplied() {
    let mut bytes = sqlite(&[named("a")]);
    let leaf = 2 * SQLITE_PAGE;
    let cell = bytes[leaf + 8..leaf + 10].to_vec();
    bytes[leaf + 4] = 150;
    for index in 1..150 {
        bytes[leaf + 8 + 2 * index..][..2].copy_from_slice(&cell);
    }
    assert!(found(0, &bytes).len() <= SQLITE_PAGE / named("a").len());
}

#[test]
fn sqlite_without_the_table() {
    let mut bytes = sqlite(&[named("a")]);
    let at = bytes.windows(8).position(|window| window == b"Packages").unwrap();
    bytes[at] = b'Q';
    assert!(found(0, &bytes).is_empty());
    assert!(found(0, &bytes[..100]).is_empty());
    assert!(found(0, &bytes[..50]).is_empty());
}

#[test]
fn ndb_slots_of_one_blob_are_not_multiplied() {
    let mut bytes = ndb(&[long("a"), named("b")]);
    for slot in 3..256 {
        let first = bytes[32..48].to_vec();
        bytes[slot * 16..slot * 16 + 16].copy_from_slice(&first);
    }
    let found = found(1, &bytes);
    assert!(found.len() < 5, "{found:?}");
}

#[test]
fn ndb_slots_beyond_the_end() {
    let mut bytes = ndb(&[named("a")]);
    bytes[12..16].fill(0xff);
    assert_eq!(found(1, &bytes), ["a 1-1"]);
    bytes[40..44].fill(0xff);
    assert!(found(1, &bytes).is_empty());
}

#[test]
fn berkeley_chains_that_lead_back_are_read_once() {
    let mut bytes = berkeley(&[long("a"), named("b")], false);
    // Page 1 has the counter, 2 the item, 3 begins the chain.
    bytes[3 * 512 + 16] = 3;
    assert_eq!(found(2, &bytes), ["b 1-1"]);
    bytes[3 * 512 + 16] = 0;
    assert_eq!(found(2, &bytes), ["b 1-1"]);
}

#[test]
fn berkeley_items_over_each_other() {
    let mut bytes = berkeley(&[named("a"), named("b")], false);
    let page = 2 * 512;
    let same = bytes[page + 26..page + 28].to_vec();
    bytes[page + 28..page + 30].copy_from_slice(&same);
    assert_eq!(found(2, &bytes), ["b 1-1"]);
}

#[test]
fn a_cut_database_gives_what_is_left() {
    for (path, build) in FORMS {
        let whole = build(&[named("a"), header(&bash()), long("c"), named("d")]);
        for end in (0..whole.len()).step_by(37) {
            let (facts, _) = read(&Database, path, &whole[..end]);
            assert!(facts.packages.len() <= 4, "{path} {end}");
        }
    }
}

#[test]
fn a_large_hostile_database_takes_no_time() {
    // 16 MiB in which everything points at everything.
    let mut bytes = sqlite(&[named("a")]);
    bytes.resize(16 << 20, 5);
    let begun = Instant::now();
    assert!(read(&Database, FORMS[0].0, &bytes).0.packages.len() <= 1);
    let mut bytes = ndb(&[named("a")]);
    bytes[12..16].fill(0x7f);
    bytes.resize(16 << 20, b'S');
    assert!(read(&Database, FORMS[1].0, &bytes).0.packages.len() <= 1);
    let mut bytes = berkeley(&[named("a")], false);
    bytes.resize(16 << 20, 13);
    assert!(read(&Database, FORMS[2].0, &bytes).0.packages.len() <= 1);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

proptest! {
    #[test]
    fn damaged_ones_end(seed: u64) {
        for (path, build) in FORMS {
            let bytes = build(&[named("a"), header(&bash()), long("c"), named("d")]);
            let (facts, _) = read(&Database, path, &mutate(&bytes, seed));
            prop_assert!(facts.packages.len() <= 40);
        }
    }

    #[test]
    fn any_bytes_end(form in 0..4_usize, bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let (path, build) = FORMS[form];
        let mut whole = build(&[named("a")]);
        let keep = whole.len().min(128);
        whole.truncate(keep);
        whole.extend(&bytes);
        let _ = read(&Database, path, &whole);
        let _ = read(&Database, path, &bytes);
    }
}
