//! The system's own tables: `pg_class` and its like, and a part of `information_schema`.
//!
//! They are tables of the engine, filled from the schema when a query asks for them and the schema has changed since;
//! nothing else ever reads them. The list below says which there are and what columns they have; those for features
//! this server does not have stay empty, so that `psql` and drivers can look and find nothing. How a row is made of a
//! definition is in `catalog/rows.rs`.

mod rows;

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::Value;

use super::engine::Engine;
use super::error::{SqlError, SqlResult};
use super::functions::lock;
use super::schema::{CATALOG, Column, Schema, Table, TableKind};
use super::translate::quote_name;
use super::types::{PgType, Scalar};

const INFORMATION: &str = "information_schema";

/// Schema, oid, name and columns of each; a column without a type has that of the one before it.
static TABLES: &[(&str, u32, &str, &str)] = &[
    (
        CATALOG,
        1249,
        "pg_attribute",
        "attrelid oid, attname name, atttypid oid, attstattarget int4, attlen int2, attnum int2, attndims int4, atttypmod, attbyval bool, attalign char, attstorage, attcompression, attnotnull bool, atthasdef, atthasmissing, attidentity char, attgenerated, attisdropped bool, attislocal, attinhcount int4, attcollation oid, attacl _text, attoptions, attfdwoptions",
    ),
    (
        CATALOG,
        1259,
        "pg_class",
        "oid oid, relname name, relnamespace oid, reltype, reloftype, relowner, relam, relfilenode, reltablespace, relpages int4, reltuples float4, relallvisible int4, reltoastrelid oid, relhasindex bool, relisshared, relpersistence char, relkind, relnatts int2, relchecks, relhasrules bool, relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity, relispopulated, relreplident char, relispartition bool, relrewrite oid, relacl _text, reloptions, relpartbound text",
    ),
    (
        CATALOG,
        2615,
        "pg_namespace",
        "oid oid, nspname name, nspowner oid, nspacl _text",
    ),
    (
        CATALOG,
        1247,
        "pg_type",
        "oid oid, typname name, typnamespace oid, typowner, typlen int2, typbyval bool, typtype char, typcategory, typispreferred bool, typisdefined, typdelim char, typrelid oid, typsubscript, typelem, typarray, typinput text, typoutput, typreceive, typsend, typnotnull bool, typbasetype oid, typtypmod int4, typndims, typcollation oid, typdefault text",
    ),
    (
        CATALOG,
        2610,
        "pg_index",
        "indexrelid oid, indrelid, indnatts int2, indnkeyatts, indisunique bool, indnullsnotdistinct, indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid, indcheckxmin, indisready, indislive, indisreplident, indkey _int2, indoption, indexprs text, indpred",
    ),
    (
        CATALOG,
        2606,
        "pg_constraint",
        "oid oid, conname name, connamespace oid, contype char, condeferrable bool, condeferred, convalidated, conrelid oid, contypid, conindid, conparentid, confrelid, confupdtype char, confdeltype, confmatchtype, conislocal bool, coninhcount int4, connoinherit bool, conkey _int2, confkey, conbin text",
    ),
    (
        CATALOG,
        2604,
        "pg_attrdef",
        "oid oid, adrelid, adnum int2, adbin text",
    ),
    (
        CATALOG,
        1262,
        "pg_database",
        "oid oid, datname name, datdba oid, encoding int4, datlocprovider char, datistemplate bool, datallowconn, datconnlimit int4, dattablespace oid, datcollate text, datctype, daticulocale, datcollversion, datacl _text",
    ),
    (
        CATALOG,
        1260,
        "pg_roles",
        "oid oid, rolname name, rolsuper bool, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit int4, rolpassword text, rolvaliduntil timestamptz, rolbypassrls bool, rolconfig _text",
    ),
    (
        CATALOG,
        12_000,
        "pg_user",
        "usename name, usesysid oid, usecreatedb bool, usesuper, userepl, usebypassrls, passwd text, valuntil timestamptz, useconfig _text",
    ),
    (
        CATALOG,
        12_001,
        "pg_tables",
        "schemaname name, tablename, tableowner, tablespace, hasindexes bool, hasrules, hastriggers, rowsecurity",
    ),
    (
        CATALOG,
        12_002,
        "pg_views",
        "schemaname name, viewname, viewowner, definition text",
    ),
    (
        CATALOG,
        12_003,
        "pg_indexes",
        "schemaname name, tablename, indexname, tablespace, indexdef text",
    ),
    (
        CATALOG,
        12_004,
        "pg_settings",
        "name text, setting, unit, category, short_desc, context, vartype, source, min_val, max_val",
    ),
    (
        CATALOG,
        2601,
        "pg_am",
        "oid oid, amname name, amhandler text, amtype char",
    ),
    (
        CATALOG,
        2224,
        "pg_sequence",
        "seqrelid oid, seqtypid, seqstart int8, seqincrement, seqmax, seqmin, seqcache, seqcycle bool",
    ),
    (
        CATALOG,
        3456,
        "pg_collation",
        "oid oid, collname name, collnamespace oid, collowner, collprovider char, collisdeterministic bool, collencoding int4, collcollate text, collctype",
    ),
    (
        CATALOG,
        1255,
        "pg_proc",
        "oid oid, proname name, pronamespace oid, proowner, prolang, prokind char, proretset bool, prorettype oid, proargtypes _oid, prosrc text",
    ),
    (
        CATALOG,
        2609,
        "pg_description",
        "objoid oid, classoid, objsubid int4, description text",
    ),
    (
        CATALOG,
        2396,
        "pg_shdescription",
        "objoid oid, classoid, description text",
    ),
    (
        CATALOG,
        2611,
        "pg_inherits",
        "inhrelid oid, inhparent, inhseqno int4, inhdetachpending bool",
    ),
    (
        CATALOG,
        3350,
        "pg_partitioned_table",
        "partrelid oid, partstrat char, partnatts int2, partdefid oid",
    ),
    (
        CATALOG,
        1261,
        "pg_auth_members",
        "roleid oid, member, grantor, admin_option bool",
    ),
    (
        CATALOG,
        3256,
        "pg_policy",
        "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles _oid, polqual text, polwithcheck",
    ),
    (
        CATALOG,
        3381,
        "pg_statistic_ext",
        "oid oid, stxrelid, stxname name, stxnamespace oid, stxowner, stxstattarget int4, stxkeys _int2, stxkind _char",
    ),
    (
        CATALOG,
        6104,
        "pg_publication",
        "oid oid, pubname name, pubowner oid, puballtables bool",
    ),
    (
        CATALOG,
        6106,
        "pg_publication_rel",
        "oid oid, prpubid, prrelid, prqual text, prattrs _int2",
    ),
    (
        CATALOG,
        6237,
        "pg_publication_namespace",
        "oid oid, pnpubid, pnnspid",
    ),
    (
        CATALOG,
        2620,
        "pg_trigger",
        "oid oid, tgrelid, tgparentid, tgname name, tgfoid oid, tgtype int2, tgenabled char, tgisinternal bool",
    ),
    (
        CATALOG,
        2618,
        "pg_rewrite",
        "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled",
    ),
    (
        CATALOG,
        3118,
        "pg_foreign_table",
        "ftrelid oid, ftserver, ftoptions _text",
    ),
    (
        CATALOG,
        1417,
        "pg_foreign_server",
        "oid oid, srvname name, srvowner oid",
    ),
    (
        CATALOG,
        3079,
        "pg_extension",
        "oid oid, extname name, extowner oid, extnamespace, extversion text",
    ),
    (
        CATALOG,
        3501,
        "pg_enum",
        "oid oid, enumtypid, enumsortorder float4, enumlabel name",
    ),
    (
        CATALOG,
        3541,
        "pg_range",
        "rngtypid oid, rngsubtype, rngmultitypid, rngcollation",
    ),
    (
        CATALOG,
        2608,
        "pg_depend",
        "classid oid, objid, objsubid int4, refclassid oid, refobjid, refobjsubid int4, deptype char",
    ),
    (
        CATALOG,
        1213,
        "pg_tablespace",
        "oid oid, spcname name, spcowner oid",
    ),
    (
        INFORMATION,
        13_001,
        "tables",
        "table_catalog name, table_schema, table_name, table_type text, is_insertable_into",
    ),
    (
        INFORMATION,
        13_002,
        "columns",
        "table_catalog name, table_schema, table_name, column_name, ordinal_position int4, column_default text, is_nullable, data_type, character_maximum_length int4, numeric_precision, numeric_scale, udt_schema name, udt_name, is_identity text, is_generated",
    ),
    (
        INFORMATION,
        13_003,
        "schemata",
        "catalog_name name, schema_name, schema_owner",
    ),
    (
        INFORMATION,
        13_004,
        "table_constraints",
        "constraint_catalog name, constraint_schema, constraint_name, table_catalog, table_schema, table_name, constraint_type text, is_deferrable",
    ),
    (
        INFORMATION,
        13_005,
        "key_column_usage",
        "constraint_catalog name, constraint_schema, constraint_name, table_catalog, table_schema, table_name, column_name, ordinal_position int4",
    ),
];

fn columns_of(listed: &str) -> Vec<Column> {
    let mut ty = PgType::from(Scalar::Oid);
    let column = |part: &str| {
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or_default().to_owned();
        if let Some(type_name) = words.next() {
            let base = type_name.trim_start_matches('_');
            let scalar = PgType::by_name(base).unwrap_or(PgType::TEXT).scalar;
            ty = PgType {
                scalar,
                is_array: type_name.starts_with('_'),
            };
        }
        Column {
            name,
            ty,
            modifier: -1,
            not_null: false,
            default: None,
            sequence: None,
            always_generated: false,
            is_row_number: false,
        }
    };
    listed.split(", ").map(column).collect()
}

/// Makes the system's tables, empty, in a new engine.
pub(crate) fn create(engine: &mut Engine) -> rusqlite::Result<()> {
    let mut sql = String::new();
    for (schema, oid, name, listed) in TABLES {
        let columns = columns_of(listed);
        let table = Table {
            oid: *oid,
            schema: (*schema).to_owned(),
            name: (*name).to_owned(),
            kind: TableKind::Catalog,
            columns,
            constraints: Vec::new(),
            indexes: Vec::new(),
        };
        let quoted: Vec<String> = table
            .columns
            .iter()
            .map(|column| quote_name(&column.name))
            .collect();
        sql = format!(
            "{sql}CREATE TABLE {} ({});",
            quote_name(&table.engine_name()),
            quoted.join(",")
        );
        Arc::make_mut(&mut engine.schema).put_table(table);
    }
    engine.create_catalog(&sql)
}

/// A row of one of the system's tables; what is not set is zero, false or, for texts and arrays, absent.
struct Row {
    table: &'static str,
    values: HashMap<&'static str, Value>,
}

impl Row {
    fn of(table: &'static str) -> Self {
        Row {
            table,
            values: HashMap::new(),
        }
    }

    fn text(mut self, column: &'static str, text: impl Into<String>) -> Self {
        self.values.insert(column, Value::Text(text.into()));
        self
    }

    fn number(mut self, column: &'static str, number: impl Into<i64>) -> Self {
        self.values.insert(column, Value::Integer(number.into()));
        self
    }

    fn flag(self, column: &'static str, flag: bool) -> Self {
        self.number(column, i64::from(flag))
    }
}

/// Fills the system's tables if the definitions have changed since they were filled.
pub(crate) fn refresh(engine: &mut Engine) -> SqlResult<()> {
    if engine.catalog_version == engine.schema.version {
        return Ok(());
    }
    let schema = engine.schema.clone();
    let rows = rows::all(&schema, engine);
    // In one transaction if there is none, for speed.
    let alone = !engine.is_in_transaction();
    if alone {
        engine.begin()?;
    }
    let filled = fill(engine, &schema, &rows);
    if alone {
        if filled.is_ok() {
            engine.commit()?
        } else {
            engine.rollback()?
        }
    }
    filled?;
    // Inside of a transaction that may be undone, what was filled may be undone as well.
    engine.catalog_version = if alone { schema.version } else { 0 };
    let definitions = rows::definitions(&schema);
    let mut live = lock(&engine.shared);
    live.definitions = definitions;
    live.relations = rows::relation_names(&schema);
    Ok(())
}

fn fill(engine: &Engine, schema: &Schema, rows: &[Row]) -> SqlResult<()> {
    for (namespace, _, name, _) in TABLES {
        let engine_name = super::schema::engine_name(namespace, name);
        engine.execute(&format!("DELETE FROM {}", quote_name(&engine_name)))?;
    }
    for row in rows {
        let table = schema
            .tables
            .values()
            .find(|table| table.kind == TableKind::Catalog && table.name == row.table);
        let table = table
            .ok_or_else(|| SqlError::new("XX000", format!("no system table {}", row.table)))?;
        debug_assert!(
            row.values.keys().all(|name| table.column(name).is_ok()),
            "a row of {} has columns {:?} which the table has not",
            row.table,
            row.values.keys()
        );
        let values: Vec<Value> = table
            .columns
            .iter()
            .map(|column| {
                row.values
                    .get(column.name.as_str())
                    .cloned()
                    .unwrap_or_else(|| absent(column))
            })
            .collect();
        let marks: Vec<String> = (1..=values.len())
            .map(|number| format!("?{number}"))
            .collect();
        engine.execute_with(
            &format!(
                "INSERT INTO {} VALUES ({})",
                quote_name(&table.engine_name()),
                marks.join(",")
            ),
            &values,
        )?;
    }
    Ok(())
}

fn absent(column: &Column) -> Value {
    match column.ty.scalar {
        _ if column.ty.is_array => Value::Null,
        Scalar::Bool => Value::Integer(0),
        Scalar::Char => Value::Text(String::new()),
        _ if column.ty.is_integer() || column.ty.is_float() => Value::Integer(0),
        _ => Value::Null,
    }
}
