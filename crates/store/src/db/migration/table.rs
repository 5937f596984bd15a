//! Tables as migrations describe them, in the words of both databases.

use sea_orm_migration::SchemaManager;
use sea_orm_migration::prelude::{
    ColumnDef, ForeignKey, ForeignKeyAction, Index, Table, TableCreateStatement,
};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};

/// What a column holds, in the words of both databases.
#[derive(Clone, Copy)]
pub(super) enum Is {
    /// Row number, never given twice.
    Key,
    /// 64-bit number: a counter, a size, a moment, a row number of another table.
    Number,
    /// The same, or nothing.
    MaybeNumber,
    /// Truth.
    Bool,
    /// Text.
    Text,
    /// Text that is listed in byte order.
    Sorted,
    /// Text or nothing.
    MaybeText,
    /// Bytes.
    Bytes,
}

/// A table that a migration makes.
pub(super) struct TableOf {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Is)],
    /// Primary key, if it is not a [`Is::Key`] column.
    pub(super) primary: &'static [&'static str],
    /// (column, table that it points to, whether rows go with the one they point to).
    pub(super) foreign: &'static [(&'static str, &'static str, bool)],
}

/// Makes tables, then indexes.
pub(super) async fn create_all(
    manager: &SchemaManager<'_>,
    tables: &[TableOf],
    indexes: &[&str],
) -> Result<(), DbErr> {
    let on = manager.get_connection();
    for table in tables {
        manager
            .create_table(create(table, on.get_database_backend()))
            .await?;
    }
    execute_all(manager, indexes).await
}

/// Carries out statements, one after the other.
pub(super) async fn execute_all(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

/// The statement that makes a table.
fn create(table: &TableOf, backend: DbBackend) -> TableCreateStatement {
    let mut create = Table::create();
    create.table(table.name);
    for &(name, is) in table.columns {
        create.col(column(name, is, backend));
    }
    if !table.primary.is_empty() {
        let mut primary = Index::create();
        for &column in table.primary {
            primary.col(column);
        }
        create.primary_key(&mut primary);
    }
    for &(column, target, cascade) in table.foreign {
        let action = if cascade {
            ForeignKeyAction::Cascade
        } else {
            ForeignKeyAction::Restrict
        };
        create.foreign_key(
            ForeignKey::create()
                .from(table.name, column)
                .to(target, "id")
                .on_delete(action),
        );
    }
    create
}

fn column(name: &'static str, is: Is, backend: DbBackend) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match is {
        Is::Key => column.big_integer().not_null().auto_increment().primary_key(),
        Is::Number => column.big_integer().not_null(),
        Is::MaybeNumber => column.big_integer().null(),
        Is::Bool => column.boolean().not_null(),
        Is::Text | Is::Sorted => column.text().not_null(),
        Is::MaybeText => column.text().null(),
        Is::Bytes => column
            .custom(if backend == DbBackend::Postgres {
                "bytea"
            } else {
                "blob"
            })
            .not_null(),
    };
    // SQLite compares bytes unless told otherwise, PostgreSQL the other way round.
    if matches!(is, Is::Sorted) && backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}
