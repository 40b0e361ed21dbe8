//! pgbench scripts: the statements become one transaction, random numbers become draws.
//!
//! `\set` and a pipeline over the whole script have a counterpart in a scenario; other commands have none and are refused
//! with their line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::expression::{Value, evaluate, unknown};
use super::requests::head;
use super::{Context, Import, ImportError, quoted};
use photofinish_workloads::data::DrawSpec;
use photofinish_workloads::workloads::sql::Text;

/// Names with another meaning in a scenario.
const BUILT_IN: [&str; 5] = ["op", "session", "round", "run", "uuid"];

const TARGET: &str = "db=postgres://USER@127.0.0.1/DATABASE";

/// Reads a script.
pub(super) fn import(text: &str, context: &Context<'_>) -> Result<Import, ImportError> {
    let mut script = Script::new(context.scale.unwrap_or(1));
    let (mut rest, mut line) = (text.trim_start_matches('\u{feff}'), 1);
    loop {
        let blank = rest.len() - rest.trim_start().len();
        line += lines(&rest[..blank]);
        rest = &rest[blank..];
        if rest.is_empty() {
            break;
        }
        let (taken, read) = if rest.starts_with("--") {
            (end_of_line(rest), Ok(()))
        } else if rest.starts_with("\\;") {
            script.joins_next = true;
            (2, Ok(()))
        } else if rest.starts_with('\\') {
            let taken = end_of_command(rest);
            (taken, script.command(&rest[1..taken]))
        } else {
            let taken = Text::end_of_statement(rest);
            let statement = rest[..taken].trim_end();
            let is_end = rest[taken..].starts_with(';');
            (taken + usize::from(is_end), script.statement(statement))
        };
        read.map_err(|error| ImportError {
            message: format!("line {line}: {}", error.message),
            ..error
        })?;
        line += lines(&rest[..taken]);
        rest = &rest[taken..];
    }
    if context.scale.is_none() && script.used.contains("scale") {
        let note = "`:scale` was assumed to be 1; use `--scale N` for a database made by `pgbench -i -s N`.";
        script.notes.push(note.to_owned());
    }
    script.write()
}

fn lines(text: &str) -> usize {
    text.matches('\n').count()
}

fn end_of_line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// End of a command, which a trailing backslash continues on the next line.
fn end_of_command(text: &str) -> usize {
    let mut end = end_of_line(text);
    while text[..end].trim_end_matches('\r').ends_with('\\') && end < text.len() {
        end += 1 + end_of_line(&text[end + 1..]);
    }
    end
}

/// The part of a script read so far.
struct Script {
    variables: BTreeMap<String, Value>,
    /// Draws by name, as used in statements.
    draws: BTreeMap<String, String>,
    /// Variables used in statements.
    used: BTreeSet<String>,
    statements: Vec<String>,
    /// Number of statements before the start and before the end of the pipeline.
    pipeline: (Option<usize>, Option<usize>),
    /// Number of statements sent in one message with the one before, by `\;`.
    joined: usize,
    /// True after `\;`.
    joins_next: bool,
    notes: Vec<String>,
}

impl Script {
    fn new(scale: u32) -> Self {
        Self {
            variables: [("scale".to_owned(), Value::Integer(scale.into()))].into(),
            draws: BTreeMap::new(),
            used: BTreeSet::new(),
            statements: Vec::new(),
            pipeline: (None, None),
            joined: 0,
            joins_next: false,
            notes: Vec::new(),
        }
    }

    /// Reads a command, without its backslash.
    fn command(&mut self, text: &str) -> Result<(), ImportError> {
        let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
        let (name, rest) = text
            .trim_end()
            .split_once(char::is_whitespace)
            .unwrap_or((text.trim_end(), ""));
        let count = self.statements.len();
        match (name, self.pipeline) {
            ("set", _) => self.set(rest.trim()),
            ("startpipeline", (None, _)) => {
                self.pipeline.0 = Some(count);
                Ok(())
            }
            ("endpipeline", (Some(_), None)) => {
                self.pipeline.1 = Some(count);
                Ok(())
            }
            ("startpipeline" | "endpipeline", _) => Err(ImportError::new(format!(
                "expected one pipeline with a start and an end, got an extra `\\{name}`"
            ))),
            ("sleep", _) => Err(unsupported(
                name,
                "remove it; `--rate N` spaces transactions out",
            )),
            ("gset" | "aset", _) => Err(unsupported(
                name,
                "draw the value, or combine both in one statement: `UPDATE … FROM (SELECT …)`",
            )),
            ("if" | "elif" | "else" | "endif", _) => Err(unsupported(
                name,
                "import each branch as a separate script, and combine the transactions in one file with `weight`",
            )),
            ("shell" | "setshell", _) => Err(unsupported(
                name,
                "run the program beforehand, and read its output as a feed",
            )),
            _ => Err(unsupported(name, "remove the line")),
        }
    }

    /// `\set NAME EXPRESSION`.
    fn set(&mut self, text: &str) -> Result<(), ImportError> {
        let (name, expression) = text.split_once(char::is_whitespace).ok_or_else(|| {
            ImportError::new(format!(
                "expected `\\set NAME EXPRESSION`, got `\\set {text}`"
            ))
        })?;
        for variable in self.variables.keys() {
            if expression.contains(&format!(":{variable}")) {
                self.used.insert(variable.clone());
            }
        }
        let value = match evaluate(expression, &self.variables)? {
            Value::Draw(draw) => Value::Drawn(self.declare(name, &draw_text(&draw))),
            value => value,
        };
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }

    /// Adds a draw under an unused name.
    fn declare(&mut self, name: &str, text: &str) -> String {
        let mut own = name.to_owned();
        let mut number = 1;
        while BUILT_IN.contains(&&*own) || self.draws.contains_key(&own) {
            number += 1;
            own = format!("{name}_{number}");
        }
        self.draws.insert(own.clone(), text.to_owned());
        own
    }

    fn statement(&mut self, sql: &str) -> Result<(), ImportError> {
        let plain = Text::without_comments(sql);
        if plain.is_empty() {
            return Ok(());
        }
        let quoted = Text::parse(&plain).map_err(ImportError::new)?.literals;
        for name in self.variables.keys() {
            if quoted.iter().any(|literal| has_name(literal, name)) {
                return Err(ImportError::new(format!(
                    "expected `:{name}` outside of quotes, where a scenario cannot insert a value"
                ))
                .hint(format!("write `'…' || :{name}`")));
            }
        }
        let text = Text::parse(sql).map_err(ImportError::new)?;
        let mut literals = text.literals.iter();
        let mut statement = literals.next().cloned().unwrap_or_default();
        for (name, literal) in text.names.iter().zip(literals) {
            let drawn = self.value(name)?;
            let _ = write!(statement, ":{drawn}{literal}");
        }
        let continues = std::mem::take(&mut self.joins_next) && !self.statements.is_empty();
        self.joined += usize::from(continues);
        self.statements.push(statement.trim_end().to_owned());
        Ok(())
    }

    /// The scenario's name for a variable used in a statement.
    fn value(&mut self, name: &str) -> Result<String, ImportError> {
        self.used.insert(name.to_owned());
        let constant = match self.variables.get(name) {
            Some(Value::Drawn(drawn)) => return Ok(drawn.clone()),
            Some(Value::Integer(integer)) => integer.to_string(),
            Some(Value::Double(double)) => format!("{double:?}"),
            Some(Value::Draw(_)) => unreachable!("draws are declared when set"),
            None if name == "client_id" => return Ok("session".to_owned()),
            None => return Err(unknown(name)),
        };
        let drawn = self.declare(name, &format!("{{ choice = [{constant}] }}"));
        let known = Value::Drawn(drawn.clone());
        self.variables.insert(name.to_owned(), known);
        Ok(drawn)
    }

    /// True if all statements are sent at once: a pipeline, or one message of statements joined by `\;`, which the server
    /// runs in one transaction as well.
    fn is_pipeline(&self) -> Result<bool, ImportError> {
        match (self.pipeline, self.joined) {
            ((None, _), 0) => Ok(false),
            ((None, _), joined) if joined + 1 == self.statements.len() => Ok(true),
            (_, 1..) => Err(ImportError::new(
                "expected `;` between statements, got `\\;`, which sends some of them in one message",
            )
            .hint("write `;`, or join all statements of the script with `\\;`")),
            ((Some(0), Some(end)), 0) if end == self.statements.len() => Ok(true),
            _ => Err(ImportError::new(
                "expected a pipeline from the first statement to the last",
            )
            .hint(
                "remove `\\startpipeline` and `\\endpipeline`, or put all statements between them",
            )),
        }
    }

    fn write(mut self) -> Result<Import, ImportError> {
        let pipeline = self.is_pipeline()?;
        if self.statements.is_empty() {
            return Err(ImportError::new("expected a statement, got none"));
        }
        let is_control = |sql: &String| {
            let verb = Text::parse(sql).map(|text| text.verb()).unwrap_or_default();
            [
                "BEGIN",
                "START",
                "COMMIT",
                "END",
                "ROLLBACK",
                "ABORT",
                "SAVEPOINT",
                "RELEASE",
            ]
            .contains(&&*verb)
        };
        let controls = self.statements.iter().filter(|sql| is_control(sql)).count();
        let is_one_of = |sql: &String, words: &[&str]| {
            let sql = Text::without_comments(sql);
            words.iter().any(|word| sql.eq_ignore_ascii_case(word))
        };
        let is_whole = self.statements.len() > if pipeline { 2 } else { 3 }
            && is_one_of(&self.statements[0], &["begin"])
            && self
                .statements
                .last()
                .is_some_and(|last| is_one_of(last, &["end", "commit"]));
        let mut keys = String::new();
        match controls {
            // The workload sends BEGIN and COMMIT itself.
            2 if is_whole => {
                self.statements.pop();
                self.statements.remove(0);
            }
            0 if self.statements.len() > 1 && !pipeline => keys += "transaction = false\n",
            _ => {}
        }
        if pipeline {
            keys += "pipeline = true\n";
        }
        self.notes.push(
            "Statements are prepared, as with `pgbench -M prepared`; `[sql] protocol = \"simple\"` is pgbench's default."
                .to_owned(),
        );
        let mut text = String::new();
        if !self.draws.is_empty() {
            text += "\n[draw]\n";
        }
        for (name, draw) in &self.draws {
            let _ = writeln!(text, "{name} = {draw}");
        }
        text += "\n[[transaction]]\nstatements = [\n";
        for statement in &self.statements {
            let _ = writeln!(text, "  {},", quoted(statement));
        }
        let _ = writeln!(text, "]\n{keys}");
        text.truncate(text.trim_end().len() + 1);
        Ok(Import {
            scenario: head("pgbench", TARGET, std::iter::empty(), &self.notes) + &text,
            target: TARGET.to_owned(),
            notes: self.notes,
            ..Import::default()
        })
    }
}

fn unsupported(name: &str, hint: &str) -> ImportError {
    ImportError::new(format!(
        "expected `\\set` or a pipeline, got `\\{name}`, which no scenario can express"
    ))
    .hint(hint)
}

/// True if a text contains `:name`, not preceded by another colon.
fn has_name(text: &str, name: &str) -> bool {
    let value = format!(":{name}");
    text.match_indices(&value).any(|(at, _)| {
        let goes_on =
            text[at + value.len()..].starts_with(|it: char| it.is_alphanumeric() || it == '_');
        !goes_on && !text[..at].ends_with(':')
    })
}

/// A number draw as TOML.
fn draw_text(draw: &DrawSpec) -> String {
    let fields = serde_json::to_value(draw).expect("plain data");
    let order = [
        "distribution",
        "from",
        "to",
        "exponent",
        "parameter",
        "scatter",
    ];
    let fields = order
        .iter()
        .filter_map(|name| Some(format!("{name} = {}", fields.get(name)?)));
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{context, without_comments};
    use super::*;

    proptest! {
        #[test]
        fn no_script_causes_a_panic_or_loses_a_statement(
            text in r"(\\set [a-c] |random\(1, |SELECT|[:;'\\\\$E\n(){}\[\]/*\-0-9, é]|:a){0,30}",
        ) {
            let _ = import(&text, &context());
            let script = format!("SELECT 1;{};SELECT 2", text.replace(['\'', '"', '\\', '$', '/', '-', 'E'], ""));
            if let Ok(imported) = import(&script, &context()) {
                let whole: toml::Table = toml::from_str(&imported.scenario).expect("TOML");
                let statements = whole["transaction"][0]["statements"].as_array().expect("a list");
                let count = script.split(';').filter(|statement| !statement.trim().is_empty()).count();
                prop_assert_eq!(statements.len(), count, "{}", script);
            }
        }
    }

    fn scenario(script: &str) -> String {
        without_comments(&import(script, &context()).expect(script).scenario)
    }

    #[test]
    fn random_numbers_become_draws_and_statements_one_transaction() {
        let script = "-- a comment\n\\set aid random(1, 100000 * :scale)\n\\set n 3\n\\set delta \\\n  random_gaussian(-9, 9, 2.5)\n\
            BEGIN;\nUPDATE a SET b = b + :delta\n  WHERE id = :aid; SELECT :n, ';' ;\n\\set aid random(5, 6)\nINSERT INTO h VALUES (:aid, :client_id);\nEND;\n";
        assert_eq!(
            scenario(script),
            r#"
[draw]
aid = { from = 1, to = 100000 }
aid_2 = { from = 5, to = 6 }
delta = { distribution = "gaussian", from = -9, to = 9, parameter = 2.5 }
n = { choice = [3] }

[[transaction]]
statements = [
  """
UPDATE a SET b = b + :delta
  WHERE id = :aid""",
  "SELECT :n, ';'",
  "INSERT INTO h VALUES (:aid_2, :session)",
]
"#
        );
        assert_eq!(
            scenario("\u{feff}SELECT 1;\r\n"),
            "\n[[transaction]]\nstatements = [\n  \"SELECT 1\",\n]\n"
        );
        assert_eq!(
            scenario("\\set round random(1, 2)\nSELECT :round; SELECT 2"),
            "\n[draw]\nround_2 = { from = 1, to = 2 }\n\n[[transaction]]\nstatements = [\n  \"SELECT :round_2\",\n  \"SELECT 2\",\n]\ntransaction = false\n"
        );
        assert_eq!(
            scenario("\\startpipeline\nBEGIN;\nSELECT 1;\nSELECT 2;\nCOMMIT;\n\\endpipeline\n"),
            "\n[[transaction]]\nstatements = [\n  \"SELECT 1\",\n  \"SELECT 2\",\n]\npipeline = true\n"
        );
    }

    #[test]
    fn comments_and_joined_statements_are_understood() {
        let one = "\n[[transaction]]\nstatements = [\n  \"SELECT 1\",\n  \"SELECT 2\",\n]\n";
        let pipeline = format!("{one}pipeline = true\n");
        let apart = format!("{one}transaction = false\n");
        for (script, expected) in [
            (
                "/* a; */ -- b\nBEGIN /* c */; SELECT 1; SELECT 2; /* d */ END -- e\n; /* f */",
                one,
            ),
            ("SELECT 1\\; SELECT 2;", &pipeline),
            ("BEGIN\\;\nSELECT 1 \\;\\; SELECT 2\\; COMMIT\\;", &pipeline),
            ("SELECT 1; -- \\; :scale\nSELECT 2", &apart),
        ] {
            assert_eq!(scenario(script), expected, "{script}");
        }
        let commented = "SELECT 1 -- not :scale\n, 2 /*+ :scale */";
        assert_eq!(
            scenario(commented),
            "\n[[transaction]]\nstatements = [\n  \"\"\"\nSELECT 1 -- not :scale\n, 2 /*+ :scale */\"\"\",\n]\n"
        );
    }

    #[test]
    fn commands_that_a_scenario_cannot_express_are_refused_with_their_line() {
        for (script, expected) in [
            (
                "SELECT 1;\n\n\\sleep 10 ms",
                "line 3: expected `\\set` or a pipeline, got `\\sleep`",
            ),
            (
                "SELECT 1 AS x \\gset",
                "line 1: expected `\\set` or a pipeline, got `\\gset`",
            ),
            ("\\if :scale\n", "got `\\if`"),
            ("\\shell ls", "got `\\shell`"),
            (
                "SELECT\n 1;\n\\set x :y + 1",
                "line 3: expected a variable set earlier, got `:y`",
            ),
            (
                "\\set a random(1, 2)\n\\set b :a * 2",
                "line 2: expected no arithmetic",
            ),
            ("\\set x", "line 1: expected `\\set NAME EXPRESSION`"),
            (
                "\\set a 1\nSELECT ':a'",
                "line 2: expected `:a` outside of quotes",
            ),
            ("SELECT :nothing", "line 1: expected a variable set earlier"),
            (
                "SELECT 1;\n\\startpipeline\nSELECT 2;\n\\endpipeline",
                "expected a pipeline from the first",
            ),
            (
                "SELECT 1\\; SELECT 2; SELECT 3",
                "expected `;` between statements, got `\\;`",
            ),
            (
                "\\startpipeline\nSELECT 1\\; SELECT 2;\n\\endpipeline",
                "got `\\;`",
            ),
            ("/* nothing */ -- at all", "expected a statement, got none"),
            (";;\n", "expected a statement, got none"),
            ("\\set a 1\n", "expected a statement, got none"),
        ] {
            let error = import(script, &context()).expect_err(script);
            assert!(error.message.contains(expected), "{script}: {error}");
        }
    }
}
