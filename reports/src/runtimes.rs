//! What a report knows of runtimes by name: what to say beside them, and how they look in every chart.
//!
//! A name that is not listed is reported like any other and gets a colour of its own from the spare ones, so a new
//! runtime needs nothing here. Colours are those of Okabe and Ito, who chose them to be told apart by colour-blind
//! readers; the marker's shape says the same again.

/// A colour as red, green, blue.
pub type Rgb = (u8, u8, u8);

/// How a runtime looks in charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// On white.
    pub light: Rgb,
    /// On a dark page.
    pub dark: Rgb,
    /// The marker's shape.
    pub marker: Marker,
}

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A filled circle.
    Circle,
    /// A filled square on its side.
    Square,
    /// A filled square on its corner.
    Diamond,
    /// A filled triangle, point up.
    Triangle,
    /// A filled triangle, point down.
    TriangleDown,
    /// A circle with an empty middle.
    Ring,
    /// A square with an empty middle.
    Frame,
}

/// A note that belongs beside the runtime's name wherever it is shown.
pub fn note(runtime: &str) -> Option<&'static str> {
    (runtime == "async-std").then_some("discontinued")
}

/// Whether operations wait for the runtime's threads outside their service time, so that mean service × throughput
/// counts its threads rather than its sessions.
pub fn queues_before_service(runtime: &str) -> bool {
    runtime == "pool"
}

/// Whether `runtime` has a look of its own.
pub fn is_known(runtime: &str) -> bool {
    KNOWN.iter().any(|(name, _)| *name == runtime)
}

/// How `runtime` looks; `position` among the unlisted runtimes of the record decides for names that are not listed.
pub fn look(runtime: &str, position: usize) -> Look {
    let known = KNOWN.iter().find(|(name, _)| *name == runtime);
    known.map_or(SPARE[position % SPARE.len()], |(_, look)| *look)
}

/// Every look there is, for the page's style sheet.
pub fn looks() -> impl Iterator<Item = Look> {
    KNOWN
        .iter()
        .map(|(_, look)| *look)
        .chain(SPARE.iter().copied())
}

const KNOWN: &[(&str, Look)] = &[
    (
        "sync",
        paint((0x5F, 0x6B, 0x7A), (0xA9, 0xB4, 0xC2), Marker::Square),
    ),
    (
        "threads",
        paint((0xD5, 0x5E, 0x00), (0xF0, 0x7F, 0x2B), Marker::Triangle),
    ),
    (
        "pool",
        paint((0xD9, 0x94, 0x00), (0xF2, 0xB3, 0x33), Marker::TriangleDown),
    ),
    (
        "tokio",
        paint((0x00, 0x72, 0xB2), (0x4F, 0xA8, 0xE0), Marker::Circle),
    ),
    (
        "tokio-current-thread",
        paint((0x3F, 0xA2, 0xDB), (0x8F, 0xD0, 0xF5), Marker::Ring),
    ),
    (
        "async-std",
        paint((0xC2, 0x60, 0x94), (0xE0, 0x93, 0xBD), Marker::Frame),
    ),
    (
        "smol",
        paint((0x00, 0x9E, 0x73), (0x2F, 0xC4, 0x98), Marker::Diamond),
    ),
];

const SPARE: &[Look] = &[
    paint((0x7A, 0x4F, 0xB5), (0xB0, 0x8E, 0xE6), Marker::Circle),
    paint((0x8A, 0x62, 0x3A), (0xC4, 0x9A, 0x6C), Marker::Diamond),
    paint((0x2A, 0x6F, 0x3C), (0x6F, 0xBF, 0x83), Marker::Square),
    paint((0xA3, 0x1F, 0x34), (0xEB, 0x6E, 0x80), Marker::Ring),
    paint((0x3A, 0x4E, 0x8C), (0x8A, 0x9E, 0xE0), Marker::Frame),
    paint((0x6E, 0x6E, 0x00), (0xB9, 0xB9, 0x3F), Marker::Triangle),
];

const fn paint(light: Rgb, dark: Rgb, marker: Marker) -> Look {
    Look {
        light,
        dark,
        marker,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_looks_share_a_colour() {
        let looks: Vec<Look> = looks().collect();
        for (i, a) in looks.iter().enumerate() {
            for b in &looks[i + 1..] {
                assert_ne!(a.light, b.light);
                assert_ne!(a.dark, b.dark);
            }
        }
    }

    #[test]
    fn an_unlisted_runtime_gets_a_spare_look_and_no_note() {
        assert_eq!(look("fibres", 1), SPARE[1]);
        assert_eq!(look("fibres", SPARE.len()), SPARE[0]);
        assert_eq!(note("fibres"), None);
    }
}
