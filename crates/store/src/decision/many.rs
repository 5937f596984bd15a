//! Keeps what was decided of many images in one transaction, in few statements.
//!
//! The same comes of it as when each is kept by itself, but a row that would say nothing new is not written: that it is right by
//! a later generation is said for all at once (`reevaluation.rs`). Where the brake has a say, an image is kept by
//! itself.

use std::collections::{HashMap, HashSet};

use sea_orm::{FromQueryResult, Value};

use super::{Judgement, NEVER, Point, Verdicts, keep_verdicts, told};
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
struct ManifestRow {
    id: i64,
    repository_id: i64,
    name: String,
    digest: String,
}

#[derive(FromQueryResult)]
struct KnownRow {
    repository_id: i64,
    digest: String,
    point: String,
    outcome: i64,
    body: String,
    policy: String,
    evidence: String,
    review_at: i64,
}

#[derive(FromQueryResult)]
struct BrakeRow {
    repository_id: i64,
    digest: String,
}

#[derive(FromQueryResult)]
struct NamedRow {
    manifest_id: i64,
    digest: String,
}

/// What is in the database of the images of a batch.
struct Present {
    /// Repository and manifest of each image, by repository name and digest.
    manifests: HashMap<(String, String), (i64, i64)>,
    known: HashMap<(i64, String, String), KnownRow>,
    braked: HashSet<(i64, String)>,
    confirmed: i64,
}

/// What is written of a batch.
#[derive(Default)]
struct Written<'a> {
    rows: Vec<(i64, &'a Digest, Point, &'a Judgement)>,
    events: Vec<(String, &'a str, serde_json::Value)>,
    /// Manifests whose blobs stand otherwise.
    turned: HashMap<i64, &'a RepoName>,
}

impl Store {
    /// Keeps what was decided of images whose jobs were claimed together, as [`Store::finish_judgement`] does for one.
    pub async fn finish_judgements(&self, finished: Vec<Finished>) -> Result<(), StoreError> {
        if finished.is_empty() {
            return Ok(());
        }
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
    let mut written = Written::default();
    for one in &finished {
        if one.verdicts.are_late(present.confirmed) {
            job::ask_again(tx, &one.job).await?;
        }
        if present.is_braked(one) {
            keep_verdicts(tx, (&one.repo, &one.digest), &one.verdicts).await?;
            continue;
        }
        if let Some(seen) = &one.verdicts.seen {
            seen::keep(tx, &one.digest, seen).await?;
        }
        for (point, judgement) in &one.verdicts.judgements {
            written.add(tx, &present, one, *point, judgement);
        }
    }
    written.write(tx).await?;
    let jobs: Vec<&Job> = finished.iter().map(|one| &one.job).collect();
    job::finish_all(tx, &jobs).await
}

impl Present {
    async fn read(tx: &Tx, finished: &[&Finished]) -> Result<Self, StoreError> {
        let digests: HashSet<String> = finished.iter().map(|one| one.digest.to_string()).collect();
        let names: HashSet<&str> = finished.iter().map(|one| one.repo.as_str()).collect();
        // By repository too: that is what the indexes begin with.
        let (digests_are, names_are) = (
            sql::placeholders(1, digests.len()),
            sql::placeholders(1 + digests.len(), names.len()),
        );
        let among = |table: &str| {
            format!(
                "{table}digest IN ({digests_are}) AND {table}repository_id IN (SELECT id FROM repository WHERE name IN ({names_are}))"
            )
        };
        let digests = digests.into_iter().map(Value::from);
        let digests: Vec<Value> = digests.chain(names.into_iter().map(Value::from)).collect();
        let sql = format!(
            "SELECT m.id, m.repository_id, r.name, m.digest FROM manifest m JOIN repository r ON r.id = m.repository_id \
             WHERE {}",
            among("m.")
        );
        let manifests: Vec<ManifestRow> = sql::all(tx.sql(), &sql, digests.clone()).await?;
        let sql = format!(
            "SELECT repository_id, digest, point, outcome, body, policy, evidence, review_at FROM decision \
             WHERE {}",
            among("")
        );
        let known: Vec<KnownRow> = sql::all(tx.sql(), &sql, digests.clone()).await?;
        let sql = format!(
            "SELECT repository_id, digest FROM brake_image WHERE {}",
            among("")
        );
        let braked: Vec<BrakeRow> = sql::all(tx.sql(), &sql, digests).await?;
        let manifests = manifests.into_iter();
        let known = known.into_iter();
        Ok(Self {
            manifests: manifests
                .map(|row| ((row.name, row.digest), (row.repository_id, row.id)))
                .collect(),
            known: known
                .map(|row| ((row.repository_id, row.digest.clone(), row.point.clone()), row))
                .collect(),
            braked: braked
                .into_iter()
                .map(|row| (row.repository_id, row.digest))
                .collect(),
            confirmed: reevaluation::confirmed(tx.sql()).await?,
        })
    }

    fn manifest(&self, one: &Finished) -> Option<(i64, i64)> {
        let key = (one.repo.to_string(), one.digest.to_string());
        self.manifests.get(&key).copied()
    }

    /// Whether the brake has, or may have, a say.
    fn is_braked(&self, one: &Finished) -> bool {
        let is_noted = |(repository, _)| self.braked.contains(&(repository, one.digest.to_string()));
        one.verdicts.held.is_some() || self.manifest(one).is_some_and(is_noted)
    }
}

impl<'a> Written<'a> {
    fn add(&mut self, tx: &Tx, present: &Present, one: &'a Finished, point: Point, judgement: &'a Judgement) {
        let Some((repository, manifest)) = present.manifest(one) else {
            return;
        };
        let key = (repository, one.digest.to_string(), point.name().to_owned());
        let known = present.known.get(&key);
        if known.is_some_and(|known| known.says(judgement, present.confirmed)) {
            return;
        }
        tx.touch(Key::decision(&one.repo, &one.digest, point.name()));
        self.rows.push((repository, &one.digest, point, judgement));
        let outcome = judgement.outcome.number();
        if known.is_some_and(|known| known.outcome == outcome && known.body == judgement.body) {
            return;
        }
        let previous = known.map(|known| known.outcome);
        if previous != Some(outcome) {
            self.turned.insert(manifest, &one.repo);
        }
        let subject = blob::subject(&one.repo, &one.digest);
        self.events
            .push((subject, &judgement.policy, told(point, judgement, previous)));
    }

    async fn write(self, tx: &Tx) -> Result<(), StoreError> {
        write_rows(tx, &self.rows).await?;
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

impl KnownRow {
    /// Whether the row says all of it already, the generation by what is said for all.
    fn says(&self, judgement: &Judgement, confirmed: i64) -> bool {
        self.outcome == judgement.outcome.number()
            && self.body == judgement.body
            && self.policy == judgement.policy
            && self.evidence == judgement.evidence
            && self.review_at == judgement.review_at.map_or(NEVER, Timestamp::micros)
            && sql::to_db(judgement.generation) <= confirmed
    }
}

/// Rows in one statement.
const ROWS: usize = 200;

async fn write_rows(tx: &Tx, rows: &[(i64, &Digest, Point, &Judgement)]) -> Result<(), StoreError> {
    let now = tx.now().micros();
    for chunk in rows.chunks(ROWS) {
        let sql = format!(
            "{} {} {}",
            super::INSERT,
            sql::tuples(chunk.len(), 11),
            super::OR_UPDATE
        );
        let row = |(repository, digest, point, judgement): &(i64, &Digest, Point, &Judgement)| {
            super::values_of(*repository, digest, *point, judgement, now)
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
