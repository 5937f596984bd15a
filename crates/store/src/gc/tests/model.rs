//! Random interleavings of everything that gives and takes references, against a model in memory.
//!
//! The model knows what each repository holds and when it was last touched; from that alone it says what must be
//! there (named, or within its grace) and what must not (unnamed for longer than all graces with collections between).
//! The store's counters are recomputed from the rows they count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use access::{Caller, Role};
use oci::Digest;
use sea_orm::FromQueryResult;

use crate::Timestamp;
use crate::db::sql;
use crate::testing::dice::{Dice, sabotage};
use crate::testing::{Kit, image, index, sha256};

const REPOS: [&str; 3] = ["a", "b", "c/d"];
const BLOBS: u64 = 8;
const TAGS: u64 = 4;
const OPERATIONS: u32 = 1_500;

impl Dice {
    fn repo(&mut self) -> &'static str {
        REPOS[usize::try_from(self.roll(REPOS.len() as u64)).unwrap()]
    }
}

#[derive(Default)]
struct Repo {
    manifests: BTreeMap<Digest, BTreeSet<Digest>>,
    tags: BTreeMap<String, Digest>,
    /// Indexes with the child that they name.
    indexes: BTreeMap<Digest, Digest>,
    /// Blobs that were linked at some time, with their last touch.
    touched: BTreeMap<Digest, Timestamp>,
    /// Blobs whose last manifest was deleted and that were not pushed, mounted or named since.
    released: BTreeSet<Digest>,
}

impl Repo {
    fn names(&self, blob: &Digest) -> bool {
        self.manifests.values().any(|blobs| blobs.contains(blob))
    }
}

struct Story {
    kit: Kit,
    ci: Caller,
    /// Puts manifests of blobs that others pushed, and may have them only where they are linked.
    late: Caller,
    /// Looks without being promised anything.
    reader: Caller,
    dice: Dice,
    repos: BTreeMap<&'static str, Repo>,
    contents: BTreeMap<Digest, Vec<u8>>,
}

fn content(number: u64) -> Vec<u8> {
    format!("blob number {number}").into_bytes()
}

impl Story {
    async fn step(&mut self) {
        match self.dice.roll(100) {
            0..20 => self.push().await,
            20..30 => self.mount().await,
            30..48 => self.put().await,
            48..52 => self.head().await,
            52..55 => self.put_what_was_seen().await,
            55..62 => self.delete_tag().await,
            62..74 => self.delete_manifest().await,
            74..78 => self.delete_blob().await,
            78..90 => drop(self.kit.store.gc_step(self.dice.roll(4) + 1).await.unwrap()),
            90..98 => {
                let hours = self.dice.roll(16);
                self.kit.advance(Duration::from_secs(hours * 3_600 + 1));
            }
            98 => self.kit.restart().await,
            _ => self.delete_repository().await,
        }
    }

    fn repo(&mut self, name: &'static str) -> &mut Repo {
        self.repos.entry(name).or_default()
    }

    fn touch(&mut self, repo: &'static str, blob: Digest) {
        let now = self.kit.store.now();
        self.repo(repo).touched.insert(blob, now);
    }

    /// The blob was touched in a way that makes the quota count it.
    fn count(&mut self, repo: &'static str, blob: Digest) {
        self.touch(repo, blob);
        self.repo(repo).released.remove(&blob);
    }

    async fn push(&mut self) {
        let (repo, bytes) = (self.dice.repo(), content(self.dice.roll(BLOBS)));
        let digest = self.kit.push_blob(&self.ci, repo, &bytes).await.unwrap();
        self.contents.insert(digest, bytes);
        self.count(repo, digest);
    }

    async fn mount(&mut self) {
        let (repo, from) = (self.dice.repo(), self.dice.repo());
        let digest = sha256(&content(self.dice.roll(BLOBS)));
        let permit = self.kit.push(&self.ci, repo);
        let source = self.kit.pull(&self.ci, from);
        let mounted = self
            .kit
            .store
            .mount_blob(&permit, &digest, Some(&source), &|_| false)
            .await
            .unwrap();
        assert!(
            mounted.is_some() || !self.must_exist(&digest),
            "{digest} could not be mounted"
        );
        if mounted.is_some() {
            self.count(repo, digest);
        }
    }

    /// An image of blobs that may be there or not, or an index of two images.
    async fn put(&mut self) {
        let repo = self.dice.repo();
        let tag = format!("t{}", self.dice.roll(TAGS));
        let tags: &[&str] = if self.dice.roll(3) == 0 { &[] } else { &[&tag] };
        let (config, layer) = (content(self.dice.roll(BLOBS)), content(self.dice.roll(BLOBS)));
        let mut manifest = image(&config, &[&layer, &config]);
        let mut blobs = BTreeSet::from([sha256(&config), sha256(&layer)]);
        let mut child = None;
        if self.dice.roll(4) == 0 {
            let digest = sha256(manifest.as_bytes());
            manifest = index(&[&manifest]);
            blobs.clear();
            if !self.repo(repo).manifests.contains_key(&digest) {
                return;
            }
            child = Some(digest);
        }
        let digest = sha256(manifest.as_bytes());
        let stored = self.kit.put(&self.ci, repo, &manifest, tags).await;
        if let Err(refused) = stored {
            let missing = blobs.iter().any(|blob| !self.must_exist(blob));
            assert!(missing, "all blobs were there: {refused}");
            return;
        }
        for blob in &blobs {
            self.count(repo, *blob);
        }
        let model = self.repo(repo);
        model.manifests.insert(digest, blobs);
        model.indexes.extend(child.map(|child| (digest, child)));
        for tag in tags {
            model.tags.insert((*tag).to_owned(), digest);
        }
    }

    /// A pusher asks for a blob; the answer is a promise for three quarters of the grace.
    async fn head(&mut self) {
        let (repo, digest) = (self.dice.repo(), sha256(&content(self.dice.roll(BLOBS))));
        let found = self.kit.read_blob(&self.late, repo, &digest).await;
        assert!(
            found.is_some() || !self.must_be_linked(repo, &digest),
            "{repo} {digest}"
        );
        if found.is_some() {
            let quarter = self.kit.store.limits().collect_grace / 4;
            let seen = self.kit.store.now().minus(quarter);
            let touched = self.repo(repo).touched.entry(digest).or_insert(seen);
            *touched = seen.max(*touched);
        }
    }

    /// The manifest of a client that skipped the uploads because the blobs were there.
    async fn put_what_was_seen(&mut self) {
        let repo = self.dice.repo();
        let (config, layer) = (content(self.dice.roll(BLOBS)), content(self.dice.roll(BLOBS)));
        let blobs = BTreeSet::from([sha256(&config), sha256(&layer)]);
        let manifest = image(&config, &[&layer]);
        let permit = self.kit.push(&self.late, repo);
        let put = crate::testing::put(&manifest, &[]);
        let stored = self.kit.store.put_manifest(&permit, put, &|_| false).await;
        if let Err(refused) = stored {
            let promised = blobs.iter().all(|blob| self.must_be_linked(repo, blob));
            assert!(!promised, "the blobs were promised: {refused}");
            return;
        }
        for blob in &blobs {
            self.count(repo, *blob);
        }
        self.repo(repo)
            .manifests
            .insert(sha256(manifest.as_bytes()), blobs);
    }

    async fn delete_tag(&mut self) {
        let (repo, tag) = (self.dice.repo(), format!("t{}", self.dice.roll(TAGS)));
        let done = self
            .kit
            .store
            .delete_tag(&self.kit.delete(&self.ci, repo), &tag.parse().unwrap())
            .await;
        assert_eq!(done.is_ok(), self.repo(repo).tags.remove(&tag).is_some());
    }

    async fn delete_manifest(&mut self) {
        let repo = self.dice.repo();
        let count = self.repo(repo).manifests.len() as u64;
        if count == 0 {
            return;
        }
        let index = usize::try_from(self.dice.roll(count)).unwrap();
        let digest = *self.repo(repo).manifests.keys().nth(index).unwrap();
        let done = self
            .kit
            .store
            .delete_manifest(&self.kit.delete(&self.ci, repo), &digest)
            .await;
        let model = self.repo(repo);
        if model.indexes.values().any(|child| *child == digest) {
            assert!(
                matches!(done, Err(crate::DeleteError::InIndex { .. })),
                "{done:?}"
            );
            return;
        }
        done.unwrap();
        let blobs = model.manifests.remove(&digest).unwrap();
        model.indexes.remove(&digest);
        model.tags.retain(|_, target| *target != digest);
        for blob in blobs {
            self.touch(repo, blob);
            let model = self.repo(repo);
            if !model.names(&blob) {
                model.released.insert(blob);
            }
        }
    }

    async fn delete_blob(&mut self) {
        let (repo, digest) = (self.dice.repo(), sha256(&content(self.dice.roll(BLOBS))));
        let done = self
            .kit
            .store
            .delete_blob(&self.kit.delete(&self.ci, repo), &digest)
            .await;
        let named = self.repo(repo).names(&digest);
        assert!(!(named && done.is_ok()), "a named blob was deleted");
        if done.is_ok() {
            let model = self.repo(repo);
            model.touched.remove(&digest);
            model.released.remove(&digest);
        }
    }

    async fn delete_repository(&mut self) {
        let repo = self.dice.repo();
        let done = self
            .kit
            .store
            .delete_repository(&self.kit.permit(&self.ci, repo))
            .await;
        let model = self.repos.remove(repo).unwrap_or_default();
        assert!(done.is_ok() || model.manifests.is_empty());
    }

    /// Whether the blob must be linked in the repository: it is named, or was touched within the grace.
    fn must_be_linked(&self, repo: &str, blob: &Digest) -> bool {
        let Some(model) = self.repos.get(repo) else {
            return false;
        };
        let grace = self.kit.store.limits().collect_grace;
        let young = model
            .touched
            .get(blob)
            .is_some_and(|at| at.plus(grace) >= self.kit.store.now());
        young || model.names(blob)
    }

    fn must_exist(&self, blob: &Digest) -> bool {
        REPOS.iter().any(|repo| self.must_be_linked(repo, blob))
    }

    /// Nothing alive is gone.
    async fn check_alive(&self) {
        for (repo, model) in &self.repos {
            for (blob, bytes) in &self.contents {
                if self.must_be_linked(repo, blob) {
                    assert_eq!(
                        self.kit.read_blob(&self.reader, repo, blob).await.as_ref(),
                        Some(bytes),
                        "{repo} {blob}"
                    );
                }
            }
            for digest in model.manifests.keys() {
                let stored = self
                    .kit
                    .manifest(&self.ci, repo, &digest.to_string())
                    .await
                    .unwrap();
                assert_eq!(sha256(&stored.bytes), *digest);
            }
            for number in 0..TAGS {
                let tag = format!("t{number}");
                let stored = self
                    .kit
                    .manifest(&self.ci, repo, &tag)
                    .await
                    .map(|manifest| manifest.digest);
                assert_eq!(stored.as_ref(), model.tags.get(&tag), "{repo}:{tag}");
            }
        }
    }

    /// What the quota does not count is what was released, and nothing else.
    async fn check_released(&self) {
        let sql = "SELECT r.name || ' ' || b.digest AS text FROM repository_blob l JOIN blob b ON b.id = l.blob_id \
                   JOIN repository r ON r.id = l.repository_id WHERE l.released = 1";
        let rows: Vec<sql::Text> = sql::all(self.kit.store.inner.db.read(), sql, []).await.unwrap();
        let mut rows: BTreeSet<String> = rows.into_iter().map(|row| row.text).collect();
        for (repo, model) in &self.repos {
            for blob in &model.released {
                let was_there = rows.remove(&format!("{repo} {blob}"));
                assert!(
                    was_there || !self.must_be_linked(repo, blob),
                    "{repo} {blob} counts"
                );
            }
        }
        assert!(rows.is_empty(), "{rows:?} do not count");
    }

    /// Nothing dead stays: what is left after all graces is exactly what is named.
    async fn check_dead(&self) {
        self.kit.collect_all().await;
        self.check_alive().await;
        let named: BTreeSet<Digest> = self
            .repos
            .values()
            .flat_map(|repo| repo.manifests.values().flatten().copied())
            .collect();
        let rows: Vec<sql::Text> = sql::all(
            self.kit.store.inner.db.read(),
            "SELECT digest AS text FROM blob",
            [],
        )
        .await
        .unwrap();
        let left: BTreeSet<Digest> = rows.iter().map(|row| row.text.parse().unwrap()).collect();
        assert_eq!(left, named, "rows of blobs");
        assert_eq!(super::blob_files(&self.kit), named.len(), "files of blobs");
        let report = self
            .kit
            .store
            .fsck(crate::FsckOptions::default(), |_| {})
            .await
            .unwrap();
        assert_eq!((report.damaged, report.orphans), (0, 0), "{report:?}");
        check_counters(&self.kit).await;
    }
}

#[derive(FromQueryResult)]
struct Wrong {
    what: String,
    id: i64,
}

/// Every counter is what it counts.
async fn check_counters(kit: &Kit) {
    let counters = [
        (
            "repository.tags",
            "repository r",
            "r.tags",
            "SELECT COUNT(*) FROM tag t WHERE t.repository_id = r.id",
        ),
        (
            "repository.manifests",
            "repository r",
            "r.manifests",
            "SELECT COUNT(*) FROM manifest m WHERE m.repository_id = r.id",
        ),
        (
            "repository.blobs",
            "repository r",
            "r.blobs",
            "SELECT COUNT(*) FROM repository_blob l WHERE l.repository_id = r.id",
        ),
        (
            "repository.bytes",
            "repository r",
            "r.bytes",
            "SELECT COALESCE((SELECT SUM(m.size) FROM manifest m WHERE m.repository_id = r.id), 0) + \
             COALESCE((SELECT SUM(b.size) FROM repository_blob l JOIN blob b ON b.id = l.blob_id \
             WHERE l.repository_id = r.id AND l.released = 0), 0)",
        ),
        (
            "repository.released_bytes",
            "repository r",
            "r.released_bytes",
            "SELECT COALESCE(SUM(b.size), 0) FROM repository_blob l JOIN blob b ON b.id = l.blob_id \
             WHERE l.repository_id = r.id AND l.released = 1",
        ),
        (
            "blob.links",
            "blob r",
            "r.links",
            "SELECT COUNT(*) FROM repository_blob l WHERE l.blob_id = r.id",
        ),
        (
            "manifest_content.holders",
            "manifest_content r",
            "r.holders",
            "SELECT COUNT(*) FROM manifest m WHERE m.content_id = r.id",
        ),
    ];
    for (what, table, counter, counted) in counters {
        let sql = format!("SELECT '{what}' AS what, r.id AS id FROM {table} WHERE {counter} <> ({counted})");
        let wrong: Vec<Wrong> = sql::all(kit.store.inner.db.read(), &sql, []).await.unwrap();
        assert!(wrong.is_empty(), "{} of {}", wrong[0].what, wrong[0].id);
    }
    let sql = "SELECT 'repository_blob.names' AS what, l.blob_id AS id FROM repository_blob l \
               JOIN blob b ON b.id = l.blob_id WHERE l.names <> (SELECT COUNT(*) FROM manifest_reference f \
               WHERE f.repository_id = l.repository_id AND f.digest = b.digest AND f.kind = 0)";
    let wrong: Vec<Wrong> = sql::all(kit.store.inner.db.read(), sql, []).await.unwrap();
    assert!(wrong.is_empty(), "{} of {}", wrong[0].what, wrong[0].id);
}

/// Tells the story of a seed. `sabotage` is a statement that falsifies rows every now and then.
async fn tell(seed: u64, sabotage: Option<&'static str>) {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let late = kit.robot("late", &[Role::Pull, Role::Push], "**").await;
    let reader = kit.robot("reader", &[Role::Pull], "**").await;
    let mut story = Story {
        kit,
        ci,
        late,
        reader,
        dice: Dice::new(seed),
        repos: BTreeMap::new(),
        contents: BTreeMap::new(),
    };
    for operation in 1..=OPERATIONS {
        story.step().await;
        if let Some(sql) = sabotage {
            let falsify = story
                .kit
                .store
                .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), sql, []).await }));
            let _: Result<u64, crate::StoreError> = falsify.await;
        }
        if operation % 25 == 0 {
            story.check_alive().await;
            story.check_released().await;
        }
        if operation % 500 == 0 {
            story.check_dead().await;
        }
    }
}

macro_rules! stories {
    ($($name:ident: $seed:literal;)+) => {$(
        #[tokio::test]
        async fn $name() {
            tell($seed, None).await;
        }
    )+};
}

stories! {
    no_live_blob_is_ever_gone_and_no_dead_one_stays_1: 1;
    no_live_blob_is_ever_gone_and_no_dead_one_stays_2: 2;
    no_live_blob_is_ever_gone_and_no_dead_one_stays_3: 3;
    no_live_blob_is_ever_gone_and_no_dead_one_stays_4: 4;
}

sabotage! {
    the_model_notices_when_named_blobs_count_as_unnamed: "UPDATE repository_blob SET names = 0";
    the_model_notices_when_there_is_no_grace: "UPDATE repository_blob SET idle_since = 0";
    the_model_notices_when_links_are_not_counted: "UPDATE blob SET links = 0, idle_since = 0 WHERE links > 0";
    the_model_notices_when_dead_links_stay: "UPDATE repository_blob SET names = 1 WHERE names = 0";
    the_model_notices_when_what_was_released_counts: "UPDATE repository_blob SET released = 0";
    the_model_notices_when_what_is_named_does_not_count: "UPDATE repository_blob SET released = 1";
    the_model_notices_when_dead_blobs_stay: "UPDATE blob SET links = 1 WHERE links = 0";
}
