//! What images say of themselves, beside what is declared.

use road::application::{ApplicationError, Source};

use super::*;
use crate::db::sql;
use crate::testing::Kit;
use crate::{ImageNote, WORDS_TAKEN};

fn said(application: &str, repository: &str, owner: &str) -> Statement {
    let mut said = Statement::new(application.parse().unwrap(), Source::Annotation, "an image");
    said.repositories = vec![repository.parse().unwrap()];
    said.owner = Some(owner.parse().unwrap());
    said
}

fn note(words: Statement) -> ImageNote {
    ImageNote {
        platform: "linux/amd64".to_owned(),
        diff_ids: Vec::new(),
        words: Some(words),
        signed_by: Vec::new(),
        made_at: time::OffsetDateTime::UNIX_EPOCH,
    }
}

async fn owner(kit: &Kit, repo: &str) -> Option<String> {
    let road = kit.store.road().await.unwrap();
    let repo = repo.parse().unwrap();
    road.applications.owner_of(&repo).owner().map(ToString::to_string)
}

#[tokio::test]
async fn the_newest_image_that_speaks_counts_where_nobody_declares_anything() {
    let kit = Kit::new().await;
    let (store, ci) = (&kit.store, kit.all("ci").await);
    let repo = "team/app".parse().unwrap();
    let first = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let second = kit.push_image(&ci, "team/app", "b", &["2"]).await;
    let says = |owner: &str| note(said("app", "team/app", owner));
    store.note_image(&repo, &second, says("new")).await.unwrap();
    store.note_image(&repo, &first, says("old")).await.unwrap();
    assert_eq!(owner(&kit, "team/app").await.as_deref(), Some("group:new"));
    // What is said again is no change.
    let changes = store.entries();
    store.note_image(&repo, &second, says("new")).await.unwrap();
    assert!(!changes.has_changed().unwrap());
    let mut entry = said("app", "team/app", "declared");
    entry.origin = "by hand".to_owned();
    store.set_application(&Kit::operator(), &entry).await.unwrap();
    assert_eq!(owner(&kit, "team/app").await.as_deref(), Some("group:declared"));
    // An image that moves into an application of others does not.
    let thief = kit.push_image(&ci, "evil/app", "c", &["1"]).await;
    let words = note(said("app", "evil/app", "mine"));
    store
        .note_image(&"evil/app".parse().unwrap(), &thief, words)
        .await
        .unwrap();
    assert_eq!(owner(&kit, "evil/app").await, None);
    let road = store.road().await.unwrap();
    assert!(!road.applications.conflicts().is_empty());
}

#[test]
fn words_that_fit_nothing_do_not_keep_entries_from_counting() {
    let entry = Statement {
        source: Source::Declared,
        ..said("app", "team/app", "declared")
    };
    let mut long = said("other", "team/other", "x");
    long.tier = Some(99);
    assert!(matches!(
        Applications::build(vec![long.clone()]),
        Err(ApplicationError::Tier { .. })
    ));
    let built = applications(vec![entry], vec![long]).unwrap();
    assert_eq!(built.iter().len(), 1);
}

#[tokio::test]
async fn the_words_of_one_repository_too_many_do_not_count() {
    let kit = Kit::new().await;
    let (store, ci) = (&kit.store, kit.all("ci").await);
    let repo = "team/app".parse().unwrap();
    let digest = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let limit = sql::to_db(WORDS_TAKEN as u64);
    let fill: Result<(), StoreError> = store
        .write(move |tx| {
            Box::pin(async move {
                let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
                           INSERT INTO repository (name, bytes, tags, manifests, blobs, created_at, changed_at) \
                           SELECT 'filler/r' || i, 0, 0, 0, 0, 0, 0 FROM n";
                sql::execute(tx.sql(), sql, [limit.into()]).await?;
                let sql = "INSERT INTO repository_words (repository_id, manifest_id, body) \
                           SELECT r.id, (SELECT MIN(m.id) FROM manifest m), '{}' FROM repository r \
                           WHERE r.name LIKE 'filler/%' AND r.id <> $1";
                sql::execute(tx.sql(), sql, [0.into()]).await.map(drop)
            })
        })
        .await;
    fill.unwrap();
    let words = || note(said("app", "team/app", "team"));
    store.note_image(&repo, &digest, words()).await.unwrap();
    assert_eq!(owner(&kit, "team/app").await, None);
    let cut: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                let sql = "DELETE FROM repository_words WHERE repository_id = \
                           (SELECT MAX(w.repository_id) FROM repository_words w) AND manifest_id > $1";
                sql::execute(tx.sql(), sql, [0.into()]).await.map(drop)
            })
        })
        .await;
    cut.unwrap();
    store.note_image(&repo, &digest, words()).await.unwrap();
    assert_eq!(owner(&kit, "team/app").await.as_deref(), Some("group:team"));
}
