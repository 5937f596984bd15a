//! Signers: set, replaced, removed, and never one that could not verify anything.

use super::*;
use crate::testing::Kit;

const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                   -----END PUBLIC KEY-----\n";

fn signer(name: &str, key: &str) -> SignerSpec {
    let body = serde_json::json!({ "name": name, "repositories": ["prod/**"], "key": key });
    serde_json::from_value(body).unwrap()
}

/// How many judgements wait; afterwards none does.
async fn woken(kit: &Kit) -> usize {
    let mut woken = 0;
    let lease = std::time::Duration::from_mins(1);
    while let Some(job) = kit
        .store
        .claim_job(crate::JobKind::Judge, "w", lease)
        .await
        .unwrap()
    {
        kit.store.drop_job(&job).await.unwrap();
        woken += 1;
    }
    woken
}

#[tokio::test]
async fn a_signer_is_set_replaced_and_removed_and_images_are_judged_by_it() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "prod/app", "a", &["1"]).await;
    woken(&kit).await;
    let mut rulings = store.rulings();
    let release = signer("release", KEY);
    assert_eq!(store.set_signer(&operator, &release).await.unwrap(), None);
    assert!(rulings.has_changed().unwrap());
    assert_eq!(woken(&kit).await, 1);
    rulings.mark_unchanged();
    // The same again is no change.
    let was = store.set_signer(&operator, &release).await.unwrap();
    assert_eq!(was.as_ref(), Some(&release));
    assert!(!rulings.has_changed().unwrap());
    let vex = SignerSpec {
        vex: true,
        ..release.clone()
    };
    assert_eq!(store.set_signer(&operator, &vex).await.unwrap(), Some(release));
    assert_eq!(store.trusted_signers().await.unwrap(), [vex]);
    rulings.mark_unchanged();
    store.remove_signer(&operator, "release").await.unwrap();
    assert!(rulings.has_changed().unwrap());
    assert_eq!(woken(&kit).await, 1);
    let again = store.remove_signer(&operator, "release").await;
    assert!(matches!(again, Err(AdminError::NotFound { kind: "signer", .. })));
    assert_eq!(store.trusted_signer("release").await.unwrap(), None);
    let filter = crate::EventFilter {
        actor: Some(operator.name().to_owned()),
        ..crate::EventFilter::default()
    };
    let permit = kit.administrator("root").await;
    let events = store.events(&permit, &filter, None, 10).await.unwrap();
    let kinds: Vec<EventKind> = events.items.iter().map(|event| event.kind).collect();
    let set = kinds.iter().filter(|kind| **kind == EventKind::SignerSet).count();
    assert_eq!((set, kinds.contains(&EventKind::SignerRemove)), (2, true));
}

#[tokio::test]
async fn what_verifies_nothing_and_one_too_many_are_refused() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    let bad = store.set_signer(&operator, &signer("release", "no key")).await;
    assert!(matches!(bad, Err(AdminError::Invalid { reason }) if reason.contains("cosign.pub")));
    for number in 0..MAX_SIGNERS {
        let signer = signer(&format!("s{number}"), KEY);
        store.set_signer(&operator, &signer).await.unwrap();
    }
    let over = store.set_signer(&operator, &signer("over", KEY)).await;
    assert!(matches!(over, Err(AdminError::TooMany { kind: "signer", .. })));
    store.set_signer(&operator, &signer("s0", KEY)).await.unwrap();
}
