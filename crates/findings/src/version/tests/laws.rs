//! What every order owes its users, whatever it is asked about.

use proptest::{collection::vec, prelude::*};

use super::*;

/// Texts that look like versions: pieces that mean something to one rule or another.
fn version_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[0-9]{1,3}",
        4 => prop::sample::select(vec![".", "-", "_", "~", "^", "+", ":", "0", "00", ".0", "-0", "!"]).prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            "alpha", "beta", "rc", "pre", "dev", "post", "sp", "final", "ga", "snapshot", "a", "b", "m", "p", "r", "_p",
            "_alpha", "-r", "-r1", "v", "go", "el9", "jre11", ".jre8", "x", "-java", "stable", "milestone", "cr", "Beta",
        ]).prop_map(str::to_owned),
        1 => "\\PC",
    ];
    vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

/// Versions that differ little, so that the order has to look at every part.
fn family() -> impl Strategy<Value = [String; 3]> {
    let tail = vec(
        prop::sample::select(vec![
            "", "0", ".0", "-0", ".1", "-1", ".a", "-alpha", ".sp", "-final", "~", "_p", "rc", "-",
        ]),
        0..4,
    );
    (
        prop::sample::select(vec!["1", "1.0", "1:1", "v1", "0"]),
        [tail.clone(), tail.clone(), tail],
    )
        .prop_map(|(head, tails)| tails.map(|tail| format!("{head}{}", tail.concat())))
}

fn triple() -> impl Strategy<Value = [String; 3]> {
    prop_oneof![[version_like(), version_like(), version_like()], family()]
}

fn assert_laws(ecosystem: Ecosystem, versions: &[String; 3]) -> Result<(), TestCaseError> {
    let mut known: Vec<&str> = versions.iter().map(String::as_str).collect();
    known.retain(|version| compare(ecosystem, version, version).is_ok());
    let orders: Vec<Vec<Ordering>> = known
        .iter()
        .map(|left| known.iter().map(|right| order(ecosystem, left, right)).collect())
        .collect();
    let all = 0..known.len();
    for left in all.clone() {
        prop_assert!(orders[left][left].is_eq());
        for right in all.clone() {
            let there = orders[left][right];
            prop_assert_eq!(there, orders[right][left].reverse(), "{} {:?}", ecosystem, known);
            for third in all.clone() {
                let [next, whole] = [orders[right][third], orders[left][third]];
                if there.is_le() && next.is_le() {
                    prop_assert_eq!(whole, there.min(next), "{} {:?}", ecosystem, known);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_is_total(versions in triple()) {
        for ecosystem in RULES {
            assert_laws(ecosystem, &versions)?;
        }
    }

    #[test]
    fn no_text_panics(left in "\\PC{0,40}", right in any::<String>()) {
        for ecosystem in RULES {
            let _ = compare(ecosystem, &left, &right);
            let _ = is_valid(ecosystem, &left);
        }
    }
}
