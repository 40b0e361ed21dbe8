//! Delays of responses: fixed, or drawn from a distribution per operation.
//!
//! The text in a scenario ([`DelayText`]) is checked once and becomes a [`Delay`]. A parameter of another distribution
//! is rejected, because it would have no effect. Waiting happens in `answers.rs`.

use std::{fmt, time};

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, MapAccess, Visitor};

use super::draws::{Draws, Stream};
use crate::{BehaviourError, Duration};

/// A fixed delay such as `20ms`, or a distribution of delays.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum DelayText {
    Fixed(Duration),
    Distributed(DelayTable),
}

/// A distribution of delays: `uniform` takes `low` and `high`, `exponential` takes `mean`, `lognormal` takes `median`
/// and `sigma`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DelayTable {
    distribution: Distribution,
    low: Option<Duration>,
    high: Option<Duration>,
    mean: Option<Duration>,
    median: Option<Duration>,
    /// The standard deviation of the delay's natural logarithm.
    sigma: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Distribution {
    Uniform,
    Exponential,
    Lognormal,
}

/// Written by hand, because an untagged enum would answer every mistake with "did not match any variant" and no path.
impl<'de> Deserialize<'de> for DelayText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FixedOrTable;
        impl<'de> Visitor<'de> for FixedOrTable {
            type Value = DelayText;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a duration such as `20ms`, or a table with a `distribution`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<DelayText, E> {
                Duration::deserialize(StrDeserializer::new(text)).map(DelayText::Fixed)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DelayText, A::Error> {
                DelayTable::deserialize(MapAccessDeserializer::new(map)).map(DelayText::Distributed)
            }
        }
        deserializer.deserialize_any(FixedOrTable)
    }
}

/// A checked delay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Delay {
    Fixed(time::Duration),
    Uniform {
        low: time::Duration,
        high: time::Duration,
    },
    Exponential {
        mean: time::Duration,
    },
    Lognormal {
        median: time::Duration,
        sigma: f64,
    },
}

/// Upper bound on drawn delays; a lognormal's tail is unbounded.
const LONGEST_DELAY_S: f64 = 24.0 * 3600.0;

impl Delay {
    /// The delay of operation `op`.
    pub(super) fn draw(self, draws: Draws, op: u64) -> time::Duration {
        let seconds = match self {
            Delay::Fixed(delay) => return delay,
            Delay::Uniform { low, high } => {
                low.as_secs_f64() + (high - low).as_secs_f64() * draws.uniform(Stream::Delay, op)
            }
            Delay::Exponential { mean } => mean.as_secs_f64() * draws.exponential(op),
            Delay::Lognormal { median, sigma } => {
                median.as_secs_f64() * (sigma * draws.normal(op)).exp()
            }
        };
        time::Duration::from_secs_f64(seconds.min(LONGEST_DELAY_S))
    }
}

impl DelayText {
    pub(super) fn check(self) -> Result<Delay, BehaviourError> {
        let table = match self {
            DelayText::Fixed(delay) => return Ok(Delay::Fixed(delay.get())),
            DelayText::Distributed(table) => table,
        };
        table.refuse_strangers()?;
        match table.distribution {
            Distribution::Uniform => table.uniform(),
            Distribution::Exponential => Ok(Delay::Exponential {
                mean: table.need("mean", table.mean)?.get(),
            }),
            Distribution::Lognormal => table.lognormal(),
        }
    }
}

impl Distribution {
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Distribution::Uniform => &["low", "high"],
            Distribution::Exponential => &["mean"],
            Distribution::Lognormal => &["median", "sigma"],
        }
    }
}

impl DelayTable {
    /// Rejects parameters of other distributions, which would have no effect.
    fn refuse_strangers(&self) -> Result<(), BehaviourError> {
        let given = [
            ("low", self.low.is_some()),
            ("high", self.high.is_some()),
            ("mean", self.mean.is_some()),
            ("median", self.median.is_some()),
            ("sigma", self.sigma.is_some()),
        ];
        let own = self.distribution.parameters();
        match given
            .iter()
            .find(|(name, given)| *given && !own.contains(name))
        {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("`{name}` is not a parameter of this distribution");
                let expected = own.iter().map(|name| (*name).to_owned()).collect();
                Err(BehaviourError {
                    expected,
                    ..BehaviourError::at(["delay", name], message)
                })
            }
        }
    }

    fn uniform(&self) -> Result<Delay, BehaviourError> {
        let low = self.need("low", self.low)?.get();
        let high = self.need("high", self.high)?.get();
        if high < low {
            return Err(BehaviourError::at(
                ["delay", "high"],
                "`high` must not be below `low`",
            ));
        }
        Ok(Delay::Uniform { low, high })
    }

    fn lognormal(&self) -> Result<Delay, BehaviourError> {
        let median = self.need("median", self.median)?.get();
        let sigma = self.need("sigma", self.sigma)?;
        if !(sigma.is_finite() && sigma >= 0.0) {
            return Err(BehaviourError::at(
                ["delay", "sigma"],
                "`sigma` must be a number from 0 up",
            ));
        }
        Ok(Delay::Lognormal { median, sigma })
    }

    fn need<T>(&self, name: &str, value: Option<T>) -> Result<T, BehaviourError> {
        value.ok_or_else(|| {
            BehaviourError::at(["delay"], format!("this distribution needs `{name}`"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn uniform_delays_stay_between_their_bounds() {
        let text = json!({"distribution": "uniform", "low": "1ms", "high": "3ms"});
        let text: DelayText = serde_json::from_value(text).unwrap();
        let delay = text.check().unwrap();
        let delays: Vec<_> = (0..1000).map(|op| delay.draw(Draws::new(1), op)).collect();
        let (low, high) = (
            time::Duration::from_millis(1),
            time::Duration::from_millis(3),
        );
        assert!(delays.iter().all(|delay| (low..=high).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < low + (high - low) / 10));
        assert!(delays.iter().any(|delay| *delay > high - (high - low) / 10));
    }
}
