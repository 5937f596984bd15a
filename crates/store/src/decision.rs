//! What was decided of images, and what follows for their blobs.
//!
//! There is one row per repository, manifest and point. A row is written anew only when the outcome or its reasons change;
//! otherwise it only notes what confirmed it. Reasons are kept once for all rows that have the same ones (`decision/text.rs`).
//! Reads are answered from memory. Whoever waits for a first decision is woken by [`Store::decisions`].

use std::sync::Arc;
use std::time::Duration;

use oci::{Digest, RepoName};
use sea_orm::{FromQueryResult, Value};
use serde_json::json;
use tokio::sync::watch;

use crate::cache::{Fact, Key};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::job::{self, Job};
use crate::{Actor, Seen, Store, StoreError, Timestamp, blob, brake, reevaluation, repository, seen};

mod decided;
mod many;
pub(crate) mod text;
mod to_judge;

pub use decided::Decided;
pub use many::Finished;
pub use text::Reasons;
use text::TextPlace;
pub use to_judge::ToJudge;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing speaks against it.
    Allow,
    /// Served with a warning.
    Warn,
    /// Not served.
    Refuse,
    /// Nothing that runs.
    NotApplicable,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Allow, Self::Warn, Self::Refuse, Self::NotApplicable];

    pub(crate) const fn number(self) -> i64 {
        self as i64
    }

    pub(crate) fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.number() == number)
    }
}

/// For what it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// When it is pushed.
    Push,
    /// When it is pulled.
    Pull,
}

impl Point {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
        }
    }
}

/// A decision as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What was decided.
    pub outcome: Outcome,
    /// The worst reasons and what fixes them, in one line, for whoever pulls. Empty where there are none.
    pub line: String,
    /// The decision with its reasons, JSON. Nothing in it may change while they do not.
    pub body: Reasons,
    /// Digest of the policy.
    pub policy: String,
    /// Fingerprint of the facts.
    pub evidence: String,
    /// The advisories that confirmed it.
    pub generation: u64,
    /// When it must be looked at again.
    pub review_at: Option<Timestamp>,
    /// Whether the body lists findings that do not count.
    pub waives: bool,
}

/// What a judgement of an image came to.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    /// For each point.
    pub judgements: Vec<(Point, Judgement)>,
    /// What is kept for pulls of an image that is in use instead of a refusal, while the brake holds that (`brake.rs`). `None`:
    /// it is not in use, or not refused.
    pub held: Option<Judgement>,
    /// When its findings were first made. `None`: as is known already.
    pub seen: Option<Seen>,
}

impl From<Vec<(Point, Judgement)>> for Verdicts {
    fn from(judgements: Vec<(Point, Judgement)>) -> Self {
        Self {
            judgements,
            ..Self::default()
        }
    }
}

/// What was decided of the images of a repository that have a blob. Manifests of nothing that runs are none of them: whoever pushes
/// a signature that names a layer must not open it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Manifests of any kind that name it.
    pub manifests: u64,
    /// Images that have it.
    pub images: u64,
    /// Those of them that are refused.
    pub refused: u64,
    /// Those of them that were never judged.
    pub undecided: u64,
}

#[derive(FromQueryResult)]
struct Row {
    outcome: i64,
    line: String,
    body: String,
    said: Option<String>,
    policy: String,
    evidence: String,
    generation: i64,
    decided_at: i64,
    review_at: i64,
    waives: i64,
}

#[derive(FromQueryResult)]
struct ImageRow {
    id: i64,
    name: String,
    digest: String,
}

#[derive(FromQueryResult)]
struct StandingRow {
    manifests: i64,
    images: i64,
    refused: i64,
    undecided: i64,
}

/// "Never" as a moment.
const NEVER: i64 = i64::MAX;

impl Row {
    fn into_decided(self) -> Result<Decided, StoreError> {
        Ok(Decided {
            outcome: Outcome::of_number(self.outcome)
                .ok_or_else(|| StoreError::damaged(format!("a decision has outcome {}", self.outcome)))?,
            line: self.line,
            text: TextPlace::of(self.body, self.said),
            policy: self.policy,
            evidence: self.evidence,
            generation: sql::from_db(self.generation),
            review_at: (self.review_at != NEVER).then_some(Timestamp(self.review_at)),
            decided_at: Timestamp(self.decided_at),
            waives: self.waives != 0,
        })
    }
}

impl Store {
    /// When the next decision is to be looked at again, or the next image is no longer in use by somebody's word, if that is later
    /// than now. What is due already is not counted.
    pub async fn next_review(&self) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now().micros();
        let sql = "SELECT MIN(at) AS number FROM (\
                   SELECT MIN(review_at) AS at FROM decision WHERE review_at > $1 \
                   UNION ALL SELECT MIN(until) AS at FROM in_use WHERE until > $1) AS ends WHERE at IS NOT NULL \
                   HAVING MIN(at) IS NOT NULL";
        let next: Option<sql::Number> = sql::first(self.inner.db.read(), sql, [now.into()]).await?;
        Ok(next
            .map(|next| next.number)
            .filter(|next| *next != NEVER)
            .map(Timestamp))
    }

    /// What was decided of an image, from memory where it was asked for before.
    pub async fn decision(
        &self,
        repo: &RepoName,
        digest: &Digest,
        point: Point,
    ) -> Result<Option<Arc<Decided>>, StoreError> {
        let caches = &self.inner.caches;
        let load = || self.load_decision(repo, digest, point);
        let key = Key::decision(repo, digest, point.name());
        caches.decisions.get_or_load(&caches.epochs, key, load).await
    }

    async fn load_decision(
        &self,
        repo: &RepoName,
        digest: &Digest,
        point: Point,
    ) -> Result<Option<Arc<Decided>>, StoreError> {
        let sql = "SELECT d.outcome, d.line, d.body, d.said, d.policy, d.evidence, d.generation, d.decided_at, d.review_at, \
                   CASE WHEN d.said_at = d.decided_at THEN d.waives ELSE 1 END AS waives \
                   FROM decision d JOIN repository r ON r.id = d.repository_id \
                   WHERE r.name = $1 AND d.digest = $2 AND d.point = $3";
        let values = [
            repo.as_str().into(),
            digest.to_string().into(),
            point.name().into(),
        ];
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map(Row::into_decided).transpose()?.map(Arc::new))
    }

    /// What was decided of the images that have a blob, from memory where it was asked for before.
    pub async fn standing(&self, repo: &RepoName, blob: &Digest) -> Result<Standing, StoreError> {
        let caches = &self.inner.caches;
        let load = || self.load_standing(repo, blob);
        let found = caches
            .standings
            .get_or_load(&caches.epochs, Key::standing(repo, blob), load);
        Ok(found.await?.unwrap_or_default())
    }

    async fn load_standing(&self, repo: &RepoName, blob: &Digest) -> Result<Option<Standing>, StoreError> {
        let sql = "SELECT COUNT(*) AS manifests, \
                   COALESCE(SUM(CASE WHEN m.kind = 0 AND (d.outcome IS NULL OR d.outcome <> $5) THEN 1 ELSE 0 END), 0) AS images, \
                   COALESCE(SUM(CASE WHEN m.kind = 0 AND d.outcome = $3 THEN 1 ELSE 0 END), 0) AS refused, \
                   COALESCE(SUM(CASE WHEN m.kind = 0 AND d.outcome IS NULL THEN 1 ELSE 0 END), 0) AS undecided \
                   FROM manifest_reference f JOIN manifest m ON m.id = f.manifest_id \
                   JOIN repository r ON r.id = f.repository_id \
                   LEFT JOIN decision d ON d.repository_id = r.id AND d.digest = m.digest AND d.point = $4 \
                   WHERE r.name = $1 AND f.digest = $2 AND f.kind = 0";
        let values = [
            repo.as_str().into(),
            blob.to_string().into(),
            Outcome::Refuse.number().into(),
            Point::Pull.name().into(),
            Outcome::NotApplicable.number().into(),
        ];
        let row: Option<StandingRow> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map(|row| Standing {
            manifests: sql::from_db(row.manifests),
            images: sql::from_db(row.images),
            refused: sql::from_db(row.refused),
            undecided: sql::from_db(row.undecided),
        }))
    }

    /// Whether the repository has this manifest, and it is that of an image.
    pub async fn has_image(&self, repo: &RepoName, digest: &Digest) -> Result<bool, StoreError> {
        let found = self.manifest_by_digest(repo, digest).await?;
        Ok(found.is_some_and(|manifest| manifest.kind == oci::ManifestKind::Image))
    }

    /// Whether a manifest that an index names is an image that runs. Attestations are images too by their type; by their content they
    /// were found to be none when they were judged. `None`: it was not judged yet.
    pub async fn is_runnable(&self, repo: &RepoName, digest: &Digest) -> Result<Option<bool>, StoreError> {
        if !self.has_image(repo, digest).await? {
            return Ok(Some(false));
        }
        let judgement = self.decision(repo, digest, Point::Pull).await?;
        Ok(judgement.map(|judgement| judgement.outcome != Outcome::NotApplicable))
    }

    /// The manifest of an image that is to be judged.
    pub async fn manifest_to_judge(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<Arc<crate::StoredManifest>>, StoreError> {
        self.manifest_by_digest(repo, digest).await
    }

    /// Images that there are, in a fixed order: those behind `after`, each with the number that is `after` for what follows
    /// it. What was found to be nothing that runs, such as an SBOM, is none.
    pub async fn images_after(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, RepoName, Digest)>, StoreError> {
        let sql = "SELECT m.id, r.name, m.digest FROM manifest m JOIN repository r ON r.id = m.repository_id \
                   WHERE m.kind = 0 AND m.id > $1 AND NOT EXISTS (SELECT 1 FROM decision d \
                   WHERE d.repository_id = m.repository_id AND d.digest = m.digest AND d.point = $3 AND d.outcome = $4) \
                   ORDER BY m.id LIMIT $2";
        let values = [
            after.into(),
            sql::to_db(limit as u64).into(),
            Point::Pull.name().into(),
            Outcome::NotApplicable.number().into(),
        ];
        let rows: Vec<ImageRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let parse = |row: ImageRow| {
            let repo = row.name.parse();
            let repo =
                repo.map_err(|_| StoreError::damaged(format!("manifest {} has no repository", row.id)))?;
            Ok((row.id, repo, blob::parse_digest(&row.digest)?))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Who brought an image to a repository: its first push that the audit log knows.
    pub async fn pusher(&self, repo: &RepoName, digest: &Digest) -> Result<Option<String>, StoreError> {
        // By the few events of the image: an index of kinds would be walked from the first push of all.
        let sql =
            "SELECT actor AS text FROM event WHERE subject = $1 AND kind || '' = $2 ORDER BY seq LIMIT 1";
        let values = [
            blob::subject(repo, digest).into(),
            EventKind::ManifestPush.name().into(),
        ];
        let row: Option<sql::Text> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map(|row| row.text))
    }

    /// Changes whenever something was decided.
    pub fn decisions(&self) -> watch::Receiver<u64> {
        self.inner.decided.subscribe()
    }

    /// Keeps what was decided of an image, and takes the job off the queue that asked for it. Nothing is kept of an image
    /// that is gone, nor by a worker that took so long that the job is somebody else's: they may know more.
    pub async fn finish_judgement(
        &self,
        job: &Job,
        repo: &RepoName,
        digest: &Digest,
        verdicts: Verdicts,
    ) -> Result<(), StoreError> {
        self.end_judgement(job, (repo, digest), verdicts, None).await
    }

    /// The same for a judgement that nobody survived: it is tried once more after `again`, and nothing hurries that.
    pub async fn give_up_judgement(
        &self,
        job: &Job,
        repo: &RepoName,
        digest: &Digest,
        verdicts: Verdicts,
        again: Duration,
    ) -> Result<(), StoreError> {
        self.end_judgement(job, (repo, digest), verdicts, Some(again))
            .await
    }

    async fn end_judgement(
        &self,
        job: &Job,
        (repo, digest): (&RepoName, &Digest),
        verdicts: Verdicts,
        again: Option<Duration>,
    ) -> Result<(), StoreError> {
        let (job, repo, digest) = (job.clone(), repo.clone(), *digest);
        self.write(move |tx| {
            Box::pin(async move {
                if !job::is_held(tx, &job).await? {
                    return Ok(());
                }
                keep_verdicts(tx, (&repo, &digest), &verdicts).await?;
                if let Some(again) = again {
                    return job::give_up(tx, &job, again).await;
                }
                if verdicts.are_late(reevaluation::confirmed(tx.sql()).await?) {
                    job::ask_again(tx, &job).await?;
                }
                job::finish(tx, &job).await
            })
        })
        .await?;
        self.inner.decided.send_modify(|changes| *changes += 1);
        Ok(())
    }
}

impl Verdicts {
    /// Whether they were made by what was known before a generation by which images were asked to be judged meanwhile.
    pub(crate) fn are_late(&self, confirmed: i64) -> bool {
        let mut judgements = self.judgements.iter();
        judgements.any(|(_, judgement)| sql::to_db(judgement.generation) < confirmed)
    }
}

/// Keeps what a judgement of an image came to, one statement after the other.
async fn keep_verdicts(
    tx: &Tx,
    (repo, digest): (&RepoName, &Digest),
    verdicts: &Verdicts,
) -> Result<(), StoreError> {
    if let Some(seen) = &verdicts.seen {
        seen::keep(tx, digest, seen).await?;
    }
    for (point, judgement) in &verdicts.judgements {
        let held = verdicts.held.as_ref().filter(|_| *point == Point::Pull);
        keep(tx, (repo, digest), *point, judgement, held).await?;
    }
    Ok(())
}

/// What was decided before.
#[derive(FromQueryResult)]
pub(crate) struct Known {
    outcome: i64,
    /// Only where it is not known what stands for it.
    body: Option<String>,
    said: Option<String>,
    pub(crate) policy: String,
    pub(crate) generation: i64,
    decided_at: i64,
}

/// What stands for the reasons of a row, or the reasons themselves where whoever wrote them did not write what stands for them.
const SAID: &str = "d.said, CASE WHEN d.said IS NOT NULL AND (d.body = '' OR d.said_at = d.decided_at) THEN NULL \
                    ELSE d.body END AS body";

impl Known {
    pub(crate) fn is_refused(&self) -> bool {
        self.outcome == Outcome::Refuse.number()
    }

    /// Whether it has outcome and reasons of another one.
    fn says(&self, judgement: &Judgement) -> bool {
        let said = self.body.as_deref().map(text::said);
        self.outcome == judgement.outcome.number()
            && said.or_else(|| self.said.clone()).as_deref() == Some(judgement.body.said())
    }
}

pub(crate) async fn keep(
    tx: &Tx,
    (repo, digest): (&RepoName, &Digest),
    point: Point,
    judgement: &Judgement,
    held: Option<&Judgement>,
) -> Result<(), StoreError> {
    let Some(repository) = repository::find(tx.sql(), repo).await? else {
        return Ok(());
    };
    let sql = "SELECT id FROM manifest WHERE repository_id = $1 AND digest = $2";
    let manifest: Option<sql::Id> =
        sql::first(tx.sql(), sql, [repository.id.into(), digest.to_string().into()]).await?;
    let Some(manifest) = manifest else {
        return Ok(());
    };
    let sql = format!(
        "SELECT d.outcome, {SAID}, d.policy, d.generation, d.decided_at FROM decision d \
         WHERE d.repository_id = $1 AND d.digest = $2 AND d.point = $3"
    );
    let values = [
        repository.id.into(),
        digest.to_string().into(),
        point.name().into(),
    ];
    let known: Option<Known> = sql::first(tx.sql(), &sql, values).await?;
    let judgement = if point == Point::Pull {
        brake::choose(tx, (repository.id, digest), known.as_ref(), judgement, held).await?
    } else {
        judgement
    };
    let same = known.as_ref().filter(|known| known.says(judgement));
    let decided_at = same.map_or_else(|| tx.now().micros(), |known| known.decided_at);
    let is_same = same.is_some();
    write(tx, (repository.id, digest), point, judgement, decided_at).await?;
    touch(
        tx,
        (repo, digest, point),
        judgement,
        known.is_none().then_some(decided_at),
    );
    if is_same {
        return Ok(());
    }
    let previous = known.as_ref().map(|known| known.outcome);
    text::release(tx, known.and_then(|known| known.said)).await?;
    touch_standings(tx, repo, manifest.id).await?;
    let body = told(point, judgement, previous);
    let subject = blob::subject(repo, digest);
    event::record_ruled(
        tx,
        &Actor::system("judge"),
        EventKind::Decide,
        &subject,
        &judgement.policy,
        body,
    )
    .await
}

/// What is remembered of a decision is no longer true. `first`: when it was made, of the first one about an image: whoever waits for it
/// pulls the image next.
fn touch(
    tx: &Tx,
    (repo, digest, point): (&RepoName, &Digest, Point),
    judgement: &Judgement,
    first: Option<i64>,
) {
    let key = Key::decision(repo, digest, point.name());
    tx.touch(key);
    if let Some(decided_at) = first.filter(|_| point == Point::Pull) {
        tx.teach(key, Fact::Decision(Arc::new(Decided::of(judgement, decided_at))));
    }
}

/// What the audit log says of a decision.
fn told(point: Point, judgement: &Judgement, previous: Option<i64>) -> serde_json::Value {
    json!({
        "point": point.name(),
        "outcome": judgement.outcome,
        "previous": previous.and_then(Outcome::of_number),
        "generation": judgement.generation,
        "evidence": judgement.evidence,
    })
}

/// Columns of a row that is written.
const COLUMNS: usize = 14;

const INSERT: &str = "INSERT INTO decision (repository_id, digest, point, outcome, line, body, policy, evidence, generation, \
                      decided_at, review_at, said, said_at, waives) VALUES";

/// Writes rows anew.
const OR_UPDATE: &str = "ON CONFLICT (repository_id, digest, point) DO UPDATE SET outcome = excluded.outcome, line = excluded.line, \
                         body = excluded.body, policy = excluded.policy, evidence = excluded.evidence, \
                         generation = excluded.generation, decided_at = excluded.decided_at, review_at = excluded.review_at, \
                         said = excluded.said, said_at = excluded.said_at, waives = excluded.waives";

/// `decided_at`: of a row with the same outcome and reasons that of before.
fn values_of(
    repository: i64,
    digest: &Digest,
    point: Point,
    judgement: &Judgement,
    decided_at: i64,
) -> [Value; COLUMNS] {
    [
        repository.into(),
        digest.to_string().into(),
        point.name().into(),
        judgement.outcome.number().into(),
        judgement.line.clone().into(),
        // With the texts.
        String::new().into(),
        judgement.policy.clone().into(),
        judgement.evidence.clone().into(),
        sql::to_db(judgement.generation).into(),
        decided_at.into(),
        judgement.review_at.map_or(NEVER, Timestamp::micros).into(),
        judgement.body.said().to_owned().into(),
        decided_at.into(),
        i64::from(judgement.waives).into(),
    ]
}

async fn write(
    tx: &Tx,
    (repository, digest): (i64, &Digest),
    point: Point,
    judgement: &Judgement,
    decided_at: i64,
) -> Result<(), StoreError> {
    text::keep(tx, [&judgement.body]).await?;
    let sql = format!("{INSERT} {} {OR_UPDATE}", sql::tuples(1, COLUMNS));
    let values = values_of(repository, digest, point, judgement, decided_at);
    sql::execute(tx.sql(), &sql, values).await.map(drop)
}

/// What is remembered of the standing of a manifest's blobs is no longer true.
pub(crate) async fn touch_standings(tx: &Tx, repo: &RepoName, manifest: i64) -> Result<(), StoreError> {
    let sql = "SELECT digest AS text FROM manifest_reference WHERE manifest_id = $1 AND kind = 0";
    let named: Vec<sql::Text> = sql::all(tx.sql(), sql, [manifest.into()]).await?;
    for row in &named {
        tx.touch(Key::standing(repo, &blob::parse_digest(&row.text)?));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
