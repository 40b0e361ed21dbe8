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
use super::{Form, Piece, Translator, quote_text};

/// What PostgreSQL answers to `version()`.
pub(crate) const VERSION: &str =
    "PostgreSQL 15.0 (Photofinish mock over an embedded engine in memory)";

/// A function whose argument and result types are fixed.
struct Fixed {
    name: &'static str,
    engine: &'static str,
    arguments: &'static [Scalar],
    /// How many of the arguments may be left out, from the last.
    optional: usize,
    result: Scalar,
}

const fn fixed(
    name: &'static str,
    engine: &'static str,
    arguments: &'static [Scalar],
    result: Scalar,
) -> Fixed {
    Fixed {
        name,
        engine,
        arguments,
        optional: 0,
        result,
    }
}

const fn with_optional(
    name: &'static str,
    engine: &'static str,
    arguments: &'static [Scalar],
    optional: usize,
    result: Scalar,
) -> Fixed {
    Fixed {
        name,
        engine,
        arguments,
        optional,
        result,
    }
}

static FIXED: &[Fixed] = {
    use Scalar::{
        Bool, Bytea, Date, Float8, Int4, Int8, Jsonb, Name, Oid, Regclass, Text, Timestamp,
        Timestamptz, Uuid, Void,
    };
    &[
        fixed("lower", "lower", &[Text], Text),
        fixed("upper", "upper", &[Text], Text),
        fixed("initcap", "pf_initcap", &[Text], Text),
        fixed("reverse", "pf_reverse", &[Text], Text),
        fixed("replace", "replace", &[Text, Text, Text], Text),
        fixed("left", "pf_left", &[Text, Int4], Text),
        fixed("right", "pf_right", &[Text, Int4], Text),
        with_optional("lpad", "pf_lpad", &[Text, Int4, Text], 1, Text),
        with_optional("rpad", "pf_rpad", &[Text, Int4, Text], 1, Text),
        fixed("repeat", "pf_repeat", &[Text, Int4], Text),
        fixed("split_part", "pf_split_part", &[Text, Text, Int4], Text),
        fixed("strpos", "instr", &[Text, Text], Int4),
        fixed("starts_with", "pf_starts_with", &[Text, Text], Bool),
        fixed("ascii", "unicode", &[Text], Int4),
        fixed("chr", "char", &[Int4], Text),
        fixed("to_hex", "pf_to_hex", &[Int8], Text),
        fixed("quote_ident", "pf_quote_ident", &[Text], Text),
        fixed("quote_literal", "quote", &[Text], Text),
        with_optional("substr", "pf_substr", &[Text, Int4, Int4], 1, Text),
        with_optional("substring", "pf_substr", &[Text, Int4, Int4], 1, Text),
        with_optional("btrim", "trim", &[Text, Text], 1, Text),
        with_optional("ltrim", "ltrim", &[Text, Text], 1, Text),
        with_optional("rtrim", "rtrim", &[Text, Text], 1, Text),
        fixed("encode", "pf_encode", &[Bytea, Text], Text),
        fixed("decode", "pf_decode", &[Text, Text], Bytea),
        fixed("gen_random_uuid", "pf_uuid", &[], Uuid),
        fixed("random", "pf_random", &[], Float8),
        fixed("sqrt", "sqrt", &[Float8], Float8),
        fixed("log", "log", &[Float8], Float8),
        fixed("exp", "exp", &[Float8], Float8),
        fixed("ln", "ln", &[Float8], Float8),
        fixed("power", "pow", &[Float8, Float8], Float8),
        fixed("pow", "pow", &[Float8, Float8], Float8),
        fixed("pi", "pi", &[], Float8),
        fixed("sin", "sin", &[Float8], Float8),
        fixed("cos", "cos", &[Float8], Float8),
        fixed("now", "pf_now", &[], Timestamptz),
        fixed("transaction_timestamp", "pf_now", &[], Timestamptz),
        fixed("statement_timestamp", "pf_now", &[], Timestamptz),
        fixed("current_timestamp", "pf_now", &[], Timestamptz),
        fixed("localtimestamp", "pf_now", &[], Timestamp),
        fixed("clock_timestamp", "pf_clock", &[], Timestamptz),
        fixed("current_date", "pf_today", &[], Date),
        fixed("to_timestamp", "pf_to_timestamp", &[Float8], Timestamptz),
        fixed("make_date", "pf_make_date", &[Int4, Int4, Int4], Date),
        fixed("pg_backend_pid", "pf_pid", &[], Int4),
        with_optional("current_setting", "pf_setting", &[Text, Bool], 1, Text),
        fixed("set_config", "pf_set_config", &[Text, Text, Bool], Text),
        fixed("pg_table_is_visible", "pf_true", &[Oid], Bool),
        fixed("pg_type_is_visible", "pf_true", &[Oid], Bool),
        fixed("pg_function_is_visible", "pf_true", &[Oid], Bool),
        with_optional(
            "has_table_privilege",
            "pf_true",
            &[Text, Text, Text],
            1,
            Bool,
        ),
        with_optional(
            "has_schema_privilege",
            "pf_true",
            &[Text, Text, Text],
            1,
            Bool,
        ),
        with_optional(
            "has_database_privilege",
            "pf_true",
            &[Text, Text, Text],
            1,
            Bool,
        ),
        fixed("pg_encoding_to_char", "pf_encoding", &[Int4], Name),
        fixed("pg_is_in_recovery", "pf_false", &[], Bool),
        fixed("pg_relation_is_publishable", "pf_false", &[Regclass], Bool),
        fixed("pg_advisory_unlock_all", "pf_void", &[], Void),
        fixed("format_type", "pf_format_type", &[Oid, Int4], Text),
        with_optional("pg_get_expr", "pf_first", &[Text, Oid, Bool], 1, Text),
        with_optional(
            "pg_get_constraintdef",
            "pf_constraint_definition",
            &[Oid, Bool],
            1,
            Text,
        ),
        with_optional(
            "pg_get_indexdef",
            "pf_index_definition",
            &[Oid, Int4, Bool],
            2,
            Text,
        ),
        fixed(
            "pg_get_statisticsobjdef_columns",
            "pf_nothing",
            &[Oid],
            Text,
        ),
        with_optional("pg_get_triggerdef", "pf_nothing", &[Oid, Bool], 1, Text),
        fixed(
            "pg_partition_ancestors",
            "pf_nothing",
            &[Regclass],
            Regclass,
        ),
        with_optional("obj_description", "pf_nothing", &[Oid, Text], 1, Text),
        fixed("col_description", "pf_nothing", &[Oid, Int4], Text),
        fixed("shobj_description", "pf_nothing", &[Oid, Text], Text),
        fixed("jsonb_array_length", "json_array_length", &[Jsonb], Int4),
        fixed("json_array_length", "json_array_length", &[Jsonb], Int4),
        fixed("jsonb_typeof", "pf_json_type", &[Jsonb], Text),
        fixed("json_typeof", "pf_json_type", &[Jsonb], Text),
        fixed("lastval", "pf_lastval", &[], Int8),
        fixed("txid_current", "pf_transaction", &[], Int8),
    ]
};

/// Functions that are called by writing their bare name.
const BARE: [&str; 4] = [
    "current_timestamp",
    "localtimestamp",
    "current_date",
    "current_time",
];

/// Functions that only make sense over the rows around; the engine has them under the same names.
const WINDOW: [(&str, Scalar); 4] = [
    ("row_number", Scalar::Int8),
    ("rank", Scalar::Int8),
    ("dense_rank", Scalar::Int8),
    ("ntile", Scalar::Int4),
];

/// A call with its parts checked.
struct Call<'f> {
    name: String,
    arguments: Vec<&'f Expr>,
    star: bool,
    distinct: bool,
    order: String,
    /// FILTER and OVER, as they follow the call.
    suffix: String,
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

    fn aggregate(&mut self, call: &Call<'_>) -> SqlResult<Option<Piece>> {
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
