//! Warnings of ends: each once, whatever is killed in between.

use road::ends::Ending;
use serde_json::json;
use time::OffsetDateTime;

use super::subject;
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, Store, StoreError, Timestamp};

impl Store {
    /// Tells of the ends that are due by `now` and were not told of; answers how many. Steps that were passed unseen are not made
    /// up for: whoever declares what ends tomorrow is warned once.
    pub async fn tell_ends(
        &self,
        actor: &Actor,
        endings: Vec<Ending>,
        now: OffsetDateTime,
    ) -> Result<usize, StoreError> {
        let mut due: Vec<(Ending, u16)> = Vec::new();
        for ending in endings {
            if let Some(days) = ending.due(now)
                && !self.is_told(&ending, days).await?
            {
                due.push((ending, days));
            }
        }
        if due.is_empty() {
            return Ok(0);
        }
        let (count, actor) = (due.len(), actor.clone());
        self.write(move |tx| {
            Box::pin(async move {
                for (ending, days) in &due {
                    tell(tx, &actor, ending, *days).await?;
                }
                Ok::<_, StoreError>(count)
            })
        })
        .await
    }

    async fn is_told(&self, ending: &Ending, days: u16) -> Result<bool, StoreError> {
        let sql = "SELECT name AS text FROM road_notice \
                   WHERE kind = $1 AND name = $2 AND ends_at = $3 AND days = $4";
        let values = [
            ending.kind.as_str().into(),
            ending.name.as_str().into(),
            Timestamp::from(ending.at).micros().into(),
            i64::from(days).into(),
        ];
        let found: Option<sql::Text> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(found.is_some())
    }
}

async fn tell(tx: &Tx, actor: &Actor, ending: &Ending, days: u16) -> Result<(), StoreError> {
    let sql = "INSERT INTO road_notice (kind, name, ends_at, days, at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (kind, name, ends_at, days) DO NOTHING";
    let values = [
        ending.kind.as_str().into(),
        ending.name.as_str().into(),
        Timestamp::from(ending.at).micros().into(),
        i64::from(days).into(),
        tx.now().micros().into(),
    ];
    if sql::execute(tx.sql(), sql, values).await? == 0 {
        return Ok(());
    }
    let kind = if days == 0 {
        EventKind::RoadEnd
    } else {
        EventKind::RoadEnds
    };
    let about = json!({
        "kind": ending.kind, "name": ending.name, "owner": ending.owner, "days": days,
        "ends": Timestamp::from(ending.at).to_rfc3339(), "note": ending.note,
        "state": if days == 0 { "expired" } else { "ending" },
    });
    event::record(tx, actor, kind, &subject(ending.kind, &ending.name), about).await
}
