//! Thresholds of a run: each limit of `[expect]` and `--expect`, judged in each cell of its scenario.
//!
//! The verdict is that of the median over the cell's measured phases; rounds are never pooled. It is `cannot-tell`
//! where the numbers do not support one: no operation succeeded, a percentile of too few operations, a rate that was
//! not held, rounds that were disturbed or not measured and could change it. A cell without numbers never meets a
//! threshold. A pure function of plan and rounds, so that a run in progress is judged like a record.

pub(crate) mod check;

use std::borrow::Cow;

use photofinish_record::latency::Latencies;
use photofinish_record::load::Load;
use photofinish_record::{Completion, Failures, Measurement, Plan, Requirement, Round, Threshold};

use crate::conditions::{self, ConditionError, ERRORS, RECONNECTS, RETRIES};
use crate::describe;
use crate::gate::terms::exists_under;
use crate::metrics::{self, Better, Metric, THROUGHPUT, Times};
use crate::rounds::{Rounds, measured, own_cells};
use crate::rule::Caveat;
use crate::statistics::{self, CONFIDENCE};
use crate::summary::Status;
use crate::validity::validate;
pub use check::{ThresholdCheck, ThresholdVerdict, ValueInterval};

/// Minimum number of rounds for showing a median's interval.
const FEWEST_FOR_INTERVAL: usize = 5;

/// The metrics of parts of an operation: they have service times only, since only whole operations are due.
const OF_PARTS: &str = "service_";

/// The names of the metrics that a threshold may limit, for the whole operation or a part of it.
pub fn names(of_part: bool) -> Vec<String> {
    let metrics = conditions::names().into_iter();
    let shares = [ERRORS, RETRIES, RECONNECTS];
    metrics
        .filter(|name| !of_part || name.starts_with(OF_PARTS))
        .chain(
            shares[..if of_part { 1 } else { shares.len() }]
                .iter()
                .map(|share| (*share).to_owned()),
        )
        .collect()
}

/// Parses a limit on the metric called `name`; returns the metric's full name and the requirement.
pub fn parse(
    name: &str,
    text: &str,
    of_part: bool,
) -> Result<(String, Requirement), ConditionError> {
    let (name, text) = (name.trim(), text.trim());
    let found = conditions::find(name).filter(|_| !of_part || name.starts_with(OF_PARTS));
    let limited: Option<(&Metric, Better)> =
        found.as_ref().map(|(metric, better)| (&**metric, *better));
    let known = names(of_part);
    let is_share = conditions::is_share(name) && known.iter().any(|known| known == name);
    if limited.is_none() && !is_share {
        return Err(ConditionError::UnknownMetric {
            name: name.to_owned(),
            known,
        });
    }
    let requirement = match limited {
        Some((metric, better)) => conditions::objective(metric, better, text),
        None => conditions::share(text),
    };
    let requirement = requirement.ok_or_else(|| ConditionError::Syntax {
        text: text.to_owned(),
        metric: name.to_owned(),
        expected: conditions::expected_objective(limited),
    })?;
    conditions::decides(
        name,
        text,
        limited.map(|(metric, _)| metric.unit),
        requirement,
    )?;
    let full_name = limited.map_or(name, |(metric, _)| &metric.name);
    Ok((full_name.to_owned(), requirement))
}

/// True if a threshold's metric exists under a load: only open loads have response times and lag.
pub fn applies(metric: &str, load: Load) -> bool {
    exists_under(metric, load)
}

/// Judges every threshold of a plan in the cells of its scenario, in the plan's order. Cells that their runtime cannot run
/// are left out, unless that leaves none.
pub fn judge(rounds: &Rounds<'_>, completion: &Completion) -> Vec<ThresholdCheck> {
    let of_threshold = |threshold: &Threshold| {
        let cells = own_cells(rounds.plan)
            .filter(|cell| rounds.plan.cells[*cell].scenario == threshold.scenario);
        let judged: Vec<(ThresholdCheck, bool)> = cells
            .map(|cell| {
                let validity = validate(rounds, completion, cell);
                let unsupported = matches!(validity, Err((Status::Unsupported, _)));
                let check = Judge::new(rounds, threshold, cell).check(validity.err());
                (check, unsupported)
            })
            .collect();
        let all_unsupported = judged.iter().all(|(_, unsupported)| *unsupported);
        judged
            .into_iter()
            .filter(move |(_, unsupported)| all_unsupported || !unsupported)
            .map(|(check, _)| check)
    };
    rounds
        .plan
        .thresholds
        .iter()
        .flat_map(of_threshold)
        .collect()
}

/// True if a threshold is missed in more than half of the planned rounds of a cell, so that the rest cannot change it.
pub fn is_missed_for_good(plan: &Plan, rounds: &[Round]) -> bool {
    let checks = judge(&Rounds::new(plan, rounds), &Completion::Complete);
    let missed = |check: &ThresholdCheck| {
        check.verdict == ThresholdVerdict::Missed && 2 * check.rounds_missed > check.rounds
    };
    checks.iter().any(missed)
}

/// A threshold and one of its cells.
struct Judge<'r> {
    rounds: &'r Rounds<'r>,
    threshold: &'r Threshold,
    cell: usize,
    /// `None` of a share.
    metric: Option<Cow<'static, Metric>>,
    measured: Vec<JudgedRound<'r>>,
}

/// A measured round, or one part of its operations as if it were the whole.
struct JudgedRound<'r> {
    worker: Cow<'r, Measurement>,
    disturbed: bool,
}

/// A measured round's value, and which side of the limit it is on.
struct RoundValue {
    /// `None` if the round says nothing about the metric.
    value: Option<f64>,
    disturbed: bool,
}

/// The part with this name in a round; empty if it never ran.
fn part_of(round: &Measurement, name: &str) -> Measurement {
    let Some(part) = metrics::part(name, round) else {
        return Measurement::default();
    };
    let failures = part.failures.iter().map(|(kind, count)| {
        let failures = Failures {
            count: *count,
            example: String::new(),
            service: Latencies::default(),
        };
        (kind.clone(), failures)
    });
    Measurement {
        ops: part.succeeded,
        service: part.service.clone(),
        errors: failures.collect(),
        ..Measurement::default()
    }
}

impl<'r> Judge<'r> {
    fn new(rounds: &'r Rounds<'r>, threshold: &'r Threshold, cell: usize) -> Self {
        let metric = conditions::find(&threshold.metric).map(|(metric, _)| metric);
        let of_cell = rounds.of_cell(cell).iter().filter_map(|round| {
            let worker = &measured(round)?.worker;
            Some(JudgedRound {
                worker: match &threshold.part {
                    Some(part) => Cow::Owned(part_of(worker, part)),
                    None => Cow::Borrowed(worker),
                },
                // Counts of failures and repetitions do not depend on the time that operations took.
                disturbed: metric.is_some() && round.conditions.disturbance.is_some(),
            })
        });
        Self {
            measured: of_cell.collect(),
            rounds,
            threshold,
            cell,
            metric,
        }
    }

    fn check(&self, invalid: Option<(Status, String)>) -> ThresholdCheck {
        let values = self.values();
        let known: Vec<f64> = values.iter().filter_map(|round| round.value).collect();
        let holds = |value: &&f64| conditions::holds(self.threshold.requirement, **value);
        let rounds_met = known.iter().filter(holds).count();
        let planned = &self.rounds.plan.cells[self.cell];
        let interval = statistics::median_with_interval(&known, CONFIDENCE)
            .filter(|_| known.len() >= FEWEST_FOR_INTERVAL);
        let mut check = ThresholdCheck {
            scenario: planned.scenario.clone(),
            runtime: planned.runtime.clone(),
            load: planned.load,
            part: self.threshold.part.clone(),
            metric: self.threshold.metric.clone(),
            unit: self
                .metric
                .as_ref()
                .map_or("", |metric| metric.unit)
                .to_owned(),
            requirement: self.threshold.requirement,
            text: self.threshold.text.clone(),
            place: self.threshold.place.clone(),
            verdict: ThresholdVerdict::CannotTell,
            reason: None,
            value: statistics::median(&known),
            interval: interval.map(|estimate| ValueInterval {
                low: estimate.low,
                high: estimate.high,
                confidence: estimate.confidence,
            }),
            rounds_met,
            rounds_missed: known.len() - rounds_met,
            rounds: self.planned_rounds().max(values.len()),
        };
        let unsound = invalid.map(|(status, reason)| match status {
            Status::Invalid => format!("the measurement is wrong: {reason}"),
            _ => reason,
        });
        match unsound.map_or_else(|| self.verdict(&check, &values), Err) {
            Ok(verdict) => check.verdict = verdict,
            Err(reason) => check.reason = Some(reason),
        }
        check
    }

    /// The verdict, or the reason why it cannot be judged.
    fn verdict(
        &self,
        check: &ThresholdCheck,
        values: &[RoundValue],
    ) -> Result<ThresholdVerdict, String> {
        let Some(value) = check.value else {
            return Err(self.no_value());
        };
        self.sound()?;
        let holds = |value| conditions::holds(self.threshold.requirement, value);
        let met = holds(value);
        // The true value can only be worse than this lower bound.
        let is_bound = |metric: &Cow<'_, Metric>| {
            let mut rounds = self.measured.iter();
            rounds.any(|round| metric.is_lower_bound(&round.worker))
        };
        if met && self.metric.as_ref().is_some_and(is_bound) {
            return Err(describe::caveat(Caveat::LowerBound));
        }
        let verdict = if met {
            ThresholdVerdict::Met
        } else {
            ThresholdVerdict::Missed
        };
        let empty = values.iter().filter(|round| round.value.is_none()).count();
        if met && empty > 0 {
            return Err(format!(
                "{} of {} had no successful operation",
                empty,
                describe::plural(values.len(), "round")
            ));
        }
        let on_this_side = |round: &&RoundValue| {
            !round.disturbed && round.value.is_some_and(|value| holds(value) == met)
        };
        let certain = values.iter().filter(on_this_side).count();
        if 2 * certain > check.rounds {
            return Ok(verdict);
        }
        let missing = check.rounds - values.len();
        let disturbed = values.iter().filter(|round| round.disturbed).count();
        match (missing + empty, disturbed) {
            (0, 0) => Ok(verdict),
            (0, disturbed) => Err(format!(
                "{disturbed} of {} disturbed, which could turn the verdict: measure again when the machine has nothing \
                 else to do",
                describe::were(values.len(), "round")
            )),
            (missing, _) => Err(format!(
                "only {} of {} gave a value",
                check.rounds - missing,
                describe::plural(check.rounds, "round")
            )),
        }
    }

    /// The reason why no round has a value.
    fn no_value(&self) -> String {
        let mut rounds = self.measured.iter();
        match &self.threshold.part {
            Some(part) => format!("`{part}` never ran with success"),
            None if rounds.any(|round| round.worker.ops > 0) => "no round recorded it".to_owned(),
            None => "no operation succeeded".to_owned(),
        }
    }

    /// Rejects percentiles of too few operations, and times from when operations were due if the rate was not held.
    fn sound(&self) -> Result<(), String> {
        let Some(metric) = &self.metric else {
            return Ok(());
        };
        let since_due = |(times, _): (&Times, f64)| matches!(times, Times::Response | Times::Lag);
        let not_held = |round: &&JudgedRound<'_>| {
            let open = round.worker.open.as_ref();
            open.is_some_and(|open| !open.rate_held)
        };
        let not_held = self.measured.iter().filter(not_held).count();
        if not_held > 0 && metric.quantile().is_some_and(since_due) {
            return Err(format!(
                "the rate was not held in {}: this is the response time of another load",
                describe::plural(not_held, "round")
            ));
        }
        let samples = self.measured.iter();
        let fewest = samples
            .filter_map(|round| metric.samples(&round.worker))
            .min_by_key(|samples| samples.present);
        match fewest.filter(|samples| samples.present < samples.needed) {
            Some(samples) => Err(format!(
                "it {}: lengthen the rounds",
                describe::too_few_samples(samples)
            )),
            None => Ok(()),
        }
    }

    fn values(&self) -> Vec<RoundValue> {
        let value = |round: &JudgedRound<'_>| RoundValue {
            value: self.read(&round.worker),
            disturbed: round.disturbed,
        };
        self.measured.iter().map(value).collect()
    }

    fn read(&self, round: &Measurement) -> Option<f64> {
        let all = round.ops.saturating_add(round.failed_ops());
        let share = |count: f64, of: u64| (of > 0).then(|| count / of as f64);
        let succeeded = round.ops > 0;
        match (&self.metric, self.threshold.metric.as_str()) {
            (None, ERRORS) => share(round.failed_ops() as f64, all),
            (None, RETRIES) => share(*round.gauges.get(RETRIES)?, all).filter(|_| succeeded),
            (None, RECONNECTS) => {
                // Traffic is that of the whole round, so the warm-up's operations belong to it.
                let traffic = round.traffic.values();
                let count: u64 = traffic.map(|traffic| traffic.reconnects).sum();
                let known = succeeded && !round.traffic.is_empty();
                share(count as f64, all.saturating_add(round.warmup_ops)).filter(|_| known)
            }
            (None, _) => None,
            (Some(metric), THROUGHPUT) => metric.read(round).filter(|_| all > 0),
            (Some(metric), _) => metric.read(round).filter(|_| succeeded),
        }
    }

    /// The rounds that the cell should have: all planned ones, or those up to the look at which the run ended.
    fn planned_rounds(&self) -> usize {
        let plan = self.rounds.plan;
        let blocks = self.rounds.blocks();
        let ended_at_look = plan.looks.iter().any(|look| *look as usize == blocks);
        let planned = if ended_at_look {
            blocks
        } else {
            plan.blocks.len()
        };
        let blocks = plan.blocks.iter().take(planned);
        blocks.filter(|block| block.contains(&self.cell)).count()
    }
}
