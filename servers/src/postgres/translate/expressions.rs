//! Expressions: every form of the syntax tree that is known, each handed to the function that translates it.
//!
//! Operators are in `operators.rs`, function calls in `calls.rs`, subqueries in `queries.rs`. The hint is the type
//! that the place of the expression suggests; only literals and parameters without a type of their own follow it.

use sqlparser::ast::{
    AccessExpr, CaseWhen, DataType, Expr, Interval, Query, Subscript, TrimWhereField, UnaryOperator,
};

use super::super::casts::Cast;
use super::super::datetime;
use super::super::error::{SqlError, SqlResult};
use super::super::schema::{fold, fold_parts};
use super::super::types::{PgType, Scalar, declared};
use super::conversions::common_type;
use super::terms::number;
use super::{Form, Piece, Translator, quote_text};

impl Translator<'_> {
    /// Translates `expr`; an open literal or parameter takes the type of `hint`.
    pub(super) fn expr(&mut self, expr: &Expr, hint: Option<PgType>) -> SqlResult<Piece> {
        let piece = self.deeper(|translator| translator.open_expr(expr, hint))?;
        match hint {
            Some(hint) => self.settle(piece, hint),
            None => Ok(piece),
        }
    }

    /// A condition: an expression that has to be a boolean.
    pub(super) fn condition_of(&mut self, expr: &Expr, place: &str) -> SqlResult<Piece> {
        let piece = self.expr(expr, Some(PgType::BOOL))?;
        if piece.ty != PgType::BOOL && piece.form != Form::Null {
            let message = format!(
                "argument of {place} must be type boolean, not type {}",
                piece.ty.sql_name()
            );
            return Err(SqlError::new("42804", message));
        }
        Ok(piece)
    }

    fn open_expr(&mut self, expr: &Expr, hint: Option<PgType>) -> SqlResult<Piece> {
        match expr {
            Expr::Identifier(ident) => self.identifier(ident),
            Expr::CompoundIdentifier(parts) => self.compound_identifier(parts),
            Expr::Value(value) => self.value(&value.value),
            Expr::Nested(inner) => {
                let piece = self.expr(inner, hint)?;
                let simple = !matches!(piece.form, Form::Other);
                let sql = if simple {
                    piece.sql.clone()
                } else {
                    format!("({})", piece.sql)
                };
                Ok(Piece { sql, ..piece })
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, hint),
            Expr::UnaryOp { op, expr } => self.unary(op, expr, hint),
            Expr::IsNull(inner) => self.test(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.test(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.test_truth(inner, "IS TRUE"),
            Expr::IsNotTrue(inner) => self.test_truth(inner, "IS NOT TRUE"),
            Expr::IsFalse(inner) => self.test_truth(inner, "IS FALSE"),
            Expr::IsNotFalse(inner) => self.test_truth(inner, "IS NOT FALSE"),
            Expr::IsUnknown(inner) => self.test_truth(inner, "IS NULL"),
            Expr::IsNotUnknown(inner) => self.test_truth(inner, "IS NOT NULL"),
            Expr::IsDistinctFrom(left, right) => {
                self.compare(left, "IS NOT", right, "IS DISTINCT FROM")
            }
            Expr::IsNotDistinctFrom(left, right) => {
                self.compare(left, "IS", right, "IS NOT DISTINCT FROM")
            }
            Expr::InList {
                expr,
                list,
                negated,
            } => self.in_list(expr, list, *negated),
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => self.in_subquery(expr, subquery, *negated),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => self.between(expr, low, high, *negated),
            Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like("pf_like", expr, pattern, escape_char.as_deref(), *negated),
            Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like("pf_ilike", expr, pattern, escape_char.as_deref(), *negated),
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => self.quantified(left, compare_op, right, true),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified(left, compare_op, right, false),
            Expr::Cast {
                expr,
                data_type,
                format: None,
                ..
            } => self.explicit_cast(expr, data_type),
            Expr::TypedString(typed) => {
                let ty = declared(&typed.data_type)?;
                let text = typed.value.value.clone().into_string();
                let text = text.ok_or_else(|| SqlError::unsupported("this literal"))?;
                let how = Cast {
                    from: ty.ty,
                    to: ty.ty,
                    modifier: ty.modifier,
                    explicit: true,
                };
                self.convert_literal(&text, how)
            }
            Expr::Function(function) => self.call(function, hint),
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref(), hint),
            Expr::Exists { subquery, negated } => {
                let (sql, _) = self.query(subquery)?;
                Ok(Piece::new(
                    format!("{}EXISTS({sql})", not(*negated)),
                    PgType::BOOL,
                ))
            }
            Expr::Subquery(query) => self.scalar_subquery(query),
            Expr::Array(array) => self.array(&array.elem, hint),
            Expr::Extract { field, expr, .. } => {
                let of = self.expr(expr, Some(Scalar::Timestamptz.into()))?;
                let field = field.to_string().to_lowercase();
                let sql = format!("pf_extract('{field}',{},{})", of.sql, of.ty.oid());
                let number = format!("pf_cast({sql},701,1700,-1,1)");
                // What is counted in seconds has all six places of a moment.
                let with_places =
                    of.ty.scalar != Scalar::Date && ["epoch", "second"].contains(&field.as_str());
                let sql = if with_places {
                    format!("pf_numeric_round('round',{number},6)")
                } else {
                    number
                };
                Ok(Piece::new(sql, PgType::NUMERIC))
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => self.at_time_zone(timestamp, time_zone),
            Expr::Position { expr, r#in } => {
                let (part, whole) = (self.text_of(expr)?, self.text_of(r#in)?);
                Ok(Piece::new(format!("instr({whole},{part})"), PgType::INT4))
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                let mut sql = format!("pf_substr({}", self.text_of(expr)?);
                let from = substring_from
                    .as_ref()
                    .map(|from| self.expr(from, Some(PgType::INT4)))
                    .transpose()?;
                sql = format!("{sql},{}", from.map_or("1".into(), |from| from.sql));
                if let Some(length) = substring_for {
                    sql = format!("{sql},{}", self.expr(length, Some(PgType::INT4))?.sql);
                }
                Ok(Piece::new(format!("{sql})"), PgType::TEXT))
            }
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let what = trim_what
                    .as_deref()
                    .or(trim_characters.as_ref().and_then(|list| list.first()));
                self.trim(*trim_where, what, expr)
            }
            Expr::Ceil { expr, .. } => self.rounded("ceil", expr),
            Expr::Floor { expr, .. } => self.rounded("floor", expr),
            // A collation orders texts; there is one order here, by code point.
            Expr::Collate { expr, .. } => self.expr(expr, hint),
            Expr::Interval(interval) => self.interval(interval),
            Expr::Tuple(items) => self.row(items),
            Expr::CompoundFieldAccess { root, access_chain } => self.element(root, access_chain),
            other => Err(SqlError::unsupported(format_args!(
                "the expression {}",
                super::first_words(&other.to_string())
            ))),
        }
    }

    /// The expression as a text.
    pub(super) fn text_of(&mut self, expr: &Expr) -> SqlResult<String> {
        let piece = self.expr(expr, Some(PgType::TEXT))?;
        Ok(self.as_text(piece)?.sql)
    }

    fn unary(&mut self, op: &UnaryOperator, expr: &Expr, hint: Option<PgType>) -> SqlResult<Piece> {
        match op {
            UnaryOperator::Not => {
                let piece = self.condition_of(expr, "NOT")?;
                Ok(Piece::new(format!("(NOT {})", piece.sql), PgType::BOOL))
            }
            UnaryOperator::Plus => self.expr(expr, hint),
            UnaryOperator::Minus => {
                let piece = self.expr(expr, hint)?;
                match &piece.form {
                    Form::Number(text) => Ok(number(&format!("-{text}"))),
                    _ if piece.ty.is_numeric() => Ok(Piece::new(
                        format!("pf_numeric('-','0',{})", piece.sql),
                        PgType::NUMERIC,
                    )),
                    _ if piece.ty.scalar == Scalar::Interval => Ok(Piece::new(
                        format!("pf_interval_times({},-1)", piece.sql),
                        piece.ty,
                    )),
                    _ => Ok(Piece::new(format!("(-{})", piece.sql), piece.ty)),
                }
            }
            UnaryOperator::BitwiseNot => {
                let piece = self.expr(expr, hint)?;
                Ok(Piece::new(format!("(~{})", piece.sql), piece.ty))
            }
            other => Err(SqlError::unsupported(format_args!("the operator {other}"))),
        }
    }

    fn test(&mut self, inner: &Expr, test: &str) -> SqlResult<Piece> {
        let piece = self.expr(inner, None)?;
        let piece = self.settle(piece, PgType::TEXT)?;
        Ok(Piece::new(format!("({} {test})", piece.sql), PgType::BOOL))
    }

    fn test_truth(&mut self, inner: &Expr, test: &str) -> SqlResult<Piece> {
        let piece = self.condition_of(inner, test)?;
        Ok(Piece::new(format!("({} {test})", piece.sql), PgType::BOOL))
    }

    fn between(&mut self, expr: &Expr, low: &Expr, high: &Expr, negated: bool) -> SqlResult<Piece> {
        let above = self.compare(expr, ">=", low, ">=")?;
        let below = self.compare(expr, "<=", high, "<=")?;
        Ok(Piece::new(
            format!("({}({} AND {}))", not(negated), above.sql, below.sql),
            PgType::BOOL,
        ))
    }

    fn like(
        &mut self,
        function: &str,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
    ) -> SqlResult<Piece> {
        let (text, pattern) = (self.text_of(expr)?, self.text_of(pattern)?);
        let escape = match escape {
            Some(escape) => self.text_of(escape)?,
            None => "'\\'".into(),
        };
        Ok(Piece::new(
            format!("({}{function}({text},{pattern},{escape}))", not(negated)),
            PgType::BOOL,
        ))
    }

    fn explicit_cast(&mut self, expr: &Expr, data_type: &DataType) -> SqlResult<Piece> {
        let ty = declared(data_type)?;
        let piece = self.expr(expr, None)?;
        // A cast decides the type of a parameter; its length then holds for the value.
        self.convert(
            piece,
            Cast {
                from: ty.ty,
                to: ty.ty,
                modifier: ty.modifier,
                explicit: true,
            },
        )
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        hint: Option<PgType>,
    ) -> SqlResult<Piece> {
        let results: Vec<&Expr> = conditions
            .iter()
            .map(|when| &when.result)
            .chain(otherwise)
            .collect();
        let (pieces, ty) = self.united(&results, hint)?;
        let mut sql = "CASE".to_owned();
        for (when, result) in conditions.iter().zip(&pieces) {
            let condition = match operand {
                Some(operand) => self.compare(operand, "=", &when.condition, "=")?,
                None => self.condition_of(&when.condition, "CASE/WHEN")?,
            };
            sql = format!("{sql} WHEN {} THEN {}", condition.sql, result.sql);
        }
        if otherwise.is_some() {
            sql = format!("{sql} ELSE {}", pieces[pieces.len() - 1].sql);
        }
        Ok(Piece::new(format!("{sql} END"), ty))
    }

    /// Expressions of which one is chosen when the statement runs: all in one type.
    pub(super) fn united(
        &mut self,
        exprs: &[&Expr],
        hint: Option<PgType>,
    ) -> SqlResult<(Vec<Piece>, PgType)> {
        let mut pieces = Vec::with_capacity(exprs.len());
        let mut ty = PgType::UNKNOWN;
        for expr in exprs {
            let piece = self.expr(expr, None)?;
            ty = common_type(ty, piece.ty)?;
            pieces.push(piece);
        }
        if ty.is_unknown() {
            ty = hint.unwrap_or(PgType::TEXT);
        }
        let pieces = pieces
            .into_iter()
            .map(|piece| self.coerce(piece, ty))
            .collect::<SqlResult<_>>()?;
        Ok((pieces, ty))
    }

    fn scalar_subquery(&mut self, query: &Query) -> SqlResult<Piece> {
        let (sql, outputs) = self.query(query)?;
        match outputs.as_slice() {
            [output] => {
                let ty = if output.ty.is_unknown() {
                    PgType::TEXT
                } else {
                    output.ty
                };
                Ok(Piece {
                    modifier: output.modifier,
                    ..Piece::new(format!("({sql})"), ty)
                })
            }
            _ => Err(SqlError::new(
                "42601",
                "subquery must return only one column",
            )),
        }
    }

    fn array(&mut self, items: &[Expr], hint: Option<PgType>) -> SqlResult<Piece> {
        let element_hint = hint
            .filter(|hint| hint.is_array)
            .map(|hint| hint.scalar.into());
        let items: Vec<&Expr> = items.iter().collect();
        let (pieces, ty) = self.united(&items, element_hint)?;
        let list: Vec<String> = pieces
            .iter()
            .map(|piece| array_element(&piece.sql, ty))
            .collect();
        Ok(Piece::new(
            format!("json_array({})", list.join(",")),
            PgType::array(ty.scalar),
        ))
    }

    fn at_time_zone(&mut self, timestamp: &Expr, zone: &Expr) -> SqlResult<Piece> {
        let zone = self.expr(zone, None)?;
        let utc = matches!(&zone.form, Form::Literal(name) if super::super::settings::is_utc(name));
        if !utc {
            return Err(SqlError::unsupported("a time zone other than UTC"));
        }
        let piece = self.expr(timestamp, Some(Scalar::Timestamptz.into()))?;
        let ty = if piece.ty.scalar == Scalar::Timestamptz {
            Scalar::Timestamp
        } else {
            Scalar::Timestamptz
        };
        let piece = self.coerce(piece, Scalar::Timestamptz.into())?;
        Ok(Piece {
            ty: ty.into(),
            ..piece
        })
    }

    fn trim(
        &mut self,
        side: Option<TrimWhereField>,
        what: Option<&Expr>,
        expr: &Expr,
    ) -> SqlResult<Piece> {
        let function = match side {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "trim",
        };
        let text = self.text_of(expr)?;
        let what = what
            .map(|what| self.text_of(what))
            .transpose()?
            .unwrap_or("' '".into());
        Ok(Piece::new(
            format!("{function}({text},{what})"),
            PgType::TEXT,
        ))
    }

    fn interval(&mut self, interval: &Interval) -> SqlResult<Piece> {
        let text = match interval.value.as_ref() {
            Expr::Value(value) => value.value.clone().into_string(),
            _ => None,
        };
        let text = text.ok_or_else(|| SqlError::unsupported("an interval that is no literal"))?;
        let unit = interval
            .leading_field
            .as_ref()
            .map(|field| format!(" {field}"))
            .unwrap_or_default();
        let parsed = datetime::Interval::parse(&format!("{text}{unit}"))?;
        Ok(Piece::new(quote_text(&parsed.to_text()), Scalar::Interval))
    }

    /// A row, for comparisons of several columns at once.
    fn row(&mut self, items: &[Expr]) -> SqlResult<Piece> {
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            let piece = self.expr(item, None)?;
            list.push(self.settle(piece, PgType::TEXT)?.sql);
        }
        Ok(Piece::new(format!("({})", list.join(",")), PgType::UNKNOWN))
    }

    fn element(&mut self, root: &Expr, chain: &[AccessExpr]) -> SqlResult<Piece> {
        // `alias.column` of a quoted name can come as a chain of dots too.
        if let (Expr::Identifier(table), [AccessExpr::Dot(Expr::Identifier(column))]) =
            (root, chain)
        {
            return self.find_column(Some(&fold(table)), &fold(column));
        }
        let array = self.expr(root, None)?;
        match chain {
            [AccessExpr::Subscript(Subscript::Index { index })] if array.ty.is_array => {
                let index = self.expr(index, Some(PgType::INT4))?;
                let sql = format!("json_extract({},'$['||({}-1)||']')", array.sql, index.sql);
                Ok(Piece::new(sql, array.ty.scalar))
            }
            _ => Err(SqlError::unsupported("this access to a part of a value")),
        }
    }

    /// The last part of a function's name, without `pg_catalog.` before it.
    pub(super) fn function_name(name: &sqlparser::ast::ObjectName) -> SqlResult<String> {
        let mut parts = fold_parts(name)?;
        Ok(parts.pop().unwrap_or_default())
    }
}

/// An element as `json_array` has to get it: blobs it refuses.
pub(super) fn array_element(sql: &str, ty: PgType) -> String {
    if ty.scalar == Scalar::Bytea {
        format!("lower(hex({sql}))")
    } else {
        sql.to_owned()
    }
}

pub(super) fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}
