//! Who pulled what: written in batches, bounded, and never in the way of a pull.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use oci::{Digest, RepoName};
use sea_orm::{FromQueryResult, Value};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;

use crate::blob;
use crate::db::{Tx, sql};
use crate::handle::Inner;
use crate::{Page, Store, StoreError, StoreLimits, Timestamp};

/// Notes written in one transaction.
const BATCH: usize = 512;
/// Rows of one statement. `SQLite` compiles a statement anew for each number of rows and looks each of its variables up by
/// name, so few sizes are used, and small ones.
const ROWS: usize = 32;
/// How long notes are gathered before they are written. Whoever finds a full batch goes on at once, or a pull storm
/// would fill the queue while the database has nothing to do.
const GATHER: Duration = Duration::from_secs(1);

/// How long notes that could not be written wait before they are tried again: the database is away, or the disk is full. Meanwhile the
/// queue takes what it has room for.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What kind of client pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullClass {
    /// A cluster node (containerd, CRI-O, kubelet).
    Node,
    /// Automation: a robot or a known build tool.
    Ci,
    /// Somebody who may see what is refused as well, and no cluster node. Looking is not running: such a pull does not say
    /// that the image is in use.
    Inspection,
    /// Everything else.
    Other,
}

/// One pull of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullNote {
    /// From where.
    pub repo: RepoName,
    /// What.
    pub digest: Digest,
    /// By whom; `None` for anonymous.
    pub principal: Option<access::PrincipalName>,
    /// By what.
    pub class: PullClass,
    /// When.
    pub at: Timestamp,
}

/// A line of the pull log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullEntry {
    /// Position in the log; the cursor of [`Store::pulls`].
    pub seq: i64,
    /// The pull.
    pub note: PullNote,
}

/// Which pulls to list; everything that is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullFilter {
    /// From this repository.
    pub repo: Option<RepoName>,
    /// Of this manifest.
    pub digest: Option<Digest>,
    /// Not before.
    pub since: Option<Timestamp>,
}

impl PullClass {
    /// Its name in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Ci => "ci",
            Self::Inspection => "inspection",
            Self::Other => "other",
        }
    }

    fn from_name(name: &str) -> Self {
        [Self::Node, Self::Ci, Self::Inspection]
            .into_iter()
            .find(|class| class.as_str() == name)
            .unwrap_or(Self::Other)
    }
}

/// Notes on their way to the log.
pub(crate) struct PullQueue {
    notes: Sender<PullNote>,
    dropped: AtomicU64,
    closing: watch::Sender<bool>,
    /// The line up to which it was looked for what is too many.
    looked: AtomicI64,
}

/// The other end of the queue.
pub(crate) struct PullWriter {
    inbox: Receiver<PullNote>,
    closing: watch::Receiver<bool>,
}

impl PullQueue {
    pub(crate) fn new(limits: &StoreLimits) -> (Self, PullWriter) {
        let (notes, inbox) = mpsc::channel(limits.pull_log_queue.max(1));
        let (closing, closed) = watch::channel(false);
        (
            Self {
                notes,
                dropped: AtomicU64::new(0),
                looked: AtomicI64::new(0),
                closing,
            },
            PullWriter {
                inbox,
                closing: closed,
            },
        )
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Lets the writer write what is left and end.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }
}

impl PullWriter {
    /// Writes the notes until the store is closed or gone, and then those that are left.
    pub(crate) async fn run(mut self, inner: Weak<Inner>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if batch.is_empty() && !self.take(&mut batch).await {
                return;
            }
            let Some(store) = inner.upgrade().map(|inner| Store { inner }) else {
                return;
            };
            let is_full = batch.len() == BATCH;
            let left = store.insert_batch(std::mem::take(&mut batch)).await;
            let pause = match left {
                Some(left) if *self.closing.borrow() => {
                    store.drop_notes(left.len() as u64);
                    continue;
                }
                Some(left) => {
                    batch = left;
                    TRY_AGAIN
                }
                None => GATHER,
            };
            drop(store);
            if !is_full || pause == TRY_AGAIN {
                // Few large transactions instead of many small ones; whoever closes does not wait for it.
                let _ = tokio::time::timeout(pause, closed(&mut self.closing)).await;
            }
        }
    }

    /// Takes what has come, once something has. `false`: nothing will come any more.
    async fn take(&mut self, batch: &mut Vec<PullNote>) -> bool {
        tokio::select! {
            count = self.inbox.recv_many(batch, BATCH) => count > 0,
            () = closed(&mut self.closing), if !self.inbox.is_closed() => {
                self.inbox.close();
                true
            }
        }
    }
}

/// Returns when the store is being closed; never when it only went away.
async fn closed(closing: &mut watch::Receiver<bool>) {
    if closing.wait_for(|closing| *closing).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[derive(FromQueryResult)]
struct Row {
    seq: i64,
    at: i64,
    repository: String,
    digest: String,
    principal: Option<String>,
    class: String,
}

impl Row {
    fn into_entry(self) -> Result<PullEntry, StoreError> {
        let damaged = || StoreError::damaged(format!("line {} of the pull log cannot be read", self.seq));
        let note = PullNote {
            repo: self.repository.parse().map_err(|_| damaged())?,
            digest: blob::parse_digest(&self.digest)?,
            principal: self
                .principal
                .map(|name| name.parse())
                .transpose()
                .map_err(|_| damaged())?,
            class: PullClass::from_name(&self.class),
            at: Timestamp(self.at),
        };
        Ok(PullEntry { seq: self.seq, note })
    }
}

impl Store {
    /// Whether a manifest of a repository was pulled since a moment to be used, as far as the log goes back.
    pub async fn was_pulled_since(
        &self,
        repo: &RepoName,
        digest: &Digest,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT seq AS id FROM pull_log WHERE digest = $1 AND repository = $2 AND at >= $3 \
                   AND class <> $4 LIMIT 1";
        let values = [
            digest.to_string().into(),
            repo.as_str().into(),
            since.micros().into(),
            PullClass::Inspection.as_str().into(),
        ];
        let row: Option<sql::Id> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.is_some())
    }

    /// Takes a note of a pull. Never waits: when the queue is full, the note is dropped and counted
    /// ([`crate::StoreMetrics::pull_notes_dropped`]).
    pub fn note_pull(&self, note: PullNote) {
        let pulls = &self.inner.pulls;
        if pulls.notes.try_send(note).is_err() {
            pulls.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands back what can be written later.
    async fn insert_batch(&self, notes: Vec<PullNote>) -> Option<Vec<PullNote>> {
        if notes.is_empty() {
            return None;
        }
        let (count, notes) = (notes.len() as u64, Arc::new(notes));
        match self.insert_pulls(Arc::clone(&notes)).await {
            Ok(()) => None,
            Err(error) if error.passes() => Some(Arc::unwrap_or_clone(notes)),
            Err(error) => {
                tracing::error!(%error, count, "pulls could not be written to the pull log");
                self.drop_notes(count);
                None
            }
        }
    }

    fn drop_notes(&self, count: u64) {
        self.inner.pulls.dropped.fetch_add(count, Ordering::Relaxed);
    }

    async fn insert_pulls(&self, notes: Arc<Vec<PullNote>>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                // They come with every second in which anybody pulls.
                tx.pass_by_followers();
                let (full, rest) = notes.as_chunks::<ROWS>();
                let statements = full.iter().map(<[_; ROWS]>::as_slice).chain(rest.chunks(1));
                for notes in statements {
                    let sql = format!(
                        "INSERT INTO pull_log (at, repository, digest, principal, class) VALUES {}",
                        sql::tuples(notes.len(), 5)
                    );
                    sql::execute_list(tx.sql(), &sql, notes.iter().flat_map(values)).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The pull log, newest first, from the first line before `before`.
    pub async fn pulls(
        &self,
        _permit: &access::SystemPermit,
        filter: &PullFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<PullEntry>, StoreError> {
        let limit = self.page_limit(limit);
        let rows: Vec<Row> = sql::Filter::new("seq <", before.unwrap_or(i64::MAX))
            .and("repository =", filter.repo.as_ref().map(ToString::to_string))
            .and("digest =", filter.digest.as_ref().map(ToString::to_string))
            .and("at >=", filter.since.map(Timestamp::micros))
            .rows(
                self.inner.db.read(),
                "SELECT seq, at, repository, digest, principal, class FROM pull_log",
                "seq DESC",
                limit as u64 + 1,
            )
            .await?;
        let entries = rows.into_iter().map(Row::into_entry).collect::<Result<_, _>>()?;
        Ok(Page::cut(entries, limit))
    }

    /// Removes up to `budget` lines that are too old or too many; answers how many.
    ///
    /// Of what is too many, the latest pull of each image stays for as long as the log goes back by time: it says that the image is
    /// in use, and whoever pulls something else a million times must not make that be forgotten.
    pub(crate) async fn trim_pulls(&self, budget: u64) -> Result<u64, StoreError> {
        let oldest = self.now().minus(self.limits().pull_log_age).micros();
        let rows = self.limits().pull_log_rows;
        let looked = &self.inner.pulls.looked;
        let from = looked.load(Ordering::Relaxed);
        let trim = Trim {
            oldest,
            from,
            rows: sql::to_db(rows),
            budget: sql::to_db(budget),
        };
        let (removed, to) = self
            .write(move |tx| Box::pin(async move { trim.carry_out(tx).await }))
            .await?;
        looked.store(to.unwrap_or(0), Ordering::Relaxed);
        // A pass is over: what it left are latest pulls alone.
        let kept = if to.is_none() && from > 0 {
            self.count_behind(rows).await?
        } else {
            0
        };
        if kept <= rows {
            return Ok(removed);
        }
        tracing::warn!(
            images = kept,
            rows,
            "more images were pulled than the pull log has lines for (storage.pull_log_rows); the images that were pulled longest ago \
             no longer count as in use"
        );
        Ok(removed + self.remove_oldest(budget.min(kept - rows)).await?)
    }

    /// Lines that would be too many.
    async fn count_behind(&self, rows: u64) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS number FROM pull_log \
                   WHERE seq <= (SELECT COALESCE(MAX(seq), 0) FROM pull_log) - $1";
        let row: Option<sql::Number> =
            sql::first(self.inner.db.read(), sql, [sql::to_db(rows).into()]).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    async fn remove_oldest(&self, count: u64) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    "DELETE FROM pull_log WHERE seq IN (SELECT seq FROM pull_log ORDER BY seq LIMIT $1)";
                sql::execute(tx.sql(), sql, [sql::to_db(count).into()]).await
            })
        })
        .await
    }
}

/// Lines that are looked at in one step, for each that may be removed.
const LOOKED: i64 = 20;

/// One step of the trimming.
#[derive(Clone, Copy)]
struct Trim {
    /// Lines before this moment go.
    oldest: i64,
    /// Lines are numbered in the order in which they came; so many stay whatever they say.
    rows: i64,
    /// Lines up to here were looked at.
    from: i64,
    budget: i64,
}

impl Trim {
    /// Answers how many lines went, and up to where they were looked at; `None`: to the end.
    async fn carry_out(self, tx: &Tx) -> Result<(u64, Option<i64>), StoreError> {
        let sql = "DELETE FROM pull_log WHERE seq IN \
                   (SELECT seq FROM pull_log WHERE at < $1 ORDER BY at LIMIT $2)";
        let old = sql::execute(tx.sql(), sql, [self.oldest.into(), self.budget.into()]).await?;
        let sql = "SELECT COALESCE(MAX(seq), 0) AS number FROM (SELECT seq FROM pull_log WHERE seq > $1 \
                   AND seq <= (SELECT COALESCE(MAX(seq), 0) FROM pull_log) - $2 ORDER BY seq LIMIT $3) AS looked";
        let most = self.budget.saturating_mul(LOOKED);
        let to: Option<sql::Number> =
            sql::first(tx.sql(), sql, [self.from.into(), self.rows.into(), most.into()]).await?;
        let Some(to) = to.map(|to| to.number).filter(|to| *to > 0) else {
            return Ok((old, None));
        };
        let sql = "DELETE FROM pull_log WHERE seq IN (SELECT p.seq FROM pull_log p WHERE p.seq > $1 AND p.seq <= $2 \
                   AND (p.class = 'inspection' OR EXISTS (SELECT 1 FROM pull_log n WHERE n.digest = p.digest AND n.seq > p.seq \
                   AND n.repository = p.repository AND n.class <> 'inspection')) ORDER BY p.seq LIMIT $3)";
        let values = [self.from.into(), to.into(), self.budget.into()];
        let many = sql::execute(tx.sql(), sql, values).await?;
        // There may be more of them up to there.
        let to = if many >= sql::from_db(self.budget) {
            self.from
        } else {
            to
        };
        Ok((old + many, Some(to)))
    }
}

/// The columns of a line.
fn values(note: &PullNote) -> [Value; 5] {
    [
        note.at.micros().into(),
        note.repo.as_str().into(),
        note.digest.to_string().into(),
        note.principal
            .as_ref()
            .map(|name| name.as_str().to_owned())
            .into(),
        note.class.as_str().into(),
    ]
}

#[cfg(test)]
mod tests;
