//! ALTER TABLE: what the engine can change about a table that has rows.
//!
//! Columns can be added, dropped and renamed, keys added over columns that are NOT NULL already, defaults set and
//! dropped. All else would mean to build the table anew behind the back of those that refer to it, and is refused.

use std::sync::Arc;

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, Ident,
    RenameTableNameKind, TableConstraint,
};

use super::super::engine::Engine;
use super::super::error::{SqlError, SqlResult, null_in_column};
use super::super::schema::{ConstraintKind, Table, engine_name, fold, qualified};
use super::super::translate::{Translator, quote_name};
use super::constraints::Draft;
use super::tables::{column_of, engine_column};
use super::{Definer, own_table, schema_mut, taken};

pub(super) fn alter(
    engine: &mut Engine,
    definer: &Definer<'_>,
    alter: &AlterTable,
) -> SqlResult<String> {
    if alter.if_exists
        && engine
            .schema
            .find_table(&qualified(&alter.name)?, &definer.names.path)
            .is_none()
    {
        return Ok("ALTER TABLE".into());
    }
    let mut name = own_table(engine, definer, &alter.name)?.name;
    let namespace = own_table(engine, definer, &alter.name)?.schema;
    for operation in &alter.operations {
        let table = engine.schema.tables.get(&(namespace.clone(), name.clone()));
        let table = table
            .map(|table| Table::clone(table))
            .ok_or_else(|| SqlError::new("42P01", "the table is gone"))?;
        name = apply(engine, definer, table, operation)?;
    }
    Ok("ALTER TABLE".into())
}

/// Carries out one change and returns the table's name after it.
fn apply(
    engine: &mut Engine,
    definer: &Definer<'_>,
    mut table: Table,
    operation: &AlterTableOperation,
) -> SqlResult<String> {
    let name = table.name.clone();
    match operation {
        AlterTableOperation::AddColumn {
            column_def,
            if_not_exists,
            ..
        } => add_column(engine, definer, table, column_def, *if_not_exists)?,
        AlterTableOperation::DropColumn {
            column_names,
            if_exists,
            ..
        } => {
            for column in column_names {
                table = drop_column(engine, table, column, *if_exists)?;
            }
            schema_mut(engine).put_table(table);
        }
        AlterTableOperation::RenameColumn {
            old_column_name,
            new_column_name,
        } => {
            rename_column(
                engine,
                table,
                &fold(old_column_name),
                &fold(new_column_name),
            )?;
        }
        AlterTableOperation::RenameTable {
            table_name: RenameTableNameKind::To(new) | RenameTableNameKind::As(new),
        } => {
            return rename_table(engine, table, qualified(new)?.name);
        }
        AlterTableOperation::AddConstraint { constraint, .. } => {
            add_constraint(engine, definer, table, constraint)?
        }
        AlterTableOperation::AlterColumn { column_name, op } => {
            let (at, _) = table.column(&fold(column_name))?;
            match op {
                AlterColumnOperation::SetDefault { value } => {
                    table.columns[at].default = Some(Arc::new(value.clone()))
                }
                AlterColumnOperation::DropDefault => table.columns[at].default = None,
                other => return Err(SqlError::unsupported(format_args!("ALTER COLUMN {other}"))),
            }
            schema_mut(engine).put_table(table);
        }
        // Whoever connects owns everything.
        AlterTableOperation::OwnerTo { .. } => (),
        other => return Err(SqlError::unsupported(format_args!("ALTER TABLE {other}"))),
    }
    Ok(name)
}

fn add_column(
    engine: &mut Engine,
    definer: &Definer<'_>,
    table: Table,
    definition: &ColumnDef,
    if_not_exists: bool,
) -> SqlResult<()> {
    let name = fold(&definition.name);
    if table.column(&name).is_ok() {
        return if if_not_exists {
            Ok(())
        } else {
            Err(SqlError::new(
                "42701",
                format!(
                    "column \"{name}\" of relation \"{}\" already exists",
                    table.name
                ),
            ))
        };
    }
    if let Some(option) = definition.options.iter().find(|option| {
        matches!(
            option.option,
            ColumnOption::PrimaryKey(_) | ColumnOption::ForeignKey(_)
        )
    }) {
        return Err(SqlError::unsupported(format_args!(
            "ADD COLUMN with {}",
            option.option
        )));
    }
    let column = column_of(engine, &table, definition)?;
    let quoted_table = quote_name(&table.engine_name());
    let mut sql = engine_column(&column);
    if column.not_null {
        // The engine wants a value for the rows there are; the right one is written below.
        sql = format!("{sql} DEFAULT 0");
    }
    let has_rows =
        engine.number(&format!("SELECT EXISTS (SELECT 1 FROM {quoted_table})"))? == Some(1);
    if column.not_null && has_rows && column.default.is_none() && column.sequence.is_none() {
        return Err(null_in_column(&table, &name));
    }
    let mut draft = Draft::of(table);
    draft.table.columns.push(column.clone());
    let checks = draft.added_checks(engine, definer, definition)?;
    if column.not_null && !checks.is_empty() {
        return Err(SqlError::unsupported("ADD COLUMN with NOT NULL and CHECK"));
    }
    let table = draft.table;
    engine.execute(&format!(
        "ALTER TABLE {quoted_table} ADD COLUMN {sql} {checks}"
    ))?;
    let value = match (&column.default, column.sequence) {
        (_, Some(sequence)) => Some(format!("pf_nextval({sequence})")),
        (Some(default), None) => Some(Translator::default_value(
            &table,
            &column,
            &engine.schema,
            definer.names,
            default,
        )?),
        (None, None) => None,
    };
    if let Some(value) = value {
        engine.execute(&format!(
            "UPDATE {quoted_table} SET {} = {value}",
            quote_name(&name)
        ))?;
    }
    let unique = definition
        .options
        .iter()
        .find(|option| matches!(option.option, ColumnOption::Unique(_)));
    schema_mut(engine).put_table(table.clone());
    match unique {
        Some(option) => add_unique(engine, table, option.name.as_ref(), vec![name]),
        None => Ok(()),
    }
}

fn drop_column(
    engine: &Engine,
    mut table: Table,
    column: &Ident,
    if_exists: bool,
) -> SqlResult<Table> {
    let name = fold(column);
    let at = match table.column(&name) {
        Ok((at, _)) => at,
        Err(_) if if_exists => return Ok(table),
        Err(error) => return Err(error),
    };
    if table
        .constraints
        .iter()
        .any(|constraint| constraint.columns.contains(&name))
    {
        return Err(SqlError::unsupported(
            "dropping a column that has a constraint",
        ));
    }
    for index in table
        .indexes
        .iter()
        .filter(|index| index.columns.contains(&name))
    {
        engine.execute(&format!(
            "DROP INDEX {}",
            quote_name(&engine_name(&table.schema, &index.name))
        ))?;
    }
    table.indexes.retain(|index| !index.columns.contains(&name));
    engine.execute(&format!(
        "ALTER TABLE {} DROP COLUMN {}",
        quote_name(&table.engine_name()),
        quote_name(&name)
    ))?;
    table.columns.remove(at);
    Ok(table)
}

fn rename_column(engine: &mut Engine, mut table: Table, old: &str, new: &str) -> SqlResult<()> {
    let (at, _) = table.column(old)?;
    if table.column(new).is_ok() {
        return Err(SqlError::new(
            "42701",
            format!(
                "column \"{new}\" of relation \"{}\" already exists",
                table.name
            ),
        ));
    }
    engine.execute(&format!(
        "ALTER TABLE {} RENAME COLUMN {} TO {}",
        quote_name(&table.engine_name()),
        quote_name(old),
        quote_name(new)
    ))?;
    new.clone_into(&mut table.columns[at].name);
    let in_constraints = table
        .constraints
        .iter_mut()
        .map(|constraint| &mut constraint.columns);
    let in_indexes = table.indexes.iter_mut().map(|index| &mut index.columns);
    for column in in_constraints
        .chain(in_indexes)
        .flatten()
        .filter(|column| *column == old)
    {
        new.clone_into(column);
    }
    schema_mut(engine).put_table(table);
    Ok(())
}

fn rename_table(engine: &mut Engine, mut table: Table, new: String) -> SqlResult<String> {
    if engine.schema.is_taken(&table.schema, &new) {
        return Err(taken(&new));
    }
    let (from, to) = (table.engine_name(), engine_name(&table.schema, &new));
    engine.execute(&format!(
        "ALTER TABLE {} RENAME TO {}",
        quote_name(&from),
        quote_name(&to)
    ))?;
    let schema = schema_mut(engine);
    schema.tables.remove(&(
        table.schema.clone(),
        std::mem::replace(&mut table.name, new.clone()),
    ));
    schema.put_table(table);
    Ok(new)
}

fn add_constraint(
    engine: &mut Engine,
    definer: &Definer<'_>,
    table: Table,
    constraint: &TableConstraint,
) -> SqlResult<()> {
    let mut draft = Draft::of(table.clone());
    draft.table_constraint(engine, definer, constraint)?;
    let added = draft.table.constraints.last().cloned();
    let Some(added) = added
        .filter(|added| matches!(added.kind, ConstraintKind::Primary | ConstraintKind::Unique))
    else {
        return Err(SqlError::unsupported(
            "adding a constraint other than a key to a table",
        ));
    };
    let is_primary = added.kind == ConstraintKind::Primary;
    let nullable = added
        .columns
        .iter()
        .find(|name| table.column(name).is_ok_and(|(_, column)| !column.not_null));
    if let (true, Some(column)) = (is_primary, nullable) {
        return Err(SqlError::unsupported(format_args!(
            "a primary key over column \"{column}\", which is not NOT NULL,"
        )));
    }
    create_key_index(engine, &draft.table, &added.name, &added.columns)?;
    schema_mut(engine).put_table(draft.table);
    Ok(())
}

fn create_key_index(
    engine: &Engine,
    table: &Table,
    name: &str,
    columns: &[String],
) -> SqlResult<()> {
    let columns: Vec<String> = columns.iter().map(|column| quote_name(column)).collect();
    let index = quote_name(&engine_name(&table.schema, name));
    engine.execute(&format!(
        "CREATE UNIQUE INDEX {index} ON {} ({})",
        quote_name(&table.engine_name()),
        columns.join(",")
    ))
}

fn add_unique(
    engine: &mut Engine,
    table: Table,
    name: Option<&Ident>,
    columns: Vec<String>,
) -> SqlResult<()> {
    let mut draft = Draft::of(table);
    draft.unique(name, columns);
    if let Some(added) = draft.table.constraints.last() {
        create_key_index(engine, &draft.table, &added.name, &added.columns)?;
    }
    schema_mut(engine).put_table(draft.table);
    Ok(())
}
