//! What an index of the fleet reads.

use std::time::Duration;

use super::*;
use crate::testing::{Kit, image, index, sha256};
use crate::{JobKind, JobPriority};

fn report(blob: Digest) -> findings::LayerReport {
    findings::LayerReport {
        schema: findings::SCHEMA,
        analysers: "1".to_owned(),
        blob,
        diff_id: None,
        compression: findings::Compression::Gzip,
        bytes: 1,
        entries: 1,
        config: None,
        units: Vec::new(),
        whiteouts: Vec::new(),
        opaque: Vec::new(),
        findings: Vec::new(),
        oddities: Vec::new(),
        not_scannable: Vec::new(),
        tables: None,
        rebase: None,
        chart: None,
        listing: Listing::of(&[]),
    }
}

async fn scan(kit: &Kit, blob: Digest) {
    let store = &kit.store;
    let subject = blob.to_string();
    store
        .request_job(JobKind::Scan, &subject, JobPriority::Push)
        .await
        .unwrap();
    while let Some(job) = store
        .claim_job(JobKind::Scan, "w", Duration::from_mins(1))
        .await
        .unwrap()
    {
        if job.subject == subject {
            store.finish_scan(&job, report(blob)).await.unwrap();
            return;
        }
        store.drop_job(&job).await.unwrap();
    }
}

#[tokio::test]
async fn an_image_is_called_by_its_tags_and_by_those_of_indexes_that_name_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["plain"]).await;
    let one = index(&[&image(b"config a", &[b"layer a"])]);
    kit.put(&ci, "team/app", &one, &["v1"]).await.unwrap();
    let two = index(&[&one]);
    kit.put(&ci, "team/app", &two, &["deep"]).await.unwrap();
    kit.push_image(&ci, "team/other", "a", &["elsewhere"]).await;

    let repo: RepoName = "team/app".parse().unwrap();
    let mut tags = kit.store.image_tags(&repo).await.unwrap();
    tags.sort_unstable_by_key(|(_, tag)| tag.to_string());
    let names: Vec<_> = tags.iter().map(|(of, tag)| (*of, tag.as_str())).collect();
    assert_eq!(names, [(digest, "deep"), (digest, "plain"), (digest, "v1")]);
    assert_eq!(kit.store.image_digests(&repo).await.unwrap(), [digest]);
    assert_eq!(kit.store.image_count().await.unwrap(), 2);
    let stored = kit.store.fleet_image(&repo, &digest).await.unwrap().unwrap();
    assert_eq!(
        (stored.kind, sha256(&stored.bytes)),
        (ManifestKind::Image, digest)
    );
    assert!(
        kit.store
            .fleet_image(&repo, &sha256(b"no"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn events_say_what_touches_images_page_by_page() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let before = kit.store.fleet_mark().await.unwrap();
    let digest = kit.push_image(&ci, "team/app", "a", &["v1"]).await;
    let permit = kit.delete(&ci, "team/app");
    kit.store.delete_manifest(&permit, &digest).await.unwrap();
    let (mut after, mut seen) = (before.event, Vec::new());
    loop {
        let page = kit.store.fleet_events(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = last.seq;
        seen.extend(page.into_iter().filter_map(|event| event.what));
    }
    let repo: RepoName = "team/app".parse().unwrap();
    assert!(
        seen.contains(&FleetChange::Pushed(repo.clone(), digest)),
        "{seen:?}"
    );
    assert!(seen.contains(&FleetChange::Tagged(repo.clone())), "{seen:?}");
    assert_eq!(seen.last(), Some(&FleetChange::Deleted(repo, digest)));
    assert_eq!(after, kit.store.fleet_mark().await.unwrap().event);
    let stamp = kit.store.event_stamp(after).await.unwrap().unwrap();
    assert!(stamp.contains("manifest.delete"), "{stamp}");
    assert_eq!(kit.store.event_stamp(after + 1).await.unwrap(), None);
}

#[tokio::test]
async fn reports_come_in_the_order_of_their_last_writing() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["v1"]).await;
    let (layer, config) = (sha256(b"layer a"), sha256(b"config a"));
    let before = kit.store.fleet_mark().await.unwrap().report;
    scan(&kit, layer).await;
    scan(&kit, config).await;
    let reported = kit.store.reported_layers(before, 10).await.unwrap();
    let blobs: Vec<Digest> = reported.iter().map(|(_, blob)| *blob).collect();
    assert_eq!(blobs, [layer, config]);
    // Written again, it comes again, behind the others.
    let (last, _) = reported[1];
    scan(&kit, layer).await;
    let again = kit.store.reported_layers(last, 10).await.unwrap();
    assert_eq!(again.iter().map(|(_, blob)| *blob).collect::<Vec<_>>(), [layer]);
    assert_eq!(kit.store.fleet_mark().await.unwrap().report, again[0].0);
    let images = kit.store.images_with_blob(&layer, 0, 10).await.unwrap();
    assert_eq!(images[0].2, digest);
    assert!(
        kit.store
            .images_with_blob(&layer, images[0].0, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(kit.store.layer_listing(&layer).await.unwrap().is_some());
    assert!(kit.store.layer_listing(&sha256(b"no")).await.unwrap().is_none());
}
