//! In use by somebody's word: by digest and by tag, through an index, until a date.

use std::time::Duration;

use super::*;
use crate::testing::Kit;
use crate::{EventFilter, JobKind};

async fn say(kit: &Kit, references: &[&str], days: u64) -> bool {
    let wanted = NewInUse {
        repo: "team/app".parse().unwrap(),
        references: references.iter().map(|text| text.parse().unwrap()).collect(),
        until: kit.store.now().plus(Duration::from_hours(24 * days)),
        reason: "runs in prod".to_owned(),
    };
    kit.store.set_in_use(wanted, &Kit::operator()).await.unwrap()
}

async fn is_in_use(kit: &Kit, digest: &Digest) -> bool {
    let repo = "team/app".parse().unwrap();
    let since = kit.store.now().minus(Duration::from_hours(24));
    kit.store.is_in_use(&repo, digest, since).await.unwrap()
}

async fn number(kit: &Kit) -> u64 {
    let since = kit.store.now().minus(Duration::from_hours(24));
    kit.store.images_in_use(since).await.unwrap()
}

#[tokio::test]
async fn a_digest_or_a_tag_is_in_use_until_its_end() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let by_tag = kit.push_image(&ci, "team/app", "a", &["v1"]).await;
    let by_digest = kit.push_image(&ci, "team/app", "b", &["v2"]).await;
    assert!(!is_in_use(&kit, &by_tag).await && !is_in_use(&kit, &by_digest).await);
    assert!(say(&kit, &["v1", &by_digest.to_string()], 30).await);
    assert!(is_in_use(&kit, &by_tag).await && is_in_use(&kit, &by_digest).await);
    assert_eq!(number(&kit).await, 2);
    assert_eq!(kit.store.job_counts(JobKind::Judge).await.unwrap().waiting, 2);

    // A tag means what was there by then: whoever may push to it does not say what is in use.
    kit.advance(Duration::from_secs(1));
    let pushed_later = kit.push_image(&ci, "team/app", "c", &["v1"]).await;
    assert!(!is_in_use(&kit, &pushed_later).await && !is_in_use(&kit, &by_tag).await);
    assert!(say(&kit, &["v1"], 30).await);
    assert!(is_in_use(&kit, &pushed_later).await);

    let page = kit.store.in_use_by_word(None, 1).await.unwrap();
    assert!(page.more);
    let last = page.items[0].reference.to_string();
    let page = kit
        .store
        .in_use_by_word(Some(("team/app", &last)), 1)
        .await
        .unwrap();
    assert!(!page.more && page.items[0].reference.to_string() == "v1");

    kit.advance(Duration::from_hours(24 * 30));
    assert!(!is_in_use(&kit, &by_digest).await);
    assert_eq!(number(&kit).await, 0);
    assert_eq!(kit.store.end_in_use().await.unwrap(), 2);
    assert_eq!(kit.store.end_in_use().await.unwrap(), 0);
}

#[tokio::test]
async fn the_images_of_an_index_are_in_use_with_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let child = kit.push_image(&ci, "team/app", "a", &[]).await;
    let index = crate::testing::index(&[&crate::testing::image(b"config a", &[b"layer a"])]);
    kit.put(&ci, "team/app", &index, &["multi"]).await.unwrap();
    let index = crate::testing::sha256(index.as_bytes());
    for reference in ["multi".to_owned(), index.to_string()] {
        assert!(!is_in_use(&kit, &child).await);
        assert!(say(&kit, &[&reference], 1).await);
        assert!(is_in_use(&kit, &child).await, "{reference}");
        assert_eq!(number(&kit).await, 1);
        let (repo, reference) = ("team/app".parse().unwrap(), reference.parse().unwrap());
        let operator = Kit::operator();
        let removed = kit.store.remove_in_use(&repo, &reference, &operator);
        assert!(removed.await.unwrap());
        let again = kit.store.remove_in_use(&repo, &reference, &operator);
        assert!(!again.await.unwrap());
    }
    let root = kit.administrator("root").await;
    for kind in [EventKind::InUseSet, EventKind::InUseRemove] {
        let filter = EventFilter {
            kind: Some(kind),
            ..EventFilter::default()
        };
        let events = kit.store.events(&root, &filter, None, 10).await.unwrap();
        assert_eq!(events.items.len(), 2, "{kind:?}");
    }
}

#[tokio::test]
async fn how_much_can_be_in_use_so_is_bounded() {
    let kit = Kit::new().await;
    let wanted = NewInUse {
        repo: "team/app".parse().unwrap(),
        references: vec!["v1".parse().unwrap(); MAX_IN_USE + 1],
        until: kit.store.now().plus(Duration::from_secs(1)),
        reason: "all of them".to_owned(),
    };
    assert!(!kit.store.set_in_use(wanted, &Kit::operator()).await.unwrap());
    assert!(kit.store.in_use_by_word(None, 10).await.unwrap().items.is_empty());
}
