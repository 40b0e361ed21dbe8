//! What the engine calls back for: PostgreSQL's functions, exact aggregates, collation and sequences.
//!
//! Everything here is registered once per engine, under names that begin with `pf_` unless the engine's own function
//! of that name is to be replaced. Which PostgreSQL function becomes which of these is decided in `translate/`. JSON
//! is in `functions/json.rs`, and so on.

mod json;
mod moments;
mod numbers;
mod text;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use super::casts::{self, Cast, cast};
use super::error::{SqlError, SqlResult};
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
    numbers::register(&mut registry);
    moments::register(&mut registry, shared);
    register_sequences(&mut registry, shared);
    register_system(&mut registry, shared);
    text::register(&mut registry);
    json::register(&mut registry);
    registry.outcome?;
    numbers::register_aggregates(connection)?;
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
