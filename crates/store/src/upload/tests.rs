//! Upload sessions: order, resumption, limits, and who may continue them.

use std::time::Duration;

use access::Role;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc;

use super::*;
use crate::testing::{Kit, body, broken_body, no_body, sha256};

mod model;

/// A body that ends when the sender is dropped.
fn slow_body() -> (
    mpsc::Sender<Bytes>,
    impl Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static,
) {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(4);
    (
        sender,
        stream::poll_fn(move |context| receiver.poll_recv(context)).map(Ok),
    )
}

#[tokio::test]
async fn chunks_become_a_blob() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "team/app");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    assert_eq!(id.to_string().parse::<UploadId>().unwrap(), id);
    assert_eq!(
        kit.store
            .append_upload(&permit, &id, Some(0), body(b"hello "))
            .await
            .unwrap(),
        6
    );
    assert_eq!(
        kit.store
            .append_upload(&permit, &id, None, body(b"wor"))
            .await
            .unwrap(),
        9
    );
    assert_eq!(kit.store.upload_status(&permit, &id).await.unwrap().offset, 9);
    let expect = sha256(b"hello world");
    let info = kit
        .store
        .finish_upload(&permit, &id, Some(9), body(b"ld"), &expect)
        .await
        .unwrap();
    assert_eq!(
        info,
        BlobInfo {
            digest: expect,
            size: 11
        }
    );
    assert_eq!(
        kit.read_blob(&ci, "team/app", &expect).await.unwrap(),
        b"hello world"
    );
    assert!(matches!(
        kit.store.upload_status(&permit, &id).await,
        Err(UploadError::Unknown)
    ));
    let metrics = kit.store.metrics();
    assert_eq!((metrics.uploads_open, metrics.upload_bytes), (0, 0));
}

#[tokio::test]
async fn a_chunk_out_of_order_changes_nothing() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    kit.store
        .append_upload(&permit, &id, Some(0), body(b"1234"))
        .await
        .unwrap();
    for at in [0, 3, 5, u64::MAX] {
        let refused = kit
            .store
            .append_upload(&permit, &id, Some(at), body(b"x"))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, UploadError::OutOfOrder { expected: 4, got } if got == at),
            "{refused}"
        );
    }
    assert_eq!(kit.store.upload_status(&permit, &id).await.unwrap().offset, 4);
    let expect = sha256(b"1234");
    kit.store
        .finish_upload(&permit, &id, None, no_body(), &expect)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_wrong_digest_ends_the_session_and_stores_nothing() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    let wrong = sha256(b"something else");
    let refused = kit
        .store
        .finish_upload(&permit, &id, None, body(b"data"), &wrong)
        .await
        .unwrap_err();
    let actual = sha256(b"data");
    assert!(
        matches!(refused, UploadError::DigestMismatch { actual: found, .. } if found == actual),
        "{refused}"
    );
    assert!(matches!(
        kit.store.upload_status(&permit, &id).await,
        Err(UploadError::Unknown)
    ));
    let refused = kit
        .store
        .push_blob(&permit, &wrong, body(b"data"))
        .await
        .unwrap_err();
    assert!(matches!(refused, UploadError::DigestMismatch { .. }), "{refused}");
    for digest in [wrong, actual] {
        assert!(kit.read_blob(&ci, "r", &digest).await.is_none());
    }
    assert_eq!(kit.store.metrics().upload_bytes, 0);
    assert!(
        std::fs::read_dir(kit.path().join("uploads"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[tokio::test]
async fn what_arrived_before_the_line_broke_is_kept() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    let broken = kit
        .store
        .append_upload(&permit, &id, None, broken_body(b"12345"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            broken,
            UploadError::Interrupted {
                offset: 5,
                source: BodyError::Disconnected
            }
        ),
        "{broken}"
    );
    let broken = kit
        .store
        .finish_upload(&permit, &id, Some(5), broken_body(b"67"), &sha256(b"x"))
        .await;
    assert!(matches!(broken, Err(UploadError::Interrupted { offset: 7, .. })));
    assert_eq!(kit.store.metrics().upload_bytes, 7);
    let expect = sha256(b"12345678");
    kit.store
        .finish_upload(&permit, &id, Some(7), body(b"8"), &expect)
        .await
        .unwrap();
    assert_eq!(kit.read_blob(&ci, "r", &expect).await.unwrap(), b"12345678");
}

#[tokio::test]
async fn an_interrupted_monolithic_push_leaves_nothing() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let broken = kit
        .store
        .push_blob(&permit, &sha256(b"12345"), broken_body(b"123"))
        .await
        .unwrap_err();
    assert!(
        matches!(broken, UploadError::Interrupted { offset: 0, .. }),
        "{broken}"
    );
    assert_eq!(kit.store.metrics().upload_bytes, 0);
    assert_eq!(kit.store.metrics().uploads_open, 0);
    assert!(
        std::fs::read_dir(kit.path().join("uploads"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[tokio::test]
async fn a_dropped_request_still_keeps_what_it_brought() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    let (sender, body) = slow_body();
    sender.send(Bytes::from_static(b"123")).await.unwrap();
    let request = kit.store.append_upload(&permit, &id, None, body);
    let dropped = tokio::time::timeout(Duration::from_millis(100), request).await;
    assert!(dropped.is_err(), "the request was still waiting for more");
    drop(sender);
    let mut offset = 0;
    for _ in 0..200 {
        offset = kit.store.upload_status(&permit, &id).await.unwrap().offset;
        if offset == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(offset, 3);
}

#[tokio::test]
async fn one_request_writes_at_a_time() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    let (sender, slow) = slow_body();
    sender.send(Bytes::from_static(b"first")).await.unwrap();
    let (store, first_permit) = (kit.store.clone(), permit.clone());
    let first = tokio::spawn(async move { store.append_upload(&first_permit, &id, None, slow).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = kit.store.append_upload(&permit, &id, None, body(b"second")).await;
    assert!(matches!(second, Err(UploadError::Busy)));
    assert!(matches!(
        kit.store.cancel_upload(&permit, &id).await,
        Err(UploadError::Busy)
    ));
    drop(sender);
    assert_eq!(first.await.unwrap().unwrap(), 5);
    assert_eq!(
        kit.store
            .append_upload(&permit, &id, Some(5), body(b"second"))
            .await
            .unwrap(),
        11
    );
}

#[tokio::test]
async fn only_its_principal_and_administrators_continue_a_session() {
    let kit = Kit::new().await;
    let (ci, other) = (kit.all("ci").await, kit.all("other").await);
    let admin = kit.administrator("root").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    let foreign = [
        kit.push(&other, "r"),
        kit.push(&ci, "elsewhere"),
        kit.push(&access::Caller::clone(&other), "r"),
    ];
    for permit in foreign {
        assert!(matches!(
            kit.store.upload_status(&permit, &id).await,
            Err(UploadError::Unknown)
        ));
        let appended = kit.store.append_upload(&permit, &id, None, body(b"x")).await;
        assert!(matches!(appended, Err(UploadError::Unknown)));
        let finished = kit
            .store
            .finish_upload(&permit, &id, None, no_body(), &sha256(b""))
            .await;
        assert!(matches!(finished, Err(UploadError::Unknown)));
        assert!(matches!(
            kit.store.cancel_upload(&permit, &id).await,
            Err(UploadError::Unknown)
        ));
    }
    let by_admin = kit.push(admin.caller(), "r");
    kit.store
        .append_upload(&by_admin, &id, None, body(b"x"))
        .await
        .unwrap();
    kit.store.cancel_upload(&permit, &id).await.unwrap();
    assert!(matches!(
        kit.store.cancel_upload(&permit, &id).await,
        Err(UploadError::Unknown)
    ));
    assert_eq!(kit.store.metrics().upload_bytes, 0);
}

#[test]
fn ids_that_are_none_are_unknown() {
    for text in [
        "",
        "x",
        "../../etc/passwd",
        "{0192f0c1-2345-7890-abcd-ef0123456789}",
        "0192f0c123457890abcdef0123456789",
        "0192F0C1-2345-7890-ABCD-EF0123456789",
        "0192f0c1-2345-7890-abcd-eF0123456789",
    ] {
        assert!(
            matches!(text.parse::<UploadId>(), Err(UploadError::Unknown)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let mut kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let id = kit
        .store
        .start_upload(&kit.push(&ci, "r"), Algorithm::Sha512)
        .await
        .unwrap();
    kit.store
        .append_upload(&kit.push(&ci, "r"), &id, None, body(b"before "))
        .await
        .unwrap();
    // What was written but never promised is cut off.
    let file = kit.path().join("uploads").join(id.0.as_simple().to_string());
    let mut content = std::fs::read(&file).unwrap();
    content.extend_from_slice(b"torn tail");
    std::fs::write(&file, content).unwrap();
    kit.restart().await;
    let permit = kit.push(&ci, "r");
    let status = kit.store.upload_status(&permit, &id).await.unwrap();
    assert_eq!((status.offset, status.algorithm), (7, Algorithm::Sha512));
    assert_eq!(kit.store.metrics().upload_bytes, 7);
    let expect = Digest::of(Algorithm::Sha512, b"before after");
    kit.store
        .finish_upload(&permit, &id, Some(7), body(b"after"), &expect)
        .await
        .unwrap();
    assert_eq!(kit.read_blob(&ci, "r", &expect).await.unwrap(), b"before after");
}

#[tokio::test]
async fn a_session_that_lost_its_bytes_is_dropped() {
    let mut kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let id = kit
        .store
        .start_upload(&kit.push(&ci, "r"), Algorithm::Sha256)
        .await
        .unwrap();
    kit.store
        .append_upload(&kit.push(&ci, "r"), &id, None, body(b"1234"))
        .await
        .unwrap();
    std::fs::remove_file(kit.path().join("uploads").join(id.0.as_simple().to_string())).unwrap();
    kit.restart().await;
    let permit = kit.push(&ci, "r");
    let lost = kit.store.append_upload(&permit, &id, Some(4), body(b"5")).await;
    assert!(matches!(lost, Err(UploadError::Unknown)));
    assert!(matches!(
        kit.store.upload_status(&permit, &id).await,
        Err(UploadError::Unknown)
    ));
}

#[tokio::test]
async fn the_digest_may_be_of_the_other_algorithm() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    kit.store
        .append_upload(&permit, &id, None, body(b"12"))
        .await
        .unwrap();
    let expect = Digest::of(Algorithm::Sha512, b"1234");
    kit.store
        .finish_upload(&permit, &id, None, body(b"34"), &expect)
        .await
        .unwrap();
    assert_eq!(kit.read_blob(&ci, "r", &expect).await.unwrap(), b"1234");
}

#[tokio::test]
async fn sessions_of_one_principal_are_capped() {
    let kit = Kit::with(|limits| limits.uploads_per_principal = 2).await;
    let (ci, other) = (kit.all("ci").await, kit.all("other").await);
    let permit = kit.push(&ci, "r");
    let first = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    let refused = kit.store.start_upload(&permit, Algorithm::Sha256).await;
    assert!(matches!(refused, Err(UploadError::TooManySessions { limit: 2 })));
    let refused = kit.store.push_blob(&permit, &sha256(b"x"), body(b"x")).await;
    assert!(matches!(refused, Err(UploadError::TooManySessions { limit: 2 })));
    kit.store
        .start_upload(&kit.push(&other, "r"), Algorithm::Sha256)
        .await
        .unwrap();
    kit.store.cancel_upload(&permit, &first).await.unwrap();
    kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
}

#[tokio::test]
async fn bytes_of_open_sessions_are_capped() {
    let kit = Kit::with(|limits| limits.upload_bytes_per_principal = 10).await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let (a, b) = (
        kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap(),
        kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap(),
    );
    kit.store
        .append_upload(&permit, &a, None, body(b"123456"))
        .await
        .unwrap();
    let refused = kit.store.append_upload(&permit, &b, None, body(b"123456")).await;
    assert!(matches!(refused, Err(UploadError::TooManyBytes { limit: 10 })));
    // The half of it that fit is there.
    assert_eq!(kit.store.upload_status(&permit, &b).await.unwrap().offset, 3);
    assert_eq!(kit.store.metrics().upload_bytes, 9);
    kit.store
        .finish_upload(&permit, &a, None, no_body(), &sha256(b"123456"))
        .await
        .unwrap();
    kit.store
        .append_upload(&permit, &b, Some(3), body(b"4567"))
        .await
        .unwrap();
    assert_eq!(kit.store.metrics().upload_bytes, 7);
}

#[tokio::test]
async fn a_blob_may_be_so_large() {
    let kit = Kit::with(|limits| limits.blob_bytes = 4).await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"1234").await.unwrap();
    let refused = kit.push_blob(&ci, "r", b"12345").await;
    assert!(matches!(refused, Err(UploadError::TooLarge { limit: 4 })));
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    kit.store
        .append_upload(&permit, &id, None, body(b"123"))
        .await
        .unwrap();
    let refused = kit.store.append_upload(&permit, &id, None, body(b"45")).await;
    assert!(matches!(refused, Err(UploadError::TooLarge { limit: 4 })));
}

#[tokio::test]
async fn a_full_repository_takes_no_upload() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"1234").await.unwrap();
    kit.rule(
        "r",
        crate::Rules {
            quota_bytes: Some(6),
            ..crate::Rules::default()
        },
    )
    .await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    let refused = kit
        .store
        .finish_upload(&permit, &id, None, body(b"567"), &sha256(b"567"))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, UploadError::Quota(quota) if quota.wanted == 7),
        "{refused}"
    );
    assert!(kit.read_blob(&ci, "r", &sha256(b"567")).await.is_none());
    assert!(matches!(
        kit.store.upload_status(&permit, &id).await,
        Err(UploadError::Unknown)
    ));
    kit.push_blob(&ci, "r", b"56").await.unwrap();
    let refused = kit.store.start_upload(&permit, Algorithm::Sha256).await;
    assert!(matches!(refused, Err(UploadError::Quota(_))));
    assert_eq!(kit.store.metrics().upload_bytes, 0);
}

#[tokio::test]
async fn sessions_that_nobody_continues_expire() {
    let kit = Kit::with(|limits| limits.upload_lifetime = Duration::from_mins(1)).await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    kit.advance(Duration::from_secs(59));
    kit.store
        .append_upload(&permit, &id, None, body(b"12"))
        .await
        .unwrap();
    kit.advance(Duration::from_secs(59));
    assert_eq!(kit.store.expire_uploads(10).await.unwrap(), 0);
    kit.advance(Duration::from_secs(1));
    assert!(matches!(
        kit.store.upload_status(&permit, &id).await,
        Err(UploadError::Unknown)
    ));
    assert_eq!(kit.store.expire_uploads(10).await.unwrap(), 1);
    assert_eq!(kit.store.metrics().upload_bytes, 0);
    assert!(
        std::fs::read_dir(kit.path().join("uploads"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[tokio::test]
async fn many_pushes_of_one_blob_leave_one_file() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let (store, permit) = (kit.store.clone(), kit.push(&ci, &format!("r{number}")));
            tokio::spawn(async move { store.push_blob(&permit, &sha256(b"same"), body(b"same")).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut listing = kit.store.inner.files.list_blobs();
    let mut files = 0;
    while let Some(entries) = listing.next().await {
        files += entries.unwrap().len();
    }
    assert_eq!(files, 1);
    for number in 0..8 {
        assert_eq!(
            kit.read_blob(&ci, &format!("r{number}"), &sha256(b"same"))
                .await
                .unwrap(),
            b"same"
        );
    }
    kit.robot("reader", &[Role::Pull], "r0").await;
}

#[tokio::test]
async fn hash_states_beyond_the_bound_are_computed_again() {
    let kit = Kit::with(|limits| limits.upload_hashers = 1).await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let mut ids = Vec::new();
    for number in 0..5_u8 {
        let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
        kit.store
            .append_upload(&permit, &id, None, body(&[number; 10]))
            .await
            .unwrap();
        ids.push(id);
    }
    assert!(kit.store.inner.uploads.kept_hashers() <= 1);
    for (id, number) in ids.iter().zip(0..) {
        let expect = sha256(&[number; 10]);
        kit.store
            .finish_upload(&permit, id, Some(10), no_body(), &expect)
            .await
            .unwrap();
    }
}
