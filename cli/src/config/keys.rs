//! The options that may have a default, by their long names.
//!
//! An option that starts a program, writes where nobody asked it to, or allows load on other machines has none: a file
//! found on the way up from the working directory may be somebody else's.

/// The form of a default in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A text or a number.
    Text,
    /// A directory, relative to that of the file.
    Directory,
    /// A text or number, or a list of them.
    List,
    /// A list of texts, each an option of its own.
    Lines,
    /// A table of texts and numbers, each an option of its own: `NAME=TEXT`.
    Table,
    /// A table of any values, tables within it as dotted keys: `KEY=VALUE`.
    Overrides,
}

impl Kind {
    /// True if each part of it can be replaced by itself.
    pub fn has_parts(self) -> bool {
        matches!(self, Self::Table | Self::Overrides)
    }
}

/// An option that may have a default.
#[derive(Debug)]
pub struct Key {
    /// The long name of the option.
    pub name: &'static str,
    pub kind: Kind,
    /// The commands that take it; empty for all.
    pub commands: &'static [&'static str],
    /// Options that replace it, besides those it conflicts with.
    pub yields_to: &'static [&'static str],
    /// The option without which it is refused.
    pub needs: Option<&'static str>,
}

impl Key {
    pub fn is_for(&self, command: &str) -> bool {
        self.commands.is_empty() || self.commands.contains(&command)
    }

    /// The environment variable for the option, if one can hold it.
    pub fn variable(&self) -> Option<String> {
        let fits = !self.kind.has_parts() && self.kind != Kind::Lines;
        let name = self.name.to_uppercase().replace('-', "_");
        fits.then(|| format!("PHOTOFINISH_{name}"))
    }
}

const fn key(name: &'static str, kind: Kind, commands: &'static [&'static str]) -> Key {
    Key {
        name,
        kind,
        commands,
        yields_to: &[],
        needs: None,
    }
}

const MEASURING: &[&str] = &["run", "plan", "gate"];
const RUNS: &[&str] = &["run", "plan"];
const GATE: &[&str] = &["gate"];
const WITH_RUNS: &[&str] = &["run", "gate", "show", "open", "runs"];
const WITH_BASELINES: &[&str] = &["run", "gate", "compare", "baseline"];

/// Every option that may have a default.
pub const KEYS: [Key; 28] = [
    key("runtimes", Kind::List, MEASURING),
    key("reference", Kind::Text, RUNS),
    key("concurrency", Kind::List, MEASURING),
    key("rate", Kind::List, MEASURING),
    key("arrivals", Kind::Text, MEASURING),
    key("lag-probe", Kind::Flag, MEASURING),
    key("set", Kind::Overrides, MEASURING),
    key("target", Kind::Table, MEASURING),
    Key {
        yields_to: &["quick"],
        ..key("rounds", Kind::Text, RUNS)
    },
    key("until-decided", Kind::Flag, RUNS),
    Key {
        needs: Some("until-decided"),
        ..key("max-rounds", Kind::Text, RUNS)
    },
    Key {
        yields_to: &["quick"],
        ..key("duration", Kind::Text, MEASURING)
    },
    key("no-redo", Kind::Flag, MEASURING),
    key("seed", Kind::Text, MEASURING),
    key("placement", Kind::Text, MEASURING),
    key("cpus", Kind::Text, MEASURING),
    key("expect", Kind::Lines, RUNS),
    key("fail-fast", Kind::Flag, RUNS),
    key("limit", Kind::Table, GATE),
    key("tolerance", Kind::Text, GATE),
    key("content-may-differ", Kind::Flag, GATE),
    key("strict", Kind::Flag, GATE),
    key("max-pairs", Kind::Text, GATE),
    key("out", Kind::Directory, WITH_RUNS),
    key("baselines", Kind::Directory, WITH_BASELINES),
    key("color", Kind::Text, &[]),
    key("quiet", Kind::Flag, &[]),
    key("verbose", Kind::Flag, &[]),
];

/// Tables of the file with defaults of one command only, and the commands that use each.
pub const TABLES: [(&str, &[&str]); 2] = [("run", RUNS), ("gate", GATE)];
