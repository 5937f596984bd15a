//! A stored index is checked before it is believed.

use findings::UnitKind;
use proptest::prelude::*;

use super::super::{SnapshotError, load, snapshot::load_unchecked};
use super::*;

fn stored() -> Vec<u8> {
    let base = layer(
        "base",
        vec![
            unit("os", UnitKind::OsRelease, Vec::new()),
            jar("a.jar", "log4j-core", "2.14.1"),
        ],
    );
    let own = layer("own", vec![jar("b.jar", "log4j-api", "2.14.1")]);
    let mut fleet = fleet(&[
        ("a", "1", facts(&[base.clone(), own], &[(0, 1)])),
        ("a", "2", facts(&[base], &[])),
    ]);
    fleet.set_tags(&key("a", "1"), ["latest"]);
    fleet.encode(42)
}

#[test]
fn what_is_no_index_is_refused() {
    let bytes = stored();
    assert_eq!(load(&bytes).unwrap().1, 42);
    assert_eq!(load(b"").unwrap_err(), SnapshotError::Version);
    assert_eq!(load(b"roadbed fleet 2\n").unwrap_err(), SnapshotError::Version);
    assert_eq!(load(b"roadbed fleet 1\n").unwrap_err(), SnapshotError::Checksum);
    assert_eq!(
        load(&bytes[..bytes.len() - 1]).unwrap_err(),
        SnapshotError::Checksum
    );
    let mut changed = bytes;
    changed[20] ^= 1;
    assert_eq!(load(&changed).unwrap_err(), SnapshotError::Checksum);
}

#[test]
fn a_count_reserves_no_more_than_there_is() {
    let mut bytes = b"roadbed fleet 1\n".to_vec();
    // The event, then texts by the billion.
    bytes.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    bytes.extend([0; 32]);
    assert!(matches!(load_unchecked(&bytes), Err(SnapshotError::Damaged(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_behind_the_checksum_does_no_harm(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0..4_usize) {
        let mut bytes = stored();
        let end = bytes.len() - 32;
        bytes[16 + at.index(end - 16)] = byte;
        bytes.drain(end - cut..end);
        if let Ok((mut fleet, _)) = load_unchecked(&bytes) {
            // Whatever it says, it can be asked and changed.
            fleet.dump();
            fleet.forget(Moment::NEVER);
        }
    }
}
