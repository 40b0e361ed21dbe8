//! What the engine calls back for: PostgreSQL's functions, exact aggregates, collation and sequences.
//!
//! Everything here is registered once per engine, under names that begin with `pf_` unless the engine's own function
//! of that name is to be replaced. Which PostgreSQL function becomes which of these is decided in `translate/`. JSON
//! is in `functions/json.rs`, text in `functions/text.rs`.

mod json;
mod text;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bigdecimal::RoundingMode;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use super::casts::{self, Cast, cast, to_numeric};
use super::datetime::{self, Interval};
use super::error::{SqlError, SqlResult};
use super::numeric::{self, Numeric};
use super::settings::Settings;
use super::types::{PgType, format_type};
use super::value;

/// What the engine's functions know of the statement that runs.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The session the engine works for.
    pub(crate) pid: i32,
    /// When its transaction began.
    pub(crate) now_micros: i64,
    /// How many transactions there were.
    pub(crate) transaction: i64,
    pub(crate) settings: Arc<Mutex<Settings>>,
    /// Definitions of constraints and indexes by oid, for the system's views.
    pub(crate) definitions: HashMap<u32, String>,
    /// Names of relations and schemas by oid, for `regclass` and `regnamespace`.
    pub(crate) relations: HashMap<u32, String>,
    sequences: HashMap<u32, SequenceValue>,
    /// The last value each session got from each sequence, and the last one of all.
    last_values: HashMap<(i32, u32), i64>,
    last_value: HashMap<i32, i64>,
    random: u64,
}

#[derive(Debug, Clone, Copy)]
struct SequenceValue {
    next: i64,
    increment: i64,
}

/// The part of the engine that its functions share with it.
pub(crate) type Shared = Arc<Mutex<Live>>;

/// Locks whatever a panic may have left; every value behind such a lock is valid at any time.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// Starts a sequence, or starts it anew.
    pub(crate) fn start_sequence(&mut self, oid: u32, start: i64, increment: i64) {
        self.sequences.insert(
            oid,
            SequenceValue {
                next: start,
                increment,
            },
        );
    }

    /// Forgets what a session that ended had of sequences.
    pub(crate) fn forget_session(&mut self, pid: i32) {
        self.last_values.retain(|(of, _), _| *of != pid);
        self.last_value.remove(&pid);
    }

    fn next_value(&mut self, oid: u32) -> SqlResult<i64> {
        let sequence = self
            .sequences
            .get_mut(&oid)
            .ok_or_else(|| SqlError::new("42P01", "the sequence does not exist"))?;
        let value = sequence.next;
        sequence.next = value
            .checked_add(sequence.increment)
            .ok_or_else(|| SqlError::new("2200H", "nextval: reached maximum value of sequence"))?;
        self.last_values.insert((self.pid, oid), value);
        self.last_value.insert(self.pid, value);
        Ok(value)
    }

    fn set_value(&mut self, oid: u32, value: i64, called: bool) -> SqlResult<i64> {
        let sequence = self
            .sequences
            .get_mut(&oid)
            .ok_or_else(|| SqlError::new("42P01", "the sequence does not exist"))?;
        sequence.next = if called {
            value.saturating_add(sequence.increment)
        } else {
            value
        };
        Ok(value)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn random_u64(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Adds functions to a connection. `strict` ones give NULL for any NULL argument, as most of PostgreSQL's do.
struct Registry<'c> {
    connection: &'c Connection,
    outcome: rusqlite::Result<()>,
}

const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);

impl Registry<'_> {
    fn strict(
        &mut self,
        name: &str,
        arguments: i32,
        body: impl Fn(&Context<'_>) -> SqlResult<Value> + Send + 'static,
    ) {
        self.any(name, arguments, PURE, move |context| {
            let has_null = (0..context.len()).any(|at| context.get_raw(at) == ValueRef::Null);
            if has_null {
                Ok(Value::Null)
            } else {
                body(context)
            }
        });
    }

    fn any(
        &mut self,
        name: &str,
        arguments: i32,
        flags: FunctionFlags,
        body: impl Fn(&Context<'_>) -> SqlResult<Value> + Send + 'static,
    ) {
        if self.outcome.is_ok() {
            self.outcome =
                self.connection
                    .create_scalar_function(name, arguments, flags, move |context| {
                        body(context).map_err(SqlError::into_engine)
                    });
        }
    }

    /// A function that gives something else each time, or knows who asks.
    fn live(
        &mut self,
        name: &str,
        arguments: i32,
        shared: &Shared,
        body: impl Fn(&mut Live, &Context<'_>) -> SqlResult<Value> + Send + 'static,
    ) {
        let shared = shared.clone();
        self.any(
            name,
            arguments,
            FunctionFlags::SQLITE_UTF8,
            move |context| body(&mut lock(&shared), context),
        );
    }
}

/// Adds everything to `connection`.
pub(crate) fn register(connection: &Connection, shared: &Shared) -> rusqlite::Result<()> {
    let mut registry = Registry {
        connection,
        outcome: Ok(()),
    };
    register_types(&mut registry);
    register_numbers(&mut registry);
    register_moments(&mut registry, shared);
    register_sequences(&mut registry, shared);
    register_system(&mut registry, shared);
    text::register(&mut registry);
    json::register(&mut registry);
    registry.outcome?;
    connection.create_collation("pf_numeric", numeric::compare_texts)?;
    connection.create_aggregate_function("pf_sum", 1, PURE, Sum { average: false })?;
    connection.create_aggregate_function("pf_avg", 1, PURE, Sum { average: true })?;
    rusqlite::vtab::series::load_module(connection)
}

fn integer_at(context: &Context<'_>, at: usize) -> SqlResult<i64> {
    match context.get_raw(at) {
        ValueRef::Integer(integer) => Ok(integer),
        ValueRef::Real(real) => Ok(real as i64),
        other => casts::cast(
            other,
            Cast {
                from: PgType::UNKNOWN,
                to: PgType::INT8,
                modifier: -1,
                explicit: true,
            },
        )
        .map(|value| match value {
            Value::Integer(integer) => integer,
            _ => 0,
        }),
    }
}

fn text_at(context: &Context<'_>, at: usize) -> SqlResult<String> {
    match context.get_raw(at) {
        ValueRef::Text(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(_) => Err(SqlError::new("42883", "a text is needed, not bytea")),
        other => casts::text_of(other, PgType::TEXT),
    }
}

fn float_at(context: &Context<'_>, at: usize) -> f64 {
    match context.get_raw(at) {
        ValueRef::Integer(integer) => integer as f64,
        ValueRef::Real(real) => real,
        _ => f64::NAN,
    }
}

fn type_at(context: &Context<'_>, at: usize) -> SqlResult<PgType> {
    let oid = integer_at(context, at)?;
    PgType::from_oid(oid as u32)
        .ok_or_else(|| SqlError::new("42704", format!("type with OID {oid} does not exist")))
}

fn boolean(flag: bool) -> Value {
    Value::Integer(i64::from(flag))
}

fn register_types(registry: &mut Registry<'_>) {
    registry.any("pf_cast", 5, PURE, |context| {
        let how = Cast {
            from: type_at(context, 1)?,
            to: type_at(context, 2)?,
            modifier: integer_at(context, 3)? as i32,
            explicit: integer_at(context, 4)? != 0,
        };
        cast(context.get_raw(0), how)
    });
    registry.any("pf_not_null", 3, PURE, |context| match context.get_raw(0) {
        ValueRef::Null => {
            let (column, table) = (text_at(context, 1)?, text_at(context, 2)?);
            let message = format!("null value in column \"{column}\" of relation \"{table}\" violates not-null constraint");
            Err(SqlError::new("23502", message))
        }
        value => Ok(value::owned(value)),
    });
    registry.any("pf_format_type", 2, PURE, |context| {
        let modifier = if context.get_raw(1) == ValueRef::Null {
            -1
        } else {
            integer_at(context, 1)? as i32
        };
        Ok(match PgType::from_oid(integer_at(context, 0)? as u32) {
            Some(ty) => Value::Text(format_type(ty, modifier)),
            None => Value::Text("???".into()),
        })
    });
}

fn division_by_zero() -> SqlError {
    SqlError::new("22012", "division by zero")
}

fn divide(operator: &str, left: ValueRef<'_>, right: ValueRef<'_>) -> SqlResult<Value> {
    match (left, right) {
        (_, ValueRef::Integer(0)) => Err(division_by_zero()),
        (ValueRef::Integer(left), ValueRef::Integer(right)) => {
            let result = if operator == "/" {
                left.checked_div(right)
            } else {
                left.checked_rem(right)
            };
            result
                .map(Value::Integer)
                .ok_or_else(|| SqlError::out_of_range("bigint"))
        }
        (left, right) => {
            let float = |value| match value {
                ValueRef::Integer(integer) => integer as f64,
                ValueRef::Real(real) => real,
                _ => f64::NAN,
            };
            if float(right) == 0.0 {
                Err(division_by_zero())
            } else {
                Ok(value::float(float(left) / float(right)))
            }
        }
    }
}

/// The engine is built without these.
const FLOAT_FUNCTIONS: [(&str, fn(f64) -> f64); 9] = [
    ("sqrt", f64::sqrt),
    ("exp", f64::exp),
    ("ln", f64::ln),
    ("log", f64::log10),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("ceil", f64::ceil),
    ("floor", f64::floor),
    ("trunc", f64::trunc),
];

fn register_numbers(registry: &mut Registry<'_>) {
    for (name, function) in FLOAT_FUNCTIONS {
        registry.strict(name, 1, move |context| {
            let (argument, domain) = (float_at(context, 0), ["sqrt", "ln", "log"].contains(&name));
            if domain && argument < 0.0 {
                let (state, what) = if name == "sqrt" {
                    ("2201F", "square root")
                } else {
                    ("2201E", "logarithm")
                };
                return Err(SqlError::new(
                    state,
                    format!("cannot take {what} of a negative number"),
                ));
            }
            Ok(value::float(function(argument)))
        });
    }
    registry.strict("pow", 2, |context| {
        Ok(value::float(
            float_at(context, 0).powf(float_at(context, 1)),
        ))
    });
    registry.any("pi", 0, PURE, |_| Ok(Value::Real(std::f64::consts::PI)));
    registry.strict("sign", 1, |context| {
        let argument = float_at(context, 0);
        Ok(Value::Integer(
            i64::from(argument > 0.0) - i64::from(argument < 0.0),
        ))
    });
    registry.strict("pf_divide", 3, |context| {
        divide(
            &text_at(context, 0)?,
            context.get_raw(1),
            context.get_raw(2),
        )
    });
    registry.strict("pf_numeric", 3, |context| {
        let operator = text_at(context, 0)?.chars().next().unwrap_or('+');
        let result = to_numeric(context.get_raw(1))?
            .calculate(operator, &to_numeric(context.get_raw(2))?)?;
        Ok(Value::Text(result.to_text()))
    });
    registry.strict("pf_numeric_abs", 1, |context| {
        let text = to_numeric(context.get_raw(0))?.to_text();
        Ok(Value::Text(text.trim_start_matches('-').to_owned()))
    });
    registry.strict("pf_numeric_round", 3, |context| {
        let mode = match text_at(context, 0)?.as_str() {
            "trunc" => RoundingMode::Down,
            "ceil" | "ceiling" => RoundingMode::Ceiling,
            "floor" => RoundingMode::Floor,
            _ => RoundingMode::HalfUp,
        };
        let rounded = to_numeric(context.get_raw(1))?.with_mode(integer_at(context, 2)?, mode);
        Ok(Value::Text(rounded.to_text()))
    });
    registry.strict("pf_round_even", 1, |context| {
        Ok(value::float(float_at(context, 0).round_ties_even()))
    });
    for (name, wanted) in [
        ("pf_greatest", std::cmp::Ordering::Greater),
        ("pf_least", std::cmp::Ordering::Less),
    ] {
        registry.any(name, -1, PURE, move |context| {
            let numeric = integer_at(context, 0)? != 0;
            let mut best = ValueRef::Null;
            for value in (1..context.len())
                .map(|at| context.get_raw(at))
                .filter(|value| *value != ValueRef::Null)
            {
                if best == ValueRef::Null || order(value, best, numeric) == wanted {
                    best = value;
                }
            }
            Ok(value::owned(best))
        });
    }
}

fn order(left: ValueRef<'_>, right: ValueRef<'_>, numeric: bool) -> std::cmp::Ordering {
    let float = |value| match value {
        ValueRef::Integer(integer) => integer as f64,
        ValueRef::Real(real) => real,
        _ => f64::NAN,
    };
    match (left, right) {
        (ValueRef::Text(left), ValueRef::Text(right)) if numeric => numeric::compare_texts(
            &String::from_utf8_lossy(left),
            &String::from_utf8_lossy(right),
        ),
        (
            ValueRef::Text(left) | ValueRef::Blob(left),
            ValueRef::Text(right) | ValueRef::Blob(right),
        ) => left.cmp(right),
        (ValueRef::Integer(left), ValueRef::Integer(right)) => left.cmp(&right),
        (left, right) => float(left).total_cmp(&float(right)),
    }
}

/// The exact sum, or average, of integers and numerics.
struct Sum {
    average: bool,
}

struct SumState {
    sum: Numeric,
    count: i64,
}

impl Aggregate<SumState, Value> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<SumState> {
        Ok(SumState {
            sum: Numeric::from_i128(0),
            count: 0,
        })
    }

    fn step(&self, context: &mut Context<'_>, state: &mut SumState) -> rusqlite::Result<()> {
        let value = context.get_raw(0);
        if value != ValueRef::Null {
            let added = to_numeric(value).and_then(|number| state.sum.calculate('+', &number));
            state.sum = added.map_err(SqlError::into_engine)?;
            state.count += 1;
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<SumState>) -> rusqlite::Result<Value> {
        let Some(SumState {
            sum,
            count: count @ 1..,
        }) = state
        else {
            return Ok(Value::Null);
        };
        if !self.average {
            return Ok(Value::Text(sum.to_text()));
        }
        let average = sum
            .calculate('/', &Numeric::from_i128(i128::from(count)))
            .map_err(SqlError::into_engine)?;
        Ok(Value::Text(average.to_text()))
    }
}

fn register_moments(registry: &mut Registry<'_>, shared: &Shared) {
    registry.live("pf_now", 0, shared, |live, _| {
        Ok(Value::Integer(live.now_micros))
    });
    registry.live("pf_today", 0, shared, |live, _| {
        Ok(Value::Integer(
            live.now_micros.div_euclid(datetime::MICROS_PER_DAY),
        ))
    });
    registry.live("pf_clock", 0, shared, |_, _| {
        Ok(Value::Integer(datetime::now_micros()))
    });
    registry.strict("pf_to_timestamp", 1, |context| {
        Ok(Value::Integer(datetime::from_unix_seconds(float_at(
            context, 0,
        ))))
    });
    registry.strict("pf_make_date", 3, |context| {
        let text = format!(
            "{:04}-{:02}-{:02}",
            integer_at(context, 0)?,
            integer_at(context, 1)?,
            integer_at(context, 2)?
        );
        datetime::parse_date(&text).map(Value::Integer)
    });
    registry.strict("pf_moment_add", 3, |context| {
        let interval = Interval::parse(&text_at(context, 1)?)?.times(integer_at(context, 2)?);
        Ok(Value::Integer(interval.after(integer_at(context, 0)?)))
    });
    registry.strict("pf_moment_between", 2, |context| {
        let micros = integer_at(context, 0)?.saturating_sub(integer_at(context, 1)?);
        let (days, micros) = (
            micros / datetime::MICROS_PER_DAY,
            micros % datetime::MICROS_PER_DAY,
        );
        Ok(Value::Text(
            Interval {
                months: 0,
                days,
                micros,
            }
            .to_text(),
        ))
    });
    registry.strict("pf_interval_add", 3, |context| {
        let (left, right) = (
            Interval::parse(&text_at(context, 0)?)?,
            Interval::parse(&text_at(context, 1)?)?,
        );
        let right = right.times(integer_at(context, 2)?);
        let sum = Interval {
            months: left.months + right.months,
            days: left.days + right.days,
            micros: left.micros + right.micros,
        };
        Ok(Value::Text(sum.to_text()))
    });
    registry.strict("pf_interval_times", 2, |context| {
        let interval = Interval::parse(&text_at(context, 0)?)?;
        Ok(Value::Text(
            interval.times(integer_at(context, 1)?).to_text(),
        ))
    });
    registry.strict("pf_extract", 3, |context| {
        let part = casts::extract(
            &text_at(context, 0)?,
            context.get_raw(1),
            type_at(context, 2)?,
        )?;
        Ok(part.map_or(Value::Null, Value::Real))
    });
    registry.strict("pf_date_trunc", 2, |context| {
        casts::truncate(&text_at(context, 0)?, integer_at(context, 1)?).map(Value::Integer)
    });
}

fn register_sequences(registry: &mut Registry<'_>, shared: &Shared) {
    registry.live("pf_nextval", 1, shared, |live, context| {
        live.next_value(integer_at(context, 0)? as u32)
            .map(Value::Integer)
    });
    registry.live("pf_setval", 3, shared, |live, context| {
        let called = integer_at(context, 2)? != 0;
        live.set_value(
            integer_at(context, 0)? as u32,
            integer_at(context, 1)?,
            called,
        )
        .map(Value::Integer)
    });
    let not_yet = || {
        SqlError::new(
            "55000",
            "the sequence has given no value in this session yet",
        )
    };
    registry.live("pf_currval", 1, shared, move |live, context| {
        let key = (live.pid, integer_at(context, 0)? as u32);
        live.last_values
            .get(&key)
            .copied()
            .map(Value::Integer)
            .ok_or_else(not_yet)
    });
    registry.live("pf_lastval", 0, shared, move |live, _| {
        live.last_value
            .get(&live.pid)
            .copied()
            .map(Value::Integer)
            .ok_or_else(not_yet)
    });
}

fn register_system(registry: &mut Registry<'_>, shared: &Shared) {
    registry.live("pf_pid", 0, shared, |live, _| {
        Ok(Value::Integer(i64::from(live.pid)))
    });
    registry.live("pf_transaction", 0, shared, |live, _| {
        Ok(Value::Integer(live.transaction))
    });
    registry.live("pf_random", 0, shared, |live, _| {
        Ok(Value::Real(
            (live.random_u64() >> 11) as f64 / (1u64 << 53) as f64,
        ))
    });
    registry.live("pf_uuid", 0, shared, |live, _| {
        let random = u128::from(live.random_u64()) << 64 | u128::from(live.random_u64());
        // Version 4, variant 1 (RFC 9562).
        let marked = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        value::read_binary(&marked.to_be_bytes(), super::types::Scalar::Uuid.into())
    });
    for arguments in [1, 2] {
        registry.live("pf_setting", arguments, shared, |live, context| {
            let name = text_at(context, 0)?;
            let lenient = context.len() > 1 && integer_at(context, 1)? != 0;
            match lock(&live.settings).show(&name) {
                Ok(value) => Ok(Value::Text(value)),
                Err(_) if lenient => Ok(Value::Null),
                Err(error) => Err(error),
            }
        });
    }
    registry.live("pf_set_config", 3, shared, |live, context| {
        let value = text_at(context, 1)?;
        lock(&live.settings).set(&text_at(context, 0)?, &value)?;
        Ok(Value::Text(value))
    });
    for name in ["pf_constraint_definition", "pf_index_definition"] {
        registry.live(name, -1, shared, |live, context| {
            let oid = integer_at(context, 0)? as u32;
            Ok(live
                .definitions
                .get(&oid)
                .cloned()
                .map_or(Value::Null, Value::Text))
        });
    }
    registry.live("pf_name_of", 2, shared, |live, context| {
        let oid = match context.get_raw(0) {
            ValueRef::Null => return Ok(Value::Null),
            _ => integer_at(context, 0)? as u32,
        };
        let of_type = type_at(context, 1)?.scalar == super::types::Scalar::Regtype;
        let known = if of_type {
            PgType::from_oid(oid).map(PgType::sql_name)
        } else {
            live.relations.get(&oid).cloned()
        };
        Ok(Value::Text(known.unwrap_or_else(|| {
            if oid == 0 {
                "-".into()
            } else {
                oid.to_string()
            }
        })))
    });
    registry.any("pf_true", -1, PURE, |_| Ok(boolean(true)));
    registry.any("pf_false", -1, PURE, |_| Ok(boolean(false)));
    registry.any("pf_void", -1, PURE, |_| Ok(Value::Text(String::new())));
    registry.any("pf_nothing", -1, PURE, |_| Ok(Value::Null));
    registry.any("pf_first", -1, PURE, |context| {
        Ok(value::owned(context.get_raw(0)))
    });
    registry.strict("pf_encoding", 1, |_| Ok(Value::Text("UTF8".into())));
}
