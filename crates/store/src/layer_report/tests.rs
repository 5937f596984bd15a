//! Reports: kept once per blob, and who waits for them is woken.

use std::time::Duration;

use findings::{ListingEntry, Package, PackageKind, Unit, UnitKind};

use super::*;
use crate::job::JobPriority;
use crate::testing::{Kit, sha256};

fn report(blob: Digest, analysers: &str) -> LayerReport {
    let packages = vec![Package::new(PackageKind::Dpkg, "libc6", "2.36-9")];
    LayerReport {
        schema: findings::SCHEMA,
        analysers: analysers.to_owned(),
        blob,
        diff_id: Some(sha256(b"diff")),
        compression: findings::Compression::Gzip,
        bytes: 17,
        entries: 1,
        config: None,
        units: vec![findings::FoundUnit {
            path: "var/lib/dpkg/status".to_owned(),
            unit: Unit::of_packages(UnitKind::DpkgStatus, packages),
            owned_by: None,
        }],
        whiteouts: Vec::new(),
        opaque: Vec::new(),
        findings: Vec::new(),
        oddities: Vec::new(),
        not_scannable: Vec::new(),
        listing: Listing::of(&[ListingEntry {
            path: "var/lib/dpkg/status".to_owned(),
            kind: '0',
            mode: 0o644,
            size: 17,
            content: String::new(),
        }]),
        tables: None,
        rebase: None,
        chart: None,
    }
}

async fn claim(kit: &Kit, kind: JobKind) -> Option<Job> {
    kit.store
        .claim_job(kind, "w", Duration::from_mins(1))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_pushed_blob_is_looked_into_once_and_its_images_are_judged() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1.0"]).await;
    let layer = sha256(b"layer a");
    let mut scanned = Vec::new();
    while let Some(job) = claim(&kit, JobKind::Scan).await {
        let blob: Digest = job.subject.parse().unwrap();
        kit.store.finish_scan(&job, report(blob, "1")).await.unwrap();
        scanned.push(blob);
    }
    assert!(scanned.contains(&layer), "{scanned:?}");
    assert_eq!(
        claim(&kit, JobKind::Judge).await.unwrap().subject,
        format!("team/app@{digest}")
    );
    let stored = kit.store.layer_report(&layer).await.unwrap().unwrap();
    assert_eq!(stored, report(layer, "1"));

    // The same layer elsewhere is known already.
    kit.push_image(&ci, "team/other", "a", &["1.0"]).await;
    assert!(claim(&kit, JobKind::Scan).await.is_none());
    let known = kit.store.known_layers(&[layer, sha256(b"other")]).await.unwrap();
    assert_eq!(known, [(layer, "1".to_owned())]);
}

#[tokio::test]
async fn a_newer_report_takes_the_place_of_the_older_one() {
    let kit = Kit::new().await;
    let layer = sha256(b"layer");
    for analysers in ["1", "2"] {
        kit.store
            .request_job(JobKind::Scan, &layer.to_string(), JobPriority::Backfill)
            .await
            .unwrap();
        let job = claim(&kit, JobKind::Scan).await.unwrap();
        kit.store
            .finish_scan(&job, report(layer, analysers))
            .await
            .unwrap();
    }
    let stored = kit.store.layer_report(&layer).await.unwrap().unwrap();
    assert_eq!(stored.analysers, "2");
}

#[tokio::test]
async fn what_older_analysers_looked_into_is_looked_into_again_and_only_once() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "team/app", "a", &["1.0"]).await;
    let scan_all = async |analysers: &str| {
        let mut scanned = 0;
        while let Some(job) = claim(&kit, JobKind::Scan).await {
            let blob: Digest = job.subject.parse().unwrap();
            kit.store
                .finish_scan(&job, report(blob, analysers))
                .await
                .unwrap();
            scanned += 1;
        }
        scanned
    };
    let blobs = scan_all("1").await;
    assert!(blobs > 0);
    assert_eq!(kit.store.request_outdated_scans("1").await.unwrap(), 0);
    assert_eq!(kit.store.request_outdated_scans("2").await.unwrap(), blobs);
    // A second start does not ask for it twice.
    assert_eq!(kit.store.request_outdated_scans("2").await.unwrap(), 0);
    assert!(
        kit.store
            .layer_report(&sha256(b"layer a"))
            .await
            .unwrap()
            .is_some(),
        "the old report stands"
    );
    assert_eq!(scan_all("2").await, blobs);
    assert_eq!(kit.store.request_outdated_scans("2").await.unwrap(), 0);
}

/// Knowing the digest of another repository's layer shows nothing of it.
#[tokio::test]
async fn a_blob_is_of_the_repositories_that_have_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "team/app", "a", &["1.0"]).await;
    let is_linked = async |repo: &str| {
        let repo = repo.parse().unwrap();
        kit.store.is_linked(&repo, &sha256(b"layer a")).await.unwrap()
    };
    assert!(is_linked("team/app").await);
    assert!(!is_linked("team/other").await);
    assert_eq!(
        kit.store.layer_report_made_at(&sha256(b"layer a")).await.unwrap(),
        None
    );
}

/// What was found by somebody whose job is another one's by now is not written beside what that one finds.
#[tokio::test]
async fn a_report_of_who_lost_the_job_is_not_kept() {
    let kit = Kit::new().await;
    let layer = sha256(b"layer");
    kit.store
        .request_job(JobKind::Scan, &layer.to_string(), JobPriority::Push)
        .await
        .unwrap();
    let lost = claim(&kit, JobKind::Scan).await.unwrap();
    kit.advance(Duration::from_mins(2));
    let job = claim(&kit, JobKind::Scan).await.unwrap();
    kit.store.finish_scan(&lost, report(layer, "lost")).await.unwrap();
    let again = Duration::from_mins(1);
    kit.store
        .keep_scan(&lost, report(layer, "lost"), again)
        .await
        .unwrap();
    assert!(kit.store.layer_report(&layer).await.unwrap().is_none());
    kit.store.finish_scan(&job, report(layer, "1")).await.unwrap();
    let kept = kit.store.layer_report(&layer).await.unwrap().unwrap();
    assert_eq!(kept.analysers, "1");
    kit.store.finish_scan(&lost, report(layer, "lost")).await.unwrap();
    let kept = kit.store.layer_report(&layer).await.unwrap().unwrap();
    assert_eq!(kept.analysers, "1");
}

#[test]
fn a_report_that_inflates_to_too_much_is_refused_with_the_limit() {
    let layer = sha256(b"layer");
    let (body, _) = encode(report(layer, &"1".repeat(1 << 20))).unwrap();
    let refused = decode(&layer, &body.deflated, 100_000).unwrap_err();
    assert!(
        refused.to_string().contains("more than 100000 bytes"),
        "{refused}"
    );
    assert!(decode(&layer, &body.deflated, 2 << 20).is_ok());
    // Large ones take turns.
    let large = report(layer, &"1".repeat(17 << 20));
    let (body, _) = encode(large.clone()).unwrap();
    let refused = decode(&layer, &body.deflated, LARGE).unwrap_err();
    assert!(
        refused.to_string().contains("more than 16777216 bytes"),
        "{refused}"
    );
    let mut read = decode(&layer, &body.deflated, REPORT_BYTES).unwrap();
    read.listing = large.listing.clone();
    assert_eq!(read, large);
}

/// Threads that serve connections neither read nor write reports.
#[tokio::test]
async fn a_report_that_takes_long_holds_up_nobody() {
    let kit = Kit::new().await;
    let (sender, receiver) = std::sync::mpsc::channel();
    let work = kit.store.aside(move || {
        // The only thread of this runtime says so while it waits.
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        Ok(())
    });
    let (done, ()) = tokio::join!(work, async move { sender.send(()).unwrap() });
    done.unwrap();
}
