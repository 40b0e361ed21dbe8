//! The leaves of expressions: columns, literals and parameters.

use sqlparser::ast::{Ident, Value};

use super::super::error::{SqlError, SqlResult};
use super::super::numeric::Numeric;
use super::super::schema::fold;
use super::super::types::{PgType, Scalar};
use super::super::value::from_hex;
use super::conversions::literal;
use super::{Form, Output, Piece, Translator, quote_text};

impl Translator<'_> {
    pub(super) fn identifier(&mut self, ident: &Ident) -> SqlResult<Piece> {
        let name = fold(ident);
        match self.find_column(None, &name) {
            Err(error) if error.state() == "42703" && ident.quote_style.is_none() => {
                self.bare_function(&name)?.ok_or(error)
            }
            found => found,
        }
    }

    pub(super) fn compound_identifier(&mut self, parts: &[Ident]) -> SqlResult<Piece> {
        let folded: Vec<String> = parts.iter().map(fold).collect();
        match folded.as_slice() {
            [table, column] => self.find_column(Some(table), column),
            [_schema, table, column] => self.find_column(Some(table), column),
            _ => Err(SqlError::unsupported("a name of so many parts")),
        }
    }

    /// Looks for a column in the tables of this query, then of those around it.
    pub(super) fn find_column(&self, table: Option<&str>, name: &str) -> SqlResult<Piece> {
        let mut table_seen = false;
        for scope in self.scopes.iter().rev() {
            let mut found: Option<&(String, Output)> = None;
            for source in &scope.sources {
                if table.is_some_and(|table| table != source.alias) {
                    continue;
                }
                table_seen = true;
                let merged = table.is_none() && source.merged.iter().any(|merged| merged == name);
                let column = source
                    .columns
                    .iter()
                    .find(|(_, output)| output.name == name);
                match column {
                    Some(_) if merged => (),
                    Some(_) if found.is_some() => {
                        return Err(SqlError::new(
                            "42702",
                            format!("column reference \"{name}\" is ambiguous"),
                        ));
                    }
                    Some(column) => found = Some(column),
                    None => (),
                }
            }
            if let Some((sql, output)) = found {
                return Ok(Piece {
                    sql: sql.clone(),
                    ty: output.ty,
                    modifier: output.modifier,
                    form: Form::Column,
                    origin: output.origin,
                    not_null: output.not_null,
                });
            }
        }
        Err(match table {
            Some(table) if !table_seen => SqlError::new(
                "42P01",
                format!("missing FROM-clause entry for table \"{table}\""),
            ),
            Some(table) => SqlError::new("42703", format!("column {table}.{name} does not exist")),
            None => SqlError::new("42703", format!("column \"{name}\" does not exist")),
        })
    }

    pub(super) fn value(&mut self, value: &Value) -> SqlResult<Piece> {
        match value {
            Value::Number(text, _) => Ok(number(text)),
            Value::Boolean(flag) => Ok(Piece {
                not_null: true,
                ..Piece::new(i32::from(*flag).to_string(), PgType::BOOL)
            }),
            Value::Null => Ok(Piece {
                form: Form::Null,
                ..Piece::new("NULL", PgType::UNKNOWN)
            }),
            Value::Placeholder(name) => self.placeholder(name),
            Value::HexStringLiteral(hex) => {
                let bytes = from_hex(hex).ok_or_else(|| SqlError::invalid_text("bytea", hex))?;
                Ok(Piece::new(
                    literal(&rusqlite::types::Value::Blob(bytes)),
                    Scalar::Bytea,
                ))
            }
            other => match other.clone().into_string() {
                Some(text) => Ok(Piece {
                    form: Form::Literal(text.clone()),
                    not_null: true,
                    ..Piece::new(quote_text(&text), PgType::UNKNOWN)
                }),
                None => Err(SqlError::unsupported(format_args!("the literal {other}"))),
            },
        }
    }

    pub(super) fn placeholder(&mut self, name: &str) -> SqlResult<Piece> {
        let number: usize = name
            .strip_prefix('$')
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        if !(1..=65_535).contains(&number) || !self.allows_parameters {
            return Err(SqlError::new(
                "42P02",
                format!("there is no parameter {name}"),
            ));
        }
        if self.parameters.len() < number {
            self.parameters.resize(number, None);
        }
        let ty = self.parameters[number - 1].unwrap_or(PgType::UNKNOWN);
        Ok(Piece {
            form: Form::Parameter(number - 1),
            ..Piece::new(format!("?{number}"), ty)
        })
    }
}

/// A number as it was written; its type is the smallest that holds it.
pub(super) fn number(text: &str) -> Piece {
    let (sql, ty) = match text.parse::<i64>() {
        Ok(integer) if i32::try_from(integer).is_ok() => (text.to_owned(), PgType::INT4),
        Ok(_) => (text.to_owned(), PgType::INT8),
        Err(_) => {
            let canonical = Numeric::parse(text).map(|number| number.to_text());
            (
                quote_text(&canonical.unwrap_or_else(|_| text.to_owned())),
                PgType::NUMERIC,
            )
        }
    };
    Piece {
        form: Form::Number(text.to_owned()),
        not_null: true,
        ..Piece::new(sql, ty)
    }
}
