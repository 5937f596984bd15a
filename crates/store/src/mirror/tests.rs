use std::time::Duration;

use super::*;
use crate::testing::{Kit, image, index, sha256};
use crate::{PullClass, PullNote};

const HOUR: Duration = Duration::from_hours(1);

fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

#[tokio::test]
async fn an_empty_store_becomes_a_mirror_and_stays_the_same_one() {
    let mut kit = Kit::new().await;
    assert!(!kit.store.is_mirror().await.unwrap());
    let key = kit.store.become_mirror().await.unwrap();
    assert!(kit.store.is_mirror().await.unwrap());
    assert!(kit.store.access().has_any_grant_for_anonymous());
    kit.restart().await;
    assert_eq!(kit.store.become_mirror().await.unwrap(), key);
}

#[tokio::test]
async fn the_store_of_a_registry_never_becomes_one() {
    let kit = Kit::new().await;
    kit.all("ci").await;
    let refused = kit.store.become_mirror().await.unwrap_err();
    assert!(refused.to_string().contains("that of a registry"), "{refused}");
    assert!(!kit.store.access().has_any_grant_for_anonymous());
}

#[tokio::test]
async fn permits_and_refusals_outlive_a_restart_and_end() {
    let mut kit = Kit::new().await;
    let permit = |who: u8, at: Timestamp| MirrorPermit {
        who: [who; 32],
        repo: repo("docker.io/a"),
        at,
    };
    let then = kit.store.now();
    kit.advance(HOUR);
    let now = kit.store.now();
    let all = vec![permit(1, then), permit(2, then), permit(3, now)];
    kit.store.note_mirror_permits(all).await.unwrap();
    kit.store.note_mirror_permits(vec![permit(1, now)]).await.unwrap();
    let refusal = MirrorRefusal {
        repo: repo("docker.io/a"),
        digest: sha256(b"x"),
        message: "CVE".to_owned(),
        detail: "{}".to_owned(),
        at: now,
    };
    kit.store.note_mirror_refusal(refusal.clone()).await.unwrap();
    kit.restart().await;
    let store = &kit.store;
    assert_eq!(store.mirror_permits(10).await.unwrap().len(), 3);
    assert_eq!(
        store.mirror_refusals(10).await.unwrap(),
        std::slice::from_ref(&refusal)
    );
    store.tidy_mirror(now, 10).await.unwrap();
    assert_eq!(store.mirror_permits(10).await.unwrap().len(), 2, "one was old");
    store
        .drop_mirror_permit([1; 32], &repo("docker.io/a"))
        .await
        .unwrap();
    assert_eq!(store.mirror_permits(10).await.unwrap(), [permit(3, now)]);
    store
        .drop_mirror_refusal(&refusal.repo, &refusal.digest)
        .await
        .unwrap();
    assert!(store.mirror_refusals(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn no_more_permits_are_kept_than_may_be() {
    let kit = Kit::new().await;
    for number in 0..20_u8 {
        kit.advance(Duration::from_secs(1));
        let permit = MirrorPermit {
            who: [number; 32],
            repo: repo("a/b"),
            at: kit.store.now(),
        };
        kit.store.note_mirror_permits(vec![permit]).await.unwrap();
    }
    kit.store.tidy_mirror(Timestamp(0), 5).await.unwrap();
    let kept = kit.store.mirror_permits(100).await.unwrap();
    assert!(kept.len() <= 6, "{}", kept.len());
    assert_eq!(kept[0].who, [19; 32], "the latest stay");
}

async fn used(kit: &Kit) -> Vec<String> {
    let images = kit.store.least_used(10).await.unwrap();
    images.iter().map(|image| image.repo.to_string()).collect()
}

#[tokio::test]
async fn what_was_not_pulled_for_longest_is_the_first_to_go() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let mut digests = Vec::new();
    for name in ["a", "b", "c"] {
        kit.advance(HOUR);
        digests.push(kit.push_image(&ci, name, name, &["1"]).await);
    }
    assert_eq!(used(&kit).await, ["a", "b", "c"]);
    kit.advance(HOUR);
    kit.store.note_pull(PullNote {
        repo: repo("a"),
        digest: digests[0],
        principal: None,
        class: PullClass::Node,
        at: kit.store.now(),
    });
    for _ in 0..100 {
        if used(&kit).await == ["b", "c", "a"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}", used(&kit).await);
}

#[tokio::test]
async fn an_image_goes_with_what_only_it_has() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for blob in ["config 1", "config 2", "shared", "one", "two"] {
        kit.push_blob(&ci, "r", blob.as_bytes()).await.unwrap();
    }
    let one = image(b"config 1", &[b"shared", b"one"]);
    let two = image(b"config 2", &[b"shared", b"two"]);
    kit.put(&ci, "r", &one, &["1"]).await.unwrap();
    kit.advance(HOUR);
    kit.put(&ci, "r", &two, &["2"]).await.unwrap();
    let before = kit.store.held_bytes().await.unwrap();
    let oldest = kit.store.least_used(1).await.unwrap().remove(0);
    assert_eq!(oldest.digest, sha256(one.as_bytes()));
    let freed = kit.store.evict(&oldest).await.unwrap();
    assert_eq!(freed, "config 1one".len() as u64);
    assert_eq!(kit.store.held_bytes().await.unwrap(), before - freed);
    assert_eq!(kit.store.held_images().await.unwrap(), 1);
    assert_eq!(kit.tags(&ci, "r").await, ["2"]);
    assert!(kit.read_blob(&ci, "r", &sha256(b"one")).await.is_none());
    assert!(kit.read_blob(&ci, "r", &sha256(b"shared")).await.is_some());
    assert_eq!(kit.store.evict(&oldest).await.unwrap(), 0, "it has gone");
    let last = kit.store.least_used(1).await.unwrap().remove(0);
    kit.store.evict(&last).await.unwrap();
    assert_eq!(kit.store.held_bytes().await.unwrap(), 0);
}

#[tokio::test]
async fn an_index_goes_with_its_images_and_not_with_those_of_others() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for blob in ["config a", "layer a", "config b", "layer b"] {
        kit.push_blob(&ci, "r", blob.as_bytes()).await.unwrap();
    }
    let a = image(b"config a", &[b"layer a"]);
    let b = image(b"config b", &[b"layer b"]);
    kit.put(&ci, "r", &a, &[]).await.unwrap();
    kit.put(&ci, "r", &b, &["b"]).await.unwrap();
    let both = index(&[&a, &b]);
    kit.put(&ci, "r", &both, &["1"]).await.unwrap();
    let held = kit.store.least_used(10).await.unwrap();
    assert_eq!(held.len(), 1, "what is in an index is no image of its own");
    kit.store.evict(&held[0]).await.unwrap();
    let left = kit.store.least_used(10).await.unwrap();
    assert_eq!(left.len(), 1, "the one with a tag stays");
    assert_eq!(left[0].digest, sha256(b.as_bytes()));
}

#[tokio::test]
async fn who_reads_what_goes_reads_on() {
    use futures_util::StreamExt as _;

    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "r", "a", &["1"]).await;
    let permit = kit.pull(&ci, "r");
    let blob = kit
        .store
        .blob(&permit, &sha256(b"layer a"))
        .await
        .unwrap()
        .unwrap();
    let image = kit.store.least_used(1).await.unwrap().remove(0);
    kit.store.evict(&image).await.unwrap();
    let mut read = Vec::new();
    let mut stream = Box::pin(blob.stream(0..blob.size()));
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(read, b"layer a");
}

#[tokio::test]
async fn what_is_held_is_found_by_its_tag_and_its_digest() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let one = kit.push_image(&ci, "docker.io/a", "one", &["1"]).await;
    let two = kit.push_image(&ci, "docker.io/b", "two", &[]).await;
    let both = index(&[image(b"config two", &[b"layer two"]).as_str()]);
    kit.put(&ci, "docker.io/b", &both, &["1"]).await.unwrap();
    let both = sha256(both.as_bytes());
    let tag = oci::Reference::Tag("1".parse().unwrap());
    for (name, reference, wanted) in [
        (Some("docker.io/a"), tag.clone(), vec![one]),
        (Some("docker.io/b"), tag.clone(), vec![both]),
        (Some("docker.io/c"), tag.clone(), Vec::new()),
        (None, tag, Vec::new()),
        (None, one.into(), vec![one]),
        // With the index that has it.
        (None, two.into(), vec![two, both]),
    ] {
        let name = name.map(repo);
        let held = kit.store.held_as(name.as_ref(), &reference).await.unwrap();
        let is_same = held.len() == wanted.len() && wanted.iter().all(|digest| held.contains(digest));
        assert!(is_same, "{name:?} {reference}: {held:?}");
    }
}

async fn note(kit: &Kit, what: &str) {
    let (operator, what) = (Kit::operator(), serde_json::json!(what));
    kit.store.note_setting(&operator, "x", what).await.unwrap();
}

async fn lines(kit: &Kit) -> i64 {
    let sql = "SELECT COUNT(*) AS number FROM event";
    let row: Option<sql::Number> = sql::first(kit.store.inner.db.read(), sql, []).await.unwrap();
    row.unwrap().number
}

#[tokio::test]
async fn the_log_of_a_mirror_has_an_end() {
    let kit = Kit::new().await;
    kit.store.become_mirror().await.unwrap();
    for _ in 0..30 {
        note(&kit, "early").await;
    }
    assert!(kit.store.trim_mirror_log(20).await.unwrap() >= 10);
    assert_eq!(lines(&kit).await, 20);
    for _ in 0..2 {
        note(&kit, "late").await;
        assert_eq!(
            kit.store.trim_mirror_log(20).await.unwrap(),
            0,
            "not for a line each"
        );
    }
    // The latest are those that stay, and nobody else takes any away.
    let latest = "SELECT body AS text FROM event ORDER BY seq DESC LIMIT 1";
    let latest: Option<sql::Text> = sql::first(kit.store.inner.db.read(), latest, []).await.unwrap();
    assert_eq!(latest.unwrap().text, "\"late\"");
    let deleted: Result<u64, StoreError> = kit
        .store
        .write(|tx| Box::pin(async move { sql::execute(tx.sql(), "DELETE FROM event", []).await }))
        .await;
    assert!(deleted.is_err(), "it is refused again");
}

#[tokio::test]
async fn the_log_of_a_registry_has_none() {
    let kit = Kit::new().await;
    for _ in 0..30 {
        note(&kit, "early").await;
    }
    let before = lines(&kit).await;
    assert_eq!(kit.store.trim_mirror_log(10).await.unwrap(), 0);
    assert_eq!(lines(&kit).await, before);
}
