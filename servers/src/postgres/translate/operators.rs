//! Operators: which types they take, and the engine's SQL for each.
//!
//! Where the engine computes as PostgreSQL does its own operator is used, so that it can use an index; where it does
//! not (exact numbers, division by zero, moments, JSON, patterns) one of the functions of `functions.rs` is called.

use sqlparser::ast::{BinaryOperator, Expr, Query};

use super::super::error::{SqlError, SqlResult};
use super::super::types::{PgType, Scalar};
use super::conversions::no_operator;
use super::expressions::{array_element, not};
use super::{Form, Piece, Translator};

impl Translator<'_> {
    pub(super) fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        hint: Option<PgType>,
    ) -> SqlResult<Piece> {
        use BinaryOperator as B;
        let symbol = symbol_of(op);
        match op {
            B::And | B::Or => self.logical(left, op, right),
            B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq => {
                self.compare(left, &symbol, right, &symbol)
            }
            B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo => {
                self.arithmetic(left, &symbol, right, hint)
            }
            B::StringConcat => self.concatenate(left, right),
            B::BitwiseAnd | B::BitwiseOr | B::PGBitwiseShiftLeft | B::PGBitwiseShiftRight => {
                let (left, right, ty) = self.both(left, right, hint)?;
                Ok(Piece::new(
                    format!("({} {symbol} {})", left.sql, right.sql),
                    ty,
                ))
            }
            B::PGExp => {
                let (left, right) = (
                    self.expr(left, Some(PgType::FLOAT8))?,
                    self.expr(right, Some(PgType::FLOAT8))?,
                );
                let (left, right) = (
                    self.coerce(left, PgType::FLOAT8)?,
                    self.coerce(right, PgType::FLOAT8)?,
                );
                Ok(Piece::new(
                    format!("pow({},{})", left.sql, right.sql),
                    PgType::FLOAT8,
                ))
            }
            _ => self.special(left, &symbol, right),
        }
    }

    fn special(&mut self, left: &Expr, symbol: &str, right: &Expr) -> SqlResult<Piece> {
        let call = |name: &str, left: &str, right: &str, ty: PgType| {
            Piece::new(format!("{name}({left},{right})"), ty)
        };
        match symbol {
            "~" | "~*" | "!~" | "!~*" => {
                let (text, pattern) = (self.text_of(left)?, self.text_of(right)?);
                let fold = i32::from(symbol.ends_with('*'));
                let sql = format!(
                    "({}pf_regex({text},{pattern},{fold}))",
                    not(symbol.starts_with('!'))
                );
                Ok(Piece::new(sql, PgType::BOOL))
            }
            "~~" | "!~~" | "~~*" | "!~~*" => {
                let (text, pattern) = (self.text_of(left)?, self.text_of(right)?);
                let function = if symbol.ends_with('*') {
                    "pf_ilike"
                } else {
                    "pf_like"
                };
                let sql = format!(
                    "({}{function}({text},{pattern},'\\'))",
                    not(symbol.starts_with('!'))
                );
                Ok(Piece::new(sql, PgType::BOOL))
            }
            "->" | "->>" => {
                let json = self.expr(left, Some(Scalar::Jsonb.into()))?;
                let key = self.expr(right, None)?;
                let key = self.settle(key, PgType::TEXT)?;
                let (name, ty) = if symbol == "->" {
                    ("pf_json_get", json.ty)
                } else {
                    ("pf_json_text", PgType::TEXT)
                };
                Ok(call(name, &json.sql, &key.sql, ty))
            }
            "#>" | "#>>" => {
                let json = self.expr(left, Some(Scalar::Jsonb.into()))?;
                let path = self.expr(right, Some(PgType::array(Scalar::Text)))?;
                let (name, ty) = if symbol == "#>" {
                    ("pf_json_path", json.ty)
                } else {
                    ("pf_json_path_text", PgType::TEXT)
                };
                Ok(call(name, &json.sql, &path.sql, ty))
            }
            "?" => {
                let json = self.expr(left, Some(Scalar::Jsonb.into()))?;
                let key = self.text_of(right)?;
                Ok(call("pf_json_has", &json.sql, &key, PgType::BOOL))
            }
            "@>" | "<@" => {
                let (outer, inner) = if symbol == "@>" {
                    (left, right)
                } else {
                    (right, left)
                };
                let (outer, inner, _) = self.both(outer, inner, Some(Scalar::Jsonb.into()))?;
                Ok(call(
                    "pf_json_contains",
                    &outer.sql,
                    &inner.sql,
                    PgType::BOOL,
                ))
            }
            _ => {
                let (left, right) = (self.expr(left, None)?, self.expr(right, None)?);
                Err(no_operator(symbol, left.ty, right.ty))
            }
        }
    }

    /// A chain of AND or of OR is as long as a program writes it, so it is walked without recursion.
    fn logical(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> SqlResult<Piece> {
        let place = if *op == BinaryOperator::And {
            "AND"
        } else {
            "OR"
        };
        let mut parts = vec![right];
        let mut rest = left;
        while let Expr::BinaryOp {
            left,
            op: inner,
            right,
        } = rest
        {
            if inner != op {
                break;
            }
            parts.push(right);
            rest = left;
        }
        parts.push(rest);
        let parts: SqlResult<Vec<String>> = parts
            .into_iter()
            .rev()
            .map(|part| Ok(self.condition_of(part, place)?.sql))
            .collect();
        Ok(Piece::new(balanced(&parts?, place), PgType::BOOL))
    }

    /// Both sides, in the type in which they can meet.
    fn both(
        &mut self,
        left: &Expr,
        right: &Expr,
        hint: Option<PgType>,
    ) -> SqlResult<(Piece, Piece, PgType)> {
        let (left, right) = (self.expr(left, None)?, self.expr(right, None)?);
        let (left, right) = match hint {
            Some(hint) if left.is_open() && right.is_open() => {
                (self.settle(left, hint)?, self.settle(right, hint)?)
            }
            _ => (left, right),
        };
        let (left, right, ty) = self.unite(left, right)?;
        Ok((self.coerce(left, ty)?, self.coerce(right, ty)?, ty))
    }

    /// A comparison; `symbol` is the engine's operator and `name` PostgreSQL's.
    pub(super) fn compare(
        &mut self,
        left: &Expr,
        symbol: &str,
        right: &Expr,
        name: &str,
    ) -> SqlResult<Piece> {
        let (left, right) = (self.expr(left, None)?, self.expr(right, None)?);
        let is_row = |piece: &Piece| piece.ty.is_unknown() && piece.form == Form::Other;
        if is_row(&left) || is_row(&right) {
            return Ok(Piece::new(
                format!("({} {symbol} {})", left.sql, right.sql),
                PgType::BOOL,
            ));
        }
        self.compare_pieces(left, symbol, right, name)
    }

    fn compare_pieces(
        &mut self,
        left: Piece,
        symbol: &str,
        right: Piece,
        name: &str,
    ) -> SqlResult<Piece> {
        let types = (left.ty, right.ty);
        let (left, right, ty) = self
            .unite(left, right)
            .map_err(|error| renamed(error, name, types))?;
        if ty.scalar == Scalar::Json && !ty.is_array {
            return Err(no_operator(name, ty, ty));
        }
        let is_padded = |piece: &Piece| piece.ty == Scalar::Bpchar.into();
        let is_computed = |piece: &Piece| piece.form != Form::Column;
        // Blanks at the end of a `char` do not count; a column of that type says so itself.
        let blind =
            (is_padded(&left) || is_padded(&right)) && is_computed(&left) && is_computed(&right);
        let collation = if blind { " COLLATE RTRIM" } else { "" };
        let (left, right) = (self.comparable(left, ty)?, self.comparable(right, ty)?);
        Ok(Piece::new(
            format!("({left}{collation} {symbol} {right})"),
            PgType::BOOL,
        ))
    }

    /// The engine's SQL of a piece whose order is that of `ty`.
    fn comparable(&mut self, piece: Piece, ty: PgType) -> SqlResult<String> {
        // Integers compare with floats as they are, and an index on them stays of use.
        if ty.is_float() && piece.ty.is_integer() {
            return Ok(piece.sql);
        }
        let is_column = piece.form == Form::Column && piece.ty == ty;
        let sql = self.coerce(piece, ty)?.sql;
        if ty == Scalar::Interval.into() {
            return Ok(format!("pf_interval_length({sql})"));
        }
        Ok(if ty.is_numeric() && !is_column {
            format!("{sql} COLLATE pf_numeric")
        } else {
            sql
        })
    }

    fn arithmetic(
        &mut self,
        left: &Expr,
        symbol: &str,
        right: &Expr,
        hint: Option<PgType>,
    ) -> SqlResult<Piece> {
        let (left, right) = (self.expr(left, None)?, self.expr(right, None)?);
        if let Some(moment) = self.moments(&left, symbol, &right)? {
            return Ok(moment);
        }
        let number_hint = hint.filter(|hint| hint.is_number()).unwrap_or(PgType::INT4);
        let (left, right) = match left.is_open() && right.is_open() {
            true => (
                self.settle(left, number_hint)?,
                self.settle(right, number_hint)?,
            ),
            false => (left, right),
        };
        let types = (left.ty, right.ty);
        let (left, right, ty) = self
            .unite(left, right)
            .map_err(|error| renamed(error, symbol, types))?;
        if !ty.is_number() {
            return Err(no_operator(symbol, types.0, types.1));
        }
        let divisor_is_safe = matches!(&right.form, Form::Number(text) if text.parse() != Ok(0.0));
        let (left, right) = (self.coerce(left, ty)?.sql, self.coerce(right, ty)?.sql);
        let sql = match symbol {
            _ if ty.is_numeric() => format!("pf_numeric('{symbol}',{left},{right})"),
            "/" | "%" if !divisor_is_safe => format!("pf_divide('{symbol}',{left},{right})"),
            "%" if ty.is_float() => return Err(no_operator("%", ty, ty)),
            _ => format!("({left} {symbol} {right})"),
        };
        Ok(Piece::new(sql, ty))
    }

    /// Arithmetic with dates, timestamps and intervals, if that is what it is.
    fn moments(&mut self, left: &Piece, symbol: &str, right: &Piece) -> SqlResult<Option<Piece>> {
        use Scalar::{Date, Interval, Time, Timestamp, Timestamptz};
        let is = |piece: &Piece, scalars: &[Scalar]| {
            !piece.ty.is_array && scalars.contains(&piece.ty.scalar)
        };
        const MOMENTS: [Scalar; 3] = [Date, Timestamp, Timestamptz];
        if symbol == "+" && is(right, &MOMENTS) && !is(left, &MOMENTS) {
            return self.moments(&right.clone(), symbol, &left.clone());
        }
        if is(left, &[Interval]) && is(right, &[Interval]) && matches!(symbol, "+" | "-") {
            let sql = format!("pf_interval_add({},{},{symbol}1)", left.sql, right.sql);
            return Ok(Some(Piece::new(sql, Interval)));
        }
        if is(left, &[Interval]) && right.ty.is_integer() && symbol == "*" {
            return Ok(Some(Piece::new(
                format!("pf_interval_times({},{})", left.sql, right.sql),
                Interval,
            )));
        }
        if !is(left, &MOMENTS) || !matches!(symbol, "+" | "-") {
            let strange = is(left, &[Interval, Time]) || is(right, &[Interval, Time]);
            return if strange {
                Err(no_operator(symbol, left.ty, right.ty))
            } else {
                Ok(None)
            };
        }
        if is(right, &[Interval]) {
            let moment = self.coerce(
                left.clone(),
                if is(left, &[Date]) {
                    Timestamp.into()
                } else {
                    left.ty
                },
            )?;
            let sql = format!("pf_moment_add({},{},{symbol}1)", moment.sql, right.sql);
            return Ok(Some(Piece::new(sql, moment.ty)));
        }
        if is(left, &[Date]) && right.ty.is_integer() {
            return Ok(Some(Piece::new(
                format!("({} {symbol} {})", left.sql, right.sql),
                Date,
            )));
        }
        if symbol == "+" {
            return Err(no_operator(symbol, left.ty, right.ty));
        }
        let right = self.settle(right.clone(), left.ty)?;
        if is(left, &[Date]) && is(&right, &[Date]) {
            return Ok(Some(Piece::new(
                format!("({} - {})", left.sql, right.sql),
                PgType::INT4,
            )));
        }
        let (left, right) = (
            self.coerce(left.clone(), Timestamp.into())?,
            self.coerce(right, Timestamp.into())?,
        );
        Ok(Some(Piece::new(
            format!("pf_moment_between({},{})", left.sql, right.sql),
            Interval,
        )))
    }

    fn concatenate(&mut self, left: &Expr, right: &Expr) -> SqlResult<Piece> {
        let (left, right) = (self.expr(left, None)?, self.expr(right, None)?);
        if left.ty.is_array || right.ty.is_array {
            let ty = if left.ty.is_array { left.ty } else { right.ty };
            let (left, right) = (self.settle(left, ty)?, self.settle(right, ty)?);
            return Ok(Piece::new(
                format!("pf_array_cat({},{})", left.sql, right.sql),
                ty,
            ));
        }
        if left.ty.scalar == Scalar::Jsonb || right.ty.scalar == Scalar::Jsonb {
            let (left, right) = (
                self.coerce(left, Scalar::Jsonb.into())?,
                self.coerce(right, Scalar::Jsonb.into())?,
            );
            return Ok(Piece::new(
                format!("pf_json_cat({},{})", left.sql, right.sql),
                Scalar::Jsonb,
            ));
        }
        if left.ty.scalar == Scalar::Bytea && right.ty.scalar == Scalar::Bytea {
            return Ok(Piece::new(
                format!("CAST({} || {} AS BLOB)", left.sql, right.sql),
                Scalar::Bytea,
            ));
        }
        let (left, right) = (self.as_text(left)?, self.as_text(right)?);
        Ok(Piece::new(
            format!("({} || {})", left.sql, right.sql),
            PgType::TEXT,
        ))
    }

    pub(super) fn in_list(
        &mut self,
        expr: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> SqlResult<Piece> {
        if matches!(expr, Expr::Tuple(_)) {
            let left = self.expr(expr, None)?;
            let rows: SqlResult<Vec<String>> = list
                .iter()
                .map(|row| Ok(self.expr(row, None)?.sql))
                .collect();
            let sql = format!(
                "({} {}IN (VALUES {}))",
                left.sql,
                not(negated),
                rows?.join(",")
            );
            return Ok(Piece::new(sql, PgType::BOOL));
        }
        let mut left = self.expr(expr, None)?;
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            let item = self.expr(item, None)?;
            let (united, item, ty) = self.unite(left, item)?;
            left = united;
            items.push(self.comparable(
                item,
                if left.ty.is_number() && !left.ty.is_numeric() {
                    ty
                } else {
                    left.ty
                },
            )?);
        }
        let ty = left.ty;
        let left = self.comparable(left, ty)?;
        Ok(Piece::new(
            format!("({left} {}IN ({}))", not(negated), items.join(",")),
            PgType::BOOL,
        ))
    }

    pub(super) fn in_subquery(
        &mut self,
        expr: &Expr,
        query: &Query,
        negated: bool,
    ) -> SqlResult<Piece> {
        let left = self.expr(expr, None)?;
        let (sql, outputs) = self.query(query)?;
        let left = match outputs.as_slice() {
            [output] => self.settle(left, output.ty)?,
            _ => left,
        };
        Ok(Piece::new(
            format!("({} {}IN ({sql}))", left.sql, not(negated)),
            PgType::BOOL,
        ))
    }

    /// `left op ANY (array)` and `left op ALL (array)`; over a subquery likewise.
    pub(super) fn quantified(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        any: bool,
    ) -> SqlResult<Piece> {
        let symbol = symbol_of(op);
        if let Expr::Subquery(query) = right {
            match (symbol.as_str(), any) {
                ("=", true) => return self.in_subquery(left, query, false),
                ("<>", false) => return self.in_subquery(left, query, true),
                _ => {
                    return Err(SqlError::unsupported(format_args!(
                        "{symbol} ANY or ALL over a subquery"
                    )));
                }
            }
        }
        let left = self.expr(left, None)?;
        let array_hint = (!left.ty.is_unknown()).then(|| PgType::array(left.ty.scalar));
        let array = self.expr(right, array_hint)?;
        let array = self.settle(array, PgType::array(Scalar::Text))?;
        if !array.ty.is_array {
            return Err(SqlError::new(
                "42809",
                "op ANY/ALL (array) requires array on right side",
            ));
        }
        let left = self.settle(left, array.ty.scalar.into())?;
        let elements = format!("SELECT value FROM json_each({})", array.sql);
        let left_sql = array_element(&left.sql, left.ty);
        match (symbol.as_str(), any) {
            ("=", true) if !left.ty.is_numeric() => Ok(Piece::new(
                format!("({left_sql} IN ({elements}))"),
                PgType::BOOL,
            )),
            ("<>", false) if !left.ty.is_numeric() => Ok(Piece::new(
                format!("({left_sql} NOT IN ({elements}))"),
                PgType::BOOL,
            )),
            _ => {
                let element = Piece::new("value", array.ty.scalar);
                let outer = Piece {
                    sql: left_sql,
                    ..left
                };
                let test = match symbol.as_str() {
                    "=" | "<>" | "<" | "<=" | ">" | ">=" => {
                        self.compare_pieces(outer, &symbol, element, &symbol)?.sql
                    }
                    "~~" => format!("pf_like({},value,'\\')", outer.sql),
                    "~~*" => format!("pf_ilike({},value,'\\')", outer.sql),
                    _ => return Err(SqlError::unsupported(format_args!("{symbol} ANY or ALL"))),
                };
                let aggregate = if any { "max" } else { "min" };
                let of_none = i32::from(!any);
                let sql = format!(
                    "coalesce((SELECT {aggregate}({test}) FROM json_each({})),{of_none})",
                    array.sql
                );
                Ok(Piece::new(sql, PgType::BOOL))
            }
        }
    }
}

/// The operator as PostgreSQL writes it; `OPERATOR(pg_catalog.~)` is `~`.
fn symbol_of(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        BinaryOperator::Custom(symbol) => symbol.clone(),
        other => other.to_string(),
    }
}

/// The error that two types have nothing in common, as the operator that wanted them together tells it; a literal that
/// is no value of the other side's type has told so itself.
fn renamed(error: SqlError, operator: &str, types: (PgType, PgType)) -> SqlError {
    if error.state() == "42883" {
        no_operator(operator, types.0, types.1)
    } else {
        error
    }
}

/// A chain as a balanced tree, since the engine bounds how deep an expression may be.
fn balanced(parts: &[String], operator: &str) -> String {
    match parts {
        [only] => only.clone(),
        parts => {
            let (left, right) = parts.split_at(parts.len() / 2);
            let (left, right) = (balanced(left, operator), balanced(right, operator));
            format!("({left} {operator} {right})")
        }
    }
}
