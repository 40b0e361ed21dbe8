//! `photofinish completions`: the script that makes a shell ask this program for completions, and the answers.
//!
//! The script is short and stays the same; `completion` knows the values.

use std::env;
use std::ffi::OsStr;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_complete::env::Shells;

use super::Arguments;
use crate::completion;
use crate::exit::{Exit, Failure};
use crate::output;

/// Environment variable with the name of the shell that asks; only set by the script.
const VARIABLE: &str = "PHOTOFINISH_COMPLETE";

/// The name of the program, found through PATH.
const PROGRAM: &str = "photofinish";

/// Print a completion script for a shell
///
/// Completes commands and options, and scenarios, runtimes, metrics, parameters, runs and baselines. The script asks
/// the `photofinish` in PATH, so it need not be written again for a new version.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish completions bash \\
      > ~/.local/share/bash-completion/completions/photofinish
  photofinish completions zsh > ~/.zfunc/_photofinish
  photofinish completions fish > ~/.config/fish/completions/photofinish.fish
  photofinish completions powershell >> $PROFILE")]
pub struct Completions {
    /// Shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn execute(self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        let shells = Shells::builtins();
        let shell = shells.completer(&self.shell.to_string());
        let shell = shell.expect("the lists of shells are the same");
        shell
            .write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)
            .map_err(|error| {
                Failure::could_not_run("cannot make the completion script").caused_by(error)
            })?;
        output::emit(&script)?;
        Ok(Exit::Done)
    }
}

/// Answers a shell that asks for completions; `None` if none does.
pub fn answer() -> Option<Result<Exit, Failure>> {
    let shell = env::var_os(VARIABLE)?;
    let name = shell.to_str()?;
    let shells = Shells::builtins();
    let shell = shells.completer(name)?;
    let words = env::args_os().skip_while(|word| word != OsStr::new("--"));
    let mut program = completion::with_values(Arguments::command());
    let mut answer = Vec::new();
    let directory = env::current_dir().ok();
    let words = words.skip(1).collect();
    let written = shell.write_complete(&mut program, words, directory.as_deref(), &mut answer);
    // A line that cannot be completed has no completions.
    Some(match written {
        Ok(()) => output::emit(&answer).map(|()| Exit::Done),
        Err(_) => Ok(Exit::Done),
    })
}
