//! Results of a comparison: medians, and ratios of the reference to each contestant, with exact intervals.
//!
//! Ratios pair the runs of a block, as verdicts of runs do (`photofinish_reports::rule::Samples`). The reference is the
//! candidate with the best median; it is chosen after the run, which favours it slightly if there are several.

use photofinish_reports::rule::Samples;
use photofinish_reports::statistics::{self, CONFIDENCE, Estimate};

use crate::blocks::{Measurement, Series};
use crate::comparisons::{Comparison, Generator, Role};
use crate::failure::Failure;
use crate::work::Work;

/// Share of its CPU from which on the server is called the limit.
const SATURATED: f64 = 0.95;

/// The result of one comparison.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    pub(crate) comparison: Comparison,
    pub(crate) rows: Vec<Row>,
    /// Index of the row that the ratios refer to; `None` if no candidate has results.
    pub(crate) reference: Option<usize>,
}

/// The result of one contestant.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) checks: &'static str,
    pub(crate) blocks: Vec<Option<Measurement>>,
    pub(crate) failure: Option<Failure>,
    pub(crate) rate_hz: Option<Estimate>,
    pub(crate) cpu_ns: Option<Estimate>,
    /// Rate of the reference, divided by this one's.
    pub(crate) rate_ratio: Option<Estimate>,
    /// CPU time per operation of the reference, divided by this one's.
    pub(crate) cpu_ratio: Option<Estimate>,
    /// Median share of the server's CPU.
    pub(crate) server_share: Option<f64>,
}

impl Results {
    pub(crate) fn new(comparison: &Comparison, series: Vec<Series>) -> Self {
        let reference = reference(comparison, &series);
        let blocks_of_reference = reference.map(|index| series[index].blocks.clone());
        let contestants = comparison.contestants.iter().zip(series).enumerate();
        let rows = contestants.map(|(index, (contestant, series))| {
            let compared = blocks_of_reference
                .as_ref()
                .filter(|_| reference != Some(index));
            Row::new(
                contestant.name.clone(),
                checks(&contestant.generator),
                series,
                compared,
            )
        });
        Self {
            rows: rows.collect(),
            comparison: comparison.clone(),
            reference,
        }
    }

    /// The greatest share of the server's CPU under any contestant, and `true` if the server was the limit.
    pub(crate) fn server_load(&self) -> Option<(f64, bool)> {
        let share = self
            .rows
            .iter()
            .filter_map(|row| row.server_share)
            .reduce(f64::max)?;
        Some((share, share >= SATURATED))
    }

    /// Requested rate of an open load.
    pub(crate) fn requested_rate_hz(&self) -> Option<u32> {
        match self.comparison.contestants.first()?.work {
            Work::Http(http) => http.rate_hz,
            _ => None,
        }
    }

    /// Lowest confidence of all intervals.
    pub(crate) fn confidence(&self) -> Option<f64> {
        let ratios = self
            .rows
            .iter()
            .flat_map(|row| [row.rate_ratio, row.cpu_ratio]);
        ratios
            .flatten()
            .map(|ratio| ratio.confidence)
            .reduce(f64::min)
    }
}

impl Row {
    fn new(
        name: String,
        checks: &'static str,
        series: Series,
        reference: Option<&Vec<Option<Measurement>>>,
    ) -> Self {
        let Series {
            blocks, failure, ..
        } = series;
        let estimate = |value: fn(&Measurement) -> Option<f64>| {
            statistics::median_with_interval(&values(&blocks, value), CONFIDENCE)
        };
        let ratio = |value: fn(&Measurement) -> Option<f64>| ratio(&blocks, reference?, value);
        Self {
            name,
            checks,
            rate_hz: estimate(|measurement| Some(measurement.rate_hz)),
            cpu_ns: estimate(|measurement| measurement.cpu_ns),
            rate_ratio: ratio(|measurement| Some(measurement.rate_hz)),
            cpu_ratio: ratio(|measurement| measurement.cpu_ns),
            server_share: statistics::median(&values(&blocks, |measurement| {
                measurement.server_share
            })),
            blocks,
            failure,
        }
    }
}

fn checks(generator: &Generator) -> &'static str {
    match generator {
        Generator::Rival(rival) => rival.checks,
        Generator::Script(_) => "every response",
        Generator::Photofinish(_) => "every response",
    }
}

fn values(blocks: &[Option<Measurement>], value: impl Fn(&Measurement) -> Option<f64>) -> Vec<f64> {
    blocks.iter().flatten().filter_map(value).collect()
}

/// Reference / contestant, by block.
fn ratio(
    blocks: &[Option<Measurement>],
    reference: &[Option<Measurement>],
    value: impl Fn(&Measurement) -> Option<f64>,
) -> Option<Estimate> {
    let value = |measurement: &Option<Measurement>| measurement.as_ref().and_then(&value);
    let pairs = blocks.iter().zip(reference);
    let pairs = pairs
        .map(|(base, head)| value(base).zip(value(head)))
        .collect();
    Samples::Paired(pairs).ratio(CONFIDENCE)
}

/// The candidate with the best median: the highest rate, or under an open load the least CPU time.
fn reference(comparison: &Comparison, series: &[Series]) -> Option<usize> {
    let is_open =
        matches!(comparison.contestants.first()?.work, Work::Http(http) if http.rate_hz.is_some());
    let score = |measurement: &Measurement| match measurement.cpu_ns {
        Some(cpu_ns) if is_open => Some(-cpu_ns),
        _ => Some(measurement.rate_hz),
    };
    let contestants = comparison.contestants.iter().zip(series).enumerate();
    let scores = contestants
        .filter(|(_, (contestant, _))| contestant.role == Role::Candidate)
        .filter_map(|(index, (_, series))| {
            Some((index, statistics::median(&values(&series.blocks, score))?))
        });
    scores
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(index, _)| index)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::comparisons;

    /// Results of a comparison with these rates, by contestant and block; the first two are candidates.
    pub(crate) fn results(rates: &[&[f64]]) -> Results {
        let mut comparison = comparisons::all().swap_remove(0);
        comparison.contestants.truncate(rates.len());
        for (index, contestant) in comparison.contestants.iter_mut().enumerate() {
            contestant.role = if index < 2 {
                Role::Candidate
            } else {
                Role::Other
            };
        }
        let series = |rates: &&[f64]| {
            let measurement = |rate_hz: &f64| {
                let cpu_ns = Some(1e9 / rate_hz);
                (*rate_hz > 0.0).then_some(Measurement {
                    rate_hz: *rate_hz,
                    cpu_ns,
                    server_share: Some(rate_hz / 1000.0),
                })
            };
            let blocks: Vec<_> = rates.iter().map(measurement).collect();
            let failure = blocks.contains(&None).then(|| Failure::new("it broke"));
            Series {
                blocks,
                failure,
                ..Series::default()
            }
        };
        Results::new(&comparison, rates.iter().map(series).collect())
    }

    #[test]
    fn the_reference_is_the_best_candidate_and_ratios_pair_the_blocks() {
        // The third contestant is always half as fast as the second, although both drift.
        let results = results(&[
            &[90.0, 80.0, 60.0],
            &[100.0, 200.0, 400.0],
            &[50.0, 100.0, 200.0],
        ]);
        assert_eq!(results.reference, Some(1));
        let ratio = results.rows[2].rate_ratio.expect("a ratio");
        let near = |value: f64, expected: f64| (value - expected).abs() < 1e-9;
        assert!(
            near(ratio.value, 2.0) && near(ratio.low, 2.0) && near(ratio.high, 2.0),
            "{ratio:?}"
        );
        let cpu = results.rows[2].cpu_ratio.expect("a ratio");
        assert!(near(cpu.value, 0.5), "{cpu:?}");
        assert_eq!(results.rows[1].rate_ratio, None);
        assert_eq!(results.rows[1].rate_hz.map(|rate| rate.value), Some(200.0));
    }

    #[test]
    fn blocks_without_both_results_are_left_out() {
        let results = results(&[&[100.0, 0.0, 100.0], &[10.0, 10.0, 10.0], &[50.0, 1.0, 0.0]]);
        assert_eq!(results.reference, Some(0));
        let ratio = results.rows[2].rate_ratio.expect("a ratio");
        assert!((ratio.value - 2.0).abs() < 1e-9, "{ratio:?}");
        assert_eq!(results.confidence(), Some(0.0));
    }

    #[test]
    fn a_saturated_server_is_the_limit() {
        assert_eq!(
            results(&[&[100.0], &[960.0]]).server_load(),
            Some((0.96, true))
        );
        assert_eq!(
            results(&[&[100.0], &[900.0]]).server_load(),
            Some((0.9, false))
        );
    }

    #[test]
    fn without_results_there_is_no_reference() {
        let results = results(&[&[0.0], &[0.0], &[5.0]]);
        assert_eq!(
            (results.reference, results.rows[2].rate_ratio),
            (None, None)
        );
    }
}
