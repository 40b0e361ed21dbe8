//! A session: both protocols, simple and extended, and the rules around statements.
//!
//! This file decides what an error does to a transaction, what belongs to one, and what is counted. A statement that
//! reads or changes rows is planned and run by `database.rs`; all others are commands, see `session/commands.rs`.

mod commands;

pub(crate) use commands::check_command;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BufMut;
use rusqlite::types::Value;

use super::database::{Bound, Database, Plan, Status, Transaction, Turn, generation};
use super::error::{SqlError, SqlResult};
use super::names::Scope;
use super::rewrite::verb;
use super::token::{Statement, statements};
use super::types::{Type, read_value};
use super::wire::{self, Body, MAX_MESSAGE_BYTES, Wire, WireError, is_binary, malformed};
use crate::Counts;

#[derive(Debug)]
pub(crate) struct Session {
    wire: Wire,
    database: Database,
    counts: Arc<Counts>,
    scope: Scope,
    /// Waited for before each request.
    delay: Duration,
    transaction: Transaction,
    /// By name; the unnamed one has the empty name.
    prepared: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    /// True after an error in the extended protocol: everything up to the next Sync is ignored.
    skips_to_sync: bool,
}

/// A parsed statement.
#[derive(Debug, Clone)]
struct Prepared {
    /// `None` if there is nothing but space and comments.
    statement: Option<Statement>,
    declared: Vec<u32>,
    /// None for a command, and until it is needed.
    plan: Option<Plan>,
}

/// A statement with values for its parameters; they are gone once it has run.
#[derive(Debug)]
struct Portal {
    prepared: Arc<Prepared>,
    bound: Option<Bound>,
}

impl Prepared {
    fn parameters(&self) -> &[(Type, u32)] {
        self.plan.as_ref().map_or(&[], |plan| &plan.parameters)
    }
}

impl Session {
    pub(crate) fn new(
        wire: Wire,
        database: Database,
        counts: Arc<Counts>,
        scope: Scope,
        delay: Duration,
    ) -> Self {
        Session {
            wire,
            database,
            counts,
            scope,
            delay,
            transaction: Transaction::default(),
            prepared: HashMap::new(),
            portals: HashMap::new(),
            skips_to_sync: false,
        }
    }

    /// Serves the client until it leaves.
    pub(crate) async fn serve(mut self) {
        if let Err(WireError::Protocol(error)) = self.serve_messages().await {
            wire::report(&mut self.wire.out, &error);
        }
        self.transaction.rollback();
        self.wire.close().await;
    }

    async fn serve_messages(&mut self) -> Result<(), WireError> {
        self.ready();
        while let Some((kind, body)) = self.wire.next(MAX_MESSAGE_BYTES).await? {
            // The message is borrowed from the buffer while it is processed.
            let input = std::mem::take(&mut self.wire.input);
            let is_sync_next = input.get(body.end) == Some(&b'S');
            let result = self.message(kind, Body(&input[body]), is_sync_next).await;
            self.wire.input = input;
            match result {
                Err(error) if error.severity == "FATAL" => return Err(error.into()),
                Err(error) => self.fail(kind, &error),
                Ok(()) if kind == b'X' => return Ok(()),
                Ok(()) if kind == b'H' => self.wire.flush().await?,
                Ok(()) => (),
            }
            if kind == b'Q' || kind == b'S' {
                self.ready();
            }
            self.wire.flush_if_large().await?;
        }
        Ok(())
    }

    async fn message(&mut self, kind: u8, mut body: Body<'_>, is_sync_next: bool) -> SqlResult<()> {
        if matches!(kind, b'Q' | b'S') {
            self.skips_to_sync = false;
        }
        match kind {
            _ if self.skips_to_sync => Ok(()),
            b'Q' => self.query(&mut body).await,
            b'S' => self.end_implicit(),
            b'P' => self.parse(&mut body),
            b'B' => self.bind(&mut body).await,
            b'D' => self.describe(&mut body).await,
            b'E' => self.execute(&mut body, is_sync_next).await,
            b'C' => self.close(&mut body),
            b'H' | b'X' => Ok(()),
            _ => Err(malformed("unexpected message")),
        }
    }

    /// Reports an error to the client, and applies its effect on what follows.
    fn fail(&mut self, kind: u8, error: &SqlError) {
        wire::report(&mut self.wire.out, error);
        self.skips_to_sync = !matches!(kind, b'Q' | b'S');
        match self.transaction.status {
            Status::Implicit => self.transaction.rollback(),
            Status::Open => self.transaction.status = Status::Failed,
            Status::Idle | Status::Failed => (),
        }
    }

    /// Ends the transaction started by a Query message, or by a series of other messages up to a Sync.
    fn end_implicit(&mut self) -> SqlResult<()> {
        if matches!(self.transaction.status, Status::Open | Status::Failed) {
            return Ok(());
        }
        self.portals.clear();
        self.transaction.commit()
    }

    fn ready(&mut self) {
        let status = match self.transaction.status {
            Status::Idle | Status::Implicit => b'I',
            Status::Open => b'T',
            Status::Failed => b'E',
        };
        wire::message(&mut self.wire.out, b'Z', |out| out.put_u8(status));
    }

    /// Rejects a change in a read-only transaction, and any statement that does not end a failed one.
    fn check_usable(&self, is_change: bool, ends_transaction: bool) -> SqlResult<()> {
        if self.transaction.status == Status::Failed && !ends_transaction {
            return Err(SqlError::new("25P02", "current transaction is aborted"));
        }
        if self.transaction.is_read_only && is_change {
            return Err(SqlError::new("25006", "the transaction is read-only"));
        }
        Ok(())
    }

    async fn delay(&mut self) {
        if !self.delay.is_zero() {
            crate::sleep(self.delay).await;
        }
    }

    /// A Query message: any number of statements in one text.
    async fn query(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let counts = self.counts.clone();
        let _in_flight = counts.enter();
        self.delay().await;
        let statements = statements(body.text()?)?;
        if statements.is_empty() {
            wire::texts(&mut self.wire.out, b'I', &[]);
            return self.end_implicit();
        }
        counts.requests.fetch_add(1, Relaxed);
        for statement in &statements {
            // A COMMIT among them ends a transaction, and the rest is the next one.
            if statements.len() > 1 && self.transaction.status == Status::Idle {
                self.transaction.status = Status::Implicit;
            }
            let plan = self.plan(statement, &[]).await?;
            if let Some(plan) = &plan {
                if !plan.parameters.is_empty() {
                    return Err(SqlError::new("42P02", "there is no parameter $1"));
                }
                if !plan.columns.is_empty() {
                    wire::row_description(&mut self.wire.out, &plan.columns, &[]);
                }
            }
            let bound = Bound::default();
            self.run(statement, plan.as_ref(), &bound, usize::MAX)
                .await?;
        }
        self.end_implicit()
    }

    /// The engine, for as long as the transaction needs it, with the scope and the output of a statement.
    async fn engine(&mut self, takes_lease: bool) -> SqlResult<(Turn<'_>, &Scope, &mut Vec<u8>)> {
        let engine = self.transaction.engine(&self.database, takes_lease).await?;
        engine.enter(self.scope.settings.statement_timeout());
        Ok((engine, &self.scope, &mut self.wire.out))
    }

    /// Plans a statement that reads or changes rows; `None` for a command.
    async fn plan(&mut self, statement: &Statement, declared: &[u32]) -> SqlResult<Option<Plan>> {
        let Some(verb) = verb(statement) else {
            return Ok(None);
        };
        self.check_usable(false, false)?;
        let (engine, scope, _) = self.engine(false).await?;
        engine.plan(statement, verb, scope, declared).map(Some)
    }

    /// Runs a statement of either protocol.
    async fn run(
        &mut self,
        statement: &Statement,
        plan: Option<&Plan>,
        bound: &Bound,
        max_rows: usize,
    ) -> SqlResult<()> {
        let tag = if let Some(plan) = plan {
            self.check_usable(plan.is_change, false)?;
            let (engine, _, out) = self.engine(plan.takes_lease).await?;
            let count = engine.run(plan, bound, max_rows, out)?;
            let is_complete = plan.columns.is_empty() || count < max_rows;
            is_complete.then(|| format!("{} {count}", plan.verb))
        } else {
            Some(self.command(statement).await?)
        };
        self.counts.statements.fetch_add(1, Relaxed);
        match tag {
            Some(tag) => wire::texts(&mut self.wire.out, b'C', &[&tag]),
            // There may be more rows.
            None => wire::texts(&mut self.wire.out, b's', &[]),
        }
        Ok(())
    }

    /// A Parse message. The statement is planned when it is described or bound: waiting here for another connection's
    /// transaction could block the session that has to end it.
    fn parse(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (name, sql) = (body.text()?, body.text()?);
        let declared = body.list(|body| Ok(body.i32()? as u32))?;
        if !name.is_empty() && self.prepared.contains_key(name) {
            return Err(SqlError::exists("42P05", "prepared statement", name));
        }
        let mut statements = statements(sql)?;
        let statement = statements.pop();
        if !statements.is_empty() {
            return Err(SqlError::syntax("cannot prepare more than one statement"));
        }
        if let Some(statement) = statement.as_ref().filter(|it| verb(it).is_none()) {
            check_command(statement)?;
        }
        let prepared = Arc::new(Prepared {
            statement,
            declared,
            plan: None,
        });
        self.prepared.insert(name.to_owned(), prepared);
        wire::texts(&mut self.wire.out, b'1', &[]);
        Ok(())
    }

    /// A prepared statement, planned if it is not, or if definitions or settings have changed since.
    async fn current(&mut self, name: &str) -> SqlResult<Arc<Prepared>> {
        let missing = || SqlError::missing("26000", "prepared statement", name);
        let mut prepared = self.prepared.get(name).ok_or_else(missing)?.clone();
        let holds = |plan: &Plan| plan.generation == generation();
        if let Some(statement) = &prepared.statement
            && !prepared.plan.as_ref().is_some_and(holds)
            && let Some(plan) = self.plan(statement, &prepared.declared).await?
        {
            Arc::make_mut(&mut prepared).plan = Some(plan);
            self.prepared.insert(name.to_owned(), prepared.clone());
        }
        Ok(prepared)
    }

    async fn bind(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (portal, name) = (body.text()?, body.text()?);
        let prepared = self.current(name).await?;
        let parameters = prepared.parameters();
        let formats = body.formats()?;
        let count = usize::from(body.u16()?);
        if count != parameters.len() || formats.len() > 1 && formats.len() != count {
            let message = format!("expected {} parameters, got {count}", parameters.len());
            return Err(SqlError::new("08P01", message));
        }
        let mut values = Vec::with_capacity(count);
        for (at, &(ty, oid)) in parameters.iter().enumerate() {
            values.push(match usize::try_from(body.i32()?) {
                Ok(length) => read_value(body.bytes(length)?, ty, oid, is_binary(&formats, at))?,
                Err(_) => Value::Null,
            });
        }
        let formats = body.formats()?;
        let bound = Some(Bound { values, formats });
        self.portals
            .insert(portal.to_owned(), Portal { prepared, bound });
        wire::texts(&mut self.wire.out, b'2', &[]);
        Ok(())
    }

    fn portal(&mut self, name: &str) -> SqlResult<&mut Portal> {
        let portal = self.portals.get_mut(name);
        portal.ok_or_else(|| SqlError::missing("34000", "portal", name))
    }

    async fn describe(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (target, name) = (body.u8()?, body.text()?);
        let (prepared, formats) = if target == b'S' {
            (self.current(name).await?, Vec::new())
        } else {
            let portal = self.portal(name)?;
            let formats = portal.bound.as_ref().map(|bound| bound.formats.clone());
            (portal.prepared.clone(), formats.unwrap_or_default())
        };
        let out = &mut self.wire.out;
        if target == b'S' {
            wire::message(out, b't', |out| {
                out.put_i16(prepared.parameters().len() as i16);
                prepared
                    .parameters()
                    .iter()
                    .for_each(|(_, oid)| out.put_u32(*oid));
            });
        }
        match prepared
            .plan
            .as_ref()
            .filter(|plan| !plan.columns.is_empty())
        {
            Some(plan) => wire::row_description(out, &plan.columns, &formats),
            None => wire::texts(out, b'n', &[]),
        }
        Ok(())
    }

    async fn execute(&mut self, body: &mut Body<'_>, is_sync_next: bool) -> SqlResult<()> {
        let (name, max_rows) = (body.text()?, body.i32()?);
        let portal = self.portal(name)?;
        let again = || SqlError::unsupported("a second Execute of a portal");
        let (bound, prepared) = (
            portal.bound.take().ok_or_else(again)?,
            portal.prepared.clone(),
        );
        let counts = self.counts.clone();
        let _in_flight = counts.enter();
        self.delay().await;
        // If Sync follows, it is a transaction by itself; otherwise everything up to the next Sync belongs to it.
        if self.transaction.status == Status::Idle && !is_sync_next {
            self.transaction.status = Status::Implicit;
        }
        let Some(statement) = &prepared.statement else {
            wire::texts(&mut self.wire.out, b'I', &[]);
            return Ok(());
        };
        counts.requests.fetch_add(1, Relaxed);
        let max_rows = usize::try_from(max_rows).ok().filter(|&rows| rows > 0);
        let max_rows = max_rows.unwrap_or(usize::MAX);
        self.run(statement, prepared.plan.as_ref(), &bound, max_rows)
            .await
    }

    fn close(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (target, name) = (body.u8()?, body.text()?);
        if target == b'S' {
            self.prepared.remove(name);
        } else {
            self.portals.remove(name);
        }
        wire::texts(&mut self.wire.out, b'3', &[]);
        Ok(())
    }
}
