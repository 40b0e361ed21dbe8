//! Rows of the system's tables, made of the definitions there are.

use std::collections::HashMap;

use super::super::engine::Engine;
use super::super::functions::lock;
use super::super::schema::{
    Column, Constraint, ConstraintKind, Index, PUBLIC, Schema, Table, TableKind,
};
use super::super::types::{PgType, Scalar, format_type};
use super::Row;

/// The user who owns everything.
const OWNER: i64 = 10;
/// The oids of the two access methods.
const HEAP: i64 = 2;
const BTREE: i64 = 403;

/// All rows of all tables.
pub(super) fn all(schema: &Schema, engine: &Engine) -> Vec<Row> {
    let mut rows = fixed();
    rows.extend(PgType::all().map(type_row));
    rows.extend(
        schema
            .namespaces
            .iter()
            .flat_map(|(name, oid)| namespace_rows(name, *oid)),
    );
    for table in schema.tables.values() {
        rows.push(class_row(table, schema));
        rows.extend(
            table
                .columns
                .iter()
                .zip(1..)
                .flat_map(|(column, number)| column_rows(table, column, number, schema)),
        );
        if table.kind == TableKind::Catalog {
            continue;
        }
        rows.extend(listing_rows(table));
        rows.extend(
            table
                .indexes
                .iter()
                .flat_map(|index| index_rows(table, index, schema)),
        );
        rows.extend(
            table
                .constraints
                .iter()
                .flat_map(|constraint| constraint_rows(table, constraint, schema)),
        );
    }
    rows.extend(sequence_rows(schema));
    let settings = lock(&engine.shared).settings.clone();
    let settings = lock(&settings).all();
    rows.extend(settings.into_iter().map(|(name, setting)| {
        Row::of("pg_settings")
            .text("name", name)
            .text("setting", setting)
            .text("context", "user")
            .text("vartype", "string")
    }));
    rows
}

fn fixed() -> Vec<Row> {
    let database = |oid: i64, name: &str| {
        Row::of("pg_database")
            .number("oid", oid)
            .text("datname", name)
            .number("datdba", OWNER)
            .number("encoding", 6)
            .text("datlocprovider", "c")
            .flag("datallowconn", true)
            .number("datconnlimit", -1)
            .text("datcollate", "C")
            .text("datctype", "C")
    };
    let role = Row::of("pg_roles")
        .number("oid", OWNER)
        .text("rolname", "postgres")
        .flag("rolsuper", true)
        .flag("rolinherit", true)
        .flag("rolcreatedb", true)
        .flag("rolcreaterole", true)
        .flag("rolcanlogin", true)
        .number("rolconnlimit", -1);
    let user = Row::of("pg_user")
        .text("usename", "postgres")
        .number("usesysid", OWNER)
        .flag("usesuper", true)
        .flag("usecreatedb", true);
    let method = |oid: i64, name: &str, kind: &str| {
        Row::of("pg_am")
            .number("oid", oid)
            .text("amname", name)
            .text("amtype", kind)
    };
    let collation = |oid: i64, name: &str| {
        Row::of("pg_collation")
            .number("oid", oid)
            .text("collname", name)
            .number("collnamespace", 11)
            .number("collencoding", -1)
    };
    vec![
        database(5, "postgres"),
        role,
        user,
        method(HEAP, "heap", "t"),
        method(BTREE, "btree", "i"),
        collation(100, "default"),
        collation(950, "C"),
        Row::of("pg_tablespace")
            .number("oid", 1663)
            .text("spcname", "pg_default")
            .number("spcowner", OWNER),
    ]
}

fn category(ty: PgType) -> &'static str {
    match ty.scalar {
        _ if ty.is_array => "A",
        Scalar::Bool => "B",
        Scalar::Date | Scalar::Time | Scalar::Timestamp | Scalar::Timestamptz => "D",
        Scalar::Interval => "T",
        Scalar::Void => "P",
        Scalar::Unknown => "X",
        _ if ty.is_number() => "N",
        _ if ty.is_text() => "S",
        _ => "U",
    }
}

fn type_row(ty: PgType) -> Row {
    let element = if ty.is_array {
        PgType::from(ty.scalar).oid()
    } else {
        0
    };
    Row::of("pg_type")
        .number("oid", ty.oid())
        .text("typname", ty.name())
        .number("typnamespace", 11)
        .number("typowner", OWNER)
        .number("typlen", ty.width())
        .flag("typbyval", (1..=8).contains(&ty.width()))
        .text(
            "typtype",
            if matches!(ty.scalar, Scalar::Void | Scalar::Unknown) {
                "p"
            } else {
                "b"
            },
        )
        .text("typcategory", category(ty))
        .flag("typisdefined", true)
        .text("typdelim", ",")
        .number("typelem", element)
        .number("typarray", ty.array_oid())
        .text(
            "typinput",
            if ty.is_array {
                "array_in".into()
            } else {
                format!("{}in", ty.name())
            },
        )
        .text(
            "typreceive",
            if ty.is_array {
                "array_recv".into()
            } else {
                format!("{}recv", ty.name())
            },
        )
        .number("typtypmod", -1)
        .number("typcollation", if ty.is_text() { 100 } else { 0 })
}

fn namespace_rows(name: &str, oid: u32) -> Vec<Row> {
    vec![
        Row::of("pg_namespace")
            .number("oid", oid)
            .text("nspname", name)
            .number("nspowner", OWNER),
        Row::of("schemata")
            .text("schema_name", name)
            .text("schema_owner", "postgres"),
    ]
}

fn namespace_of(schema: &Schema, name: &str) -> u32 {
    schema.namespaces.get(name).copied().unwrap_or(0)
}

/// A row of `pg_class` with what every relation has.
fn relation(oid: u32, name: &str, namespace: u32, kind: &str) -> Row {
    Row::of("pg_class")
        .number("oid", oid)
        .text("relname", name)
        .number("relnamespace", namespace)
        .number("relowner", OWNER)
        .number("relfilenode", oid)
        .text("relpersistence", "p")
        .text("relkind", kind)
        .text("relreplident", "d")
        .flag("relispopulated", true)
}

fn class_row(table: &Table, schema: &Schema) -> Row {
    let kind = if table.kind == TableKind::View {
        "v"
    } else {
        "r"
    };
    let checks = table
        .constraints
        .iter()
        .filter(|constraint| constraint.kind == ConstraintKind::Check)
        .count();
    relation(
        table.oid,
        &table.name,
        namespace_of(schema, &table.schema),
        kind,
    )
    .number("relam", if kind == "r" { HEAP } else { 0 })
    .number("relnatts", table.columns.len() as i64)
    .number("relchecks", checks as i64)
    .number("reltuples", -1)
    .flag("relhasindex", !table.indexes.is_empty())
}

/// The default as PostgreSQL would show it.
fn default_text(column: &Column, schema: &Schema) -> Option<String> {
    let sequence = column.sequence.and_then(|oid| {
        schema
            .sequences
            .iter()
            .find(|(_, sequence)| sequence.oid == oid)
    });
    match sequence {
        Some(((namespace, name), _)) if namespace == PUBLIC => {
            Some(format!("nextval('{name}'::regclass)"))
        }
        Some(((namespace, name), _)) => Some(format!("nextval('{namespace}.{name}'::regclass)")),
        None => column.default.as_ref().map(|default| default.to_string()),
    }
}

fn column_rows(table: &Table, column: &Column, number: i64, schema: &Schema) -> Vec<Row> {
    let default = default_text(column, schema);
    let attribute = Row::of("pg_attribute")
        .number("attrelid", table.oid)
        .text("attname", &column.name)
        .number("atttypid", column.ty.oid())
        .number("attlen", column.ty.width())
        .number("attnum", number)
        .number("atttypmod", column.modifier)
        .number("attndims", i64::from(column.ty.is_array))
        .flag("attnotnull", column.not_null)
        .flag("atthasdef", default.is_some())
        .flag("attislocal", true)
        .number("attcollation", if column.ty.is_text() { 100 } else { 0 });
    let mut rows = vec![attribute];
    if table.kind == TableKind::Catalog {
        return rows;
    }
    let mut listed = Row::of("columns")
        .text("table_schema", &table.schema)
        .text("table_name", &table.name)
        .text("column_name", &column.name)
        .number("ordinal_position", number)
        .text("is_nullable", if column.not_null { "NO" } else { "YES" })
        .text(
            "data_type",
            if column.ty.is_array {
                "ARRAY".into()
            } else {
                format_type(column.ty, -1)
            },
        )
        .text("udt_schema", "pg_catalog")
        .text("udt_name", column.ty.name())
        .text(
            "is_identity",
            if column.always_generated { "YES" } else { "NO" },
        )
        .text("is_generated", "NEVER");
    listed
        .values
        .insert("character_maximum_length", rusqlite::types::Value::Null);
    if column.modifier >= 4 && column.ty.is_text() {
        listed = listed.number("character_maximum_length", column.modifier - 4);
    }
    if let Some(default) = default {
        let key = (i64::from(table.oid) << 8) + number;
        rows.push(
            Row::of("pg_attrdef")
                .number("oid", key)
                .number("adrelid", table.oid)
                .number("adnum", number)
                .text("adbin", &default),
        );
        listed = listed.text("column_default", default);
    }
    rows.push(listed);
    rows
}

fn listing_rows(table: &Table) -> Vec<Row> {
    let is_view = table.kind == TableKind::View;
    let information = Row::of("tables")
        .text("table_schema", &table.schema)
        .text("table_name", &table.name)
        .text("table_type", if is_view { "VIEW" } else { "BASE TABLE" })
        .text("is_insertable_into", if is_view { "NO" } else { "YES" });
    let listed = match is_view {
        true => Row::of("pg_views")
            .text("schemaname", &table.schema)
            .text("viewname", &table.name)
            .text("viewowner", "postgres"),
        false => Row::of("pg_tables")
            .text("schemaname", &table.schema)
            .text("tablename", &table.name)
            .text("tableowner", "postgres")
            .flag("hasindexes", !table.indexes.is_empty()),
    };
    vec![information, listed]
}

/// Positions of columns, as an array is stored.
fn positions(table: &Table, columns: &[String]) -> String {
    let numbers: Vec<i64> = columns
        .iter()
        .map(|name| table.column(name).map_or(0, |(at, _)| at as i64 + 1))
        .collect();
    serde_json::Value::from(numbers).to_string()
}

fn index_rows(table: &Table, index: &Index, schema: &Schema) -> Vec<Row> {
    vec![
        relation(
            index.oid,
            &index.name,
            namespace_of(schema, &table.schema),
            "i",
        )
        .number("relam", BTREE)
        .number("relnatts", index.columns.len() as i64),
        Row::of("pg_index")
            .number("indexrelid", index.oid)
            .number("indrelid", table.oid)
            .number("indnatts", index.columns.len() as i64)
            .number("indnkeyatts", index.columns.len() as i64)
            .flag("indisunique", index.unique)
            .flag("indisprimary", index.primary)
            .flag("indimmediate", true)
            .flag("indisvalid", true)
            .flag("indisready", true)
            .flag("indislive", true)
            .text("indkey", positions(table, &index.columns)),
        Row::of("pg_indexes")
            .text("schemaname", &table.schema)
            .text("tablename", &table.name)
            .text("indexname", &index.name)
            .text("indexdef", &index.definition),
    ]
}

fn constraint_rows(table: &Table, constraint: &Constraint, schema: &Schema) -> Vec<Row> {
    let (letter, words) = match constraint.kind {
        ConstraintKind::Primary => ("p", "PRIMARY KEY"),
        ConstraintKind::Unique => ("u", "UNIQUE"),
        ConstraintKind::Check => ("c", "CHECK"),
        ConstraintKind::Foreign => ("f", "FOREIGN KEY"),
    };
    let index = table
        .indexes
        .iter()
        .find(|index| index.name == constraint.name)
        .map_or(0, |index| index.oid);
    let row = Row::of("pg_constraint")
        .number("oid", constraint.oid)
        .text("conname", &constraint.name)
        .number("connamespace", namespace_of(schema, &table.schema))
        .text("contype", letter)
        .flag("convalidated", true)
        .number("conrelid", table.oid)
        .number("conindid", index)
        .number("confrelid", constraint.refers_to.unwrap_or(0))
        .text("conkey", positions(table, &constraint.columns));
    let listed = Row::of("table_constraints")
        .text("constraint_schema", &table.schema)
        .text("constraint_name", &constraint.name)
        .text("table_schema", &table.schema)
        .text("table_name", &table.name)
        .text("constraint_type", words)
        .text("is_deferrable", "NO");
    let usage = |(column, number): (&String, i64)| {
        Row::of("key_column_usage")
            .text("constraint_schema", &table.schema)
            .text("constraint_name", &constraint.name)
            .text("table_schema", &table.schema)
            .text("table_name", &table.name)
            .text("column_name", column)
            .number("ordinal_position", number)
    };
    let columns = if constraint.kind == ConstraintKind::Check {
        &[][..]
    } else {
        &constraint.columns
    };
    [row, listed]
        .into_iter()
        .chain(columns.iter().zip(1..).map(usage))
        .collect()
}

fn sequence_rows(schema: &Schema) -> Vec<Row> {
    let rows =
        |((namespace, name), sequence): (&(String, String), &super::super::schema::Sequence)| {
            [
                relation(sequence.oid, name, namespace_of(schema, namespace), "S"),
                Row::of("pg_sequence")
                    .number("seqrelid", sequence.oid)
                    .number("seqtypid", PgType::INT8.oid())
                    .number("seqstart", sequence.start)
                    .number("seqincrement", sequence.increment)
                    .number("seqmax", i64::MAX)
                    .number("seqmin", 1)
                    .number("seqcache", 1),
            ]
        };
    schema.sequences.iter().flat_map(rows).collect()
}

/// Definitions of constraints and indexes, by oid.
pub(super) fn definitions(schema: &Schema) -> HashMap<u32, String> {
    let of_table = |table: &std::sync::Arc<Table>| {
        let constraints = table
            .constraints
            .iter()
            .map(|constraint| (constraint.oid, constraint.definition.clone()));
        let indexes = table
            .indexes
            .iter()
            .map(|index| (index.oid, index.definition.clone()));
        constraints.chain(indexes).collect::<Vec<_>>()
    };
    schema.tables.values().flat_map(of_table).collect()
}

/// Names by oid, as a cast of `regclass` and `regnamespace` to text gives them.
pub(super) fn relation_names(schema: &Schema) -> HashMap<u32, String> {
    let full = |namespace: &str, name: &str| match namespace {
        PUBLIC | "pg_catalog" => name.to_owned(),
        other => format!("{other}.{name}"),
    };
    let tables = schema.tables.values().flat_map(|table| {
        let indexes = table
            .indexes
            .iter()
            .map(|index| (index.oid, full(&table.schema, &index.name)));
        std::iter::once((table.oid, full(&table.schema, &table.name)))
            .chain(indexes)
            .collect::<Vec<_>>()
    });
    let sequences = schema
        .sequences
        .iter()
        .map(|((namespace, name), sequence)| (sequence.oid, full(namespace, name)));
    let namespaces = schema
        .namespaces
        .iter()
        .map(|(name, oid)| (*oid, name.clone()));
    tables.chain(sequences).chain(namespaces).collect()
}
