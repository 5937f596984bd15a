//! Finding damage, and getting rid of it.

mod not_a_file;

use std::sync::Mutex;

use super::*;
use crate::testing::{Kit, image, index, sha256};

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
    let later = check(&kit, true).await;
    assert_eq!((later.damaged, later.known), (0, 2), "{later:?}");
    let known = later
        .damages
        .iter()
        .filter(|damage| damage.known && damage.quarantined);
    assert_eq!(known.count(), 2);
    kit.push_blob(&ci, "r", b"layer a").await.unwrap();
    kit.push_blob(&ci, "r", b"layer b").await.unwrap();
    assert_eq!(check(&kit, true).await.damaged, 0);
    assert_eq!(kit.read_blob(&ci, "r", &corrupt).await.unwrap(), b"layer a");
}

#[tokio::test]
async fn what_was_put_away_is_no_damage_once_nothing_needs_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "r", "a", &["1"]).await;
    std::fs::remove_file(path_of(&kit, &sha256(b"layer a")).await).unwrap();
    assert_eq!(check(&kit, true).await.damaged, 1);
    assert_eq!(check(&kit, true).await.known, 1);
    kit.store
        .delete_manifest(&kit.delete(&ci, "r"), &digest)
        .await
        .unwrap();
    let report = check(&kit, true).await;
    assert_eq!((report.damaged, report.known), (0, 0), "{report:?}");
    kit.collect_all().await;
    assert_eq!(check(&kit, false).await.progress.blobs_total, 0);
}

#[tokio::test]
async fn damage_names_the_images_that_need_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let child = image(b"config a", &[b"layer a"]);
    kit.push_image(&ci, "r", "a", &[]).await;
    kit.push_image(&ci, "team/app", "a", &[]).await;
    std::fs::remove_file(path_of(&kit, &sha256(b"layer a")).await).unwrap();
    let needed_by = async || {
        let report = check(&kit, false).await;
        let damage = report.damages.into_iter().next().unwrap();
        (damage.needed_by, damage.needed_by_more)
    };
    let digest = sha256(child.as_bytes());
    let untagged = vec![format!("r@{digest}"), format!("team/app@{digest}")];
    assert_eq!(needed_by().await, (untagged, false));

    let first = index(&[&child]);
    kit.put(&ci, "team/app", &first, &["inner"]).await.unwrap();
    kit.put(&ci, "team/app", &index(&[&first]), &["v1"])
        .await
        .unwrap();
    let tagged = vec!["team/app:inner".to_owned(), "team/app:v1".to_owned()];
    assert_eq!(needed_by().await, (tagged, false));

    let tags: Vec<String> = (0..=IMAGES_LISTED).map(|number| number.to_string()).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    kit.put(&ci, "team/app", &first, &tags).await.unwrap();
    let (names, more) = needed_by().await;
    assert_eq!((names.len(), more), (IMAGES_LISTED, true));
}

#[tokio::test]
async fn an_index_whose_child_is_absent_is_damaged() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "r", "a", &[]).await;
    kit.push_image(&ci, "other", "a", &["1"]).await;
    let child = image(b"config a", &[b"layer a"]);
    kit.put(&ci, "r", &index(&[&child]), &["v1"]).await.unwrap();
    assert_eq!(check(&kit, false).await.damaged, 0);
    kit.lose_manifest("r", &digest).await;
    let report = check(&kit, true).await;
    assert_eq!(report.damaged, 1, "{report:?}");
    let damage = &report.damages[0];
    assert_eq!(
        (damage.kind, damage.digest),
        (DamageKind::ChildMissing, Some(digest))
    );
    assert_eq!(damage.needed_by, ["r:v1"]);
    kit.push_image(&ci, "r", "a", &[]).await;
    assert_eq!(check(&kit, false).await.damaged, 0);
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
    assert_eq!(report.damages[0].needed_by, ["r:1"]);
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
        check.damage(Damage::of(DamageKind::Orphan));
        check.damage(Damage::of(DamageKind::Missing));
    }
    assert_eq!(check.report.damages.len(), DAMAGES_LISTED);
    let counted = (DAMAGES_LISTED + 1) as u64;
    assert_eq!((check.report.damaged, check.report.orphans), (counted, counted));
}
