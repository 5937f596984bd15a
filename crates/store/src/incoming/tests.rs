use std::time::Duration;

use access::permit::Pull;
use access::{Caller, Permit, Role};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::*;
use crate::testing::{Kit, body, sha256};

const REPO: &str = "hub/library/app";

async fn kit() -> (Kit, Caller) {
    let kit = Kit::new().await;
    let node = kit.robot("node", &[Role::Pull], "**").await;
    (kit, node)
}

fn intake(kit: &Kit, caller: &Caller) -> Intake {
    let permit: Permit<Pull> = kit.pull(caller, REPO);
    Intake::new(&permit, "https://upstream.example".into())
}

async fn read(stream: impl Stream<Item = io::Result<Bytes>> + Unpin) -> (Vec<u8>, bool) {
    let mut stream = stream;
    let mut bytes = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(_) => return (bytes, false),
        }
    }
    (bytes, true)
}

/// Bytes that no two places have alike.
fn content(len: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at * 31 + at / 251) % 256).unwrap_or_default();
    (0..len).map(byte).collect()
}

#[tokio::test]
async fn a_blob_is_read_while_it_comes_and_its_end_when_it_is_right() {
    let (kit, node) = kit().await;
    let bytes = content(3_000_000);
    let size = bytes.len() as u64;
    let landing = kit
        .store
        .begin_intake(intake(&kit, &node), sha256(&bytes), Some(size))
        .await
        .unwrap();
    let incoming = landing.incoming().clone();
    let mut early = incoming.stream(0..size);
    let (sender, mut receiver) = mpsc::channel::<Result<Bytes, BodyError>>(1);
    let upstream = stream::poll_fn(move |context| receiver.poll_recv(context));
    let store = kit.store.clone();
    let landed = tokio::spawn(async move { store.land(landing, upstream).await });

    sender
        .send(Ok(Bytes::copy_from_slice(&bytes[..100_000])))
        .await
        .unwrap();
    let first = early.next().await.unwrap().unwrap();
    assert!(bytes.starts_with(&first), "the first bytes come at once");
    let mut got = first.to_vec();
    drop(first);
    sender
        .send(Ok(Bytes::copy_from_slice(&bytes[100_000..])))
        .await
        .unwrap();
    while got.len() < bytes.len() - 1024 {
        got.extend_from_slice(&early.next().await.unwrap().unwrap());
    }
    let waits = tokio::time::timeout(Duration::from_millis(100), early.next()).await;
    assert!(waits.is_err(), "the last bytes wait for the digest");
    drop(sender);
    assert_eq!(landed.await.unwrap().unwrap().size, size);
    let (rest, is_whole) = read(early).await;
    got.extend(rest);
    assert!(is_whole && got == bytes);
    assert_eq!(kit.read_blob(&node, REPO, &sha256(&bytes)).await.unwrap(), bytes);
}

#[tokio::test]
async fn ranges_are_read_along_too() {
    let (kit, node) = kit().await;
    let bytes = content(200_000);
    let size = bytes.len() as u64;
    let landing = kit
        .store
        .begin_intake(intake(&kit, &node), sha256(&bytes), Some(size))
        .await
        .unwrap();
    let middle = landing.incoming().stream(70_000..90_000);
    let end = landing.incoming().stream(199_999..size + 7);
    kit.store.land(landing, body(&bytes)).await.unwrap();
    assert_eq!(read(middle).await, (bytes[70_000..90_000].to_vec(), true));
    assert_eq!(read(end).await, (bytes[199_999..].to_vec(), true));
}

#[tokio::test]
async fn a_wrong_digest_is_never_kept_and_never_read_to_its_end() {
    let (kit, node) = kit().await;
    let (bytes, promised) = (content(100_000), sha256(b"something else"));
    let size = bytes.len() as u64;
    let landing = kit
        .store
        .begin_intake(intake(&kit, &node), promised, Some(size))
        .await
        .unwrap();
    let reader = tokio::spawn(read(landing.incoming().stream(0..size)));
    let part = tokio::spawn(read(landing.incoming().stream(0..50_000)));
    let error = kit.store.land(landing, body(&bytes)).await.unwrap_err();
    assert!(matches!(error, UploadError::DigestMismatch { .. }), "{error}");
    let (got, is_whole) = reader.await.unwrap();
    assert!(!is_whole && got.len() <= bytes.len() - 1024, "{}", got.len());
    let (got, is_whole) = part.await.unwrap();
    assert!(!is_whole && got.len() < 50_000, "a part of it is no better");
    assert_eq!(kit.read_blob(&node, REPO, &promised).await, None);
    assert_eq!(kit.read_blob(&node, REPO, &sha256(&bytes)).await, None);
    assert_eq!(std::fs::read_dir(kit.path().join("uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_longer_or_shorter_than_it_should_be_is_not_taken() {
    let (kit, node) = kit().await;
    let bytes = content(10_000);
    for size in [9_999, 10_001] {
        let landing = kit
            .store
            .begin_intake(intake(&kit, &node), sha256(&bytes), Some(size))
            .await
            .unwrap();
        let reader = landing.incoming().stream(0..size);
        kit.store.land(landing, body(&bytes)).await.unwrap_err();
        assert!(!read(reader).await.1, "{size}");
    }
    assert_eq!(kit.read_blob(&node, REPO, &sha256(&bytes)).await, None);
    let limit = kit.store.limits().blob_bytes;
    let too_large = kit
        .store
        .begin_intake(intake(&kit, &node), sha256(&bytes), Some(limit + 1))
        .await;
    assert!(matches!(too_large, Err(UploadError::TooLarge { .. })));
}

#[tokio::test]
async fn who_reads_along_is_told_when_nobody_brings_it_in_any_more() {
    let (kit, node) = kit().await;
    let digest = sha256(b"app");
    let landing = kit
        .store
        .begin_intake(intake(&kit, &node), digest, Some(3))
        .await
        .unwrap();
    let reader = landing.incoming().stream(0..3);
    drop(landing);
    assert_eq!(read(reader).await, (Vec::new(), false));
}

#[tokio::test]
async fn without_a_size_and_without_bytes() {
    let (kit, node) = kit().await;
    for (bytes, size) in [(content(5_000), None), (Vec::new(), Some(0)), (Vec::new(), None)] {
        let landing = kit
            .store
            .begin_intake(intake(&kit, &node), sha256(&bytes), size)
            .await
            .unwrap();
        let reader = landing.incoming().stream(0..size.unwrap_or(0));
        kit.store.land(landing, body(&bytes)).await.unwrap();
        assert_eq!(read(reader).await, (Vec::new(), true));
        assert_eq!(kit.read_blob(&node, REPO, &sha256(&bytes)).await.unwrap(), bytes);
    }
}
