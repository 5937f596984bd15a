//! The audit log.

use access::Role;

use super::*;
use crate::event::EventKind::{
    BlobPush, GrantSet, ManifestDelete, ManifestPush, RobotCreate, TagDelete, TagSet, UserCreate,
};
use crate::testing::Kit;

#[tokio::test]
async fn what_happens_is_written_with_who_and_why() {
    let kit = Kit::new().await;
    let root = kit.administrator("root").await;
    let ci = kit.robot("ci", &[Role::Push, Role::Delete], "**").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    kit.store
        .delete_tag(&kit.delete(&ci, "team/app"), &"1".parse().unwrap())
        .await
        .unwrap();
    kit.store
        .delete_manifest(&kit.delete(&ci, "team/app"), &digest)
        .await
        .unwrap();
    let page = kit
        .store
        .events(&root, &EventFilter::default(), None, 100)
        .await
        .unwrap();
    let kinds: Vec<EventKind> = page.items.iter().map(|event| event.kind).collect();
    let expected = [
        UserCreate,
        RobotCreate,
        GrantSet,
        BlobPush,
        BlobPush,
        ManifestPush,
        TagSet,
        TagDelete,
        ManifestDelete,
    ];
    assert_eq!(kinds, expected);
    assert!(
        page.items.iter().zip(1..).all(|(event, seq)| event.seq == seq),
        "no gaps"
    );
    let set = &page.items[6];
    assert_eq!(
        (set.subject.as_str(), set.actor.as_str(), set.cause.as_str()),
        ("team/app:1", "ci", "request")
    );
    assert_eq!(set.body["digest"], digest.to_string());
    assert_eq!(set.at, kit.store.now());
}

#[tokio::test]
async fn events_are_filtered_and_paged() {
    let kit = Kit::new().await;
    let root = kit.administrator("root").await;
    for number in 0..5 {
        kit.store
            .note_setting(
                &Kit::operator(),
                &format!("key{number}"),
                serde_json::json!(number),
            )
            .await
            .unwrap();
    }
    let filter = EventFilter {
        kind: Some(EventKind::SettingsChange),
        actor: Some("operator".into()),
        since: Some(kit.store.now()),
        subject: None,
    };
    let page = kit.store.events(&root, &filter, None, 3).await.unwrap();
    assert_eq!((page.items.len(), page.more), (3, true));
    let rest = kit
        .store
        .events(&root, &filter, Some(page.items[2].seq), 3)
        .await
        .unwrap();
    assert_eq!((rest.items.len(), rest.more), (2, false));
    let filter = EventFilter {
        subject: Some("key3".into()),
        ..EventFilter::default()
    };
    assert_eq!(
        kit.store.events(&root, &filter, None, 9).await.unwrap().items[0].body,
        3
    );
}

#[tokio::test]
async fn the_database_refuses_to_change_history() {
    let kit = Kit::new().await;
    kit.store
        .note_setting(&Kit::operator(), "x", serde_json::json!(1))
        .await
        .unwrap();
    for sql in ["UPDATE event SET actor = 'nobody'", "DELETE FROM event"] {
        let done: Result<u64, StoreError> = kit
            .store
            .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), sql, []).await }))
            .await;
        let error = done.unwrap_err();
        let StoreError::Database(source) = error else {
            panic!("{error}")
        };
        assert!(source.to_string().contains("append-only"), "{source}");
    }
}

#[test]
fn kinds_keep_their_names() {
    assert_eq!(EventKind::ManifestPush.name(), "manifest.push");
    assert_eq!(EventKind::from_name("login.failed"), Some(EventKind::LoginFailed));
    assert_eq!(EventKind::from_name("nonsense"), None);
}
