//! Pushing, pulling and deleting manifests, and the rules that a push meets.

use access::Role;
use oci::Reference;

use super::*;
use crate::testing::{Kit, image, index, put, referrer, sha256};
use crate::{ImmutableTags, QuotaKind, Rules};

#[tokio::test]
async fn an_image_comes_back_byte_for_byte() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1.0", "latest"]).await;
    for reference in ["1.0", "latest", &digest.to_string()] {
        let stored = kit.manifest(&ci, "team/app", reference).await.unwrap();
        assert_eq!(stored.bytes, image(b"config a", &[b"layer a"]).as_bytes());
        assert_eq!((stored.digest, stored.kind), (digest, ManifestKind::Image));
    }
    assert_eq!(
        kit.read_blob(&ci, "team/app", &sha256(b"layer a")).await.unwrap(),
        b"layer a"
    );
    assert!(kit.manifest(&ci, "team/app", "2.0").await.is_none());
    assert!(kit.manifest(&ci, "team/other", "1.0").await.is_none());
}

#[tokio::test]
async fn what_was_just_pushed_is_pulled_without_a_database_call() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for seed in ["a", "b"] {
        let digest = kit.push_image(&ci, "team/app", seed, &["1.0"]).await;
        let layer = sha256(format!("layer {seed}").as_bytes());
        let before = kit.store.metrics().database_calls;
        for reference in ["1.0", &digest.to_string()] {
            let pulled = kit.manifest(&ci, "team/app", reference).await.unwrap();
            assert_eq!(pulled.digest, digest);
        }
        assert!(kit.read_blob(&ci, "team/app", &layer).await.is_some());
        assert_eq!(kit.store.metrics().database_calls, before);
    }
}

#[tokio::test]
async fn what_memory_learned_from_a_push_is_what_the_database_says() {
    let mut kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = kit.push_image(&ci, "team/app", "a", &["1.0"]).await;
    let referrer = referrer(&subject, "application/x", "note");
    kit.push_blob(&ci, "team/app", b"{}").await.unwrap();
    kit.put(&ci, "team/app", &referrer, &[]).await.unwrap();
    let digest = sha256(referrer.as_bytes()).to_string();
    let references = ["1.0", digest.as_str()];
    let mut learned = Vec::new();
    for reference in references {
        learned.push(kit.manifest(&ci, "team/app", reference).await.unwrap());
    }
    kit.restart().await;
    for (reference, learned) in references.into_iter().zip(learned) {
        assert_eq!(kit.manifest(&ci, "team/app", reference).await.unwrap(), learned);
    }
}

#[tokio::test]
async fn cached_pulls_make_no_database_call() {
    let mut kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1.0"]).await.to_string();
    kit.restart().await;
    let layer = sha256(b"layer a");
    for reference in ["1.0", &digest] {
        kit.manifest(&ci, "team/app", reference).await.unwrap();
    }
    kit.read_blob(&ci, "team/app", &layer).await.unwrap();
    let before = kit.store.metrics().database_calls;
    for _ in 0..100 {
        for reference in ["1.0", &digest] {
            kit.manifest(&ci, "team/app", reference).await.unwrap();
        }
        kit.read_blob(&ci, "team/app", &layer).await.unwrap();
    }
    assert_eq!(kit.store.metrics().database_calls, before);
}

#[tokio::test]
async fn what_was_acknowledged_is_what_is_served() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for round in 0..20 {
        let digest = kit
            .push_image(&ci, "team/app", &round.to_string(), &["latest"])
            .await;
        assert_eq!(
            kit.manifest(&ci, "team/app", "latest").await.unwrap().digest,
            digest
        );
        let deleted = kit.delete(&ci, "team/app");
        if round % 3 == 0 {
            kit.store.delete_manifest(&deleted, &digest).await.unwrap();
            assert!(kit.manifest(&ci, "team/app", "latest").await.is_none());
            assert!(kit.manifest(&ci, "team/app", &digest.to_string()).await.is_none());
        } else if round % 3 == 1 {
            kit.store
                .delete_tag(&deleted, &"latest".parse().unwrap())
                .await
                .unwrap();
            assert!(kit.manifest(&ci, "team/app", "latest").await.is_none());
            assert!(kit.manifest(&ci, "team/app", &digest.to_string()).await.is_some());
        }
    }
}

#[tokio::test]
async fn a_second_push_of_the_same_changes_nothing_but_tags() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let before = kit
        .store
        .repository_stats(&kit.pull(&ci, "team/app"))
        .await
        .unwrap()
        .unwrap();
    let manifest = image(b"config a", &[b"layer a"]);
    let again = kit.put(&ci, "team/app", &manifest, &["1", "2"]).await.unwrap();
    assert!(!again.created);
    let after = kit
        .store
        .repository_stats(&kit.pull(&ci, "team/app"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((after.bytes, after.manifests, after.tags), (before.bytes, 1, 2));
}

#[tokio::test]
async fn a_manifest_names_only_what_the_pusher_may_have() {
    let kit = Kit::new().await;
    let (owner, stranger) = (
        kit.robot("owner", &[Role::Push], "secret/**").await,
        kit.robot("stranger", &[Role::Push], "open/**").await,
    );
    kit.push_image(&owner, "secret/app", "a", &["1"]).await;
    let manifest = image(b"config a", &[b"layer a"]);
    let refused = kit
        .put(&stranger, "open/app", &manifest, &["1"])
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, PutError::BlobsUnknown(unknown) if unknown.len() == 2),
        "{refused}"
    );
    assert!(
        kit.store
            .tags(&kit.pull(&stranger, "open/app"), None, 10)
            .await
            .unwrap()
            .is_none()
    );

    kit.grant("stranger", &[Role::Pull], "secret/**").await;
    kit.put(&stranger, "open/app", &manifest, &["1"]).await.unwrap();
    assert_eq!(
        kit.read_blob(&stranger, "open/app", &sha256(b"layer a"))
            .await
            .unwrap(),
        b"layer a"
    );
}

#[tokio::test]
async fn who_pushed_a_blob_may_use_it_anywhere() {
    let kit = Kit::new().await;
    let ci = kit.robot("ci", &[Role::Push], "a/**").await;
    kit.grant("ci", &[Role::Push], "b/**").await;
    kit.push_image(&ci, "a/app", "x", &[]).await;
    // Not even by pulling: nothing is asked of other repositories here.
    let put = put(&image(b"config x", &[b"layer x"]), &["1"]);
    kit.store
        .put_manifest(&kit.push(&ci, "b/app"), put, &|_| false)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_policy_refuses_leaves_nothing_and_tells_nothing_of_others() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "team/app", "a", &["1.0"]).await;
    let manifest = image(b"config a", &[b"layer a", b"layer a"]);
    let refused = PutManifest {
        is_refused: true,
        ..put(&manifest, &["2.0"])
    };
    let stranger = kit.robot("stranger", &[Role::Push], "other/**").await;
    let push = async |repo: &str, put: PutManifest| {
        let caller = if repo == "other/app" { &stranger } else { &ci };
        let permit = kit.push(caller, repo);
        kit.store.put_manifest(&permit, put, &|_| false).await
    };
    assert!(matches!(
        push("team/app", refused.clone()).await,
        Err(PutError::Refused)
    ));
    let digest = sha256(manifest.as_bytes()).to_string();
    for reference in ["2.0", &digest] {
        assert!(kit.manifest(&ci, "team/app", reference).await.is_none());
    }
    // Whoever may not have the blobs hears that they are unknown, whatever policy says of them.
    assert!(matches!(
        push("other/app", refused).await,
        Err(PutError::BlobsUnknown(_))
    ));
    push("team/app", put(&manifest, &["2.0"])).await.unwrap();
}

#[tokio::test]
async fn a_wrong_size_is_refused() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"config").await.unwrap();
    let manifest = image(b"config", &[]).replace("\"size\":6", "\"size\":7");
    let refused = kit.put(&ci, "r", &manifest, &[]).await.unwrap_err();
    assert!(
        matches!(
            refused,
            PutError::SizeMismatch {
                stated: 7,
                actual: 6,
                ..
            }
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn an_index_needs_its_children_and_may_be_nested_so_deep() {
    let kit = Kit::with(|limits| limits.manifest_depth = 2).await;
    let ci = kit.all("ci").await;
    let leaf = image(b"config a", &[b"layer a"]);
    let (one, unknown) = (index(&[&leaf]), index(&["nobody has this"]));
    assert!(matches!(
        kit.put(&ci, "r", &one, &[]).await,
        Err(PutError::ChildrenUnknown(_))
    ));
    kit.push_image(&ci, "r", "a", &[]).await;
    kit.put(&ci, "r", &one, &[]).await.unwrap();
    assert!(matches!(
        kit.put(&ci, "r", &unknown, &[]).await,
        Err(PutError::ChildrenUnknown(_))
    ));
    let two = index(&[&one]);
    kit.put(&ci, "r", &two, &[]).await.unwrap();
    let three = index(&[&two, &leaf]);
    let refused = kit.put(&ci, "r", &three, &[]).await.unwrap_err();
    assert!(
        matches!(refused, PutError::TooDeep { depth: 3, limit: 2 }),
        "{refused}"
    );
    kit.put(&ci, "r", &index(&[]), &["empty"]).await.unwrap();
}

#[tokio::test]
async fn a_build_cache_keeps_its_layers_in_an_index() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "cache", b"layer").await.unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_IMAGE_INDEX,
        "manifests": [{ "mediaType": oci::media_type::OCI_LAYER_GZIP, "digest": digest, "size": 5 }],
    });
    kit.put(&ci, "cache", &manifest.to_string(), &["main"])
        .await
        .unwrap();
    kit.collect_all().await;
    assert_eq!(kit.read_blob(&ci, "cache", &digest).await.unwrap(), b"layer");
}

#[tokio::test]
async fn referrers_of_one_subject_are_capped() {
    let kit = Kit::with(|limits| limits.referrers_per_subject = 2).await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"{}").await.unwrap();
    let subject = sha256(b"not even there");
    for note in ["1", "2"] {
        let outcome = kit
            .put(&ci, "r", &referrer(&subject, "a/b", note), &[])
            .await
            .unwrap();
        assert_eq!(outcome.subject, Some(subject));
    }
    let refused = kit
        .put(&ci, "r", &referrer(&subject, "a/b", "3"), &[])
        .await
        .unwrap_err();
    assert!(
        matches!(refused, PutError::TooManyReferrers { limit: 2, .. }),
        "{refused}"
    );
    kit.put(&ci, "r", &referrer(&subject, "a/b", "2"), &["again"])
        .await
        .unwrap();
}

#[tokio::test]
async fn tags_of_one_put_are_capped() {
    let kit = Kit::with(|limits| limits.tags_per_put = 3).await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "r", "a", &["1", "2", "3"]).await;
    let refused = kit
        .put(
            &ci,
            "r",
            &image(b"config a", &[b"layer a"]),
            &["1", "2", "3", "4"],
        )
        .await;
    assert!(matches!(
        refused,
        Err(PutError::TooManyTags { count: 4, limit: 3 })
    ));
}

#[tokio::test]
async fn quota_counts_distinct_bytes_and_tags() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let manifest = image(b"config a", &[b"layer a"]);
    let bytes = ("config a".len() + "layer a".len() + manifest.len()) as u64;
    kit.rule(
        "r",
        Rules {
            quota_bytes: Some(bytes),
            quota_tags: Some(2),
            ..Rules::default()
        },
    )
    .await;
    kit.push_image(&ci, "r", "a", &["1"]).await;
    // The same again costs nothing.
    kit.push_image(&ci, "r", "a", &["2"]).await;
    let refused = kit.put(&ci, "r", &manifest, &["3"]).await.unwrap_err();
    let PutError::Quota(quota) = refused else {
        panic!("{refused}")
    };
    assert_eq!((quota.kind, quota.limit, quota.wanted), (QuotaKind::Tags, 2, 3));
    let refused = kit.put(&ci, "r", &index(&[&manifest]), &[]).await.unwrap_err();
    assert!(
        matches!(&refused, PutError::Quota(quota) if quota.kind == QuotaKind::Bytes),
        "{refused}"
    );
    let refused = kit.push_blob(&ci, "r", b"x").await.unwrap_err();
    assert!(matches!(&refused, crate::UploadError::Quota(_)), "{refused}");
    // What is gone no longer counts, nor does what nothing names any more.
    kit.store
        .delete_manifest(&kit.delete(&ci, "r"), &sha256(manifest.as_bytes()))
        .await
        .unwrap();
    let stats = kit
        .store
        .repository_stats(&kit.pull(&ci, "r"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((stats.tags, stats.manifests), (0, 0));
    let released = bytes - manifest.len() as u64;
    assert_eq!((stats.bytes, stats.released_bytes), (0, released));
}

#[tokio::test]
async fn an_immutable_tag_stays() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let immutable = ImmutableTags(vec!["v*".into(), "!v*-dev".into()]);
    kit.rule(
        "r",
        Rules {
            immutable_tags: Some(immutable),
            ..Rules::default()
        },
    )
    .await;
    let first = kit.push_image(&ci, "r", "a", &["v1", "v1-dev", "latest"]).await;
    kit.push_image(&ci, "r", "b", &["v1-dev", "latest"]).await;
    let other = image(b"config b", &[b"layer b"]);
    let refused = kit.put(&ci, "r", &other, &["fresh", "v1"]).await.unwrap_err();
    assert!(
        matches!(&refused, PutError::TagImmutable { current, .. } if *current == first),
        "{refused}"
    );
    assert!(
        kit.manifest(&ci, "r", "fresh").await.is_none(),
        "all tags or none"
    );
    kit.put(&ci, "r", &image(b"config a", &[b"layer a"]), &["v1"])
        .await
        .unwrap();

    let delete = kit.delete(&ci, "r");
    let tag = "v1".parse().unwrap();
    assert!(matches!(
        kit.store.delete_tag(&delete, &tag).await,
        Err(DeleteError::TagImmutable { .. })
    ));
    assert!(matches!(
        kit.store.delete_manifest(&delete, &first).await,
        Err(DeleteError::TagImmutable { .. })
    ));
    assert_eq!(kit.manifest(&ci, "r", "v1").await.unwrap().digest, first);
    assert!(matches!(
        kit.store.delete_tag(&delete, &"v9".parse().unwrap()).await,
        Err(DeleteError::Unknown)
    ));
    kit.store
        .delete_tag(&delete, &"v1-dev".parse().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_child_stays_as_long_as_an_index_names_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let child = kit.push_image(&ci, "r", "a", &[]).await;
    let one = index(&[&image(b"config a", &[b"layer a"])]);
    let two = index(&[&one]);
    for (manifest, tags) in [(&one, &[][..]), (&two, &["v1"][..])] {
        kit.put(&ci, "r", manifest, tags).await.unwrap();
    }
    let (one, two) = (sha256(one.as_bytes()), sha256(two.as_bytes()));
    let delete = kit.delete(&ci, "r");
    for (digest, namer) in [(child, one), (one, two)] {
        let refused = kit.store.delete_manifest(&delete, &digest).await.unwrap_err();
        assert!(
            matches!(refused, DeleteError::InIndex { index } if index == namer),
            "{refused}"
        );
        assert!(refused.to_string().contains(&namer.to_string()));
        assert!(kit.manifest(&ci, "r", &digest.to_string()).await.is_some());
    }
    // The same manifest in another repository is not named by the index.
    kit.push_image(&ci, "other", "a", &[]).await;
    let elsewhere = kit.delete(&ci, "other");
    kit.store.delete_manifest(&elsewhere, &child).await.unwrap();
    for digest in [two, one, child] {
        kit.store.delete_manifest(&delete, &digest).await.unwrap();
    }
}

#[tokio::test]
async fn deletion_can_be_switched_off() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "r", "a", &["1"]).await;
    kit.rule(
        "r",
        Rules {
            deletion: false,
            ..Rules::default()
        },
    )
    .await;
    let delete = kit.delete(&ci, "r");
    let layer = sha256(b"layer a");
    assert!(matches!(
        kit.store.delete_tag(&delete, &"1".parse().unwrap()).await,
        Err(DeleteError::Disabled)
    ));
    assert!(matches!(
        kit.store.delete_manifest(&delete, &digest).await,
        Err(DeleteError::Disabled)
    ));
    assert!(matches!(
        kit.store.delete_blob(&delete, &layer).await,
        Err(DeleteError::Disabled)
    ));
    let administer = kit.permit(&ci, "r");
    assert!(matches!(
        kit.store.delete_repository(&administer).await,
        Err(DeleteError::Disabled)
    ));
}

#[tokio::test]
async fn bytes_of_a_manifest_are_kept_once_and_go_with_the_last_holder() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "a", "x", &["1"]).await;
    kit.put(&ci, "b", &image(b"config x", &[b"layer x"]), &["1"])
        .await
        .unwrap();
    kit.store
        .delete_manifest(&kit.delete(&ci, "a"), &digest)
        .await
        .unwrap();
    assert!(kit.manifest(&ci, "a", "1").await.is_none());
    assert_eq!(kit.manifest(&ci, "b", "1").await.unwrap().digest, digest);
    kit.store
        .delete_manifest(&kit.delete(&ci, "b"), &digest)
        .await
        .unwrap();
    let left: Option<sql::Number> = sql::first(
        kit.store.inner.db.read(),
        "SELECT COUNT(*) AS number FROM manifest_content",
        [],
    )
    .await
    .unwrap();
    assert_eq!(left.unwrap().number, 0);
    let gone = kit.store.delete_manifest(&kit.delete(&ci, "b"), &digest).await;
    assert!(matches!(gone, Err(DeleteError::Unknown)));
}

#[tokio::test]
async fn a_manifest_of_another_algorithm_is_found_under_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"config").await.unwrap();
    let manifest = image(b"config", &[]);
    let mut put = put(&manifest, &["1"]);
    put.digest = oci::Digest::of(oci::Algorithm::Sha512, manifest.as_bytes());
    let digest = put.digest;
    kit.store
        .put_manifest(&kit.push(&ci, "r"), put, &|_| false)
        .await
        .unwrap();
    assert_eq!(
        kit.manifest(&ci, "r", &digest.to_string()).await.unwrap().digest,
        digest
    );
    assert_eq!(kit.manifest(&ci, "r", "1").await.unwrap().digest, digest);
    let by_digest = Reference::Digest(sha256(manifest.as_bytes()));
    assert!(
        kit.store
            .manifest(&kit.pull(&ci, "r"), &by_digest)
            .await
            .unwrap()
            .is_none()
    );
}
