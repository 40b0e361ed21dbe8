//! Terminal output: a report, a gate, or a comparison as tables that are never wider than the terminal.
//!
//! Plain or with ANSI colours, as requested: the caller knows the terminal. If the width is too small, columns are
//! dropped, least important first. Texts from a record are printed without control characters, so that a scenario's
//! title cannot drive the terminal.

mod compare;
mod gate;
mod matrix;
mod run;
mod table;
mod text;
mod thresholds;

pub use compare::comparison;
pub use gate::gate;
pub use run::{render, render_in};
pub(crate) use text::{Indents, Text, Tone};

/// Width and colours of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Maximum columns of a line; below 40 it counts as 40.
    pub width: usize,
    /// True for ANSI colours.
    pub colour: bool,
}

/// Amount of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The result alone.
    Result,
    #[default]
    Usual,
    /// Also what is behind the numbers: the tool's own influence on them.
    Everything,
}

/// Indentation of tables.
const INDENT: usize = 2;
