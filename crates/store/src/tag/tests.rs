//! Listing tags.

use crate::testing::Kit;

#[tokio::test]
async fn tags_come_in_byte_order_and_pages() {
    let kit = Kit::with(|limits| limits.page_items = 3).await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "r", "a", &["b", "a", "B", "_", "10", "9", "a.b", "a-b"])
        .await;
    let permit = kit.pull(&ci, "r");
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = kit
            .store
            .tags(&permit, after.as_deref(), 100)
            .await
            .unwrap()
            .unwrap();
        assert!(page.items.len() <= 3, "a page is capped");
        seen.extend(page.items.iter().map(ToString::to_string));
        after = seen.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["10", "9", "B", "_", "a", "a-b", "a.b", "b"]);
    let none = kit.store.tags(&permit, None, 0).await.unwrap().unwrap();
    assert!(none.items.is_empty() && !none.more);
    let behind = kit.store.tags(&permit, Some("zzz"), 3).await.unwrap().unwrap();
    assert!(behind.items.is_empty() && !behind.more);
    assert!(
        kit.store
            .tags(&kit.pull(&ci, "unknown"), None, 3)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn tags_are_listed_with_what_they_point_to() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "r", "a", &["b", "a"]).await;
    let pushed = kit.manifest(&ci, "r", "a").await.unwrap();
    let permit = kit.pull(&ci, "r");
    let page = kit.store.tag_targets(&permit, None, 1).await.unwrap().unwrap();
    assert!(page.more && page.items.len() == 1);
    let target = &page.items[0];
    assert_eq!((target.tag.as_str(), target.digest), ("a", digest));
    assert_eq!(target.size, pushed.bytes.len() as u64);
    assert_eq!(
        (&target.media_type, target.pushed_at),
        (&pushed.media_type, pushed.pushed_at)
    );
    let page = kit
        .store
        .tag_targets(&permit, Some("a"), 1)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((page.items[0].tag.as_str(), page.more), ("b", false));
    let unknown = kit.pull(&ci, "unknown");
    assert!(kit.store.tag_targets(&unknown, None, 1).await.unwrap().is_none());
}
