//! CREATE TABLE: columns, their types, and constraints, for the schema and for the engine.
//!
//! Defaults and sequences are known to the schema only and are written into each INSERT. Keys, checks and references,
//! which are the engine's to enforce, are in `constraints.rs`.

use std::sync::Arc;

use sqlparser::ast::{ColumnDef, ColumnOption, CreateTable, GeneratedAs};

use super::super::engine::Engine;
use super::super::error::{SqlError, SqlResult};
use super::super::schema::{Column, Table, TableKind, fold, new_oid, qualified};
use super::super::translate::{Output, quote_name, translate};
use super::super::types::{PgType, Scalar, declared};
use super::constraints::Draft;
use super::{Definer, add_sequence, free_name, schema_mut, taken};

pub(super) fn create(
    engine: &mut Engine,
    definer: &Definer<'_>,
    create: &CreateTable,
) -> SqlResult<String> {
    let strange = create.like.is_some()
        || create.clone.is_some()
        || create.inherits.is_some()
        || create.partition_by.is_some()
        || create.partition_of.is_some();
    if strange {
        return Err(SqlError::unsupported("this form of CREATE TABLE"));
    }
    let name = qualified(&create.name)?;
    let namespace = if create.temporary {
        temporary_schema(engine, definer)
    } else {
        engine.schema.target_schema(&name, &definer.names.path)?
    };
    if engine.schema.is_taken(&namespace, &name.name) {
        return if create.if_not_exists {
            Ok("CREATE TABLE".into())
        } else {
            Err(taken(&name.name))
        };
    }
    let table = Table {
        oid: new_oid(),
        schema: namespace,
        name: name.name,
        kind: TableKind::Table,
        columns: Vec::new(),
        constraints: Vec::new(),
        indexes: Vec::new(),
    };
    let mut draft = Draft::of(table);
    if let Some(query) = &create.query {
        return create_as(engine, definer, draft, query, &create.columns);
    }
    for column in &create.columns {
        let built = column_of(engine, &draft.table, column)?;
        if draft
            .table
            .columns
            .iter()
            .any(|known| known.name == built.name)
        {
            return Err(SqlError::new(
                "42701",
                format!("column \"{}\" specified more than once", built.name),
            ));
        }
        draft.table.columns.push(built);
    }
    for column in &create.columns {
        draft.column_constraints(engine, definer, column)?;
    }
    for constraint in &create.constraints {
        draft.table_constraint(engine, definer, constraint)?;
    }
    draft.finish(engine)?;
    Ok("CREATE TABLE".into())
}

fn temporary_schema(engine: &mut Engine, definer: &Definer<'_>) -> String {
    let name = definer.temporary.to_owned();
    if !engine.schema.namespaces.contains_key(&name) {
        schema_mut(engine)
            .namespaces
            .insert(name.clone(), new_oid());
    }
    name
}

fn create_as(
    engine: &mut Engine,
    definer: &Definer<'_>,
    mut draft: Draft,
    query: &sqlparser::ast::Query,
    columns: &[ColumnDef],
) -> SqlResult<String> {
    let statement = sqlparser::ast::Statement::Query(Box::new(query.clone()));
    let translated = translate(&statement, &engine.schema, definer.names, &[])?;
    if translated.reads_catalog {
        super::super::catalog::refresh(engine)?;
    }
    let given: Vec<String> = columns.iter().map(|column| fold(&column.name)).collect();
    let column = |(at, output): (usize, &Output)| Column {
        name: given.get(at).unwrap_or(&output.name).clone(),
        ..plain_column(output.ty, output.modifier)
    };
    draft.table.columns = translated.outputs.iter().enumerate().map(column).collect();
    let target = quote_name(&draft.table.engine_name());
    draft.finish(engine)?;
    engine.execute(&format!("INSERT INTO {target} {}", translated.sql))?;
    let count = engine
        .number(&format!("SELECT count(*) FROM {target}"))?
        .unwrap_or(0);
    Ok(format!("SELECT {count}"))
}

fn plain_column(ty: PgType, modifier: i32) -> Column {
    Column {
        name: String::new(),
        ty,
        modifier,
        not_null: false,
        default: None,
        sequence: None,
        always_generated: false,
        is_row_number: false,
    }
}

/// The column itself: its type, its default and its sequence.
pub(super) fn column_of(
    engine: &mut Engine,
    table: &Table,
    definition: &ColumnDef,
) -> SqlResult<Column> {
    let ty = declared(&definition.data_type)?;
    let mut column = Column {
        name: fold(&definition.name),
        ..plain_column(ty.ty, ty.modifier)
    };
    let mut options = None;
    if ty.is_serial {
        options = Some(&[][..]);
    }
    for option in &definition.options {
        match &option.option {
            ColumnOption::NotNull => column.not_null = true,
            ColumnOption::Default(expr) => column.default = Some(Arc::new(expr.clone())),
            ColumnOption::Generated {
                generated_as: kind @ (GeneratedAs::Always | GeneratedAs::ByDefault),
                sequence_options,
                generation_expr: None,
                ..
            } => {
                column.always_generated = *kind == GeneratedAs::Always;
                options = Some(sequence_options.as_deref().unwrap_or_default());
            }
            ColumnOption::Generated { .. } => {
                return Err(SqlError::unsupported("a generated column"));
            }
            _ => (),
        }
    }
    if let Some(options) = options {
        column.not_null = true;
        let name = free_name(
            &engine.schema,
            &table.schema,
            &format!("{}_{}_seq", table.name, column.name),
        );
        column.sequence = Some(add_sequence(
            engine,
            &table.schema,
            name,
            options,
            Some(table.oid),
        )?);
    }
    Ok(column)
}

/// The column as the engine declares it. Its name for a type decides how values compare; see `value.rs`.
pub(super) fn engine_column(column: &Column) -> String {
    let ty = match column.ty.scalar {
        _ if column.ty.is_array => "TEXT",
        Scalar::Numeric => "TEXT COLLATE pf_numeric",
        Scalar::Bpchar => "TEXT COLLATE RTRIM",
        Scalar::Bytea => "BLOB",
        Scalar::Float4 | Scalar::Float8 => "REAL",
        Scalar::Bool | Scalar::Date | Scalar::Time | Scalar::Timestamp | Scalar::Timestamptz => {
            "INTEGER"
        }
        _ if column.ty.is_integer() => "INTEGER",
        _ => "TEXT",
    };
    let not_null = if column.not_null { " NOT NULL" } else { "" };
    format!("{} {ty}{not_null}", quote_name(&column.name))
}
