//! Functions and aggregates on numbers: division that fails, exact decimals, and the floats the engine is built without.

use bigdecimal::RoundingMode;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::{Value, ValueRef};

use super::super::casts::to_numeric;
use super::super::error::{SqlError, SqlResult};
use super::super::numeric::{self, Numeric};
use super::super::value;
use super::{PURE, Registry, float_at, integer_at, text_at};

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

type FloatFunction = fn(f64) -> f64;

/// The engine is built without these.
const FLOAT_FUNCTIONS: [(&str, FloatFunction); 9] = [
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

pub(super) fn register(registry: &mut Registry<'_>) {
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

/// Adds the aggregates, and the order of exact decimals.
pub(super) fn register_aggregates(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_collation("pf_numeric", numeric::compare_texts)?;
    connection.create_aggregate_function("pf_sum", 1, PURE, Sum { average: false })?;
    connection.create_aggregate_function("pf_avg", 1, PURE, Sum { average: true })
}
