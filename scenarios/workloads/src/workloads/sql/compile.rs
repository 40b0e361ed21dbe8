//! Compiles parameters into a weighted list of transactions, each statement once. Shared by all database engines.

use std::sync::Arc;

use photofinish_harness::workload::ParamError;
use photofinish_record::Part;

use super::super::params::require;
use super::spec::TransactionSpec;
use super::statement::Statement;
use crate::data::{Data, DataSpec, Mix, Scope};

/// Rules of a database engine with its settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Engine {
    /// The statement that begins a transaction.
    pub(crate) begin: &'static str,
    /// Message if the engine does not support pipelines.
    pub(crate) no_pipeline: Option<&'static str>,
    /// True if changes outlive their round.
    pub(crate) keeps_changes: bool,
}

/// All transactions of a round.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) transactions: Vec<Transaction>,
    mix: Mix,
    pub(crate) data: Arc<Data>,
    pub(crate) parts: Vec<String>,
    /// Names of transactions that change something, and are the same in every round.
    pub(crate) repeated_writes: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) name: String,
    /// With BEGIN and COMMIT, if they are sent.
    pub(crate) statements: Vec<Statement>,
    /// Number of its own part.
    pub(crate) part: usize,
    /// Number of its first statement's part, unless it is timed as a whole only.
    pub(crate) statement_parts: Option<usize>,
    pub(crate) pipeline: bool,
}

impl Script {
    pub(crate) fn compile(
        specs: &[TransactionSpec],
        data: &DataSpec,
        engine: Engine,
    ) -> Result<Self, ParamError> {
        let mut scope = Scope::new(data)?;
        let select = [TransactionSpec::select_one()];
        let specs = if specs.is_empty() { &select } else { specs };
        let (mut transactions, mut parts, mut number) = (Vec::new(), Vec::new(), 0);
        for (index, spec) in specs.iter().enumerate() {
            let transaction = compile(spec, index, engine, &mut number, &mut scope)?;
            transactions.push(transaction.listed(&mut parts));
        }
        require(parts.len() <= Part::MOST, "transaction", || {
            format!(
                "expected at most {} transactions and statements in all, got {}",
                Part::MOST,
                parts.len()
            )
        })?;
        Part::check_names(parts.iter().map(String::as_str)).map_err(|error| ParamError {
            param: "transaction".to_owned(),
            message: error.to_string(),
        })?;
        let weights = specs.iter().map(|spec| spec.weight.unwrap_or(1));
        let mix = Mix::new(weights).ok_or_else(|| ParamError {
            param: "transaction".to_owned(),
            message: "expected a `weight` above 0, got 0 for all".to_owned(),
        })?;
        let repeats = engine.keeps_changes && !scope.has_round();
        let writing = transactions
            .iter()
            .filter(|transaction| repeats && transaction.is_write());
        Ok(Self {
            repeated_writes: writing
                .map(|transaction| transaction.name.clone())
                .collect(),
            transactions,
            mix,
            data: scope.finish(),
            parts,
        })
    }

    /// The transaction of operation `op`.
    pub(crate) fn choose(&self, seed: u64, op: u64) -> &Transaction {
        &self.transactions[self.mix.choose(seed, op)]
    }

    /// True if a statement changes the state of its database session.
    pub(crate) fn needs_session(&self) -> bool {
        let mut statements = self.transactions.iter().flat_map(|it| &it.statements);
        statements.any(Statement::needs_session)
    }

    /// All statements, in the order of their numbers.
    pub(crate) fn statements(&self) -> Vec<&Statement> {
        let each = self.transactions.iter().flat_map(|it| &it.statements);
        let mut all: Vec<&Statement> = each.collect();
        all.sort_by_key(|statement| statement.number);
        all
    }
}

fn compile(
    spec: &TransactionSpec,
    index: usize,
    engine: Engine,
    number: &mut usize,
    scope: &mut Scope,
) -> Result<Transaction, ParamError> {
    let path = format!("transaction.{index}");
    let at = |key: &str| format!("{path}.{key}");
    require(!spec.statements.is_empty(), &at("statements"), || {
        "expected at least one statement".to_owned()
    })?;
    let refusal = engine.no_pipeline.filter(|_| spec.pipeline);
    require(refusal.is_none(), &at("pipeline"), || {
        refusal.unwrap_or_default().to_owned()
    })?;
    require(
        !spec.pipeline || spec.transaction,
        &at("transaction"),
        || "expected true with `pipeline`, since the server makes one transaction of it".to_owned(),
    )?;
    let (expected, rows) = (spec.statements.len(), spec.expect.rows.len());
    require(rows == 0 || rows == expected, &at("expect.rows"), || {
        format!("expected a number for each of the {expected} statements, got {rows}")
    })?;
    let mut statement = |sql: &str, path: &str| {
        *number += 1;
        Statement::compile(sql, path, *number - 1, scope)
    };
    let mut statements = Vec::new();
    for (index, sql) in spec.statements.iter().enumerate() {
        let mut statement = statement(sql, &at(&format!("statements.{index}")))?;
        statement.label = format!("{} {}", index + 1, statement.label);
        statement.rows = spec.expect.rows.get(index).copied();
        statements.push(statement);
    }
    let controlled = statements.iter().any(Statement::is_control);
    if spec.transaction && !spec.pipeline && statements.len() > 1 && !controlled {
        statements.insert(0, statement(engine.begin, &path)?);
        statements.push(statement("COMMIT", &path)?);
    }
    let unnamed = || match index {
        0 => "transaction".to_owned(),
        _ => format!("transaction {}", index + 1),
    };
    Ok(Transaction {
        name: spec.name.clone().unwrap_or_else(unnamed),
        statements,
        part: 0,
        statement_parts: None,
        pipeline: spec.pipeline,
    })
}

impl Transaction {
    /// Adds the names of its parts: its own, and those of its statements if each is timed.
    fn listed(mut self, parts: &mut Vec<String>) -> Self {
        self.part = parts.len();
        parts.push(self.name.clone());
        if !self.pipeline && self.statements.len() > 1 {
            self.statement_parts = Some(parts.len());
            let labels = self.statements.iter().map(|statement| &statement.label);
            parts.extend(labels.map(|label| format!("{}: {label}", self.name)));
        }
        self
    }

    fn is_write(&self) -> bool {
        self.statements.iter().any(Statement::is_write)
    }
}
