//! A session: both protocols, simple and extended, and the rules around statements.
//!
//! Here is what an error does to a transaction, what belongs to one, and what is counted. A statement that reads or
//! changes rows is planned and run by `database.rs`; every other one is a command, see `session/commands.rs`.

mod commands;

pub(crate) use commands::check_command;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BufMut;
use rusqlite::types::Value;

use super::database::{Database, Engine, Plan};
use super::error::{SqlError, SqlResult};
use super::names::Scope;
use super::rewrite::Verb;
use super::settings::Settings;
use super::token::{Statement, statements};
use super::transaction::{Status, Transaction};
use super::types::read_value;
use super::wire::{self, Body, MAX_MESSAGE_BYTES, Wire, WireError, is_binary, malformed};
use crate::Counts;

/// Most prepared statements, and most portals, of one session.
const MAX_NAMED: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Session {
    wire: Wire,
    database: Database,
    counts: Arc<Counts>,
    scope: Scope,
    settings: Settings,
    /// Waited for before each request.
    delay: Duration,
    transaction: Transaction,
    /// By name; the unnamed one has the empty name.
    prepared: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    /// True after an error in the extended protocol: all is ignored up to the next Sync.
    skips_to_sync: bool,
}

/// A statement that was parsed.
#[derive(Debug)]
struct Prepared {
    sql: String,
    declared: Vec<u32>,
    /// None for a command, and until the plan is needed if the engine is busy.
    plan: Option<Plan>,
}

/// A statement with values for its parameters.
#[derive(Debug)]
struct Portal {
    prepared: Arc<Prepared>,
    values: Vec<Value>,
    formats: Vec<bool>,
    has_run: bool,
}

impl Session {
    pub(crate) fn new(
        wire: Wire,
        database: Database,
        counts: Arc<Counts>,
        (scope, settings): (Scope, Settings),
        delay: Duration,
    ) -> Self {
        Session {
            wire,
            database,
            counts,
            scope,
            settings,
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
            // The message is borrowed from the buffer while it is dealt with.
            let input = std::mem::take(&mut self.wire.input);
            let is_sync_next = input.get(body.end) == Some(&b'S');
            let goes_on = self.message(kind, Body(&input[body]), is_sync_next).await;
            self.wire.input = input;
            if !goes_on? {
                return Ok(());
            }
            self.wire.flush_if_large().await?;
        }
        Ok(())
    }

    /// Deals with a message; false ends the connection.
    async fn message(
        &mut self,
        kind: u8,
        mut body: Body<'_>,
        is_sync_next: bool,
    ) -> Result<bool, WireError> {
        let result = match kind {
            b'X' => return Ok(false),
            b'Q' => return Ok(self.query(body).await),
            b'S' => {
                self.skips_to_sync = false;
                let result = self.end_implicit();
                let goes_on = self.told(result);
                self.ready();
                return Ok(goes_on);
            }
            _ if self.skips_to_sync => return Ok(true),
            b'P' => self.parse(&mut body).await,
            b'B' => self.bind(&mut body).await,
            b'D' => self.describe(&mut body).await,
            b'E' => self.execute(&mut body, is_sync_next).await,
            b'C' => self.close(&mut body),
            b'H' => return self.wire.flush().await.map(|()| true),
            _ => Err(malformed("unexpected message")),
        };
        self.skips_to_sync = result.is_err();
        Ok(self.told(result))
    }

    /// Tells the client of an error, and lets it have its effect on the transaction; false ends the connection.
    fn told(&mut self, result: SqlResult<()>) -> bool {
        let Err(error) = result else {
            return true;
        };
        wire::error(&mut self.wire.out, &error);
        match self.transaction.status {
            Status::Implicit => self.transaction.rollback(),
            Status::Open => self.transaction.status = Status::Failed,
            Status::Idle | Status::Failed => (),
        }
        !error.is_fatal()
    }

    /// Ends what a message, or a series up to a Sync, has begun.
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

    /// Refuses whatever does not end a transaction that has failed.
    fn check_usable(&self, ends_transaction: bool) -> SqlResult<()> {
        if self.transaction.status == Status::Failed && !ends_transaction {
            return Err(SqlError::new("25P02", "current transaction is aborted"));
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
        wire::command_complete(&mut self.wire.out, tag);
    }

    /// A Query message: any number of statements in one text.
    async fn query(&mut self, mut body: Body<'_>) -> bool {
        self.skips_to_sync = false;
        let counts = self.counts.clone();
        let _in_flight = counts.enter();
        self.delay().await;
        let mut result = match body.text() {
            Ok(sql) => self.run_all(sql).await,
            Err(error) => Err(error),
        };
        if result.is_ok() {
            result = self.end_implicit();
        }
        let goes_on = self.told(result);
        self.ready();
        goes_on
    }

    async fn run_all(&mut self, sql: &str) -> SqlResult<()> {
        let statements = statements(sql)?;
        if statements.is_empty() {
            wire::message(&mut self.wire.out, b'I', |_| ());
            return Ok(());
        }
        self.counts.requests.fetch_add(1, Relaxed);
        for statement in &statements {
            // A COMMIT among them ends a transaction, and the rest is the next one.
            if statements.len() > 1 && self.transaction.status == Status::Idle {
                self.transaction.status = Status::Implicit;
            }
            match Verb::of(statement) {
                Some(verb) => self.run_once(statement, verb).await?,
                None => self.command(statement, true).await?,
            }
        }
        Ok(())
    }

    /// Takes the engine as the transaction needs it, then runs `use_it`.
    async fn with_engine<T>(
        &mut self,
        takes_lease: bool,
        use_it: impl FnOnce(&Engine, &Scope, &mut Vec<u8>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        self.transaction
            .lease_for(&self.database, takes_lease)
            .await?;
        let turn;
        let engine = match self.transaction.leased() {
            Some(engine) => engine,
            None => {
                turn = self.database.turn().await?;
                &*turn
            }
        };
        engine.enter(self.settings.statement_timeout());
        use_it(engine, &self.scope, &mut self.wire.out)
    }

    fn check_runnable(&self, verb: Verb) -> SqlResult<()> {
        if self.transaction.is_read_only && verb != Verb::Select {
            return Err(SqlError::new(
                "25006",
                "cannot change rows in a read-only transaction",
            ));
        }
        self.check_usable(false)
    }

    /// Runs one statement of a Query message.
    async fn run_once(&mut self, statement: &Statement<'_>, verb: Verb) -> SqlResult<()> {
        self.check_runnable(verb)?;
        let run = |engine: &Engine, scope: &Scope, out: &mut Vec<u8>| {
            engine.plan(statement, verb, scope, &[], false, |plan, prepared| {
                if !plan.parameters.is_empty() {
                    return Err(SqlError::new("42P02", "there is no parameter $1"));
                }
                if !plan.columns.is_empty() {
                    wire::row_description(out, &plan.columns, &[]);
                }
                engine.step(&plan, prepared, &[], &[], usize::MAX, out)
            })
        };
        let count = self.with_engine(verb.takes_lease(statement), run).await?;
        self.complete(&tag(verb, count));
        Ok(())
    }

    async fn parse(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (name, sql) = (body.text()?, body.text()?);
        let declared = body.list(|body| Ok(body.i32()? as u32))?;
        if !name.is_empty() && self.prepared.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new("42P05", message));
        }
        check_named(self.prepared.len())?;
        let statements = statements(sql)?;
        let mut plan = None;
        if let [statement] = statements.as_slice() {
            let verb = Verb::of(statement);
            let ends = if verb.is_some() {
                false
            } else {
                check_command(statement)?
            };
            self.check_usable(ends)?;
            // Whoever waited here for the transaction of another connection could be the one that has to end it.
            let turn = self.database.try_turn();
            let engine = self.transaction.leased().or(turn.as_deref());
            if let (Some(verb), Some(engine)) = (verb, engine) {
                plan = Some(engine.plan(
                    statement,
                    verb,
                    &self.scope,
                    &declared,
                    true,
                    |plan, _| Ok(plan),
                )?);
            }
        } else if !statements.is_empty() {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(SqlError::new("42601", message));
        }
        let prepared = Prepared {
            sql: sql.to_owned(),
            declared,
            plan,
        };
        self.prepared.insert(name.to_owned(), Arc::new(prepared));
        wire::message(&mut self.wire.out, b'1', |_| ());
        Ok(())
    }

    /// A prepared statement, planned if it is not, or if definitions or the search path have changed since.
    async fn current(&mut self, name: &str) -> SqlResult<Arc<Prepared>> {
        let missing = || no_such_statement(name);
        let prepared = self.prepared.get(name).ok_or_else(missing)?.clone();
        let generation = self.database.generation.load(Relaxed);
        let holds = |plan: &Plan| plan.generation == generation && plan.path == self.scope.path;
        if prepared.plan.as_ref().is_some_and(holds) {
            return Ok(prepared);
        }
        let statements = statements(&prepared.sql)?;
        let Some((statement, verb)) = statements
            .first()
            .and_then(|first| Some((first, Verb::of(first)?)))
        else {
            return Ok(prepared);
        };
        self.check_usable(false)?;
        let declared = &prepared.declared;
        let plan = self.with_engine(false, |engine, scope, _| {
            engine.plan(statement, verb, scope, declared, true, |plan, _| Ok(plan))
        });
        let plan = Some(plan.await?);
        let (sql, declared) = (prepared.sql.clone(), prepared.declared.clone());
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
        let formats = body.list(Body::is_binary)?;
        let count = usize::from(body.i16()? as u16);
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
        let formats = body.list(Body::is_binary)?;
        check_named(self.portals.len())?;
        let bound = Portal {
            prepared,
            values,
            formats,
            has_run: false,
        };
        self.portals.insert(portal.to_owned(), bound);
        wire::message(&mut self.wire.out, b'2', |_| ());
        Ok(())
    }

    fn portal(&mut self, name: &str) -> SqlResult<&mut Portal> {
        let missing = || SqlError::new("34000", format!("portal \"{name}\" does not exist"));
        self.portals.get_mut(name).ok_or_else(missing)
    }

    async fn describe(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (target, name) = (body.u8()?, body.text()?);
        let (prepared, formats) = if target == b'S' {
            (self.current(name).await?, Vec::new())
        } else {
            let portal = self.portal(name)?;
            (portal.prepared.clone(), portal.formats.clone())
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
        let shown = commands::shown(&prepared.sql);
        let columns = plan.map_or(&shown, |plan| &plan.columns);
        if columns.is_empty() {
            wire::message(out, b'n', |_| ());
        } else {
            wire::row_description(out, columns, &formats);
        }
        Ok(())
    }

    async fn execute(&mut self, body: &mut Body<'_>, is_sync_next: bool) -> SqlResult<()> {
        let (name, max_rows) = (body.text()?, body.i32()?);
        let portal = self.portal(name)?;
        if std::mem::replace(&mut portal.has_run, true) {
            return Err(SqlError::unsupported("a second Execute of a portal"));
        }
        let prepared = portal.prepared.clone();
        let (values, formats) = (
            std::mem::take(&mut portal.values),
            std::mem::take(&mut portal.formats),
        );
        let counts = self.counts.clone();
        let _in_flight = counts.enter();
        self.delay().await;
        // Followed by Sync it is a transaction by itself; otherwise what comes up to the next Sync belongs to it.
        if self.transaction.status == Status::Idle && !is_sync_next {
            self.transaction.status = Status::Implicit;
        }
        let Some(plan) = &prepared.plan else {
            return self.run_command(&prepared.sql).await;
        };
        counts.requests.fetch_add(1, Relaxed);
        self.check_runnable(plan.verb)?;
        let max_rows = usize::try_from(max_rows)
            .ok()
            .filter(|&rows| rows > 0)
            .unwrap_or(usize::MAX);
        let run = |engine: &Engine, _: &Scope, out: &mut Vec<u8>| {
            engine.run(plan, &values, &formats, max_rows, out)
        };
        let count = self.with_engine(plan.takes_lease, run).await?;
        if plan.columns.is_empty() || count < max_rows {
            self.complete(&tag(plan.verb, count));
        } else {
            // Nobody has looked whether there are more.
            counts.statements.fetch_add(1, Relaxed);
            wire::message(&mut self.wire.out, b's', |_| ());
        }
        Ok(())
    }

    /// Executes a command of the extended protocol, if there is one in the text.
    async fn run_command(&mut self, sql: &str) -> SqlResult<()> {
        let Some(statement) = statements(sql)?.pop() else {
            wire::message(&mut self.wire.out, b'I', |_| ());
            return Ok(());
        };
        self.counts.requests.fetch_add(1, Relaxed);
        self.command(&statement, false).await
    }

    fn close(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (target, name) = (body.u8()?, body.text()?);
        if target == b'S' {
            self.prepared.remove(name);
        } else {
            self.portals.remove(name);
        }
        wire::message(&mut self.wire.out, b'3', |_| ());
        Ok(())
    }
}

fn check_named(count: usize) -> SqlResult<()> {
    if count >= MAX_NAMED {
        return Err(SqlError::new(
            "53400",
            format!("more than {MAX_NAMED} statements or portals"),
        ));
    }
    Ok(())
}

fn no_such_statement(name: &str) -> SqlError {
    SqlError::new(
        "26000",
        format!("prepared statement \"{name}\" does not exist"),
    )
}

fn tag(verb: Verb, count: usize) -> String {
    match verb {
        Verb::Select => format!("SELECT {count}"),
        Verb::Insert => format!("INSERT 0 {count}"),
        Verb::Update => format!("UPDATE {count}"),
        Verb::Delete => format!("DELETE {count}"),
    }
}
