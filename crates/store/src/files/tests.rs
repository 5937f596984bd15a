use std::convert::Infallible;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use oci::{Algorithm, Digest, Hasher};
use tempfile::TempDir;

use super::*;

mod faults;
mod limits;
#[cfg(feature = "measure")]
mod throughput;

const MIB: usize = 1 << 20;
const ID: Uuid = Uuid::from_u128(7);

/// The error of a body that breaks off.
#[derive(Debug, PartialEq, Eq)]
struct Gone;

fn open() -> (TempDir, BlobFiles) {
    let dir = tempfile::tempdir().unwrap();
    let files = BlobFiles::open(&FilesConfig::new(dir.path())).unwrap();
    (dir, files)
}

/// Bytes without a period that a block could hide.
fn noise(len: usize) -> Bytes {
    crate::disk::sim::Rng::new(len as u64).bytes(len).into()
}

fn body(bytes: &Bytes, frame: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin + use<> {
    let frames: Vec<_> = bytes
        .chunks(frame)
        .map(|chunk| Ok(bytes.slice_ref(chunk)))
        .collect();
    stream::iter(frames)
}

fn nothing() -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
    stream::empty()
}

fn first(algorithm: Algorithm) -> Part {
    Part {
        id: ID,
        offset: 0,
        hasher: Hasher::new(algorithm),
        max_len: u64::MAX,
    }
}

fn after(appended: Appended) -> Part {
    Part {
        id: ID,
        offset: appended.offset(),
        hasher: appended.into_hasher(),
        max_len: u64::MAX,
    }
}

async fn commit<D: Disk>(files: &BlobFiles<D>, bytes: &Bytes) -> Committed {
    files.create_upload(ID).await.unwrap();
    let digest = Digest::of(Algorithm::Sha256, bytes);
    files
        .append_and_commit(first(Algorithm::Sha256), body(bytes, 60_000), digest)
        .await
        .unwrap()
}

async fn list<D: Disk>(files: &BlobFiles<D>) -> Vec<BlobEntry> {
    let (mut listing, mut all) = (files.list_blobs(), Vec::new());
    while let Some(entries) = listing.next().await {
        all.extend(entries.unwrap());
    }
    all
}

#[tokio::test]
async fn a_blob_arrives_in_chunks_and_is_read_back() {
    let (dir, files) = open();
    let bytes = noise(5 * MIB + 123);
    files.create_upload(ID).await.unwrap();
    let appended = files
        .append(first(Algorithm::Sha256), body(&bytes.slice(..2 * MIB), 70_001))
        .await
        .unwrap();
    assert_eq!(appended.offset(), 2 * MIB as u64);
    let appended = files
        .append(after(appended), body(&bytes.slice(2 * MIB..3 * MIB), 10))
        .await
        .unwrap();
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let rest = body(&bytes.slice(3 * MIB..), 9 * MIB);
    let committed = files
        .append_and_commit(after(appended), rest, digest)
        .await
        .unwrap();
    assert_eq!(committed.size, bytes.len() as u64);
    assert_eq!(committed.location, Location::new(digest, ID));
    assert_eq!(
        std::fs::read(dir.path().join(committed.location.path())).unwrap(),
        bytes
    );
    assert_eq!(
        files.hash_blob(committed.location).await.unwrap(),
        (digest, committed.size)
    );
    let entries = list(&files).await;
    assert_eq!(
        entries
            .iter()
            .map(|entry| (entry.location, entry.len))
            .collect::<Vec<_>>(),
        [(committed.location, committed.size)]
    );
    assert!(entries[0].changed_micros > 1_600_000_000_000_000);
    assert_eq!(files.list_uploads().await.unwrap(), []);
    let blob = files
        .reader()
        .open(committed.location, committed.size)
        .await
        .unwrap();
    let slices = blob.stream(0..u64::MAX).map(|slice| slice.unwrap().to_vec());
    assert_eq!(slices.collect::<Vec<_>>().await.concat(), bytes);
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let (_dir, files) = open();
    let committed = commit(&files, &Bytes::new()).await;
    assert_eq!(committed.size, 0);
    let blob = files.reader().open(committed.location, 0).await.unwrap();
    assert!(blob.stream(0..u64::MAX).next().await.is_none());
}

#[tokio::test]
async fn what_arrived_before_the_client_went_away_is_kept() {
    let (dir, files) = open();
    let bytes = noise(3 * MIB);
    files.create_upload(ID).await.unwrap();
    let broken = stream::iter([Ok(bytes.slice(..2 * MIB + 5)), Err(Gone)]);
    let error = files.append(first(Algorithm::Sha512), broken).await.unwrap_err();
    let AppendError::Interrupted {
        appended,
        source: Gone,
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(appended.offset(), 2 * MIB as u64 + 5);
    drop(files);
    let files = BlobFiles::open(&FilesConfig::new(dir.path())).unwrap();
    let hasher = files
        .rehash(ID, Algorithm::Sha512, appended.offset())
        .await
        .unwrap();
    assert_eq!(hasher.clone().finish(), appended.clone().into_hasher().finish());
    let part = Part {
        id: ID,
        offset: appended.offset(),
        hasher,
        max_len: u64::MAX,
    };
    let digest = Digest::of(Algorithm::Sha512, &bytes);
    files
        .append_and_commit(part, body(&bytes.slice(2 * MIB + 5..), 5000), digest)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_last_body_may_break_off_too() {
    let (_dir, files) = open();
    let bytes = noise(10);
    files.create_upload(ID).await.unwrap();
    let broken = stream::iter([Ok(bytes.slice(..4)), Err(Gone)]);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let error = files
        .append_and_commit(first(Algorithm::Sha256), broken, digest)
        .await
        .unwrap_err();
    let AppendError::Interrupted { appended, .. } = error else {
        panic!("{error:?}")
    };
    files
        .append_and_commit(after(appended), body(&bytes.slice(4..), 10), digest)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_append_beyond_the_file_is_refused_and_one_before_its_end_cuts_it() {
    let (_dir, files) = open();
    let bytes = noise(100);
    files.create_upload(ID).await.unwrap();
    let kept = files
        .append(first(Algorithm::Sha256), body(&bytes.slice(..40), 40))
        .await
        .unwrap();
    let beyond = Part {
        offset: 41,
        ..after(kept.clone())
    };
    let error = files.append(beyond, nothing()).await.unwrap_err();
    let AppendError::Files {
        source:
            FilesError::OffsetMismatch {
                asked: 41,
                present: 40,
                ..
            },
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(matches!(
        files.rehash(ID, Algorithm::Sha256, 41).await,
        Err(FilesError::OffsetMismatch { .. })
    ));
    // Bytes whose row was never written.
    files
        .append(after(kept.clone()), body(&noise(33), 33))
        .await
        .unwrap();
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    files
        .append_and_commit(after(kept), body(&bytes.slice(40..), 60), digest)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_wrong_digest_commits_nothing_and_the_session_goes_on() {
    let (_dir, files) = open();
    let bytes = noise(1000);
    files.create_upload(ID).await.unwrap();
    let kept = files
        .append(first(Algorithm::Sha256), body(&bytes, 100))
        .await
        .unwrap();
    let (right, wrong) = (
        Digest::of(Algorithm::Sha256, &bytes),
        Digest::of(Algorithm::Sha256, b"else"),
    );
    let error = files
        .append_and_commit(after(kept.clone()), body(&noise(9), 9), right)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        AppendError::Files {
            source: FilesError::DigestMismatch { .. },
            ..
        }
    ));
    let error = files
        .append_and_commit(after(kept.clone()), nothing(), wrong)
        .await
        .unwrap_err();
    let AppendError::Files {
        appended: None,
        source: FilesError::DigestMismatch { expected, found },
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!((*expected, *found), (wrong, right));
    assert_eq!(list(&files).await, []);
    files
        .append_and_commit(after(kept), nothing(), right)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_last_request_may_name_the_other_algorithm() {
    let (_dir, files) = open();
    let bytes = noise(9 * MIB);
    files.create_upload(ID).await.unwrap();
    let digest = Digest::of(Algorithm::Sha512, &bytes);
    let committed = files
        .append_and_commit(first(Algorithm::Sha256), body(&bytes, MIB), digest)
        .await
        .unwrap();
    assert_eq!(
        files.hash_blob(committed.location).await.unwrap(),
        (digest, bytes.len() as u64)
    );
}

#[tokio::test]
async fn an_upload_without_a_file_is_said_to_be_lost_unless_nothing_was_promised() {
    let (_dir, files) = open();
    let part = Part {
        offset: 5,
        ..first(Algorithm::Sha256)
    };
    let error = files.append(part, nothing()).await.unwrap_err();
    assert!(matches!(
        error,
        AppendError::Files {
            source: FilesError::UploadMissing { .. },
            ..
        }
    ));
    assert!(matches!(
        files.rehash(ID, Algorithm::Sha256, 5).await,
        Err(FilesError::UploadMissing { .. })
    ));
    files.append(first(Algorithm::Sha256), nothing()).await.unwrap();
}

#[tokio::test]
async fn a_commit_without_its_row_is_taken_back_or_found_again() {
    let (_dir, files) = open();
    let bytes = noise(1000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    files.create_upload(ID).await.unwrap();
    let kept = files
        .append(first(Algorithm::Sha256), body(&bytes, 100))
        .await
        .unwrap();
    let committed = files
        .append_and_commit(after(kept.clone()), nothing(), digest)
        .await
        .unwrap();
    files.shared.protocol.revert_commit(&committed.location).unwrap();
    assert_eq!(list(&files).await, []);
    files
        .append_and_commit(after(kept.clone()), nothing(), digest)
        .await
        .unwrap();
    // As after a kill between rename and row.
    files.rehash(ID, Algorithm::Sha256, kept.offset()).await.unwrap();
    assert_eq!(list(&files).await, []);
    files
        .append_and_commit(after(kept.clone()), nothing(), digest)
        .await
        .unwrap();
    files
        .append_and_commit(after(kept), nothing(), digest)
        .await
        .unwrap();
    assert_eq!(list(&files).await.len(), 1);
}

#[tokio::test]
async fn removing_is_idempotent_and_quarantine_keeps_the_bytes() {
    let (dir, files) = open();
    let bytes = noise(100_000);
    let location = commit(&files, &bytes).await.location;
    files.quarantine(location).await.unwrap();
    assert!(matches!(
        files.quarantine(location).await,
        Err(FilesError::BlobMissing { .. })
    ));
    assert!(matches!(
        files.hash_blob(location).await,
        Err(FilesError::BlobMissing { .. })
    ));
    let kept: Vec<_> = std::fs::read_dir(dir.path().join(QUARANTINE)).unwrap().collect();
    assert_eq!(std::fs::read(kept[0].as_ref().unwrap().path()).unwrap(), bytes);
    let location = commit(&files, &bytes).await.location;
    for _ in 0..2 {
        files.remove_blob(location).await.unwrap();
        files.remove_upload(ID).await.unwrap();
    }
    assert_eq!(list(&files).await, []);
}

#[tokio::test]
async fn foreign_names_are_not_listed() {
    let (dir, _) = open();
    std::fs::create_dir(dir.path().join("blobs/sha256/00")).unwrap();
    let files = BlobFiles::open(&FilesConfig::new(dir.path())).unwrap();
    for name in [
        "blobs/sha256/00/x",
        "blobs/sha256/00/.hidden",
        "uploads/x",
        "blobs/README",
    ] {
        std::fs::write(dir.path().join(name), b"x").unwrap();
    }
    std::fs::create_dir(dir.path().join("uploads").join(ID.as_simple().to_string())).unwrap();
    assert_eq!(list(&files).await, []);
    assert_eq!(files.list_uploads().await.unwrap(), []);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_own_user_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, files) = open();
    let location = commit(&files, &noise(10)).await.location;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join(location.path())), 0o600);
    assert_eq!(mode(&dir.path().join("blobs")), 0o700);
}
