//! `list`: the comparisons with their contestants, and the programs that are missing.

use super::select;
use crate::arguments::Selection;
use crate::comparisons;
use crate::failure::Failure;
use crate::output;
use crate::render;

pub(super) fn execute(selection: &Selection) -> Result<(), Failure> {
    let comparisons = select(selection)?;
    for comparison in &comparisons {
        let names: Vec<&str> = comparison
            .contestants
            .iter()
            .map(|contestant| contestant.name.as_str())
            .collect();
        output::say(&format!(
            "{:32} {}\n{:32} {}",
            comparison.id,
            comparison.title,
            "",
            names.join(", ")
        ));
    }
    let missing = render::missing(&comparisons::missing_programs(&comparisons));
    output::say(
        missing
            .as_deref()
            .unwrap_or("\nNothing is missing on this machine."),
    );
    Ok(())
}
