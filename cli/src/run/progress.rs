//! The progress of a run: a live view on a terminal; elsewhere, and where the view has no room, a plain line per block,
//! and one after every silence of half a minute, since CI systems kill silent jobs.
//!
//! Everything goes to stderr. A thread of its own redraws the view twice a second, on the CPUs of the orchestrator, which
//! are those of the server: the worker's CPUs never draw. The time left is estimated from the plan, and from finished
//! rounds as soon as there are any; where looks may end the run, up to the next look.

mod view;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use photofinish_record::{Cell, Plan, Round};

use self::view::{LEAST_COLUMNS, LEAST_ROWS, View};
use crate::cleaning;
use crate::output;

/// Time between two drawings of the view.
const REDRAW: Duration = Duration::from_millis(500);

/// Maximum time without output.
const SILENCE: Duration = Duration::from_secs(30);

pub struct Progress {
    /// The place of the view; hidden if stderr is not a terminal with room for it that can move the cursor.
    bar: ProgressBar,
    view: Arc<Mutex<View>>,
    /// Ends the thread that draws or that breaks silences when it is dropped; takes lines for the latter.
    lines: Option<Sender<Event>>,
    /// `None` for a search.
    blocks: Option<usize>,
    /// Blocks after which the run may end.
    looks: Vec<u32>,
    /// The word for a block: `pair` in a gate.
    unit: &'static str,
    rounds: u32,
    done: u32,
    /// The current block, the rounds of a block, and those done of the current one.
    block: usize,
    per_block: u32,
    done_in_block: u32,
    /// The planned time of one round.
    planned: Duration,
    started: Instant,
}

impl Progress {
    /// The progress of a run of `plan` that takes about `planned`.
    pub fn of(plan: &Plan, planned: Duration) -> Self {
        let rounds = plan.blocks.iter().map(Vec::len).sum::<usize>();
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let per_block = plan.blocks.first().map_or(0, Vec::len);
        let bar = bar();
        let view = View::of(&plan.cells, Some(rounds).filter(|rounds| *rounds > 0));
        let view = Arc::new(Mutex::new(view));
        let (lines, events) = mpsc::channel();
        // A run needs no progress: it goes on where another thread is refused.
        let showing = thread::Builder::new();
        let _ = if bar.is_hidden() {
            showing.spawn(move || break_silence(&events, SILENCE, output::inform))
        } else {
            let (bar, view) = (bar.clone(), Arc::clone(&view));
            showing.spawn(move || redraw(&events, &bar, &view))
        };
        Self {
            bar,
            view,
            lines: Some(lines),
            blocks: Some(plan.blocks.len()).filter(|blocks| *blocks > 0),
            looks: plan.looks.clone(),
            unit: match plan.gate {
                Some(_) => "pair",
                None => "block",
            },
            rounds,
            done: 0,
            block: 0,
            per_block: u32::try_from(per_block).unwrap_or(u32::MAX),
            done_in_block: 0,
            planned: planned.checked_div(rounds).unwrap_or_default(),
            started: Instant::now(),
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what a search tries in the block that begins, by runtime.
    pub fn tries(&mut self, block: usize, tries: Vec<String>) {
        if self.bar.is_hidden() && !tries.is_empty() {
            let tries = tries.join("; ");
            output::inform(&format!("{}: {tries}", self.name_of(block)));
            self.note(Event::Line);
        }
        self.view().tries = tries;
    }

    pub fn round_begins(&mut self, block: usize, index: usize, cell: &Cell) {
        if block != self.block {
            (self.block, self.done_in_block) = (block, 0);
        }
        let rate = cell.load.rate_hz();
        let rate = rate.map_or(String::new(), |rate_hz| format!(" at {rate_hz}/s"));
        let place = format!("{} / {}{rate}", cell.scenario, cell.runtime);
        let place = cleaning::one_line(&place);
        let (name, left) = (self.name_of(block), self.blocks.map(|_| self.left()));
        self.note(Event::Round {
            place: format!("{name}: {place}"),
            left,
            since: Instant::now(),
        });
        let mut view = self.view();
        view.begin(index, cell);
        view.block = name;
        view.left = left.map(|left| (left, Instant::now()));
    }

    /// `block 3 of 8`; `pair 8 of 10 until look 1` where looks may end the run; `step 3` of a search.
    fn name_of(&self, block: usize) -> String {
        let (number, unit) = (block + 1, self.unit);
        match (self.blocks, self.next_look(block)) {
            (None, _) => format!("step {number}"),
            (Some(blocks), None) => format!("{unit} {number} of {blocks}"),
            (_, Some((look, blocks))) => format!("{unit} {number} of {blocks} until look {look}"),
        }
    }

    /// The number of the next look, and that of the blocks before it.
    fn next_look(&self, block: usize) -> Option<(usize, u32)> {
        let mut looks = self.looks.iter().copied().zip(1..);
        let (blocks, look) = looks.find(|(blocks, _)| *blocks as usize > block)?;
        Some((look, blocks))
    }

    fn note(&self, event: Event) {
        if let Some(lines) = &self.lines {
            // Fails only if the thread did not start.
            let _ = lines.send(event);
        }
    }

    pub fn round_ended(&mut self, round: &Round) {
        self.done += 1;
        self.done_in_block += 1;
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.end(round);
        view.done = self.done;
    }

    /// Announces that the block of `rounds` rounds will be redone.
    pub fn block_again(&mut self, block: usize, rounds: usize, reason: &str) {
        self.more_rounds(rounds);
        self.done_in_block = 0;
        self.view().redo(block, reason);
        if self.bar.is_hidden() {
            output::inform(&format!("block {} is redone: {reason}", block + 1));
        }
    }

    /// Adds rounds to run.
    pub fn more_rounds(&mut self, rounds: usize) {
        let more = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.rounds = self.rounds.saturating_add(more);
        self.count();
    }

    /// Subtracts rounds that will not run, of one cell.
    pub fn fewer_rounds(&mut self, rounds: usize) {
        let fewer = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.rounds = self.rounds.saturating_sub(fewer);
        self.per_block = self.per_block.saturating_sub(1);
        self.count();
    }

    fn count(&self) {
        self.view().rounds = self.blocks.map(|_| self.rounds);
    }

    /// Announces cells that could not run for the same reason, and that their other rounds are skipped; `others` are all but the
    /// one in the reason.
    pub fn cells_failed(&self, reason: &str, others: Vec<String>, skipped: usize) {
        let (likewise, whose) = match others.as_slice() {
            [] => (String::new(), "its"),
            others => (format!("; likewise {}", others.join(", ")), "their"),
        };
        let rounds = match skipped {
            0 => String::new(),
            1 => format!("; {whose} other round is skipped"),
            _ => format!("; {whose} other {skipped} rounds are skipped"),
        };
        let message = format!("{reason}{likewise}{rounds}");
        self.bar.suspend(|| output::inform(&message));
    }

    pub fn block_ended(&self, block: usize) {
        // A search says at each step what it tries.
        if !self.bar.is_hidden() || self.blocks.is_none() {
            return;
        }
        let so_far = format!("{} done", self.name_of(block));
        if self.done < self.rounds {
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
        let rounds = match self.next_look(self.block) {
            Some((_, blocks)) => {
                let blocks = blocks - u32::try_from(self.block).unwrap_or(blocks);
                let rounds = blocks.saturating_mul(self.per_block);
                rounds.saturating_sub(self.done_in_block)
            }
            None => self.rounds.saturating_sub(self.done),
        };
        match self.done {
            0 => self.planned.saturating_mul(rounds).saturating_sub(elapsed),
            done => (elapsed / done).saturating_mul(rounds),
        }
    }
}

/// Draws the view as it changes, until the run ends.
fn redraw(end: &Receiver<Event>, bar: &ProgressBar, view: &Mutex<View>) {
    let mut drawn = String::new();
    let mut next = Instant::now() + REDRAW;
    loop {
        match end.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(_) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => next = Instant::now() + REDRAW,
        }
        let view = view.lock().unwrap_or_else(PoisonError::into_inner);
        let text = view.text(output::columns().unwrap_or(LEAST_COLUMNS));
        drop(view);
        if text != drawn {
            bar.set_message(text.clone());
            drawn = text;
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

fn bar() -> ProgressBar {
    let has_room = output::columns().is_none_or(|columns| columns >= LEAST_COLUMNS)
        && output::rows().is_none_or(|rows| rows >= LEAST_ROWS);
    let target = match has_room && !output::is_quiet() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{msg}").expect("the template is valid");
    ProgressBar::with_draw_target(None, target).with_style(style)
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

    /// Goal: a look tells how far it is, in blocks and in time. Method: a plan of 40 blocks with looks at 10 and 40.
    #[test]
    fn progress_is_told_up_to_the_next_look() {
        let mut progress = Progress {
            bar: ProgressBar::hidden(),
            view: Arc::default(),
            lines: None,
            blocks: Some(40),
            looks: vec![10, 40],
            unit: "pair",
            rounds: 80,
            done: 0,
            block: 7,
            per_block: 2,
            done_in_block: 1,
            planned: Duration::from_secs(100),
            started: Instant::now(),
        };
        assert_eq!(progress.name_of(7), "pair 8 of 10 until look 1");
        assert_eq!(progress.name_of(10), "pair 11 of 40 until look 2");
        // Two rounds in each of three blocks, without the one that is done.
        assert_eq!(progress.left().as_secs_f64().round(), 500.0);
        progress.looks.clear();
        assert_eq!(progress.name_of(7), "pair 8 of 40");
        assert_eq!(progress.left().as_secs_f64().round(), 8000.0);
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
