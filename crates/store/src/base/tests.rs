//! Bases and their releases.

use findings::Severity;
use oci::{Algorithm, Digest};
use road::base::{Lifecycle, Promise};
use road::lineage::Lineage;
use time::{Duration, OffsetDateTime, macros::datetime};

use super::*;
use crate::testing::Kit;

pub(crate) fn base(name: &str, repository: &str) -> BaseImage {
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

fn layer(name: &str) -> Digest {
    Digest::of(Algorithm::Sha256, name.as_bytes())
}

fn note(layers: &[&str]) -> ImageNote {
    ImageNote {
        platform: "linux/amd64".to_owned(),
        diff_ids: layers.iter().map(|name| layer(name)).collect(),
        words: None,
        signed_by: Vec::new(),
        made_at: OffsetDateTime::UNIX_EPOCH,
    }
}

async fn lineage(kit: &Kit, layers: &[&str]) -> Lineage {
    let ids: Vec<_> = layers.iter().map(|name| Some(layer(name))).collect();
    kit.store.road().await.unwrap().releases.lineage(&ids)
}

#[tokio::test]
async fn what_lies_in_the_repository_of_a_base_is_its_release() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    let ci = kit.all("ci").await;
    let repo = "base/java17".parse().unwrap();
    let digest = kit
        .push_image(&ci, "base/java17", "one", &["stable", "17.0.9"])
        .await;
    store
        .note_image(&repo, &digest, note(&["os", "jre"]))
        .await
        .unwrap();
    assert!(
        lineage(&kit, &["os", "jre", "app"]).await.stack.is_empty(),
        "not declared"
    );
    store
        .set_base(&operator, &base("java17", "base/java17"))
        .await
        .unwrap();
    store
        .note_image(&repo, &digest, note(&["os", "jre"]))
        .await
        .unwrap();
    let found = lineage(&kit, &["os", "jre", "app"]).await;
    let standing = found.base().unwrap();
    assert_eq!(
        (standing.base.as_str(), standing.version.as_str()),
        ("java17", "17.0.9")
    );
    assert_eq!((standing.layers, standing.superseded), (2, None));
    kit.advance(std::time::Duration::from_mins(1));
    let next = kit.push_image(&ci, "base/java17", "two", &["stable"]).await;
    store
        .note_image(&repo, &next, note(&["os2", "jre2"]))
        .await
        .unwrap();
    let old = lineage(&kit, &["os", "jre", "app"]).await;
    assert!(old.base().unwrap().superseded.is_some());
    // A release is known although it was deleted: images stand on it.
    store
        .delete_manifest(&kit.delete(&ci, "base/java17"), &digest)
        .await
        .unwrap();
    assert!(lineage(&kit, &["os", "jre", "app"]).await.base().is_some());
    // In another repository it is nothing.
    let stray = kit.push_image(&ci, "team/app", "three", &["v1"]).await;
    store
        .note_image(&"team/app".parse().unwrap(), &stray, note(&["os3"]))
        .await
        .unwrap();
    assert!(lineage(&kit, &["os3"]).await.stack.is_empty());
    store
        .remove_base(&operator, &"java17".parse().unwrap())
        .await
        .unwrap();
    assert!(lineage(&kit, &["os2", "jre2"]).await.stack.is_empty());
}

#[tokio::test]
async fn setting_a_base_has_the_images_of_its_repository_looked_at_again() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "base/os", "a", &["1"]).await;
    kit.push_image(&ci, "team/app", "b", &["1"]).await;
    let lease = std::time::Duration::from_mins(1);
    let claim = || kit.store.claim_job(crate::JobKind::Judge, "w", lease);
    while let Some(job) = claim().await.unwrap() {
        kit.store.drop_job(&job).await.unwrap();
    }
    kit.store
        .set_base(&Kit::operator(), &base("os", "base/os"))
        .await
        .unwrap();
    let job = claim().await.unwrap().unwrap();
    assert!(job.subject.starts_with("base/os@"), "{}", job.subject);
    assert!(claim().await.unwrap().is_none());
}

#[tokio::test]
async fn bases_that_do_not_go_together_are_refused() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    store
        .set_base(&operator, &base("java17", "base/java17"))
        .await
        .unwrap();
    let refused = |set: Result<Option<BaseImage>, AdminError>, why: &str| match set {
        Err(AdminError::Invalid { reason }) => assert!(reason.contains(why), "{reason}"),
        other => panic!("{why}: {other:?}"),
    };
    let shared = store.set_base(&operator, &base("java21", "base/java17")).await;
    refused(shared, "give each its own repository");
    let mut orphan = base("java11", "base/java11");
    orphan.replaced_by = Some("java25".parse().unwrap());
    refused(store.set_base(&operator, &orphan).await, "java25");
    let mut odd = base("java11", "base/java11");
    odd.channels.insert("a b".to_owned(), layer("x"));
    refused(store.set_base(&operator, &odd).await, "no tag");
    let mut endless = base("java11", "base/java11");
    endless.supported_until = datetime!(9999-12-31 23:59 UTC);
    refused(store.set_base(&operator, &endless).await, "that is no end");
    let mut long = base("java11", "base/java11");
    long.retire_notice = Some(i64::MAX.unsigned_abs());
    refused(
        store.set_base(&operator, &long).await,
        "`retireNotice` is longer than 3650 days",
    );
    let mut promised = base("java11", "base/java11");
    promised.patch_within = Promise::new([(Severity::Low, Duration::days(3_651))]);
    refused(
        store.set_base(&operator, &promised).await,
        "`patchWithin` is longer",
    );
    assert_eq!(store.base_entries().await.unwrap().len(), 1);
    let gone = store.remove_base(&operator, &"java11".parse().unwrap()).await;
    assert!(matches!(gone, Err(AdminError::NotFound { kind: "base", .. })));
}

#[tokio::test]
async fn of_too_many_releases_the_oldest_are_forgotten() {
    let kit = Kit::new().await;
    let (store, ci) = (&kit.store, kit.all("ci").await);
    store
        .set_base(&Kit::operator(), &base("os", "base/os"))
        .await
        .unwrap();
    let limit = sql::to_db(MAX_RELEASES_OF_A_BASE as u64);
    let fill: Result<(), StoreError> = store
        .write(move |tx| {
            Box::pin(async move {
                let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
                           INSERT INTO base_release (base, digest, platform, diff_ids, released_at) \
                           SELECT 'os', 'old' || i, 'linux/amd64', 'x', i FROM n";
                sql::execute(tx.sql(), sql, [limit.into()]).await.map(drop)
            })
        })
        .await;
    fill.unwrap();
    let digest = kit.push_image(&ci, "base/os", "a", &["1"]).await;
    let repo = "base/os".parse().unwrap();
    store.note_image(&repo, &digest, note(&["os"])).await.unwrap();
    let oldest = "SELECT COUNT(*) AS number FROM base_release WHERE base = 'os' AND released_at > $1";
    let count = async |after: i64| {
        let on = store.inner.db.read();
        let row: Option<sql::Number> = sql::first(on, oldest, [after.into()]).await.unwrap();
        row.unwrap().number
    };
    assert_eq!(
        (count(0).await, count(1).await),
        (limit, limit),
        "the oldest went"
    );
}

#[tokio::test]
async fn what_has_too_many_layers_or_none_is_no_release() {
    let kit = Kit::new().await;
    let (store, ci) = (&kit.store, kit.all("ci").await);
    store
        .set_base(&Kit::operator(), &base("os", "base/os"))
        .await
        .unwrap();
    let digest = kit.push_image(&ci, "base/os", "a", &["1"]).await;
    let repo = "base/os".parse().unwrap();
    let names: Vec<String> = (0..=road::lineage::MAX_LAYERS)
        .map(|layer| layer.to_string())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for layers in [&names[..], &[]] {
        store.note_image(&repo, &digest, note(layers)).await.unwrap();
        assert!(store.road().await.unwrap().releases.is_empty());
    }
    store.note_image(&repo, &digest, note(&names[1..])).await.unwrap();
    assert_eq!(store.road().await.unwrap().releases.len(), 1);
}

/// Why the release that was noted last moves nothing, by the audit log.
async fn moves_nothing(kit: &Kit) -> String {
    let sql = "SELECT body AS text FROM event WHERE kind = 'base.release' ORDER BY seq DESC LIMIT 1";
    let row: Option<crate::db::sql::Text> = crate::db::sql::first(kit.store.inner.db.read(), sql, [])
        .await
        .unwrap();
    let details: serde_json::Value = serde_json::from_str(&row.unwrap().text).unwrap();
    details["moves_nothing"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn copies_and_what_is_replayed_move_nothing_and_the_log_says_why() {
    let kit = Kit::new().await;
    let (store, operator, ci) = (&kit.store, Kit::operator(), kit.all("ci").await);
    kit.trust("platform").await;
    for name in ["java", "toys"] {
        let mut base = base(name, &format!("base/{name}"));
        base.signer = Some("platform".to_owned());
        store.set_base(&operator, &base).await.unwrap();
    }
    let signed = |layers: &[&str], day: i64| ImageNote {
        signed_by: vec!["platform".to_owned()],
        made_at: OffsetDateTime::UNIX_EPOCH + Duration::days(day),
        ..note(layers)
    };
    let minute = std::time::Duration::from_mins(1);
    let (java, toys) = ("base/java".parse().unwrap(), "base/toys".parse().unwrap());
    let current = kit.push_image(&ci, "base/java", "current", &["2"]).await;
    store
        .note_image(&java, &current, signed(&["current"], 100))
        .await
        .unwrap();
    assert_eq!(moves_nothing(&kit).await, "");
    kit.advance(minute);
    let ancient = kit.push_image(&ci, "base/java", "ancient", &["3"]).await;
    store
        .note_image(&java, &ancient, signed(&["ancient"], 7))
        .await
        .unwrap();
    let why = moves_nothing(&kit).await;
    assert!(
        why.contains("it was made at 1970-01-08") && why.contains(&current.to_string()),
        "{why}"
    );
    let copy = kit.push_image(&ci, "base/toys", "current", &["1"]).await;
    assert_eq!(copy, current);
    store
        .note_image(&toys, &copy, signed(&["current"], 100))
        .await
        .unwrap();
    let why = moves_nothing(&kit).await;
    assert!(why.contains("base java had it first"), "{why}");
    let found = lineage(&kit, &["current", "app"]).await;
    let standing = found.base().unwrap();
    assert_eq!((standing.base.as_str(), standing.superseded), ("java", None));
    let road = store.road().await.unwrap();
    assert!(road.releases.of_base(&"toys".parse().unwrap()).next().is_none());
    assert!(!road.releases.release(&ancient).unwrap().is_target);
    assert!(road.releases.release(&current).unwrap().is_target);
}

#[tokio::test]
async fn a_signer_whom_nobody_declared_is_refused_with_the_nearest_name() {
    let kit = Kit::new().await;
    let (store, operator) = (&kit.store, Kit::operator());
    let mut base = base("java", "base/java");
    base.signer = Some("platfrom".to_owned());
    let refused = async |base| store.set_base(&operator, base).await.unwrap_err().to_string();
    assert!(refused(&base).await.contains("there is none yet"));
    kit.trust("release").await;
    kit.trust("platform").await;
    let why = refused(&base).await;
    assert!(
        why.contains("`platfrom`, whom nobody has declared, did you mean `platform`?"),
        "{why}"
    );
    base.signer = Some("platform".to_owned());
    store.set_base(&operator, &base).await.unwrap();
    // What is said already stays: another word about the base is none about its signer.
    store.remove_signer(&operator, "platform").await.unwrap();
    base.retire_notice = Some(60);
    store.set_base(&operator, &base).await.unwrap();
}
