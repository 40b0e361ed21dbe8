//! Draws as a scenario declares them, checked and made into generators.

mod generator;

use photofinish_harness::workload::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use self::generator::{Generator, OpDraws, name_seed};
use self::generator::{Kind, Shape};
use super::mix::Mix;
use super::permutation::Permutation;
use super::zipf::Zipf;

/// Longest drawn text, in bytes.
const LONGEST_TEXT: u32 = 1 << 20;

/// Maximum number of values for which a distribution other than the uniform one is exact.
const MOST_RANKS: u64 = 1 << 53;

/// A value drawn anew for each operation: a number of a distribution, or one of `sequence`, `choice`, `text`, `uuid`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrawSpec {
    /// By default `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Distribution")]
    pub distribution: Option<Distribution>,
    /// Smallest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub from: Option<i64>,
    /// Largest number; of a `sequence`, the last one before it starts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub to: Option<i64>,
    /// Exponent of `zipf`, above zero: the number of rank k is drawn in proportion to 1 / k^exponent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub exponent: Option<f64>,
    /// Parameter of `gaussian` (at least 2: the range is this many standard deviations to either side of its middle) or of
    /// `exponential` (above zero: the larger, the more often small numbers are drawn), as in pgbench.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub parameter: Option<f64>,
    /// True to spread the frequent numbers over the range instead of clustering them. By default false.
    #[serde(skip_serializing_if = "is_false")]
    pub scatter: bool,
    /// Numbers in order: this one plus the number of the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub sequence: Option<i64>,
    /// One of these texts, numbers or booleans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choice: Vec<Value>,
    /// Weights of the choices, in their order; by default all equal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<u32>,
    /// A text of this many letters, digits, `-` and `_`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub text: Option<u32>,
    /// True for a UUID of version 4.
    #[serde(skip_serializing_if = "is_false")]
    pub uuid: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Distributions of numbers over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// All numbers are equally likely.
    Uniform,
    /// The first number is the most frequent one, the k-th in proportion to 1 / k^exponent.
    Zipf,
    /// The middle of the range is the most frequent.
    Gaussian,
    /// The start of the range is the most frequent.
    Exponential,
}

impl DrawSpec {
    /// The generator, or an error at one of the parameters below `param`.
    pub(super) fn generator(&self, param: &str) -> Result<Generator, ParamError> {
        let kinds = [
            ("sequence", self.sequence.is_some()),
            ("choice", !self.choice.is_empty()),
            ("text", self.text.is_some()),
            ("uuid", self.uuid),
            ("distribution", self.distribution.is_some()),
        ];
        let mut kinds = kinds.into_iter().filter(|(_, given)| *given);
        let kind = kinds.next().map_or("distribution", |(kind, _)| kind);
        let check = Check { param };
        if let Some((other, _)) = kinds.next() {
            return check.fail(
                other,
                format!("expected one kind of draw, got `{kind}` and `{other}`"),
            );
        }
        self.refuse_strangers(kind, &check)?;
        let kind = match kind {
            "sequence" => self.sequence(&check)?,
            "choice" => self.choice(&check)?,
            "text" => self.text(&check)?,
            "uuid" => Kind::Uuid,
            _ => self.number(&check)?,
        };
        Ok(Generator(kind))
    }

    /// Refuses keys that do not belong to this kind of draw.
    fn refuse_strangers(&self, kind: &str, check: &Check<'_>) -> Result<(), ParamError> {
        use Distribution::{Exponential, Gaussian, Uniform, Zipf};
        let number = (kind == "distribution").then(|| self.distribution.unwrap_or(Uniform));
        let keys = [
            ("from", self.from.is_some(), number.is_some()),
            (
                "to",
                self.to.is_some(),
                number.is_some() || kind == "sequence",
            ),
            ("exponent", self.exponent.is_some(), number == Some(Zipf)),
            (
                "parameter",
                self.parameter.is_some(),
                matches!(number, Some(Gaussian | Exponential)),
            ),
            (
                "scatter",
                self.scatter,
                number.is_some_and(|shape| shape != Uniform),
            ),
            ("weights", !self.weights.is_empty(), kind == "choice"),
        ];
        let kind = match number {
            Some(Uniform) => "uniform",
            Some(Zipf) => "zipf",
            Some(Gaussian) => "gaussian",
            Some(Exponential) => "exponential",
            None => kind,
        };
        match keys.into_iter().find(|(_, given, fits)| *given && !fits) {
            Some((key, ..)) => {
                check.fail(key, format!("expected no `{key}` for the draw `{kind}`"))
            }
            None => Ok(()),
        }
    }

    fn number(&self, check: &Check<'_>) -> Result<Kind, ParamError> {
        let from = check.given("from", self.from)?;
        let to = check.given("to", self.to)?;
        let count = check.count(from, to)?;
        let shape = match self.distribution.unwrap_or(Distribution::Uniform) {
            Distribution::Uniform => Shape::Uniform,
            shape => {
                check.require(count <= MOST_RANKS, "to", || {
                    format!("expected at most 2^53 numbers, got {count}")
                })?;
                self.skewed(shape, count, check)?
            }
        };
        Ok(Kind::Number {
            from,
            count,
            shape,
            scatter: self.scatter.then(|| Permutation::new(count)),
        })
    }

    fn skewed(
        &self,
        shape: Distribution,
        count: u64,
        check: &Check<'_>,
    ) -> Result<Shape, ParamError> {
        let number = |key, value: Option<f64>, least: f64, strictly: bool| {
            let value = check.given(key, value)?;
            let sound = value.is_finite()
                && value <= 1_000.0
                && (value > least || (value == least && !strictly));
            let bound = if strictly { "above" } else { "of at least" };
            check.require(sound, key, || {
                format!("expected a number {bound} {least} and at most 1,000, got {value}")
            })?;
            Ok(value)
        };
        Ok(match shape {
            Distribution::Uniform => Shape::Uniform,
            Distribution::Zipf => Shape::Zipf(Zipf::new(
                count,
                number("exponent", self.exponent, 0.0, true)?,
            )),
            Distribution::Gaussian => Shape::Gaussian {
                parameter: number("parameter", self.parameter, 2.0, false)?,
            },
            Distribution::Exponential => {
                Shape::exponential(number("parameter", self.parameter, 0.0, true)?)
            }
        })
    }

    fn sequence(&self, check: &Check<'_>) -> Result<Kind, ParamError> {
        let from = check.given("sequence", self.sequence)?;
        let count = self.to.map(|to| check.count(from, to)).transpose()?;
        Ok(Kind::Sequence { from, count })
    }

    fn choice(&self, check: &Check<'_>) -> Result<Kind, ParamError> {
        let texts = self.choice.iter().map(|value| match value {
            Value::String(text) => Ok(text.as_bytes().into()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string().into_bytes().into()),
            other => check.fail(
                "choice",
                format!("expected texts, numbers or booleans, got `{other}`"),
            ),
        });
        let texts = texts.collect::<Result<Box<[Box<[u8]>]>, _>>()?;
        let (choices, weights) = (texts.len(), self.weights.len());
        check.require(weights == 0 || weights == choices, "weights", || {
            format!("expected {choices} weights, one for each choice, got {weights}")
        })?;
        let equal = if weights == 0 { choices } else { 0 };
        let mix = Mix::new(
            self.weights
                .iter()
                .copied()
                .chain(std::iter::repeat_n(1, equal)),
        );
        match mix {
            Some(mix) => Ok(Kind::Choice { texts, mix }),
            None => check.fail(
                "weights",
                "expected a weight above zero, got none".to_owned(),
            ),
        }
    }

    fn text(&self, check: &Check<'_>) -> Result<Kind, ParamError> {
        let length = check.given("text", self.text)?;
        check.require((1..=LONGEST_TEXT).contains(&length), "text", || {
            format!("expected 1 to {LONGEST_TEXT} bytes, got {length}")
        })?;
        Ok(Kind::Text { length })
    }
}

/// Errors below one parameter.
struct Check<'a> {
    param: &'a str,
}

impl Check<'_> {
    fn fail<T>(&self, key: &str, message: String) -> Result<T, ParamError> {
        Err(ParamError {
            param: format!("{}.{key}", self.param),
            message,
        })
    }

    fn require(
        &self,
        holds: bool,
        key: &str,
        message: impl FnOnce() -> String,
    ) -> Result<(), ParamError> {
        if holds {
            Ok(())
        } else {
            self.fail(key, message())
        }
    }

    fn given<T>(&self, key: &str, value: Option<T>) -> Result<T, ParamError> {
        value.map_or_else(
            || self.fail(key, format!("expected a number as `{key}`, got none")),
            Ok,
        )
    }

    /// The number of numbers from `from` to `to`.
    fn count(&self, from: i64, to: i64) -> Result<u64, ParamError> {
        self.require(from <= to, "to", || {
            format!("expected at least {from}, got {to}")
        })?;
        let count = to.abs_diff(from).checked_add(1);
        count.map_or_else(
            || self.fail("to", "expected fewer than 2^64 numbers".to_owned()),
            Ok,
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_impossible_draw_is_refused_at_its_key() {
        let check = |spec: Value, param: &str, message: &str| {
            let parsed: DrawSpec = serde_json::from_value(spec.clone()).expect("types");
            let error = parsed.generator("draw.x").expect_err("impossible");
            assert_eq!(error.param, format!("draw.x.{param}"), "{spec}");
            assert!(error.message.contains(message), "{spec}: {}", error.message);
        };
        check(json!({}), "from", "expected a number as `from`, got none");
        check(
            json!({"from": 2, "to": 1}),
            "to",
            "expected at least 2, got 1",
        );
        check(
            json!({"from": i64::MIN, "to": i64::MAX}),
            "to",
            "fewer than 2^64",
        );
        check(
            json!({"text": 1, "uuid": true}),
            "uuid",
            "got `text` and `uuid`",
        );
        check(json!({"text": 0}), "text", "got 0");
        check(
            json!({"text": 8, "from": 1}),
            "from",
            "no `from` for the draw `text`",
        );
        check(
            json!({"from": 1, "to": 9, "scatter": true}),
            "scatter",
            "the draw `uniform`",
        );
        check(
            json!({"from": 1, "to": 9, "exponent": 1}),
            "exponent",
            "the draw `uniform`",
        );
        let zipf = |exponent: f64| json!({"distribution": "zipf", "from": 1, "to": 9, "exponent": exponent});
        check(zipf(0.0), "exponent", "above 0 and at most 1,000, got 0");
        let wide = json!({"distribution": "zipf", "from": 0, "to": 1_u64 << 60, "exponent": 1});
        check(wide, "to", "at most 2^53");
        let narrow = json!({"distribution": "gaussian", "from": 1, "to": 9, "parameter": 1.5});
        check(
            narrow,
            "parameter",
            "of at least 2 and at most 1,000, got 1.5",
        );
        check(json!({"choice": [[1]]}), "choice", "got `[1]`");
        check(
            json!({"choice": ["a", "b"], "weights": [1]}),
            "weights",
            "expected 2 weights",
        );
        check(
            json!({"choice": ["a"], "weights": [0]}),
            "weights",
            "above zero",
        );
        check(
            json!({"weights": [1], "from": 1, "to": 2}),
            "weights",
            "the draw `uniform`",
        );
    }
}
