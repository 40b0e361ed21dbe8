//! A session: both protocols, simple and extended, and the rules around statements.
//!
//! This file decides what an error does to a transaction, what belongs to one, and what is counted. A statement that
//! reads or changes rows is planned and run by `database.rs`; all others are commands, see `session/commands.rs`.

mod commands;

pub(crate) use commands::check_command;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Buf, BufMut};
use rusqlite::types::Value;

use super::Server;
use super::database::{Bound, Engine, Plan, Status, Transaction};
use super::error::{SqlError, SqlResult, malformed};
use super::query::Scope;
use super::rewrite::verb;
use super::token::{Statement, statements};
use super::types::read_value;
use super::wire::{self, FLUSH_BYTES, MAX_MESSAGE_BYTES, Wire, bytes, formats, is_binary, text};

struct Session<'s> {
    server: &'s Server,
    wire: &'s mut Wire,
    scope: Scope,
    transaction: Transaction,
    /// By name; the unnamed one has the empty name.
    prepared: HashMap<String, Prepared>,
    portals: HashMap<String, Portal>,
    /// True after an error in the extended protocol: everything up to the next Sync is ignored.
    skips_to_sync: bool,
    /// True once an Execute since the last Sync was counted: a request is all that one Sync ends.
    is_counted: bool,
}

/// A statement, or only space and comments, that is lexically valid.
struct Prepared {
    sql: String,
    declared: Vec<u32>,
    /// None until it is needed.
    plan: Option<Arc<Plan>>,
}

/// A statement with values for its parameters; they are gone once it has run.
struct Portal {
    plan: Arc<Plan>,
    bound: Option<Bound>,
}

/// Serves a client until it leaves.
pub(crate) async fn serve(server: &Server, wire: &mut Wire, scope: Scope) -> SqlResult<()> {
    let mut session = Session {
        server,
        wire,
        scope,
        transaction: Transaction::default(),
        prepared: HashMap::new(),
        portals: HashMap::new(),
        skips_to_sync: false,
        is_counted: false,
    };
    session.ready();
    loop {
        let (kind, body) = session.wire.next(MAX_MESSAGE_BYTES).await?;
        let result = session.message(kind, &body).await;
        session.transaction.release();
        match result {
            Err(error) if error.severity == "FATAL" => return Err(error),
            Err(error) => session.fail(kind, &error),
            Ok(()) if kind == b'X' => return Ok(()),
            Ok(()) => (),
        }
        if kind == b'Q' || kind == b'S' {
            session.ready();
        }
        if kind == b'H' || session.wire.out.len() > FLUSH_BYTES {
            session.wire.flush().await?;
        }
    }
}

impl Session<'_> {
    async fn message(&mut self, kind: u8, body: &[u8]) -> SqlResult<()> {
        if matches!(kind, b'Q' | b'S') {
            self.skips_to_sync = false;
            self.is_counted = false;
        }
        match kind {
            _ if self.skips_to_sync => Ok(()),
            b'Q' => self.query(body).await,
            b'S' => self.end_implicit(),
            b'P' => self.parse(body),
            b'B' => self.bind(body).await,
            b'D' => self.describe(body).await,
            b'E' => self.execute(body).await,
            b'C' => self.close(body),
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
            _ => self.transaction.status = Status::Failed,
        }
    }

    /// Ends the transaction started by a Query message, or by a series of other messages up to a Sync.
    fn end_implicit(&mut self) -> SqlResult<()> {
        if self.transaction.status != Status::Implicit {
            return Ok(());
        }
        self.portals.clear();
        self.transaction.commit()
    }

    fn ready(&mut self) {
        let status = self.transaction.status as u8;
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

    /// A Query message: any number of statements in one text.
    async fn query(&mut self, mut body: &[u8]) -> SqlResult<()> {
        let counts = &self.server.counts;
        let _in_flight = counts.enter();
        crate::sleep(self.server.delay).await;
        let statements = statements(text(&mut body)?)?;
        if statements.is_empty() {
            wire::texts(&mut self.wire.out, b'I', &[]);
            return self.end_implicit();
        }
        counts.requests.fetch_add(1, Relaxed);
        for statement in &statements {
            let Some(plan) = self.plan(statement, &[]).await? else {
                self.command(statement).await?;
                continue;
            };
            if !plan.parameters.is_empty() {
                return Err(SqlError::new("42P02", "there is no parameter $1"));
            }
            if !plan.columns.is_empty() {
                wire::row_description(&mut self.wire.out, &plan.columns, &[]);
            }
            self.run(&plan, &Bound::default(), usize::MAX).await?;
        }
        self.end_implicit()
    }

    /// The engine, for as long as the transaction needs it.
    async fn engine(&mut self, takes_lease: bool) -> SqlResult<(&Engine, &Scope, &mut Vec<u8>)> {
        let timeout = self.scope.settings.statement_timeout();
        let (transaction, database) = (&mut self.transaction, &self.server.database);
        let engine = transaction.engine(database, takes_lease, timeout).await?;
        Ok((engine, &self.scope, &mut self.wire.out))
    }

    /// Plans a statement that reads or changes rows; `None` for a command.
    async fn plan(&mut self, statement: &Statement<'_>, oids: &[u32]) -> SqlResult<Option<Plan>> {
        let Some(verb) = verb(statement) else {
            return Ok(None);
        };
        self.check_usable(false, false)?;
        let (engine, scope, _) = self.engine(false).await?;
        engine.plan(statement, verb, scope, oids).map(Some)
    }

    async fn run(&mut self, plan: &Plan, bound: &Bound, max_rows: usize) -> SqlResult<()> {
        self.check_usable(plan.takes_lease, false)?;
        let (engine, _, out) = self.engine(plan.takes_lease).await?;
        let count = engine.run(plan, bound, max_rows, out)?;
        if plan.columns.is_empty() || count < max_rows {
            self.complete(&format!("{} {count}", plan.verb));
        } else {
            // There may be more rows.
            wire::texts(out, b's', &[]);
            self.server.counts.statements.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn complete(&mut self, tag: &str) {
        self.server.counts.statements.fetch_add(1, Relaxed);
        wire::texts(&mut self.wire.out, b'C', &[tag]);
    }

    /// A Parse message. The statement is planned when it is described or bound: waiting here for another connection's
    /// transaction could block the session that has to end it.
    fn parse(&mut self, mut body: &[u8]) -> SqlResult<()> {
        let (name, sql) = (text(&mut body)?, text(&mut body)?);
        let count = body.try_get_u16()?;
        let declared = (0..count).map(|_| body.try_get_u32());
        let declared = declared.collect::<Result<_, _>>()?;
        if !name.is_empty() && self.prepared.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new("42P05", message));
        }
        let statements = statements(sql)?;
        if statements.len() > 1 {
            return Err(SqlError::syntax("cannot prepare more than one statement"));
        }
        if let Some(command) = statements.first().filter(|it| verb(it).is_none()) {
            check_command(command)?;
        }
        let prepared = Prepared {
            sql: sql.to_owned(),
            declared,
            plan: None,
        };
        self.prepared.insert(name.to_owned(), prepared);
        wire::texts(&mut self.wire.out, b'1', &[]);
        Ok(())
    }

    /// The plan of a prepared statement, made if there is none, or if definitions have changed since.
    async fn current(&mut self, name: &str) -> SqlResult<Arc<Plan>> {
        let missing = || SqlError::missing("26000", "prepared statement", name);
        let prepared = self.prepared.get(name).ok_or_else(missing)?;
        let generation = self.server.generation.load(Relaxed);
        let holds = |plan: &Arc<Plan>| plan.generation == generation;
        if let Some(plan) = prepared.plan.clone().filter(holds) {
            return Ok(plan);
        }
        let (sql, declared) = (prepared.sql.clone(), prepared.declared.clone());
        let plan = match statements(&sql)?.first() {
            Some(statement) => self.plan(statement, &declared).await?,
            None => None,
        };
        let command = Plan {
            sql,
            generation,
            ..Plan::default()
        };
        let plan = Arc::new(plan.unwrap_or(command));
        if let Some(prepared) = self.prepared.get_mut(name) {
            prepared.plan = Some(plan.clone());
        }
        Ok(plan)
    }

    async fn bind(&mut self, mut body: &[u8]) -> SqlResult<()> {
        let (portal, name) = (text(&mut body)?, text(&mut body)?);
        let plan = self.current(name).await?;
        let own_formats = formats(&mut body)?;
        let (count, expected) = (usize::from(body.try_get_u16()?), plan.parameters.len());
        if count != expected || own_formats.len() > 1 && own_formats.len() != count {
            let message = format!("expected {expected} parameters, got {count}");
            return Err(SqlError::new("08P01", message));
        }
        let mut values = Vec::with_capacity(count);
        for (at, &oid) in plan.parameters.iter().enumerate() {
            values.push(match usize::try_from(body.try_get_i32()?) {
                Ok(length) => {
                    let data = bytes(&mut body, length)?;
                    read_value(data, oid, is_binary(&own_formats, at))?
                }
                Err(_) => Value::Null,
            });
        }
        let bound = Some(Bound {
            values,
            formats: formats(&mut body)?,
        });
        let new = Portal { plan, bound };
        self.portals.insert(portal.to_owned(), new);
        wire::texts(&mut self.wire.out, b'2', &[]);
        Ok(())
    }

    fn portal(&mut self, name: &str) -> SqlResult<&mut Portal> {
        let portal = self.portals.get_mut(name);
        portal.ok_or_else(|| SqlError::missing("34000", "portal", name))
    }

    async fn describe(&mut self, mut body: &[u8]) -> SqlResult<()> {
        let (target, name) = (body.try_get_u8()?, text(&mut body)?);
        let (plan, formats) = if target == b'S' {
            (self.current(name).await?, Vec::new())
        } else {
            let portal = self.portal(name)?;
            let formats = portal.bound.as_ref().map(|bound| bound.formats.clone());
            (portal.plan.clone(), formats.unwrap_or_default())
        };
        let out = &mut self.wire.out;
        if target == b'S' {
            wire::message(out, b't', |out| {
                out.put_i16(plan.parameters.len() as i16);
                plan.parameters.iter().for_each(|oid| out.put_u32(*oid));
            });
        }
        if plan.columns.is_empty() {
            wire::texts(out, b'n', &[]);
        } else {
            wire::row_description(out, &plan.columns, &formats);
        }
        Ok(())
    }

    async fn execute(&mut self, mut body: &[u8]) -> SqlResult<()> {
        let (name, max_rows) = (text(&mut body)?, body.try_get_i32()?);
        let portal = self.portal(name)?;
        let plan = portal.plan.clone();
        let again = || SqlError::unsupported("a second Execute of a portal");
        let bound = portal.bound.take().ok_or_else(again)?;
        let counts = &self.server.counts;
        let _in_flight = counts.enter();
        crate::sleep(self.server.delay).await;
        if !plan.verb.is_empty() {
            self.count_request();
            let max_rows = usize::try_from(max_rows).ok().filter(|&rows| rows > 0);
            return self
                .run(&plan, &bound, max_rows.unwrap_or(usize::MAX))
                .await;
        }
        let Some(command) = statements(&plan.sql)?.pop() else {
            wire::texts(&mut self.wire.out, b'I', &[]);
            return Ok(());
        };
        self.count_request();
        self.command(&command).await
    }

    fn count_request(&mut self) {
        if !self.is_counted {
            self.server.counts.requests.fetch_add(1, Relaxed);
        }
        self.is_counted = true;
    }

    fn close(&mut self, mut body: &[u8]) -> SqlResult<()> {
        let (target, name) = (body.try_get_u8()?, text(&mut body)?);
        if target == b'S' {
            self.prepared.remove(name);
        } else {
            self.portals.remove(name);
        }
        wire::texts(&mut self.wire.out, b'3', &[]);
        Ok(())
    }
}
