//! What is a layer is looked into as one, whatever it dresses up as.

use std::io::Write as _;

use oci::Algorithm;

use super::*;

/// What a child reports of a blob.
pub(crate) fn look(bytes: &[u8]) -> LayerReport {
    let mut blob = tempfile::tempfile().unwrap();
    blob.write_all(bytes).unwrap();
    let engines = Engines::new(&Rules {
        secrets: &[],
        malware: &[],
        skips: Skips::default(),
    });
    let task = Task {
        digest: Digest::of(Algorithm::Sha256, bytes),
        limits: inspect::Limits::default(),
        hand_out: None,
    };
    engines.unwrap().look(blob, &task, None)
}

/// An archive of the oldest form with one file, `start` and what follows it its name, without a byte that is no text.
fn archive_of_text(start: &str, content: &[u8; 512]) -> Vec<u8> {
    let mut header = [b' '; 512];
    header[..start.len()].copy_from_slice(start.as_bytes());
    header[start.len()..100].fill(b'x');
    header[100..108].copy_from_slice(b"0000644 ");
    header[108..124].copy_from_slice(b"0000000 0000000 ");
    header[124..136].copy_from_slice(b"00000001000 ");
    header[136..148].copy_from_slice(b"00000000000 ");
    header[156] = b'0';
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o} ").as_bytes());
    [header.as_slice(), content].concat()
}

#[test]
fn an_archive_that_begins_as_text_is_a_layer() {
    for start in ["app/", "{\"rootfs\":\""] {
        let report = look(&archive_of_text(start, &[b'y'; 512]));
        let limits: Vec<&str> = report
            .not_scannable
            .iter()
            .map(|reason| reason.limit.as_str())
            .collect();
        assert!(!limits.contains(&NO_LAYER), "{start}: {limits:?}");
        assert!(report.config.is_none());
        assert_eq!(report.entries, 1, "{start}: {limits:?}");
    }
}

#[test]
fn a_configuration_is_read_and_other_text_is_no_layer() {
    let report = look(br#"{"os":"linux","config":{"User":"1000"},"rootfs":{"diff_ids":[]}}"#);
    assert_eq!(report.config.unwrap().user, "1000");
    let report = look(b"a signature, or whatever else is text");
    assert_eq!(report.not_scannable[0].limit, NO_LAYER);
}

#[test]
fn rubbish_is_a_report() {
    for bytes in [
        &b""[..],
        &[0; 1024],
        &[0xff; 4096],
        b"\x1f\x8b\x08rubbish",
        b"PK\x03\x04",
    ] {
        assert_eq!(look(bytes).blob, Digest::of(Algorithm::Sha256, bytes));
    }
}

#[test]
fn rules_that_cannot_be_used_are_named_before_a_server_starts() {
    let missing = [PathBuf::from("no-such-file.toml")];
    for (secrets, malware) in [(&missing[..], &[][..]), (&[][..], &missing[..])] {
        let error = check_rules(secrets, malware).unwrap_err();
        assert!(format!("{error:#}").contains("no-such-file.toml"), "{error:#}");
    }
    check_rules(&[], &[]).unwrap();
}

#[test]
fn other_rules_are_another_version() {
    let version = |secrets: &[PathBuf], skips| {
        let malware = &[];
        let rules = Rules {
            secrets,
            malware,
            skips,
        };
        Engines::new(&rules).unwrap().version
    };
    let own = version(&[], Skips::default());
    assert_eq!(own, version(&[], Skips::default()), "the same at every start");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.toml");
    let rule = "[[rules]]\nid = \"x\"\ndescription = \"x\"\nregex = \"xyzzy-[0-9]{8}\"\n";
    std::fs::write(&file, rule).unwrap();
    let no_malware = Skips {
        malware: true,
        secrets: false,
    };
    let no_secrets = Skips {
        malware: false,
        secrets: true,
    };
    let others = [
        version(&[file], Skips::default()),
        version(&[], no_malware),
        version(&[], no_secrets),
    ];
    for (number, other) in others.iter().enumerate() {
        assert_ne!(*other, own);
        assert!(!others[..number].contains(other));
    }
}
