//! The pull log.

use super::*;
use crate::testing::{Kit, sha256};

fn note(repo: &str, at: i64) -> PullNote {
    PullNote {
        repo: repo.parse().unwrap(),
        digest: sha256(repo.as_bytes()),
        principal: Some("node".parse().unwrap()),
        class: PullClass::Node,
        at: Timestamp(at),
    }
}

/// All that is left, the newest first.
async fn all(kit: &Kit, root: &access::SystemPermit) -> Vec<PullEntry> {
    let page = kit.store.pulls(root, &PullFilter::default(), None, 100).await;
    page.unwrap().items
}

#[tokio::test]
async fn notes_are_written_in_batches_and_listed() {
    let mut kit = Kit::new().await;
    let root = kit.administrator("root").await;
    let before = kit.store.metrics().database_calls;
    for number in 0..100 {
        kit.store
            .note_pull(note(if number % 2 == 0 { "even" } else { "odd" }, number));
    }
    assert_eq!(
        kit.store.metrics().database_calls,
        before,
        "taking a note asks no database"
    );
    kit.restart().await;
    let all = kit
        .store
        .pulls(&root, &PullFilter::default(), None, 1_000)
        .await
        .unwrap();
    assert_eq!(all.items.len(), 100, "what was queued is written on the way out");
    assert_eq!(all.items[0].note, note("odd", 99));
    let filter = PullFilter {
        repo: Some("even".parse().unwrap()),
        digest: Some(sha256(b"even")),
        since: Some(Timestamp(50)),
    };
    let page = kit.store.pulls(&root, &filter, None, 10).await.unwrap();
    assert_eq!((page.items.len(), page.more), (10, true));
    let rest = kit
        .store
        .pulls(&root, &filter, page.items.last().map(|entry| entry.seq), 100)
        .await
        .unwrap();
    assert_eq!((rest.items.len(), rest.more), (15, false));
}

#[tokio::test]
async fn whoever_follows_what_is_written_is_not_woken_by_pulls() {
    let kit = Kit::new().await;
    let mut writes = kit.store.writes();
    kit.store.insert_pulls(vec![note("r", 1)].into()).await.unwrap();
    assert!(!writes.has_changed().unwrap());
    kit.administrator("root").await;
    assert!(writes.has_changed().unwrap());
    writes.mark_unchanged();
    kit.store.insert_pulls(vec![note("r", 2)].into()).await.unwrap();
    assert!(!writes.has_changed().unwrap());
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let kit = Kit::with(|limits| limits.pull_log_queue = 4).await;
    for at in 0..10 {
        kit.store.note_pull(note("r", at));
    }
    assert_eq!(kit.store.metrics().pull_notes_dropped, 6);
}

#[tokio::test]
async fn the_log_is_capped_in_rows_and_age() {
    let mut kit = Kit::with(|limits| limits.pull_log_rows = 10).await;
    let root = kit.administrator("root").await;
    let now = kit.store.now();
    for number in 0..30 {
        kit.store.note_pull(note("r", now.micros() + number));
    }
    kit.restart().await;
    assert_eq!(kit.store.trim_pulls(7).await.unwrap(), 7, "a little at a time");
    kit.collect().await;
    let left = all(&kit, &root).await;
    assert_eq!(left.len(), 10);
    assert_eq!(left[9].note.at, Timestamp(now.micros() + 20));
    kit.advance(Duration::from_hours(91 * 24));
    kit.collect().await;
    assert!(all(&kit, &root).await.is_empty());
}

/// A pull storm must not make what runs look as if nobody used it.
#[tokio::test]
async fn what_was_pulled_lately_stays_known_whatever_else_is_pulled() {
    let mut kit = Kit::with(|limits| limits.pull_log_rows = 10).await;
    let root = kit.administrator("root").await;
    let now = kit.store.now().micros();
    for (number, repo) in ["a", "b", "c"].into_iter().enumerate() {
        kit.store
            .note_pull(note(repo, now + i64::try_from(number).unwrap()));
    }
    let looked = PullNote {
        class: PullClass::Inspection,
        ..note("d", now + 5)
    };
    kit.store.note_pull(looked);
    for number in 0..200 {
        kit.store.note_pull(note("storm", now + 10 + number));
    }
    kit.restart().await;
    kit.collect_all().await;
    kit.collect_all().await;
    let since = Timestamp(now);
    for (repo, is_known) in [
        ("a", true),
        ("b", true),
        ("c", true),
        ("storm", true),
        ("d", false),
    ] {
        let (name, digest) = (repo.parse().unwrap(), sha256(repo.as_bytes()));
        let pulled = kit.store.was_pulled_since(&name, &digest, since).await;
        assert_eq!(pulled.unwrap(), is_known, "{repo}");
    }
    let left = all(&kit, &root).await;
    assert_eq!(left.len(), 13);

    // As many images as that are not remembered either.
    for number in 0..40_i64 {
        kit.store
            .note_pull(note(&format!("r{number}"), now + 1_000 + number));
    }
    kit.restart().await;
    for _ in 0..20 {
        kit.collect_all().await;
    }
    let left = all(&kit, &root).await;
    assert_eq!(left.len(), 20);
    assert_eq!(left[19].note.repo.as_str(), "r20");
}

#[tokio::test]
async fn notes_outlive_a_database_that_is_away() {
    let kit = Kit::new().await;
    let root = kit.administrator("root").await;
    let (file, aside) = (kit.path().join("roadbed.db"), kit.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    for number in 0..10 {
        kit.store.note_pull(note("away", number));
    }
    while kit.store.condition().writes.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::rename(&aside, &file).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while kit.store.condition().writes.is_some() || all(&kit, &root).await.len() < 10 {
        assert!(tokio::time::Instant::now() < deadline, "they were not written");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(kit.store.metrics().pull_notes_dropped, 0);
}

#[tokio::test]
async fn a_store_that_is_closed_without_its_database_ends() {
    let kit = Kit::new().await;
    let (file, aside) = (kit.path().join("roadbed.db"), kit.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    kit.store.note_pull(note("away", 1));
    while kit.store.condition().writes.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let closed = tokio::time::timeout(Duration::from_secs(20), kit.store.close()).await;
    let _ = closed.expect("it ends");
}
