//! Aggregates: from the rows of a group to one value, also over a window.

use super::super::error::{SqlError, SqlResult};
use super::super::types::{PgType, Scalar};
use super::calls::Call;
use super::expressions::array_element;
use super::{Piece, Translator};

impl Translator<'_> {
    pub(super) fn aggregate(&mut self, call: &Call<'_>) -> SqlResult<Option<Piece>> {
        use Scalar::{Int2, Int4, Int8, Json, Jsonb};
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let write = |name: &str, arguments: &str, ty: PgType| {
            Piece::new(
                format!("{name}({distinct}{arguments}{}){}", call.order, call.suffix),
                ty,
            )
        };
        if call.name == "count" && call.star {
            return Ok(Some(Piece {
                not_null: true,
                ..write("count", "*", PgType::INT8)
            }));
        }
        const NAMES: [&str; 14] = [
            "count",
            "sum",
            "avg",
            "min",
            "max",
            "bool_and",
            "bool_or",
            "every",
            "string_agg",
            "array_agg",
            "json_agg",
            "jsonb_agg",
            "lag",
            "lead",
        ];
        let (true, Some(first)) = (NAMES.contains(&call.name.as_str()), call.arguments.first())
        else {
            return Ok(None);
        };
        let piece = self.expr(first, None)?;
        let piece = self.settle(piece, PgType::TEXT)?;
        let ty = piece.ty;
        Ok(Some(match call.name.as_str() {
            "count" => write("count", &piece.sql, PgType::INT8),
            "sum" if matches!(ty.scalar, Int2 | Int4) => write("sum", &piece.sql, PgType::INT8),
            "sum" if ty.is_float() => write("sum", &piece.sql, ty),
            "sum" if ty.scalar == Int8 || ty.is_numeric() => {
                write("pf_sum", &piece.sql, PgType::NUMERIC)
            }
            "avg" if ty.is_float() => write("avg", &piece.sql, PgType::FLOAT8),
            "avg" if ty.is_number() => write("pf_avg", &piece.sql, PgType::NUMERIC),
            "min" | "max" if ty.is_numeric() => {
                write(&call.name, &format!("{} COLLATE pf_numeric", piece.sql), ty)
            }
            "min" | "max" if ty != Scalar::Json.into() => write(&call.name, &piece.sql, ty),
            "bool_and" | "every" => write("min", &piece.sql, PgType::BOOL),
            "bool_or" => write("max", &piece.sql, PgType::BOOL),
            "string_agg" => {
                let separator = match call.arguments.get(1) {
                    Some(separator) => self.text_of(separator)?,
                    None => return Ok(None),
                };
                let text = self.as_text(piece)?.sql;
                // With DISTINCT the engine takes one argument only, and separates with a comma.
                if call.distinct && separator == "','" {
                    return Ok(Some(write("group_concat", &text, PgType::TEXT)));
                }
                write("group_concat", &format!("{text},{separator}"), PgType::TEXT)
            }
            "array_agg" => {
                let of = write(
                    "json_group_array",
                    &array_element(&piece.sql, ty),
                    PgType::array(ty.scalar),
                );
                Piece {
                    sql: format!("nullif({},'[]')", of.sql),
                    ..of
                }
            }
            "json_agg" | "jsonb_agg" => {
                let inner = if matches!(ty.scalar, Json | Jsonb) {
                    format!("json({})", piece.sql)
                } else {
                    piece.sql
                };
                let of = write(
                    "json_group_array",
                    &inner,
                    if call.name == "json_agg" {
                        Json.into()
                    } else {
                        Jsonb.into()
                    },
                );
                Piece {
                    sql: format!("pf_json_normal(nullif({},'[]'))", of.sql),
                    ..of
                }
            }
            "lag" | "lead" => {
                let rest: SqlResult<Vec<String>> = call.arguments[1..]
                    .iter()
                    .map(|expr| Ok(self.expr(expr, Some(ty))?.sql))
                    .collect();
                write(&call.name, &[vec![piece.sql], rest?].concat().join(","), ty)
            }
            _ => {
                let message = format!("function {}({}) does not exist", call.name, ty.sql_name());
                return Err(SqlError::new("42883", message));
            }
        }))
    }
}
