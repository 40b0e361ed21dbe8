//! Function calls: a table of the functions whose types are fixed, and one arm for each whose are not.
//!
//! A function's name in the engine begins with `pf_` where PostgreSQL and the engine differ; those are defined in
//! `functions.rs`. What is neither in the table nor has an arm does not exist (SQLSTATE 42883).

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Query, WindowType,
};

use super::super::error::{SqlError, SqlResult};
use super::super::schema::qualified_text;
use super::super::types::{PgType, Scalar};
use super::expressions::array_element;
use super::known::{BARE, FIXED, Fixed, WINDOW};
use super::{Form, Piece, Translator, quote_text};

/// What PostgreSQL answers to `version()`.
pub(crate) const VERSION: &str =
    "PostgreSQL 15.0 (Photofinish mock over an embedded engine in memory)";

/// A call with its parts checked.
pub(super) struct Call<'f> {
    pub(super) name: String,
    pub(super) arguments: Vec<&'f Expr>,
    pub(super) star: bool,
    pub(super) distinct: bool,
    pub(super) order: String,
    /// FILTER and OVER, as they follow the call.
    pub(super) suffix: String,
}

impl Translator<'_> {
    pub(super) fn call(&mut self, function: &Function, hint: Option<PgType>) -> SqlResult<Piece> {
        if let (FunctionArguments::Subquery(query), "array") = (
            &function.args,
            Self::function_name(&function.name)?.as_str(),
        ) {
            return self.array_of_query(query);
        }
        let call = self.parts(function)?;
        if let Some(piece) = self.aggregate(&call)? {
            return Ok(piece);
        }
        if let Some((name, result)) = WINDOW.into_iter().find(|(name, _)| *name == call.name) {
            let arguments = self.plain_arguments(&call)?;
            return Ok(Piece::new(
                format!("{name}({}){}", arguments.join(","), call.suffix),
                result,
            ));
        }
        if let Some(piece) = self.fixed_call(&call)? {
            return Ok(piece);
        }
        match self.flexible(&call, hint)? {
            Some(piece) => Ok(piece),
            None => self.bare_function(&call.name)?.ok_or_else(|| {
                let message = format!(
                    "function {}() with {} arguments does not exist",
                    call.name,
                    call.arguments.len()
                );
                SqlError::new("42883", message)
            }),
        }
    }

    fn array_of_query(&mut self, query: &Query) -> SqlResult<Piece> {
        let (sql, outputs) = self.query(query)?;
        let [output] = outputs.as_slice() else {
            return Err(SqlError::new(
                "42601",
                "subquery must return only one column",
            ));
        };
        let ty = if output.ty.is_unknown() {
            PgType::TEXT
        } else {
            output.ty
        };
        let column = array_element(&super::quote_name(&output.name), ty);
        Ok(Piece::new(
            format!("(SELECT json_group_array({column}) FROM ({sql}))"),
            PgType::array(ty.scalar),
        ))
    }

    fn parts<'f>(&mut self, function: &'f Function) -> SqlResult<Call<'f>> {
        let mut call = Call {
            name: Self::function_name(&function.name)?,
            arguments: Vec::new(),
            star: false,
            distinct: false,
            order: String::new(),
            suffix: String::new(),
        };
        match &function.args {
            FunctionArguments::None => (),
            FunctionArguments::Subquery(_) => {
                return Err(SqlError::unsupported("a subquery as argument list"));
            }
            FunctionArguments::List(list) => self.arguments(list, &mut call)?,
        }
        if !function.within_group.is_empty() || function.null_treatment.is_some() {
            return Err(SqlError::unsupported("WITHIN GROUP"));
        }
        if let Some(filter) = &function.filter {
            call.suffix = format!(
                " FILTER (WHERE {})",
                self.condition_of(filter, "FILTER")?.sql
            );
        }
        if let Some(over) = &function.over {
            call.suffix = format!("{} OVER {}", call.suffix, self.window(over)?);
        }
        Ok(call)
    }

    fn arguments<'f>(
        &mut self,
        list: &'f FunctionArgumentList,
        call: &mut Call<'f>,
    ) -> SqlResult<()> {
        call.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => call.arguments.push(expr),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => call.star = true,
                _ => return Err(SqlError::unsupported("a named argument")),
            }
        }
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(order) => {
                    call.order = format!(" ORDER BY {}", self.order_list(order)?)
                }
                _ => return Err(SqlError::unsupported("this clause in an argument list")),
            }
        }
        Ok(())
    }

    fn window(&mut self, window: &WindowType) -> SqlResult<String> {
        let WindowType::WindowSpec(spec) = window else {
            return Err(SqlError::unsupported("a named window"));
        };
        let mut sql = String::new();
        if !spec.partition_by.is_empty() {
            let parts: SqlResult<Vec<String>> = spec
                .partition_by
                .iter()
                .map(|expr| Ok(self.expr(expr, None)?.sql))
                .collect();
            sql = format!("PARTITION BY {} ", parts?.join(","));
        }
        if !spec.order_by.is_empty() {
            sql = format!("{sql}ORDER BY {} ", self.order_list(&spec.order_by)?);
        }
        if let Some(frame) = &spec.window_frame {
            // Bounds are words and whole numbers, which the engine reads as PostgreSQL does.
            let start = frame.start_bound.to_string();
            let frame = match &frame.end_bound {
                Some(end) => format!("{} BETWEEN {start} AND {end}", frame.units),
                None => format!("{} {start}", frame.units),
            };
            sql = format!("{sql}{frame}");
        }
        Ok(format!("({sql})"))
    }

    fn plain_arguments(&mut self, call: &Call<'_>) -> SqlResult<Vec<String>> {
        call.arguments
            .iter()
            .map(|expr| Ok(self.expr(expr, Some(PgType::INT4))?.sql))
            .collect()
    }

    fn fixed_call(&mut self, call: &Call<'_>) -> SqlResult<Option<Piece>> {
        let given = call.arguments.len();
        let fits = |fixed: &&Fixed| {
            fixed.name == call.name
                && given <= fixed.arguments.len()
                && given + fixed.optional >= fixed.arguments.len()
        };
        let Some(fixed) = FIXED.iter().find(fits) else {
            return Ok(None);
        };
        let mut list = Vec::with_capacity(given);
        for (expr, scalar) in call.arguments.iter().zip(fixed.arguments) {
            let piece = self.expr(expr, Some((*scalar).into()))?;
            list.push(self.coerce(piece, (*scalar).into())?.sql);
        }
        Ok(Some(Piece::new(
            format!("{}({})", fixed.engine, list.join(",")),
            fixed.result,
        )))
    }

    /// What a name without parentheses can be, other than a column.
    pub(super) fn bare_function(&mut self, name: &str) -> SqlResult<Option<Piece>> {
        let constant = |text: &str| {
            Ok(Some(Piece {
                not_null: true,
                ..Piece::new(quote_text(text), Scalar::Name)
            }))
        };
        match name {
            "current_user" | "session_user" | "user" | "current_role" => constant(&self.names.user),
            "current_catalog" | "current_database" => constant(&self.names.database),
            "current_schema" => match self
                .names
                .path
                .iter()
                .find(|schema| self.schema.namespaces.contains_key(*schema))
            {
                Some(schema) => constant(schema),
                None => Ok(Some(Piece::new("NULL", Scalar::Name))),
            },
            "version" => Ok(Some(Piece::new(quote_text(VERSION), PgType::TEXT))),
            _ if BARE.contains(&name) => {
                let fixed = FIXED.iter().find(|fixed| fixed.name == name);
                Ok(fixed.map(|fixed| Piece::new(format!("{}()", fixed.engine), fixed.result)))
            }
            _ => Ok(None),
        }
    }

    /// Functions whose types depend on their arguments.
    fn flexible(&mut self, call: &Call<'_>, hint: Option<PgType>) -> SqlResult<Option<Piece>> {
        let arguments = call.arguments.as_slice();
        Ok(Some(match (call.name.as_str(), arguments) {
            ("coalesce", [_, ..]) => {
                let (pieces, ty) = self.united(arguments, hint)?;
                if let [only] = pieces.as_slice() {
                    return Ok(Some(only.clone()));
                }
                let not_null = pieces.iter().any(|piece| piece.not_null);
                Piece {
                    not_null,
                    ..Piece::new(format!("coalesce({})", sqls(&pieces)), ty)
                }
            }
            ("nullif", [left, right]) => {
                let equal = self.compare(left, "=", right, "=")?;
                let value = self.expr(left, hint)?;
                let value = self.settle(value, PgType::TEXT)?;
                Piece::new(
                    format!("CASE WHEN {} THEN NULL ELSE {} END", equal.sql, value.sql),
                    value.ty,
                )
            }
            ("greatest" | "least", [_, ..]) => {
                let (pieces, ty) = self.united(arguments, hint)?;
                Piece::new(
                    format!(
                        "pf_{}({},{})",
                        call.name,
                        i32::from(ty.is_numeric()),
                        sqls(&pieces)
                    ),
                    ty,
                )
            }
            ("concat", _) => {
                let texts = self.output_texts(arguments)?;
                Piece::new(format!("concat('',{texts})"), PgType::TEXT)
            }
            ("concat_ws", [_, _, ..]) => {
                let texts = self.output_texts(arguments)?;
                Piece::new(format!("concat_ws({texts})"), PgType::TEXT)
            }
            ("length" | "char_length" | "character_length", [text]) => {
                let piece = self.expr(text, Some(PgType::TEXT))?;
                let piece = if piece.ty.scalar == Scalar::Bytea {
                    piece
                } else {
                    self.as_text(piece)?
                };
                Piece::new(format!("length({})", piece.sql), PgType::INT4)
            }
            ("octet_length", [text]) => {
                let piece = self.expr(text, Some(PgType::TEXT))?;
                Piece::new(format!("octet_length({})", piece.sql), PgType::INT4)
            }
            ("abs", [value]) => {
                let piece = self.expr(value, Some(PgType::FLOAT8))?;
                let name = if piece.ty.is_numeric() {
                    "pf_numeric_abs"
                } else {
                    "abs"
                };
                Piece::new(format!("{name}({})", piece.sql), piece.ty)
            }
            ("round" | "trunc" | "ceil" | "ceiling" | "floor", [value]) => {
                self.rounded(&call.name, value)?
            }
            ("round" | "trunc", [value, places]) => {
                let piece = self.expr(value, Some(PgType::NUMERIC))?;
                let number = self.coerce(piece, PgType::NUMERIC)?.sql;
                let places = self.expr(places, Some(PgType::INT4))?.sql;
                Piece::new(
                    format!("pf_numeric_round('{}',{number},{places})", call.name),
                    PgType::NUMERIC,
                )
            }
            ("sign", [value]) => {
                let piece = self.expr(value, Some(PgType::FLOAT8))?;
                let ty = if piece.ty.is_numeric() {
                    PgType::NUMERIC
                } else {
                    PgType::FLOAT8
                };
                let sign = format!("sign(CAST({} AS REAL))", piece.sql);
                Piece::new(
                    if ty.is_numeric() {
                        format!("CAST({sign} AS TEXT)")
                    } else {
                        sign
                    },
                    ty,
                )
            }
            ("mod", [left, right]) => {
                use sqlparser::ast::BinaryOperator::Modulo;
                self.binary(left, &Modulo, right, hint)?
            }
            ("date_trunc", [field, moment, ..]) => {
                let field = self.text_of(field)?;
                let piece = self.expr(moment, Some(Scalar::Timestamptz.into()))?;
                let to = if piece.ty.scalar == Scalar::Date {
                    Scalar::Timestamptz.into()
                } else {
                    piece.ty
                };
                let piece = self.coerce(piece, to)?;
                Piece::new(format!("pf_date_trunc({field},{})", piece.sql), to)
            }
            ("date_part", [field, moment]) => {
                let field = self.text_of(field)?;
                let piece = self.expr(moment, Some(Scalar::Timestamptz.into()))?;
                Piece::new(
                    format!("pf_extract({field},{},{})", piece.sql, piece.ty.oid()),
                    PgType::FLOAT8,
                )
            }
            ("pg_typeof", [value]) => {
                let piece = self.expr(value, None)?;
                Piece::new(quote_text(&piece.ty.sql_name()), PgType::TEXT)
            }
            ("md5", [text]) => Piece::new(format!("pf_md5({})", self.text_of(text)?), PgType::TEXT),
            ("pg_get_userbyid", [_]) => Piece::new(quote_text(&self.names.user), Scalar::Name),
            ("nextval" | "currval", [name]) => {
                let oid = self.sequence_of(name)?;
                self.takes_lease |= call.name == "nextval";
                Piece::new(format!("pf_{}({oid})", call.name), PgType::INT8)
            }
            ("setval", [name, value, rest @ ..]) => {
                let oid = self.sequence_of(name)?;
                let value = self.expr(value, Some(PgType::INT8))?.sql;
                let called = match rest {
                    [called] => self.expr(called, Some(PgType::BOOL))?.sql,
                    _ => "1".into(),
                };
                Piece::new(format!("pf_setval({oid},{value},{called})"), PgType::INT8)
            }
            ("pg_get_serial_sequence", [table, column]) => self.serial_sequence(table, column)?,
            _ => return self.structured(call),
        }))
    }

    /// Arguments as they would be sent, in which a boolean is one letter.
    fn output_texts(&mut self, arguments: &[&Expr]) -> SqlResult<String> {
        let text = |expr: &&Expr| {
            let piece = self.expr(expr, Some(PgType::TEXT))?;
            Ok(match piece.ty {
                PgType::BOOL => format!("CASE {} WHEN 1 THEN 't' WHEN 0 THEN 'f' END", piece.sql),
                _ => self.as_text(piece)?.sql,
            })
        };
        let texts: SqlResult<Vec<String>> = arguments.iter().map(text).collect();
        Ok(texts?.join(","))
    }

    /// Functions on arrays and JSON.
    fn structured(&mut self, call: &Call<'_>) -> SqlResult<Option<Piece>> {
        use Scalar::{Json, Jsonb, Text};
        let arguments = call.arguments.as_slice();
        Ok(Some(match (call.name.as_str(), arguments) {
            ("current_schemas", [_]) => {
                let mut path = vec![super::super::schema::CATALOG.to_owned()];
                path.extend(
                    self.names
                        .path
                        .iter()
                        .filter(|schema| self.schema.namespaces.contains_key(*schema))
                        .cloned(),
                );
                let json = serde_json::Value::from(path).to_string();
                Piece::new(quote_text(&json), PgType::array(Scalar::Name))
            }
            ("array_length" | "array_upper", [array, _]) | ("cardinality", [array]) => {
                let piece = self.expr(array, Some(PgType::array(Text)))?;
                Piece::new(
                    format!("nullif(json_array_length({}),0)", piece.sql),
                    PgType::INT4,
                )
            }
            ("array_position", [array, value]) => {
                let array = self.expr(array, Some(PgType::array(Text)))?;
                let value = self.expr(value, Some(array.ty.scalar.into()))?;
                let sql = format!(
                    "(SELECT key + 1 FROM json_each({}) WHERE value = {} LIMIT 1)",
                    array.sql, value.sql
                );
                Piece::new(sql, PgType::INT4)
            }
            ("array_to_string", [array, separator]) => {
                let array = self.expr(array, Some(PgType::array(Text)))?;
                let separator = self.text_of(separator)?;
                Piece::new(
                    format!(
                        "(SELECT coalesce(group_concat(value,{separator}),'') FROM json_each({}))",
                        array.sql
                    ),
                    PgType::TEXT,
                )
            }
            ("string_to_array", [text, separator]) => {
                let (text, separator) = (self.text_of(text)?, self.text_of(separator)?);
                Piece::new(
                    format!("pf_string_to_array({text},{separator})"),
                    PgType::array(Text),
                )
            }
            ("json_build_object" | "jsonb_build_object", _) => {
                self.json_built("json_object", call)?
            }
            ("json_build_array" | "jsonb_build_array", _) => self.json_built("json_array", call)?,
            ("to_json" | "to_jsonb", [value]) => {
                let piece = self.expr(value, None)?;
                let piece = self.settle(piece, PgType::TEXT)?;
                let ty = if call.name == "to_json" { Json } else { Jsonb };
                Piece::new(
                    format!("pf_json_get(json_array({}),0)", json_value(&piece)),
                    ty,
                )
            }
            _ => return Ok(None),
        }))
    }

    fn json_built(&mut self, engine: &str, call: &Call<'_>) -> SqlResult<Piece> {
        let mut list = Vec::with_capacity(call.arguments.len());
        for (position, expr) in call.arguments.iter().enumerate() {
            let piece = self.expr(expr, None)?;
            let piece = self.settle(piece, PgType::TEXT)?;
            let is_key = engine == "json_object" && position % 2 == 0;
            list.push(if is_key {
                self.as_text(piece)?.sql
            } else {
                json_value(&piece)
            });
        }
        let ty = if call.name.starts_with("jsonb") {
            Scalar::Jsonb
        } else {
            Scalar::Json
        };
        Ok(Piece::new(
            format!("pf_json_normal({engine}({}))", list.join(",")),
            ty,
        ))
    }

    /// `ceil`, `floor`, `round` and `trunc` to a whole number, in the type of the argument.
    pub(super) fn rounded(&mut self, name: &str, value: &Expr) -> SqlResult<Piece> {
        let piece = self.expr(value, Some(PgType::FLOAT8))?;
        if piece.ty.is_numeric() {
            return Ok(Piece::new(
                format!("pf_numeric_round('{name}',{},0)", piece.sql),
                PgType::NUMERIC,
            ));
        }
        let number = self.coerce(piece, PgType::FLOAT8)?.sql;
        let engine = match name {
            "round" => "pf_round_even",
            "ceiling" => "ceil",
            other => other,
        };
        Ok(Piece::new(format!("{engine}({number})"), PgType::FLOAT8))
    }

    fn literal_text(&mut self, expr: &Expr) -> SqlResult<String> {
        match expr {
            Expr::Cast { expr, .. } => self.literal_text(expr),
            _ => match self.expr(expr, None)?.form {
                Form::Literal(text) => Ok(text),
                _ => Err(SqlError::unsupported("a name that is no literal")),
            },
        }
    }

    fn sequence_of(&mut self, name: &Expr) -> SqlResult<u32> {
        let text = self.literal_text(name)?;
        Ok(self
            .schema
            .sequence(&qualified_text(&text), &self.names.path)?
            .oid)
    }

    fn serial_sequence(&mut self, table: &Expr, column: &Expr) -> SqlResult<Piece> {
        let (table, column) = (self.literal_text(table)?, self.literal_text(column)?);
        let table = self
            .schema
            .table(&qualified_text(&table), &self.names.path)?
            .clone();
        let sequence = table.column(&column)?.1.sequence;
        let found = self
            .schema
            .sequences
            .iter()
            .find(|(_, candidate)| Some(candidate.oid) == sequence);
        let sql = found.map_or("NULL".to_owned(), |((schema, name), _)| {
            quote_text(&format!("{schema}.{name}"))
        });
        Ok(Piece::new(sql, PgType::TEXT))
    }
}

fn sqls(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| piece.sql.as_str())
        .collect::<Vec<_>>()
        .join(",")
}

/// A value as an element of a JSON document.
fn json_value(piece: &Piece) -> String {
    match piece.ty.scalar {
        _ if piece.ty.is_array => format!("json({})", piece.sql),
        Scalar::Json | Scalar::Jsonb => format!("json({})", piece.sql),
        Scalar::Bool => format!("json(CASE WHEN {} THEN 'true' ELSE 'false' END)", piece.sql),
        Scalar::Numeric => format!("json({})", piece.sql),
        _ if piece.ty.is_number() || piece.ty.is_text() => piece.sql.clone(),
        _ => format!("pf_cast({},{},25,-1,1)", piece.sql, piece.ty.oid()),
    }
}
