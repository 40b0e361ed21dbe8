//! `photofinish completions`: a completion script for a shell, generated from the argument definitions.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Arguments;
use crate::exit::{Exit, Failure};
use crate::output;

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = "\
Example:
  photofinish completions bash \\
      > ~/.local/share/bash-completion/completions/photofinish")]
pub struct Completions {
    /// Shell to generate completions for
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn execute(self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        generate(
            self.shell,
            &mut Arguments::command(),
            "photofinish",
            &mut script,
        );
        output::emit(&script)?;
        Ok(Exit::Done)
    }
}
