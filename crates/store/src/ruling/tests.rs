//! Waivers: asked for, approved, withdrawn, and never by somebody who saw another one.

use super::*;
use crate::testing::Kit;

fn waiver(id: &str, body: &str) -> StoredWaiver {
    StoredWaiver {
        id: id.to_owned(),
        body: body.to_owned(),
        until: Timestamp(1),
    }
}

#[tokio::test]
async fn only_what_was_seen_is_replaced_and_only_what_is_approved_counts() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    let mut rulings = store.rulings();
    let put = |body: &'static str, was: Option<&'static str>, step| {
        let operator = &operator;
        async move {
            store
                .set_waiver(waiver("w", body), was, step, operator)
                .await
                .unwrap()
        }
    };
    assert_eq!(put("{\"a\":1}", None, WaiverStep::Request).await, WaiverPut::Done);
    assert_eq!(put("{}", None, WaiverStep::Request).await, WaiverPut::Changed);
    assert_eq!(
        put("{}", Some("{\"a\":2}"), WaiverStep::Approve).await,
        WaiverPut::Changed
    );
    assert!(!rulings.has_changed().unwrap());
    assert_eq!(
        put("{\"b\":1}", Some("{\"a\":1}"), WaiverStep::Approve).await,
        WaiverPut::Done
    );
    assert!(rulings.has_changed().unwrap());
    rulings.mark_unchanged();
    assert_eq!(store.waiver("w").await.unwrap().unwrap().body, "{\"b\":1}");
    let remove = |was| store.remove_waiver("w", was, WaiverStep::Approve, &operator);
    assert!(!remove("{\"a\":1}").await.unwrap());
    assert!(remove("{\"b\":1}").await.unwrap());
    assert!(rulings.has_changed().unwrap());
    assert!(store.waivers().await.unwrap().is_empty());
}

#[tokio::test]
async fn images_are_listed_in_pages_and_know_who_brought_them() {
    let kit = Kit::new().await;
    let ann = kit.all("ann").await;
    let bob = kit.all("bob").await;
    let first = kit.push_image(&ann, "team/a", "one", &["v1"]).await;
    kit.push_image(&bob, "team/a", "one", &["v2"]).await;
    kit.push_image(&bob, "team/b", "two", &["v1"]).await;
    let page = kit.store.images_after(0, 1).await.unwrap();
    assert_eq!(page.len(), 1);
    let rest = kit.store.images_after(page[0].0, 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].1.as_str(), "team/b");
    let pusher = kit
        .store
        .pusher(&"team/a".parse().unwrap(), &first)
        .await
        .unwrap();
    assert_eq!(pusher.as_deref(), Some("ann"));
}
