//! A registry without a socket, and what is collected of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::{Caller, Grant, Role, permit::Push};
use bytes::Bytes;
use futures_util::stream;
use maturity::{
    evidence::Value,
    facts::{Entry, EntryKind},
    words::{EventId, Subject},
};
use oci::{Algorithm, Digest, Manifest, ManifestLimits, RepoName};
use road::{
    application::{Source, Statement},
    base::{BaseImage, Lifecycle, Promise},
    paving::RoadEntry,
};
use serde_json::json;
use store::{
    Actor, Declared, ImageNote, JobKind, JobPriority, Judgement, ManualClock, MaturityStep, NewRobot,
    NewUser, Outcome, Point, PutManifest, Reasons, Store, StoreConfig, StoreLimits, Timestamp,
};
use time::{OffsetDateTime, macros::datetime};

use super::super::{Stacks, all};
use crate::maturity::{
    collector::{Asked, Collector},
    entries,
};

/// When the tests begin.
pub(in crate::maturity) const START: OffsetDateTime = datetime!(2026-03-02 9:00 UTC);

const LEASE: Duration = Duration::from_mins(5);

/// The layers of images, by digest.
#[derive(Default)]
pub(in crate::maturity) struct Known(Mutex<HashMap<Digest, Vec<Option<Digest>>>>);

impl Stacks for Known {
    fn diff_ids(&self, _: &RepoName, image: &Digest) -> Option<Vec<Option<Digest>>> {
        self.0.lock().unwrap().get(image).cloned()
    }
}

pub(in crate::maturity) struct Kit {
    pub(in crate::maturity) store: Store,
    pub(in crate::maturity) collectors: Vec<Arc<dyn Collector>>,
    pub(in crate::maturity) robot: Caller,
    pub(in crate::maturity) person: Caller,
    clock: Arc<ManualClock>,
    pub(in crate::maturity) stacks: Arc<Known>,
    asked: Mutex<u64>,
    _dir: tempfile::TempDir,
}

pub(in crate::maturity) fn operator() -> Actor {
    Actor::operator("test")
}

/// A signature that counts.
pub(in crate::maturity) fn signature() -> serde_json::Value {
    json!({ "form": "cosign signature", "artifact": Digest::of(Algorithm::Sha256, b"sig"), "signers": ["ci"] })
}

/// A layer with one file.
pub(in crate::maturity) fn layer(content: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "file", content.as_bytes())
        .unwrap();
    archive.into_inner().unwrap()
}

impl Kit {
    pub(in crate::maturity) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(Timestamp::from(START)));
        let config = StoreConfig {
            data_dir: dir.path().to_owned(),
            touches_blobs: false,
            limits: StoreLimits::default(),
        };
        let store = Store::open(config, Arc::clone(&clock) as Arc<dyn store::Clock>)
            .await
            .unwrap();
        let stacks = Arc::new(Known::default());
        Self {
            collectors: all(store.clone(), Arc::clone(&stacks) as Arc<dyn Stacks>),
            robot: robot(&store).await,
            person: person(&store).await,
            clock,
            stacks,
            asked: Mutex::new(0),
            _dir: dir,
            store,
        }
    }

    pub(in crate::maturity) fn now(&self) -> OffsetDateTime {
        self.store.now().to_utc()
    }

    pub(in crate::maturity) fn go_on(&self, days: u64) {
        self.clock.advance(Duration::from_hours(24 * days));
    }

    pub(in crate::maturity) fn wait(&self, minutes: u64) {
        self.clock.advance(Duration::from_mins(minutes));
    }

    /// Declares an application with a team.
    pub(in crate::maturity) async fn declare(&self, name: &str, repository: &str) {
        let mut app = Statement::new(name.parse().unwrap(), Source::Declared, "test");
        app.repositories = vec![repository.parse().unwrap()];
        app.owner = Some("group:shop".parse().unwrap());
        app.contacts = vec!["shop@example.org".parse().unwrap()];
        app.tier = Some(1);
        app.environments = vec!["production".parse().unwrap()];
        self.store.set_application(&operator(), &app).await.unwrap();
    }

    /// Approves a base.
    pub(in crate::maturity) async fn approve(&self, name: &str, until: OffsetDateTime) {
        let base = BaseImage {
            name: name.parse().unwrap(),
            owner: "platform".parse().unwrap(),
            contact: None,
            repository: format!("base/{name}").parse().unwrap(),
            channels: BTreeMap::new(),
            lifecycle: Lifecycle::Supported,
            supported_until: until,
            replaced_by: None,
            rebase: None,
            patch_within: Promise::default(),
            retire_notice: None,
            signer: None,
        };
        self.store.set_base(&operator(), &base).await.unwrap();
    }

    /// Has an image known as a release of the base in whose repository it lies.
    pub(in crate::maturity) async fn release(&self, repository: &str, image: &Digest, layers: &[Vec<u8>]) {
        let note = ImageNote {
            platform: "linux/amd64".to_owned(),
            diff_ids: layers
                .iter()
                .map(|layer| Digest::of(Algorithm::Sha256, layer))
                .collect(),
            words: None,
            signed_by: Vec::new(),
            made_at: self.now(),
        };
        self.store
            .note_image(&repository.parse().unwrap(), image, note)
            .await
            .unwrap();
    }

    /// Sets entries of the catalogue of the road.
    pub(in crate::maturity) async fn pave(&self, entries: &[serde_json::Value]) {
        let road: Vec<RoadEntry> = entries
            .iter()
            .map(|entry| serde_json::from_value(entry.clone()).unwrap())
            .collect();
        let declared = Declared {
            road,
            ..Declared::default()
        };
        let plan = self.store.plan_road(&declared, false).await.unwrap();
        self.store.carry_out(&operator(), plan).await.unwrap();
    }

    /// Pushes an image and has it looked into.
    pub(in crate::maturity) async fn push(
        &self,
        caller: &Caller,
        repository: &str,
        tag: &str,
        layers: &[Vec<u8>],
    ) -> Digest {
        let repo: RepoName = repository.parse().unwrap();
        let permit = self.store.access().authorize::<Push>(caller, &repo).unwrap();
        let diff_ids: Vec<Digest> = layers
            .iter()
            .map(|tar| Digest::of(Algorithm::Sha256, tar))
            .collect();
        let labels = json!({
            "org.opencontainers.image.source": "https://git.example/shop",
            "org.opencontainers.image.revision": format!("{tag}-{repository}"),
        });
        let config = json!({
            "os": "linux", "architecture": "amd64", "config": { "Labels": labels },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = config.to_string().into_bytes();
        let mut descriptors = Vec::new();
        for bytes in std::iter::once(&config).chain(layers) {
            let digest = Digest::of(Algorithm::Sha256, bytes);
            let media_type = if descriptors.is_empty() {
                oci::media_type::OCI_IMAGE_CONFIG
            } else {
                "application/vnd.oci.image.layer.v1.tar"
            };
            descriptors.push(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }));
            let body = stream::iter([Ok(Bytes::from(bytes.clone()))]);
            self.store.push_blob(&permit, &digest, body).await.unwrap();
            self.look_into(bytes).await;
        }
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
            "config": descriptors[0], "layers": descriptors[1..],
        });
        let bytes = Bytes::from(manifest.to_string());
        let put = PutManifest {
            digest: Digest::of(Algorithm::Sha256, &bytes),
            manifest: Manifest::parse(&bytes, None, &ManifestLimits::default()).unwrap(),
            bytes,
            tags: vec![tag.parse().unwrap()],
            is_refused: false,
        };
        let digest = put.digest;
        self.store.put_manifest(&permit, put, &|_| false).await.unwrap();
        let known = diff_ids.into_iter().map(Some).collect();
        self.stacks.0.lock().unwrap().insert(digest, known);
        digest
    }

    /// Has a tag name an image that is there.
    pub(in crate::maturity) async fn tag(&self, repository: &str, tag: &str, image: &Digest) {
        let repo: RepoName = repository.parse().unwrap();
        let permit = self.store.access().authorize::<Push>(&self.robot, &repo).unwrap();
        let stored = self.store.manifest_to_judge(&repo, image).await.unwrap().unwrap();
        let put = PutManifest {
            digest: *image,
            manifest: Manifest::parse(&stored.bytes, None, &ManifestLimits::default()).unwrap(),
            bytes: stored.bytes.clone(),
            tags: vec![tag.parse().unwrap()],
            is_refused: false,
        };
        self.store.put_manifest(&permit, put, &|_| false).await.unwrap();
    }

    async fn look_into(&self, bytes: &[u8]) {
        while let Some(job) = self.store.claim_job(JobKind::Scan, "test", LEASE).await.unwrap() {
            let report = crate::worker::look(bytes);
            self.store.finish_scan(&job, report).await.unwrap();
        }
    }

    /// Decides of an image, with what is attached to it.
    pub(in crate::maturity) async fn decide(
        &self,
        repository: &str,
        image: &Digest,
        attached: &[serde_json::Value],
    ) {
        let repo: RepoName = repository.parse().unwrap();
        let judgement = Judgement {
            outcome: Outcome::Allow,
            line: String::new(),
            body: Reasons::of(json!({ "reasons": [], "signatures": attached }).to_string()),
            policy: "policy".to_owned(),
            evidence: "facts".to_owned(),
            generation: 0,
            review_at: None,
            waives: false,
        };
        let subject = format!("{repo}@{image}");
        let store = &self.store;
        store
            .request_job(JobKind::Judge, &subject, JobPriority::Asked)
            .await
            .unwrap();
        while let Some(job) = store.claim_job(JobKind::Judge, "test", LEASE).await.unwrap() {
            let verdicts = vec![(Point::Pull, judgement.clone())].into();
            let (of, digest) = job.subject.split_once('@').unwrap();
            let (of, digest) = (of.parse().unwrap(), digest.parse().unwrap());
            store
                .finish_judgement(&job, &of, &digest, verdicts)
                .await
                .unwrap();
        }
    }

    fn ask(&self) -> Asked {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        Asked {
            event: EventId(*asked),
            at: self.now(),
        }
    }

    /// What all collectors know of a subject that is new, which is kept.
    pub(in crate::maturity) async fn night(&self, subject: &str) -> Vec<Entry> {
        let (asked, subject): (Asked, Subject) = (self.ask(), subject.parse().unwrap());
        let mut collected = Vec::new();
        for collector in &self.collectors {
            collected.extend(collector.of_subject(asked, &subject).await.unwrap());
        }
        self.keep(&collected).await;
        collected
    }

    /// What all collectors make of the lines behind one; answers the last line.
    pub(in crate::maturity) async fn follow(&self, after: i64) -> (i64, Vec<Entry>) {
        let (mut last, mut collected) = (after, Vec::new());
        for line in self.store.log_lines(after, 10_000).await.unwrap() {
            last = line.seq;
            for collector in &self.collectors {
                collected.extend(collector.of_event(self.ask(), &line).await.unwrap());
            }
        }
        self.keep(&collected).await;
        (last, collected)
    }

    async fn keep(&self, collected: &[Entry]) {
        let place = self.store.maturity_place().await.unwrap();
        let step = MaturityStep {
            from: place.clone(),
            to: place,
            entries: collected
                .iter()
                .map(|entry| entries::kept(entry).unwrap())
                .collect(),
            ..MaturityStep::default()
        };
        let is_kept = self
            .store
            .step_maturity(&Actor::system("test"), step)
            .await
            .unwrap();
        assert!(is_kept);
    }
}

/// Values by fact and the beginning of their item.
pub(in crate::maturity) fn values(entries: &[Entry]) -> BTreeMap<(String, Option<String>), Value> {
    let seen = entries.iter().filter_map(|entry| match &entry.kind {
        EntryKind::Seen(evidence) => {
            let item = evidence.item.as_ref().map(ToString::to_string);
            Some(((evidence.fact.to_string(), item), evidence.seen.value))
        }
        _ => None,
    });
    seen.collect()
}

/// The value of a state, or of an item.
pub(in crate::maturity) fn value(entries: &[Entry], fact: &str, item: Option<&str>) -> Option<Value> {
    values(entries)
        .get(&(fact.to_owned(), item.map(str::to_owned)))
        .copied()
}

async fn grant(store: &Store, name: &str) {
    let grant = Grant {
        subject: name.parse().unwrap(),
        pattern: "**".parse().unwrap(),
        roles: [Role::Push, Role::Delete].into_iter().collect(),
    };
    store.set_grant(&operator(), &grant).await.unwrap();
}

async fn robot(store: &Store) -> Caller {
    let robot = NewRobot {
        name: "builder".parse().unwrap(),
        not_after: None,
        secret_not_after: None,
    };
    let issued = store.create_robot(&operator(), robot).await.unwrap();
    grant(store, "builder").await;
    let book = store.access();
    let id = book.principal(&"builder".parse().unwrap()).unwrap().id;
    book.sign_in(id, issued.id, store.now().micros()).unwrap()
}

async fn person(store: &Store) -> Caller {
    let user = NewUser {
        name: "ann".parse().unwrap(),
        password: "a long enough password".into(),
        administrator: false,
        not_after: None,
    };
    let id = store.create_user(&operator(), user).await.unwrap();
    grant(store, "ann").await;
    let book = store.access();
    book.sign_in(id, book.secrets_of(id)[0].id, store.now().micros())
        .unwrap()
}
