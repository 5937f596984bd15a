//! Keeps what was decided of many images in one transaction, in few statements.
//!
//! The same comes of it as when each is kept by itself, but a row that would say nothing new is not written: that it is right by
//! a later generation is said for all at once (`reevaluation.rs`). Where the brake has a say, an image is kept by
//! itself.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, Value};

use super::{COLUMNS, Judgement, NEVER, Point, SAID, Verdicts, keep_verdicts, text, told};
use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::event::EventKind;
use crate::job::{self, Job};
use crate::{Actor, Store, StoreError, Timestamp, blob, reevaluation, seen};
use oci::{Digest, RepoName};

/// A judgement that was made.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The job that asked for it.
    pub job: Job,
    /// Where the image lies.
    pub repo: RepoName,
    /// Which.
    pub digest: Digest,
    /// What it came to.
    pub verdicts: Verdicts,
}

#[derive(FromQueryResult)]
struct Row {
    n: i64,
    manifest_id: i64,
    repository_id: i64,
    is_braked: i64,
    point: Option<String>,
    outcome: Option<i64>,
    /// Only where it is not known what stands for it.
    body: Option<String>,
    said: Option<String>,
    policy: Option<String>,
    evidence: Option<String>,
    review_at: Option<i64>,
    decided_at: Option<i64>,
    /// 1: its reasons are nowhere.
    is_lost: i64,
}

/// What was decided of an image before, at one point.
struct Known {
    point: String,
    outcome: i64,
    said: String,
    policy: String,
    evidence: String,
    review_at: i64,
    decided_at: i64,
    is_lost: bool,
}

#[derive(FromQueryResult)]
struct NamedRow {
    manifest_id: i64,
    digest: String,
}

/// What is in the database of an image of a batch.
struct There {
    repository: i64,
    manifest: i64,
    is_braked: bool,
    known: Vec<Known>,
}

/// What is in the database of the images of a batch, in their order.
struct Present {
    /// `None`: the image is gone.
    images: Vec<Option<There>>,
    confirmed: i64,
}

/// A decision that is written: repository, image, point, what was decided, and when it first was.
type NewRow<'a> = (i64, &'a Digest, Point, &'a Judgement, i64);

/// What is written of a batch.
#[derive(Default)]
struct Written<'a> {
    rows: Vec<NewRow<'a>>,
    events: Vec<(String, &'a str, serde_json::Value)>,
    /// Manifests whose blobs stand otherwise.
    turned: HashMap<i64, &'a RepoName>,
    /// What stands for reasons that rows no longer have.
    left: Vec<String>,
}

impl Store {
    /// Keeps what was decided of images whose jobs were claimed together, as [`Store::finish_judgement`] does for one.
    pub async fn finish_judgements(&self, finished: Vec<Finished>) -> Result<(), StoreError> {
        if finished.is_empty() {
            return Ok(());
        }
        let judgements = finished.iter().flat_map(|one| &one.verdicts.judgements);
        let texts = judgements.map(|(_, judgement)| judgement.body.clone()).collect();
        self.pack_unkept(texts).await?;
        self.write(move |tx| Box::pin(async move { keep_all(tx, &finished).await }))
            .await?;
        self.inner.decided.send_modify(|changes| *changes += 1);
        Ok(())
    }
}

async fn keep_all(tx: &Tx, finished: &[Finished]) -> Result<(), StoreError> {
    let jobs: Vec<&Job> = finished.iter().map(|one| &one.job).collect();
    let held = job::held(tx, &jobs).await?;
    let finished: Vec<&Finished> = finished.iter().filter(|one| held.contains(&one.job.id)).collect();
    if finished.is_empty() {
        return Ok(());
    }
    let present = Present::read(tx, &finished).await?;
    let (mut written, mut seen) = (Written::default(), Vec::new());
    for (one, there) in finished.iter().zip(&present.images) {
        if one.verdicts.are_late(present.confirmed) {
            job::ask_again(tx, &one.job).await?;
        }
        let Some(there) = there else { continue };
        // The brake has, or may have, a say.
        if there.is_braked || one.verdicts.held.is_some() {
            keep_verdicts(tx, (&one.repo, &one.digest), &one.verdicts).await?;
            continue;
        }
        seen.extend(one.verdicts.seen.as_ref().map(|seen| (&one.digest, seen)));
        for (point, judgement) in &one.verdicts.judgements {
            written.add(tx, (there, present.confirmed), one, (*point, judgement));
        }
    }
    seen::keep_all(tx, &seen).await?;
    written.write(tx).await?;
    let jobs: Vec<&Job> = finished.iter().map(|one| &one.job).collect();
    job::finish_all(tx, &jobs).await
}

impl Present {
    async fn read(tx: &Tx, finished: &[&Finished]) -> Result<Self, StoreError> {
        let mut images = Vec::with_capacity(finished.len());
        for chunk in finished.chunks(sql::CHUNK) {
            let first = images.len();
            images.resize_with(first + chunk.len(), || None);
            for row in rows_of(tx, chunk).await? {
                let place = usize::try_from(row.n)
                    .ok()
                    .and_then(|n| images.get_mut(first + n));
                if let Some(place) = place {
                    row.put(place);
                }
            }
        }
        Ok(Self {
            images,
            confirmed: reevaluation::confirmed(tx.sql()).await?,
        })
    }
}

async fn rows_of(tx: &Tx, finished: &[&Finished]) -> Result<Vec<Row>, StoreError> {
    let wanted = (0..finished.len()).map(|n| format!("({n}, ${}, ${})", 2 * n + 1, 2 * n + 2));
    let sql = format!(
        "WITH wanted(n, repository, digest) AS (VALUES {}) \
         SELECT w.n, m.id AS manifest_id, m.repository_id, d.point, d.outcome, d.policy, d.evidence, d.review_at, \
         d.decided_at, {SAID}, \
         CASE WHEN d.body = '' AND NOT EXISTS (SELECT 1 FROM decision_text t WHERE t.said = d.said) THEN 1 ELSE 0 END AS is_lost, \
         CASE WHEN EXISTS (SELECT 1 FROM brake_image b WHERE b.repository_id = m.repository_id AND b.digest = m.digest) \
         THEN 1 ELSE 0 END AS is_braked \
         FROM wanted w JOIN repository r ON r.name = w.repository \
         JOIN manifest m ON m.repository_id = r.id AND m.digest = w.digest \
         LEFT JOIN decision d ON d.repository_id = m.repository_id AND d.digest = m.digest",
        wanted.collect::<Vec<_>>().join(", ")
    );
    let values = finished
        .iter()
        .flat_map(|one| [Value::from(one.repo.as_str()), one.digest.to_string().into()]);
    sql::all(tx.sql(), &sql, values).await
}

impl Row {
    fn put(self, place: &mut Option<There>) {
        let there = place.get_or_insert_with(|| There {
            repository: self.repository_id,
            manifest: self.manifest_id,
            is_braked: self.is_braked > 0,
            known: Vec::new(),
        });
        // All of them are there, or none is.
        let (Some(point), Some(outcome)) = (self.point, self.outcome) else {
            return;
        };
        there.known.push(Known {
            point,
            outcome,
            said: match (self.body, self.said) {
                (Some(body), _) => text::said(&body),
                (None, said) => said.unwrap_or_default(),
            },
            policy: self.policy.unwrap_or_default(),
            evidence: self.evidence.unwrap_or_default(),
            review_at: self.review_at.unwrap_or(NEVER),
            decided_at: self.decided_at.unwrap_or_default(),
            is_lost: self.is_lost > 0,
        });
    }
}

impl<'a> Written<'a> {
    fn add(
        &mut self,
        tx: &Tx,
        (there, confirmed): (&There, i64),
        one: &'a Finished,
        (point, judgement): (Point, &'a Judgement),
    ) {
        let known = there.known.iter().find(|known| known.point == point.name());
        if known.is_some_and(|known| known.says(judgement, confirmed)) {
            return;
        }
        let outcome = judgement.outcome.number();
        let same = known.filter(|known| known.outcome == outcome && known.said == judgement.body.said());
        let decided_at = same.map_or_else(|| tx.now().micros(), |known| known.decided_at);
        let first = known.is_none().then_some(decided_at);
        super::touch(tx, (&one.repo, &one.digest, point), judgement, first);
        self.rows
            .push((there.repository, &one.digest, point, judgement, decided_at));
        if same.is_some() {
            return;
        }
        self.left.extend(known.map(|known| known.said.clone()));
        let previous = known.map(|known| known.outcome);
        if previous != Some(outcome) {
            self.turned.insert(there.manifest, &one.repo);
        }
        let subject = blob::subject(&one.repo, &one.digest);
        self.events
            .push((subject, &judgement.policy, told(point, judgement, previous)));
    }

    async fn write(self, tx: &Tx) -> Result<(), StoreError> {
        text::keep(tx, self.rows.iter().map(|(.., judgement, _)| &judgement.body)).await?;
        write_rows(tx, &self.rows).await?;
        text::release(tx, self.left).await?;
        write_events(tx, &self.events).await?;
        if self.turned.is_empty() {
            return Ok(());
        }
        let manifests: Vec<i64> = self.turned.keys().copied().collect();
        for chunk in manifests.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT manifest_id, digest FROM manifest_reference WHERE kind = 0 AND manifest_id IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let values = chunk.iter().map(|id| Value::from(*id));
            let named: Vec<NamedRow> = sql::all(tx.sql(), &sql, values).await?;
            for row in named {
                if let Some(repo) = self.turned.get(&row.manifest_id) {
                    tx.touch(Key::standing(repo, &blob::parse_digest(&row.digest)?));
                }
            }
        }
        Ok(())
    }
}

impl Known {
    /// Whether the row says all of it already, the generation by what is said for all.
    fn says(&self, judgement: &Judgement, confirmed: i64) -> bool {
        !self.is_lost
            && self.outcome == judgement.outcome.number()
            && self.said == judgement.body.said()
            && self.policy == judgement.policy
            && self.evidence == judgement.evidence
            && self.review_at == judgement.review_at.map_or(NEVER, Timestamp::micros)
            && sql::to_db(judgement.generation) <= confirmed
    }
}

/// Rows in one statement. `SQLite` looks for each variable among all before it, so a longer statement takes more for each row.
const ROWS: usize = 24;

async fn write_rows(tx: &Tx, rows: &[NewRow<'_>]) -> Result<(), StoreError> {
    for chunk in rows.chunks(ROWS) {
        let sql = format!(
            "{} {} {}",
            super::INSERT,
            sql::tuples(chunk.len(), COLUMNS),
            super::OR_UPDATE
        );
        let row = |(repository, digest, point, judgement, decided_at): &NewRow<'_>| {
            super::values_of(*repository, digest, *point, judgement, *decided_at)
        };
        sql::execute_list(tx.sql(), &sql, chunk.iter().flat_map(row)).await?;
    }
    Ok(())
}

async fn write_events(tx: &Tx, events: &[(String, &str, serde_json::Value)]) -> Result<(), StoreError> {
    let actor = Actor::system("judge");
    for chunk in events.chunks(ROWS) {
        let ruled = chunk
            .iter()
            .map(|(subject, policy, body)| (subject.as_str(), *policy, body));
        crate::event::record_all_ruled(tx, &actor, EventKind::Decide, ruled).await?;
    }
    Ok(())
}
