//! Backup and restore.

use std::io::{Cursor, Read};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::*;
use crate::testing::{Kit, Sink, body, sha256};
use crate::{StoreConfig, SystemClock};

async fn backup(kit: &Kit) -> (BackupReport, Vec<u8>) {
    let sink = Sink::default();
    let report = kit.store.backup(&Kit::operator(), sink.clone()).await.unwrap();
    (report, sink.bytes())
}

async fn reopen(dir: &Path) -> Store {
    Store::open(StoreConfig::at(dir), Arc::new(SystemClock))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_backed_up_comes_back() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let long = oci::Digest::of(oci::Algorithm::Sha512, b"long");
    kit.store
        .push_blob(&kit.push(&ci, "team/app"), &long, body(b"long"))
        .await
        .unwrap();
    let id = kit
        .store
        .start_upload(&kit.push(&ci, "r"), oci::Algorithm::Sha256)
        .await
        .unwrap();
    kit.store
        .append_upload(&kit.push(&ci, "r"), &id, None, body(b"half"))
        .await
        .unwrap();

    let (report, bytes) = backup(&kit).await;
    assert_eq!(
        report,
        BackupReport {
            blobs: 3,
            bytes: 8 + 7 + 4
        }
    );
    let target = tempfile::tempdir().unwrap();
    let dir = target.path().join("data");
    assert_eq!(restore(Cursor::new(bytes), &dir).await.unwrap(), report);

    let store = reopen(&dir).await;
    let permit = store
        .access()
        .authorize(&ci, &"team/app".parse().unwrap())
        .unwrap();
    let manifest = store
        .manifest(&permit, &"1".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(manifest.digest, digest);
    for digest in [sha256(b"layer a"), long] {
        assert!(store.blob(&permit, &digest).await.unwrap().is_some());
    }
    let checked = store.fsck(crate::FsckOptions::default(), |_| {}).await.unwrap();
    assert_eq!((checked.damaged, checked.orphans), (0, 0));
    assert_eq!(store.metrics().uploads_open, 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn nothing_is_collected_while_a_backup_runs_and_pushes_go_on() {
    /// Blocks its writer until it is let go.
    struct Stuck(std::sync::mpsc::Receiver<()>);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "r", b"unnamed").await.unwrap();
    kit.advance(kit.grace());
    let (release, stuck) = std::sync::mpsc::channel();
    let store = kit.store.clone();
    let running = tokio::spawn(async move { store.backup(&Kit::operator(), Stuck(stuck)).await });
    while kit.store.inner.collector.backup.try_lock().is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    while !kit.store.gc_step(10).await.unwrap().paused {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(matches!(
        kit.store.backup(&Kit::operator(), Sink::default()).await,
        Err(BackupError::Busy)
    ));
    kit.push_image(&ci, "r", "a", &["1"]).await;
    drop(release);
    running.await.unwrap().unwrap();
    assert_eq!(std::fs::read_dir(kit.path().join("tmp")).unwrap().count(), 0);
    assert!(kit.collect_all().await.blobs >= 1);
    assert!(kit.read_blob(&ci, "r", &digest).await.is_none());
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_no_backup() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "r", b"layer").await.unwrap();
    let row = kit
        .store
        .blob_row(&"r".parse().unwrap(), &digest)
        .await
        .unwrap()
        .unwrap();
    std::fs::remove_file(kit.path().join(row.location.path())).unwrap();
    let refused = kit
        .store
        .backup(&Kit::operator(), Sink::default())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, BackupError::SourceDamaged { digest: lost } if lost == digest),
        "{refused}"
    );
}

/// Entries of an archive, to be put together anew.
fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap();
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    };
    entries.map(read).collect()
}

fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        let place = &mut header.as_old_mut().name;
        // Written by hand, because the library refuses such names.
        if name.len() < place.len() {
            place[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, bytes.as_slice()).unwrap();
        } else {
            tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

async fn try_restore(bytes: Vec<u8>) -> (tempfile::TempDir, Result<BackupReport, BackupError>) {
    let target = tempfile::tempdir().unwrap();
    let done = restore(Cursor::new(bytes), &target.path().join("data")).await;
    (target, done)
}

#[tokio::test]
async fn tampered_archives_are_refused_and_cannot_be_served() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"layer").await.unwrap();
    let (_, bytes) = backup(&kit).await;
    let good = entries(&bytes);
    assert_eq!(good.len(), 3);

    let mut damaged = good.clone();
    damaged[2].1 = b"lawyr".to_vec();
    let (target, done) = try_restore(archive(&damaged)).await;
    assert!(matches!(done, Err(BackupError::Damaged { .. })), "{done:?}");
    let opened = Store::open(StoreConfig::at(target.path().join("data")), Arc::new(SystemClock)).await;
    assert!(matches!(opened.err(), Some(StoreError::Damaged { .. })));

    for name in [
        "../evil",
        "/etc/evil",
        "blobs/../../evil",
        "lock",
        "blobs/sha256/00/x",
        "roadbed.db",
    ] {
        let mut tricked = good.clone();
        tricked[2].0 = name.to_owned();
        let (target, done) = try_restore(archive(&tricked)).await;
        assert!(
            matches!(done, Err(BackupError::Unexpected { .. })),
            "{name}: {done:?}"
        );
        assert!(!target.path().join("evil").exists());
    }
    let (_, done) = try_restore(archive(&good[..2])).await;
    assert!(matches!(done, Err(BackupError::Incomplete { .. })), "{done:?}");
    for few in [0, 1] {
        let (_, done) = try_restore(archive(&good[..few])).await;
        assert!(matches!(done, Err(BackupError::Incomplete { .. })), "{done:?}");
    }
    let (_, done) = try_restore(archive(&good[1..])).await;
    assert!(matches!(done, Err(BackupError::NotABackup)), "{done:?}");
    let mut future = good.clone();
    future[0].1 = b"99".to_vec();
    let (_, done) = try_restore(archive(&future)).await;
    assert!(
        matches!(done, Err(BackupError::Store(StoreError::Version { .. }))),
        "{done:?}"
    );
    let (_, done) = try_restore(bytes[..bytes.len() / 2].to_vec()).await;
    assert!(done.is_err());
    try_restore(archive(&good)).await.1.unwrap();
}

#[tokio::test]
async fn links_and_endless_names_are_refused() {
    let special = |kind: EntryType, size: u64| {
        let mut tar = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(1);
        tar.append_data(&mut header, "version", b"1".as_slice()).unwrap();
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path("roadbed.db").unwrap();
        header.set_size(size);
        header.set_cksum();
        tar.append(&header, std::io::repeat(b'a').take(size)).unwrap();
        tar.into_inner().unwrap()
    };
    for (kind, size) in [
        (EntryType::Symlink, 0),
        (EntryType::Directory, 0),
        (EntryType::GNULongName, 1 << 20),
    ] {
        let (_, done) = try_restore(special(kind, size)).await;
        assert!(
            matches!(done, Err(BackupError::Unexpected { .. })),
            "{kind:?}: {done:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_backup_leaves_no_traces_and_is_not_repeated() {
    let text = b"root:x:0:0:\x1b]0;pwned\x07:/root:/bin/sh\n".repeat(40);
    let gzip = [&[0x1f, 0x8b, 8, 0][..], &[0x9b; 2_000]].concat();
    let version = archive(&[("version".to_owned(), b"9\x1b]0;pwned\x07".to_vec())]);
    for (what, bytes) in [
        ("text", text),
        ("gzip", gzip),
        ("short", b"x".to_vec()),
        ("version", version),
    ] {
        let (target, done) = try_restore(bytes).await;
        let error = done.unwrap_err();
        assert!(matches!(error, BackupError::NotABackup), "{what}: {error:?}");
        assert!(!target.path().join("data").exists(), "{what}");
    }
}

#[tokio::test]
async fn a_header_that_is_damaged_is_not_repeated() {
    let kit = Kit::new().await;
    let (_, mut bytes) = backup(&kit).await;
    // The checksum of the second header; the first has one block of content.
    bytes[1024 + 148..1024 + 156].copy_from_slice(b"\x1b]0;xx\x07\x1b");
    let (_, done) = try_restore(bytes).await;
    let error = done.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(matches!(error, BackupError::Read(_)), "{error:?}");
    assert!(!source.contains(char::is_control), "{source:?}");
}

#[tokio::test]
async fn a_directory_that_holds_something_is_left_alone() {
    let target = tempfile::tempdir().unwrap();
    std::fs::write(target.path().join("precious"), b"x").unwrap();
    let refused = restore(Cursor::new(Vec::new()), target.path()).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty { .. }), "{refused}");
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 1);
}
