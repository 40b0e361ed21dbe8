//! The progress of a run: one live line on a terminal, elsewhere a plain line per block, and one after every silence of
//! half a minute, since CI systems kill silent jobs.
//!
//! Everything goes to stderr. The live line is redrawn at most four times a second: drawing costs CPU time, on the CPUs
//! of the servers. The time left is estimated from the plan, and from finished rounds as soon as there are any.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use photofinish_record::{Cell, Plan};

use crate::cleaning;
use crate::output;

/// Redraws per second.
const REDRAWS_HZ: u8 = 4;

/// Maximum time without output.
const SILENCE: Duration = Duration::from_secs(30);

pub struct Progress {
    /// Hidden if stderr is not a terminal that can move the cursor.
    bar: ProgressBar,
    /// Feeds the thread that breaks silences; `None` if the bar is visible, or after the end.
    lines: Option<Sender<Event>>,
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
        let bar = bar(rounds as u64);
        let lines = bar.is_hidden().then(|| {
            let (lines, events) = mpsc::channel();
            thread::spawn(move || break_silence(&events, SILENCE, output::inform));
            lines
        });
        Self {
            bar,
            lines,
            blocks: Some(plan.blocks.len()).filter(|blocks| *blocks > 0),
            rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
            done: 0,
            planned,
            started: Instant::now(),
        }
    }

    pub fn round_begins(&self, block: usize, cell: &Cell) {
        let rate = cell.load.rate_hz();
        let rate = rate.map_or(String::new(), |rate_hz| format!(" at {rate_hz}/s"));
        let place = format!("{} / {}{rate}", cell.scenario, cell.runtime);
        let place = cleaning::one_line(&place);
        self.note(Event::Round {
            place: format!("{}: {place}", self.block(block)),
            left: self.blocks.map(|_| self.left()),
            since: Instant::now(),
        });
        self.bar.set_message(match self.blocks {
            Some(blocks) => {
                let left = seconds(self.left());
                format!("{left} left  block {}/{blocks}  {place}", block + 1)
            }
            None => format!("step {}  {place}", block + 1),
        });
    }

    fn block(&self, block: usize) -> String {
        match self.blocks {
            Some(blocks) => format!("block {} of {blocks}", block + 1),
            None => format!("step {}", block + 1),
        }
    }

    fn note(&self, event: Event) {
        if let Some(lines) = &self.lines {
            // Fails only if the thread did not start.
            let _ = lines.send(event);
        }
    }

    pub fn round_ended(&mut self) {
        self.done += 1;
        self.bar.inc(1);
    }

    /// Announces that the block of `rounds` rounds will be redone.
    pub fn block_again(&mut self, block: usize, rounds: usize, reason: &str) {
        self.more_rounds(rounds);
        let message = format!("block {} is redone: {reason}", block + 1);
        self.bar.suspend(|| output::inform(&message));
    }

    /// Adds rounds to run.
    pub fn more_rounds(&mut self, rounds: usize) {
        let more = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.rounds = self.rounds.saturating_add(more);
        self.bar.inc_length(rounds as u64);
    }

    /// Subtracts rounds that will not run.
    pub fn fewer_rounds(&mut self, rounds: usize) {
        let fewer = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.rounds = self.rounds.saturating_sub(fewer);
        self.bar.set_length(self.rounds.into());
    }

    /// Announces that a cell could not run, and that its other rounds are skipped.
    pub fn cell_failed(&self, reason: &str, skipped: usize) {
        let others = match skipped {
            0 => String::new(),
            1 => "; its other round is skipped".to_owned(),
            _ => format!("; its other {skipped} rounds are skipped"),
        };
        let message = format!("{reason}{others}");
        self.bar.suspend(|| output::inform(&message));
    }

    pub fn block_ended(&self, block: usize) {
        if !self.bar.is_hidden() {
            return;
        }
        let so_far = format!("{} done", self.block(block));
        if self.blocks.is_some() && self.done < self.rounds {
            output::inform(&format!("{so_far}, about {} left", seconds(self.left())));
        } else {
            output::inform(&so_far);
        }
        self.note(Event::Line);
    }

    pub fn ended(&mut self) {
        self.lines = None;
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

enum Event {
    /// A round begins.
    Round {
        place: String,
        left: Option<Duration>,
        since: Instant,
    },
    /// A line was printed.
    Line,
}

/// Prints the progress whenever there was no output for `silence`, until the run ends.
fn break_silence(events: &Receiver<Event>, silence: Duration, tell: impl Fn(&str)) {
    let (mut last_line, mut last_round) = (Instant::now(), None);
    loop {
        let wait = (last_line + silence).saturating_duration_since(Instant::now());
        match events.recv_timeout(wait) {
            Ok(Event::Line) => last_line = Instant::now(),
            Ok(Event::Round { place, left, since }) => last_round = Some((place, left, since)),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                last_line = Instant::now();
                let Some((place, left, since)) = &last_round else {
                    continue;
                };
                let left = left.map_or(String::new(), |left| {
                    format!(
                        ", about {} left",
                        seconds(left.saturating_sub(since.elapsed()))
                    )
                });
                tell(&format!("{place}{left}"));
            }
        }
    }
}

fn bar(rounds: u64) -> ProgressBar {
    let target = match output::is_quiet() {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr_with_hz(REDRAWS_HZ),
    };
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
    fn progress_lines_appear_only_after_silence() {
        let (sender, events) = mpsc::channel();
        let (lines, printed) = mpsc::channel();
        thread::spawn(move || {
            break_silence(&events, Duration::from_millis(20), |line| {
                // Fails after the test has seen enough.
                let _ = lines.send(line.to_owned());
            });
        });
        sender.send(Event::Line).expect("it listens");
        let round = Event::Round {
            place: "block 1 of 2: null / sync".to_owned(),
            left: Some(Duration::ZERO),
            since: Instant::now(),
        };
        sender.send(round).expect("it listens");
        for _ in 0..2 {
            let line = printed.recv().expect("silence is broken");
            assert_eq!(line, "block 1 of 2: null / sync, about 0.0 s left");
        }
        drop(sender);
        assert!(printed.iter().count() < 100, "it ends with the run");
    }

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
