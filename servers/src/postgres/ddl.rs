//! Definitions: CREATE, DROP, ALTER and TRUNCATE, carried out in the engine and in the schema at once.
//!
//! A definition always runs inside a transaction of the engine, so that a failure half-way leaves nothing. What the
//! engine cannot change about a table that exists is refused. Tables are built in `ddl/tables.rs`, changed in
//! `ddl/alter.rs`.

mod alter;
mod constraints;
mod tables;

use std::sync::Arc;

use sqlparser::ast::{
    CreateIndex, CreateView, Expr, Ident, ObjectName, ObjectType, SchemaName, SequenceOptions,
    Statement, Truncate, TruncateIdentityOption,
};

use super::engine::Engine;
use super::error::{SqlError, SqlResult};
use super::functions::lock;
use super::schema::{
    Column, Index, Schema, Sequence, Table, TableKind, engine_name, fold, new_oid, qualified,
};
use super::translate::{Names, Translator, first_words, quote_name};

/// The session whose definition it is.
pub(crate) struct Definer<'a> {
    pub(crate) names: &'a Names,
    /// The schema of its temporary tables.
    pub(crate) temporary: &'a str,
}

/// Carries out a definition and returns its command tag; the engine is inside of a transaction.
pub(crate) fn define(
    engine: &mut Engine,
    definer: &Definer<'_>,
    statement: &Statement,
) -> SqlResult<String> {
    match statement {
        Statement::CreateTable(create) => tables::create(engine, definer, create),
        Statement::AlterTable(alter) => alter::alter(engine, definer, alter),
        Statement::CreateIndex(create) => create_index(engine, definer, create),
        Statement::CreateView(create) => create_view(engine, definer, create),
        Statement::CreateSchema {
            schema_name,
            if_not_exists,
            ..
        } => create_schema(engine, schema_name, *if_not_exists),
        Statement::CreateSequence {
            name,
            if_not_exists,
            sequence_options,
            temporary: false,
            ..
        } => create_sequence(engine, definer, name, *if_not_exists, sequence_options),
        Statement::Drop {
            object_type,
            if_exists,
            names,
            cascade,
            ..
        } => drop_all(engine, definer, *object_type, names, *if_exists, *cascade),
        Statement::Truncate(truncate) => truncate_tables(engine, definer, truncate),
        other => Err(SqlError::unsupported(first_words(&other.to_string()))),
    }
}

/// The errors of what is not there, which IF EXISTS forgives.
const MISSING: [&str; 3] = ["42P01", "3F000", "42704"];

fn schema_mut(engine: &mut Engine) -> &mut Schema {
    let schema = Arc::make_mut(&mut engine.schema);
    schema.touch();
    schema
}

fn taken(name: &str) -> SqlError {
    SqlError::new("42P07", format!("relation \"{name}\" already exists"))
}

/// Finds a name like the one wanted that nothing else has, as PostgreSQL makes `t_a_idx1` of `t_a_idx`.
fn free_name(schema: &Schema, namespace: &str, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut number = 1;
    while schema.is_taken(namespace, &name) {
        name = format!("{wanted}{number}");
        number += 1;
    }
    name
}

fn create_schema(engine: &mut Engine, name: &SchemaName, if_not_exists: bool) -> SqlResult<String> {
    let name = match name {
        SchemaName::Simple(name) | SchemaName::NamedAuthorization(name, _) => qualified(name)?.name,
        SchemaName::UnnamedAuthorization(user) => fold(user),
    };
    if name.starts_with("pg_") {
        return Err(SqlError::new(
            "42939",
            format!("unacceptable schema name \"{name}\""),
        ));
    }
    match engine.schema.namespaces.contains_key(&name) {
        true if if_not_exists => (),
        true => {
            return Err(SqlError::new(
                "42P06",
                format!("schema \"{name}\" already exists"),
            ));
        }
        false => {
            schema_mut(engine).namespaces.insert(name, new_oid());
        }
    }
    Ok("CREATE SCHEMA".into())
}

fn whole_number(expr: &Expr) -> SqlResult<i64> {
    expr.to_string()
        .parse()
        .map_err(|_| SqlError::new("22023", format!("\"{expr}\" is no whole number")))
}

/// Makes a sequence; its value starts at once, since values are outside of transactions.
fn add_sequence(
    engine: &mut Engine,
    namespace: &str,
    name: String,
    options: &[SequenceOptions],
    owner: Option<u32>,
) -> SqlResult<u32> {
    let (mut start, mut increment) = (None, 1);
    for option in options {
        match option {
            SequenceOptions::StartWith(value, _) => start = Some(whole_number(value)?),
            SequenceOptions::IncrementBy(value, _) => increment = whole_number(value)?,
            SequenceOptions::MinValue(None)
            | SequenceOptions::MaxValue(None)
            | SequenceOptions::Cycle(false)
            | SequenceOptions::Cache(_) => (),
            other => {
                return Err(SqlError::unsupported(format_args!(
                    "the sequence option{other}"
                )));
            }
        }
    }
    let start = start.unwrap_or(if increment < 0 { -1 } else { 1 });
    let oid = new_oid();
    lock(&engine.shared).start_sequence(oid, start, increment);
    let sequence = Sequence {
        oid,
        start,
        increment,
        owner,
    };
    schema_mut(engine)
        .sequences
        .insert((namespace.to_owned(), name), sequence);
    Ok(oid)
}

fn create_sequence(
    engine: &mut Engine,
    definer: &Definer<'_>,
    name: &ObjectName,
    if_not_exists: bool,
    options: &[SequenceOptions],
) -> SqlResult<String> {
    let name = qualified(name)?;
    let namespace = engine.schema.target_schema(&name, &definer.names.path)?;
    match engine.schema.is_taken(&namespace, &name.name) {
        true if if_not_exists => (),
        true => return Err(taken(&name.name)),
        false => {
            add_sequence(engine, &namespace, name.name, options, None)?;
        }
    }
    Ok("CREATE SEQUENCE".into())
}

fn create_view(
    engine: &mut Engine,
    definer: &Definer<'_>,
    create: &CreateView,
) -> SqlResult<String> {
    if create.materialized || create.temporary {
        return Err(SqlError::unsupported("a materialized or temporary view"));
    }
    let name = qualified(&create.name)?;
    let namespace = engine.schema.target_schema(&name, &definer.names.path)?;
    let existing = engine
        .schema
        .tables
        .get(&(namespace.clone(), name.name.clone()))
        .cloned();
    match &existing {
        Some(_) if create.if_not_exists => return Ok("CREATE VIEW".into()),
        Some(view) if create.or_replace && view.kind == TableKind::View => {
            engine.execute(&format!("DROP VIEW {}", quote_name(&view.engine_name())))?;
        }
        Some(_) => return Err(taken(&name.name)),
        None if engine.schema.is_taken(&namespace, &name.name) => return Err(taken(&name.name)),
        None => (),
    }
    let (sql, outputs) = Translator::view(&create.query, &engine.schema, definer.names)?;
    let given: Vec<String> = create
        .columns
        .iter()
        .map(|column| fold(&column.name))
        .collect();
    let named = |(at, output): (usize, super::translate::Output)| Column {
        name: given.get(at).cloned().unwrap_or(output.name),
        ty: output.ty,
        modifier: output.modifier,
        not_null: false,
        default: None,
        sequence: None,
        always_generated: false,
        is_row_number: false,
    };
    let columns: Vec<Column> = outputs.into_iter().enumerate().map(named).collect();
    let quoted: Vec<String> = columns
        .iter()
        .map(|column| quote_name(&column.name))
        .collect();
    let engine_view = engine_name(&namespace, &name.name);
    engine.execute(&format!(
        "CREATE VIEW {}({}) AS {sql}",
        quote_name(&engine_view),
        quoted.join(",")
    ))?;
    let oid = existing.map_or_else(new_oid, |view| view.oid);
    let view = Table {
        oid,
        schema: namespace,
        name: name.name,
        kind: TableKind::View,
        columns,
        constraints: Vec::new(),
        indexes: Vec::new(),
    };
    schema_mut(engine).put_table(view);
    Ok("CREATE VIEW".into())
}

/// The table a definition is about.
fn own_table(engine: &Engine, definer: &Definer<'_>, name: &ObjectName) -> SqlResult<Table> {
    let table = engine
        .schema
        .table(&qualified(name)?, &definer.names.path)?;
    match table.kind {
        TableKind::Table => Ok(Table::clone(table)),
        _ => Err(SqlError::new(
            "42809",
            format!("\"{}\" is not a table", table.name),
        )),
    }
}

fn create_index(
    engine: &mut Engine,
    definer: &Definer<'_>,
    create: &CreateIndex,
) -> SqlResult<String> {
    let mut table = own_table(engine, definer, &create.table_name)?;
    let mut columns = Vec::with_capacity(create.columns.len());
    let mut parts = Vec::with_capacity(create.columns.len());
    for part in &create.columns {
        let sql = Translator::condition(&table, &engine.schema, definer.names, &part.column.expr)?;
        let name = match &part.column.expr {
            Expr::Identifier(ident) => fold(ident),
            _ => "expr".into(),
        };
        parts.push(sql);
        columns.push(name);
    }
    let wanted = match &create.name {
        Some(name) => qualified(name)?.name,
        None => free_name(
            &engine.schema,
            &table.schema,
            &format!("{}_{}_idx", table.name, columns.join("_")),
        ),
    };
    if engine.schema.is_taken(&table.schema, &wanted) {
        return if create.if_not_exists {
            Ok("CREATE INDEX".into())
        } else {
            Err(taken(&wanted))
        };
    }
    let unique = if create.unique { "UNIQUE " } else { "" };
    let condition = match &create.predicate {
        Some(condition) => format!(
            " WHERE {}",
            Translator::condition(&table, &engine.schema, definer.names, condition)?
        ),
        None => String::new(),
    };
    let (engine_index, engine_table) = (engine_name(&table.schema, &wanted), table.engine_name());
    let (quoted_index, quoted_table) = (quote_name(&engine_index), quote_name(&engine_table));
    engine.execute(&format!(
        "CREATE {unique}INDEX {quoted_index} ON {quoted_table} ({}){condition}",
        parts.join(",")
    ))?;
    let definition = format!(
        "CREATE {unique}INDEX {wanted} ON {}.{} USING btree ({})",
        table.schema,
        table.name,
        columns.join(", ")
    );
    table.indexes.push(Index {
        oid: new_oid(),
        name: wanted,
        unique: create.unique,
        primary: false,
        definition,
        columns,
    });
    schema_mut(engine).put_table(table);
    Ok("CREATE INDEX".into())
}

fn truncate_tables(
    engine: &mut Engine,
    definer: &Definer<'_>,
    truncate: &Truncate,
) -> SqlResult<String> {
    let tables: SqlResult<Vec<Table>> = truncate
        .table_names
        .iter()
        .map(|target| own_table(engine, definer, &target.name))
        .collect();
    // Rows that refer to others go first.
    for table in in_order_of_reference(tables?) {
        engine.execute(&format!("DELETE FROM {}", quote_name(&table.engine_name())))?;
        if truncate.identity == Some(TruncateIdentityOption::Restart) {
            let owned = engine
                .schema
                .sequences
                .values()
                .filter(|sequence| sequence.owner == Some(table.oid));
            owned.for_each(|sequence| {
                lock(&engine.shared).start_sequence(
                    sequence.oid,
                    sequence.start,
                    sequence.increment,
                )
            });
        }
    }
    Ok("TRUNCATE TABLE".into())
}

/// Tables so that each comes before those it refers to; a circle stays as it is.
fn in_order_of_reference(mut tables: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let is_free = |candidate: &Table| {
            !tables
                .iter()
                .any(|other| other.oid != candidate.oid && refers(other, candidate.oid))
        };
        let at = tables.iter().position(is_free).unwrap_or(0);
        ordered.push(tables.remove(at));
    }
    ordered
}

fn refers(table: &Table, to: u32) -> bool {
    table
        .constraints
        .iter()
        .any(|constraint| constraint.refers_to == Some(to))
}

fn drop_all(
    engine: &mut Engine,
    definer: &Definer<'_>,
    object: ObjectType,
    names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> SqlResult<String> {
    match object {
        ObjectType::Table => {
            let mut tables = Vec::with_capacity(names.len());
            for name in names {
                match own_table(engine, definer, name) {
                    Err(error) if if_exists && error.state() == "42P01" => (),
                    found => tables.push(found?),
                }
            }
            drop_tables(engine, tables)?;
        }
        _ => {
            for name in names {
                match drop_one(engine, definer, object, name, cascade) {
                    Err(error) if if_exists && MISSING.contains(&error.state()) => {}
                    other => other?,
                }
            }
        }
    }
    Ok(format!("DROP {object}"))
}

/// Drops tables together with their sequences; one that a table outside of the list refers to stays.
pub(crate) fn drop_tables(engine: &mut Engine, tables: Vec<Table>) -> SqlResult<()> {
    let dropped: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    for table in in_order_of_reference(tables) {
        let referring = engine
            .schema
            .tables
            .values()
            .find(|other| !dropped.contains(&other.oid) && refers(other, table.oid));
        if let Some(other) = referring {
            let message = format!(
                "cannot drop table {} because table {} depends on it",
                table.name, other.name
            );
            return Err(SqlError::new("2BP01", message));
        }
        engine.execute(&format!("DROP TABLE {}", quote_name(&table.engine_name())))?;
        let schema = schema_mut(engine);
        schema
            .tables
            .remove(&(table.schema.clone(), table.name.clone()));
        schema
            .sequences
            .retain(|_, sequence| sequence.owner != Some(table.oid));
    }
    Ok(())
}

fn drop_one(
    engine: &mut Engine,
    definer: &Definer<'_>,
    object: ObjectType,
    name: &ObjectName,
    cascade: bool,
) -> SqlResult<()> {
    let name = qualified(name)?;
    let path = &definer.names.path;
    match object {
        ObjectType::View => {
            let view = engine.schema.table(&name, path)?.clone();
            if view.kind != TableKind::View {
                return Err(SqlError::new(
                    "42809",
                    format!("\"{}\" is not a view", name.name),
                ));
            }
            engine.execute(&format!("DROP VIEW {}", quote_name(&view.engine_name())))?;
            schema_mut(engine)
                .tables
                .remove(&(view.schema.clone(), view.name.clone()));
            Ok(())
        }
        ObjectType::Sequence => {
            let oid = engine.schema.sequence(&name, path)?.oid;
            let in_use = engine.schema.tables.values().any(|table| {
                table
                    .columns
                    .iter()
                    .any(|column| column.sequence == Some(oid))
            });
            if in_use {
                return Err(SqlError::new(
                    "2BP01",
                    format!("cannot drop sequence {name} because a column depends on it"),
                ));
            }
            schema_mut(engine)
                .sequences
                .retain(|_, sequence| sequence.oid != oid);
            Ok(())
        }
        ObjectType::Index => drop_index(engine, definer, &name.name),
        ObjectType::Schema => drop_schema(engine, &name.name, cascade),
        other => Err(SqlError::unsupported(format_args!("DROP {other}"))),
    }
}

fn drop_index(engine: &mut Engine, definer: &Definer<'_>, name: &str) -> SqlResult<()> {
    let holds = |table: &&Arc<Table>| {
        definer.names.path.contains(&table.schema)
            && table.indexes.iter().any(|index| index.name == name)
    };
    let found = engine.schema.tables.values().find(holds);
    let mut table = found
        .map(|table| Table::clone(table))
        .ok_or_else(|| SqlError::new("42704", format!("index \"{name}\" does not exist")))?;
    if table
        .constraints
        .iter()
        .any(|constraint| constraint.name == name)
    {
        return Err(SqlError::new(
            "2BP01",
            format!("cannot drop index {name} because a constraint requires it"),
        ));
    }
    engine.execute(&format!(
        "DROP INDEX {}",
        quote_name(&engine_name(&table.schema, name))
    ))?;
    table.indexes.retain(|index| index.name != name);
    schema_mut(engine).put_table(table);
    Ok(())
}

/// Drops a schema; with `cascade` also all that is in it.
pub(crate) fn drop_schema(engine: &mut Engine, name: &str, cascade: bool) -> SqlResult<()> {
    if !engine.schema.namespaces.contains_key(name) {
        return Err(SqlError::new(
            "3F000",
            format!("schema \"{name}\" does not exist"),
        ));
    }
    let inside: Vec<Table> = engine
        .schema
        .tables
        .values()
        .filter(|table| table.schema == name)
        .map(|table| Table::clone(table))
        .collect();
    let has_sequences = engine
        .schema
        .sequences
        .keys()
        .any(|(schema, _)| schema == name);
    if inside.iter().any(|table| table.kind == TableKind::Catalog) {
        return Err(SqlError::new(
            "2BP01",
            format!("cannot drop schema {name} because the system requires it"),
        ));
    }
    if !cascade && (!inside.is_empty() || has_sequences) {
        return Err(SqlError::new(
            "2BP01",
            format!("cannot drop schema {name} because other objects depend on it"),
        ));
    }
    let (views, tables): (Vec<Table>, Vec<Table>) = inside
        .into_iter()
        .partition(|table| table.kind == TableKind::View);
    for view in views {
        engine.execute(&format!("DROP VIEW {}", quote_name(&view.engine_name())))?;
        schema_mut(engine).tables.remove(&(view.schema, view.name));
    }
    drop_tables(engine, tables)?;
    let schema = schema_mut(engine);
    schema
        .sequences
        .retain(|(namespace, _), _| namespace != name);
    schema.namespaces.remove(name);
    Ok(())
}

fn folded(names: &[Ident]) -> Vec<String> {
    names.iter().map(fold).collect()
}
