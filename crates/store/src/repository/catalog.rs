//! The catalogue: the names that a caller may see, without reading those that they may not.
//!
//! What a caller may see is said by patterns. Each of them begins with some literal text, so all that it matches lies in
//! one span of the sorted names; the spans of all patterns, merged, are looked through in order. Where a pattern has
//! a wildcard before its end the database leaves out the names that cannot match, so that they are not handed over.
//! What is left over (few: `LIKE` knows no components) is for the caller's own test.

use oci::{RepoName, RepoPattern};
use sea_orm::Value;

use crate::db::sql;
use crate::{Page, Store, StoreError};

mod span;

use span::Span;

/// Spans about which one statement asks whether there is anything in them.
const SPANS_AT_ONCE: usize = 200;
/// Names read at once: at least so many, since some are not visible, and at most.
const NAMES_AT_ONCE: (usize, usize) = (64, 1_024);

impl Store {
    /// Names of the repositories that `visible` allows, in byte order, from the first one behind `after`. At most
    /// `limit` and never more than [`crate::StoreLimits::page_items`]. Each of them matches one of `within`: only there
    /// names are looked for.
    pub async fn repositories(
        &self,
        within: &[RepoPattern],
        visible: &(dyn Fn(&RepoName) -> bool + Sync),
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepoName>, StoreError> {
        let limit = self.page_limit(limit);
        if limit == 0 {
            return Ok(Page::empty());
        }
        let mut search = Search::new(self, visible, limit + 1);
        search.run(within, after).await?;
        Ok(Page::cut(search.names, limit))
    }
}

/// A page in the making.
struct Search<'s> {
    store: &'s Store,
    visible: &'s (dyn Fn(&RepoName) -> bool + Sync),
    wanted: usize,
    names: Vec<RepoName>,
    /// Rows that the database handed over.
    rows: usize,
}

impl<'s> Search<'s> {
    fn new(store: &'s Store, visible: &'s (dyn Fn(&RepoName) -> bool + Sync), wanted: usize) -> Self {
        Self {
            store,
            visible,
            wanted,
            names: Vec::new(),
            rows: 0,
        }
    }

    /// Patterns without literal text at the beginning span all names. They are looked for by themselves, so that the
    /// others do not have to look there too.
    async fn run(&mut self, within: &[RepoPattern], after: Option<&str>) -> Result<(), StoreError> {
        let is_anchored = |pattern: &&RepoPattern| !pattern.literal_prefix().is_empty();
        let (anchored, floating): (Vec<_>, Vec<_>) = within.iter().partition(is_anchored);
        self.look_through(span::merged(&floating), after).await?;
        let mut names = std::mem::take(&mut self.names);
        self.look_through(span::merged(&anchored), after).await?;
        names.append(&mut self.names);
        names.sort_unstable();
        names.dedup();
        names.truncate(self.wanted);
        self.names = names;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.names.len() >= self.wanted
    }

    async fn look_through(&mut self, mut spans: Vec<Span>, after: Option<&str>) -> Result<(), StoreError> {
        if let Some(after) = after {
            spans.retain_mut(|span| span.begin_behind(after));
        }
        for some in spans.chunks(SPANS_AT_ONCE) {
            for index in self.inhabited(some).await? {
                let Some(span) = some.get(index) else { continue };
                match span.only_name() {
                    Some(name) => self.offer(name),
                    None => self.read(span.clone()).await?,
                }
                if self.is_full() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Which of `spans` have a name in them, so that thousands of grants on what is not there cost a few statements.
    async fn inhabited(&mut self, spans: &[Span]) -> Result<Vec<usize>, StoreError> {
        if spans.len() == 1 && spans.iter().all(|span| span.only_name().is_none()) {
            return Ok(vec![0]);
        }
        let sql = format!(
            "WITH span (number, low, high) AS (VALUES {}) SELECT number FROM span \
             WHERE EXISTS (SELECT 1 FROM repository WHERE name >= low AND name < high)",
            sql::tuples(spans.len(), 3)
        );
        let values = spans.iter().enumerate().flat_map(|(index, span)| {
            let (low, high) = span.bounds();
            [sql::to_db(index as u64).into(), low.into(), high.into()]
        });
        let values: Vec<Value> = values.collect();
        let found: Vec<sql::Number> = sql::all(self.store.inner.db.read(), &sql, values).await?;
        self.rows += found.len();
        let mut found: Vec<usize> = found
            .iter()
            .filter_map(|row| usize::try_from(row.number).ok())
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    async fn read(&mut self, mut span: Span) -> Result<(), StoreError> {
        while !self.is_full() {
            let (few, many) = NAMES_AT_ONCE;
            let limit = (self.wanted - self.names.len()).clamp(few, many);
            let (sql, values) = span.statement(limit);
            let rows: Vec<sql::Text> = sql::all(self.store.inner.db.read(), &sql, values).await?;
            self.rows += rows.len();
            for row in &rows {
                self.offer(&row.text);
            }
            match rows.last() {
                Some(last) if rows.len() == limit && span.begin_behind(&last.text) => {}
                _ => break,
            }
        }
        Ok(())
    }

    fn offer(&mut self, name: &str) {
        let Ok(name) = name.parse::<RepoName>() else {
            return;
        };
        if !self.is_full() && (self.visible)(&name) {
            self.names.push(name);
        }
    }
}

#[cfg(test)]
mod tests;
