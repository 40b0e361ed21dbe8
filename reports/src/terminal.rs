//! Text for people: a report, a gate, or a comparison as tables that are never wider than the terminal.
//!
//! Plain or with ANSI colours, as requested: the caller knows the terminal. Where the width is short, columns are dropped from
//! the least important one. Texts of a record are printed without control characters, so that a scenario's title cannot
//! drive the terminal.

mod compare;
mod gate;
mod run;
mod table;
mod text;

pub use compare::comparison;
pub use gate::gate;
pub use run::render;
pub(crate) use text::{Indents, Text, Tone};

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Maximum columns of a line; below 40 it counts as 40.
    pub width: usize,
    /// True for ANSI colours.
    pub colour: bool,
}

/// Indentation of tables.
const INDENT: usize = 2;
