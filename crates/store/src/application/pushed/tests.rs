//! Pushed catalogues: all or nothing, and remembered by the audit log.

use road::application::Source;
use road::base::{Lifecycle, Promise};
use time::{Duration, OffsetDateTime};

use super::*;
use crate::testing::Kit;

fn entry(name: &str, pattern: &str) -> Statement {
    let mut entry = Statement::new(name.parse().unwrap(), Source::Catalog, "catalog-info.yaml:1");
    entry.repositories = vec![pattern.parse().unwrap()];
    entry.owner = Some("team-a".parse().unwrap());
    entry
}

fn base(name: &str, repository: &str) -> BaseImage {
    BaseImage {
        name: name.parse().unwrap(),
        owner: "platform".parse().unwrap(),
        contact: None,
        repository: repository.parse().unwrap(),
        channels: std::collections::BTreeMap::new(),
        lifecycle: Lifecycle::Supported,
        supported_until: OffsetDateTime::UNIX_EPOCH + Duration::days(40_000),
        replaced_by: None,
        rebase: None,
        patch_within: Promise::default(),
        retire_notice: None,
        signer: None,
    }
}

async fn pushed(kit: &Kit) -> PushedCatalog {
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "platform/catalog", "a", &["latest"]).await;
    PushedCatalog {
        repo: "platform/catalog".parse().unwrap(),
        tag: "latest".parse().unwrap(),
        digest,
        signers: vec!["platform".to_owned()],
        made_at: None,
    }
}

#[tokio::test]
async fn it_comes_in_as_a_whole_and_says_whose_word_it_is() {
    let kit = Kit::new().await;
    let (store, of) = (&kit.store, pushed(&kit).await);
    let found = store.tagged_manifest(&of.repo, &of.tag).await.unwrap().unwrap();
    assert_eq!(found.digest, of.digest);
    let missing = "nothing".parse().unwrap();
    assert!(store.tagged_manifest(&of.repo, &missing).await.unwrap().is_none());
    assert_eq!(store.catalog_note().await.unwrap(), None);

    let actor = Actor::system("catalog");
    let entries = PushedEntries {
        applications: vec![entry("shop", "shop/**"), entry("pay", "pay/**")],
        bases: vec![base("java17", "base/java17")],
        road: Vec::new(),
        prune: false,
    };
    let import = store.import_pushed_catalog(&actor, &of, entries).await.unwrap();
    assert_eq!(import.added.len(), 2);
    assert_eq!(store.base_entries().await.unwrap().len(), 1);
    let note = store.catalog_note().await.unwrap().unwrap();
    assert!(note.is_imported);
    assert_eq!(note.event.subject, format!("platform/catalog@{}", of.digest));
    assert_eq!(note.event.body["signers"], json!(["platform"]));
    assert_eq!(note.event.body["pushed_by"], "ci");
    assert_eq!(note.event.body["added"]["count"], 2);

    // What does not go together leaves everything as it was, bases too.
    let tie = PushedEntries {
        applications: vec![entry("thief", "shop/**")],
        bases: vec![base("other", "base/other")],
        road: Vec::new(),
        prune: false,
    };
    let refused = store.import_pushed_catalog(&actor, &of, tie).await.unwrap_err();
    assert!(refused.to_string().contains("shop/**"), "{refused}");
    assert_eq!(store.base_entries().await.unwrap().len(), 1);
    assert_eq!(store.application_entries().await.unwrap().len(), 2);
    store
        .refuse_pushed_catalog(&actor, &of, "two\nlines")
        .await
        .unwrap();
    let note = store.catalog_note().await.unwrap().unwrap();
    assert!(!note.is_imported);
    assert_eq!(note.event.body["reason"], "two?lines");

    let less = PushedEntries {
        applications: vec![entry("shop", "shop/**")],
        prune: true,
        ..PushedEntries::default()
    };
    let import = store.import_pushed_catalog(&actor, &of, less).await.unwrap();
    assert_eq!((import.removed.len(), import.unchanged), (1, 1));
}

/// Who signed the one before does not matter: whoever may set the tag back chooses among all that were ever signed.
#[tokio::test]
async fn how_new_the_last_one_was_is_known_whoever_signed_it() {
    let kit = Kit::new().await;
    let (store, actor) = (&kit.store, Actor::system("catalog"));
    let at = |digest, signer: &str, made: i64| PushedCatalog {
        digest,
        signers: vec![signer.to_owned()],
        made_at: (made > 0).then_some(Timestamp(made)),
        repo: "platform/catalog".parse().unwrap(),
        tag: "latest".parse().unwrap(),
    };
    let first = at(pushed(&kit).await.digest, "alice", 10);
    let ci = kit.all("ci-other").await;
    let other = kit.push_image(&ci, "platform/catalog", "b", &["latest"]).await;
    // As an earlier version kept it.
    let kept = (SignedKind::Catalog, "platform/catalog alice");
    store
        .note_signed(kept.0, kept.1, Timestamp(7), "sha256:old")
        .await
        .unwrap();
    let newest = async |of: &PushedCatalog| store.newest_catalog(of).await.unwrap();
    assert_eq!(newest(&at(other, "bob", 9)).await, Some(Timestamp(7)));

    let import = async |of: &PushedCatalog| {
        let entries = PushedEntries::default();
        store.import_pushed_catalog(&actor, of, entries).await.unwrap();
    };
    import(&first).await;
    assert!(store.catalog_counts(&first).await.unwrap());
    let second = at(other, "bob", 20);
    import(&second).await;
    assert_eq!(newest(&first).await, Some(Timestamp(20)), "whoever signed it");
    assert!(store.catalog_counts(&second).await.unwrap());
    assert!(!store.catalog_counts(&first).await.unwrap());
    assert!(store.catalog_was_imported(&first).await.unwrap());
    // One without a date takes no date away.
    import(&at(first.digest, "alice", 0)).await;
    assert_eq!(newest(&second).await, Some(Timestamp(20)));
    let elsewhere = PushedCatalog {
        tag: "next".parse().unwrap(),
        ..second
    };
    assert_eq!(newest(&elsewhere).await, Some(Timestamp(7)));
}
