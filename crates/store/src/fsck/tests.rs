//! Finding damage, and getting rid of it.

mod not_a_file;

use std::sync::Mutex;

use super::*;
use crate::testing::{Kit, sha256};

async fn path_of(kit: &Kit, digest: &Digest) -> std::path::PathBuf {
    let row = kit
        .store
        .blob_row(&"r".parse().unwrap(), digest)
        .await
        .unwrap()
        .unwrap();
    kit.path().join(row.location.path())
}

async fn check(kit: &Kit, quarantine: bool) -> FsckReport {
    kit.store
        .fsck(
            FsckOptions {
                quarantine,
                ..FsckOptions::default()
            },
            |_| {},
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn a_sound_store_is_found_sound() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for number in 0..3 {
        kit.push_image(&ci, "r", &number.to_string(), &["1"]).await;
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let report = kit
        .store
        .fsck(FsckOptions::default(), move |now| sink.lock().unwrap().push(now))
        .await
        .unwrap();
    assert_eq!(
        (report.damaged, report.orphans, report.cancelled),
        (0, 0, false),
        "{report:?}"
    );
    assert_eq!(
        (
            report.progress.blobs,
            report.progress.blobs_total,
            report.progress.manifests
        ),
        (6, 6, 3)
    );
    assert_eq!(seen.lock().unwrap().last(), Some(&report.progress));
}

#[tokio::test]
async fn damage_is_reported_quarantined_and_healed_by_a_push() {
    let mut kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "r", "a", &["1"]).await;
    kit.push_image(&ci, "r", "b", &["2"]).await;
    let (corrupt, missing) = (sha256(b"layer a"), sha256(b"layer b"));
    let corrupt_path = path_of(&kit, &corrupt).await;
    std::fs::write(&corrupt_path, b"lawyer!").unwrap();
    std::fs::remove_file(path_of(&kit, &missing).await).unwrap();
    let fan_out = kit.path().join("blobs/sha256/00");
    std::fs::create_dir_all(&fan_out).unwrap();
    std::fs::write(
        fan_out.join(format!("{}.{}", "0".repeat(64), "1".repeat(32))),
        b"",
    )
    .unwrap();
    kit.restart().await;

    let report = check(&kit, false).await;
    assert_eq!((report.damaged, report.orphans), (2, 1), "{report:?}");
    let kinds = |report: &FsckReport| {
        let mut kinds: Vec<(DamageKind, bool)> = report
            .damages
            .iter()
            .map(|damage| (damage.kind, damage.quarantined))
            .collect();
        kinds.sort_by_key(|(kind, _)| *kind as u8);
        kinds
    };
    let found = [DamageKind::Missing, DamageKind::Corrupt, DamageKind::Orphan];
    assert_eq!(kinds(&report), found.map(|kind| (kind, false)));
    assert!(corrupt_path.exists(), "reporting moves nothing");

    let report = check(&kit, true).await;
    assert_eq!(
        kinds(&report),
        [
            (DamageKind::Missing, true),
            (DamageKind::Corrupt, true),
            (DamageKind::Orphan, false)
        ]
    );
    assert!(!corrupt_path.exists());
    assert_eq!(
        std::fs::read_dir(kit.path().join("quarantine")).unwrap().count(),
        1
    );
    for digest in [corrupt, missing] {
        assert!(kit.read_blob(&ci, "r", &digest).await.is_none());
    }
    kit.push_blob(&ci, "r", b"layer a").await.unwrap();
    kit.push_blob(&ci, "r", b"layer b").await.unwrap();
    assert_eq!(check(&kit, true).await.damaged, 0);
    assert_eq!(kit.read_blob(&ci, "r", &corrupt).await.unwrap(), b"layer a");
}

#[tokio::test]
async fn a_quick_check_sees_lengths_only() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for (blob, bytes) in [(b"12345", &b"12340"[..]), (b"abcde", &b"abc"[..])] {
        let digest = kit.push_blob(&ci, "r", blob).await.unwrap();
        std::fs::write(path_of(&kit, &digest).await, bytes).unwrap();
    }
    let quick = FsckOptions {
        quick: true,
        ..FsckOptions::default()
    };
    let report = kit.store.fsck(quick, |_| {}).await.unwrap();
    assert_eq!((report.damaged, report.progress.bytes), (1, 0));
    assert_eq!(check(&kit, false).await.damaged, 2);
}

#[tokio::test]
async fn a_manifest_whose_bytes_changed_is_found() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "r", "a", &["1"]).await;
    kit.store
        .write(|tx| {
            Box::pin(async move {
                sql::execute(
                    tx.sql(),
                    "UPDATE manifest_content SET bytes = $1",
                    [b"{}".to_vec().into()],
                )
                .await
            })
        })
        .await
        .unwrap();
    let report = check(&kit, true).await;
    assert_eq!(report.damages[0].kind, DamageKind::ManifestCorrupt);
    assert_eq!(report.damages[0].digest, Some(digest));
}

#[tokio::test]
async fn a_check_can_be_ended_early() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for number in 0..5_u8 {
        kit.push_blob(&ci, "r", &[number]).await.unwrap();
    }
    let options = FsckOptions::default();
    let cancel = Arc::clone(&options.cancel);
    let report = kit
        .store
        .fsck(options, move |_| cancel.store(true, Ordering::Relaxed))
        .await
        .unwrap();
    assert_eq!((report.progress.blobs, report.cancelled), (1, true));
}

#[tokio::test]
async fn a_report_lists_so_many_damages_and_counts_the_rest() {
    let kit = Kit::new().await;
    let mut check = Check {
        store: kit.store.clone(),
        options: FsckOptions::default(),
        progress: Box::new(|_| {}),
        report: FsckReport::default(),
    };
    for _ in 0..=DAMAGES_LISTED {
        check.damage(DamageKind::Orphan, None, None, false);
        check.damage(DamageKind::Missing, None, None, false);
    }
    assert_eq!(check.report.damages.len(), DAMAGES_LISTED);
    let counted = (DAMAGES_LISTED + 1) as u64;
    assert_eq!((check.report.damaged, check.report.orphans), (counted, counted));
}
