//! Where the CPU time goes: for each profiled runtime the functions of its worker, each below its caller.
//!
//! A function's width is its CPU time per operation, callees included, on one scale for all runtimes. Omits the outer
//! functions common to nearly all samples, and keeps only the first of a chain of calls within one crate. Functions of the
//! kernel are pale.

use std::collections::BTreeMap;
use std::mem;

use photofinish_record::{KERNEL_SUFFIX as KERNEL, Profile};

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
/// Maximum number of functions of the kernel below each other: what a system call does first.
const KERNEL_ROWS: usize = 3;
/// Minimum width of a function.
const NARROWEST: f64 = 1.0;
/// Minimum width of a function with its name.
const NARROWEST_NAMED: f64 = 36.0;
/// Share of samples from which a callee replaces its caller.
const COMMON: f64 = 0.95;
/// Opacity of functions, in turn from row to row, and of those of the kernel.
const OPACITY: [f64; 2] = [0.38, 0.5];
const PALE: [f64; 2] = [0.1, 0.17];

/// A function with those that it calls.
#[derive(Default)]
struct Node<'a> {
    samples: u64,
    callees: BTreeMap<&'a str, Node<'a>>,
}

/// One runtime's profile.
struct Flame<'a> {
    runtime: String,
    /// Its CPU time per operation, and the kernel's share.
    heading: String,
    ink: Rgb,
    /// The first function that does not leave nearly everything to another.
    root: Node<'a>,
    samples: u64,
    /// CPU time per operation, in ns.
    cpu_ns: f64,
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
            let sampled = match profile.user_only {
                true => "cpu_user_ns_per_op",
                false => "cpu_ns_per_op",
            };
            let cpu_ns = cell.metrics.get(sampled)?.median;
            Flame::of(report, &cell.runtime, profile, cpu_ns)
        })
        .collect();
    let widest = flames.iter().map(|flame| flame.cpu_ns).fold(0.0, f64::max);
    if widest <= 0.0 {
        return None;
    }
    let height: f64 = flames.iter().map(Flame::height).sum();
    let about = "width: CPU time per operation; pale: kernel; with set-up";
    let mut drawing = Drawing::new(
        TOP + height,
        KIND.title,
        &format!("{} · {about}", subject(group)),
        describe::list(flames.iter().map(|flame| flame.heading.clone()), ", "),
    );
    drawing.lacking = "a profile";
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
        let share = units::percent(in_kernel as f64 / samples as f64);
        let kernel = match profile.user_only {
            true => "without the kernel".to_owned(),
            false => format!("{share} of it in the kernel"),
        };
        let root = root
            .without_common(COMMON * samples as f64)
            .without_chains();
        let root = root.without_deep_kernel(KERNEL_ROWS);
        let (label, cpu) = (report.label(runtime), units::duration(cpu_ns));
        let heading = format!("{label}: {cpu}, {kernel} ({samples} samples)");
        Some(Self {
            heading,
            samples,
            rows: root.depth().min(MOST_ROWS),
            runtime: runtime.to_owned(),
            ink: runtimes::look(&report.record.plan, runtime).light,
            root,
            cpu_ns,
        })
    }

    fn height(&self) -> f64 {
        HEADING + ROW * self.rows as f64 + BELOW
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
            let opacity = if is_kernel { PALE } else { OPACITY };
            drawing.rectangle(one.from, one.to, Ink(self.ink), opacity[turn]);
        }
        for one in frames
            .iter()
            .filter(|one| one.to.x - one.from.x >= NARROWEST_NAMED)
        {
            let room = one.to.x - one.from.x - 6.0;
            let (long, name) = names(one.name);
            let fits = Type::SMALL.width(long) <= room;
            let name = Type::SMALL.fit(if fits { long } else { name }, room);
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

    /// Its first descendant without a callee that has `least` samples.
    fn without_common(mut self, least: f64) -> Self {
        let is_common =
            |callee: &Node<'_>| callee.samples as f64 >= least && !callee.callees.is_empty();
        let mut callees = self.callees.iter();
        let common = callees.find(|(_, callee)| is_common(callee));
        match common
            .map(|(name, _)| *name)
            .and_then(|name| self.callees.remove(name))
        {
            Some(callee) => callee.without_common(least),
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

    /// Itself with at most `left` functions of the kernel below each other.
    fn without_deep_kernel(mut self, left: usize) -> Self {
        self.callees
            .retain(|name, _| left > 0 || !name.ends_with(KERNEL));
        for (name, callee) in &mut self.callees {
            let left = left - usize::from(name.ends_with(KERNEL));
            *callee = mem::take(callee).without_deep_kernel(left);
        }
        self
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
            if width < NARROWEST {
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

/// A function's name, with its type or module and without.
fn names(path: &str) -> (&str, &str) {
    let path = path.strip_suffix(KERNEL).unwrap_or(path);
    let mut starts = path.rmatch_indices("::").map(|(index, _)| index + 2);
    let (name, of_type) = (starts.next().unwrap_or(0), starts.next().unwrap_or(0));
    (&path[of_type..], &path[name..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_its_type_and_itself() {
        for (path, expected) in [
            ("tcp_sendmsg_[k]", ("tcp_sendmsg", "tcp_sendmsg")),
            ("memcpy", ("memcpy", "memcpy")),
            ("a::f", ("a::f", "f")),
            ("a::b::Type::f", ("Type::f", "f")),
        ] {
            assert_eq!(names(path), expected);
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
        assert_eq!(compact.without_deep_kernel(0).depth(), 1);
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
        let root = root.without_common(0.95 * 92.0);
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
