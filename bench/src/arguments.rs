//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::comparisons::Group;

/// Compare Photofinish with other load generators on this machine
///
/// Exit codes: 0 if everything was measured, 1 if nothing could be, 2 for wrong usage, 130 if interrupted (results of the
/// comparisons that were complete are written).
#[derive(Debug, Parser)]
#[command(name = "photofinish-bench", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure Photofinish and its rivals in interleaved blocks
    Peers(Peers),
    /// List the comparisons, what they need, and what is missing here
    List(Selection),
    /// Answer every request with the same 13 B, until stdin closes
    #[command(hide = true)]
    Responder,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Groups of comparisons
    #[arg(long, value_name = "GROUP", value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Group>,

    /// Comparisons whose name contains this
    #[arg(long = "match", value_name = "TEXT")]
    pub(crate) name_part: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Peers {
    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Blocks, in each of which every contestant runs once
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) blocks: u32,

    /// Seconds of each run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,

    /// Seed of the order within blocks
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// A photofinish that is built already [default: build it]
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<PathBuf>,

    /// Write the results, block by block, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write the ratios as tables in Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        let parsed =
            Arguments::try_parse_from(["bench", "peers", "--only", "http,files", "--blocks", "2"]);
        let Ok(Arguments {
            command: Command::Peers(peers),
        }) = parsed
        else {
            panic!("{parsed:?}")
        };
        assert_eq!(peers.selection.only, [Group::Http, Group::Files]);
        assert!(Arguments::try_parse_from(["bench", "peers", "--blocks", "0"]).is_err());
    }

    #[test]
    fn every_command_in_the_documents_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let documents = fs::read_dir(root.join("docs")).expect("docs");
        let documents = documents.map(|entry| entry.expect("an entry").path());
        let mut understood = 0;
        for path in documents.filter(|path| path.is_file()) {
            let text = fs::read_to_string(&path).expect("a document");
            let lines = text
                .lines()
                .filter_map(|line| line.split_once("photofinish-bench -- "));
            for (_, words) in lines {
                let words = words.split(['#', '`', ')']).next().unwrap_or_default();
                let words = ["bench"].into_iter().chain(words.split_whitespace());
                let parsed = Arguments::try_parse_from(words);
                assert!(parsed.is_ok(), "{}: {parsed:?}", path.display());
                understood += 1;
            }
        }
        assert!(understood >= 5, "{understood}");
    }
}
