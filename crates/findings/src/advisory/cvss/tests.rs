use super::*;

/// Vectors and scores of the specifications' examples and of NVD.
#[test]
fn published_scores_are_met() {
    for (vector, tenths) in [
        ("AV:N/AC:L/Au:N/C:N/I:N/A:C", 78),
        ("AV:N/AC:L/Au:N/C:C/I:C/A:C", 100),
        ("AV:L/AC:H/Au:N/C:C/I:C/A:C", 62),
        ("(AV:N/AC:M/Au:N/C:P/I:P/A:P)", 68),
        ("AV:N/AC:L/Au:N/C:N/I:N/A:N", 0),
        ("AV:N/AC:M/Au:N/C:N/I:P/A:N/E:POC/RL:OF/RC:C", 43),
    ] {
        assert_eq!(v2_base_tenths(vector), Some(tenths), "{vector}");
    }
    for (vector, tenths) in [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:C/C:H/I:H/A:H", 90),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 75),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H", 59),
        ("CVSS:3.1/AV:N/AC:H/PR:H/UI:N/S:U/C:H/I:H/A:H", 66),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61),
        ("CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 64),
        ("CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 78),
        ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 68),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0),
    ] {
        assert_eq!(v3_base_tenths(vector), Some(tenths), "{vector}");
    }
    for (vector, tenths) in [
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H",
            100,
        ),
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            93,
        ),
        (
            "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            73,
        ),
        (
            "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            77,
        ),
        (
            "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N",
            83,
        ),
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N",
            51,
        ),
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N",
            0,
        ),
    ] {
        assert_eq!(v4_base_tenths(vector), Some(tenths), "{vector}");
    }
}

/// The two roundings differ where floating point leaves a score a hair above a tenth.
#[test]
fn the_two_roundings_of_version_three_differ() {
    let metrics = "AV:P/AC:H/PR:L/UI:R/S:C/C:L/I:H/A:H";
    let [old, new] = ["CVSS:3.0/", "CVSS:3.1/"].map(|prefix| v3_base_tenths(&format!("{prefix}{metrics}")));
    assert!(old.is_some() && new.is_some() && old >= new);
}

#[test]
fn what_is_no_vector_has_no_score() {
    let long = format!(
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/{}",
        "X".repeat(VECTOR_BYTES)
    );
    for vector in [
        "",
        "CVSS:3.1/",
        "CVSS:3.2/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:Z/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:4.0/AV:N/AC:L",
        "CVSS:4.0/AV:Q/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H",
        "AV:N/AC:L/Au:N/C:N/I:N",
        long.as_str(),
    ] {
        assert_eq!(v2_base_tenths(vector), None, "{vector}");
        assert_eq!(v3_base_tenths(vector), None, "{vector}");
        assert_eq!(v4_base_tenths(vector), None, "{vector}");
    }
}

/// Every combination of the metrics that choose a row of the table has a score.
#[test]
fn every_base_vector_of_version_four_has_a_score() {
    let mut seen = 0;
    for (av, ui) in [("N", "N"), ("A", "P"), ("L", "A"), ("P", "N")] {
        for (ac, at, pr) in [("L", "N", "N"), ("H", "N", "L"), ("L", "P", "H"), ("H", "P", "N")] {
            for impact in 0..3_usize.pow(6) {
                let level = |place: u32| ["H", "L", "N"][impact / 3_usize.pow(place) % 3];
                let vector = format!(
                    "CVSS:4.0/AV:{av}/AC:{ac}/AT:{at}/PR:{pr}/UI:{ui}/VC:{}/VI:{}/VA:{}/SC:{}/SI:{}/SA:{}",
                    level(0),
                    level(1),
                    level(2),
                    level(3),
                    level(4),
                    level(5)
                );
                seen += usize::from(v4_base_tenths(&vector).is_some());
            }
        }
    }
    assert_eq!(seen, 4 * 4 * 729);
}
