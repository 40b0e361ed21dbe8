//! From a PostgreSQL statement to one of the engine: what it means, in which types, and the SQL that computes it.
//!
//! One pass over the syntax tree resolves names, infers the types of columns and parameters, and writes the engine's
//! SQL at the same time; a form that is not known is refused with SQLSTATE 0A000 instead of being passed on. Here live
//! the pass's state and the rules of types. `translate/expressions.rs` goes through expressions, `queries.rs` through
//! SELECT, `changes.rs` through INSERT, UPDATE and DELETE. Definitions are in `ddl.rs`. Nothing here runs a statement.

mod aggregates;
mod calls;
mod changes;
mod compound;
mod conversions;
mod expressions;
mod known;
mod labels;
mod operators;
mod queries;
mod sources;
mod terms;

use std::sync::Arc;

use sqlparser::ast::{Expr, Query, SetExpr, Statement};

use super::error::{SqlError, SqlResult};
use super::schema::{Column, QualifiedName, Schema, Table, TableKind};
use super::types::PgType;
use conversions::with_names;

/// How deep expressions and queries may nest; the engine has a limit of its own not far above.
const DEEPEST: usize = 400;
/// The thread's stack is continued elsewhere when less than this is left.
const STACK_LEFT_BYTES: usize = 256 << 10;
const STACK_MORE_BYTES: usize = 2 << 20;

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) ty: PgType,
    pub(crate) modifier: i32,
    /// Table and position, where it is a plain column.
    pub(crate) origin: Option<(u32, i16)>,
    pub(crate) not_null: bool,
}

/// A translated query or change.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<PgType>,
    /// Empty for a statement that returns no rows.
    pub(crate) outputs: Vec<Output>,
    /// Whether other sessions' transactions must wait for the end of this one.
    pub(crate) takes_lease: bool,
    /// Whether it reads the system's own tables, which are filled when someone asks.
    pub(crate) reads_catalog: bool,
}

/// What of a session decides the meaning of names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    pub(crate) path: Vec<String>,
    pub(crate) user: String,
    pub(crate) database: String,
}

/// A piece of the engine's SQL, and its type.
#[derive(Debug, Clone)]
struct Piece {
    sql: String,
    ty: PgType,
    modifier: i32,
    form: Form,
    origin: Option<(u32, i16)>,
    not_null: bool,
}

/// What a piece was in the statement, as far as conversions care.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// A text without a type, which takes the one that is needed.
    Literal(String),
    Null,
    /// A parameter, by position from 0, whose type may not be decided yet.
    Parameter(usize),
    Column,
    /// A number as it was written.
    Number(String),
    Other,
}

impl Piece {
    fn new(sql: impl Into<String>, ty: impl Into<PgType>) -> Self {
        Piece {
            sql: sql.into(),
            ty: ty.into(),
            modifier: -1,
            form: Form::Other,
            origin: None,
            not_null: false,
        }
    }

    /// Whether its type follows from where it is used.
    fn is_open(&self) -> bool {
        self.ty.is_unknown() && self.form != Form::Other
    }
}

/// A table of FROM as names inside the query see it.
#[derive(Debug, Clone)]
struct Source {
    alias: String,
    /// The engine's SQL for each column, and what it gives.
    columns: Vec<(String, Output)>,
    /// Columns that a USING has merged with those of a table before.
    merged: Vec<String>,
}

/// The tables in reach of one query; the queries around it come before it in the list.
#[derive(Debug, Clone, Default)]
struct Scope {
    sources: Vec<Source>,
}

/// The state of the pass.
pub(crate) struct Translator<'a> {
    schema: &'a Schema,
    names: &'a Names,
    parameters: Vec<Option<PgType>>,
    scopes: Vec<Scope>,
    ctes: Vec<(String, Vec<Output>)>,
    depth: usize,
    takes_lease: bool,
    reads_catalog: bool,
    /// A definition is stored in the engine, where a parameter has no value.
    allows_parameters: bool,
}

/// Translates a query or a change; `declared` are the parameter types the client insists on.
pub(crate) fn translate(
    statement: &Statement,
    schema: &Schema,
    names: &Names,
    declared: &[Option<PgType>],
) -> SqlResult<Translated> {
    let mut translator = Translator::new(schema, names, declared);
    let (sql, outputs) = match statement {
        Statement::Query(query) => match translator.change_with(query)? {
            Some(changed) => changed,
            None => translator.query(query)?,
        },
        Statement::Insert(insert) => translator.insert(insert)?,
        Statement::Update(update) => translator.update(update)?,
        Statement::Delete(delete) => translator.delete(delete)?,
        other => {
            return Err(SqlError::unsupported(format_args!(
                "{}",
                first_words(&other.to_string())
            )));
        }
    };
    let is_change = change_of(statement).is_some();
    translator.takes_lease |= is_change;
    let has_names = outputs.iter().any(|output| output.ty.is_name_by_oid());
    translator.reads_catalog |= has_names;
    let (sql, outputs) = if has_names && !is_change {
        with_names(sql, outputs)
    } else {
        (sql, outputs)
    };
    Ok(Translated {
        sql,
        outputs: outputs.into_iter().map(decided).collect(),
        parameters: translator
            .parameters
            .iter()
            .map(|ty| ty.unwrap_or(PgType::TEXT))
            .collect(),
        takes_lease: translator.takes_lease,
        reads_catalog: translator.reads_catalog,
    })
}

/// Which kind of change a statement is, by the word of its command tag; `None` for a query.
pub(crate) fn change_of(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::Insert(_) => Some("INSERT"),
        Statement::Update(_) => Some("UPDATE"),
        Statement::Delete(_) => Some("DELETE"),
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(change) | SetExpr::Update(change) | SetExpr::Delete(change) => {
                change_of(change)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The first words of a statement, to name it in an error.
pub(crate) fn first_words(statement: &str) -> String {
    statement
        .split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A result column whose type nothing has decided is a text.
fn decided(mut output: Output) -> Output {
    if output.ty.is_unknown() {
        output.ty = PgType::TEXT;
    }
    output
}

/// An identifier of the engine.
pub(crate) fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text of the engine.
pub(crate) fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl<'a> Translator<'a> {
    fn new(schema: &'a Schema, names: &'a Names, declared: &[Option<PgType>]) -> Self {
        Translator {
            schema,
            names,
            parameters: declared.to_vec(),
            scopes: Vec::new(),
            ctes: Vec::new(),
            depth: 0,
            takes_lease: false,
            reads_catalog: false,
            allows_parameters: true,
        }
    }

    /// The SQL of a constraint or an index of `table`, which may name its columns only.
    pub(crate) fn condition(
        table: &Table,
        schema: &Schema,
        names: &Names,
        expr: &Expr,
    ) -> SqlResult<String> {
        let mut translator = Translator::new(schema, names, &[]);
        translator.allows_parameters = false;
        let source = translator.source_of(table, &table.name, false);
        translator.scopes.push(Scope {
            sources: vec![source],
        });
        Ok(translator.expr(expr, None)?.sql)
    }

    /// The SQL of a column's default, as the column takes it.
    pub(crate) fn default_value(
        table: &Table,
        column: &Column,
        schema: &Schema,
        names: &Names,
        default: &Expr,
    ) -> SqlResult<String> {
        let mut translator = Translator::new(schema, names, &[]);
        translator.allows_parameters = false;
        let piece = translator.expr(default, Some(column.ty))?;
        translator.fitted(table, column, piece)
    }

    /// The SQL of a view, and its columns.
    pub(crate) fn view(
        query: &Query,
        schema: &Schema,
        names: &Names,
    ) -> SqlResult<(String, Vec<Output>)> {
        let mut translator = Translator::new(schema, names, &[]);
        translator.allows_parameters = false;
        let (sql, outputs) = translator.query(query)?;
        if translator.reads_catalog {
            return Err(SqlError::unsupported("a view of the system's tables"));
        }
        Ok((sql, outputs.into_iter().map(decided).collect()))
    }

    /// Runs `inner` one level deeper, unless that is too deep.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        if self.depth >= DEEPEST {
            return Err(SqlError::new("54001", "the statement nests too deeply"));
        }
        self.depth += 1;
        let result = stacker::maybe_grow(STACK_LEFT_BYTES, STACK_MORE_BYTES, || inner(self));
        self.depth -= 1;
        result
    }

    /// The table a name means, noting what reading it needs.
    fn table(&mut self, name: &QualifiedName) -> SqlResult<Arc<Table>> {
        let table = self.schema.table(name, &self.names.path)?.clone();
        self.reads_catalog |= table.kind == TableKind::Catalog;
        Ok(table)
    }

    /// How the columns of `table` are seen under `alias`; `qualified` writes the alias before each.
    fn source_of(&self, table: &Table, alias: &str, qualified: bool) -> Source {
        let prefix = if qualified {
            format!("{}.", quote_name(alias))
        } else {
            String::new()
        };
        let column = |(position, column): (usize, &Column)| {
            let output = Output {
                name: column.name.clone(),
                ty: column.ty,
                modifier: column.modifier,
                origin: Some((table.oid, position as i16 + 1)),
                not_null: column.not_null,
            };
            (format!("{prefix}{}", quote_name(&column.name)), output)
        };
        Source {
            alias: alias.to_owned(),
            columns: table.columns.iter().enumerate().map(column).collect(),
            merged: Vec::new(),
        }
    }
}
