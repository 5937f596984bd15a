//! What the owners of bases owe, and how they kept their promises.

use findings::Severity;
use road::debt::{Debt, DebtState};
use road::names::BaseName;
use sea_orm::FromQueryResult;
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, Store, StoreError, Timestamp};

/// Problems that all bases together may owe. Default: the only value.
const MAX_OWED: u64 = 200_000;

/// Problems that are remembered of all bases together once they are over: the newest. Default: the only value.
const MAX_SETTLED: u64 = 50_000;

/// States in which something is over.
const SETTLED: &str = "state IN ('patched', 'gone')";

#[derive(FromQueryResult)]
struct Row {
    base: String,
    vulnerability: String,
    severity: String,
    known_at: i64,
    due_at: i64,
    state: String,
    patched_at: Option<i64>,
    release: String,
}

impl Row {
    fn into_debt(self) -> Result<Debt, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("{what} of a promise of {:?}", self.base));
        let state = DebtState::ALL
            .into_iter()
            .find(|state| state.as_str() == self.state);
        let severity = serde_json::from_value::<Severity>(self.severity.as_str().into());
        Ok(Debt {
            base: self.base.parse().map_err(|_| damaged("base"))?,
            vulnerability: self.vulnerability.parse().map_err(|_| damaged("vulnerability"))?,
            severity: severity.map_err(|_| damaged("severity"))?,
            known_at: Timestamp(self.known_at).to_utc(),
            due_at: Timestamp(self.due_at).to_utc(),
            state: state.ok_or_else(|| damaged("state"))?,
            patched_at: self.patched_at.map(|at| Timestamp(at).to_utc()),
            release: self.release,
        })
    }
}

impl Store {
    /// All that is owed, of one base or of all, and what is remembered of what was; what is owed comes first, then the newest.
    pub async fn base_debts(&self, base: Option<&BaseName>) -> Result<Vec<Debt>, StoreError> {
        // There are no more: `keep_debts` sees to it.
        let sql = format!(
            "SELECT base, vulnerability, severity, known_at, due_at, state, patched_at, release \
             FROM base_debt WHERE ($1 = '' OR base = $1) \
             ORDER BY {SETTLED}, known_at DESC, base, vulnerability LIMIT $2"
        );
        let values = [
            base.map_or("", BaseName::as_str).into(),
            sql::to_db(MAX_OWED + MAX_SETTLED).into(),
        ];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
        rows.into_iter().map(Row::into_debt).collect()
    }

    /// Keeps what has changed, and tells of promises that were broken and of what was patched, in one transaction. Of what is over
    /// the newest `MAX_SETTLED` are remembered. [`StoreError::TooManyOwed`]: more than `MAX_OWED` would be owed; nothing is kept.
    pub async fn keep_debts(&self, actor: &Actor, changed: Vec<Debt>) -> Result<(), StoreError> {
        if changed.is_empty() {
            return Ok(());
        }
        let actor = actor.clone();
        self.write(move |tx| {
            Box::pin(async move {
                for debt in &changed {
                    keep(tx, &actor, debt).await?;
                }
                bound(tx, MAX_OWED, MAX_SETTLED).await
            })
        })
        .await
    }
}

#[derive(FromQueryResult)]
struct CountRow {
    owed: i64,
    settled: i64,
}

/// Forgets the oldest of what is over.
pub(crate) async fn bound(tx: &Tx, most_owed: u64, most_settled: u64) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT COALESCE(SUM(NOT {SETTLED}), 0) AS owed, COALESCE(SUM({SETTLED}), 0) AS settled FROM base_debt"
    );
    let count: Option<CountRow> = sql::first(tx.sql(), &sql, []).await?;
    let count = count.map_or((0, 0), |row| (row.owed, row.settled));
    let (owed, settled) = (
        u64::try_from(count.0).unwrap_or_default(),
        u64::try_from(count.1).unwrap_or_default(),
    );
    if owed > most_owed {
        return Err(StoreError::TooManyOwed { limit: most_owed });
    }
    let over = settled.saturating_sub(most_settled);
    if over == 0 {
        return Ok(());
    }
    let sql = format!(
        "DELETE FROM base_debt WHERE (base, vulnerability) IN (SELECT base, vulnerability FROM base_debt \
         WHERE {SETTLED} ORDER BY COALESCE(patched_at, known_at), base, vulnerability LIMIT $1)"
    );
    sql::execute(tx.sql(), &sql, [sql::to_db(over).into()])
        .await
        .map(drop)
}

async fn keep(tx: &Tx, actor: &Actor, debt: &Debt) -> Result<(), StoreError> {
    let sql = "INSERT INTO base_debt (base, vulnerability, severity, known_at, due_at, state, patched_at, release) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (base, vulnerability) DO UPDATE SET \
               severity = excluded.severity, known_at = excluded.known_at, due_at = excluded.due_at, \
               state = excluded.state, patched_at = excluded.patched_at, release = excluded.release";
    let values = [
        debt.base.as_str().into(),
        debt.vulnerability.as_str().into(),
        debt.severity.as_str().into(),
        Timestamp::from(debt.known_at).micros().into(),
        Timestamp::from(debt.due_at).micros().into(),
        debt.state.as_str().into(),
        debt.patched_at.map(|at| Timestamp::from(at).micros()).into(),
        debt.release.as_str().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    let kind = match debt.state {
        DebtState::Late => EventKind::BaseLate,
        DebtState::Patched => EventKind::BasePatched,
        DebtState::Open | DebtState::Gone => return Ok(()),
    };
    let took = debt.patched_at.map(|at| (at - debt.known_at).whole_seconds());
    let about = json!({
        "vulnerability": debt.vulnerability, "severity": debt.severity, "release": debt.release,
        "known": Timestamp::from(debt.known_at).to_rfc3339(), "due": Timestamp::from(debt.due_at).to_rfc3339(),
        "seconds": took, "kept": debt.is_kept(),
    });
    event::record(tx, actor, kind, debt.base.as_str(), about).await
}

/// Of a base that is approved no more.
pub(super) async fn forget(tx: &Tx, base: &BaseName) -> Result<(), StoreError> {
    let sql = "DELETE FROM base_debt WHERE base = $1";
    sql::execute(tx.sql(), sql, [base.as_str().into()])
        .await
        .map(drop)
}
