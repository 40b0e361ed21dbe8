//! `photofinish import`: a scenario from the requests of another tool.

use std::fs;
use std::io::Read as _;
use std::iter;
use std::path::{Component, Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use photofinish_scenarios::import::{self, Context, FORMATS, Format, Import, ImportError, Input};

use super::init;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::next_steps::quoted;
use crate::store::{files, outputs, redaction};

/// Longest input, in bytes.
const LONGEST: u64 = 1 << 28;

/// Write a scenario from a curl command, or from the requests or transactions of another tool
///
/// Credentials become environment variables. Unknown options and commands are errors; comments in the scenario list whatever
/// was left out.
#[derive(Args)]
#[command(name = "import", after_help = EXAMPLES)]
pub struct ImportCommand {
    /// Format of the source
    #[arg(value_name = "FORMAT", value_parser = PossibleValuesParser::new(FORMATS.iter().map(|format| format.name)))]
    format: String,

    /// A curl command, quoted or not, or a file; `-` is stdin
    #[arg(value_name = "SOURCE", required = true, num_args = 1.., allow_hyphen_values = true)]
    source: Vec<String>,

    /// Write to FILE instead of stdout
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,

    /// Scale of pgbench's tables, for `:scale`
    #[arg(long, value_name = "N")]
    scale: Option<u32>,

    /// Replace FILE if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  photofinish import curl 'http://127.0.0.1:8080/items?id=7' \\
      -H 'Authorization: Bearer …' --out items.toml
  photofinish import har shop.har --out shop.toml
  photofinish import pgbench bank.sql --scale 10 --out bank.toml
  xclip -o | photofinish import curl -";

impl ImportCommand {
    pub fn execute(mut self) -> Result<Exit, Failure> {
        self.take_own_options()?;
        if let Some(out) = &self.out {
            init::check_name(out)?;
        }
        let format = FORMATS.iter().find(|format| format.name == self.format);
        let format = format.expect("clap accepts only these");
        let imported = self.import(format)?;
        let Some(out) = &self.out else {
            if let Some(body) = imported.bodies.first() {
                return Err(Failure::usage(format!(
                    "a binary body needs a file of its own, `{}`",
                    body.name
                ))
                .hint("add --out FILE.toml: such files are written beside it"));
            }
            output::emit(imported.scenario.as_bytes())?;
            output::advise(&next_steps(&imported, "FILE.toml"));
            return Ok(Exit::Done);
        };
        self.check_new(out)?;
        let directory = out.parent().unwrap_or(Path::new(""));
        for body in &imported.bodies {
            let path = directory.join(&body.name);
            self.check_new(&path)?;
            files::write_user_file(&path, &body.bytes)?;
        }
        files::write_user_file(out, imported.scenario.as_bytes())?;
        let notes = imported.notes.iter().map(|note| format!("{note}\n"));
        let steps = next_steps(&imported, &out.display().to_string());
        output::advise(&format!(
            "{}Wrote {}. {steps}",
            String::from_iter(notes),
            out.display()
        ));
        Ok(Exit::Done)
    }

    /// Takes this command's options out of the source, in which clap leaves all that begins with a dash; curl has none of
    /// these names.
    fn take_own_options(&mut self) -> Result<(), Failure> {
        let mut words = std::mem::take(&mut self.source).into_iter();
        while let Some(word) = words.next() {
            match (word.as_str(), word.strip_prefix("--out=")) {
                ("--force", _) => self.force = true,
                ("--out", _) => {
                    let missing = || {
                        Failure::usage("expected a file after `--out`")
                            .hint("such as --out mine.toml")
                    };
                    self.out = Some(words.next().ok_or_else(missing)?.into());
                }
                (_, Some(out)) => self.out = Some(out.into()),
                ("--scale", _) if self.format == "pgbench" => {
                    let scale = words.next().and_then(|word| word.parse().ok());
                    let missing = || {
                        Failure::usage("expected a number after `--scale`")
                            .hint("such as --scale 10")
                    };
                    self.scale = Some(scale.ok_or_else(missing)?);
                }
                (_, None) => self.source.push(word),
            }
        }
        Ok(())
    }

    fn import(&self, format: &Format) -> Result<Import, Failure> {
        let context = Context {
            is_secret: &redaction::is_secret,
            read: &|file| read_file(file).map_err(|failure| failure.in_one_line()),
            path: &|file| self.path_from_scenario(file),
            scale: self.scale,
        };
        match format.input {
            Input::Words(read) => read(&self.words()?, &context),
            Input::Text(read) => read(&self.text()?, &context),
        }
        .map_err(failure)
    }

    /// The path of a file relative to the directory of the scenario. A scenario on stdout keeps it as it is.
    fn path_from_scenario(&self, file: &str) -> Result<String, ImportError> {
        let path = Path::new(file);
        let relative = match self.out.as_deref().and_then(Path::parent) {
            Some(directory) => relative(path, directory),
            None => Some(path.to_owned()).filter(|path| path.is_relative()),
        };
        let relative = relative.and_then(|path| path.into_os_string().into_string().ok());
        relative.ok_or_else(|| {
            ImportError::new(format!(
                "expected a file below the scenario's directory, got `{file}`"
            ))
            .hint("add --out FILE.toml with the directory of this file, or copy the file")
        })
    }

    /// The words of a command: given by the shell, or to be found in one text.
    fn words(&self) -> Result<Vec<String>, Failure> {
        let text = match &self.source[..] {
            [only] if only == "-" => self.text()?,
            [only] if only.contains(char::is_whitespace) => only.clone(),
            _ => return Ok(self.source.clone()),
        };
        import::words(&text).map_err(failure)
    }

    fn text(&self) -> Result<String, Failure> {
        let file = match &self.source[..] {
            [file] => file,
            _ => {
                return Err(Failure::usage(format!(
                    "expected one file, got {}",
                    self.source.len()
                ))
                .hint("name the file to import, or - for stdin"));
            }
        };
        let bytes = if file == "-" {
            let mut bytes = Vec::new();
            let read = std::io::stdin().take(LONGEST).read_to_end(&mut bytes);
            read.map_err(|error| Failure::could_not_run("cannot read stdin").caused_by(error))?;
            bytes
        } else {
            read_file(file)?
        };
        String::from_utf8(bytes).map_err(|_| {
            Failure::usage(format!("expected UTF-8 in `{file}`")).hint("save it as UTF-8")
        })
    }

    fn check_new(&self, path: &Path) -> Result<(), Failure> {
        let is_new = self.force || fs::symlink_metadata(path).is_err();
        if !is_new {
            return Err(Failure::usage(format!("{} already exists", path.display()))
                .hint("nothing was written; choose another name, or add --force"));
        }
        Ok(())
    }
}

fn failure(error: ImportError) -> Failure {
    Failure::usage(error.message).maybe_hint(error.hint)
}

fn read_file(file: &str) -> Result<Vec<u8>, Failure> {
    let cannot =
        |error: std::io::Error| Failure::usage(format!("cannot read {file}")).caused_by(error);
    let metadata = fs::metadata(file).map_err(cannot)?;
    if metadata.is_file() && metadata.len() > LONGEST {
        return Err(
            Failure::usage(format!("expected at most 256 MiB in {file}"))
                .hint("import a part of it"),
        );
    }
    fs::read(file).map_err(cannot)
}

/// `file` as a path relative to `directory`; `None` for an absolute path elsewhere.
fn relative(file: &Path, directory: &Path) -> Option<PathBuf> {
    // An empty path is the current directory.
    let here = Path::new(".");
    let from = outputs::real(&here.join(directory));
    // The link rather than what it leads to.
    let to = outputs::real(&here.join(file.parent()?)).join(file.file_name()?);
    let shared = from.components().zip(to.components());
    let shared = shared.take_while(|(one, other)| one == other).count();
    let above = from.components().count() - shared;
    if file.is_absolute() && above > 0 {
        return None;
    }
    let up = iter::repeat_n(Component::ParentDir, above);
    Some(up.chain(to.components().skip(shared)).collect())
}

/// The commands to type next.
fn next_steps(imported: &Import, file: &str) -> String {
    let variables = imported
        .variables
        .iter()
        .map(|name| format!("  export {name}=…\n"));
    let variables: String = variables.collect();
    format!(
        "Next:\n{variables}  photofinish run {} --target {}",
        quoted(file),
        quoted(&imported.target)
    )
}
