//! What tests of the store share: a store in a directory of its own, callers with grants, and small images.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use access::permit::{Act, Delete, Pull, Push};
use access::{Caller, Grant, Permit, PrincipalName, Role, SystemPermit};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use oci::{Algorithm, Digest, Manifest, ManifestLimits, Reference, RepoName, Tag};
use tempfile::TempDir;

use crate::cache::Key;
use crate::db::sql;
use crate::{
    Actor, BodyError, ManualClock, NewRobot, NewUser, PutError, PutManifest, PutOutcome, Store, StoreConfig,
    StoreLimits, UploadError,
};

pub(crate) mod dice;

/// A store and its clock, which begins now and stands still.
pub(crate) struct Kit {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    limits: StoreLimits,
    dir: TempDir,
}

pub(crate) const PASSWORD: &str = "correct horse battery";

impl Kit {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other limits than the default ones.
    pub(crate) async fn with(change: impl FnOnce(&mut StoreLimits)) -> Self {
        let mut limits = StoreLimits {
            // Nobody's disk is filled by tests that are about something else.
            reserve_bytes: 0,
            ..StoreLimits::default()
        };
        change(&mut limits);
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(SystemTime::now().into()));
        let store = open(&dir, &limits, &clock).await;
        Self {
            store,
            clock,
            limits,
            dir,
        }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Closes the store and opens it again, as a restart does.
    pub(crate) async fn restart(&mut self) {
        self.store.clone().close().await.unwrap();
        self.reopen().await;
    }

    /// Opens the store that was closed.
    pub(crate) async fn reopen(&mut self) {
        self.store = open(&self.dir, &self.limits, &self.clock).await;
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) fn grace(&self) -> Duration {
        self.limits.collect_grace + Duration::from_secs(1)
    }

    pub(crate) fn operator() -> Actor {
        Actor::operator("test")
    }

    /// A new robot that may do `roles` on `pattern`.
    /// Declares a signer.
    pub(crate) async fn trust(&self, name: &str) {
        let key = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                   -----END PUBLIC KEY-----\n";
        let body = serde_json::json!({ "name": name, "repositories": ["base/**"], "key": key });
        let signer = serde_json::from_value(body).unwrap();
        self.store.set_signer(&Self::operator(), &signer).await.unwrap();
    }

    pub(crate) async fn robot(&self, name: &str, roles: &[Role], pattern: &str) -> Caller {
        let principal: PrincipalName = name.parse().unwrap();
        let robot = NewRobot {
            name: principal.clone(),
            not_after: None,
            secret_not_after: None,
        };
        let issued = self.store.create_robot(&Self::operator(), robot).await.unwrap();
        self.grant(name, roles, pattern).await;
        let book = self.store.access();
        let id = book.principal(&principal).unwrap().id;
        book.sign_in(id, issued.id, self.store.now().micros()).unwrap()
    }

    pub(crate) async fn grant(&self, subject: &str, roles: &[Role], pattern: &str) {
        let roles = roles.iter().copied().collect();
        let grant = Grant {
            subject: subject.parse().unwrap(),
            pattern: pattern.parse().unwrap(),
            roles,
        };
        self.store.set_grant(&Self::operator(), &grant).await.unwrap();
    }

    /// A robot that may do everything with every repository.
    pub(crate) async fn all(&self, name: &str) -> Caller {
        self.robot(name, &[Role::Admin], "**").await
    }

    pub(crate) fn permit<A: Act>(&self, caller: &Caller, repo: &str) -> Permit<A> {
        self.store
            .access()
            .authorize(caller, &repo.parse().unwrap())
            .unwrap()
    }

    pub(crate) fn pull(&self, caller: &Caller, repo: &str) -> Permit<Pull> {
        self.permit(caller, repo)
    }

    pub(crate) fn push(&self, caller: &Caller, repo: &str) -> Permit<Push> {
        self.permit(caller, repo)
    }

    pub(crate) fn delete(&self, caller: &Caller, repo: &str) -> Permit<Delete> {
        self.permit(caller, repo)
    }

    /// A new user who is an administrator, signed in.
    pub(crate) async fn administrator(&self, name: &str) -> SystemPermit {
        let user = NewUser {
            name: name.parse().unwrap(),
            password: PASSWORD.into(),
            administrator: true,
            not_after: None,
        };
        let id = self.store.create_user(&Self::operator(), user).await.unwrap();
        let book = self.store.access();
        let secret = book.secrets_of(id)[0].id;
        let caller = book.sign_in(id, secret, self.store.now().micros()).unwrap();
        book.authorize_system(&caller).unwrap()
    }

    pub(crate) async fn rule(&self, pattern: &str, rules: crate::Rules) {
        let rule = crate::Rule {
            pattern: pattern.parse().unwrap(),
            rules,
        };
        self.store.set_rule(&Self::operator(), &rule).await.unwrap();
    }

    /// Whether the caller may pull from a repository, as handlers ask it.
    pub(crate) fn may_pull(&self, caller: &Caller) -> impl Fn(&RepoName) -> bool + Sync + use<> {
        let (book, caller) = (self.store.access(), caller.clone());
        move |repo: &RepoName| book.may::<Pull>(&caller, repo)
    }

    pub(crate) async fn push_blob(
        &self,
        caller: &Caller,
        repo: &str,
        bytes: &[u8],
    ) -> Result<Digest, UploadError> {
        let digest = sha256(bytes);
        self.store
            .push_blob(&self.push(caller, repo), &digest, body(bytes))
            .await?;
        Ok(digest)
    }

    /// Bytes of the blob, if the repository has it.
    pub(crate) async fn read_blob(&self, caller: &Caller, repo: &str, digest: &Digest) -> Option<Vec<u8>> {
        let blob = self.store.blob(&self.pull(caller, repo), digest).await.unwrap()?;
        let mut bytes = Vec::new();
        let mut stream = Box::pin(blob.stream(0..blob.size()));
        while let Some(slice) = stream.next().await {
            bytes.extend_from_slice(&slice.unwrap());
        }
        Some(bytes)
    }

    pub(crate) async fn put(
        &self,
        caller: &Caller,
        repo: &str,
        manifest: &str,
        tags: &[&str],
    ) -> Result<PutOutcome, PutError> {
        let may_pull = self.may_pull(caller);
        self.store
            .put_manifest(&self.push(caller, repo), put(manifest, tags), &may_pull)
            .await
    }

    /// Pushes a config and one layer and puts an image of them; answers its digest.
    pub(crate) async fn push_image(&self, caller: &Caller, repo: &str, seed: &str, tags: &[&str]) -> Digest {
        let (config, layer) = (format!("config {seed}"), format!("layer {seed}"));
        self.push_blob(caller, repo, config.as_bytes()).await.unwrap();
        self.push_blob(caller, repo, layer.as_bytes()).await.unwrap();
        let manifest = image(config.as_bytes(), &[layer.as_bytes()]);
        self.put(caller, repo, &manifest, tags).await.unwrap();
        sha256(manifest.as_bytes())
    }

    pub(crate) async fn manifest(
        &self,
        caller: &Caller,
        repo: &str,
        reference: &str,
    ) -> Option<Arc<crate::StoredManifest>> {
        let reference: Reference = reference.parse().unwrap();
        self.store
            .manifest(&self.pull(caller, repo), &reference)
            .await
            .unwrap()
    }

    pub(crate) async fn tags(&self, caller: &Caller, repo: &str) -> Vec<String> {
        let page = self
            .store
            .tags(&self.pull(caller, repo), None, 1_000)
            .await
            .unwrap()
            .unwrap();
        page.items.iter().map(ToString::to_string).collect()
    }

    /// Takes a manifest out of its repository past the rules.
    pub(crate) async fn lose_manifest(&self, repo: &str, digest: &Digest) {
        let (repo, digest): (RepoName, Digest) = (repo.parse().unwrap(), *digest);
        let lost: Result<(), crate::StoreError> = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let repository = crate::repository::find(tx.sql(), &repo).await?.unwrap().id;
                    let sql = "SELECT id FROM manifest WHERE repository_id = $1 AND digest = $2";
                    let values = [repository.into(), digest.to_string().into()];
                    let row: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
                    tx.touch(Key::manifest(&repo, &digest));
                    crate::manifest::remove_rows(tx, &repo, repository, row.unwrap().id).await
                })
            })
            .await;
        lost.unwrap();
    }

    /// Collects until there is nothing left to do.
    pub(crate) async fn collect(&self) -> crate::GcReport {
        let mut sum = crate::GcReport::default();
        for _ in 0..10_000 {
            sum.add(&self.store.gc_step(100).await.unwrap());
            if !sum.more {
                return sum;
            }
        }
        panic!("the collection never ends: {sum:?}");
    }

    /// Waits for the grace to pass and collects, for both graces: that of links and that of blobs.
    pub(crate) async fn collect_all(&self) -> crate::GcReport {
        let mut sum = crate::GcReport::default();
        for _ in 0..3 {
            self.advance(self.grace());
            sum.add(&self.collect().await);
        }
        sum
    }
}

/// A writer whose bytes can be read afterwards.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn open(dir: &TempDir, limits: &StoreLimits, clock: &Arc<ManualClock>) -> Store {
    let config = StoreConfig {
        data_dir: dir.path().to_owned(),
        touches_blobs: false,
        limits: limits.clone(),
    };
    Store::open(config, Arc::clone(clock) as Arc<dyn crate::Clock>)
        .await
        .unwrap()
}

pub(crate) type Body = stream::Iter<std::vec::IntoIter<Result<Bytes, BodyError>>>;

/// A body in two frames.
pub(crate) fn body(bytes: &[u8]) -> Body {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    stream::iter(vec![
        Ok(Bytes::copy_from_slice(first)),
        Ok(Bytes::copy_from_slice(second)),
    ])
}

/// A body that breaks off after `bytes`.
pub(crate) fn broken_body(bytes: &[u8]) -> Body {
    stream::iter(vec![
        Ok(Bytes::copy_from_slice(bytes)),
        Err(BodyError::Disconnected),
    ])
}

pub(crate) fn no_body() -> Body {
    stream::iter(Vec::new())
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

pub(crate) fn put(manifest: &str, tags: &[&str]) -> PutManifest {
    let bytes = Bytes::copy_from_slice(manifest.as_bytes());
    let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    PutManifest {
        digest: sha256(&bytes),
        manifest: Manifest::parse(&bytes, None, &ManifestLimits::default()).unwrap(),
        bytes,
        tags,
        is_refused: false,
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() })
}

/// An image manifest.
pub(crate) fn image(config: &[u8], layers: &[&[u8]]) -> String {
    let layer = |bytes: &&[u8]| descriptor(oci::media_type::OCI_LAYER_GZIP, bytes);
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": descriptor(oci::media_type::OCI_IMAGE_CONFIG, config),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    })
    .to_string()
}

/// An artifact that refers to `subject`; its config must be `{}`.
pub(crate) fn referrer(subject: &Digest, artifact_type: &str, note: &str) -> String {
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(oci::media_type::OCI_EMPTY, b"{}"),
        "layers": [],
        "subject": { "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "digest": subject, "size": 7 },
        "annotations": { "note": note },
    })
    .to_string()
}

/// An index of manifests.
pub(crate) fn index(children: &[&str]) -> String {
    let child = |bytes: &&str| descriptor(oci::media_type::OCI_IMAGE_MANIFEST, bytes.as_bytes());
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_IMAGE_INDEX,
        "manifests": children.iter().map(child).collect::<Vec<_>>(),
    })
    .to_string()
}
