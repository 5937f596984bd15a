//! HEAD, then a manifest: what a pusher was told to be here is here, and asking costs next to nothing.

use access::{Caller, Role};
use futures_util::future::join_all;

use crate::testing::{Kit, image, sha256};

struct Fixture {
    kit: Kit,
    ci: Caller,
    /// May push, but has pushed none of the blobs.
    late: Caller,
}

impl Fixture {
    /// `r` has two blobs that no manifest names.
    async fn new() -> Self {
        let kit = Kit::new().await;
        let ci = kit.all("ci").await;
        let late = kit.robot("late", &[Role::Pull, Role::Push], "**").await;
        for blob in [b"config", b"layers"] {
            kit.push_blob(&ci, "r", blob).await.unwrap();
        }
        Self { kit, ci, late }
    }

    async fn see(&self, caller: &Caller) -> bool {
        let mut seen = 0;
        for blob in [b"config", b"layers"] {
            seen += usize::from(self.kit.read_blob(caller, "r", &sha256(blob)).await.is_some());
        }
        seen == 2
    }

    /// Without taking them from elsewhere.
    async fn put(&self) -> bool {
        let permit = self.kit.push(&self.late, "r");
        let put = crate::testing::put(&image(b"config", &[b"layers"]), &["1"]);
        self.kit
            .store
            .put_manifest(&permit, put, &|_| false)
            .await
            .is_ok()
    }
}

#[tokio::test]
async fn what_a_pusher_was_told_to_be_here_is_here_when_its_manifest_comes() {
    let fixture = Fixture::new().await;
    let kit = &fixture.kit;
    kit.advance(kit.grace() / 100 * 99);
    assert!(fixture.see(&fixture.late).await);
    kit.advance(kit.grace() / 4 * 3);
    assert_eq!(kit.collect().await.unlinked, 0);
    assert!(fixture.put().await);
}

#[tokio::test]
async fn a_reader_keeps_nothing_from_being_collected() {
    let fixture = Fixture::new().await;
    let kit = &fixture.kit;
    let reader = kit.robot("reader", &[Role::Pull], "**").await;
    for _ in 0..4 {
        kit.advance(kit.grace() / 4);
        assert!(fixture.see(&reader).await);
    }
    kit.advance(std::time::Duration::from_secs(4));
    assert_eq!(kit.collect().await.unlinked, 2);
    assert!(!fixture.see(&fixture.late).await && !fixture.put().await);
}

#[tokio::test]
async fn a_pusher_who_asks_again_and_again_costs_one_transaction_per_quarter_of_the_grace() {
    let fixture = Fixture::new().await;
    let (kit, layer) = (&fixture.kit, sha256(b"layers"));
    assert!(fixture.see(&fixture.late).await);
    let calls = || kit.store.inner.db.calls();
    let before = calls();
    for _ in 0..20 {
        assert!(fixture.see(&fixture.late).await);
    }
    assert_eq!(calls(), before, "young links are answered from memory");
    kit.advance(kit.grace() / 4 + std::time::Duration::from_secs(1));
    let readers = (0..20).map(|_| kit.read_blob(&fixture.late, "r", &layer));
    assert!(join_all(readers).await.iter().all(Option::is_some));
    assert!(
        calls() - before <= 2,
        "one transaction and one load: {}",
        calls() - before
    );
}

#[tokio::test]
async fn a_cached_pull_of_what_a_manifest_names_never_asks_the_database() {
    let fixture = Fixture::new().await;
    let kit = &fixture.kit;
    assert!(fixture.see(&fixture.late).await && fixture.put().await);
    kit.advance(kit.grace() * 10);
    // What is remembered from before the manifest is looked at once more.
    assert!(fixture.see(&fixture.late).await);
    let before = kit.store.inner.db.calls();
    for _ in 0..10 {
        kit.advance(kit.grace());
        assert!(fixture.see(&fixture.late).await);
    }
    assert_eq!(kit.store.inner.db.calls(), before);
}

#[tokio::test]
async fn the_promise_holds_from_the_moment_that_the_last_manifest_goes() {
    let fixture = Fixture::new().await;
    let kit = &fixture.kit;
    assert!(fixture.put().await && fixture.see(&fixture.late).await);
    kit.advance(kit.grace() * 10);
    let digest = sha256(image(b"config", &[b"layers"]).as_bytes());
    kit.store
        .delete_manifest(&kit.delete(&fixture.ci, "r"), &digest)
        .await
        .unwrap();
    kit.advance(kit.grace() / 100 * 99);
    assert!(fixture.see(&fixture.late).await);
    kit.advance(kit.grace() / 2);
    assert_eq!(kit.collect().await.unlinked, 0);
    assert!(fixture.put().await);
}
