//! Applications: declared, imported, and never two that cannot both be.

use super::*;
use crate::testing::Kit;

fn entry(name: &str, patterns: &[&str], owner: &str) -> Statement {
    let mut entry = Statement::new(name.parse().unwrap(), Source::Declared, "by hand");
    entry.repositories = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    entry.owner = Some(owner.parse().unwrap());
    entry
}

async fn owner(kit: &Kit, repo: &str) -> Option<String> {
    let road = kit.store.road().await.unwrap();
    let repo = repo.parse().unwrap();
    road.applications.owner_of(&repo).owner().map(ToString::to_string)
}

#[tokio::test]
async fn an_application_is_set_replaced_and_removed() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    assert_eq!(owner(&kit, "shop/cart").await, None);
    let first = entry("shop", &["shop/**"], "team-a");
    assert_eq!(store.set_application(&operator, &first).await.unwrap(), None);
    assert_eq!(owner(&kit, "shop/cart").await.as_deref(), Some("group:team-a"));
    let changes = store.entries();
    // The same again is no change.
    assert_eq!(
        store.set_application(&operator, &first).await.unwrap().as_ref(),
        Some(&first)
    );
    assert!(!changes.has_changed().unwrap());
    let second = entry("shop", &["shop/**"], "team-b");
    assert_eq!(
        store.set_application(&operator, &second).await.unwrap(),
        Some(first)
    );
    assert_eq!(owner(&kit, "shop/cart").await.as_deref(), Some("group:team-b"));
    let tie = store
        .set_application(&operator, &entry("other", &["shop/**"], "team-c"))
        .await;
    assert!(matches!(tie, Err(AdminError::Invalid { reason }) if reason.contains("shop/**")));
    let shop = "shop".parse().unwrap();
    assert_eq!(
        store.remove_application(&operator, &shop).await.unwrap(),
        Source::Declared
    );
    assert_eq!(owner(&kit, "shop/cart").await, None);
    let again = store.remove_application(&operator, &shop).await;
    assert!(matches!(
        again,
        Err(AdminError::NotFound {
            kind: "application",
            ..
        })
    ));
}

#[tokio::test]
async fn a_catalogue_counts_less_and_comes_in_whole_or_not_at_all() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    store
        .set_application(&operator, &entry("shop", &["shop/**"], "team-a"))
        .await
        .unwrap();
    let files = [
        entry("shop", &["shop/**"], "team-x"),
        entry("pay", &["pay/**"], "team-pay"),
    ];
    let planned = store.plan_catalog(&files, false).await.unwrap();
    assert_eq!(owner(&kit, "pay/api").await, None, "a plan changes nothing");
    let done = store.import_catalog(&operator, &files, false).await.unwrap();
    assert_eq!((&done, done.added.len()), (&planned, 2));
    assert_eq!(owner(&kit, "shop/cart").await.as_deref(), Some("group:team-a"));
    assert_eq!(owner(&kit, "pay/api").await.as_deref(), Some("group:team-pay"));
    // Two that cannot both be: nothing comes in.
    let bad = [
        entry("new", &["new/**"], "team-n"),
        entry("x", &["pay/**"], "team-x"),
    ];
    assert!(matches!(
        store.import_catalog(&operator, &bad, false).await,
        Err(AdminError::Invalid { .. })
    ));
    assert_eq!(owner(&kit, "new/api").await, None);
    let again = store.import_catalog(&operator, &files, true).await.unwrap();
    assert_eq!((again.unchanged, again.removed.len()), (2, 0));
    let pruned = store.import_catalog(&operator, &files[..1], true).await.unwrap();
    assert_eq!(pruned.removed, ["pay".parse().unwrap()]);
    assert_eq!(owner(&kit, "pay/api").await, None);
}

#[tokio::test]
async fn what_exceeds_a_limit_is_refused() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    let number = |number: usize| Statement::new(format!("a{number}").parse().unwrap(), Source::Catalog, "x");
    let many: Vec<Statement> = (0..=MAX_ENTRIES).map(number).collect();
    let over = store.plan_catalog(&many, false).await;
    assert!(matches!(
        over,
        Err(AdminError::TooMany {
            kind: "application",
            ..
        })
    ));
    assert!(store.plan_catalog(&many[1..], false).await.is_ok());
    let mut long = entry("a", &["a/**"], "team");
    long.system = Some("x".repeat(MAX_TEXT_BYTES + 1));
    assert!(matches!(
        store.set_application(&operator, &long).await,
        Err(AdminError::Invalid { .. })
    ));
    long.system = Some("two\nlines".to_owned());
    assert!(matches!(
        store.set_application(&operator, &long).await,
        Err(AdminError::Invalid { .. })
    ));
}
