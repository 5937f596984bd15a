//! Three ways to run a statement: for its effect, for one row, for many.

use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use crate::StoreError;

/// Runs a statement and answers how many rows it changed.
pub(crate) async fn execute<const N: usize>(
    on: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<u64, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    Ok(on.execute_raw(statement).await?.rows_affected())
}

/// The first row, if there is one.
pub(crate) async fn first<T: FromQueryResult, const N: usize>(
    on: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<Option<T>, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    match on.query_one_raw(statement).await? {
        Some(row) => Ok(Some(T::from_query_result(&row, "")?)),
        None => Ok(None),
    }
}

/// All rows. The statement says how many there can be at most.
pub(crate) async fn all<T: FromQueryResult>(
    on: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    let rows = on.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| T::from_query_result(row, "").map_err(StoreError::from))
        .collect()
}

/// Runs a statement with as many values as there are, for lists.
pub(crate) async fn execute_list(
    on: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    Ok(on.execute_raw(statement).await?.rows_affected())
}

/// `$2, $3, $4` for `first` = 2 and `count` = 3.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    let numbered: Vec<String> = (first..first + count)
        .map(|number| format!("${number}"))
        .collect();
    numbered.join(", ")
}

/// `($1, $2), ($3, $4)` for `rows` = 2 and `columns` = 2.
pub(crate) fn tuples(rows: usize, columns: usize) -> String {
    let tuple = |row: usize| format!("({})", placeholders(row * columns + 1, columns));
    (0..rows).map(tuple).collect::<Vec<_>>().join(", ")
}

/// Conditions that all must hold, put together as they are asked for.
pub(crate) struct Filter {
    text: String,
    values: Vec<Value>,
}

impl Filter {
    /// Begins with `condition` (such as `seq >`) of `value`.
    pub(crate) fn new(condition: &str, value: impl Into<Value>) -> Self {
        Self {
            text: format!("{condition} $1"),
            values: vec![value.into()],
        }
    }

    /// Adds a condition, if there is a value for it.
    #[must_use]
    pub(crate) fn and(mut self, condition: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.values.push(value.into());
            self.text = format!("{} AND {condition} ${}", self.text, self.values.len());
        }
        self
    }

    /// The rows of `select` for which all holds, in order, at most `limit`.
    pub(crate) async fn rows<T: FromQueryResult>(
        mut self,
        on: &impl ConnectionTrait,
        select: &str,
        order: &str,
        limit: u64,
    ) -> Result<Vec<T>, StoreError> {
        self.values.push(to_db(limit).into());
        let sql = format!(
            "{select} WHERE {} ORDER BY {order} LIMIT ${}",
            self.text,
            self.values.len()
        );
        all(on, &sql, self.values).await
    }
}

/// Rows per statement where a list of any length is written or looked up: far below the 32,766 variables of `SQLite`.
pub(crate) const CHUNK: usize = 500;

/// One number, such as a row id.
#[derive(Debug, Clone, Copy, FromQueryResult)]
pub(crate) struct Id {
    pub(crate) id: i64,
}

/// One number that is a sum or a counter.
#[derive(Debug, Clone, Copy, FromQueryResult)]
pub(crate) struct Number {
    pub(crate) number: i64,
}

/// One text.
#[derive(Debug, Clone, FromQueryResult)]
pub(crate) struct Text {
    pub(crate) text: String,
}

/// A size or counter as the database keeps it. Nothing that is counted comes near the cap.
pub(crate) fn to_db(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A size or counter as the database gave it; a negative one cannot be and counts as none.
pub(crate) fn from_db(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_placeholders_from_one() {
        assert_eq!(placeholders(2, 3), "$2, $3, $4");
        assert_eq!(tuples(2, 2), "($1, $2), ($3, $4)");
        assert_eq!(placeholders(1, 0), "");
    }
}
