//! A judgement that always fails does not leave its image undecided.

use access::{Grant, Role, permit::Push};
use bytes::Bytes;
use findings::{FoundUnit, Listing, Unit, UnitKind};
use futures_util::stream;
use oci::{Algorithm, Manifest, ManifestLimits};
use serde_json::json;
use store::{Actor, NewUser, PutManifest, StoreConfig, SystemClock};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

async fn open(dir: &std::path::Path) -> Store {
    let config = StoreConfig {
        data_dir: dir.to_owned(),
        touches_blobs: false,
        limits: store::StoreLimits::default(),
    };
    Store::open(config, Arc::new(SystemClock)).await.unwrap()
}

async fn permit(store: &Store, repo: &RepoName) -> access::Permit<Push> {
    let actor = Actor::operator("test");
    let name: access::PrincipalName = "ann".parse().unwrap();
    let user = NewUser {
        name: name.clone(),
        password: "a long enough password".into(),
        administrator: false,
        not_after: None,
    };
    let id = store.create_user(&actor, user).await.unwrap();
    let grant = Grant {
        subject: "ann".parse().unwrap(),
        pattern: "**".parse().unwrap(),
        roles: [Role::Push].into_iter().collect(),
    };
    store.set_grant(&actor, &grant).await.unwrap();
    let book = store.access();
    let caller = book
        .sign_in(id, book.secrets_of(id)[0].id, store.now().micros())
        .unwrap();
    book.authorize(&caller, repo).unwrap()
}

/// Pushes an image whose blobs were looked into, one of them with a report that cannot be read.
async fn push(store: &Store, repo: &RepoName) -> Digest {
    let permit = permit(store, repo).await;
    let mut descriptors = Vec::new();
    let blobs: [&[u8]; 3] = [b"{}", b"layer", b"upper layer"];
    for bytes in blobs.map(Bytes::from_static) {
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let media_type = oci::media_type::OCI_IMAGE_CONFIG;
        descriptors.push(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }));
        let pushed = store.push_blob(&permit, &digest, stream::iter([Ok(bytes)]));
        pushed.await.unwrap();
    }
    for layer in &mut descriptors[1..] {
        layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
    }
    while let Some(job) = store.claim_job(JobKind::Scan, "test", LEASE).await.unwrap() {
        let blob: Digest = job.subject.parse().unwrap();
        let mut report = crate::worker::not_scannable(blob, "layer.test", "a test");
        report.units.push(FoundUnit {
            path: "app/package-lock.json".to_owned(),
            unit: Unit::of_packages(UnitKind::NodeLock, Vec::new()),
            owned_by: None,
        });
        report.listing = Listing::from_bytes(vec![0xff; 100]);
        store.finish_scan(&job, report).await.unwrap();
    }
    let manifest = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": descriptors[0], "layers": [descriptors[1], descriptors[2]],
    });
    let bytes = Bytes::from(manifest.to_string());
    let put = PutManifest {
        digest: Digest::of(Algorithm::Sha256, &bytes),
        manifest: Manifest::parse(&bytes, None, &ManifestLimits::default()).unwrap(),
        bytes,
        tags: Vec::new(),
        is_refused: false,
    };
    let digest = put.digest;
    store.put_manifest(&permit, put, &|_| false).await.unwrap();
    digest
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_judged_is_decided_as_unknown_and_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let repo: RepoName = "team/app".parse().unwrap();
    // No rule speaks of what is unknown.
    let policy = "version: 1\nrules: []\n";
    let actor = Actor::operator("test");
    store.set_policy(policy, "sha256:x", &actor).await.unwrap();
    let digest = push(&store, &repo).await;
    let knowledge = Knowledge::of(store.clone(), SignatureLimits::default());
    let following = tokio::spawn(Arc::clone(&knowledge).follow());
    let pause = Duration::from_millis(5);
    let sboms = SbomConfig {
        attach: Vec::new(),
        format: crate::config::SbomFormat::CycloneDx,
    };
    let _loops = Judge::start_with(store.clone(), knowledge, sboms, "test".to_owned(), pause);
    let mut decisions = store.decisions();
    let decided = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(decision) = store.decision(&repo, &digest, Point::Pull).await.unwrap() {
                return decision;
            }
            decisions.changed().await.unwrap();
        }
    });
    let decision = decided.await.expect("it stays undecided");
    assert_eq!(decision.outcome, Outcome::Warn);
    assert!(
        decision
            .line
            .contains("[not-judged] the image could not be judged"),
        "{}",
        decision.line
    );
    let review = decision.review_at.expect("it is tried again");
    assert!(review > store.now().plus(Duration::from_mins(30)));
    following.abort();
}
