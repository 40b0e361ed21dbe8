//! The traits of runtimes as stored in a plan, and each runtime's look in charts.
//!
//! No runtime is known by name here. A record without traits (an older one, or one of unknown runtimes) is reported
//! like any other: without notes, and with looks in the order of the plan. Colours are those of Okabe and Ito, chosen
//! for colour-blind readers, two of them darker so that a thin line stands out; the marker's shape and the line's dashes repeat
//! the distinction.

use photofinish_record::{Plan, RuntimeFamily};

/// A colour as red, green, blue.
pub type Rgb = (u8, u8, u8);

/// The look of a runtime in charts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// On white.
    pub light: Rgb,
    /// On a dark page.
    pub dark: Rgb,
    pub marker: Marker,
    /// Of its line where several runtimes share a plot.
    pub dash: Dash,
}

/// Lengths of lines and gaps in turn, in pixels; an even number of them.
pub type Dash = &'static [f64];

/// An unbroken line.
pub const SOLID: Dash = &[];
const DASHED: Dash = &[7.0, 4.5];
const DOTTED: Dash = &[1.5, 4.5];
const DASH_DOT: Dash = &[9.0, 4.0, 1.5, 4.0];
const LONG: Dash = &[14.0, 5.0];

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Circle,
    Square,
    /// A square on its corner.
    Diamond,
    Triangle,
    /// Point down.
    TriangleDown,
    /// A circle with an empty middle.
    Ring,
    /// A square with an empty middle.
    Frame,
}

/// The family of a runtime; `None` if the plan does not have it.
pub fn family(plan: &Plan, runtime: &str) -> Option<RuntimeFamily> {
    Some(plan.runtimes.get(runtime)?.family)
}

/// Language and libraries of a runtime in another language; `None` of those in this program.
pub fn stack(plan: &Plan, runtime: &str) -> Option<String> {
    let worker = plan.runtimes.get(runtime)?.worker.as_ref()?;
    Some(worker.stack.clone())
}

/// The look of a runtime, by its position among the runtimes of the build. Runtimes without traits take looks from the
/// end of the list, in the order of the plan's cells; from its start if the plan has no traits at all.
pub fn look(plan: &Plan, runtime: &str) -> Look {
    let position = plan.runtimes.get(runtime).map_or_else(
        || {
            let unlisted = unlisted_position(plan, runtime) % LOOKS.len();
            if plan.runtimes.is_empty() {
                unlisted
            } else {
                LOOKS.len() - 1 - unlisted
            }
        },
        |traits| traits.position,
    );
    LOOKS[position % LOOKS.len()]
}

fn unlisted_position(plan: &Plan, runtime: &str) -> usize {
    let mut unlisted: Vec<&str> = Vec::new();
    for cell in &plan.cells {
        let name = cell.runtime.as_str();
        if !plan.runtimes.contains_key(name) && !unlisted.contains(&name) {
            unlisted.push(name);
        }
    }
    let position = unlisted.iter().position(|name| *name == runtime);
    position.unwrap_or(0)
}

/// Every look, by position; after the last one they repeat.
pub const LOOKS: [Look; 13] = [
    paint(
        (0x5F, 0x6B, 0x7A),
        (0xA9, 0xB4, 0xC2),
        Marker::Square,
        SOLID,
    ),
    paint(
        (0xD5, 0x5E, 0x00),
        (0xF0, 0x7F, 0x2B),
        Marker::Triangle,
        DASHED,
    ),
    paint(
        (0xC2, 0x80, 0x00),
        (0xF2, 0xB3, 0x33),
        Marker::TriangleDown,
        DOTTED,
    ),
    paint(
        (0x00, 0x72, 0xB2),
        (0x4F, 0xA8, 0xE0),
        Marker::Circle,
        SOLID,
    ),
    paint((0x2B, 0x8F, 0xC9), (0x8F, 0xD0, 0xF5), Marker::Ring, DASHED),
    paint(
        (0xC2, 0x60, 0x94),
        (0xE0, 0x93, 0xBD),
        Marker::Frame,
        DASH_DOT,
    ),
    paint(
        (0x00, 0x9E, 0x73),
        (0x2F, 0xC4, 0x98),
        Marker::Diamond,
        LONG,
    ),
    paint(
        (0x7A, 0x4F, 0xB5),
        (0xB0, 0x8E, 0xE6),
        Marker::Circle,
        DOTTED,
    ),
    paint(
        (0x8A, 0x62, 0x3A),
        (0xC4, 0x9A, 0x6C),
        Marker::Diamond,
        DASH_DOT,
    ),
    paint(
        (0x2A, 0x6F, 0x3C),
        (0x6F, 0xBF, 0x83),
        Marker::Square,
        DASH_DOT,
    ),
    paint((0xA3, 0x1F, 0x34), (0xEB, 0x6E, 0x80), Marker::Ring, LONG),
    paint(
        (0x3A, 0x4E, 0x8C),
        (0x8A, 0x9E, 0xE0),
        Marker::Frame,
        DASHED,
    ),
    paint(
        (0x6E, 0x6E, 0x00),
        (0xB9, 0xB9, 0x3F),
        Marker::Triangle,
        DOTTED,
    ),
];

const fn paint(light: Rgb, dark: Rgb, marker: Marker, dash: Dash) -> Look {
    Look {
        light,
        dark,
        marker,
        dash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast ratio of WCAG 2.
    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.03928 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        let luminance =
            |(r, g, b): Rgb| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
        let (a, b) = (luminance(a), luminance(b));
        a.max(b) / a.min(b)
    }

    #[test]
    fn every_line_stands_out_from_its_page() {
        for look in LOOKS {
            assert!(contrast(look.light, (0xFF, 0xFF, 0xFF)) >= 3.0, "{look:?}");
            assert!(contrast(look.dark, (0x17, 0x1D, 0x26)) >= 3.0, "{look:?}");
        }
    }

    #[test]
    fn no_two_looks_share_marker_and_dashes() {
        for (i, a) in LOOKS.iter().enumerate() {
            for b in &LOOKS[i + 1..] {
                assert_ne!((a.marker, a.dash), (b.marker, b.dash), "{a:?} and {b:?}");
            }
        }
        assert!(LOOKS.iter().all(|look| look.dash.len() % 2 == 0));
    }

    #[test]
    fn no_two_looks_share_a_colour() {
        for (i, a) in LOOKS.iter().enumerate() {
            for b in &LOOKS[i + 1..] {
                assert_ne!(a.light, b.light);
                assert_ne!(a.dark, b.dark);
            }
        }
    }
}
