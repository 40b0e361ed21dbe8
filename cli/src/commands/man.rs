//! `photofinish man`: the manual page, generated from the argument definitions.
//!
//! A single page covers the program and every subcommand that is not hidden.

use clap::{Args, CommandFactory};

use super::Arguments;
use crate::config::VARIABLES;
use crate::exit::{Exit, Failure};
use crate::output;

/// Print the manual page
#[derive(Args)]
#[command(after_help = "\
Example:
  photofinish man | man -l -")]
pub struct Man {}

impl Man {
    pub fn execute(self) -> Result<Exit, Failure> {
        let failed = |error: std::io::Error| {
            Failure::could_not_run("cannot make the manual page").caused_by(error)
        };
        let mut program = Arguments::command();
        program.build();
        let mut page = Vec::new();
        clap_mangen::Man::new(program.clone())
            .render(&mut page)
            .map_err(failed)?;
        for command in program
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            render_subcommand(command, &mut page).map_err(failed)?;
        }
        page.extend_from_slice(environment().as_bytes());
        output::emit(&page)?;
        Ok(Exit::Done)
    }
}

/// The section on environment variables.
fn environment() -> String {
    let entry = |(name, help): (&str, &str)| format!(".TP\n\\fB{name}\\fR\n{help}\n");
    let entries = VARIABLES.map(entry).concat();
    format!(".SH ENVIRONMENT\n{}", entries.replace('-', "\\-"))
}

fn render_subcommand(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let name = command
        .get_bin_name()
        .unwrap_or_else(|| command.get_name())
        .to_uppercase();
    page.extend_from_slice(format!(".SH {name}\n").as_bytes());
    let manual = clap_mangen::Man::new(command.clone());
    manual.render_synopsis_section(page)?;
    manual.render_description_section(page)?;
    manual.render_options_section(page)
}
