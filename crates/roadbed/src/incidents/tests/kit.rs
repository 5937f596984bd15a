//! A registry without a socket: everything that is pushed is looked into, judged and indexed as by a server.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use access::{Caller, Grant, PrincipalName, Role, permit::Delete, permit::Push};
use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest, Manifest, ManifestLimits, RepoName, Tag};
use road::{
    incident::{Incident, Line, LineKey},
    names::IncidentId,
};
use serde_json::{Value, json};
use store::{
    Actor, Importer, JobKind, ManualClock, NewUser, PutManifest, Store, StoreConfig, StoreLimits, Timestamp,
};
use time::OffsetDateTime;
use tokio::task::{JoinHandle, JoinSet};
use web::{AffectedQuestion, Asking as _, IncidentOpening, wire::AffectedReport};

use super::super::{IncidentService, moment, timestamp};
use crate::{
    fleet::{FleetService, Following, Questions},
    judge::{IMAGE_MEMORY, Judge, JudgeLimits, Knowledge, attach::SbomConfig},
    reevaluate::Reevaluator,
};

/// How long what follows the store may take.
const PATIENCE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(20);

const LEASE: Duration = Duration::from_mins(5);

pub(super) struct Kit {
    pub(super) store: Store,
    pub(super) incidents: Arc<IncidentService>,
    clock: Arc<ManualClock>,
    pub(super) fleet: Arc<FleetService>,
    knowledge: Arc<Knowledge>,
    caller: Caller,
    _following: Following,
    _judging: JoinSet<()>,
    _reading: Reading,
    /// Has judged again what an import, a policy or a waiver touches.
    _asking: Reading,
    _dir: tempfile::TempDir,
}

/// Ends with the test.
struct Reading(JoinHandle<()>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The tag `prod` of a repository.
pub(super) fn prod(repository: &str) -> LineKey {
    format!("{repository}:prod").parse().unwrap()
}

pub(super) fn operator() -> Actor {
    Actor::operator("test")
}

impl Kit {
    pub(super) async fn at(start: OffsetDateTime) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(timestamp(start)));
        let config = StoreConfig {
            data_dir: dir.path().to_owned(),
            touches_blobs: false,
            limits: StoreLimits::default(),
        };
        let store = Store::open(config, Arc::clone(&clock) as Arc<dyn store::Clock>)
            .await
            .unwrap();
        let knowledge = Knowledge::of(store.clone(), JudgeLimits::default());
        let fleet = FleetService::of(store.clone(), Arc::clone(&knowledge));
        let sboms = SbomConfig {
            attach: Vec::new(),
            format: crate::config::SbomFormat::CycloneDx,
            bytes: 1 << 20,
            image_memory: IMAGE_MEMORY,
        };
        let incidents = IncidentService::of(
            store.clone(),
            Arc::clone(&fleet),
            Arc::clone(&knowledge),
            road::incident::Deadlines::default(),
        );
        Self {
            caller: pusher(&store).await,
            _judging: Judge::start(store.clone(), Arc::clone(&knowledge), sboms, "test".to_owned()),
            _reading: Reading(tokio::spawn(Arc::clone(&knowledge).follow())),
            _asking: Reading(tokio::spawn(
                Reevaluator::new(
                    store.clone(),
                    Arc::clone(&knowledge),
                    Arc::clone(&fleet),
                    crate::reevaluate::Limits::default(),
                )
                .follow(),
            )),
            _following: fleet.follow(),
            _dir: dir,
            store,
            incidents,
            clock,
            fleet,
            knowledge,
        }
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        moment(self.store.now())
    }

    /// Lets the clock go on to a moment.
    pub(super) fn go_to(&self, at: OffsetDateTime) {
        let ahead = at - self.now();
        self.clock
            .advance(ahead.try_into().expect("the clock never goes back"));
    }

    /// Pushes an image of these layers, each an archive, and looks into them.
    pub(super) async fn push(&self, repository: &str, tag: &str, layers: &[Vec<u8>]) -> Digest {
        self.push_as(repository, &[tag.to_owned()], layers).await
    }

    /// The same under several tags.
    pub(super) async fn push_as(&self, repository: &str, tags: &[String], layers: &[Vec<u8>]) -> Digest {
        let repo: RepoName = repository.parse().unwrap();
        let permit = self
            .store
            .access()
            .authorize::<Push>(&self.caller, &repo)
            .unwrap();
        let diff_ids: Vec<Digest> = layers
            .iter()
            .map(|tar| Digest::of(Algorithm::Sha256, tar))
            .collect();
        let config = json!({
            "os": "linux", "architecture": "amd64", "config": { "Labels": { "of": format!("{repository}:{}", tags[0]) } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = config.to_string().into_bytes();
        let mut descriptors = Vec::new();
        for bytes in std::iter::once(&config).chain(layers) {
            let digest = Digest::of(Algorithm::Sha256, bytes);
            let layer = if descriptors.is_empty() {
                oci::media_type::OCI_IMAGE_CONFIG
            } else {
                "application/vnd.oci.image.layer.v1.tar"
            };
            descriptors.push(json!({ "mediaType": layer, "digest": digest, "size": bytes.len() }));
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
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            is_refused: false,
        };
        let digest = put.digest;
        self.store.put_manifest(&permit, put, &|_| false).await.unwrap();
        digest
    }

    /// What a child does with a blob that waits for it.
    async fn look_into(&self, bytes: &[u8]) {
        while let Some(job) = self.store.claim_job(JobKind::Scan, "test", LEASE).await.unwrap() {
            let report = crate::worker::look(bytes);
            assert_eq!(job.subject, report.blob.to_string());
            self.store.finish_scan(&job, report).await.unwrap();
        }
    }

    pub(super) async fn delete_tag(&self, repository: &str, tag: &str) {
        let repo: RepoName = repository.parse().unwrap();
        let permit = self
            .store
            .access()
            .authorize::<Delete>(&self.caller, &repo)
            .unwrap();
        let tag: Tag = tag.parse().unwrap();
        self.store.delete_tag(&permit, &tag).await.unwrap();
    }

    /// Imports documents, by the names of their files, and waits until images are judged by them.
    pub(super) async fn import(&self, documents: &[(String, Value)]) {
        let mut importer = Importer::begin(&self.store).await.unwrap();
        for (name, document) in documents {
            importer.add(name, document.to_string().as_bytes()).await.unwrap();
        }
        let summary = importer.finish("test", &operator()).await.unwrap();
        assert_eq!(summary.refused, 0, "{summary:?}");
        assert!(summary.generation.is_some(), "nothing was new: {summary:?}");
    }

    /// Waits until everything that was pushed is known.
    pub(super) async fn settle(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let jobs = self.store.job_counts(JobKind::Judge).await.unwrap();
            let mark = self.store.fleet_mark().await.unwrap();
            let stand = self.fleet.stand();
            let is_current = stand.percent == 100 && stand.event >= mark.event && stand.report >= mark.report;
            if is_current && jobs.waiting + jobs.running == 0 && self.fleet.stands_on(&self.store).await {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "it does not settle: {stand:?} {mark:?} {jobs:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until all is known, and has incidents take it in.
    pub(super) async fn look(&self) {
        self.settle().await;
        self.knowledge.facts().await;
        assert!(
            self.incidents.look().await.unwrap(),
            "something could not be told"
        );
    }

    /// Asks who is affected.
    pub(super) async fn ask(&self, question: &str) -> AffectedReport {
        let question = AffectedQuestion {
            text: question.to_owned(),
            as_of: None,
            after: None,
            limit: 1_000,
            may_pull: Arc::new(|_| true),
        };
        Questions(Arc::clone(&self.fleet))
            .affected(question)
            .await
            .unwrap()
    }

    pub(super) async fn open(
        &self,
        id: &str,
        vulnerability: &str,
        by: Option<OffsetDateTime>,
    ) -> Arc<Incident> {
        let opening = IncidentOpening {
            id: Some(id.parse().unwrap()),
            title: Some("Log4Shell".to_owned()),
            vulnerabilities: vec![vulnerability.parse().unwrap()],
            another: false,
            deadlines: web::wire::IncidentDeadlines {
                by: by.map(|by| web::wire::Moment(timestamp(by))),
                ..Default::default()
            },
        };
        self.settle().await;
        self.incidents.open_one(&operator(), opening).await.unwrap()
    }

    pub(super) async fn incident(&self, id: &str) -> Arc<Incident> {
        let id: IncidentId = id.parse().unwrap();
        self.incidents.current(&id).await.unwrap().unwrap().incident
    }

    /// The state of the tag `prod` of a repository, in a word; `-`: it was never affected.
    pub(super) async fn state(&self, id: &str, repository: &str) -> &'static str {
        let incident = self.incident(id).await;
        let line: Option<&Line> = incident.line(&prod(repository));
        line.map_or("-", |line| line.state(self.now()).as_str())
    }

    /// Looks until a row is in a state: decisions are made anew some time after what they rest on has changed.
    pub(super) async fn until(&self, id: &str, repository: &str, state: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.look().await;
            let now = self.state(id, repository).await;
            if now == state {
                return;
            }
            assert!(Instant::now() < deadline, "{repository} is {now}, not {state}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The service as a start finds it: with nothing in memory.
    pub(super) fn started_anew(&self) -> Arc<IncidentService> {
        IncidentService::of(
            self.store.clone(),
            Arc::clone(&self.fleet),
            Arc::clone(&self.knowledge),
            road::incident::Deadlines::default(),
        )
    }
}

async fn pusher(store: &Store) -> Caller {
    let actor = operator();
    let name: PrincipalName = "ann".parse().unwrap();
    let user = NewUser {
        name,
        password: "a long enough password".into(),
        administrator: false,
        not_after: None,
    };
    let id = store.create_user(&actor, user).await.unwrap();
    let grant = Grant {
        subject: "ann".parse().unwrap(),
        pattern: "**".parse().unwrap(),
        roles: [Role::Push, Role::Delete].into_iter().collect(),
    };
    store.set_grant(&actor, &grant).await.unwrap();
    let book = store.access();
    book.sign_in(id, book.secrets_of(id)[0].id, Timestamp::micros(store.now()))
        .unwrap()
}
