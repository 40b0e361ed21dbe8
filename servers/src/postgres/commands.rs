//! Carrying out a plan: in the engine, or in the session itself.
//!
//! Rows go straight into the connection's buffer. What a transaction is, and when a session has the engine for itself,
//! is in `transaction.rs`; here it is only asked.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};
use sqlparser::ast::{CastKind, DataType, Expr, Statement};

use super::ddl::{self, Definer};
use super::engine::{Database, Engine, RowSink};
use super::error::{SqlError, SqlResult};
use super::functions::lock;
use super::plan::{self, Action, Modes, Plan, Run};
use super::portals::Prepared;
use super::session::{Failure, Session};
use super::transaction::Status;
use super::types::PgType;
use super::value::Format;
use super::wire::WireError;

impl Session {
    /// Carries out `plan`, and returns its command tag; rows are in the connection's buffer then.
    pub(super) async fn perform(
        &mut self,
        plan: &Arc<Plan>,
        values: &[Value],
        formats: &[Format],
        ends: Option<&mut Vec<usize>>,
    ) -> Result<String, Failure> {
        let done = match &plan.action {
            Action::Run(run) => return Ok(self.run(plan, run, values, formats, ends).await?),
            Action::Define => return Ok(self.define(plan.statement()).await?),
            Action::Begin(modes) => self.begin_block(*modes)?,
            Action::Commit { chain } => return self.commit(*chain),
            Action::Rollback { chain } => self.rollback(*chain)?,
            Action::Savepoint(name) => self.transaction.savepoint(name).map(|()| "SAVEPOINT")?,
            Action::Release(name) => self.transaction.release(name).map(|()| "RELEASE")?,
            Action::RollbackTo(name) => self.transaction.rollback_to(name).map(|()| "ROLLBACK")?,
            Action::SetTransaction(modes) => {
                if self.transaction.status == Status::Idle {
                    let message = "SET TRANSACTION can only be used in transaction blocks";
                    self.wire.send_warning("25P01", message)?;
                } else {
                    self.transaction.set_modes(*modes);
                    self.show_level(*modes);
                }
                "SET"
            }
            Action::Set { local, name, value } => self.set(*local, name, value.as_deref())?,
            Action::Show(name) => self.show(plan, name, formats, ends)?,
            Action::Reset(name) => {
                lock(&self.settings).reset(name.as_deref())?;
                self.report(name.as_deref())?;
                "RESET"
            }
            Action::DiscardAll => self.discard_all().await?,
            Action::Deallocate(name) => self.deallocate(name.as_deref())?,
            Action::Prepare {
                name,
                statement,
                types,
            } => self.prepare(name, statement, types)?,
            Action::Execute { name, arguments } => {
                return Box::pin(self.execute_prepared(name, arguments)).await;
            }
            Action::Sleep(seconds) => {
                tokio::time::sleep(Duration::from_secs_f64(*seconds)).await;
                self.give(plan, formats, ends, &[vec![Value::Text(String::new())]])?;
                return Ok("SELECT 1".into());
            }
            Action::Lock => {
                if self.transaction.status == Status::Idle {
                    let message = "LOCK TABLE can only be used in transaction blocks";
                    return Err(SqlError::new("25P01", message).into());
                }
                if self.transaction.needs_lease(true) {
                    let user = self.user();
                    self.transaction.take_lease(&self.database, &user).await?;
                }
                "LOCK TABLE"
            }
            Action::Explain(sql) => return self.explain(plan, sql, formats, ends).await,
            Action::Nothing(tag) => tag,
        };
        Ok(done.to_owned())
    }

    /// Runs a statement in the engine, alone or within the transaction.
    async fn run(
        &mut self,
        plan: &Arc<Plan>,
        run: &Run,
        values: &[Value],
        formats: &[Format],
        ends: Option<&mut Vec<usize>>,
    ) -> SqlResult<String> {
        if run.is_change && self.transaction.is_read_only() {
            return Err(SqlError::new(
                "25006",
                format!("cannot execute {} in a read-only transaction", run.tag),
            ));
        }
        let (names, user) = (self.names(), self.user());
        if self.transaction.needs_lease(run.takes_lease) {
            self.transaction.take_lease(&self.database, &user).await?;
        }
        let mut alone = None;
        if self.transaction.lease().is_none() {
            alone = Some(self.database.engine().await?);
        }
        let engine: &mut Engine = match (&mut alone, self.transaction.lease()) {
            (Some(engine), _) => engine,
            (None, Some(engine)) => engine,
            (None, None) => return Err(SqlError::new("XX000", "a session has lost the engine")),
        };
        engine.enter(&user);
        let mut sink = RowSink {
            out: &mut self.wire.output,
            ends,
            formats,
        };
        let count = if plan.holds_for(&engine.schema) {
            engine.run(plan, run, values, &mut sink)?
        } else {
            // Another session has changed definitions since the plan was made.
            let renewed = plan.renewed(&engine.schema, &names)?;
            match &renewed.action {
                Action::Run(run) => engine.run(&renewed, run, values, &mut sink)?,
                _ => return Err(SqlError::new("XX000", "a statement has changed its kind")),
            }
        };
        Ok(match run.tag {
            "INSERT" => format!("INSERT 0 {count}"),
            word => format!("{word} {count}"),
        })
    }

    /// Carries out a definition, in a transaction of its own if there is none.
    async fn define(&mut self, statement: &Statement) -> SqlResult<String> {
        if self.transaction.is_read_only() {
            return Err(SqlError::new(
                "25006",
                "cannot execute a definition in a read-only transaction",
            ));
        }
        let (names, user, temporary) = (self.names(), self.user(), self.temporary_schema());
        let definer = Definer {
            names: &names,
            temporary: &temporary,
        };
        let tag = if self.transaction.status == Status::Idle {
            let mut engine = self.database.engine().await?;
            engine.enter(&user);
            engine.begin()?;
            let defined = ddl::define(&mut engine, &definer, statement)
                .and_then(|tag| engine.commit().map(|()| tag));
            match &defined {
                Ok(_) => self.database.publish(&engine),
                Err(_) => engine.rollback()?,
            }
            self.has_temporary |= engine.schema.namespaces.contains_key(&temporary);
            defined?
        } else {
            if self.transaction.needs_lease(true) {
                self.transaction.take_lease(&self.database, &user).await?;
            }
            let engine = self
                .transaction
                .lease()
                .ok_or_else(|| SqlError::new("XX000", "a session has lost the engine"))?;
            engine.enter(&user);
            let tag = ddl::define(engine, &definer, statement)?;
            let has_temporary = engine.schema.namespaces.contains_key(&temporary);
            self.has_temporary |= has_temporary;
            tag
        };
        Ok(tag)
    }

    fn begin_block(&mut self, modes: Modes) -> Result<&'static str, WireError> {
        if matches!(self.transaction.status, Status::Open | Status::Failed) {
            self.wire
                .send_warning("25001", "there is already a transaction in progress")?;
        } else {
            self.begin(Status::Open, modes);
        }
        Ok("BEGIN")
    }

    fn commit(&mut self, chain: bool) -> Result<String, Failure> {
        let tag = match self.transaction.status {
            Status::Failed => {
                self.transaction.rollback()?;
                "ROLLBACK"
            }
            status => {
                if status != Status::Open {
                    self.wire
                        .send_warning("25P01", "there is no transaction in progress")?;
                }
                let committed = self.transaction.commit(&self.database);
                self.end_of_transaction();
                committed?;
                "COMMIT"
            }
        };
        self.end_of_transaction();
        if chain {
            self.begin(Status::Open, Modes::default());
        }
        Ok(tag.to_owned())
    }

    fn rollback(&mut self, chain: bool) -> Result<&'static str, Failure> {
        if !matches!(self.transaction.status, Status::Open | Status::Failed) {
            self.wire
                .send_warning("25P01", "there is no transaction in progress")?;
        }
        self.transaction.rollback()?;
        self.end_of_transaction();
        if chain {
            self.begin(Status::Open, Modes::default());
        }
        Ok("ROLLBACK")
    }

    fn set(
        &mut self,
        local: bool,
        name: &str,
        value: Option<&str>,
    ) -> Result<&'static str, Failure> {
        {
            let mut settings = lock(&self.settings);
            match value {
                None => settings.reset(Some(name))?,
                Some(value) if local => settings.set_local(name, value)?,
                Some(value) => settings.set(name, value)?,
            }
        }
        self.report(Some(name))?;
        Ok("SET")
    }

    /// Tells the client of settings that it is to know; `None` is all.
    fn report(&mut self, name: Option<&str>) -> Result<(), WireError> {
        let reports = {
            let settings = lock(&self.settings);
            name.map_or_else(
                || settings.reported(),
                |name| settings.report_of(name).into_iter().collect(),
            )
        };
        for (name, value) in reports {
            self.wire
                .send(&pgwire::messages::startup::ParameterStatus::new(
                    name, value,
                ))?;
        }
        Ok(())
    }

    fn show(
        &mut self,
        plan: &Plan,
        name: &str,
        formats: &[Format],
        ends: Option<&mut Vec<usize>>,
    ) -> Result<&'static str, Failure> {
        let rows: Vec<Vec<Value>> = {
            let settings = lock(&self.settings);
            match name {
                "all" => settings
                    .all()
                    .into_iter()
                    .map(|(name, value)| [name, value, String::new()].map(Value::Text).into())
                    .collect(),
                name => vec![vec![Value::Text(settings.show(name)?)]],
            }
        };
        self.give(plan, formats, ends, &rows)?;
        Ok("SHOW")
    }

    /// Gives rows that were made here.
    fn give(
        &mut self,
        plan: &Plan,
        formats: &[Format],
        ends: Option<&mut Vec<usize>>,
        rows: &[Vec<Value>],
    ) -> SqlResult<()> {
        let mut sink = RowSink {
            out: &mut self.wire.output,
            ends,
            formats,
        };
        rows.iter()
            .try_for_each(|row| sink.row(&plan.outputs, |at| ValueRef::from(&row[at])))
    }

    async fn explain(
        &mut self,
        plan: &Plan,
        sql: &str,
        formats: &[Format],
        ends: Option<&mut Vec<usize>>,
    ) -> Result<String, Failure> {
        let user = self.user();
        let lines = match self.transaction.lease() {
            Some(engine) => engine.explain(sql)?,
            None => {
                let engine = self.database.engine().await?;
                engine.enter(&user);
                engine.explain(sql)?
            }
        };
        let rows: Vec<Vec<Value>> = lines
            .into_iter()
            .map(|line| vec![Value::Text(line)])
            .collect();
        self.give(plan, formats, ends, &rows)?;
        Ok("EXPLAIN".into())
    }

    fn deallocate(&mut self, name: Option<&str>) -> SqlResult<&'static str> {
        match name {
            None => {
                self.portals.statements.clear();
                Ok("DEALLOCATE ALL")
            }
            Some(name) => {
                self.portals.statement(name)?;
                self.portals.statements.remove(name);
                Ok("DEALLOCATE")
            }
        }
    }

    async fn discard_all(&mut self) -> Result<&'static str, Failure> {
        if self.transaction.status != Status::Idle {
            return Err(SqlError::new(
                "25001",
                "DISCARD ALL cannot run inside a transaction block",
            )
            .into());
        }
        lock(&self.settings).reset(None)?;
        self.portals.statements.clear();
        if self.has_temporary {
            let (user, temporary) = (self.user(), self.temporary_schema());
            let mut engine = self.database.engine().await?;
            engine.enter(&user);
            drop_temporary(&self.database, &mut engine, &temporary)?;
            self.has_temporary = false;
        }
        self.report(None)?;
        Ok("DISCARD ALL")
    }

    fn prepare(
        &mut self,
        name: &str,
        statement: &Arc<Statement>,
        types: &[Option<PgType>],
    ) -> SqlResult<&'static str> {
        if self.portals.statements.contains_key(name) {
            return Err(SqlError::new(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        let plan = self.new_plan(statement.clone(), types.to_vec())?;
        let prepared = Prepared {
            plan: Some(plan),
            sql: String::new(),
            declared: types.to_vec(),
        };
        self.portals.statements.insert(name.to_owned(), prepared);
        Ok("PREPARE")
    }

    /// SQL's own EXECUTE: its arguments are expressions, which the engine computes.
    async fn execute_prepared(
        &mut self,
        name: &str,
        arguments: &[Expr],
    ) -> Result<String, Failure> {
        let plan = self
            .current_plan(name)?
            .ok_or_else(|| SqlError::new("26000", "the prepared statement is empty"))?;
        if arguments.len() != plan.parameters.len() {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            return Err(SqlError::new("42601", message).into());
        }
        let values = self.arguments(arguments, &plan.parameters).await?;
        if plan.returns_rows() {
            self.describe_rows(&plan.outputs, &[])?;
        }
        self.perform(&plan, &values, &[], None).await
    }

    async fn arguments(&mut self, arguments: &[Expr], types: &[PgType]) -> SqlResult<Vec<Value>> {
        if arguments.is_empty() {
            return Ok(Vec::new());
        }
        let cast = |(expr, ty): (&Expr, &PgType)| {
            let data_type = DataType::Custom(
                vec![sqlparser::ast::Ident::new(ty.name())].into(),
                Vec::new(),
            );
            Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(expr.clone()),
                data_type,
                format: None,
            }
        };
        let casts: Vec<String> = arguments
            .iter()
            .zip(types)
            .map(|pair| cast(pair).to_string())
            .collect();
        let mut parsed = plan::parse(&format!("SELECT {}", casts.join(", ")))?;
        let statement = parsed
            .pop()
            .ok_or_else(|| SqlError::new("42601", "EXECUTE without arguments"))?;
        let plan = self.new_plan(Arc::new(statement), Vec::new())?;
        let Action::Run(run) = &plan.action else {
            return Err(SqlError::new("42601", "the arguments are no expressions"));
        };
        let user = self.user();
        match self.transaction.lease() {
            Some(engine) => engine.row(&run.sql),
            None => {
                let engine = self.database.engine().await?;
                engine.enter(&user);
                engine.row(&run.sql)
            }
        }
    }
}

/// Drops a session's temporary tables.
pub(super) fn drop_temporary(
    database: &Database,
    engine: &mut Engine,
    schema: &str,
) -> SqlResult<()> {
    if !engine.schema.namespaces.contains_key(schema) {
        return Ok(());
    }
    engine.begin()?;
    let dropped = ddl::drop_schema(engine, schema, true).and_then(|()| engine.commit());
    match &dropped {
        Ok(()) => database.publish(engine),
        Err(_) => engine.rollback()?,
    }
    dropped
}
