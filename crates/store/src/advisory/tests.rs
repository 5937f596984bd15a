//! Generations: atomic, and nothing of a source is overwritten.

use super::*;
use crate::testing::Kit;

fn row(id: &str, body: &str) -> AdvisoryRow {
    AdvisoryRow {
        id: id.to_owned(),
        modified: body.to_owned(),
        body: body.as_bytes().to_vec(),
    }
}

async fn all(kit: &Kit) -> Vec<(String, String)> {
    kit.store.advisory_states("", 1_000).await.unwrap()
}

fn pair(id: &str, body: &str) -> (String, String) {
    (id.to_owned(), body.to_owned())
}

#[tokio::test]
async fn an_import_is_seen_whole_or_not_at_all() {
    let kit = Kit::new().await;
    let store = &kit.store;
    let import = store.begin_import().await.unwrap();
    let rows = [row("A-1", "old"), row("B-1", "old")];
    store.import_advisories(&import, &rows).await.unwrap();
    assert!(all(&kit).await.is_empty());
    let operator = Kit::operator();
    let finish = |import| {
        store.finish_import(
            import,
            "test",
            serde_json::json!({}),
            vec![AdvisoryDocument {
                kind: "kev".to_owned(),
                name: "kev".to_owned(),
                body: b"{}".to_vec(),
            }],
            &operator,
        )
    };
    assert_eq!(finish(import).await.unwrap(), 1);
    assert_eq!(all(&kit).await, [pair("A-1", "old"), pair("B-1", "old")]);

    // A killed import leaves nothing that anybody sees.
    let killed = store.begin_import().await.unwrap();
    store
        .import_advisories(&killed, &[row("A-1", "torn"), row("C-1", "torn")])
        .await
        .unwrap();
    // A second one at the same time would write under the same number.
    assert!(matches!(
        store.begin_import().await,
        Err(StoreError::ImportRunning)
    ));
    drop(killed);
    let import = store.begin_import().await.unwrap();
    store
        .import_advisories(&import, &[row("A-1", "new")])
        .await
        .unwrap();
    assert_eq!(finish(import).await.unwrap(), 2);
    assert_eq!(all(&kit).await, [pair("A-1", "new"), pair("B-1", "old")]);
    assert_eq!(store.advisories("A-1", 10).await.unwrap(), [row("B-1", "old")]);
    assert_eq!(store.advisory_imports().await.unwrap().len(), 2);
    assert_eq!(store.advisory_documents("kev").await.unwrap().len(), 1);
}
