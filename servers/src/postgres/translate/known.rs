//! The functions whose argument and result types are fixed, and the engine's name for each.
//!
//! A function's name in the engine begins with `pf_` where PostgreSQL and the engine differ; those are defined in
//! `functions.rs`. How a call is translated is in `calls.rs`.

use super::super::types::Scalar;

/// A function whose argument and result types are fixed.
pub(super) struct Fixed {
    pub(super) name: &'static str,
    pub(super) engine: &'static str,
    pub(super) arguments: &'static [Scalar],
    /// How many of the arguments may be left out, from the last.
    pub(super) optional: usize,
    pub(super) result: Scalar,
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

pub(super) static FIXED: &[Fixed] = {
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
pub(super) const BARE: [&str; 4] = [
    "current_timestamp",
    "localtimestamp",
    "current_date",
    "current_time",
];

/// Functions that only make sense over the rows around; the engine has them under the same names.
pub(super) const WINDOW: [(&str, Scalar); 4] = [
    ("row_number", Scalar::Int8),
    ("rank", Scalar::Int8),
    ("dense_rank", Scalar::Int8),
    ("ntile", Scalar::Int4),
];
