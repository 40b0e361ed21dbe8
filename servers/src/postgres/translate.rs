//! From a PostgreSQL statement to one of the engine: what it means, in which types, and the SQL that computes it.
//!
//! One pass over the syntax tree resolves names, infers the types of columns and parameters, and writes the engine's
//! SQL at the same time; a form that is not known is refused with SQLSTATE 0A000 instead of being passed on. Here live
//! the pass's state and the rules of types. `translate/expressions.rs` goes through expressions, `queries.rs` through
//! SELECT, `changes.rs` through INSERT, UPDATE and DELETE. Definitions are in `ddl.rs`. Nothing here runs a statement.

mod calls;
mod changes;
mod expressions;
mod labels;
mod operators;
mod queries;
mod sources;

use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};
use sqlparser::ast::{Expr, Query, SetExpr, Statement};

use super::casts::{Cast, cast};
use super::error::{SqlError, SqlResult};
use super::schema::{Column, QualifiedName, Schema, Table, TableKind};
use super::types::{PgType, Scalar};
use super::value::read_text;

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

/// A stored value as the engine's SQL writes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) if real.is_infinite() => {
            if *real > 0.0 { "9e999" } else { "-9e999" }.into()
        }
        Value::Real(real) => format!("{real:?}"),
        Value::Text(text) => quote_text(text),
        Value::Blob(bytes) => {
            format!(
                "x'{}'",
                bytes
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            )
        }
    }
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

    /// Gives an open piece the type that is needed; leaves any other as it is.
    fn settle(&mut self, piece: Piece, ty: PgType) -> SqlResult<Piece> {
        if !piece.is_open() || ty.is_unknown() {
            return Ok(piece);
        }
        match &piece.form {
            Form::Literal(text) => {
                let sql = self.text_literal(text, ty)?;
                Ok(Piece {
                    sql,
                    ty,
                    form: Form::Other,
                    ..piece
                })
            }
            Form::Parameter(position) => {
                let decided = *self.parameters[*position].get_or_insert(ty);
                Ok(Piece {
                    ty: decided,
                    ..piece
                })
            }
            _ => Ok(Piece { ty, ..piece }),
        }
    }

    fn text_literal(&self, text: &str, ty: PgType) -> SqlResult<String> {
        if !ty.is_array && ty.scalar == Scalar::Regclass && text.parse::<u32>().is_err() {
            let name = super::schema::qualified_text(text);
            let found = self.schema.relation_oid(&name, &self.names.path);
            return found.map(|oid| oid.to_string()).ok_or_else(|| {
                SqlError::new("42P01", format!("relation \"{text}\" does not exist"))
            });
        }
        if !ty.is_array && ty.scalar == Scalar::Regtype && text.parse::<u32>().is_err() {
            let found = PgType::by_name(&text.to_lowercase());
            return found
                .map(|ty| ty.oid().to_string())
                .ok_or_else(|| SqlError::new("42704", format!("type \"{text}\" does not exist")));
        }
        read_text(text, ty).map(|value| literal(&value))
    }

    /// The piece converted to `ty`, for a comparison, an operator or a function.
    fn coerce(&mut self, piece: Piece, ty: PgType) -> SqlResult<Piece> {
        self.convert(
            piece,
            Cast {
                from: ty,
                to: ty,
                modifier: -1,
                explicit: false,
            },
        )
    }

    /// The piece converted as `how` says; its `from` is the piece's own type.
    fn convert(&mut self, piece: Piece, how: Cast) -> SqlResult<Piece> {
        let piece = match &piece.form {
            Form::Literal(text) if piece.ty.is_unknown() => return self.convert_literal(text, how),
            Form::Number(text) if how.to.is_number() || how.to.is_text() => {
                return fold_number(
                    text,
                    Cast {
                        from: piece.ty,
                        ..how
                    },
                );
            }
            _ => self.settle(piece, how.to)?,
        };
        let from = piece.ty;
        let done = Piece {
            ty: how.to,
            modifier: how.modifier,
            ..piece.clone()
        };
        if how.modifier >= 4
            && !(piece.form == Form::Column && piece.modifier == how.modifier && from == how.to)
        {
            return Ok(Piece {
                sql: cast_call(&piece.sql, Cast { from, ..how }),
                form: Form::Other,
                origin: None,
                ..done
            });
        }
        if piece.form == Form::Null || is_same_stored(&piece, how) {
            return Ok(done);
        }
        let sql = match () {
            () if from.is_name_by_oid() && how.to.is_text() => {
                self.reads_catalog = true;
                name_of(&piece.sql, from)
            }
            () if how.to.is_float() && from.is_integer() => format!("CAST({} AS REAL)", piece.sql),
            () if how.to.is_numeric() && from.is_integer() => {
                format!("CAST({} AS TEXT)", piece.sql)
            }
            () => cast_call(&piece.sql, Cast { from, ..how }),
        };
        Ok(Piece {
            sql,
            form: Form::Other,
            origin: None,
            ..done
        })
    }

    fn convert_literal(&self, text: &str, how: Cast) -> SqlResult<Piece> {
        let stored = if how.modifier >= 4 {
            literal(&cast(
                ValueRef::Text(text.as_bytes()),
                Cast {
                    from: PgType::UNKNOWN,
                    ..how
                },
            )?)
        } else {
            self.text_literal(text, how.to)?
        };
        Ok(Piece {
            modifier: how.modifier,
            not_null: true,
            ..Piece::new(stored, how.to)
        })
    }

    /// The piece as a text, in PostgreSQL's text form.
    fn as_text(&mut self, piece: Piece) -> SqlResult<Piece> {
        if piece.ty.is_text() && !piece.is_open() {
            Ok(piece)
        } else {
            self.coerce(piece, PgType::TEXT)
        }
    }

    /// The type both pieces can be compared or united in, after open ones have taken the other's.
    fn unite(&mut self, left: Piece, right: Piece) -> SqlResult<(Piece, Piece, PgType)> {
        let (left_type, right_type) = (left.ty, right.ty);
        let left = self.settle(left, right_type)?;
        let right = self.settle(right, left_type)?;
        if left.is_open() && right.is_open() {
            let left = self.settle(left, PgType::TEXT)?;
            let right = self.settle(right, PgType::TEXT)?;
            return Ok((left, right, PgType::TEXT));
        }
        let ty = common_type(left.ty, right.ty)?;
        Ok((left, right, ty))
    }
}

/// The type to which both convert without loss.
fn common_type(left: PgType, right: PgType) -> SqlResult<PgType> {
    use Scalar::{Date, Int2, Int4, Int8, Json, Jsonb, Oid, Timestamp, Timestamptz};
    let (left, right) = (plain_oid(left), plain_oid(right));
    if left == right || right.is_unknown() {
        return Ok(left);
    }
    if left.is_unknown() {
        return Ok(right);
    }
    if left.is_number() && right.is_number() {
        if left.is_float() || right.is_float() {
            return Ok(PgType::FLOAT8);
        }
        if left.is_numeric() || right.is_numeric() {
            return Ok(PgType::NUMERIC);
        }
        let rank = |ty: PgType| {
            [Int2, Int4, Oid, Int8]
                .iter()
                .position(|scalar| *scalar == ty.scalar)
        };
        return Ok(if rank(left) >= rank(right) {
            left
        } else {
            right
        });
    }
    let moment = |ty: PgType| !ty.is_array && matches!(ty.scalar, Date | Timestamp | Timestamptz);
    if moment(left) && moment(right) {
        let zoned = left.scalar == Timestamptz || right.scalar == Timestamptz;
        return Ok(if zoned { Timestamptz } else { Timestamp }.into());
    }
    if left.is_text() && right.is_text() {
        return Ok(PgType::TEXT);
    }
    // Lenient where a client declares its parameters as text: the text is read as the other type.
    if left.is_text() {
        return Ok(right);
    }
    if right.is_text() {
        return Ok(left);
    }
    if left.is_array && right.is_array {
        return Ok(left);
    }
    match (left.scalar, right.scalar) {
        (Json, Jsonb) | (Jsonb, Json) => Ok(Jsonb.into()),
        _ => Err(no_operator("=", left, right)),
    }
}

/// Oids compare as such, under whichever name their type goes.
fn plain_oid(ty: PgType) -> PgType {
    if ty.is_name_by_oid() {
        Scalar::Oid.into()
    } else {
        ty
    }
}

fn no_operator(operator: &str, left: PgType, right: PgType) -> SqlError {
    let message = format!(
        "operator does not exist: {} {operator} {}",
        left.sql_name(),
        right.sql_name()
    );
    SqlError::new("42883", message)
}

/// Whether the stored form of the piece is one of the target already.
fn is_same_stored(piece: &Piece, how: Cast) -> bool {
    use Scalar::{Int2, Int4, Int8, Oid, Timestamp, Timestamptz};
    let (from, to) = (piece.ty, how.to);
    // A computed integer may have outgrown its type: going into a column, that is checked.
    let computed = piece.form == Form::Other && !how.explicit && how.modifier == 0;
    let within = |from: Scalar, to: Scalar| {
        matches!(
            (from, to),
            (Int2, Int4 | Int8)
                | (Int4, Int8)
                | (Oid, Int8)
                | (Timestamp, Timestamptz)
                | (Timestamptz, Timestamp)
        )
    };
    if from.is_array || to.is_array {
        return from == to;
    }
    if computed && matches!(to.scalar, Int2 | Int4) {
        return false;
    }
    let (from, to) = (plain_oid(from), plain_oid(to));
    from == to || within(from.scalar, to.scalar) || (from.is_text() && to.is_text())
}

/// The name an oid stands for.
fn name_of(sql: &str, ty: PgType) -> String {
    format!("pf_name_of({sql},{})", ty.oid())
}

/// The whole query with the names of its oids in place of them, as the client reads them.
fn with_names(sql: String, outputs: Vec<Output>) -> (String, Vec<Output>) {
    let column = |output: &Output| {
        let name = quote_name(&output.name);
        if output.ty.is_name_by_oid() {
            format!("{} AS {name}", name_of(&name, output.ty))
        } else {
            name
        }
    };
    let columns: Vec<String> = outputs.iter().map(column).collect();
    let as_text = |output: Output| {
        if output.ty.is_name_by_oid() {
            Output {
                ty: PgType::TEXT,
                ..output
            }
        } else {
            output
        }
    };
    (
        format!("SELECT {} FROM ({sql})", columns.join(",")),
        outputs.into_iter().map(as_text).collect(),
    )
}

fn cast_call(sql: &str, how: Cast) -> String {
    format!(
        "pf_cast({sql},{},{},{},{})",
        how.from.oid(),
        how.to.oid(),
        how.modifier,
        i32::from(how.explicit)
    )
}

/// Converts a number as it was written.
fn fold_number(text: &str, how: Cast) -> SqlResult<Piece> {
    let stored = match how.to {
        to if to.is_float() => value_of_float(text)?,
        to if to.is_integer() => match text.parse() {
            Ok(integer) => cast(ValueRef::Integer(integer), how)?,
            Err(_) => cast(ValueRef::Text(text.as_bytes()), how)?,
        },
        to => cast(
            ValueRef::Text(text.as_bytes()),
            Cast {
                from: PgType::UNKNOWN,
                to,
                ..how
            },
        )?,
    };
    let form = if how.to.is_integer() {
        Form::Number(text.to_owned())
    } else {
        Form::Other
    };
    Ok(Piece {
        modifier: how.modifier,
        not_null: true,
        form,
        ..Piece::new(literal(&stored), how.to)
    })
}

fn value_of_float(text: &str) -> SqlResult<Value> {
    read_text(text, PgType::FLOAT8)
}
