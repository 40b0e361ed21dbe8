//! Over time: the intervals of rounds, and the layout of charts with one panel per runtime over the time of a round.

use photofinish_record::Measurement;
use photofinish_record::intervals::{Interval, Intervals};

use super::drawing::{Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::scale::Scale;
use crate::report::Report;
use crate::rounds::measured;
use crate::runtimes::Look;
use crate::summary::{CellSummary, Group};
use crate::units;

/// A chart needs this many intervals.
const LEAST_INTERVALS: usize = 4;

pub(super) const TOP: f64 = 72.0;
pub(super) const BELOW: f64 = 44.0;
/// Height of a panel, and of the space below it.
pub(super) const PANEL: f64 = 62.0;
pub(super) const BETWEEN: f64 = 10.0;
pub(super) const LONGEST_NAME: f64 = 120.0;
/// Space for the labels of a vertical axis.
pub(super) const LABELS: f64 = 46.0;
const GAP: f64 = 6.0;

/// One runtime over time.
pub(super) struct Panel {
    pub(super) runtime: String,
    pub(super) label: String,
    pub(super) look: Look,
    pub(super) rounds: Vec<RoundOverTime>,
}

/// The intervals of a round that had ended when the round did.
pub(super) struct RoundOverTime {
    pub(super) length_s: f64,
    pub(super) intervals: Vec<Interval>,
    pub(super) disturbed: bool,
}

impl Panel {
    /// The runtimes of a group whose rounds have intervals.
    pub(super) fn all(report: &Report<'_>, group: &Group<'_>) -> Vec<Self> {
        let cells = group.in_plan_order().into_iter();
        cells.filter_map(|cell| Self::of(report, cell)).collect()
    }

    fn of(report: &Report<'_>, cell: &CellSummary) -> Option<Self> {
        let index = report.rounds.index_of(cell)?;
        let rounds = report.rounds.of_cell(index).iter().filter_map(|round| {
            let (length_ns, intervals) = whole(&measured(round)?.worker)?;
            Some(RoundOverTime {
                length_s: length_ns as f64 / 1e9,
                intervals,
                disturbed: round.conditions.disturbance.is_some(),
            })
        });
        let rounds: Vec<RoundOverTime> = rounds.collect();
        (!rounds.is_empty()).then(|| Self {
            runtime: cell.runtime.clone(),
            label: report.label(&cell.runtime),
            look: report.look(&cell.runtime),
            rounds,
        })
    }

    /// The rounds with intervals of one length, which can be laid over each other.
    pub(super) fn alike(&self) -> impl Iterator<Item = &RoundOverTime> + Clone {
        let length_s = self.rounds[0].length_s;
        let same = move |round: &&RoundOverTime| (round.length_s - length_s).abs() < 1e-6;
        self.rounds.iter().filter(same)
    }
}

impl RoundOverTime {
    pub(super) fn duration_s(&self) -> f64 {
        self.length_s * self.intervals.len() as f64
    }
}

/// The length of the intervals and those that the round filled; `None` for too few. The last one of a round is rarely
/// whole, and would look like a fall.
fn whole(round: &Measurement) -> Option<(u64, Vec<Interval>)> {
    let Intervals {
        length_ns,
        intervals,
    } = round.intervals.as_ref()?;
    let whole = round.elapsed_ns.checked_div(*length_ns)?;
    let whole = intervals.len().min(usize::try_from(whole).ok()?);
    (whole >= LEAST_INTERVALS).then(|| (*length_ns, intervals[..whole].to_vec()))
}

/// The horizontal axis of all panels.
pub(super) fn time_axis(panels: &[Panel], ends: (f64, f64)) -> Scale {
    let rounds = panels.iter().flat_map(|panel| &panel.rounds);
    Scale::from_zero(rounds.map(RoundOverTime::duration_s), ends)
}

/// The top of a panel.
pub(super) fn top(index: usize) -> f64 {
    TOP + (PANEL + BETWEEN) * index as f64
}

/// The height of a chart of these panels.
pub(super) fn height(panels: &[Panel]) -> f64 {
    top(panels.len()) - BETWEEN + BELOW
}

/// The width of the longest name.
pub(super) fn names(panels: &[Panel]) -> f64 {
    let names = Type::LABEL.widest(panels.iter().map(|panel| &*panel.label));
    names.min(LONGEST_NAME)
}

/// The name of a panel on the left.
pub(super) fn name(drawing: &mut Drawing, index: usize, panel: &Panel, names: f64) {
    let name = Type::LABEL.fit(&panel.label, LONGEST_NAME);
    let middle = at(MARGIN + names, top(index) + PANEL / 2.0);
    drawing.text(middle, &name, Type::LABEL.end());
}

/// The text that appears when a reader points at a panel.
pub(super) fn hint(drawing: &mut Drawing, index: usize, text: &str) {
    let (from, to) = (top(index), top(index) + PANEL);
    drawing.hint(at(MARGIN, from), at(WIDTH - MARGIN, to), text);
}

/// The frame of a plot in a panel: both ends of its vertical axis, with their labels.
pub(super) fn frame(drawing: &mut Drawing, index: usize, x: (f64, f64), labels: [String; 2]) {
    let (low, high) = (top(index) + PANEL, top(index));
    let grid = Stroke::new(Ink::GRID, 1.0);
    for (y, label) in [(low, &labels[0]), (high, &labels[1])] {
        drawing.line(at(x.0, y), at(x.1, y), grid);
        let label = units::tick(label);
        let inside = if y > high { y - 4.0 } else { y + 4.0 };
        drawing.text(at(x.0 - GAP, inside), &label, Type::SMALL.end());
    }
}

/// The ticks of the time below the last panel.
pub(super) fn time_ticks(drawing: &mut Drawing, panels: usize, x: &Scale) {
    const TICK: f64 = 48.0;
    let bottom = top(panels) - BETWEEN;
    let most = (x.length() / TICK).floor().max(2.0) as usize;
    for seconds in x.ticks(most) {
        let label = units::tick(&units::duration(seconds * 1e9));
        drawing.x_tick(x.place(seconds), (TOP, bottom), &label);
    }
}
