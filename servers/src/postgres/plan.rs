//! From the text of a statement to what is to be done for it, remembered per text.
//!
//! Statements that run over and over (a prepared SELECT by key) are parsed and translated once for all sessions that
//! mean the same by their names; the plan says for which version of the definitions it holds. What a plan does is
//! carried out in `session.rs` and `engine.rs`.

mod cache;
mod commands;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::error::{SqlError, SqlResult};
use super::schema::Schema;
use super::settings::shown_name;
use super::translate::{Names, Output, Translated, change_of, translate};
use super::types::{PgType, Scalar};
pub(crate) use cache::PlanCache;
use commands::session_action;

/// Operators in a row; a longer chain makes a tree too deep to walk and to drop.
const LONGEST_CHAIN: usize = 2_000;

/// What is to be done for a statement.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) action: Action,
    pub(crate) parameters: Vec<PgType>,
    pub(crate) outputs: Arc<[Output]>,
    /// What it was made of, to make it anew when definitions have changed.
    origin: Arc<Statement>,
    declared: Vec<Option<PgType>>,
    /// The version of the definitions it was made for.
    version: u64,
    /// How often it was run, up to a few: what runs again is worth keeping prepared in the engine.
    runs: AtomicU32,
}

/// The kinds of things a statement can ask for.
#[derive(Debug)]
pub(crate) enum Action {
    /// Runs in the engine.
    Run(Run),
    /// Changes definitions, as the statement says.
    Define,
    Begin(Modes),
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    SetTransaction(Modes),
    /// `None` asks for the default.
    Set {
        local: bool,
        name: String,
        value: Option<String>,
    },
    Show(String),
    Reset(Option<String>),
    DiscardAll,
    /// `None` is all.
    Deallocate(Option<String>),
    Prepare {
        name: String,
        statement: Arc<Statement>,
        types: Vec<Option<PgType>>,
    },
    Execute {
        name: String,
        arguments: Vec<Expr>,
    },
    /// Waits, in seconds.
    Sleep(f64),
    /// LOCK TABLE: other transactions wait for the end of this one.
    Lock,
    /// Shows how the engine would run a statement.
    Explain(String),
    /// Is done by doing nothing; the command tag.
    Nothing(&'static str),
}

/// A statement of the engine.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) sql: String,
    /// The word of the command tag.
    pub(crate) tag: &'static str,
    pub(crate) is_change: bool,
    pub(crate) takes_lease: bool,
    pub(crate) reads_catalog: bool,
}

/// What BEGIN and SET TRANSACTION can say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    /// The isolation level; `None` leaves the default.
    pub(crate) level: Option<&'static str>,
    pub(crate) read_only: Option<bool>,
}

impl Modes {
    /// Whether all statements must see one state; `None` leaves the default.
    pub(crate) fn strict(self) -> Option<bool> {
        self.level.map(is_strict)
    }
}

/// Whether all statements of a transaction at this level must see one state.
pub(crate) fn is_strict(level: &str) -> bool {
    !matches!(level, "read committed" | "read uncommitted")
}

impl Plan {
    /// Whether the plan still holds. What depends on no definition always does.
    pub(crate) fn holds_for(&self, schema: &Schema) -> bool {
        !matches!(self.action, Action::Run(_) | Action::Explain(_))
            || self.version == schema.version
    }

    /// The plan for the definitions as they are now; its result must have kept its columns.
    pub(crate) fn renewed(&self, schema: &Schema, names: &Names) -> SqlResult<Plan> {
        let renewed = plan(self.origin.clone(), schema, names, self.declared.clone())?;
        let shape = |plan: &Plan| {
            plan.outputs
                .iter()
                .map(|output| (output.name.clone(), output.ty))
                .collect::<Vec<_>>()
        };
        if shape(&renewed) != shape(self) {
            return Err(SqlError::new(
                "0A000",
                "cached plan must not change result type",
            ));
        }
        Ok(renewed)
    }

    /// Counts a run, and says whether there was one before.
    pub(crate) fn ran_before(&self) -> bool {
        self.runs.load(Relaxed) > 0 || self.runs.fetch_add(1, Relaxed) > 0
    }

    /// The statement it was made of.
    pub(crate) fn statement(&self) -> &Statement {
        &self.origin
    }

    /// Whether it may run although the transaction has failed.
    pub(crate) fn ends_failure(&self) -> bool {
        matches!(
            self.action,
            Action::Commit { .. } | Action::Rollback { .. } | Action::RollbackTo(_)
        )
    }

    /// Whether it gives rows, and so has to be described by its columns.
    pub(crate) fn returns_rows(&self) -> bool {
        !self.outputs.is_empty() || matches!(&self.action, Action::Run(run) if !run.is_change)
    }
}

/// The statements of a text.
pub(crate) fn parse(sql: &str) -> SqlResult<Vec<Statement>> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| SqlError::new("42601", format!("syntax error: {error}")))?;
    refuse_long_chains(&tokens)?;
    let parsed = Parser::new(&dialect)
        .with_tokens_with_locations(tokens)
        .parse_statements();
    parsed.map_err(|error| match error {
        ParserError::RecursionLimitExceeded => {
            SqlError::new("54001", "the statement nests too deeply")
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            syntax_error(&message)
        }
    })
}

fn syntax_error(message: &str) -> SqlError {
    let found = message.rsplit_once("found: ").map(|(_, found)| found);
    match found.map(|found| found.split(" at Line").next().unwrap_or(found)) {
        Some("EOF") => SqlError::new("42601", "syntax error at end of input"),
        Some(found) => SqlError::new(
            "42601",
            format!("syntax error at or near \"{found}\" ({message})"),
        ),
        None => SqlError::new("42601", format!("syntax error: {message}")),
    }
}

fn refuse_long_chains(tokens: &[TokenWithSpan]) -> SqlResult<()> {
    let mut chains = vec![0usize];
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => chains.push(0),
            Token::RParen | Token::RBracket if chains.len() > 1 => {
                chains.pop();
            }
            Token::Comma | Token::SemiColon => *last(&mut chains) = 0,
            Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_) => (),
            Token::Word(word)
                if !matches!(
                    word.keyword,
                    Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::UNION
                ) => {}
            _ => *last(&mut chains) += 1,
        }
        if *last(&mut chains) > LONGEST_CHAIN {
            return Err(SqlError::new(
                "54001",
                "the statement has too many operators in a row",
            ));
        }
    }
    Ok(())
}

fn last(chains: &mut [usize]) -> &mut usize {
    let end = chains.len() - 1;
    &mut chains[end]
}

/// What is to be done for `origin`.
pub(crate) fn plan(
    origin: Arc<Statement>,
    schema: &Schema,
    names: &Names,
    declared: Vec<Option<PgType>>,
) -> SqlResult<Plan> {
    let statement = origin.as_ref();
    let (action, parameters, outputs) = match session_action(statement)? {
        Some(action) => {
            let outputs = outputs_of(&action);
            (action, Vec::new(), outputs)
        }
        None => engine_action(statement, schema, names, &declared)?,
    };
    Ok(Plan {
        action,
        parameters,
        outputs: outputs.into(),
        origin,
        declared,
        version: schema.version,
        runs: AtomicU32::new(0),
    })
}

fn text_output(name: &str, ty: PgType) -> Output {
    Output {
        name: name.to_owned(),
        ty,
        modifier: -1,
        origin: None,
        not_null: true,
    }
}

fn outputs_of(action: &Action) -> Vec<Output> {
    match action {
        Action::Show(name) if name == "all" => ["name", "setting", "description"]
            .map(|name| text_output(name, PgType::TEXT))
            .into(),
        Action::Show(name) => vec![text_output(shown_name(name), PgType::TEXT)],
        Action::Sleep(_) => vec![text_output("pg_sleep", Scalar::Void.into())],
        _ => Vec::new(),
    }
}

type Made = (Action, Vec<PgType>, Vec<Output>);

fn engine_action(
    statement: &Statement,
    schema: &Schema,
    names: &Names,
    declared: &[Option<PgType>],
) -> SqlResult<Made> {
    match statement {
        Statement::Query(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_) => {
            let Translated {
                sql,
                parameters,
                outputs,
                takes_lease,
                reads_catalog,
            } = translate(statement, schema, names, declared)?;
            let change = change_of(statement);
            let run = Run {
                sql,
                tag: change.unwrap_or("SELECT"),
                is_change: change.is_some(),
                takes_lease,
                reads_catalog,
            };
            Ok((Action::Run(run), parameters, outputs))
        }
        Statement::Explain {
            statement,
            analyze: false,
            ..
        } => {
            let translated = translate(statement, schema, names, declared)?;
            let outputs = vec![text_output("QUERY PLAN", PgType::TEXT)];
            Ok((
                Action::Explain(translated.sql),
                translated.parameters,
                outputs,
            ))
        }
        _ => Ok((Action::Define, Vec::new(), Vec::new())),
    }
}
