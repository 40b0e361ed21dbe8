//! The subcommands: one file each.

mod list;
mod peers;

use crate::arguments::{Arguments, Command, Selection};
use crate::comparisons::{self, Comparison};
use crate::failure::{Failure, USAGE};
use crate::servers::responder;

pub(crate) fn execute(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Peers(peers) => peers::execute(&peers),
        Command::List(selection) => list::execute(&selection),
        Command::Responder => responder::serve_until_stdin_closes(),
    }
}

/// The selected comparisons.
fn select(selection: &Selection) -> Result<Vec<Comparison>, Failure> {
    let Selection { only, name_part } = selection;
    let selected: Vec<Comparison> = comparisons::all()
        .into_iter()
        .filter(|comparison| only.is_empty() || only.contains(&comparison.group))
        .filter(|comparison| {
            name_part
                .as_ref()
                .is_none_or(|part| comparison.id.contains(part.as_str()))
        })
        .collect();
    if selected.is_empty() {
        let failure = Failure::new("no comparison is selected").exit_code(USAGE);
        return Err(failure.hint("`photofinish-bench list` shows their names"));
    }
    Ok(selected)
}
