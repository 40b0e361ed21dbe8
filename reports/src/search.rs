//! The search for the highest rate that meets an objective: the next rate to try, and the end.
//!
//! Pure: the caller runs rounds, asks for the next load and reports each round. A closed round first finds the
//! capacity; starting from half of that, the rate is doubled or halved until a rate that met the objective lies below
//! one that did not, and then bisected (geometrically) until the two are close enough. Each rate is tried until two
//! rounds agree on it, so that one disturbed round decides nothing. The curve shows every round of every step.

use std::str::FromStr;

use photofinish_record::load::RateHz;
use photofinish_record::{Measured, OpenLoad, Requirement, SearchRound, SearchStep};

use crate::conditions;
use crate::metrics::Times;
use crate::units;

/// A search ends when the lowest rate that failed is within this share of the highest one that held.
pub const PRECISION: f64 = 0.05;

/// Number of rounds that must agree on a rate.
const AGREEING: usize = 2;

/// The first rate to try, as a share of the closed throughput.
const FIRST_SHARE: f64 = 0.5;

/// The lowest rate to try, in Hz: below it a round would hold no arrivals.
const LOWEST_HZ: f64 = 1.0;

/// The objective of a search: `response_p99 < 10ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    time: Times,
    quantile: f64,
    limit_ns: u64,
    text: String,
}

/// Range of measurable limits, in ns: shorter times are clock noise, longer ones are not timed.
const LIMITS_NS: std::ops::RangeInclusive<f64> = 1e3..=60e9;

/// A text that is not an objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObjective {
    #[error(
        "expected an objective such as \"response_p99 < 10ms\", got `{0}`: a time, `<` and a limit; times are response, \
         service and lag, each with _max or a percentile such as _p99 or _p99.5"
    )]
    Syntax(String),
    #[error("expected a limit from 1us to 60s, got `{0}`")]
    Limit(String),
}

impl FromStr for Objective {
    type Err = NotAnObjective;

    fn from_str(text: &str) -> Result<Self, NotAnObjective> {
        let objective = Self::read(text).ok_or_else(|| NotAnObjective::Syntax(text.to_owned()))?;
        if LIMITS_NS.contains(&(objective.limit_ns as f64)) {
            Ok(objective)
        } else {
            Err(NotAnObjective::Limit(text.to_owned()))
        }
    }
}

impl Objective {
    fn read(text: &str) -> Option<Self> {
        let (name, limit) = conditions::split(text)?;
        let (metric, better) = conditions::find(name)?;
        let (time, quantile) = metric.quantile()?;
        let Requirement::Below { value } = conditions::objective(&metric, better, limit)? else {
            return None;
        };
        Some(Self {
            time: time.clone(),
            quantile,
            limit_ns: value as u64,
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    }

    /// The objective as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The limit, in ns.
    pub fn limit_ns(&self) -> u64 {
        self.limit_ns
    }

    /// The metric that it is about: `response_p99_ns`.
    pub fn metric(&self) -> String {
        let (name, _) = self.text.split_once('<').unwrap_or((&self.text, ""));
        format!("{}_ns", name.trim().trim_end_matches("_ns"))
    }

    /// Judges a round. It meets the objective if the time is below its limit, the rate was held, all operations ended,
    /// and no more than a share of `error_budget` of them failed.
    pub fn judge(&self, round: &Measured, error_budget: f64) -> SearchRound {
        let Some(open) = &round.worker.open else {
            return SearchRound {
                value: None,
                met: false,
                reason: Some("the load was not open".to_owned()),
            };
        };
        let times = self.time.of(&round.worker);
        let value_ns = times.and_then(|times| times.quantile_ns(self.quantile));
        let reason = self.unmet(round, open, value_ns, error_budget);
        SearchRound {
            value: value_ns.map(|value_ns| value_ns as f64),
            met: reason.is_none(),
            reason,
        }
    }

    /// The reason that a round does not meet the objective.
    fn unmet(
        &self,
        round: &Measured,
        open: &OpenLoad,
        value_ns: Option<u64>,
        error_budget: f64,
    ) -> Option<String> {
        let failed = round.worker.failed_ops();
        let ended = round.worker.ops + failed;
        let left = open.unfinished + open.unsent;
        let scheduled = open.scheduled;
        if ended == 0 {
            Some("no operation ended".to_owned())
        } else if failed as f64 > error_budget * ended as f64 {
            Some(format!("{failed} of {ended} operations failed"))
        } else if left > 0 {
            Some(format!("{left} of {scheduled} operations did not end"))
        } else if !open.rate_held {
            let late = scheduled.saturating_sub(open.started_in_time);
            Some(format!(
                "the rate was not held: {late} of {scheduled} operations started after the schedule ended"
            ))
        } else {
            match value_ns {
                Some(value_ns) if value_ns < self.limit_ns => None,
                Some(value_ns) => Some(format!("it was {}", units::duration(value_ns as f64))),
                None => Some("no operation succeeded".to_owned()),
            }
        }
    }
}

/// The next round of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Try {
    /// A closed round, to find the capacity.
    Capacity,
    /// An open round at this rate.
    Rate(RateHz),
}

/// The search for one runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct Climb {
    steps: Vec<SearchStep>,
    /// Rounds at the current rate.
    current: Vec<SearchRound>,
    next: Next,
}

#[derive(Clone, Debug, PartialEq)]
enum Next {
    Try(Try),
    Found,
    GivenUp(String),
}

impl Default for Climb {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            current: Vec::new(),
            next: Next::Try(Try::Capacity),
        }
    }
}

impl Climb {
    /// The next round; `None` at the end.
    pub fn next(&self) -> Option<Try> {
        match self.next {
            Next::Try(next) => Some(next),
            Next::Found | Next::GivenUp(_) => None,
        }
    }

    /// Records the throughput of the closed round.
    pub fn capacity(&mut self, throughput_ops_s: f64) {
        let first_hz = (throughput_ops_s * FIRST_SHARE).max(LOWEST_HZ);
        self.next = at(first_hz);
    }

    /// Records a round at the current rate.
    pub fn tell(&mut self, round: SearchRound) {
        let Next::Try(Try::Rate(rate)) = self.next else {
            return;
        };
        self.current.push(round);
        let agree = |met: bool| {
            let agreeing = self.current.iter().filter(|round| round.met == met);
            agreeing.count() >= AGREEING
        };
        let met = match (agree(true), agree(false)) {
            (false, false) => return,
            (met, _) => met,
        };
        self.steps.push(SearchStep {
            rate_hz: rate.get(),
            met,
            rounds: std::mem::take(&mut self.current),
        });
        self.next = self.after_step();
    }

    /// Ends the search without an answer.
    pub fn give_up(&mut self, reason: &str) {
        self.next = Next::GivenUp(reason.to_owned());
    }

    /// The highest rate, in Hz, that met the objective and is below every rate that did not.
    pub fn highest_hz(&self) -> Option<f64> {
        let failing = self.lowest_failing_hz().unwrap_or(f64::INFINITY);
        let met = self
            .steps
            .iter()
            .filter(|step| step.met && step.rate_hz < failing);
        met.map(|step| step.rate_hz).reduce(f64::max)
    }

    /// The lowest rate that did not meet the objective, in Hz.
    pub fn lowest_failing_hz(&self) -> Option<f64> {
        let unmet = self.steps.iter().filter(|step| !step.met);
        unmet.map(|step| step.rate_hz).reduce(f64::min)
    }

    pub fn steps(&self) -> &[SearchStep] {
        &self.steps
    }

    /// The reason there is no answer; `None` if there is one.
    pub fn unfinished(&self) -> Option<String> {
        match &self.next {
            Next::Found => None,
            Next::GivenUp(reason) => Some(reason.clone()),
            Next::Try(_) => Some("the run ended before the search did".to_owned()),
        }
    }

    fn after_step(&self) -> Next {
        match (self.highest_hz(), self.lowest_failing_hz()) {
            (Some(held), Some(failed)) if failed <= held * (1.0 + PRECISION) => Next::Found,
            (Some(held), Some(failed)) => {
                let between = at((held * failed).sqrt());
                // Rounded to three digits, it may equal one of the ends: then there is no rate in between.
                match between {
                    Next::Try(Try::Rate(rate)) if rate.get() > held && rate.get() < failed => {
                        between
                    }
                    _ => Next::Found,
                }
            }
            (Some(held), None) if held >= RateHz::HIGHEST => Next::GivenUp(format!(
                "the objective is met at the highest rate there is, {held}/s"
            )),
            (Some(held), None) => at(held * 2.0),
            (None, Some(failed)) if failed <= LOWEST_HZ => Next::GivenUp(format!(
                "the objective is not met at the lowest rate that was tried, {failed}/s"
            )),
            (None, Some(failed)) => at(failed / 2.0),
            (None, None) => Next::GivenUp("nothing was tried".to_owned()),
        }
    }
}

/// The next round at about this rate, rounded to three digits and limited to valid rates.
fn at(hz: f64) -> Next {
    let hz = three_digits(hz).clamp(LOWEST_HZ, RateHz::HIGHEST);
    match RateHz::new(hz) {
        Ok(rate) => Next::Try(Try::Rate(rate)),
        Err(error) => Next::GivenUp(error.to_string()),
    }
}

fn three_digits(hz: f64) -> f64 {
    let scale = 10_f64.powf(hz.log10().floor() - 2.0);
    let rounded = (hz / scale).round() * scale;
    // Above a thousand the scale is an integer, and so is the rate.
    if rounded >= 100.0 {
        rounded.round()
    } else {
        (rounded * 1e4).round() / 1e4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(met: bool) -> SearchRound {
        SearchRound {
            value: Some(1.0),
            met,
            reason: (!met).then(|| "slow".to_owned()),
        }
    }

    /// Runs a search in which `met` decides which rates meet the objective; returns the rates tried, round by round.
    fn climb(capacity: f64, mut met: impl FnMut(f64) -> bool) -> (Climb, Vec<f64>) {
        let mut climb = Climb::default();
        let mut tried = Vec::new();
        while let Some(next) = climb.next() {
            match next {
                Try::Capacity => climb.capacity(capacity),
                Try::Rate(rate) => {
                    tried.push(rate.get());
                    climb.tell(round(met(rate.get())));
                }
            }
            assert!(tried.len() < 200, "no end: {tried:?}");
        }
        (climb, tried)
    }

    #[test]
    fn the_limit_is_found_within_the_precision_wherever_it_is() {
        for edge in [1.7, 3.0, 55.0, 999.0, 12_345.0, 80_000.0, 3_000_000.0] {
            for capacity in [10.0, 10_000.0, 150_000.0] {
                let (climb, _) = climb(capacity, |rate| rate <= edge);
                let held = climb.highest_hz().expect("found");
                let failed = climb.lowest_failing_hz().expect("found");
                assert_eq!(climb.unfinished(), None);
                assert!(held <= edge && edge < failed, "{held} {edge} {failed}");
                assert!(failed <= held * 1.06, "{held} {failed}");
            }
        }
    }

    #[test]
    fn a_good_first_guess_takes_few_steps() {
        let (climb, tried) = climb(10_000.0, |rate| rate <= 8_000.0);
        assert!(climb.steps().len() <= 7, "{:?}", climb.steps());
        assert_eq!(tried.len(), 2 * climb.steps().len());
        let confirmed = |step: &SearchStep| step.rounds.len() == AGREEING;
        assert!(climb.steps().iter().all(confirmed));
    }

    #[test]
    fn one_disturbed_round_decides_nothing() {
        // Every fifth round fails for reasons unrelated to the rate.
        let mut number = 0;
        let (climb, _) = climb(10_000.0, |rate| {
            number += 1;
            rate <= 8_000.0 && number % 5 != 0
        });
        let held = climb.highest_hz().expect("found");
        assert!((7_600.0..=8_000.0).contains(&held), "{held}");
    }

    #[test]
    fn objectives_met_by_no_rate_or_every_rate_are_reported() {
        let (none, _) = climb(10_000.0, |_| false);
        assert_eq!(none.highest_hz(), None);
        assert_eq!(
            none.unfinished().as_deref(),
            Some("the objective is not met at the lowest rate that was tried, 1/s")
        );
        let (all, _) = climb(1_000_000.0, |_| true);
        assert_eq!(all.highest_hz(), Some(RateHz::HIGHEST));
        assert!(all.unfinished().is_some());
    }

    #[test]
    fn an_objective_is_a_time_and_a_limit() {
        let check = |text: &str, expected: Option<(Times, f64, u64)>| {
            let read = Objective::from_str(text).ok();
            let parts = read.map(|read| (read.time, read.quantile, read.limit_ns));
            assert_eq!(parts, expected, "{text:?}");
        };
        check(
            "response_p99 < 10ms",
            Some((Times::Response, 0.99, 10_000_000)),
        );
        check("  lag_max<250us ", Some((Times::Lag, 1.0, 250_000)));
        check(
            "service_p999_ns < 1.5 s",
            Some((Times::Service, 0.999, 1_500_000_000)),
        );
        check(
            "response_p99.5 < 10ms",
            Some((Times::Response, 0.995, 10_000_000)),
        );
        for wrong in [
            "",
            "response_p99",
            "response_p99 > 10ms",
            "response < 10ms",
            "throughput_p99 < 10ms",
            "response_p100 < 10ms",
            "cpu_per_op < 10us",
            "response_p99 < 10",
            "response_p99 < 0ms",
            "response_p99 < 2000s",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn rates_are_rounded_to_three_digits() {
        let check = |hz, expected| assert_eq!(three_digits(hz), expected);
        check(12_345.0, 12_300.0);
        check(1.23456, 1.23);
        check(99.96, 100.0);
        check(0.5, 0.5);
        check(999_999.0, 1_000_000.0);
    }
}
