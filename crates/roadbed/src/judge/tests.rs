//! A judgement that always fails, or ends the server, does not leave its image undecided; one that takes long is made once.

use access::{Grant, Role, permit::Push};
use bytes::Bytes;
use findings::{FoundUnit, Listing, Package, PackageKind, Unit, UnitKind};
use futures_util::stream;
use oci::{Algorithm, Manifest, ManifestLimits};
use serde_json::json;
use signatures::SignerSpec;
use store::{Actor, Decided, Importer, ManualClock, NewUser, PutManifest, StoreConfig, SystemClock};

use super::*;

/// Numbers that look random and are the same each time.
pub(in crate::judge) struct Chance(u64);

impl Chance {
    pub(in crate::judge) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `end`.
    pub(in crate::judge) fn below(&mut self, end: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap_or(0)
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn open(dir: &std::path::Path) -> Store {
    open_at(dir, Arc::new(SystemClock)).await
}

async fn open_at(dir: &std::path::Path, clock: Arc<dyn store::Clock>) -> Store {
    let config = StoreConfig {
        data_dir: dir.to_owned(),
        touches_blobs: false,
        limits: store::StoreLimits::default(),
    };
    Store::open(config, clock).await.unwrap()
}

async fn permit(store: &Store, repo: &RepoName) -> access::Permit<Push> {
    let actor = Actor::operator("test");
    // One for each repository.
    let name: access::PrincipalName = repo.as_str().replace('/', "-").parse().unwrap();
    let user = NewUser {
        name: name.clone(),
        password: "a long enough password".into(),
        administrator: false,
        not_after: None,
    };
    let id = store.create_user(&actor, user).await.unwrap();
    let grant = Grant {
        subject: name.to_string().parse().unwrap(),
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

/// What every report lists: damaged, or nothing.
const DAMAGED: [u8; 100] = [0xff; 100];

/// Pushes an image of two layers whose blobs were looked into. `listing` is that of each report.
pub(crate) async fn push(store: &Store, repo: &RepoName, listing: &[u8]) -> Digest {
    let packages = vec![Package::new(PackageKind::Npm, "a", "1")];
    push_with(store, repo, packages, &Listing::from_bytes(listing.to_vec())).await
}

/// Pushes an image in whose layers these packages and files were found.
async fn push_with(store: &Store, repo: &RepoName, packages: Vec<Package>, listing: &Listing) -> Digest {
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
            unit: Unit::of_packages(UnitKind::NodeLock, packages.clone()),
            owned_by: None,
        });
        report.listing = listing.clone();
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

/// No rule speaks of what is unknown: what can be judged is allowed.
async fn set_policy(store: &Store) {
    let actor = Actor::operator("test");
    store
        .set_policy("version: 1\nrules: []\n", "sha256:x", &actor)
        .await
        .unwrap();
}

/// A judge at work. What it knows is read once somebody follows.
fn start(store: &Store, lease: Duration) -> (JoinSet<()>, Arc<Knowledge>) {
    start_within(store, lease, JudgeLimits::default())
}

pub(super) fn start_within(
    store: &Store,
    lease: Duration,
    limits: JudgeLimits,
) -> (JoinSet<()>, Arc<Knowledge>) {
    let knowledge = Knowledge::of(store.clone(), limits);
    let sboms = SbomConfig {
        attach: Vec::new(),
        format: crate::config::SbomFormat::CycloneDx,
        bytes: attach::BYTES,
        image_memory: IMAGE_MEMORY,
    };
    let pace = Pace {
        lease,
        try_again: Duration::from_millis(5),
    };
    let loops = Judge::start_with(
        store.clone(),
        Arc::clone(&knowledge),
        sboms,
        "test".to_owned(),
        pace,
    );
    (loops, knowledge)
}

pub(super) async fn decided(store: &Store, repo: &RepoName, digest: &Digest) -> Arc<Decided> {
    let mut decisions = store.decisions();
    let decided = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(decision) = store.decision(repo, digest, Point::Pull).await.unwrap() {
                return decision;
            }
            decisions.changed().await.unwrap();
        }
    });
    decided.await.expect("it stays undecided")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_judged_is_decided_as_unknown_and_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let repo: RepoName = "team/app".parse().unwrap();
    set_policy(&store).await;
    let digest = push(&store, &repo, &DAMAGED).await;
    let (_loops, knowledge) = start(&store, LEASE);
    let following = tokio::spawn(knowledge.follow());
    let decision = decided(&store, &repo, &digest).await;
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

/// Nothing of it can be seen but that the server was there before and is there again.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_judgement_ends_the_server_is_decided_and_the_server_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let repo: RepoName = "team/app".parse().unwrap();
    set_policy(&store).await;
    let digest = push(&store, &repo, &[]).await;
    for _ in 0..store::LOSSES {
        let begun = store.claim_job(JobKind::Judge, "dead", LEASE).await.unwrap();
        assert!(begun.is_some());
        // What every start does.
        store.release_jobs().await.unwrap();
        let asked = store.request_judgements(store::Which::Outdated, JobPriority::Backfill);
        asked.await.unwrap();
    }
    let (_loops, knowledge) = start(&store, LEASE);
    let following = tokio::spawn(knowledge.follow());
    let decision = decided(&store, &repo, &digest).await;
    assert_eq!(decision.outcome, Outcome::Warn, "it was begun once more");
    assert!(decision.line.contains("[not-judged]"), "{}", decision.line);
    let (_, text) = store
        .decision_with_text(&repo, &digest, Point::Pull)
        .await
        .unwrap()
        .unwrap();
    assert!(text.contains("the server ended 3 times"), "{text}");
    // Nor does what happens later begin it.
    let asked = store.request_judgements(store::Which::All, JobPriority::Asked);
    asked.await.unwrap();
    let begun = store.claim_job(JobKind::Judge, "other", LEASE).await.unwrap();
    assert_eq!(begun, None);
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judgement_that_takes_longer_than_its_lease_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let repo: RepoName = "team/app".parse().unwrap();
    set_policy(&store).await;
    let digest = push(&store, &repo, &[]).await;
    // Nobody reads what it is judged by: it waits.
    let lease = Duration::from_millis(500);
    let (_loops, knowledge) = start(&store, lease);
    while store.job_counts(JobKind::Judge).await.unwrap().running == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let until = tokio::time::Instant::now() + lease * 5;
    while tokio::time::Instant::now() < until {
        let other = store.claim_job(JobKind::Judge, "other", lease).await.unwrap();
        assert_eq!(other, None, "its lease was not renewed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let following = tokio::spawn(knowledge.follow());
    let decision = decided(&store, &repo, &digest).await;
    assert_eq!(decision.outcome, Outcome::Allow);
    following.abort();
}

/// An advisory about a package, and somebody's word until a moment that it does not matter.
async fn import(store: &Store, until: Timestamp) {
    let advisory = json!({
        "id": "GHSA-1", "modified": "2024-01-01T00:00:00Z", "aliases": ["CVE-2024-1"],
        "affected": [{ "package": { "ecosystem": "npm", "name": "left" }, "versions": ["1.0.0"] }],
    });
    let vex = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://vendor.example/1", "author": "Vendor",
        "timestamp": "2024-01-01T00:00:00Z", "version": 1,
        "statements": [{
            "vulnerability": { "name": "CVE-2024-1" }, "products": ["pkg:npm/left@1.0.0"], "status": "not_affected",
            "justification": "vulnerable_code_not_present",
        }],
    });
    let actor = Actor::operator("test");
    let mut importer = Importer::begin(store).await.unwrap();
    for (name, document) in [("npm/GHSA-1.json", advisory), ("vendor.json", vex)] {
        importer.add(name, document.to_string().as_bytes()).await.unwrap();
    }
    let summary = importer.finish("test", &actor).await.unwrap();
    assert_eq!(summary.refused, 0, "{summary:?}");
    let mut spec: SignerSpec = serde_json::from_value(json!({
        "name": "vendor", "repositories": ["**"], "author": "Vendor", "vex": true,
    }))
    .unwrap();
    spec.until = Some(moment(until).unwrap());
    store.set_signer(&actor, &spec).await.unwrap();
}

async fn until_decided(store: &Store, repo: &RepoName, digest: &Digest, outcome: Outcome) -> Arc<Decided> {
    let mut decisions = store.decisions();
    let decided = tokio::time::timeout(PATIENCE, async {
        loop {
            let decision = store.decision(repo, digest, Point::Pull).await.unwrap();
            if let Some(decision) = decision.filter(|decision| decision.outcome == outcome) {
                return decision;
            }
            decisions.changed().await.unwrap();
        }
    });
    decided
        .await
        .unwrap_or_else(|_| panic!("it is never {outcome:?}"))
}

/// Nothing else happens: no import, no push, no change of a rule.
#[tokio::test(flavor = "multi_thread")]
async fn vex_counts_no_longer_than_its_author_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::starting_at(Timestamp(1_795_336_380_000_000)));
    let store = open_at(dir.path(), Arc::clone(&clock) as Arc<dyn store::Clock>).await;
    let repo: RepoName = "team/app".parse().unwrap();
    let policy = "version: 1\nrules:\n  - {id: any, when: finding.kind == 'vulnerability', decide: refuse}\n";
    let actor = Actor::operator("test");
    store.set_policy(policy, "sha256:x", &actor).await.unwrap();
    let until = store.now().plus(Duration::from_hours(1));
    import(&store, until).await;
    let packages = vec![Package::new(PackageKind::Npm, "left", "1.0.0")];
    let digest = push_with(&store, &repo, packages, &Listing::default()).await;
    let (_loops, knowledge) = start(&store, LEASE);
    let following = tokio::spawn(knowledge.follow());
    let decision = until_decided(&store, &repo, &digest, Outcome::Allow).await;
    let end = until.plus(Duration::from_secs(1));
    assert_eq!(decision.review_at, Some(end), "{decision:?}");
    // Whoever waits for the next end wakes then, and not a minute later.
    let wait = until_next_review(&store, Duration::from_hours(9)).await.unwrap();
    assert_eq!(wait, Duration::from_secs(3_601));
    let wait = until_next_review(&store, Duration::from_secs(10)).await.unwrap();
    assert_eq!(wait, Duration::from_secs(10));
    clock.advance(Duration::from_hours(1));
    assert_eq!(review(&store).await.unwrap(), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(review(&store).await.unwrap(), 1);
    let refused = until_decided(&store, &repo, &digest, Outcome::Refuse).await;
    assert!(refused.line.contains("CVE-2024-1"), "{}", refused.line);
    following.abort();
}
