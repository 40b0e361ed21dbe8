//! `photofinish lanes`: the shipped workers in other languages, and their source.

use clap::{Args, Subcommand};
use photofinish_workloads::names::{did_you_mean, listed};

use crate::exit::{Exit, Failure};
use crate::lanes::{SHIPPED, source};
use crate::output;

/// List the runtimes in other languages, or show the source of one
///
/// A lane runs the same work as the runtimes of this program, as a program of its own in another language: `--runtimes
/// python,node,go` adds those in these languages. Lanes are ranked within their own stack.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish lanes
  photofinish lanes show asyncio
  photofinish run http-delay --runtimes sync,threads,tokio,python,node")]
pub struct Lanes {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Print the source of a lane
    Show {
        /// Name of the lane
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl Lanes {
    pub fn execute(self) -> Result<Exit, Failure> {
        let text = match self.action {
            None => table(),
            Some(Action::Show { name }) => shown(&name)?,
        };
        output::say(text.trim_end())?;
        Ok(Exit::Done)
    }
}

fn table() -> String {
    let width = SHIPPED
        .iter()
        .map(|lane| lane.name.len())
        .max()
        .unwrap_or(0);
    let lines = SHIPPED
        .iter()
        .map(|lane| format!("{:width$}  {}\n", lane.name, lane.summary));
    lines.collect()
}

fn shown(name: &str) -> Result<String, Failure> {
    let names = || SHIPPED.iter().map(|lane| lane.name);
    let lane = SHIPPED.iter().find(|lane| lane.name == name);
    let lane = lane.ok_or_else(|| {
        let hint = match did_you_mean(name, names()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!(
                "expected {}",
                listed(&names().map(str::to_owned).collect::<Vec<_>>())
            ),
        };
        Failure::usage(format!("no lane is called `{name}`")).hint(hint)
    })?;
    let comment = lane.language.comment;
    let files = source(lane).into_iter();
    Ok(files
        .map(|(name, text)| format!("{comment} {name}\n\n{text}\n"))
        .collect())
}
