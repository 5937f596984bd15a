//! Bounds of uploads, each exceeded.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn a_blob_over_its_limit_is_refused_and_what_fits_is_kept() {
    let (_dir, files) = open();
    let bytes = noise(3 * MIB);
    files.create_upload(ID).await.unwrap();
    for (max_len, frame) in [(2 * MIB + 1, 4 * MIB), (100, 1), (0, 100), (3 * MIB - 1, MIB)] {
        let part = Part {
            max_len: max_len as u64,
            ..first(Algorithm::Sha256)
        };
        let error = files.append(part, body(&bytes, frame)).await.unwrap_err();
        let AppendError::TooLarge { appended, limit } = error else {
            panic!("{error:?}")
        };
        assert_eq!((appended.offset(), limit), (max_len as u64, max_len as u64));
        let hash = appended.into_hasher().finish();
        assert_eq!(hash, Digest::of(Algorithm::Sha256, &bytes.slice(..max_len)));
    }
    let part = Part {
        max_len: bytes.len() as u64,
        ..first(Algorithm::Sha256)
    };
    files.append(part, body(&bytes, MIB)).await.unwrap();
}

#[tokio::test]
async fn an_upload_belongs_to_one_request_at_a_time() {
    let (_dir, files) = open();
    files.create_upload(ID).await.unwrap();
    let slow = stream::once(Box::pin(std::future::pending::<Result<Bytes, Gone>>()));
    let other = files.clone();
    let first_request = tokio::spawn(async move { other.append(first(Algorithm::Sha256), slow).await });
    let in_use = || files.append(first(Algorithm::Sha256), nothing());
    while !files.shared.in_use.lock().unwrap().contains(&ID) {
        tokio::task::yield_now().await;
    }
    let error = in_use().await.unwrap_err();
    assert!(
        matches!(
            error,
            AppendError::Files {
                source: FilesError::InUse { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(matches!(
        files.remove_upload(ID).await,
        Err(FilesError::InUse { .. })
    ));
    first_request.abort();
    assert!(first_request.await.unwrap_err().is_cancelled());
    while in_use().await.is_err() {
        // A job of the first request may still hold it for a moment.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dropped_append_leaves_what_was_promised() {
    let (_dir, files) = open();
    let bytes = noise(3 * MIB);
    files.create_upload(ID).await.unwrap();
    let kept = files
        .append(first(Algorithm::Sha256), body(&bytes.slice(..MIB), MIB))
        .await
        .unwrap();
    let endless = body(&bytes, 70_000).chain(stream::once(Box::pin(std::future::pending())));
    let dropped = tokio::time::timeout(
        Duration::from_millis(30),
        files.append(after(kept.clone()), endless),
    );
    assert!(dropped.await.is_err());
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    loop {
        // A batch on its way still holds the upload for a moment.
        match files
            .append_and_commit(after(kept.clone()), body(&bytes.slice(MIB..), MIB), digest)
            .await
        {
            Ok(_) => break,
            Err(AppendError::Files {
                source: FilesError::InUse { .. },
                ..
            }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn with_budget(budget: usize, budget_wait: Duration) -> (TempDir, BlobFiles) {
    let dir = tempfile::tempdir().unwrap();
    let config = FilesConfig {
        budget,
        budget_wait,
        ..FilesConfig::new(dir.path())
    };
    let files = BlobFiles::open(&config).unwrap();
    (dir, files)
}

#[tokio::test]
async fn a_spent_budget_refuses_after_the_wait_and_keeps_what_is_promised() {
    let (_dir, files) = with_budget(100_000, Duration::from_millis(20));
    files.create_upload(ID).await.unwrap();
    let kept = files
        .append(first(Algorithm::Sha256), body(&noise(500), 500))
        .await
        .unwrap();
    let all = Arc::clone(&files.shared.budget.0)
        .try_acquire_many_owned(100_000)
        .unwrap();
    let error = files
        .append(after(kept.clone()), body(&noise(500), 500))
        .await
        .unwrap_err();
    let AppendError::Files {
        appended: Some(appended),
        source: FilesError::Busy { .. },
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(appended.offset(), 500);
    drop(all);
    // Frames larger than the whole budget get through alone.
    files
        .append(after(kept), body(&noise(300_000), 300_000))
        .await
        .unwrap();
    assert_eq!(
        files.shared.budget.0.available_permits(),
        100_000,
        "every share came back"
    );
}

#[tokio::test]
async fn senders_that_stall_do_not_sit_on_the_budget() {
    let (_dir, files) = with_budget(100_000, Duration::from_mins(1));
    let mut stalled = Vec::new();
    for n in 0..20 {
        let (files, part) = (
            files.clone(),
            Part {
                id: Uuid::from_u128(100 + n),
                ..first(Algorithm::Sha256)
            },
        );
        files.create_upload(part.id).await.unwrap();
        let body = body(&noise(30_000), 30_000).chain(stream::once(Box::pin(std::future::pending())));
        stalled.push(tokio::spawn(
            async move { files.append(part, body).await.map(drop) },
        ));
    }
    let begun = Instant::now();
    commit(&files, &noise(3 * MIB)).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    stalled.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn tiny_frames_are_gathered() {
    let (_dir, files) = open();
    let committed = commit(&files, &noise(10)).await;
    files.remove_blob(committed.location).await.unwrap();
    files.create_upload(ID).await.unwrap();
    let bytes = noise(200_000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    // One by one, then of sizes around every threshold.
    let sizes = std::iter::repeat_n(1, 100_000).chain([8191, 8192, 8193, 1, 65_535, 1, 8192, 1, 693]);
    let mut rest = bytes.clone();
    let frames: Vec<Result<Bytes, Infallible>> = sizes.map(|size| Ok(rest.split_to(size))).collect();
    assert_eq!(rest.len(), 200_000 - 100_000 - 98_999);
    let all = stream::iter(frames).chain(stream::iter([Ok(rest)]));
    files
        .append_and_commit(first(Algorithm::Sha256), all, digest)
        .await
        .unwrap();
}

#[tokio::test]
async fn after_closing_nothing_is_accepted() {
    let (_dir, files) = open();
    files.create_upload(ID).await.unwrap();
    files.close().await;
    let error = files
        .append(first(Algorithm::Sha256), nothing())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            AppendError::Files {
                source: FilesError::Pool(_),
                ..
            }
        ),
        "{error:?}"
    );
}
