//! Types meeting: what two types have in common, and how a piece of SQL becomes one of another type.
//!
//! Literals and parameters take the type they are needed in; constants are converted here and now, all else by the
//! engine when the statement runs, through the same function (`casts.rs`).

use rusqlite::types::{Value, ValueRef};

use super::super::casts::{Cast, cast};
use super::super::error::{SqlError, SqlResult};
use super::super::types::{PgType, Scalar};
use super::super::value::read_text;
use super::{Form, Output, Piece, Translator, quote_name, quote_text};

impl Translator<'_> {
    /// Gives an open piece the type that is needed; leaves any other as it is.
    pub(super) fn settle(&mut self, piece: Piece, ty: PgType) -> SqlResult<Piece> {
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

    pub(super) fn text_literal(&self, text: &str, ty: PgType) -> SqlResult<String> {
        if !ty.is_array && ty.scalar == Scalar::Regclass && text.parse::<u32>().is_err() {
            let name = super::super::schema::qualified_text(text);
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
    pub(super) fn coerce(&mut self, piece: Piece, ty: PgType) -> SqlResult<Piece> {
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
    pub(super) fn convert(&mut self, piece: Piece, how: Cast) -> SqlResult<Piece> {
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

    pub(super) fn convert_literal(&self, text: &str, how: Cast) -> SqlResult<Piece> {
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
    pub(super) fn as_text(&mut self, piece: Piece) -> SqlResult<Piece> {
        if piece.ty.is_text() && !piece.is_open() {
            Ok(piece)
        } else {
            self.coerce(piece, PgType::TEXT)
        }
    }

    /// The type both pieces can be compared or united in, after open ones have taken the other's.
    pub(super) fn unite(&mut self, left: Piece, right: Piece) -> SqlResult<(Piece, Piece, PgType)> {
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
pub(super) fn common_type(left: PgType, right: PgType) -> SqlResult<PgType> {
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
pub(super) fn plain_oid(ty: PgType) -> PgType {
    if ty.is_name_by_oid() {
        Scalar::Oid.into()
    } else {
        ty
    }
}

pub(super) fn no_operator(operator: &str, left: PgType, right: PgType) -> SqlError {
    let message = format!(
        "operator does not exist: {} {operator} {}",
        left.sql_name(),
        right.sql_name()
    );
    SqlError::new("42883", message)
}

/// Whether the stored form of the piece is one of the target already.
pub(super) fn is_same_stored(piece: &Piece, how: Cast) -> bool {
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
pub(super) fn name_of(sql: &str, ty: PgType) -> String {
    format!("pf_name_of({sql},{})", ty.oid())
}

/// The whole query with the names of its oids in place of them, as the client reads them.
pub(super) fn with_names(sql: String, outputs: Vec<Output>) -> (String, Vec<Output>) {
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

pub(super) fn cast_call(sql: &str, how: Cast) -> String {
    format!(
        "pf_cast({sql},{},{},{},{})",
        how.from.oid(),
        how.to.oid(),
        how.modifier,
        i32::from(how.explicit)
    )
}

/// Converts a number as it was written.
pub(super) fn fold_number(text: &str, how: Cast) -> SqlResult<Piece> {
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

pub(super) fn value_of_float(text: &str) -> SqlResult<Value> {
    read_text(text, PgType::FLOAT8)
}

/// A stored value as the engine's SQL writes it.
pub(super) fn literal(value: &Value) -> String {
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
