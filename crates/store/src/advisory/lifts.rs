//! What imports let pass that was refused. How much is too much, and what would pass, is the business of whoever judges.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use oci::{Digest, RepoName};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{AdvisoryDocument, Importer};
use crate::db::sql;
use crate::decision::{Outcome, Point};
use crate::event::{self, EventKind};
use crate::{Actor, Store, StoreError, blob};

/// Images and vulnerabilities that are named; more are only counted.
pub const LIFTS_NAMED: usize = 10;

/// What imports of this time have lifted is counted together: whoever withdraws a few with each import is not to pass for that.
const LATELY: Duration = Duration::from_hours(24);

/// Imports that are looked at for it, the latest.
const IMPORTS: i64 = 1_000;

/// What an import would let pass that is refused, by whatever it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifts {
    /// Images that are refused now.
    pub refused: u64,
    /// Those of them that would not be.
    pub lifted: u64,
    /// How many other imports have lifted within the last day, since a person last approved it.
    #[serde(default)]
    pub lately: u64,
    /// The first of the images, `repository@digest`; at most [`LIFTS_NAMED`].
    #[serde(default)]
    pub images: Vec<String>,
    /// For what they are refused and would not be, what concerns most images first; at most [`LIFTS_NAMED`].
    #[serde(default)]
    pub causes: Vec<LiftedCause>,
}

/// What an import lifts that counts, for the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotedLifts {
    /// What.
    pub lifts: Lifts,
    /// A person has approved it.
    pub is_approved: bool,
}

/// What images are refused for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftedCause {
    /// The vulnerability, or the rule where it names none.
    pub id: String,
    /// Images that would pass without it.
    pub images: u64,
}

impl Display for Lifts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it would let pass {} of {} images that are refused",
            self.lifted, self.refused
        )?;
        if self.lately > 0 {
            write!(f, ", after {} within a day", self.lately)?;
        }
        for (number, cause) in self.causes.iter().take(3).enumerate() {
            let before = if number == 0 {
                "; no longer refused for "
            } else {
                ", "
            };
            write!(f, "{before}{} ({})", cause.id, cause.images)?;
        }
        if let Some(image) = self.images.first() {
            write!(f, "; such as {image}")?;
        }
        Ok(())
    }
}

impl Lifts {
    /// One by one, for people: what is no longer refused for what, which images would pass, and how many more.
    pub fn listed(&self) -> Vec<String> {
        let images = |count: u64| format!("{count} {}", if count == 1 { "image" } else { "images" });
        let causes = self
            .causes
            .iter()
            .map(|cause| format!("no longer refused for {}: {}", cause.id, images(cause.images)));
        let named = self.images.iter().map(|image| format!("would pass: {image}"));
        let more = self.lifted.saturating_sub(self.images.len() as u64);
        let more = (more > 0).then(|| format!("and {more} more"));
        causes.chain(named).chain(more).collect()
    }
}

/// What an import on its way would make the present generation.
#[derive(Debug)]
pub struct StagedImport {
    /// Its number. Its advisories can be read by it; nobody else asks for it yet.
    pub generation: u64,
    /// The documents that would be replaced.
    pub documents: Vec<AdvisoryDocument>,
}

#[derive(FromQueryResult)]
struct BodyRow {
    body: String,
}

#[derive(FromQueryResult)]
struct RefusedRow {
    id: i64,
    name: String,
    digest: String,
}

/// What the record of an import tells of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Recorded {
    lifted: u64,
    lifts_approved: bool,
}

impl Importer {
    /// What came so far, as it would be in force. It stays unseen.
    ///
    /// # Errors
    /// The store failed, or somebody else imports by now.
    pub async fn staged(&mut self) -> Result<StagedImport, StoreError> {
        self.changed().await?;
        self.go_on()?;
        let documents = self
            .documents
            .iter()
            .map(|((kind, name), body)| AdvisoryDocument {
                kind: kind.clone(),
                name: name.clone(),
                body: body.clone(),
            });
        Ok(StagedImport {
            generation: self.import.generation,
            documents: documents.collect(),
        })
    }

    /// Says that somebody goes on with it.
    ///
    /// # Errors
    /// Somebody else imports by now.
    pub fn go_on(&self) -> Result<(), StoreError> {
        self.import.lease.hold()
    }

    /// Keeps for the record what it lifts.
    pub fn note_lifts(&mut self, lifts: NotedLifts) {
        self.lifts = Some(lifts);
    }
}

impl Store {
    /// How many refusals imports have lifted within a day, since a person last approved it.
    pub async fn lifted_lately(&self) -> Result<u64, StoreError> {
        let sql = "SELECT body FROM advisory_import WHERE at >= $1 ORDER BY generation DESC LIMIT $2";
        let since = self.now().minus(LATELY);
        let rows: Vec<BodyRow> =
            sql::all(self.inner.db.read(), sql, [since.micros().into(), IMPORTS.into()]).await?;
        let recorded = rows
            .iter()
            .map(|row| serde_json::from_str::<Recorded>(&row.body).unwrap_or_default());
        Ok(recorded
            .take_while(|one| !one.lifts_approved)
            .map(|one| one.lifted)
            .sum())
    }

    /// Images that are refused when they are pulled, in a fixed order: those behind `after`, each with the number that is `after`
    /// for what follows it.
    pub async fn refused_images_after(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, RepoName, Digest)>, StoreError> {
        let sql = "SELECT m.id, r.name, m.digest FROM manifest m JOIN repository r ON r.id = m.repository_id \
                   JOIN decision d ON d.repository_id = m.repository_id AND d.digest = m.digest \
                   WHERE m.kind = 0 AND d.point = $1 AND d.outcome = $2 AND m.id > $3 ORDER BY m.id LIMIT $4";
        let values = [
            Point::Pull.name().into(),
            Outcome::Refuse.number().into(),
            after.into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<RefusedRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let parse = |row: RefusedRow| {
            let repo = row.name.parse();
            let repo =
                repo.map_err(|_| StoreError::damaged(format!("manifest {} has no repository", row.id)))?;
            Ok((row.id, repo, blob::parse_digest(&row.digest)?))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Writes down what became of a bundle that somebody brought.
    pub async fn note_bundle(&self, actor: &Actor, body: serde_json::Value) -> Result<(), StoreError> {
        self.note(actor, EventKind::AdvisoriesBundle, "bundle".to_owned(), body)
            .await
    }

    /// Writes down that an import which somebody made by hand is held.
    pub async fn note_held_import(
        &self,
        origin: &str,
        lifts: &Lifts,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let (origin, actor, body) = (
            origin.to_owned(),
            actor.clone(),
            json!({ "why": "lifts", "lifts": lifts }),
        );
        self.write(move |tx| {
            Box::pin(async move { event::record(tx, &actor, EventKind::AdvisoriesHold, &origin, body).await })
        })
        .await
    }
}

/// Why a source is held until a person approves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum FeedHold {
    /// It has lost much of what it had.
    Shrunk {
        /// How many entries it had.
        before: u64,
        /// How many of them are left.
        now: u64,
    },
    /// Why it waits cannot be read any more: whoever looks has to begin anew.
    Unreadable,
    /// What it says now would let pass much of what is refused.
    Lifts {
        /// How much.
        lifts: Lifts,
    },
}
