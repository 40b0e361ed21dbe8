//! From parameters to what runs: transactions in a weighted list, each statement compiled once.

use std::sync::Arc;

use photofinish_harness::workload::ParamError;
use photofinish_record::Part;

use super::super::params::require;
use super::Params;
use super::spec::{Protocol, SqlSpec, TransactionSpec};
use super::statement::Statement;
use crate::data::{Data, Mix, Scope};

/// All transactions of a round.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) transactions: Vec<Transaction>,
    pub(super) mix: Mix,
    pub(super) data: Arc<Data>,
    pub(super) sql: SqlSpec,
    pub(super) parts: Vec<String>,
    /// Names of transactions that change something, and are the same in every round.
    pub(super) repeated_writes: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) name: String,
    /// With BEGIN and COMMIT, if they are sent.
    pub(super) statements: Vec<Statement>,
    /// Number of its own part.
    pub(super) part: usize,
    /// Number of its first statement's part, unless it is timed as a whole only.
    pub(super) statement_parts: Option<usize>,
    pub(super) pipeline: bool,
}

impl Script {
    pub(super) fn compile(params: &Params) -> Result<Self, ParamError> {
        let mut scope = Scope::new(&params.data())?;
        let select = [TransactionSpec::select_one()];
        let specs = match &params.transaction[..] {
            [] => &select,
            specs => specs,
        };
        let (mut transactions, mut parts, mut number) = (Vec::new(), Vec::new(), 0);
        for (index, spec) in specs.iter().enumerate() {
            let transaction = compile(spec, index, params.sql.protocol, &mut number, &mut scope)?;
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
        let repeats = params.sql.setup.is_none() && !scope.has_round();
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
            sql: params.sql.clone(),
            parts,
        })
    }
}

fn compile(
    spec: &TransactionSpec,
    index: usize,
    protocol: Protocol,
    number: &mut usize,
    scope: &mut Scope,
) -> Result<Transaction, ParamError> {
    let path = format!("transaction.{index}");
    let at = |key: &str| format!("{path}.{key}");
    require(!spec.statements.is_empty(), &at("statements"), || {
        "expected at least one statement".to_owned()
    })?;
    require(
        !spec.pipeline || protocol != Protocol::Simple,
        &at("pipeline"),
        || {
            "expected `sql.protocol` \"extended\" or \"prepared\" with a pipeline, got \"simple\""
                .to_owned()
        },
    )?;
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
        statements.insert(0, statement("BEGIN", &path)?);
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
