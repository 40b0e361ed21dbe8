//! Rounds: every round of every runtime as a dot, by the headline metric.
//!
//! Within a runtime's row the blocks follow each other from top to bottom, and a thin line joins the dots of each block:
//! a block in which the whole machine was slow bends all of them. Hollow dots are rounds that were disturbed, or redone.
//! The rounds that stand apart from their runtime's others are named by their block: one of eight can decide whether an
//! interval is narrow.

use super::drawing::{Drawing, Ink, MARGIN, Point, Stroke, Type, WIDTH, at};
use super::rows::x_axis;
use super::scale::{Scale, padded};
use super::{Draw, Kind, subject};
use crate::metrics::{self, Metric, THROUGHPUT};
use crate::report::Report;
use crate::rounds::measured;
use crate::runtimes::Look;
use crate::summary::{CellSummary, Group};
use crate::{describe, statistics, units};

pub(super) static KIND: Kind = Kind {
    name: "rounds",
    title: "Every round",
    draw: Draw::Load(draw),
};

/// One runtime's rounds.
struct Strip {
    runtime: String,
    label: String,
    look: Look,
    median: f64,
    dots: Vec<Dot>,
}

#[derive(Clone, Copy)]
struct Dot {
    block: usize,
    value: f64,
    /// Disturbed, or redone for a disturbance.
    doubtful: bool,
}

const TOP: f64 = 64.0;
const BELOW: f64 = 34.0;
const GAP: f64 = 10.0;
const LONGEST_NAME: f64 = 170.0;
/// Width of one tick's label.
const TICK: f64 = 62.0;
const RADIUS: f64 = 3.4;
/// Height of the least row, and of one block within a row.
const ROW: (f64, f64) = (36.0, 3.6);
/// Highest row.
const MOST_ROW: f64 = 72.0;

/// A round stands apart if it differs from the median by this factor, and
const APART: f64 = 1.3;
/// by this multiple of the typical difference (both as logarithms).
const APART_SPREADS: f64 = 4.0;
/// Maximum number of rounds named per runtime.
const MOST_NAMED: usize = 2;

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let metric = metrics::named(group.headline())?;
    let print: fn(f64) -> String = match group.headline() {
        THROUGHPUT => units::count,
        _ => units::duration,
    };
    let cells = group.in_plan_order().into_iter();
    let strips: Vec<Strip> = cells
        .filter_map(|cell| Strip::of(report, cell, metric))
        .collect();
    let dots = || strips.iter().flat_map(|strip| &strip.dots);
    let mut blocks: Vec<usize> = dots().map(|dot| dot.block).collect();
    blocks.sort_unstable();
    blocks.dedup();
    if blocks.len() < 2 {
        return None;
    }

    let medians: Vec<String> = strips.iter().map(|strip| print(strip.median)).collect();
    let names = Type::LABEL.widest(strips.iter().map(|strip| &*strip.label));
    let numbers = Type::LABEL.widest(medians.iter().map(String::as_str));
    let left = MARGIN + names.min(LONGEST_NAME) + GAP;
    let right = WIDTH - MARGIN - numbers - GAP;
    let row = (ROW.1 * blocks.len() as f64 + 10.0).clamp(ROW.0, MOST_ROW);
    let bottom = TOP + row * strips.len() as f64;
    let values = dots().map(|dot| dot.value);
    let (scale, axis) = match group.headline() {
        THROUGHPUT => (Scale::from_zero(values, (left, right - RADIUS)), ""),
        _ => {
            let positive = values.map(|value| value.max(1.0));
            let domain = padded(positive, 1.05);
            (Scale::logarithmic(domain, (left, right)), ", log axis")
        }
    };
    let layout = Layout {
        scale,
        left,
        blocks,
        row,
    };

    let by = describe::headline(group);
    let doubtful = if dots().any(|dot| dot.doubtful) {
        "; hollow: disturbed or redone"
    } else {
        ""
    };
    let mut drawing = Drawing::new(
        bottom + BELOW,
        &title(&strips),
        &format!("{} · {by}{axis}; bar: median{doubtful}", subject(group)),
        describe::list(strips.iter().map(|strip| strip.described(print)), ", "),
    );
    drawing.shown = strips.iter().map(|strip| strip.runtime.clone()).collect();
    x_axis(&mut drawing, &layout.scale, (TOP, bottom), TICK, print);
    layout.joined_blocks(&mut drawing, &strips);
    for (index, (strip, median)) in strips.iter().zip(&medians).enumerate() {
        let middle = TOP + row * (index as f64 + 0.5);
        let name = Type::LABEL.fit(&strip.label, LONGEST_NAME);
        let (from, to) = (middle - row / 2.0, middle + row / 2.0);
        let values = strip.dots.iter().map(|dot| print(dot.value));
        let hint = format!("{} by block: {}", strip.label, describe::list(values, ", "));
        drawing.of(&strip.runtime, |drawing| {
            layout.strip(drawing, index, strip);
            drawing.text(at(left - GAP, middle), &name, Type::LABEL.end());
            drawing.text(at(right + GAP, middle), median, Type::LABEL);
            drawing.hint(at(MARGIN, from), at(WIDTH - MARGIN, to), &hint);
        });
    }
    Some(drawing)
}

/// The heading, with the blocks that stand apart.
fn title(strips: &[Strip]) -> String {
    let mut blocks: Vec<usize> = strips
        .iter()
        .flat_map(|strip| strip.apart().map(|dot| dot.block + 1))
        .collect();
    blocks.sort_unstable();
    blocks.dedup();
    match blocks.as_slice() {
        [] => KIND.title.to_owned(),
        [block] => format!("{}: block {block} stands apart", KIND.title),
        [some @ .., last] if some.len() < 4 => {
            let some = describe::list(some.iter().map(usize::to_string), ", ");
            format!("{}: blocks {some} and {last} stand apart", KIND.title)
        }
        many => format!("{}: {} blocks stand apart", KIND.title, many.len()),
    }
}

impl Strip {
    fn of(report: &Report<'_>, cell: &CellSummary, metric: &Metric) -> Option<Self> {
        let index = report.rounds.index_of(cell)?;
        let rounds = report.rounds.of_cell(index).iter();
        let mut dots: Vec<Dot> = rounds
            .filter_map(|round| {
                let value = metric.read(&measured(round)?.worker)?;
                Some(Dot {
                    block: round.block,
                    value,
                    doubtful: round.attempt > 0 || round.conditions.disturbance.is_some(),
                })
            })
            .collect();
        dots.sort_by_key(|dot| dot.block);
        let values: Vec<f64> = dots.iter().map(|dot| dot.value).collect();
        Some(Self {
            runtime: cell.runtime.clone(),
            label: report.label(&cell.runtime),
            look: report.look(&cell.runtime),
            median: statistics::median(&values)?,
            dots,
        })
    }

    /// The rounds that stand apart, the farthest first.
    fn apart(&self) -> impl Iterator<Item = &Dot> {
        let distance = |dot: &Dot| (dot.value / self.median).ln().abs();
        let distances: Vec<f64> = self.dots.iter().map(distance).collect();
        let typical = statistics::median(&distances).unwrap_or_default();
        let least = APART.ln().max(APART_SPREADS * typical);
        let mut apart: Vec<&Dot> = self
            .dots
            .iter()
            .filter(|dot| distance(dot) > least)
            .collect();
        apart.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
        apart.into_iter().take(MOST_NAMED)
    }

    fn described(&self, print: fn(f64) -> String) -> String {
        let apart = self
            .apart()
            .map(|dot| format!(", but {} in block {}", print(dot.value), dot.block + 1));
        let apart: String = apart.collect();
        format!("{} median {}{apart}", self.label, print(self.median))
    }
}

struct Layout {
    scale: Scale,
    left: f64,
    /// The numbers of all blocks, ascending.
    blocks: Vec<usize>,
    /// Height of a row.
    row: f64,
}

impl Layout {
    /// The position of a round: blocks from top to bottom within the row.
    fn place(&self, row: usize, dot: &Dot) -> Point {
        let index = self.blocks.partition_point(|block| *block < dot.block);
        let share = (index as f64 + 0.5) / self.blocks.len() as f64;
        let y = TOP + self.row * row as f64 + 4.0 + (self.row - 8.0) * share;
        at(self.scale.place(dot.value), y)
    }

    fn joined_blocks(&self, drawing: &mut Drawing, strips: &[Strip]) {
        let stroke = Stroke::new(Ink::AXIS, 0.7).faded(0.45);
        for block in &self.blocks {
            let of_block = strips.iter().enumerate().filter_map(|(row, strip)| {
                let dot = strip.dots.iter().find(|dot| dot.block == *block)?;
                Some(self.place(row, dot))
            });
            let points: Vec<Point> = of_block.collect();
            if points.len() > 1 {
                drawing.path(points, stroke);
            }
        }
    }

    fn strip(&self, drawing: &mut Drawing, row: usize, strip: &Strip) {
        let x = self.scale.place(strip.median);
        let top = TOP + self.row * row as f64;
        let bar = Stroke::new(Ink::TEXT, 1.6);
        drawing.line(at(x, top + 3.0), at(x, top + self.row - 3.0), bar);
        for dot in &strip.dots {
            drawing.dot(self.place(row, dot), RADIUS, Ink(strip.look.light));
        }
        for dot in strip.dots.iter().filter(|dot| dot.doubtful) {
            drawing.dot(self.place(row, dot), RADIUS * 0.6, Ink::PAPER);
        }
        for dot in strip.apart() {
            let place = self.place(row, dot);
            let name = format!("block {}", dot.block + 1);
            let beside = RADIUS + 4.0;
            // Away from the other dots, if there is room.
            let outside = place.x - beside - Type::SMALL.width(&name) > self.left;
            if place.x < x && outside {
                drawing.text(at(place.x - beside, place.y), &name, Type::SMALL.end());
            } else {
                drawing.text(at(place.x + beside, place.y), &name, Type::SMALL);
            }
        }
    }
}
