//! From the text of a statement to what is to be done for it, remembered per text.
//!
//! Statements that run over and over (a prepared SELECT by key) are parsed and translated once for all sessions that
//! mean the same by their names; the plan says for which version of the definitions it holds. What a plan does is
//! carried out in `session.rs` and `engine.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sqlparser::ast::{
    CloseCursor, DiscardObject, Expr, Query, Reset, SelectItem, Set, SetExpr, Statement,
    TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::error::{SqlError, SqlResult};
use super::schema::{Schema, fold};
use super::settings::shown_name;
use super::translate::{Names, Output, Translated, change_of, translate};
use super::types::{PgType, Scalar};

/// Operators in a row; a longer chain makes a tree too deep to walk and to drop.
const LONGEST_CHAIN: usize = 2_000;

/// Plans kept per generation.
const GENERATION: usize = 2_000;

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
    /// Whether all statements must see one state; `None` leaves the default.
    pub(crate) strict: Option<bool>,
    pub(crate) read_only: Option<bool>,
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
                ) =>
            {
                ()
            }
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

/// What concerns the session and its transaction, and needs no definitions.
fn session_action(statement: &Statement) -> SqlResult<Option<Action>> {
    Ok(Some(match statement {
        Statement::StartTransaction { modes, .. } => Action::Begin(modes_of(modes)),
        Statement::Commit { chain, .. } => Action::Commit { chain: *chain },
        Statement::Rollback {
            chain,
            savepoint: None,
        } => Action::Rollback { chain: *chain },
        Statement::Rollback {
            savepoint: Some(name),
            ..
        } => Action::RollbackTo(fold(name)),
        Statement::Savepoint { name } => Action::Savepoint(fold(name)),
        Statement::ReleaseSavepoint { name } => Action::Release(fold(name)),
        Statement::Set(set) => set_action(set)?,
        Statement::ShowVariable { variable } => {
            let words: Vec<String> = variable
                .iter()
                .map(|word| word.value.to_lowercase())
                .collect();
            Action::Show(
                words.join(
                    if words
                        .first()
                        .is_some_and(|word| word == "time" || word == "transaction")
                    {
                        " "
                    } else {
                        "."
                    },
                ),
            )
        }
        Statement::Reset(reset) => match &reset.reset {
            Reset::ALL => Action::Reset(None),
            Reset::ConfigurationParameter(name) => Action::Reset(Some(name.to_string())),
            Reset::SessionAuthorization => Action::Nothing("RESET"),
        },
        Statement::Discard {
            object_type: DiscardObject::ALL,
        } => Action::DiscardAll,
        Statement::Discard {
            object_type: DiscardObject::PLANS,
        } => Action::Deallocate(None),
        Statement::Deallocate { name, .. } if fold(name) == "all" => Action::Deallocate(None),
        Statement::Deallocate { name, .. } => Action::Deallocate(Some(fold(name))),
        Statement::Prepare {
            name,
            data_types,
            statement,
        } => {
            let types: SqlResult<Vec<_>> = data_types
                .iter()
                .map(|ty| Ok(Some(super::types::declared(ty)?.ty)))
                .collect();
            Action::Prepare {
                name: fold(name),
                statement: Arc::new(Statement::clone(statement)),
                types: types?,
            }
        }
        Statement::Execute {
            name: Some(name),
            parameters,
            ..
        } => Action::Execute {
            name: super::schema::qualified(name)?.name,
            arguments: parameters.clone(),
        },
        Statement::Lock(_) => Action::Lock,
        // Nothing is cached on disk or counted here, so there is nothing to clean.
        Statement::Vacuum(_) => Action::Nothing("VACUUM"),
        Statement::Analyze(_) => Action::Nothing("ANALYZE"),
        Statement::UNLISTEN { .. } => Action::Nothing("UNLISTEN"),
        Statement::Close {
            cursor: CloseCursor::All,
        } => Action::Nothing("CLOSE CURSOR ALL"),
        Statement::Query(query) => match sleep_of(query) {
            Some(seconds) => Action::Sleep(seconds),
            None => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

fn modes_of(modes: &[TransactionMode]) -> Modes {
    let mut said = Modes::default();
    for mode in modes {
        match mode {
            TransactionMode::AccessMode(access) => {
                said.read_only = Some(*access == TransactionAccessMode::ReadOnly)
            }
            TransactionMode::IsolationLevel(level) => {
                use TransactionIsolationLevel::{ReadCommitted, ReadUncommitted};
                said.strict = Some(!matches!(level, ReadCommitted | ReadUncommitted));
            }
        }
    }
    said
}

fn set_action(set: &Set) -> SqlResult<Action> {
    use sqlparser::ast::ContextModifier::Local;
    Ok(match set {
        Set::SingleAssignment {
            scope,
            variable,
            values,
            ..
        } => {
            let local = matches!(scope, Some(Local));
            Action::Set {
                local,
                name: variable.to_string().replace('"', ""),
                value: setting_value(values),
            }
        }
        Set::SetTimeZone { local, value } => Action::Set {
            local: *local,
            name: "timezone".into(),
            value: setting_value(std::slice::from_ref(value)),
        },
        Set::SetNames { charset_name, .. } => Action::Set {
            local: false,
            name: "client_encoding".into(),
            value: Some(charset_name.value.clone()),
        },
        Set::SetNamesDefault {} => Action::Set {
            local: false,
            name: "client_encoding".into(),
            value: None,
        },
        Set::SetTransaction { modes, session, .. } => match session {
            true => {
                let level = if modes_of(modes).strict == Some(true) {
                    "serializable"
                } else {
                    "read committed"
                };
                Action::Set {
                    local: false,
                    name: "default_transaction_isolation".into(),
                    value: Some(level.into()),
                }
            }
            false => Action::SetTransaction(modes_of(modes)),
        },
        Set::SetRole {
            role_name: None, ..
        } => Action::Nothing("SET"),
        other => {
            return Err(SqlError::unsupported(super::translate::first_words(
                &other.to_string(),
            )));
        }
    })
}

/// The text of a setting; words, texts and numbers are all texts here. `None` for DEFAULT.
fn setting_value(values: &[Expr]) -> Option<String> {
    let word = |expr: &Expr| match expr {
        Expr::Value(value) => value
            .value
            .clone()
            .into_string()
            .unwrap_or_else(|| value.value.to_string()),
        Expr::Identifier(ident) => ident.value.clone(),
        other => other.to_string(),
    };
    let words: Vec<String> = values.iter().map(word).collect();
    match words.as_slice() {
        [only] if only.eq_ignore_ascii_case("default") => None,
        _ => Some(words.join(", ")),
    }
}

/// `SELECT pg_sleep(n)` and nothing else: it must not hold up the thread, which serves all sessions.
fn sleep_of(query: &Query) -> Option<f64> {
    use sqlparser::ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [SelectItem::UnnamedExpr(Expr::Function(function))] = select.projection.as_slice() else {
        return None;
    };
    let name = super::schema::fold_parts(&function.name).ok()?.pop()?;
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))]
            if name == "pg_sleep" && select.from.is_empty() =>
        {
            value
                .value
                .to_string()
                .trim_matches('\'')
                .parse()
                .ok()
                .filter(|seconds| (0.0..86_400.0).contains(seconds))
        }
        _ => None,
    }
}

/// One way a text was planned.
#[derive(Debug)]
struct Entry {
    names: Arc<Names>,
    declared: Vec<Option<PgType>>,
    plan: Arc<Plan>,
}

/// Plans by text, in two generations: what is not used for a whole generation is forgotten.
#[derive(Debug, Default)]
pub(crate) struct PlanCache {
    young: HashMap<String, Vec<Entry>>,
    old: HashMap<String, Vec<Entry>>,
}

impl PlanCache {
    /// The plan of a text, if it still holds.
    pub(crate) fn get(
        &mut self,
        sql: &str,
        schema: &Schema,
        names: &Arc<Names>,
        declared: &[Option<PgType>],
    ) -> Option<Arc<Plan>> {
        if !self.young.contains_key(sql)
            && let Some((sql, entries)) = self.old.remove_entry(sql)
        {
            self.keep_small();
            self.young.insert(sql, entries);
        }
        let entries = self.young.get(sql)?;
        let same = |entry: &&Entry| {
            (Arc::ptr_eq(&entry.names, names) || entry.names == *names)
                && entry.declared == declared
        };
        entries
            .iter()
            .find(same)
            .map(|entry| &entry.plan)
            .filter(|plan| plan.holds_for(schema))
            .cloned()
    }

    pub(crate) fn put(
        &mut self,
        sql: &str,
        names: Arc<Names>,
        declared: Vec<Option<PgType>>,
        plan: Arc<Plan>,
    ) {
        self.keep_small();
        let entries = self.young.entry(sql.to_owned()).or_default();
        entries.retain(|entry| entry.names != names || entry.declared != declared);
        entries.push(Entry {
            names,
            declared,
            plan,
        });
    }

    fn keep_small(&mut self) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }
}
