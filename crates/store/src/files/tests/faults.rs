//! Each operation of an upload fails once, through the async way in.

use super::*;
use crate::disk::sim::{Fault, Plan, SimDisk};
use crate::pool::PoolConfig;

/// Creates, appends, appends and commits as the facade would, going on after each error from what is promised.
/// Returns the errors that were met on the way.
async fn push(files: &BlobFiles<SimDisk>, bytes: &Bytes) -> Vec<FilesError> {
    let (mut errors, half) = (Vec::new(), bytes.len() / 2);
    while let Err(error) = files.create_upload(ID).await {
        errors.push(error);
    }
    let kept = loop {
        match files
            .append(first(Algorithm::Sha256), body(&bytes.slice(..half), 20_000))
            .await
        {
            Ok(appended) => break appended,
            Err(AppendError::Files { appended, source }) => {
                errors.push(source);
                if let Some(appended) = appended {
                    // What is said to be durable has the right hash and can be gone on from.
                    let so_far = bytes.slice(..usize::try_from(appended.offset()).unwrap());
                    let hash = appended.into_hasher().finish();
                    assert_eq!(hash, Digest::of(Algorithm::Sha256, &so_far));
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    };
    let digest = Digest::of(Algorithm::Sha256, bytes);
    loop {
        match files
            .append_and_commit(after(kept.clone()), body(&bytes.slice(half..), 20_000), digest)
            .await
        {
            Ok(committed) => break assert_eq!(committed.size, bytes.len() as u64),
            Err(AppendError::Files { source, .. }) => errors.push(source),
            Err(other) => panic!("{other:?}"),
        }
    }
    errors
}

async fn fail_each_operation_once(fault: Fault, check: impl Fn(&FilesError)) {
    let dir = tempfile::tempdir().unwrap();
    let config = FilesConfig {
        hash_pool: PoolConfig::with_threads("test", 1),
        sync_pool: PoolConfig::with_threads("test", 1),
        ..FilesConfig::new(dir.path())
    };
    let formatted = SimDisk::new(0);
    Protocol::open(formatted.clone()).unwrap();
    let bytes = noise(100_000);
    for at in 0.. {
        let disk = formatted.fork(at);
        let files = BlobFiles::open_on(disk.clone(), &config).unwrap();
        disk.plan(Plan {
            error_at: Some((at, fault)),
            ..Plan::default()
        });
        let errors = push(&files, &bytes).await;
        let last = disk.operations() <= at;
        disk.crash();
        let location = Location::new(Digest::of(Algorithm::Sha256, &bytes), ID);
        assert_eq!(
            files.hash_blob(location).await.unwrap(),
            (location.digest(), bytes.len() as u64)
        );
        assert_eq!(list(&files).await.len(), 1);
        match errors.first() {
            Some(error) => check(error),
            None if last => break,
            None => panic!("operation {at} failed and nobody was told"),
        }
    }
}

fn check_full(error: &FilesError) {
    assert!(matches!(error, FilesError::DiskFull { .. }), "{error:?}");
}

#[tokio::test]
async fn a_full_disk_is_named_at_every_operation_and_loses_nothing() {
    fail_each_operation_once(Fault::NoSpace, check_full).await;
}

#[tokio::test]
async fn a_spent_quota_is_a_full_disk() {
    fail_each_operation_once(Fault::NoQuota, check_full).await;
}

#[tokio::test]
async fn a_broken_disk_is_told_at_every_operation_and_loses_nothing() {
    let check = |error: &FilesError| assert!(matches!(error, FilesError::Io { .. }), "{error:?}");
    fail_each_operation_once(Fault::Broken, check).await;
}
