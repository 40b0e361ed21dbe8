//! What tables, columns, constraints and sequences there are, with their PostgreSQL types.
//!
//! The engine keeps the rows; it knows neither schemas nor PostgreSQL's types, so they are kept here. A [`Schema`] is a
//! value: a statement that defines something works on a copy and puts it in place of the old one, and a rollback puts
//! the old one back. Each copy has a version of its own, by which a plan knows that it is out of date. How the
//! definitions change is in `ddl.rs`; how clients see them is in `catalog.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart};

use super::error::{SqlError, SqlResult};
use super::types::PgType;

/// The schema in which user tables are created by default.
pub(crate) const PUBLIC: &str = "public";
/// The schema of the system's own tables; searched first unless a path names it.
pub(crate) const CATALOG: &str = "pg_catalog";

/// What a name in FROM can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableKind {
    Table,
    View,
    /// One of the system's own tables.
    Catalog,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: PgType,
    /// The length of a varchar, the precision of a numeric; -1 for none.
    pub(crate) modifier: i32,
    pub(crate) not_null: bool,
    pub(crate) default: Option<Arc<Expr>>,
    /// The sequence that feeds it, as `serial` and identity columns have one.
    pub(crate) sequence: Option<u32>,
    /// GENERATED ALWAYS: a value may not be given.
    pub(crate) always_generated: bool,
    /// Whether it is the engine's row number, for which the engine would invent a value in place of NULL.
    pub(crate) is_row_number: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConstraintKind {
    Primary,
    Unique,
    Check,
    Foreign,
}

/// A constraint, by the name under which violations report it.
#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    pub(crate) oid: u32,
    pub(crate) name: String,
    pub(crate) kind: ConstraintKind,
    pub(crate) columns: Vec<String>,
    /// The table a foreign key refers to.
    pub(crate) refers_to: Option<u32>,
    /// As `pg_get_constraintdef` writes it.
    pub(crate) definition: String,
}

/// An index, whether of a constraint or of its own.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) oid: u32,
    pub(crate) name: String,
    pub(crate) unique: bool,
    pub(crate) primary: bool,
    /// As `pg_get_indexdef` writes it.
    pub(crate) definition: String,
    pub(crate) columns: Vec<String>,
}

/// A table or a view.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: TableKind,
    pub(crate) columns: Vec<Column>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) indexes: Vec<Index>,
}

impl Table {
    pub(crate) fn engine_name(&self) -> String {
        engine_name(&self.schema, &self.name)
    }

    pub(crate) fn column(&self, name: &str) -> SqlResult<(usize, &Column)> {
        let found = self
            .columns
            .iter()
            .enumerate()
            .find(|(_, column)| column.name == name);
        found.ok_or_else(|| {
            let message = format!(
                "column \"{name}\" of relation \"{}\" does not exist",
                self.name
            );
            SqlError::new("42703", message)
        })
    }
}

/// A sequence; its value lives outside of transactions, in `functions.rs`.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    pub(crate) oid: u32,
    pub(crate) start: i64,
    pub(crate) increment: i64,
    /// The table it is dropped with.
    pub(crate) owner: Option<u32>,
}

/// All definitions at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) version: u64,
    pub(crate) namespaces: BTreeMap<String, u32>,
    pub(crate) tables: BTreeMap<(String, String), Arc<Table>>,
    pub(crate) sequences: BTreeMap<(String, String), Sequence>,
}

static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);
/// The first oid that PostgreSQL gives to a user's object.
static NEXT_OID: AtomicU32 = AtomicU32::new(16_384);

/// An oid that nothing else has.
pub(crate) fn new_oid() -> u32 {
    NEXT_OID.fetch_add(1, Relaxed)
}

impl Default for Schema {
    fn default() -> Self {
        let namespaces = [
            (CATALOG, 11),
            (PUBLIC, 2200),
            ("information_schema", 13_000),
        ];
        Schema {
            version: NEXT_VERSION.fetch_add(1, Relaxed),
            namespaces: namespaces
                .into_iter()
                .map(|(name, oid)| (name.to_owned(), oid))
                .collect(),
            tables: BTreeMap::new(),
            sequences: BTreeMap::new(),
        }
    }
}

/// How a table of a schema is called in the engine, which has no schemas.
pub(crate) fn engine_name(schema: &str, name: &str) -> String {
    if schema == PUBLIC {
        name.to_owned()
    } else {
        format!("{schema}:{name}")
    }
}

/// A name that may say its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QualifiedName {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl std::fmt::Display for QualifiedName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(formatter, "{schema}.{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

/// An identifier as it counts: in lower case unless quoted.
pub(crate) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_lowercase()
    }
}

/// The parts of a name as they count.
pub(crate) fn fold_parts(name: &ObjectName) -> SqlResult<Vec<String>> {
    let part = |part: &ObjectNamePart| match part {
        ObjectNamePart::Identifier(ident) => Ok(fold(ident)),
        ObjectNamePart::Function(_) => Err(SqlError::unsupported(format_args!("the name {name}"))),
    };
    name.0.iter().map(part).collect()
}

/// A table's name; a database in front of it is ignored, since every database is this one.
pub(crate) fn qualified(name: &ObjectName) -> SqlResult<QualifiedName> {
    let mut parts = fold_parts(name)?;
    let name = parts
        .pop()
        .ok_or_else(|| SqlError::new("42601", "a name is empty"))?;
    Ok(QualifiedName {
        schema: parts.pop(),
        name,
    })
}

/// A name written in a string, as in `nextval('s.seq')` or `'items'::regclass`.
pub(crate) fn qualified_text(text: &str) -> QualifiedName {
    let fold = |part: &str| match part
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(quoted) => quoted.to_owned(),
        None => part.to_lowercase(),
    };
    match text.split_once('.') {
        Some((schema, name)) => QualifiedName {
            schema: Some(fold(schema)),
            name: fold(name),
        },
        None => QualifiedName {
            schema: None,
            name: fold(text),
        },
    }
}

impl Schema {
    /// Marks the copy as different from every other one.
    pub(crate) fn touch(&mut self) {
        self.version = NEXT_VERSION.fetch_add(1, Relaxed);
    }

    /// The table a name means, on this search path.
    pub(crate) fn table(&self, name: &QualifiedName, path: &[String]) -> SqlResult<&Arc<Table>> {
        self.find_table(name, path)
            .ok_or_else(|| SqlError::new("42P01", format!("relation \"{name}\" does not exist")))
    }

    pub(crate) fn find_table(&self, name: &QualifiedName, path: &[String]) -> Option<&Arc<Table>> {
        search(&self.tables, name, path)
    }

    pub(crate) fn sequence(&self, name: &QualifiedName, path: &[String]) -> SqlResult<&Sequence> {
        search(&self.sequences, name, path)
            .ok_or_else(|| SqlError::new("42P01", format!("relation \"{name}\" does not exist")))
    }

    /// The oid of whatever relation has this name.
    pub(crate) fn relation_oid(&self, name: &QualifiedName, path: &[String]) -> Option<u32> {
        let index = || {
            let tables = self.tables.values().filter(|table| {
                path.contains(&table.schema) || name.schema.as_deref() == Some(&table.schema)
            });
            tables
                .flat_map(|table| &table.indexes)
                .find(|index| index.name == name.name)
                .map(|index| index.oid)
        };
        let table = self.find_table(name, path).map(|table| table.oid);
        table
            .or_else(|| search(&self.sequences, name, path).map(|sequence| sequence.oid))
            .or_else(index)
    }

    pub(crate) fn table_by_engine_name(&self, name: &str) -> Option<Arc<Table>> {
        self.tables
            .values()
            .find(|table| table.engine_name() == name)
            .cloned()
    }

    /// The schema a new object goes to: the one named, or the first of the path that exists.
    pub(crate) fn target_schema(&self, name: &QualifiedName, path: &[String]) -> SqlResult<String> {
        match &name.schema {
            Some(schema) if self.namespaces.contains_key(schema) => Ok(schema.clone()),
            Some(schema) => Err(SqlError::new(
                "3F000",
                format!("schema \"{schema}\" does not exist"),
            )),
            None => {
                let usable = |schema: &&String| {
                    self.namespaces.contains_key(*schema) && !schema.starts_with("pg_")
                };
                path.iter().find(usable).cloned().ok_or_else(|| {
                    SqlError::new("3F000", "no schema has been selected to create in")
                })
            }
        }
    }

    /// Whether a table, a view, a sequence or an index of that name is there already.
    pub(crate) fn is_taken(&self, schema: &str, name: &str) -> bool {
        let key = (schema.to_owned(), name.to_owned());
        let has_index = |table: &Arc<Table>| {
            table.schema == schema && table.indexes.iter().any(|index| index.name == name)
        };
        self.tables.contains_key(&key)
            || self.sequences.contains_key(&key)
            || self.tables.values().any(has_index)
    }

    pub(crate) fn put_table(&mut self, table: Table) {
        let key = (table.schema.clone(), table.name.clone());
        self.tables.insert(key, Arc::new(table));
        self.touch();
    }
}

fn search<'a, T>(
    map: &'a BTreeMap<(String, String), T>,
    name: &QualifiedName,
    path: &[String],
) -> Option<&'a T> {
    let get = |schema: &str| map.get(&(schema.to_owned(), name.name.clone()));
    match &name.schema {
        Some(schema) => get(schema),
        None => get(CATALOG).or_else(|| path.iter().find_map(|schema| get(schema))),
    }
}
