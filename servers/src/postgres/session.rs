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

use super::database::{Bound, Database, Engine, Plan, Status, Transaction};
use super::error::{SqlError, SqlResult};
use super::names::Scope;
use super::rewrite::Verb;
use super::token::{Statement, statements};
use super::types::read_value;
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
#[derive(Debug)]
struct Prepared {
    sql: String,
    declared: Vec<u32>,
    /// None for a command, and until it is needed if the engine is busy.
    plan: Option<Plan>,
}

/// A statement with values for its parameters; they are gone once it has run.
#[derive(Debug)]
struct Portal {
    prepared: Arc<Prepared>,
    bound: Option<Bound>,
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
            wire::error(&mut self.wire.out, &error);
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
                Err(error) if error.is_fatal() => return Err(error.into()),
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
            b'P' => self.parse(&mut body).await,
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
        wire::error(&mut self.wire.out, error);
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

    fn complete(&mut self, tag: &str) {
        self.counts.statements.fetch_add(1, Relaxed);
        wire::texts(&mut self.wire.out, b'C', &[tag]);
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
            match Verb::of(statement) {
                Some(verb) => self.run_once(statement, verb).await?,
                None => self.command(statement).await?,
            }
        }
        self.end_implicit()
    }

    /// Takes the engine as the transaction needs it, then runs `use_it`.
    async fn with_engine<T>(
        &mut self,
        takes_lease: bool,
        use_it: impl FnOnce(&Engine, &Scope, &mut Vec<u8>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let Session {
            wire,
            database,
            scope,
            transaction,
            ..
        } = self;
        transaction.lease_for(database, takes_lease).await?;
        let turn;
        let engine = match transaction.leased() {
            Some(engine) => engine,
            None => {
                turn = database.turn().await?;
                &*turn
            }
        };
        engine.enter(scope.settings.statement_timeout());
        use_it(engine, scope, &mut wire.out)
    }

    /// Runs one statement of a Query message.
    async fn run_once(&mut self, statement: &Statement<'_>, verb: Verb) -> SqlResult<()> {
        self.check_usable(verb != Verb::Select, false)?;
        let run = |engine: &Engine, scope: &Scope, out: &mut Vec<u8>| {
            let plan = engine.plan(statement, verb, scope, &[])?;
            if !plan.parameters.is_empty() {
                return Err(SqlError::new("42P02", "there is no parameter $1"));
            }
            if !plan.columns.is_empty() {
                wire::row_description(out, &plan.columns, &[]);
            }
            engine.run(&plan, &Bound::default(), usize::MAX, out)
        };
        let count = self.with_engine(verb.takes_lease(statement), run).await?;
        self.complete(&tag(verb, count));
        Ok(())
    }

    async fn parse(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (name, sql) = (body.text()?, body.text()?);
        let declared = body.list(|body| Ok(body.i32()? as u32))?;
        if !name.is_empty() && self.prepared.contains_key(name) {
            return Err(SqlError::exists("42P05", "prepared statement", name));
        }
        let statements = statements(sql)?;
        if statements.len() > 1 {
            return Err(SqlError::syntax("cannot prepare more than one statement"));
        }
        let mut plan = None;
        if let Some(statement) = statements.first() {
            let verb = Verb::of(statement);
            let ends_transaction = verb.is_none() && check_command(statement)?;
            self.check_usable(false, ends_transaction)?;
            // Waiting here for another connection's transaction could block the session that has to end it.
            let turn = self.database.try_turn();
            let engine = self.transaction.leased().or(turn.as_deref());
            if let (Some(verb), Some(engine)) = (verb, engine) {
                plan = Some(engine.plan(statement, verb, &self.scope, &declared)?);
            }
        }
        let sql = sql.to_owned();
        let prepared = Arc::new(Prepared {
            sql,
            declared,
            plan,
        });
        self.prepared.insert(name.to_owned(), prepared);
        wire::texts(&mut self.wire.out, b'1', &[]);
        Ok(())
    }

    /// A prepared statement, planned if it is not, or if definitions or settings have changed since.
    async fn current(&mut self, name: &str) -> SqlResult<Arc<Prepared>> {
        let missing = || SqlError::missing("26000", "prepared statement", name);
        let prepared = self.prepared.get(name).ok_or_else(missing)?.clone();
        let generation = self.database.generation();
        let holds = |plan: &Plan| plan.generation == generation;
        if prepared.plan.as_ref().is_some_and(holds) {
            return Ok(prepared);
        }
        let statements = statements(&prepared.sql)?;
        let Some((statement, verb)) = statements
            .first()
            .zip(statements.first().and_then(Verb::of))
        else {
            return Ok(prepared);
        };
        self.check_usable(false, false)?;
        let (sql, declared) = (prepared.sql.clone(), prepared.declared.clone());
        let plan = |engine: &Engine, scope: &Scope, _: &mut Vec<u8>| {
            engine.plan(statement, verb, scope, &declared)
        };
        let plan = Some(self.with_engine(false, plan).await?);
        let renewed = Arc::new(Prepared {
            sql,
            declared,
            plan,
        });
        self.prepared.insert(name.to_owned(), renewed.clone());
        Ok(renewed)
    }

    async fn bind(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (portal, name) = (body.text()?, body.text()?);
        let prepared = self.current(name).await?;
        let parameters = prepared
            .plan
            .as_ref()
            .map_or(&[][..], |plan| &plan.parameters);
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
        let plan = prepared.plan.as_ref();
        if target == b'S' {
            let parameters = plan.map_or(&[][..], |plan| &plan.parameters);
            wire::message(out, b't', |out| {
                out.put_i16(parameters.len() as i16);
                parameters.iter().for_each(|(_, oid)| out.put_u32(*oid));
            });
        }
        match plan.filter(|plan| !plan.columns.is_empty()) {
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
        let Some(plan) = &prepared.plan else {
            let Some(command) = statements(&prepared.sql)?.pop() else {
                wire::texts(&mut self.wire.out, b'I', &[]);
                return Ok(());
            };
            counts.requests.fetch_add(1, Relaxed);
            return self.command(&command).await;
        };
        counts.requests.fetch_add(1, Relaxed);
        self.check_usable(plan.verb != Verb::Select, false)?;
        let max_rows = if max_rows > 0 {
            max_rows as usize
        } else {
            usize::MAX
        };
        let run =
            |engine: &Engine, _: &Scope, out: &mut Vec<u8>| engine.run(plan, &bound, max_rows, out);
        let count = self.with_engine(plan.takes_lease, run).await?;
        if plan.columns.is_empty() || count < max_rows {
            self.complete(&tag(plan.verb, count));
        } else {
            // There may be more.
            counts.statements.fetch_add(1, Relaxed);
            wire::texts(&mut self.wire.out, b's', &[]);
        }
        Ok(())
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

fn tag(verb: Verb, count: usize) -> String {
    match verb {
        Verb::Select => format!("SELECT {count}"),
        Verb::Insert => format!("INSERT 0 {count}"),
        Verb::Update => format!("UPDATE {count}"),
        Verb::Delete => format!("DELETE {count}"),
    }
}
