//! Metrics: every number of a round, in one list, [`METRICS`].
//!
//! A new metric is one line there: its name ending in the unit, how to read it from a round, and, if runtimes are
//! compared by it, which direction is better. Observations of a workload or a probe are added under their own names.
//! `report` takes medians over rounds; `rule` decides what a difference means.

use std::borrow::Cow;
use std::collections::BTreeSet;

use photofinish_record::latency::{HIGHEST_LATENCY_NS, Latencies};
use photofinish_record::load::Load;
use photofinish_record::{Cost, LoopOverhead, Measurement, OpenLoad, Part};
use serde::{Deserialize, Serialize};

/// A process that uses this share of its CPUs' time is exhausted.
pub(crate) const EXHAUSTED: f64 = 0.95;

/// The headline metric under closed load.
pub const THROUGHPUT: &str = "throughput_ops_s";
/// The headline metric under open load.
pub const RESPONSE_P99: &str = "response_p99_ns";
/// The headline metric under open load if there are too few samples for a 99th percentile.
pub const RESPONSE_P50: &str = "response_p50_ns";

/// Arrivals per second that started in time: the achieved rate of an open load.
pub const ACHIEVED: &str = "achieved_ops_s";
/// Arrivals per second in the schedule.
pub const OFFERED: &str = "offered_ops_s";

/// A number that every measured round may have.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name, ending in the unit.
    pub name: Cow<'static, str>,
    /// The unit alone; empty for a plain number.
    pub unit: &'static str,
    /// `None` if runtimes are not compared by it.
    pub compared: Option<Compared>,
    /// True if it is meaningful even if the round's content was wrong.
    pub counts_only: bool,
    reading: Reading,
}

/// The comparison of runtimes by a metric.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    pub better: Better,
    pub loads: Loads,
    /// The part of the measuring loop's overhead in it: a smaller difference does not count.
    pub overhead: Overhead,
}

/// The better direction of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better: operations per second.
    Higher,
    /// Less is better: times, costs.
    Lower,
}

/// The loads under which runtimes are compared by a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loads {
    /// Closed load only: under open load the schedule decides.
    Closed,
    /// Open load only, since closed load has none.
    Open,
    Both,
}

/// The measuring loop's overhead in a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overhead {
    /// The loop's own time per operation, in operations per second.
    Rate,
    /// The loop's own service time, in ns.
    Time,
    Unknown,
}

type Read = fn(&Measurement) -> Option<f64>;
type ReadCost = fn(&Cost) -> Option<u64>;
type ReadPart = fn(&Part, &Measurement) -> Option<f64>;
type ReadOpen = fn(&OpenLoad) -> Option<f64>;

/// The source of a metric within a round.
#[derive(Clone, Debug)]
enum Reading {
    Number(Read),
    /// A cost of the whole round, divided by its operations.
    PerOp(ReadCost),
    OpenNumber(ReadOpen),
    Quantile {
        of: Times,
        at: f64,
    },
    /// A number that the workload reported under this name.
    Gauge(String),
    /// A number of the part with this name; `None` for a round without it.
    Part(String, ReadPart),
}

/// The histograms of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    Service,
    /// Includes operations that had not ended, with the time they had waited.
    Response,
    Lag,
    PacingError,
    /// Times observed under this name.
    Observed(String),
    /// Of the part of this name.
    Part(String),
}

impl Times {
    /// The histogram; `None` if the round has none, as under closed load.
    pub(crate) fn of<'a>(&self, round: &'a Measurement) -> Option<Cow<'a, Latencies>> {
        let open = round.open.as_ref();
        match self {
            Self::Service => Some(Cow::Borrowed(&round.service)),
            Self::Response => open.map(response),
            Self::Lag => open.map(|open| Cow::Borrowed(&open.lag)),
            Self::PacingError => open.map(|open| Cow::Borrowed(&open.pacing_error)),
            Self::Observed(name) => round.observed.get(name).map(Cow::Borrowed),
            Self::Part(name) => part(name, round).map(|part| Cow::Borrowed(&part.service)),
        }
    }
}

/// Response times of all arrivals: those of the successes, and the waits of the unfinished and the unsent.
pub(crate) fn response(open: &OpenLoad) -> Cow<'_, Latencies> {
    if open.overdue.count() == 0 {
        return Cow::Borrowed(&open.response);
    }
    let mut all = open.response.clone();
    all.merge(&open.overdue);
    Cow::Owned(all)
}

const BY_THROUGHPUT: Compared = Compared {
    better: Better::Higher,
    loads: Loads::Closed,
    overhead: Overhead::Rate,
};

const BY_RESPONSE: Compared = Compared {
    better: Better::Lower,
    loads: Loads::Open,
    overhead: Overhead::Time,
};

const BY_SERVICE: Compared = Compared {
    loads: Loads::Both,
    ..BY_RESPONSE
};

const BY_COST: Compared = Compared {
    overhead: Overhead::Unknown,
    ..BY_SERVICE
};

/// Every metric, apart from those named by workloads and probes.
pub const METRICS: &[Metric] = &[
    number(THROUGHPUT, "ops/s", |round| Some(round.throughput_ops_s)).compared(BY_THROUGHPUT),
    open_number(OFFERED, "ops/s", |open| per_second(open.scheduled, open)),
    open_number(ACHIEVED, "ops/s", |open| {
        per_second(open.started_in_time, open)
    }),
    quantile("response_p50_ns", Times::Response, 0.5).compared(BY_RESPONSE),
    quantile("response_p90_ns", Times::Response, 0.9),
    quantile("response_p99_ns", Times::Response, 0.99).compared(BY_RESPONSE),
    quantile("response_p999_ns", Times::Response, 0.999),
    quantile("response_max_ns", Times::Response, 1.0),
    quantile("service_p50_ns", Times::Service, 0.5).compared(BY_SERVICE),
    quantile("service_p90_ns", Times::Service, 0.9),
    quantile("service_p99_ns", Times::Service, 0.99).compared(BY_SERVICE),
    quantile("service_p999_ns", Times::Service, 0.999),
    quantile("lag_p50_ns", Times::Lag, 0.5),
    quantile("lag_p99_ns", Times::Lag, 0.99),
    quantile("lag_max_ns", Times::Lag, 1.0),
    quantile("pacing_error_p99_ns", Times::PacingError, 0.99),
    open_number("pacer_cpu_ns_per_op", "ns/op", |open| {
        Some(open.pacer_cpu_ns? as f64 / open.scheduled as f64)
    }),
    open_number("late", "ops", |open| Some(open.late as f64)).count(),
    open_number("unfinished", "ops", |open| Some(open.unfinished as f64)).count(),
    open_number("unsent", "ops", |open| Some(open.unsent as f64)).count(),
    per_op("cpu_ns_per_op", "ns/op", |cost| {
        sum(cost.cpu_user_ns, cost.cpu_system_ns)
    })
    .compared(BY_COST),
    per_op("cpu_user_ns_per_op", "ns/op", |cost| cost.cpu_user_ns),
    per_op("cpu_system_ns_per_op", "ns/op", |cost| cost.cpu_system_ns),
    per_op("context_switches_per_op", "switches/op", |cost| {
        sum(cost.voluntary_switches, cost.involuntary_switches)
    }),
    per_op("voluntary_switches_per_op", "switches/op", |cost| {
        cost.voluntary_switches
    }),
    per_op("involuntary_switches_per_op", "switches/op", |cost| {
        cost.involuntary_switches
    }),
    per_op("page_faults_per_op", "faults/op", |cost| {
        sum(cost.minor_faults, cost.major_faults)
    }),
    number("instructions_per_op", "instructions/op", |round| {
        round.cost.instructions_per_op
    }),
    number("syscalls_per_op", "syscalls/op", |round| {
        round.cost.syscalls_per_op
    }),
    number("peak_rss_bytes", "bytes", |round| {
        whole(round.cost.peak_rss_bytes)
    }),
    number("threads", "threads", |round| whole(round.cost.threads)),
    number("overhead_ns_per_op", "ns/op", |round| {
        Overhead::Rate.of_loop_ns(round.overhead.as_ref()?)
    }),
    number("overhead_service_p50_ns", "ns", |round| {
        Overhead::Time.of_loop_ns(round.overhead.as_ref()?)
    }),
    number("ops", "ops", |round| Some(round.ops as f64)).count(),
    number("errors", "errors", |round| Some(round.failed_ops() as f64)).count(),
];

/// The metric of that name in [`METRICS`].
pub fn named(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The metric of that name, with or without its unit: one of [`METRICS`], or any percentile of response, service or lag,
/// such as `response_p99.5`; or one of a part, `request.NAME.service_p99`.
pub fn by_name(name: &str) -> Option<Cow<'static, Metric>> {
    if let (Some(part), metric) = part_and_metric(name) {
        return by_name_of_part(part, metric).map(Cow::Owned);
    }
    let of_name = |metric: &&Metric| metric.name == name || short_name(&metric.name) == name;
    let listed = METRICS.iter().find(of_name).map(Cow::Borrowed);
    listed.or_else(|| percentile(name))
}

/// A metric of `part`, with or without its unit: throughput, or any percentile of the service time.
fn by_name_of_part(part: &str, name: &str) -> Option<Metric> {
    let full_name = |metric: &str| Cow::Owned(format!("request.{part}.{metric}"));
    let same = |metric: &Metric| metric.name == name || short_name(&metric.name) == name;
    if let Some(metric) = of_part(part).find(same) {
        let name = full_name(&metric.name);
        return Some(Metric { name, ..metric });
    }
    let percentile = percentile(name)?;
    let (times, at) = percentile.quantile()?;
    (*times == Times::Service).then(|| Metric {
        name: full_name(&percentile.name),
        ..quantile("", Times::Part(part.to_owned()), at)
    })
}

/// Splits `request.NAME.METRIC` into the part, without quotes, and the metric. Both may contain dots, as in
/// `service_p99.5`.
pub fn part_and_metric(name: &str) -> (Option<&str>, &str) {
    let rest = ["request.", "transaction."]
        .iter()
        .find_map(|kind| name.strip_prefix(kind));
    let Some(rest) = rest else {
        return (None, name);
    };
    let decimals = |end: &str| {
        let end = end.strip_suffix("_ns").unwrap_or(end);
        !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit())
    };
    let split = match rest.rsplit_once('.') {
        Some((before, end)) if decimals(end) => before.rfind('.'),
        Some((before, _)) => Some(before.len()),
        None => None,
    };
    split.map_or((None, name), |at| {
        let part = &rest[..at];
        let unquoted = part
            .strip_prefix('"')
            .and_then(|part| part.strip_suffix('"'));
        (Some(unquoted.unwrap_or(part)), &rest[at + 1..])
    })
}

/// The times that have percentiles, by name.
const TIMES: [(&str, Times); 3] = [
    ("response", Times::Response),
    ("service", Times::Service),
    ("lag", Times::Lag),
];

/// The metric of a percentile, which is the listed one if there is one.
fn percentile(name: &str) -> Option<Cow<'static, Metric>> {
    let (times, rank) = name.strip_suffix("_ns").unwrap_or(name).split_once('_')?;
    let (_, of) = TIMES.into_iter().find(|entry| entry.0 == times)?;
    let at = quantile_of(rank)?;
    let same = |metric: &&Metric| match &metric.reading {
        Reading::Quantile {
            of: other,
            at: rank,
        } => *other == of && (rank - at).abs() < 1e-9,
        _ => false,
    };
    let listed = METRICS.iter().find(same).map(Cow::Borrowed);
    let own = || Metric {
        name: Cow::Owned(format!("{times}_{rank}_ns")),
        ..quantile("", of, at)
    };
    listed.or_else(|| Some(Cow::Owned(own())))
}

/// The quantile of `p99.5`, `p999` or `max`.
fn quantile_of(rank: &str) -> Option<f64> {
    let percent: f64 = match rank {
        "max" => 100.0,
        "p999" => 99.9,
        rank => {
            let digits = rank.strip_prefix('p')?;
            let plain = digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
            let percent = digits.parse().ok().filter(|_| plain)?;
            (percent > 0.0 && percent < 100.0).then_some(percent)?
        }
    };
    Some(percent / 100.0)
}

/// A metric's name as users write it, without its unit: `response_p99`, `cpu_per_op`.
pub fn short_name(name: &str) -> String {
    let short = name.replace("_ns_per_op", "_per_op");
    let endings = ["_ns", "_ops_s", "_bytes"];
    let stem = endings.iter().find_map(|ending| short.strip_suffix(ending));
    stem.unwrap_or(&short).to_owned()
}

/// Every metric of these rounds: [`METRICS`], then all observations, by name.
pub fn all<'a>(rounds: impl Iterator<Item = &'a Measurement> + Clone) -> Vec<Metric> {
    let times: BTreeSet<&String> = rounds
        .clone()
        .flat_map(|round| round.observed.keys())
        .collect();
    let gauges: BTreeSet<&String> = rounds.flat_map(|round| round.gauges.keys()).collect();
    let fixed = METRICS.iter().cloned();
    let observed = times.into_iter().flat_map(|name| observed(name));
    let gauges = gauges.into_iter().map(|name| gauge(name));
    fixed.chain(observed).chain(gauges).collect()
}

/// The metrics of the part called `name`, under the names of the same metrics of whole operations.
pub fn of_part(name: &str) -> impl Iterator<Item = Metric> {
    let number = |metric_name, unit, read: ReadPart| {
        metric(metric_name, unit, Reading::Part(name.to_owned(), read))
    };
    let time = |metric, at| quantile(metric, Times::Part(name.to_owned()), at);
    [
        number(THROUGHPUT, "ops/s", |part, round| {
            let elapsed_ns = round.elapsed_ns;
            (elapsed_ns > 0).then(|| part.succeeded as f64 * 1e9 / elapsed_ns as f64)
        }),
        time("service_p50_ns", 0.5).compared(BY_SERVICE),
        time("service_p90_ns", 0.9),
        time("service_p99_ns", 0.99).compared(BY_SERVICE),
        time("service_p999_ns", 0.999),
        time("service_max_ns", 1.0),
        number("ops", "ops", |part, _| Some(part.succeeded as f64)).count(),
        number("errors", "errors", |part, _| Some(part.failed as f64)).count(),
    ]
    .into_iter()
}

pub(crate) fn part<'a>(name: &str, round: &'a Measurement) -> Option<&'a Part> {
    round.parts.iter().find(|part| part.name == name)
}

/// The metric of that name, from [`METRICS`] or the round's own observations.
pub fn find(name: &str, round: &Measurement) -> Option<Metric> {
    all(std::iter::once(round))
        .into_iter()
        .find(|metric| metric.name == name)
}

impl Metric {
    /// Its value in one round; `None` if unknown.
    pub fn read(&self, round: &Measurement) -> Option<f64> {
        match &self.reading {
            Reading::Number(read) => read(round),
            Reading::PerOp(read) => {
                // Failed operations cost too, and count as operations.
                let ops = round.ops.saturating_add(round.failed_ops());
                read(&round.cost)
                    .filter(|_| ops > 0)
                    .map(|cost| cost as f64 / ops as f64)
            }
            Reading::OpenNumber(read) => round.open.as_ref().and_then(read),
            Reading::Quantile { of, at } => {
                of.of(round)?.quantile_ns(*at).map(|time_ns| time_ns as f64)
            }
            Reading::Gauge(name) => round.gauges.get(name).copied(),
            Reading::Part(name, read) => read(part(name, round)?, round),
        }
        .filter(|value| value.is_finite())
    }

    /// The times and the quantile that it reads; `None` unless it is a percentile.
    pub(crate) fn quantile(&self) -> Option<(&Times, f64)> {
        match &self.reading {
            Reading::Quantile { of, at } => Some((of, *at)),
            _ => None,
        }
    }

    /// Samples behind its value in one round; `None` unless it is a percentile.
    pub fn samples(&self, round: &Measurement) -> Option<SampleCount> {
        let Reading::Quantile { of, at } = &self.reading else {
            return None;
        };
        Some(SampleCount {
            present: of.of(round)?.count(),
            needed: needed(*at),
        })
    }

    /// True if its true value in this round may be more than 1 % greater, because operations that had not ended count
    /// with the time they had waited, or because it is at the end of the histogram.
    pub fn is_lower_bound(&self, round: &Measurement) -> bool {
        let longest = |value: f64| value >= HIGHEST_LATENCY_NS as f64;
        if matches!(self.reading, Reading::Quantile { .. }) && self.read(round).is_some_and(longest)
        {
            return true;
        }
        let (
            Reading::Quantile {
                of: Times::Response,
                at,
            },
            Some(open),
        ) = (&self.reading, &round.open)
        else {
            return false;
        };
        if open.overdue.count() == 0 {
            return false;
        }
        // In the worst case they would all lie above the successes.
        let all = open.response.count() + open.overdue.count();
        let among_successes = at * all as f64 / open.response.count() as f64;
        let at_most = Some(among_successes)
            .filter(|quantile| *quantile <= 1.0)
            .and_then(|quantile| open.response.quantile_ns(quantile));
        let at_least = self.read(round).unwrap_or(0.0);
        at_most.is_none_or(|at_most| at_most as f64 > 1.01 * at_least)
    }

    /// The way runtimes are compared by it under `load`; `None` if they are not.
    pub fn compared_under(&self, load: Load) -> Option<Compared> {
        self.compared.filter(|compared| match compared.loads {
            Loads::Closed => matches!(load, Load::Closed { .. }),
            Loads::Open => matches!(load, Load::Open { .. }),
            Loads::Both => true,
        })
    }

    const fn count(mut self) -> Self {
        self.counts_only = true;
        self
    }

    const fn compared(mut self, compared: Compared) -> Self {
        self.compared = Some(compared);
        self
    }
}

/// Samples behind a percentile in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SampleCount {
    pub present: u64,
    /// The number that makes the percentile sound.
    pub needed: u64,
}

impl SampleCount {
    /// True if not even a tenth of an operation lies beyond the percentile, so that it is merely the longest time: a
    /// p99 of nine operations, a p99.9 of ninety-nine.
    pub fn is_meaningless(self) -> bool {
        self.needed > MEDIAN && self.present.saturating_mul(1_000) < self.needed
    }
}

impl Overhead {
    /// The time of the measuring loop around an operation that does nothing, in ns.
    pub fn of_loop_ns(self, overhead: &LoopOverhead) -> Option<f64> {
        match self {
            Self::Rate => self.as_ns(overhead.throughput_ops_s),
            Self::Time => self.as_ns(overhead.service_p50_ns as f64),
            Self::Unknown => None,
        }
    }

    /// A value of the metric as time per operation, in ns.
    pub fn as_ns(self, value: f64) -> Option<f64> {
        match self {
            Self::Rate => (value > 0.0).then(|| 1e9 / value),
            Self::Time => Some(value),
            Self::Unknown => None,
        }
    }
}

/// Minimum number of samples for a sound median.
const MEDIAN: u64 = 20;

/// Minimum number of samples: that of a median, a hundred beyond any higher percentile, and any number for a maximum.
fn needed(quantile: f64) -> u64 {
    match quantile {
        quantile if quantile <= 0.5 => MEDIAN,
        quantile if quantile < 1.0 => (100.0 / (1.0 - quantile)).round() as u64,
        _ => 0,
    }
}

const fn number(name: &'static str, unit: &'static str, read: Read) -> Metric {
    metric(name, unit, Reading::Number(read))
}

const fn per_op(name: &'static str, unit: &'static str, read: ReadCost) -> Metric {
    metric(name, unit, Reading::PerOp(read))
}

const fn open_number(name: &'static str, unit: &'static str, read: ReadOpen) -> Metric {
    metric(name, unit, Reading::OpenNumber(read))
}

const fn quantile(name: &'static str, of: Times, at: f64) -> Metric {
    metric(name, "ns", Reading::Quantile { of, at })
}

const fn metric(name: &'static str, unit: &'static str, reading: Reading) -> Metric {
    Metric {
        name: Cow::Borrowed(name),
        unit,
        compared: None,
        counts_only: false,
        reading,
    }
}

/// Percentiles of the times that a workload or a probe observed under `name`.
fn observed(name: &str) -> impl Iterator<Item = Metric> {
    [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
        .map(|(percentile, at)| Metric {
            name: Cow::Owned(format!("{name}_{percentile}_ns")),
            ..quantile("", Times::Observed(name.to_owned()), at)
        })
        .into_iter()
}

fn gauge(name: &str) -> Metric {
    Metric {
        name: Cow::Owned(name.to_owned()),
        ..metric("", unit_of(name), Reading::Gauge(name.to_owned()))
    }
}

/// The unit at the end of a name; empty if there is none.
fn unit_of(name: &str) -> &'static str {
    let endings = [
        ("_ns_per_op", "ns/op"),
        ("_bytes_per_op", "bytes/op"),
        ("_ns", "ns"),
        ("_bytes", "bytes"),
        ("_ops_s", "ops/s"),
        ("_hz", "Hz"),
    ];
    endings
        .iter()
        .find(|(ending, _)| name.ends_with(ending))
        .map_or("", |(_, unit)| unit)
}

fn per_second(arrivals: u64, open: &OpenLoad) -> Option<f64> {
    (open.schedule_ns > 0).then(|| arrivals as f64 * 1e9 / open.schedule_ns as f64)
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.saturating_add(b?))
}

fn whole(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}
