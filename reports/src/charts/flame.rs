//! Where the CPU time goes: for each profiled runtime the functions of its worker, each below its caller.
//!
//! A function's width is its CPU time per operation, callees included, on one scale for all runtimes. The outer functions
//! that have all of it are left out, and so are functions that leave nearly everything to another one of their crate,
//! but for the first of them. Functions of the kernel are grey.

use std::collections::BTreeMap;

use photofinish_record::Profile;

use super::drawing::{Drawing, Ink, MARGIN, Point, Type, WIDTH, at};
use super::{Draw, Kind, subject};
use crate::describe;
use crate::report::Report;
use crate::runtimes::{self, Rgb};
use crate::summary::Group;
use crate::units;

pub(super) static KIND: Kind = Kind {
    name: "flame",
    title: "Where the CPU time goes",
    draw: Draw::Load(draw),
};

const TOP: f64 = 58.0;
/// Height of a runtime's heading.
const HEADING: f64 = 24.0;
/// Height of a function.
const ROW: f64 = 15.0;
/// Space below the functions of a runtime.
const BELOW: f64 = 10.0;
/// Maximum number of functions below each other.
const MOST_ROWS: usize = 18;
/// Functions narrower than this are left out, as are names in functions narrower than that.
const NARROWEST: (f64, f64) = (1.0, 24.0);
/// A function that leaves at least this share of its samples to another one says nothing of its own.
const COMMON: f64 = 0.95;
/// Opacity of functions, in turn from row to row.
const OPACITY: [f64; 2] = [0.3, 0.42];
/// The ending of a function of the kernel.
const KERNEL: &str = "_[k]";

/// A function with those that it calls.
#[derive(Default)]
struct Node<'a> {
    samples: u64,
    callees: BTreeMap<&'a str, Node<'a>>,
}

/// One runtime's profile.
struct Flame<'a> {
    runtime: String,
    heading: String,
    ink: Rgb,
    /// The first function that does not leave nearly everything to another.
    root: Node<'a>,
    samples: u64,
    /// CPU time per operation, in ns.
    cpu_ns: f64,
    /// Share of the samples in the kernel.
    kernel: f64,
    rows: usize,
}

/// A function as drawn.
struct Frame<'a> {
    from: Point,
    to: Point,
    name: &'a str,
    samples: u64,
    row: usize,
}

fn draw(report: &Report<'_>, group: &Group<'_>) -> Option<Drawing> {
    let cells = group.in_plan_order().into_iter();
    let flames: Vec<Flame<'_>> = cells
        .filter_map(|cell| {
            let index = report.rounds.index_of(cell)?;
            let mut profiles = report.record.profiles.iter();
            let profile = profiles.find(|profile| profile.cell == index)?;
            let cpu_ns = cell.metrics.get("cpu_ns_per_op")?.median;
            Flame::of(report, &cell.runtime, profile, cpu_ns)
        })
        .collect();
    let widest = flames.iter().map(|flame| flame.cpu_ns).fold(0.0, f64::max);
    if widest <= 0.0 {
        return None;
    }
    let height: f64 = flames.iter().map(Flame::height).sum();
    let about = "width: CPU time per operation, callers above; grey: kernel; one sampled round";
    let mut drawing = Drawing::new(
        TOP + height,
        KIND.title,
        &format!("{} · {about}", subject(group)),
        describe::list(flames.iter().map(Flame::described), ", "),
    );
    drawing.shown = flames.iter().map(|flame| flame.runtime.clone()).collect();
    let mut top = TOP;
    for flame in &flames {
        drawing.of(&flame.runtime, |drawing| flame.draw(drawing, top, widest));
        top += flame.height();
    }
    Some(drawing)
}

impl<'a> Flame<'a> {
    /// `None` if nothing was sampled.
    fn of(report: &Report<'_>, runtime: &str, profile: &'a Profile, cpu_ns: f64) -> Option<Self> {
        let mut root = Node::default();
        let mut in_kernel = 0;
        for (functions, samples) in profile.samples() {
            if functions.clone().any(|name| name.ends_with(KERNEL)) {
                in_kernel += samples;
            }
            root.add(functions, samples);
        }
        if root.samples == 0 {
            return None;
        }
        let samples = root.samples;
        let kernel = in_kernel as f64 / samples as f64;
        let root = root.without_common().without_chains();
        let heading = format!(
            "{}: {}, {} of it in the kernel ({samples} samples)",
            report.label(runtime),
            units::duration(cpu_ns),
            units::percent(kernel)
        );
        Some(Self {
            heading,
            samples,
            rows: root.depth().min(MOST_ROWS),
            runtime: runtime.to_owned(),
            ink: runtimes::look(&report.record.plan, runtime).light,
            root,
            cpu_ns,
            kernel,
        })
    }

    fn height(&self) -> f64 {
        HEADING + ROW * self.rows as f64 + BELOW
    }

    fn described(&self) -> String {
        let (cpu, kernel) = (units::duration(self.cpu_ns), units::percent(self.kernel));
        format!(
            "{}: {cpu} CPU time per operation, {kernel} of it in the kernel",
            self.runtime
        )
    }

    fn draw(&self, drawing: &mut Drawing, top: f64, widest: f64) {
        drawing.text(at(MARGIN, top + HEADING / 2.0), &self.heading, Type::LABEL);
        let width = (WIDTH - 2.0 * MARGIN) * self.cpu_ns / widest;
        let mut frames = Vec::new();
        let per_sample = width / self.samples as f64;
        self.root
            .frames(at(MARGIN, top + HEADING), per_sample, 0, &mut frames);
        // Neighbours of one style become one element.
        let style = |one: &Frame<'_>| (one.name.ends_with(KERNEL), one.row % 2);
        frames.sort_by_key(style);
        for one in &frames {
            let (is_kernel, turn) = style(one);
            let ink = if is_kernel { Ink::AXIS } else { Ink(self.ink) };
            drawing.rectangle(one.from, one.to, ink, OPACITY[turn]);
        }
        for one in frames
            .iter()
            .filter(|one| one.to.x - one.from.x >= NARROWEST.1)
        {
            let room = one.to.x - one.from.x - 6.0;
            let name = Type::SMALL.fit(short(one.name), room);
            let middle = at(one.from.x + 3.0, (one.from.y + one.to.y) / 2.0);
            drawing.text(
                middle,
                &name,
                Type {
                    ink: Ink::TEXT,
                    ..Type::SMALL
                },
            );
        }
        for one in &frames {
            let share = one.samples as f64 / self.samples as f64;
            let time = units::duration(share * self.cpu_ns);
            let name = one.name.strip_suffix(KERNEL).unwrap_or(one.name);
            let kernel = if one.name.ends_with(KERNEL) {
                ", kernel"
            } else {
                ""
            };
            drawing.hint(
                one.from,
                one.to,
                &format!("{name}{kernel}: {time} per operation"),
            );
        }
    }
}

impl<'a> Node<'a> {
    fn add(&mut self, mut functions: impl Iterator<Item = &'a str>, samples: u64) {
        self.samples += samples;
        if let Some(first) = functions.next() {
            self.callees
                .entry(first)
                .or_default()
                .add(functions, samples);
        }
    }

    /// Its first descendant that does not leave nearly everything to one callee.
    fn without_common(mut self) -> Self {
        let least = COMMON * self.samples as f64;
        let mut callees = self.callees.iter();
        let common = callees
            .find(|(_, callee)| callee.samples as f64 >= least && !callee.callees.is_empty());
        match common.map(|(name, _)| *name) {
            Some(name) => self.callees.remove(name).map_or(self, Self::without_common),
            None => self,
        }
    }

    /// Itself with each function calling what the last of its chain calls: a chain stays in one crate, and each function
    /// of it leaves nearly everything to the next.
    fn without_chains(self) -> Self {
        let callees = self.callees.into_iter().map(|(name, mut callee)| {
            while let Some(next) = callee.chained(name) {
                callee.callees = next.callees;
            }
            (name, callee.without_chains())
        });
        Self {
            samples: self.samples,
            callees: callees.collect(),
        }
    }

    /// Removes the callee that continues the chain of the function `name`, which is its own.
    fn chained(&mut self, name: &str) -> Option<Self> {
        let least = COMMON * self.samples as f64;
        let continues = |(next, callee): &(&&str, &Node<'_>)| {
            callee.samples as f64 >= least && library(next) == library(name)
        };
        let next = *self.callees.iter().find(continues)?.0;
        self.callees.remove(next)
    }

    fn depth(&self) -> usize {
        self.callees
            .values()
            .map(|callee| 1 + callee.depth())
            .max()
            .unwrap_or(0)
    }

    /// The frames of its callees, the widest first, from a corner on.
    fn frames(&self, corner: Point, per_sample: f64, row: usize, frames: &mut Vec<Frame<'a>>) {
        if row == MOST_ROWS {
            return;
        }
        let mut callees: Vec<(&&str, &Node<'_>)> = self.callees.iter().collect();
        callees.sort_by_key(|(_, callee)| std::cmp::Reverse(callee.samples));
        let mut left = corner.x;
        for (name, callee) in callees {
            let width = per_sample * callee.samples as f64;
            if width < NARROWEST.0 {
                break;
            }
            let from = at(left, corner.y + ROW * row as f64);
            frames.push(Frame {
                from,
                // The gap shows where one ends and the next begins.
                to: at(left + width - 0.5, from.y + ROW - 1.0),
                name,
                samples: callee.samples,
                row,
            });
            callee.frames(at(left, corner.y), per_sample, row + 1, frames);
            left += width;
        }
    }
}

/// The crate of a function, or the kernel; the same for all functions without a path.
fn library(name: &str) -> &str {
    if name.ends_with(KERNEL) {
        return KERNEL;
    }
    let name = name.trim_start_matches("&").trim_start_matches("mut ");
    name.split_once("::").map_or("", |(library, _)| library)
}

/// The last two parts of a function's path: its type and its name.
fn short(name: &str) -> &str {
    let name = name.strip_suffix(KERNEL).unwrap_or(name);
    let parts = name.rmatch_indices("::").map(|(index, _)| index + 2);
    parts
        .take(2)
        .last()
        .filter(|_| name.matches("::").count() > 1)
        .map_or(name, |start| &name[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_its_type_and_itself() {
        for (name, expected) in [
            ("tcp_sendmsg_[k]", "tcp_sendmsg"),
            ("memcpy", "memcpy"),
            ("a::f", "a::f"),
            ("a::b::Type::f", "Type::f"),
        ] {
            assert_eq!(short(name), expected);
        }
    }

    #[test]
    fn a_chain_within_a_crate_is_its_first_function() {
        let mut root = Node::default();
        root.add("a::f;a::g;a::h;read_[k];copy_[k]".split(';'), 98);
        root.add("a::f;a::g;b::i".split(';'), 2);
        root.add("b::j".split(';'), 50);
        let compact = root.without_chains();
        let below = &compact.callees["a::f"];
        assert_eq!((below.samples, below.depth()), (100, 1));
        assert_eq!(below.callees["read_[k]"].samples, 98);
        assert_eq!(compact.callees["b::j"].samples, 50);
    }

    #[test]
    fn common_callers_are_left_out_and_callees_lie_below_the_widest_first() {
        let mut root = Node::default();
        for (stack, samples) in [
            ("run;step;read", 30),
            ("run;step;write;copy", 60),
            ("run;end", 2),
        ] {
            root.add(stack.split(';'), samples);
        }
        let root = root.without_common();
        assert_eq!((root.samples, root.depth()), (90, 2));
        let mut frames = Vec::new();
        root.frames(at(0.0, 0.0), 2.0, 0, &mut frames);
        let placed: Vec<_> = frames
            .iter()
            .map(|one| (one.name, one.from.x, one.row))
            .collect();
        assert_eq!(
            placed,
            [("write", 0.0, 0), ("copy", 0.0, 1), ("read", 120.0, 0)]
        );
    }
}
