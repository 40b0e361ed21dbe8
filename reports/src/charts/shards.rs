//! Shards: the part of each machine in a merged run, as a dot for each shard and round.
//!
//! Operations per second and session, so that shards with one session more are equal to the others. Within a runtime's row the
//! shards follow each other from top to bottom; the bar is the whole's mean. A shard whose median stands apart is named.

use super::drawing::{Drawing, Ink, MARGIN, Stroke, Type, WIDTH, at};
use super::rows::x_axis;
use super::scale::Scale;
use super::{Draw, Kind, subject};
use crate::report::Report;
use crate::rounds::measured;
use crate::runtimes::Look;
use crate::summary::{CellSummary, Group};
use crate::{describe, statistics, units};

pub(super) static KIND: Kind = Kind {
    name: "shards",
    title: "Shards",
    draw: Draw::Load(draw),
};

/// The shards of one runtime.
struct Strip {
    runtime: String,
    label: String,
    look: Look,
    /// Operations per second and session of all shards.
    mean: f64,
    shards: Vec<Shard>,
}

struct Shard {
    index: u32,
    median: f64,
    /// Operations per second and session, by round.
    values: Vec<f64>,
}

const TOP: f64 = 64.0;
const BELOW: f64 = 34.0;
const GAP: f64 = 10.0;
const LONGEST_NAME: f64 = 170.0;
/// Width of one tick's label.
const TICK: f64 = 62.0;
const RADIUS: f64 = 3.0;
/// Height of the least row, of the highest, and of one shard within a row.
const ROW: (f64, f64, f64) = (36.0, 96.0, 9.0);
/// A shard stands apart if its median differs from the median shard's by more than this share.
const APART: f64 = 0.1;

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let cells = group.in_plan_order().into_iter();
    let strips: Vec<Strip> = cells.filter_map(|cell| Strip::of(report, cell)).collect();
    let most = strips.iter().map(|strip| strip.shards.len()).max()?;
    if most < 2 {
        return None;
    }
    let means: Vec<String> = strips
        .iter()
        .map(|strip| units::count(strip.mean))
        .collect();
    let names = Type::LABEL.widest(strips.iter().map(|strip| &*strip.label));
    let numbers = Type::LABEL.widest(means.iter().map(String::as_str));
    let left = MARGIN + names.min(LONGEST_NAME) + GAP;
    let right = WIDTH - MARGIN - numbers - GAP;
    let row = (ROW.2 * most as f64 + 10.0).clamp(ROW.0, ROW.1);
    let bottom = TOP + row * strips.len() as f64;
    let values = strips
        .iter()
        .flat_map(|strip| &strip.shards)
        .flat_map(|shard| &shard.values);
    let scale = Scale::from_zero(values.copied(), (left, right - RADIUS));
    let mut drawing = Drawing::new(
        bottom + BELOW,
        &title(&strips),
        &format!(
            "{} · ops/s per session, each shard and round; bar: all shards",
            subject(group)
        ),
        describe::list(strips.iter().map(Strip::described), ", "),
    );
    drawing.shown = strips.iter().map(|strip| strip.runtime.clone()).collect();
    x_axis(&mut drawing, &scale, (TOP, bottom), TICK, units::count);
    for (index, (strip, mean)) in strips.iter().zip(&means).enumerate() {
        let top = TOP + row * index as f64;
        let middle = top + row / 2.0;
        let name = Type::LABEL.fit(&strip.label, LONGEST_NAME);
        drawing.of(&strip.runtime, |drawing| {
            strip.draw(drawing, &scale, (top, row), left);
            drawing.text(at(left - GAP, middle), &name, Type::LABEL.end());
            drawing.text(at(right + GAP, middle), mean, Type::LABEL);
            let hint = strip.described();
            drawing.hint(at(MARGIN, top), at(WIDTH - MARGIN, top + row), &hint);
        });
    }
    Some(drawing)
}

/// The heading, with the shards that stand apart.
fn title(strips: &[Strip]) -> String {
    let mut apart: Vec<u32> = strips
        .iter()
        .flat_map(|strip| strip.apart().map(|shard| shard.index))
        .collect();
    apart.sort_unstable();
    apart.dedup();
    match apart.as_slice() {
        [] => KIND.title.to_owned(),
        [one] => format!("{}: shard {one} stands apart", KIND.title),
        several => format!(
            "{}: {} stand apart",
            KIND.title,
            describe::plural(several.len(), "shard")
        ),
    }
}

impl Strip {
    fn of(report: &Report<'_>, cell: &CellSummary) -> Option<Self> {
        let index = report.rounds.index_of(cell)?;
        let rounds = report.rounds.of_cell(index).iter();
        let rounds: Vec<_> = rounds.filter_map(|round| measured(round)).collect();
        let mut shards: Vec<Shard> = Vec::new();
        for part in rounds.iter().flat_map(|round| &round.shards) {
            let value = part.throughput_ops_s / f64::from(part.sessions.max(1));
            match shards.iter_mut().find(|shard| shard.index == part.index) {
                Some(shard) => shard.values.push(value),
                None => shards.push(Shard {
                    index: part.index,
                    median: 0.0,
                    values: vec![value],
                }),
            }
        }
        shards.sort_by_key(|shard| shard.index);
        for shard in &mut shards {
            shard.median = statistics::median(&shard.values)?;
        }
        let means = rounds
            .iter()
            .map(|round| round.worker.throughput_ops_s / f64::from(round.worker.sessions.max(1)));
        Some(Self {
            runtime: cell.runtime.clone(),
            label: report.label(&cell.runtime),
            look: report.look(&cell.runtime),
            mean: statistics::median(&means.collect::<Vec<_>>())?,
            shards,
        })
    }

    fn apart(&self) -> impl Iterator<Item = &Shard> {
        let medians: Vec<f64> = self.shards.iter().map(|shard| shard.median).collect();
        let typical = statistics::median(&medians).unwrap_or(self.mean);
        let is_apart = move |shard: &&Shard| (shard.median / typical - 1.0).abs() > APART;
        self.shards.iter().filter(is_apart)
    }

    fn described(&self) -> String {
        let each = self
            .shards
            .iter()
            .map(|shard| format!("shard {} {}", shard.index, units::count(shard.median)));
        format!(
            "{} {}: {}",
            self.label,
            units::count(self.mean),
            describe::list(each, ", ")
        )
    }

    fn draw(&self, drawing: &mut Drawing, scale: &Scale, (top, row): (f64, f64), left: f64) {
        let x = scale.place(self.mean);
        let bar = Stroke::new(Ink::TEXT, 1.6);
        drawing.line(at(x, top + 3.0), at(x, top + row - 3.0), bar);
        for (position, shard) in self.shards.iter().enumerate() {
            let share = (position as f64 + 0.5) / self.shards.len() as f64;
            let y = top + 4.0 + (row - 8.0) * share;
            for value in &shard.values {
                drawing.dot(at(scale.place(*value), y), RADIUS, Ink(self.look.light));
            }
            if self.apart().any(|other| other.index == shard.index) {
                let name = format!("shard {}", shard.index);
                let least = shard.values.iter().copied().fold(f64::INFINITY, f64::min);
                let beside = scale.place(least) - RADIUS - 4.0;
                if beside - Type::SMALL.width(&name) > left {
                    drawing.text(at(beside, y), &name, Type::SMALL.end());
                }
            }
        }
    }
}
