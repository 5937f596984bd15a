//! The cache under races: what was acknowledged is never contradicted.

use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::time::Duration;

use super::*;

fn key(name: &str) -> Key {
    Key::tag(&"r".parse().unwrap(), &name.parse().unwrap())
}

#[tokio::test]
async fn what_is_there_is_not_loaded_again_and_unknown_is_not_kept() {
    let (cache, epochs) = (Cache::<u32>::new(1 << 20, size_of_val), Epochs::new());
    let loads = AtomicUsize::new(0);
    let load = |value: Option<u32>| {
        loads.fetch_add(1, Ordering::Relaxed);
        async move { Ok(value) }
    };
    for _ in 0..3 {
        assert_eq!(
            cache
                .get_or_load(&epochs, key("a"), || load(Some(1)))
                .await
                .unwrap(),
            Some(1)
        );
        assert_eq!(
            cache.get_or_load(&epochs, key("b"), || load(None)).await.unwrap(),
            None
        );
    }
    assert_eq!(loads.load(Ordering::Relaxed), 1 + 3);
    epochs.bump(key("a"));
    assert_eq!(
        cache
            .get_or_load(&epochs, key("a"), || load(Some(2)))
            .await
            .unwrap(),
        Some(2)
    );
    epochs.bump_all();
    assert_eq!(
        cache
            .get_or_load(&epochs, key("a"), || load(Some(3)))
            .await
            .unwrap(),
        Some(3)
    );
    let failed = cache
        .get_or_load(&epochs, key("c"), || async { Err(StoreError::Busy) })
        .await;
    assert!(matches!(failed, Err(StoreError::Busy)));
}

#[tokio::test]
async fn a_load_is_known_while_it_lasts_and_ends_in_time() {
    let cache = Cache::<u32>::new(1 << 20, size_of_val).waiting(Duration::from_millis(50));
    let epochs = Epochs::new();
    let hangs = cache.get_or_load(&epochs, key("a"), std::future::pending);
    let (failed, ()) = tokio::join!(hangs, async {
        tokio::task::yield_now().await;
        assert!(cache.is_loading(key("a")) && !cache.is_loading(key("b")));
    });
    assert!(matches!(failed, Err(StoreError::Busy)), "{failed:?}");
    assert!(!cache.is_loading(key("a")));
    let loaded = cache
        .get_or_load(&epochs, key("a"), || async { Ok(Some(7)) })
        .await;
    assert_eq!(loaded.unwrap(), Some(7));
}

#[tokio::test]
async fn many_who_ask_at_once_cause_one_load() {
    let (cache, epochs) = (
        Arc::new(Cache::<u32>::new(1 << 20, size_of_val)),
        Arc::new(Epochs::new()),
    );
    let loads = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (cache, epochs, loads) = (Arc::clone(&cache), Arc::clone(&epochs), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = || async {
                    loads.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok(Some(7))
                };
                cache.get_or_load(&epochs, key("a"), load).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Some(7));
    }
    assert_eq!(loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_load_that_began_before_a_write_does_not_outlive_it() {
    let (cache, epochs) = (
        Arc::new(Cache::<u32>::new(1 << 20, size_of_val)),
        Arc::new(Epochs::new()),
    );
    let (slow_cache, slow_epochs) = (Arc::clone(&cache), Arc::clone(&epochs));
    let (started, go) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(tokio::sync::Notify::new()),
    );
    let (told, wait) = (Arc::clone(&started), Arc::clone(&go));
    let database = Arc::new(AtomicU32::new(1));
    let read = Arc::clone(&database);
    let slow = tokio::spawn(async move {
        let load = || async {
            let value = read.load(Ordering::SeqCst);
            told.notify_one();
            wait.notified().await;
            Ok(Some(value))
        };
        slow_cache
            .get_or_load(&slow_epochs, key("a"), load)
            .await
            .unwrap()
    });
    started.notified().await;
    // A write is committed and acknowledged while the load is on its way back with the old value.
    database.store(2, Ordering::SeqCst);
    epochs.bump(key("a"));
    go.notify_one();
    go.notify_one();
    tokio::time::sleep(Duration::from_millis(20)).await;
    go.notify_one();
    let fresh = cache
        .get_or_load(&epochs, key("a"), || async {
            Ok(Some(database.load(Ordering::SeqCst)))
        })
        .await;
    assert_eq!(
        fresh.unwrap(),
        Some(2),
        "nobody who asks after the write gets what was before"
    );
    go.notify_one();
    assert_eq!(
        slow.await.unwrap(),
        Some(2),
        "not even the one who asked before, if he can know better"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_go_back_in_time() {
    let (cache, epochs) = (
        Arc::new(Cache::<u32>::new(1 << 20, size_of_val)),
        Arc::new(Epochs::new()),
    );
    let database = Arc::new(AtomicU32::new(0));
    let acknowledged = Arc::new(AtomicU32::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (cache, epochs) = (Arc::clone(&cache), Arc::clone(&epochs));
            let (database, acknowledged) = (Arc::clone(&database), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                while acknowledged.load(Ordering::SeqCst) < 2_000 {
                    let known = acknowledged.load(Ordering::SeqCst);
                    let load = || async {
                        let value = database.load(Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok(Some(value))
                    };
                    let value = cache.get_or_load(&epochs, key("a"), load).await.unwrap().unwrap();
                    assert!(value >= known, "got {value} after {known} was acknowledged");
                }
            })
        })
        .collect();
    for value in 1..=2_000 {
        database.store(value, Ordering::SeqCst);
        tokio::task::yield_now().await;
        epochs.bump(key("a"));
        acknowledged.store(value, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn the_cache_is_bounded_by_bytes() {
    let (cache, epochs) = (Cache::<Vec<u8>>::new(100_000, Vec::len), Epochs::new());
    for number in 0..1_000 {
        let load = || async { Ok(Some(vec![0; 1_000])) };
        cache
            .get_or_load(&epochs, key(&number.to_string()), load)
            .await
            .unwrap();
    }
    cache.entries.run_pending_tasks().await;
    assert!(cache.bytes() <= 100_000, "{}", cache.bytes());
}

#[test]
fn keys_of_different_things_differ() {
    let (repo, digest) = (
        "a/b".parse().unwrap(),
        oci::Digest::of(oci::Algorithm::Sha256, b"x"),
    );
    assert_ne!(Key::blob(&repo, &digest), Key::manifest(&repo, &digest));
    assert_eq!(Key::blob(&repo, &digest), Key::blob(&repo, &digest));
    assert_ne!(
        Key::tag(&repo, &"c".parse().unwrap()),
        Key::tag(&"a".parse().unwrap(), &"b".parse().unwrap())
    );
}

#[tokio::test]
async fn what_was_read_beside_is_kept_only_if_nobody_wrote_meanwhile() {
    let (cache, epochs) = (Cache::<u32>::new(1 << 20, size_of_val), Epochs::new());
    let moment = epochs.moment();
    cache.keep(&epochs, moment, key("a"), 1).await;
    assert_eq!(cache.get(&epochs, key("a")).await, Some(1));
    epochs.bump(key("other"));
    cache.keep(&epochs, moment, key("b"), 1).await;
    assert_eq!(
        cache.get(&epochs, key("b")).await,
        None,
        "the write may have been of this key"
    );
    let moment = epochs.moment();
    epochs.bump(key("b"));
    cache.keep(&epochs, moment, key("b"), 1).await;
    assert_eq!(cache.get(&epochs, key("b")).await, None);
    let moment = epochs.moment();
    cache.keep(&epochs, moment, key("b"), 2).await;
    epochs.bump_all();
    assert_eq!(
        cache.get(&epochs, key("b")).await,
        None,
        "outdated like any other"
    );
}

#[tokio::test]
async fn what_a_writer_learned_is_kept_only_if_nobody_else_wrote() {
    let caches = Caches::new(&crate::StoreLimits::default());
    let epochs = &caches.epochs;
    let digest = oci::Digest::of(oci::Algorithm::Sha256, b"x");
    let facts = |key| vec![(key, Fact::Tag(digest))];

    // A transaction may touch a key more than once, and other keys of the same group.
    let touched = [key("a"), key("a")];
    let learned = caches.learn(facts(key("a")), &touched);
    for key in touched {
        epochs.bump(key);
    }
    caches.keep(learned).await;
    assert_eq!(caches.tags.get(epochs, key("a")).await, Some(digest));

    // Somebody else committed later and said so earlier.
    let learned = caches.learn(facts(key("a")), &[key("a")]);
    epochs.bump(key("a"));
    epochs.bump(key("a"));
    caches.keep(learned).await;
    assert_eq!(caches.tags.get(epochs, key("a")).await, None);

    // Somebody else committed and said so later.
    let learned = caches.learn(facts(key("b")), &[key("b")]);
    epochs.bump(key("b"));
    caches.keep(learned).await;
    epochs.bump(key("b"));
    assert_eq!(caches.tags.get(epochs, key("b")).await, None);

    // Everything is in doubt.
    let learned = caches.learn(facts(key("c")), &[]);
    epochs.bump_all();
    caches.keep(learned).await;
    assert_eq!(caches.tags.get(epochs, key("c")).await, None);
}
