//! The progress of a run: one live line on a terminal, a plain line per block elsewhere.
//!
//! Everything goes to stderr. The live line is redrawn at most four times a second: drawing costs CPU time, on the CPUs of
//! the servers. The time left is estimated from the plan, and from finished rounds as soon as there are any.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use photofinish_record::{Cell, Plan};

use crate::output;

/// Redraws per second.
const REDRAWS_HZ: u8 = 4;

pub struct Progress {
    /// Hidden if stderr is not a terminal.
    bar: ProgressBar,
    /// `None` for a search.
    blocks: Option<usize>,
    rounds: u32,
    done: u32,
    planned: Duration,
    started: Instant,
}

impl Progress {
    /// The progress of a run of `plan` that takes about `planned`.
    pub fn of(plan: &Plan, planned: Duration) -> Self {
        let rounds = plan.blocks.iter().map(Vec::len).sum::<usize>();
        Self {
            bar: bar(rounds as u64),
            blocks: Some(plan.blocks.len()).filter(|blocks| *blocks > 0),
            rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
            done: 0,
            planned,
            started: Instant::now(),
        }
    }

    pub fn round_begins(&self, block: usize, cell: &Cell) {
        let so_far = match self.blocks {
            Some(blocks) => {
                let left = seconds(self.left());
                format!("{left} left  block {}/{blocks}", block + 1)
            }
            None => format!("step {}", block + 1),
        };
        let place = format!("{} / {}", cell.scenario, cell.runtime);
        self.bar.set_message(match cell.load.rate_hz() {
            Some(rate_hz) => format!("{so_far}  {place} at {rate_hz}/s"),
            None => format!("{so_far}  {place}"),
        });
    }

    pub fn round_ended(&mut self) {
        self.done += 1;
        self.bar.inc(1);
    }

    /// Announces that the block of `rounds` rounds will be redone.
    pub fn block_again(&mut self, block: usize, rounds: usize, reason: &str) {
        self.more_rounds(rounds);
        let message = format!("block {} is redone: {reason}", block + 1);
        self.bar.suspend(|| output::advise(&message));
    }

    /// Adds rounds to run.
    pub fn more_rounds(&mut self, rounds: usize) {
        let more = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.rounds = self.rounds.saturating_add(more);
        self.bar.inc_length(rounds as u64);
    }

    pub fn block_ended(&self, block: usize) {
        if !self.bar.is_hidden() {
            return;
        }
        let Some(blocks) = self.blocks else {
            return output::advise(&format!("step {} done", block + 1));
        };
        let so_far = format!("block {} of {blocks} done", block + 1);
        if self.done < self.rounds {
            output::advise(&format!("{so_far}, about {} left", seconds(self.left())));
        } else {
            output::advise(&so_far);
        }
    }

    pub fn ended(&self) {
        self.bar.finish_and_clear();
    }

    fn left(&self) -> Duration {
        let elapsed = self.started.elapsed();
        match self.done {
            0 => self.planned.saturating_sub(elapsed),
            done => (elapsed / done).saturating_mul(self.rounds.saturating_sub(done)),
        }
    }
}

fn bar(rounds: u64) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_HZ);
    let style = ProgressStyle::with_template("{bar:20} {pos}/{len}  {wide_msg}")
        .expect("the template is valid");
    ProgressBar::with_draw_target(Some(rounds), target).with_style(style)
}

/// Formats a duration: `0.4 s`, `12 s`, `3 min 20 s`.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs_f64().round() as u64;
    match whole {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted_for_people() {
        let check = |milliseconds, expected| {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), expected);
        };
        check(420, "0.4 s");
        check(12_300, "12 s");
        check(200_000, "3 min 20 s");
        check(7_300_000, "2 h 1 min");
    }
}
