//! What people declare about maturity: models, campaigns, the baseline, who holds which role. And what was told before it happens.

use sea_orm::{FromQueryResult, Value};
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, AdminError, Store, StoreError, Timestamp};

/// Models and extensions that were ever applied. Default: the only value.
pub const MAX_MODELS: u64 = 1_000;

/// Records of a kind. Default: the only value.
pub const MAX_RECORDS: u64 = 1_000;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// An agreed change by a date.
    Campaign,
    /// The weeks that figures are compared with.
    Baseline,
    /// Who may vouch in a role.
    Role,
}

/// Something that is declared and can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaturityRecord {
    /// What it is.
    pub kind: RecordKind,
    /// Its name, of its kind.
    pub name: String,
    /// All of it, JSON.
    pub body: String,
    /// When it was set; of one that is to be set it is not looked at.
    pub set_at: Timestamp,
    /// By whom; likewise.
    pub set_by: String,
}

/// A model that is to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMaturityModel {
    /// The id of the model that counts from then on.
    pub name: String,
    /// Its version with those of what it extends, for the audit log.
    pub rule_version: String,
    /// The documents that were sent with it, as they were sent, JSON.
    pub documents: String,
    /// Why.
    pub reason: String,
    /// From when on.
    pub enable_from: Timestamp,
    /// What is to count at once, JSON each; nothing where it counts later.
    pub said: Vec<String>,
}

/// A model that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaturityModel {
    /// Its number: later ones count in place of earlier ones.
    pub id: i64,
    /// The id of the model.
    pub name: String,
    /// The documents that were sent with it, as they were sent, JSON.
    pub documents: String,
    /// By whom.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From when on.
    pub enable_from: Timestamp,
    /// When it was applied.
    pub at: Timestamp,
}

/// What owners and their systems are told.
#[derive(Debug, Clone, PartialEq)]
pub struct MaturityNews {
    /// Under which name it was told: one that was told is not told again. Without one it is told whenever it happens.
    pub once: Option<String>,
    /// What it is.
    pub kind: EventKind,
    /// About whom.
    pub subject: String,
    /// By which version of which model.
    pub rule_version: String,
    /// What there is to know.
    pub body: serde_json::Value,
}

#[derive(FromQueryResult)]
struct ModelRow {
    id: i64,
    name: String,
    documents: String,
    author: String,
    reason: String,
    enable_from: i64,
    at: i64,
}

#[derive(FromQueryResult)]
struct RecordRow {
    name: String,
    body: String,
    set_at: i64,
    set_by: String,
}

impl RecordKind {
    fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Baseline => "baseline",
            Self::Role => "role",
        }
    }

    /// What the audit log says when one is taken back.
    fn removal(self) -> EventKind {
        match self {
            Self::Campaign => EventKind::CampaignRemove,
            Self::Baseline => EventKind::BaselineSet,
            Self::Role => EventKind::MaturityRoleSet,
        }
    }
}

impl ModelRow {
    fn into_model(self) -> MaturityModel {
        MaturityModel {
            id: self.id,
            name: self.name,
            documents: self.documents,
            author: self.author,
            reason: self.reason,
            enable_from: Timestamp(self.enable_from),
            at: Timestamp(self.at),
        }
    }
}

impl Store {
    /// The models that were applied, in their order.
    pub async fn maturity_models(&self) -> Result<Vec<MaturityModel>, StoreError> {
        let sql = "SELECT id, name, documents, author, reason, enable_from, at FROM maturity_model ORDER BY id LIMIT $1";
        let rows: Vec<ModelRow> =
            sql::all(self.inner.db.read(), sql, [sql::to_db(MAX_MODELS).into()]).await?;
        Ok(rows.into_iter().map(ModelRow::into_model).collect())
    }

    /// Keeps a model, and tells of it in the audit log, the number of whose line is answered.
    pub async fn add_maturity_model(
        &self,
        actor: &Actor,
        model: NewMaturityModel,
    ) -> Result<i64, AdminError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { add_model(tx, &actor, model).await }))
            .await
    }

    /// All that is declared of a kind, by name.
    pub async fn maturity_records(&self, kind: RecordKind) -> Result<Vec<MaturityRecord>, StoreError> {
        let sql =
            "SELECT name, body, set_at, set_by FROM maturity_record WHERE kind = $1 ORDER BY name LIMIT $2";
        let values: [Value; 2] = [kind.name().into(), sql::to_db(MAX_RECORDS).into()];
        let rows: Vec<RecordRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let record = |row: RecordRow| MaturityRecord {
            kind,
            name: row.name,
            body: row.body,
            set_at: Timestamp(row.set_at),
            set_by: row.set_by,
        };
        Ok(rows.into_iter().map(record).collect())
    }

    /// Takes back what was declared. `false`: it was not there.
    pub async fn remove_maturity_record(
        &self,
        actor: &Actor,
        kind: RecordKind,
        name: &str,
    ) -> Result<bool, StoreError> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.write(move |tx| Box::pin(async move { remove(tx, &actor, kind, &name).await }))
            .await
    }

    /// Tells what is to be told before it happens, each once; answers how much of it was news.
    pub async fn tell_maturity(&self, actor: &Actor, news: Vec<MaturityNews>) -> Result<usize, StoreError> {
        let actor = actor.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let mut told = 0;
                for news in &news {
                    told += usize::from(tell(tx, &actor, news).await?);
                }
                Ok::<_, StoreError>(told)
            })
        })
        .await
    }
}

async fn add_model(tx: &Tx, actor: &Actor, model: NewMaturityModel) -> Result<i64, AdminError> {
    let count: Option<sql::Number> =
        sql::first(tx.sql(), "SELECT COUNT(*) AS number FROM maturity_model", []).await?;
    if count.is_some_and(|count| sql::from_db(count.number) >= MAX_MODELS) {
        return Err(AdminError::TooMany {
            kind: "model",
            limit: MAX_MODELS,
        });
    }
    let about = json!({
        "rule_version": model.rule_version, "reason": model.reason, "bytes": model.documents.len(),
        "enable_from": model.enable_from.to_rfc3339(),
    });
    let event = event::record_numbered(tx, actor, EventKind::MaturityModel, &model.name, about).await?;
    let sql = "INSERT INTO maturity_model (name, documents, author, reason, enable_from, at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values: [Value; 6] = [
        model.name.into(),
        model.documents.into(),
        actor.name().into(),
        model.reason.into(),
        model.enable_from.micros().into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    super::write_said(tx, event, &model.said).await?;
    Ok(event)
}

/// Whoever sets it has told of it.
pub(super) async fn set(tx: &Tx, actor: &Actor, record: &MaturityRecord) -> Result<(), StoreError> {
    let sql = "SELECT COUNT(*) AS number FROM maturity_record WHERE kind = $1 AND name <> $2";
    let values: [Value; 2] = [record.kind.name().into(), record.name.as_str().into()];
    let others: Option<sql::Number> = sql::first(tx.sql(), sql, values).await?;
    if others.is_some_and(|others| sql::from_db(others.number) >= MAX_RECORDS) {
        return Err(StoreError::TooManyRecords { limit: MAX_RECORDS });
    }
    let sql = "INSERT INTO maturity_record (kind, name, body, set_at, set_by) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (kind, name) DO UPDATE \
               SET body = excluded.body, set_at = excluded.set_at, set_by = excluded.set_by";
    let values: [Value; 5] = [
        record.kind.name().into(),
        record.name.as_str().into(),
        record.body.as_str().into(),
        tx.now().micros().into(),
        actor.name().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

async fn remove(tx: &Tx, actor: &Actor, kind: RecordKind, name: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM maturity_record WHERE kind = $1 AND name = $2";
    if sql::execute(tx.sql(), sql, [kind.name().into(), name.into()]).await? == 0 {
        return Ok(false);
    }
    event::record(tx, actor, kind.removal(), name, json!({ "removed": true })).await?;
    Ok(true)
}

/// Whether it was news.
pub(super) async fn tell(tx: &Tx, actor: &Actor, news: &MaturityNews) -> Result<bool, StoreError> {
    if let Some(once) = &news.once {
        let sql = "INSERT INTO maturity_notice (name, at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let values: [Value; 2] = [once.as_str().into(), tx.now().micros().into()];
        if sql::execute(tx.sql(), sql, values).await? == 0 {
            return Ok(false);
        }
    }
    event::record_ruled(
        tx,
        actor,
        news.kind,
        &news.subject,
        &news.rule_version,
        news.body.clone(),
    )
    .await?;
    Ok(true)
}
