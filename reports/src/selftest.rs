//! The self-test: the tool's claims about its own numbers, checked against ground truth.
//!
//! Pure: measured rounds in, claims out, each with its bound and the measured value. The oracles are arithmetic on
//! scripted behaviour (a stall of known length under a known rate, samples kept individually) and know nothing of how
//! the tool measures. The CLI runs the rounds.

use photofinish_record::draw::draw;
use photofinish_record::latency::Latencies;
use photofinish_record::machine::Machine;
use photofinish_record::protocol::Audit;
use photofinish_record::{Measurement, OpenLoad};
use serde::{Deserialize, Serialize};

use crate::metrics::response;
use crate::terminal::{Style, Text, Tone};
use crate::units;

/// Name and version of the proof's format.
pub const PROOF_SCHEMA: &str = "photofinish-selftest/1";

/// Maximum relative error of a percentile.
const PERCENTILE_ERROR: f64 = 0.001;
/// Maximum relative error of a stall's 99th percentile and maximum.
const STALL_ERROR: f64 = 0.01;
/// Maximum relative error of the achieved rate.
const RATE_ERROR: f64 = 0.001;
/// Maximum 99th percentile of the pacing error, in ns.
const PACING_ERROR_NS: u64 = 100_000;
/// Maximum difference between response times of arrivals from the worker's own pacer and of those through a FIFO, in ns. It
/// is that of the median and of the 90th percentile; the tail is that of the machine.
const HANDOVER_NS: u64 = 100_000;
/// Maximum overhead of the measuring loop beyond two clock reads, in ns per operation.
const LOOP_COST_NS: f64 = 60.0;
/// Maximum growth of memory from few operations to many, in bytes: pages that the system happens to allocate. Keeping
/// one sample per operation would take more than three times as much even from 100,000 to a million operations.
const MEMORY_GROWTH_BYTES: u64 = 2 << 20;

/// The compared quantiles.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("maximum", 1.0),
];

/// The result of the self-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proof {
    /// Always [`PROOF_SCHEMA`].
    pub schema: String,
    pub machine: Machine,
    /// `release` or `debug`: costs of a debug build mean nothing.
    pub profile: String,
    /// True if every claim that could be tested holds.
    pub passed: bool,
    pub claims: Vec<Claim>,
}

/// A claim of the tool about its own numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claim {
    /// Its name: `stall-p99`.
    pub name: String,
    /// The claim in words.
    pub claim: String,
    /// The runtime it was tested under; `null` of a claim about none.
    pub runtime: Option<String>,
    /// The bound, for people.
    pub bound: String,
    /// The measured value, for people.
    pub measured: String,
    pub outcome: Outcome,
}

/// The outcome of testing a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Holds,
    Fails,
    /// It could not be tested here; `measured` says why.
    Untested,
}

/// A server that stalled under an open load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stall {
    /// Arrivals per second.
    pub rate_hz: f64,
    /// Length of the stall, in ns.
    pub stall_ns: u64,
}

impl Stall {
    /// The response time at `quantile` of `arrivals` evenly spaced arrivals, in ns, if everything but the stall takes
    /// no time: arrival number k after the start of the stall waits for the rest of it, so the longest response is the
    /// stall, and each following one is shorter by the distance between arrivals. The stall starts midway between two
    /// arrivals, on average.
    pub fn response_ns(&self, arrivals: u64, quantile: f64) -> f64 {
        let longer = arrivals - rank(arrivals, quantile);
        let distance_ns = 1e9 / self.rate_hz;
        let waited = self.stall_ns as f64 - (longer as f64 + 0.5) * distance_ns;
        waited.max(0.0)
    }
}

/// Nearest rank: the number of values, of `count`, at or below the one at `quantile`.
fn rank(count: u64, quantile: f64) -> u64 {
    // The tolerance keeps 0.99 · 1000 from becoming 991, since 0.99 has no exact binary form.
    let rank = (quantile * count as f64 - 1e-9).ceil();
    (rank as u64).clamp(1, count.max(1))
}

impl Claim {
    fn new(
        name: &str,
        claim: &str,
        runtime: Option<&str>,
        bound: String,
        measured: String,
        holds: bool,
    ) -> Self {
        Self {
            name: name.to_owned(),
            claim: claim.to_owned(),
            runtime: runtime.map(str::to_owned),
            bound,
            measured,
            outcome: if holds {
                Outcome::Holds
            } else {
                Outcome::Fails
            },
        }
    }
}

/// A claim that could not be tested.
pub fn untested(name: &str, claim: &str, runtime: &str, reason: &str) -> Claim {
    Claim {
        name: name.to_owned(),
        claim: claim.to_owned(),
        runtime: Some(runtime.to_owned()),
        bound: String::new(),
        measured: reason.to_owned(),
        outcome: Outcome::Untested,
    }
}

/// The worst relative error of the histogram's quantiles against those of the samples, with the name of the quantile.
fn worst_error(samples: &[u64], latencies: &Latencies) -> Option<(f64, &'static str)> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let errors = QUANTILES.iter().filter_map(|(name, quantile)| {
        let exact = *sorted.get(rank(sorted.len() as u64, *quantile) as usize - 1)?;
        let shown = latencies.quantile_ns(*quantile)?;
        Some(((shown as f64 / exact as f64 - 1.0).abs(), *name))
    });
    errors.max_by(|a, b| a.0.total_cmp(&b.0))
}

fn percent(share: f64) -> String {
    format!("{:.3}%", share * 100.0)
}

/// Percentiles of a million scripted times, written and read back as in a record, against the sorted times.
pub fn recorded_percentiles() -> Claim {
    // Three modes and a long tail, from 1 µs to seconds: exp of a uniform draw, times ten or a thousand for some.
    let sample = |index: u64| {
        let uniform = (draw(7, index) >> 11) as f64 / (1_u64 << 53) as f64;
        let scale = match draw(8, index) % 1_000 {
            0 => 1e6,
            1..100 => 1e4,
            _ => 1e3,
        };
        (scale * (uniform * 4.0).exp()) as u64
    };
    let samples: Vec<u64> = (0..1_000_000).map(sample).collect();
    let latencies: Latencies = samples.iter().copied().collect();
    let read_back = Latencies::from_base64(&latencies.to_base64());
    percentile_claim(
        "recorded-percentiles",
        "a million scripted times keep their percentiles through a record",
        None,
        read_back.ok().and_then(|read| worst_error(&samples, &read)),
    )
}

/// Percentiles of a measured round against its service times, kept one by one.
pub fn measured_percentiles(runtime: &str, audit: &Audit, round: &Measurement) -> Claim {
    let whole = audit.service_ns.len() as u64 == round.ops;
    percentile_claim(
        "measured-percentiles",
        "percentiles agree with the raw times of the same operations",
        Some(runtime),
        worst_error(&audit.service_ns, &round.service).filter(|_| whole),
    )
}

fn percentile_claim(
    name: &str,
    claim: &str,
    runtime: Option<&str>,
    worst: Option<(f64, &str)>,
) -> Claim {
    let measured = worst.map_or("samples are missing".to_owned(), |(error, at)| {
        format!("{} at {at}", percent(error))
    });
    let holds = worst.is_some_and(|(error, _)| error <= PERCENTILE_ERROR);
    let bound = format!("≤ {}", percent(PERCENTILE_ERROR));
    Claim::new(name, claim, runtime, bound, measured, holds)
}

/// Response times of a round with a stalled server against arithmetic, and the service time, which misses the stall:
/// the reason that response times are measured at all.
pub fn stall(runtime: &str, stall: Stall, round: &Measurement) -> Vec<Claim> {
    const P99: &str = "a stalled server shows in the response p99 as arithmetic says";
    let Some(open) = &round.open else {
        return vec![untested("stall-p99", P99, runtime, "the load was not open")];
    };
    let response = response(open);
    let arrivals = response.count();
    let against = |name: &str, claim: &str, quantile: f64| {
        let expected_ns = stall.response_ns(arrivals.max(1), quantile);
        let measured_ns = response.quantile_ns(quantile).unwrap_or(0) as f64;
        let error = (measured_ns / expected_ns - 1.0).abs();
        let expected = units::duration(expected_ns);
        let bound = format!("{expected} ± {}", percent(STALL_ERROR));
        let measured = format!("{} ({})", units::duration(measured_ns), percent(error));
        let holds = error <= STALL_ERROR;
        Claim::new(name, claim, Some(runtime), bound, measured, holds)
    };
    let bound_ns = stall.response_ns(arrivals.max(1), 0.99) / 10.0;
    let service_ns = round.service.quantile_ns(0.99).unwrap_or(0) as f64;
    vec![
        against("stall-p99", P99, 0.99),
        against("stall-maximum", "the longest response is the stall", 1.0),
        Claim::new(
            "stall-uncorrected",
            "service time alone would have hidden it",
            Some(runtime),
            format!("< {}", units::duration(bound_ns)),
            units::duration(service_ns),
            service_ns < bound_ns,
        ),
    ]
}

/// The achieved rate against the requested one.
pub fn rate(runtime: &str, rate_hz: f64, open: &OpenLoad) -> Claim {
    let requested = rate_hz * open.schedule_ns as f64 / 1e9;
    let error = (open.started_in_time as f64 / requested - 1.0).abs();
    Claim::new(
        "achieved-rate",
        "operations start at the requested rate",
        Some(runtime),
        format!("{rate_hz}/s ± {}", percent(RATE_ERROR)),
        format!("off by {}", percent(error)),
        error <= RATE_ERROR && open.rate_held,
    )
}

/// The pacing error.
pub fn pacing(runtime: &str, open: &OpenLoad) -> Claim {
    const CLAIM: &str = "the pacer releases arrivals when they are due";
    if !open.pacer_alone {
        return untested("pacing-error", CLAIM, runtime, "no CPU for the pacer alone");
    }
    let p99_ns = open.pacing_error.quantile_ns(0.99).unwrap_or(u64::MAX);
    Claim::new(
        "pacing-error",
        CLAIM,
        Some(runtime),
        format!("p99 ≤ {}", units::duration(PACING_ERROR_NS as f64)),
        format!("p99 {}", units::duration(p99_ns as f64)),
        p99_ns <= PACING_ERROR_NS,
    )
}

/// Rounds of the same open load, paced in the worker, and through a FIFO as for a lane.
#[derive(Clone, Debug, Default)]
pub struct BothWays {
    pub own: Vec<Measurement>,
    pub piped: Vec<Measurement>,
}

/// The claims that a load is the same whether the worker paces itself or gets its arrivals through a FIFO.
pub fn both_ways(runtime: &str, rounds: &BothWays) -> Vec<Claim> {
    vec![
        equal_arrivals(runtime, rounds),
        equal_responses(runtime, rounds),
    ]
}

/// Each arrival is served, and there are as many.
fn equal_arrivals(runtime: &str, rounds: &BothWays) -> Claim {
    let served = |rounds: &[Measurement]| -> Vec<Option<u64>> {
        let of = |round: &Measurement| {
            let open = round.open.as_ref()?;
            (round.ops == open.scheduled && open.unsent == 0).then_some(round.ops)
        };
        rounds.iter().map(of).collect()
    };
    let (own, piped) = (served(&rounds.own), served(&rounds.piped));
    let first = own.first().copied().flatten();
    let equal = |counts: &[Option<u64>]| !counts.is_empty() && counts.iter().all(|it| *it == first);
    let holds = first.is_some() && equal(&own) && equal(&piped);
    Claim::new(
        "fifo-arrivals",
        "a load through a FIFO, as lanes get it, has the same arrivals",
        Some(runtime),
        "equal, all served".to_owned(),
        match first {
            Some(count) if holds => format!("{count} arrivals both ways"),
            _ => format!("own pacer {own:?}, through a FIFO {piped:?}"),
        },
        holds,
    )
}

/// The lowest median and 90th percentile of the rounds of each kind against each other: what delays a round is the machine.
fn equal_responses(runtime: &str, rounds: &BothWays) -> Claim {
    const CLAIM: &str = "a load through a FIFO has the same response times";
    let all = || rounds.own.iter().chain(&rounds.piped);
    let alone = |round: &Measurement| round.open.as_ref().is_some_and(|open| open.pacer_alone);
    if !all().all(alone) {
        let reason = "no CPU for the pacer alone";
        return untested("fifo-response", CLAIM, runtime, reason);
    }
    let lowest_ns = |rounds: &[Measurement], quantile| {
        let opens = rounds.iter().filter_map(|round| round.open.as_ref());
        opens
            .filter_map(|open| response(open).quantile_ns(quantile))
            .min()
    };
    let differences = [("p50", 0.5), ("p90", 0.9)].map(|(name, quantile)| {
        let (own, piped) = (
            lowest_ns(&rounds.own, quantile),
            lowest_ns(&rounds.piped, quantile),
        );
        let own_and_piped = own.zip(piped);
        (name, own_and_piped)
    });
    let close = |(_, both): &(&str, Option<(u64, u64)>)| {
        both.is_some_and(|(own, piped)| own.abs_diff(piped) <= HANDOVER_NS)
    };
    let shown = differences.map(|(name, both)| match both {
        Some((own, piped)) => format!(
            "{name} {} and {}",
            units::duration(own as f64),
            units::duration(piped as f64)
        ),
        None => format!("{name} missing"),
    });
    Claim::new(
        "fifo-response",
        CLAIM,
        Some(runtime),
        format!("p50 and p90 within {}", units::duration(HANDOVER_NS as f64)),
        shown.join(", "),
        differences.iter().all(close),
    )
}

/// The counts of both sides.
pub fn counts(runtime: &str, requests: u64, mismatches: &[String]) -> Claim {
    Claim::new(
        "counts",
        "worker and server count the same",
        Some(runtime),
        "equal".to_owned(),
        match mismatches.first() {
            None => format!("{requests} requests on both sides"),
            Some(mismatch) => mismatch.clone(),
        },
        mismatches.is_empty() && requests > 0,
    )
}

/// The overhead of the measuring loop, from the quickest of several rounds of empty operations.
pub fn loop_cost(runtime: &str, rounds: &[Measurement], clock_read_ns: f64) -> Claim {
    let per_op = |round: &Measurement| round.elapsed_ns as f64 / round.ops as f64;
    let best_ns = rounds.iter().map(per_op).fold(f64::INFINITY, f64::min);
    let beyond_ns = best_ns - 2.0 * clock_read_ns;
    Claim::new(
        "loop-cost",
        "the loop adds little to two clock reads",
        Some(runtime),
        format!("≤ {LOOP_COST_NS} ns per operation"),
        format!("{beyond_ns:.1} ns ({best_ns:.1} in all)"),
        beyond_ns <= LOOP_COST_NS,
    )
}

/// Rounds with few and with many operations.
#[derive(Clone, Copy, Debug)]
pub struct FewAndMany<T> {
    pub few: T,
    pub many: T,
}

/// Allocations of a round with few operations and of one with many: starting and ending cost the same in both. `None`
/// if they are not counted.
pub fn allocations(runtime: &str, counts: FewAndMany<Option<u64>>, more_ops: u64) -> Claim {
    const CLAIM: &str = "the loop allocates nothing in steady state";
    let Some((few, many)) = counts.few.zip(counts.many) else {
        return untested("allocations", CLAIM, runtime, "allocations are not counted");
    };
    Claim::new(
        "allocations",
        CLAIM,
        Some(runtime),
        "none".to_owned(),
        format!("{} in {more_ops} operations", many.saturating_sub(few)),
        many <= few,
    )
}

/// Peak memory of a round with few operations and of one with many.
pub fn memory(runtime: &str, rounds: FewAndMany<&Measurement>) -> Claim {
    let FewAndMany { few, many } = rounds;
    let claim = format!(
        "memory stays flat from {} to {} operations",
        few.ops, many.ops
    );
    let peaks = few.cost.peak_rss_bytes.zip(many.cost.peak_rss_bytes);
    let Some((few_bytes, many_bytes)) = peaks else {
        return untested("memory", &claim, runtime, "the system does not tell");
    };
    let growth_bytes = many_bytes.saturating_sub(few_bytes);
    Claim::new(
        "memory",
        &claim,
        Some(runtime),
        format!("≤ {}", units::bytes(MEMORY_GROWTH_BYTES as f64)),
        format!("{} more", units::bytes(growth_bytes as f64)),
        growth_bytes <= MEMORY_GROWTH_BYTES,
    )
}

impl Proof {
    pub fn of(machine: Machine, profile: &str, claims: Vec<Claim>) -> Self {
        Self {
            schema: PROOF_SCHEMA.to_owned(),
            machine,
            profile: profile.to_owned(),
            passed: claims.iter().all(|claim| claim.outcome != Outcome::Fails),
            claims,
        }
    }

    /// Renders a table: a line for each claim and, below it, the outcome under each runtime.
    pub fn render(&self, style: Style) -> String {
        let mut text = Text::new(style);
        for of_claim in self.claims.chunk_by(|a, b| a.name == b.name) {
            text.paragraph(Tone::Strong, &of_claim[0].claim);
            for claim in of_claim {
                row(&mut text, claim);
            }
            text.blank();
        }
        let failing = self.with(Outcome::Fails);
        let untested = self.with(Outcome::Untested);
        let all = self.claims.len();
        let (tone, verdict) = match failing {
            0 => (Tone::Strong, format!("All {} claims hold", all - untested)),
            _ => (Tone::Bad, format!("{failing} of {all} claims fail")),
        };
        let untested = match untested {
            0 => String::new(),
            count => format!("; {count} could not be tested here"),
        };
        text.paragraph(tone, &format!("{verdict}{untested}."));
        if self.profile != "release" {
            let sentence = "This is a debug build: its overheads mean nothing.";
            text.paragraph(Tone::Warning, sentence);
        }
        text.finish()
    }

    fn with(&self, outcome: Outcome) -> usize {
        let same = |claim: &&Claim| claim.outcome == outcome;
        self.claims.iter().filter(same).count()
    }
}

fn row(text: &mut Text, claim: &Claim) {
    let (tone, mark) = match claim.outcome {
        Outcome::Holds => (Tone::Plain, "holds   "),
        Outcome::Fails => (Tone::Bad, "FAILS   "),
        Outcome::Untested => (Tone::Faint, "untested"),
    };
    let runtime = claim.runtime.as_deref().unwrap_or("");
    let bound = match claim.bound.as_str() {
        "" => String::new(),
        bound => format!(" [{bound}]"),
    };
    let line = format!("{mark} {runtime:<20} {}{bound}", claim.measured);
    text.paragraph_in(tone, &line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_of_1400_ms_in_10_s_at_1000_per_second_has_a_p99_of_1300() {
        let stall = Stall {
            rate_hz: 1_000.0,
            stall_ns: 1_400_000_000,
        };
        let milliseconds = |quantile| stall.response_ns(10_000, quantile) / 1e6;
        assert_eq!(milliseconds(1.0), 1_399.5);
        assert_eq!(milliseconds(0.99), 1_299.5);
        assert_eq!(milliseconds(0.9), 399.5);
        assert_eq!(milliseconds(0.5), 0.0);
    }

    #[test]
    fn the_oracle_agrees_with_a_simulated_queue() {
        // Method: an arrival each millisecond, and a server that takes no time and stalls from 3.2003 s to 4.6003 s.
        let (from, until) = (3_200_300_000_u64, 4_600_300_000_u64);
        let mut response: Vec<u64> = (0..10_000_u64)
            .map(|arrival| arrival * 1_000_000)
            .map(|due| {
                if (from..until).contains(&due) {
                    until - due
                } else {
                    0
                }
            })
            .collect();
        response.sort_unstable();
        let stall = Stall {
            rate_hz: 1_000.0,
            stall_ns: until - from,
        };
        for quantile in [0.9, 0.99, 0.999, 1.0] {
            let simulated = response[rank(10_000, quantile) as usize - 1] as f64;
            let expected = stall.response_ns(10_000, quantile);
            assert!(
                (simulated - expected).abs() <= 500_000.0,
                "{simulated} {expected}"
            );
        }
    }

    #[test]
    fn recorded_percentiles_hold_and_a_histogram_of_other_times_does_not() {
        assert_eq!(recorded_percentiles().outcome, Outcome::Holds);
        let samples: Vec<u64> = (1..=1_000).map(|ms| ms * 1_000_000).collect();
        let latencies: Latencies = samples.iter().map(|ns| ns + ns / 500).collect();
        let (error, _) = worst_error(&samples, &latencies).expect("samples");
        assert!(error > PERCENTILE_ERROR, "{error}");
    }

    #[test]
    fn a_load_through_a_fifo_may_be_neither_later_nor_smaller() {
        let round = |ops: u64, response_ns: u64| Measurement {
            ops,
            open: Some(OpenLoad {
                scheduled: 100,
                schedule_ns: 0,
                started_in_time: 100,
                rate_held: true,
                late: 0,
                unfinished: 0,
                unsent: 0,
                response: (0..ops).map(|_| response_ns).collect(),
                lag: Latencies::default(),
                overdue: Latencies::default(),
                pacing_error: Latencies::default(),
                pacer_cpu_ns: None,
                pacer_alone: true,
            }),
            ..Measurement::default()
        };
        let outcomes = |piped: Vec<Measurement>| {
            let own = vec![round(100, 30_000), round(100, 900_000)];
            let rounds = BothWays { own, piped };
            let claims = both_ways("tokio", &rounds);
            Vec::from_iter(claims.iter().map(|claim| claim.outcome))
        };
        let (holds, fails) = (Outcome::Holds, Outcome::Fails);
        let late = round(100, 10_000_000);
        let in_time = round(100, 60_000);
        assert_eq!(
            outcomes(vec![late.clone(), in_time.clone()]),
            [holds, holds]
        );
        assert_eq!(outcomes(vec![late]), [holds, fails]);
        assert_eq!(outcomes(vec![in_time, round(99, 60_000)]), [fails, holds]);
        assert_eq!(outcomes(vec![]), [fails, fails]);
    }

    #[test]
    fn one_extra_allocation_is_one_too_many() {
        let outcome = |few, many| allocations("sync", FewAndMany { few, many }, 1_000).outcome;
        assert_eq!(outcome(Some(7), Some(7)), Outcome::Holds);
        assert_eq!(outcome(Some(7), Some(8)), Outcome::Fails);
        assert_eq!(outcome(None, None), Outcome::Untested);
    }

    #[test]
    fn one_failed_claim_fails_the_selftest_and_an_untested_one_does_not() {
        let claim = |outcome| Claim {
            outcome,
            ..untested("x", "y", "tokio", "z")
        };
        let passed = |outcomes: &[Outcome]| {
            let claims = outcomes.iter().map(|outcome| claim(*outcome)).collect();
            Proof::of(Machine::default(), "release", claims).passed
        };
        assert!(passed(&[Outcome::Holds, Outcome::Untested]));
        assert!(!passed(&[Outcome::Holds, Outcome::Fails]));
    }
}
