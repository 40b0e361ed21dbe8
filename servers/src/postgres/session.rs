//! A session: both protocols, simple and extended, and the rules around statements.
//!
//! Here is what an error does to a transaction, what belongs to one, and what is counted. A statement that reads or
//! changes rows is planned and run by `database.rs`; every other one is a command, see `session/commands.rs`. A portal's
//! statement runs as a whole at its first Execute; rows that were not asked for yet wait as they will be sent.

mod commands;
mod copy;

pub(crate) use commands::check_command;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rusqlite::types::Value;

use super::database::{Database, Engine, Plan, Sink, is_binary};
use super::error::{SqlError, SqlResult};
use super::names::{Scope, quote, tables_of};
use super::rewrite::{Verb, takes_lease};
use super::token::{Statement, statements};
use super::transaction::{Modes, Status, Transaction};
use super::types::{Type, read_value};
use super::wire::{self, Body, MAX_MESSAGE_BYTES, Wire, WireError, malformed};
use crate::Counts;
use commands::command_column;
use copy::Copy;

/// Prepared statements and portals of one session at most.
const MAX_NAMED: usize = 10_000;

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
    /// After an error in the extended protocol all is ignored up to the next Sync.
    skips_to_sync: bool,
    /// The COPY whose rows are being received.
    copy: Option<Copy>,
}

/// A statement that was parsed.
#[derive(Debug)]
struct Prepared {
    sql: String,
    declared: Vec<u32>,
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// There is no statement in the text.
    Nothing,
    /// Parsed again when it runs; a column's name if it gives rows.
    Command(Option<String>),
    Run(Arc<Plan>),
}

/// A statement with values for its parameters.
#[derive(Debug)]
struct Portal {
    prepared: Arc<Prepared>,
    values: Vec<Value>,
    formats: Vec<bool>,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Bound,
    Suspended(Rows),
    Done,
}

/// Rows that have not been asked for yet, as messages.
#[derive(Debug)]
struct Rows {
    messages: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
    sent: usize,
    tag: String,
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
            copy: None,
        }
    }

    /// Serves the client until it leaves.
    pub(crate) async fn serve(mut self) {
        if let Err(WireError::Protocol(error)) = self.serve_messages().await {
            wire::error(&mut self.wire.out, &error);
        }
        self.transaction.rollback();
        // Whoever waits too long for the engine leaves empty names behind, which no other session looks at.
        let _ = self.drop_temporary().await;
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
        match kind {
            b'X' => return Ok(false),
            b'd' | b'c' | b'f' => return Ok(self.copy_message(kind, body)),
            b'S' | b'H' if self.copy.is_some() => return Ok(true),
            _ if self.copy.is_some() => return Err(malformed("expected the rows of a COPY").into()),
            b'Q' => return Ok(self.query(body).await),
            b'S' => {
                self.skips_to_sync = false;
                self.end_implicit();
                self.ready();
                return Ok(true);
            }
            _ if self.skips_to_sync => return Ok(true),
            b'H' => {
                self.wire.flush().await?;
                return Ok(true);
            }
            _ => (),
        }
        let result = match kind {
            b'P' => self.parse(&mut body).await,
            b'B' => self.bind(&mut body).await,
            b'D' => self.describe(&mut body).await,
            b'E' => self.execute(&mut body, is_sync_next).await,
            b'C' => self.close(&mut body),
            _ => Err(malformed("unexpected message")),
        };
        if let Err(error) = result {
            self.skips_to_sync = true;
            return Ok(self.refuse(&error));
        }
        Ok(true)
    }

    /// Tells the client of an error, and lets it have its effect on the transaction; false ends the connection.
    fn refuse(&mut self, error: &SqlError) -> bool {
        wire::error(&mut self.wire.out, error);
        if self.transaction.status == Status::Implicit {
            self.transaction.rollback();
            self.transaction_ended();
        } else {
            self.transaction.fail();
        }
        !error.is_fatal()
    }

    /// Ends what lasts as long as a transaction.
    fn transaction_ended(&mut self) {
        self.scope.settings.end_transaction();
        self.scope.update_path();
        self.portals.clear();
    }

    fn end_implicit(&mut self) {
        match self.transaction.status {
            Status::Implicit => {
                if let Err(error) = self.transaction.commit() {
                    wire::error(&mut self.wire.out, &error);
                }
                self.transaction_ended();
            }
            Status::Idle => self.portals.clear(),
            Status::Open | Status::Failed => (),
        }
    }

    fn ready(&mut self) {
        let status = match self.transaction.status {
            Status::Idle | Status::Implicit => b'I',
            Status::Open => b'T',
            Status::Failed => b'E',
        };
        wire::message(&mut self.wire.out, b'Z', |out| out.push(status));
    }

    /// Begins a transaction with the session's defaults.
    fn begin(&mut self, status: Status, modes: Modes) {
        let level = self.scope.settings.get("default_transaction_isolation");
        self.transaction.begin(status, modes, level);
    }

    /// Refuses whatever does not end a transaction that has failed.
    fn check_usable(&self, ends_transaction: bool) -> SqlResult<()> {
        if self.transaction.status == Status::Failed && !ends_transaction {
            let message =
                "current transaction is aborted, commands ignored until end of transaction block";
            return Err(SqlError::new("25P02", message));
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
        let result = match body.text() {
            Ok(sql) => self.run_all(sql).await,
            Err(error) => Err(error),
        };
        let goes_on = match result {
            Ok(()) if self.copy.is_some() => return true,
            Ok(()) => {
                self.end_implicit();
                true
            }
            Err(error) => self.refuse(&error),
        };
        self.ready();
        goes_on
    }

    async fn run_all(&mut self, sql: &str) -> SqlResult<()> {
        let statements = statements(sql)?;
        if statements.is_empty() {
            wire::empty(&mut self.wire.out, b'I');
            return Ok(());
        }
        self.counts.requests.fetch_add(1, Relaxed);
        for (at, statement) in statements.iter().enumerate() {
            // A COMMIT among them ends a transaction, and the rest is the next one.
            if statements.len() > 1 && self.transaction.status == Status::Idle {
                self.begin(Status::Implicit, Modes::default());
            }
            match Verb::of(statement) {
                Some(verb) => self.run_once(statement, verb).await?,
                None => {
                    if let Some(tag) = self.command(statement, true).await? {
                        self.complete(&tag);
                    }
                }
            }
            if self.copy.is_some() && at + 1 < statements.len() {
                self.copy = None;
                return Err(SqlError::unsupported(
                    "a statement after COPY in one message",
                ));
            }
        }
        Ok(())
    }

    /// Takes the engine as the transaction needs it, then runs `use_it`.
    async fn with_engine<T>(
        &mut self,
        takes_lease: bool,
        use_it: impl FnOnce(&mut Engine, &Scope, &mut Vec<u8>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let Session {
            wire,
            database,
            scope,
            transaction,
            ..
        } = self;
        transaction.lease_for(database, takes_lease).await?;
        let mut turn;
        let engine = match transaction.leased() {
            Some(engine) => engine,
            None => {
                turn = database.turn().await?;
                &mut *turn
            }
        };
        engine.enter(scope.settings.statement_timeout());
        use_it(engine, scope, &mut wire.out)
    }

    fn check_writable(&self, verb: Verb) -> SqlResult<()> {
        if self.transaction.is_read_only && verb != Verb::Select {
            return Err(SqlError::new(
                "25006",
                "cannot change rows in a read-only transaction",
            ));
        }
        Ok(())
    }

    /// Runs one statement of a Query message.
    async fn run_once(&mut self, statement: &Statement<'_>, verb: Verb) -> SqlResult<()> {
        self.check_usable(false)?;
        self.check_writable(verb)?;
        let run = |engine: &mut Engine, scope: &Scope, out: &mut Vec<u8>| {
            engine.once(statement, verb, scope, |plan, prepared| {
                if !plan.parameters.is_empty() {
                    return Err(SqlError::new("42P02", "there is no parameter $1"));
                }
                if !plan.columns.is_empty() {
                    describe_rows(out, plan, &[]);
                }
                engine.step(
                    plan,
                    prepared,
                    &[],
                    &mut Sink {
                        out,
                        ends: None,
                        formats: &[],
                    },
                )
            })
        };
        let count = self.with_engine(takes_lease(statement, verb), run).await?;
        self.complete(&tag(verb, count));
        Ok(())
    }

    async fn parse(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (name, sql) = (body.text()?, body.text()?);
        let declared = body.list(|body| Ok(body.i32()? as u32))?;
        if !name.is_empty() && self.prepared.contains_key(name) {
            return Err(SqlError::new(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        check_named(self.prepared.len())?;
        let action = self.action(sql, &declared).await?;
        let prepared = Arc::new(Prepared {
            sql: sql.to_owned(),
            declared,
            action,
        });
        self.prepared.insert(name.to_owned(), prepared);
        wire::empty(&mut self.wire.out, b'1');
        Ok(())
    }

    /// What a text of one statement asks for.
    async fn action(&mut self, sql: &str, declared: &[u32]) -> SqlResult<Action> {
        if self.transaction.status != Status::Failed {
            let known = self
                .with_engine(false, |engine, scope, _| {
                    Ok(engine.known_plan(sql, scope, declared))
                })
                .await?;
            if let Some(plan) = known {
                return Ok(Action::Run(plan));
            }
        }
        let statements = statements(sql)?;
        let [statement] = statements.as_slice() else {
            if statements.is_empty() {
                return Ok(Action::Nothing);
            }
            return Err(SqlError::new(
                "42601",
                "cannot insert multiple commands into a prepared statement",
            ));
        };
        let Some(verb) = Verb::of(statement) else {
            self.check_usable(check_command(statement)?)?;
            return Ok(Action::Command(command_column(statement)));
        };
        self.check_usable(false)?;
        let plan = self
            .with_engine(false, |engine, scope, _| {
                engine.plan(sql, statement, verb, scope, declared)
            })
            .await?;
        Ok(Action::Run(plan))
    }

    /// A prepared statement, planned again if definitions or the search path have changed since.
    async fn current(&mut self, name: &str) -> SqlResult<Arc<Prepared>> {
        let missing = || {
            SqlError::new(
                "26000",
                format!("prepared statement \"{name}\" does not exist"),
            )
        };
        let prepared = self.prepared.get(name).ok_or_else(missing)?.clone();
        match &prepared.action {
            Action::Run(plan) if !self.database.holds(plan, &self.scope) => {
                let (sql, declared) = (prepared.sql.clone(), prepared.declared.clone());
                let action = self.action(&sql, &declared).await?;
                let renewed = Arc::new(Prepared {
                    sql,
                    declared,
                    action,
                });
                self.prepared.insert(name.to_owned(), renewed.clone());
                Ok(renewed)
            }
            _ => Ok(prepared),
        }
    }

    async fn bind(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (portal, name) = (body.text()?, body.text()?);
        let prepared = self.current(name).await?;
        let parameters = match &prepared.action {
            Action::Run(plan) => plan.parameters.as_slice(),
            _ => &[],
        };
        if matches!(prepared.action, Action::Run(_)) {
            self.check_usable(false)?;
        }
        let formats = formats(body)?;
        let count = usize::from(body.i16()? as u16);
        if count != parameters.len() || formats.len() > 1 && formats.len() != count {
            let message = format!(
                "bind message supplies {count} parameters, but prepared statement \"{name}\" requires {}",
                parameters.len()
            );
            return Err(SqlError::new("08P01", message));
        }
        let mut values = Vec::with_capacity(count);
        for (at, parameter) in parameters.iter().enumerate() {
            let length = body.i32()?;
            values.push(match usize::try_from(length) {
                Err(_) => Value::Null,
                Ok(length) => {
                    let data = body.bytes(length)?;
                    read_value(
                        data,
                        parameter.ty,
                        is_binary(&formats, at),
                        Type::is_native(parameter.oid),
                    )?
                }
            });
        }
        let formats = self::formats(body)?;
        check_named(self.portals.len())?;
        self.portals.insert(
            portal.to_owned(),
            Portal {
                prepared,
                values,
                formats,
                progress: Progress::Bound,
            },
        );
        wire::empty(&mut self.wire.out, b'2');
        Ok(())
    }

    fn portal(&mut self, name: &str) -> SqlResult<&mut Portal> {
        let missing = || SqlError::new("34000", format!("portal \"{name}\" does not exist"));
        self.portals.get_mut(name).ok_or_else(missing)
    }

    async fn describe(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (target, name) = (body.u8()?, body.text()?);
        let (prepared, formats) = match target {
            b'S' => (self.current(name).await?, Vec::new()),
            b'P' => {
                let portal = self.portal(name)?;
                (portal.prepared.clone(), portal.formats.clone())
            }
            _ => return Err(malformed("invalid target of Describe")),
        };
        let out = &mut self.wire.out;
        if target == b'S' {
            let oids: Vec<u32> = match &prepared.action {
                Action::Run(plan) => plan
                    .parameters
                    .iter()
                    .map(|parameter| parameter.oid)
                    .collect(),
                _ => Vec::new(),
            };
            wire::parameter_description(out, &oids);
        }
        match &prepared.action {
            Action::Run(plan) if !plan.columns.is_empty() => describe_rows(out, plan, &formats),
            Action::Command(Some(column)) => {
                wire::row_description(out, [(column.as_str(), Type::Text, false)].into_iter())
            }
            _ => wire::empty(out, b'n'),
        }
        Ok(())
    }

    async fn execute(&mut self, body: &mut Body<'_>, is_sync_next: bool) -> SqlResult<()> {
        let (name, limit) = (body.text()?, body.i32()?);
        let limit = usize::try_from(limit).unwrap_or(0);
        let portal = self.portal(name)?;
        let prepared = portal.prepared.clone();
        match std::mem::replace(&mut portal.progress, Progress::Done) {
            Progress::Suspended(rows) => {
                self.send_rows(name, rows, limit);
                return Ok(());
            }
            Progress::Done => {
                return Err(SqlError::new(
                    "55000",
                    format!("portal \"{name}\" cannot be run"),
                ));
            }
            Progress::Bound => (),
        }
        let (values, formats) = (
            std::mem::take(&mut portal.values),
            std::mem::take(&mut portal.formats),
        );
        if matches!(prepared.action, Action::Nothing) {
            wire::empty(&mut self.wire.out, b'I');
            return Ok(());
        }
        let counts = self.counts.clone();
        let _in_flight = counts.enter();
        counts.requests.fetch_add(1, Relaxed);
        self.delay().await;
        // Followed by Sync it is a transaction by itself; otherwise what comes up to the next Sync belongs to it.
        if self.transaction.status == Status::Idle && !is_sync_next {
            self.begin(Status::Implicit, Modes::default());
        }
        let Action::Run(plan) = &prepared.action else {
            let statements = statements(&prepared.sql)?;
            if let Some(tag) = self.command(&statements[0], false).await? {
                self.complete(&tag);
            }
            return Ok(());
        };
        self.check_usable(false)?;
        self.check_writable(plan.verb)?;
        let start = self.wire.out.len();
        let mut ends = Vec::new();
        let limits_rows = limit > 0 && !plan.columns.is_empty();
        let run = |engine: &mut Engine, _: &Scope, out: &mut Vec<u8>| {
            let ends = limits_rows.then_some(&mut ends);
            engine.run(
                plan,
                &values,
                &mut Sink {
                    out,
                    ends,
                    formats: &formats,
                },
            )
        };
        let count = self.with_engine(plan.takes_lease, run).await?;
        let tag = tag(plan.verb, count);
        if !limits_rows {
            self.complete(&tag);
            return Ok(());
        }
        counts.statements.fetch_add(1, Relaxed);
        let messages = self.wire.out.split_off(start);
        ends.iter_mut().for_each(|end| *end -= start);
        self.send_rows(
            name,
            Rows {
                messages,
                ends,
                sent: 0,
                tag,
            },
            limit,
        );
        Ok(())
    }

    /// Sends the next rows of a portal.
    fn send_rows(&mut self, name: &str, mut rows: Rows, limit: usize) {
        let left = rows.ends.len() - rows.sent;
        let count = if limit == 0 { left } else { left.min(limit) };
        let end_of = |row: usize| if row == 0 { 0 } else { rows.ends[row - 1] };
        let messages = &rows.messages[end_of(rows.sent)..end_of(rows.sent + count)];
        self.wire.out.extend_from_slice(messages);
        rows.sent += count;
        // As in PostgreSQL: when as many rows came as were asked for, nobody has looked whether there are more.
        if limit == 0 || count < limit {
            let tag = if rows.tag.starts_with("SELECT") {
                format!("SELECT {count}")
            } else {
                rows.tag
            };
            wire::command_complete(&mut self.wire.out, &tag);
            return;
        }
        if let Ok(portal) = self.portal(name) {
            portal.progress = Progress::Suspended(rows);
        }
        wire::empty(&mut self.wire.out, b's');
    }

    fn close(&mut self, body: &mut Body<'_>) -> SqlResult<()> {
        let (target, name) = (body.u8()?, body.text()?);
        match target {
            b'S' => drop(self.prepared.remove(name)),
            b'P' => drop(self.portals.remove(name)),
            _ => return Err(malformed("invalid target of Close")),
        }
        wire::empty(&mut self.wire.out, b'3');
        Ok(())
    }

    /// Drops the temporary tables of the session.
    async fn drop_temporary(&mut self) -> SqlResult<()> {
        if !self.scope.has_temporary {
            return Ok(());
        }
        let drop_all = |engine: &mut Engine, scope: &Scope, _: &mut Vec<u8>| {
            let tables = tables_of(&engine.connection, &scope.temporary_schema())?;
            let drops: Vec<String> = tables
                .iter()
                .map(|table| format!("DROP TABLE {}", quote(table)))
                .collect();
            engine.define(&drops)
        };
        self.with_engine(true, drop_all).await
    }
}

fn check_named(count: usize) -> SqlResult<()> {
    if count >= MAX_NAMED {
        return Err(SqlError::new(
            "53400",
            format!("a session has {MAX_NAMED} statements or portals at most"),
        ));
    }
    Ok(())
}

/// True for each format that is binary.
fn formats(body: &mut Body<'_>) -> SqlResult<Vec<bool>> {
    body.list(|body| match body.i16()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(SqlError::new(
            "08P01",
            format!("unsupported format code {other}"),
        )),
    })
}

fn describe_rows(out: &mut Vec<u8>, plan: &Plan, formats: &[bool]) {
    let column = |(at, column): (usize, &'_ super::database::Column)| {
        (column.name.clone(), column.ty, is_binary(formats, at))
    };
    let columns: Vec<_> = plan.columns.iter().enumerate().map(column).collect();
    wire::row_description(
        out,
        columns
            .iter()
            .map(|(name, ty, is_binary)| (name.as_str(), *ty, *is_binary)),
    );
}

fn tag(verb: Verb, count: u64) -> String {
    match verb {
        Verb::Select => format!("SELECT {count}"),
        Verb::Insert => format!("INSERT 0 {count}"),
        Verb::Update => format!("UPDATE {count}"),
        Verb::Delete => format!("DELETE {count}"),
    }
}
