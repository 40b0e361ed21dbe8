//! A session: from the client's messages to plans, and from their results to answers.
//!
//! Both protocols are here, simple and extended, with the rules that surround statements: what an error does to a
//! transaction, what belongs to one, what is counted. How a plan is carried out is in `commands.rs`, prepared
//! statements and portals are in `portals.rs`.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgwire::messages::PgWireFrontendMessage;
use pgwire::messages::data::{FieldDescription, NoData, RowDescription};
use pgwire::messages::extendedquery::MESSAGE_TYPE_BYTE_SYNC;
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus,
};
use sqlparser::ast::Statement;

use super::datetime;
use super::engine::{Database, User, format_at};
use super::error::{SqlError, SqlResult};
use super::functions::lock;
use super::plan::{self, Modes, Plan};
use super::portals::Portals;
use super::schema::Schema;
use super::settings::Settings;
use super::transaction::{Status, Transaction};
use super::translate::{Names, Output};
use super::types::PgType;
use super::value::Format;
use super::wire::{Wire, WireError};
use crate::Counts;

/// Why a message could not be dealt with.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The statement failed, and the client is told.
    Sql(SqlError),
    /// The connection did.
    Wire(WireError),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Failure::Sql(error)
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Failure::Wire(error)
    }
}

/// One client, once it has been let in.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) wire: Wire,
    pub(super) database: Arc<Database>,
    pub(super) counts: Arc<Counts>,
    pub(super) pid: i32,
    pub(super) settings: Arc<Mutex<Settings>>,
    pub(super) transaction: Transaction,
    pub(super) portals: Portals,
    /// Waited for before each request.
    pub(super) delay: Duration,
    names: Arc<Names>,
    /// The revision of the settings that the names follow from.
    names_revision: u64,
    /// Whether it has made temporary tables, which its names then begin with.
    pub(super) has_temporary: bool,
    /// After an error in the extended protocol all is ignored up to the next Sync.
    skips_to_sync: bool,
}

/// What a session starts with.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) database: Arc<Database>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) pid: i32,
    pub(crate) settings: Settings,
    pub(crate) delay: Duration,
    pub(crate) user: String,
    pub(crate) database_name: String,
}

impl Session {
    pub(crate) fn new(wire: Wire, opening: Opening) -> Self {
        let path = opening.settings.search_path(&opening.user);
        let names_revision = opening.settings.revision;
        Session {
            wire,
            database: opening.database,
            counts: opening.counts,
            pid: opening.pid,
            names: Arc::new(Names {
                path,
                user: opening.user,
                database: opening.database_name,
            }),
            names_revision,
            settings: Arc::new(Mutex::new(opening.settings)),
            transaction: Transaction::new(),
            portals: Portals::default(),
            delay: opening.delay,
            has_temporary: false,
            skips_to_sync: false,
        }
    }

    /// Serves the client until it goes.
    pub(crate) async fn serve(mut self) {
        let end = self.serve_messages().await;
        if let Err(WireError::Protocol(error)) = end {
            // It may not even be listening any more.
            let _ = self.wire.send_error(&error);
        }
        self.clean_up().await;
        self.wire.close().await;
    }

    async fn serve_messages(&mut self) -> Result<(), WireError> {
        self.ready()?;
        while let Some(message) = self.wire.next().await? {
            match message {
                PgWireFrontendMessage::Terminate(_) => return Ok(()),
                PgWireFrontendMessage::Query(query) => {
                    self.skips_to_sync = false;
                    self.query(&query.query).await?;
                }
                PgWireFrontendMessage::Sync(_) => {
                    self.skips_to_sync = false;
                    self.sync()?;
                }
                _ if self.skips_to_sync => (),
                message => self.extended(message).await?,
            }
            self.wire.flush_if_large().await?;
        }
        Ok(())
    }

    async fn extended(&mut self, message: PgWireFrontendMessage) -> Result<(), WireError> {
        let dealt = match message {
            PgWireFrontendMessage::Parse(parse) => self.parse(parse),
            PgWireFrontendMessage::Bind(bind) => self.bind(bind),
            PgWireFrontendMessage::Describe(describe) => self.describe(describe),
            PgWireFrontendMessage::Execute(execute) => self.execute(execute).await,
            PgWireFrontendMessage::Close(close) => self.close(close),
            PgWireFrontendMessage::Flush(_) => self.wire.flush().await.map_err(Failure::from),
            // What a client may still send after its COPY was refused.
            PgWireFrontendMessage::CopyData(_)
            | PgWireFrontendMessage::CopyDone(_)
            | PgWireFrontendMessage::CopyFail(_) => Ok(()),
            _ => Err(WireError::Protocol(SqlError::fatal("08P01", "unexpected message")).into()),
        };
        match dealt {
            Ok(()) => Ok(()),
            Err(Failure::Wire(error)) => Err(error),
            Err(Failure::Sql(error)) => {
                self.skips_to_sync = true;
                self.refuse(&error)
            }
        }
    }

    /// Tells of an error, and lets it have its effect on the transaction.
    fn refuse(&mut self, error: &SqlError) -> Result<(), WireError> {
        self.wire.send_error(error)?;
        if self.transaction.status == Status::Implicit {
            self.rollback_silently();
        } else {
            self.transaction.fail();
        }
        if error.is_fatal() {
            Err(WireError::Io)
        } else {
            Ok(())
        }
    }

    fn rollback_silently(&mut self) {
        // The client is being told of the error that led here; a second one would not fit the protocol.
        let _ = self.transaction.rollback();
        self.end_of_transaction();
    }

    /// What ends with a transaction, however it ended.
    pub(super) fn end_of_transaction(&mut self) {
        lock(&self.settings).end_transaction();
        self.portals.end_of_transaction();
    }

    fn ready(&mut self) -> Result<(), WireError> {
        let status = match self.transaction.status {
            Status::Idle | Status::Implicit => TransactionStatus::Idle,
            Status::Open => TransactionStatus::Transaction,
            Status::Failed => TransactionStatus::Error,
        };
        self.wire.send(&ReadyForQuery::new(status))
    }

    /// The end of a series of extended messages, and of the transaction they made.
    fn sync(&mut self) -> Result<(), WireError> {
        self.end_implicit()?;
        self.ready()
    }

    fn end_implicit(&mut self) -> Result<(), WireError> {
        if self.transaction.status == Status::Implicit {
            let committed = self.transaction.commit(&self.database);
            self.end_of_transaction();
            if let Err(error) = committed {
                self.wire.send_error(&error)?;
            }
        } else if self.transaction.status == Status::Idle {
            self.portals.end_of_transaction();
        }
        Ok(())
    }

    /// A Query message: any number of statements in one text.
    async fn query(&mut self, sql: &str) -> Result<(), WireError> {
        let counts = self.counts.clone();
        let in_flight = counts.enter();
        self.wait().await;
        match self.statements(sql).await {
            Ok(()) => self.end_implicit()?,
            Err(Failure::Sql(error)) => self.refuse(&error)?,
            Err(Failure::Wire(error)) => return Err(error),
        }
        drop(in_flight);
        self.ready()
    }

    /// The delay that the behaviour asks for.
    pub(super) async fn wait(&mut self) {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
    }

    async fn statements(&mut self, sql: &str) -> Result<(), Failure> {
        if let Some(plan) = self.known_plan(sql, &[]) {
            self.counts.requests.fetch_add(1, Relaxed);
            return self.simple(&plan).await;
        }
        let mut statements = plan::parse(sql)?;
        if statements.is_empty() {
            return Ok(self.wire.send(&EmptyQueryResponse::new())?);
        }
        self.counts.requests.fetch_add(1, Relaxed);
        if let [_] = statements.as_slice()
            && let Some(only) = statements.pop()
        {
            let plan = self.new_plan(Arc::new(only), Vec::new())?;
            self.remember(sql, Vec::new(), &plan);
            return self.simple(&plan).await;
        }
        if self.transaction.status == Status::Idle {
            self.begin(Status::Implicit, Modes::default());
        }
        for statement in statements {
            // A COMMIT among them ends one transaction, and the rest is the next one.
            if self.transaction.status == Status::Idle {
                self.begin(Status::Implicit, Modes::default());
            }
            let plan = self.new_plan(Arc::new(statement), Vec::new())?;
            self.simple(&plan).await?;
        }
        Ok(())
    }

    /// One statement of a Query message, with its answer.
    async fn simple(&mut self, plan: &Arc<Plan>) -> Result<(), Failure> {
        if !plan.parameters.is_empty() {
            return Err(SqlError::new("42P02", "there is no parameter $1").into());
        }
        self.check_usable(plan)?;
        if plan.returns_rows() {
            self.describe_rows(&plan.outputs, &[])?;
        }
        let tag = self.perform(plan, &[], &[], None).await?;
        Ok(self.complete(&tag)?)
    }

    /// Begins a transaction with the session's defaults.
    pub(super) fn begin(&mut self, status: Status, modes: Modes) {
        let strict = lock(&self.settings).is_strict_by_default();
        self.transaction
            .begin(status, modes, strict, datetime::now_micros());
        self.show_level(modes);
    }

    /// Lets SHOW tell the level of the transaction while it lasts.
    pub(super) fn show_level(&mut self, modes: Modes) {
        if let Some(level) = modes.level {
            // The level is one of those that the setting takes.
            let _ = lock(&self.settings).set_local("transaction_isolation", level);
        }
    }

    /// Refuses what may not run after an error in the transaction.
    pub(super) fn check_usable(&self, plan: &Plan) -> SqlResult<()> {
        if self.transaction.status == Status::Failed && !plan.ends_failure() {
            return Err(SqlError::in_failed_transaction());
        }
        Ok(())
    }

    /// Counts a statement as done, and says so.
    pub(super) fn complete(&mut self, tag: &str) -> Result<(), WireError> {
        self.counts.statements.fetch_add(1, Relaxed);
        self.wire.send(&CommandComplete::new(tag.to_owned()))
    }

    /// Describes the columns of rows, or says that there are none.
    pub(super) fn describe_rows(
        &mut self,
        outputs: &[Output],
        formats: &[Format],
    ) -> Result<(), WireError> {
        let field = |(at, output): (usize, &Output)| {
            let (table, column) = output.origin.unwrap_or((0, 0));
            let format = format_at(formats, at).code();
            let (oid, width, modifier) = (output.ty.oid(), output.ty.width(), output.modifier);
            // A modifier of 0 is how an assignment without one is marked inside.
            let modifier = if modifier < 4 { -1 } else { modifier };
            FieldDescription::new(
                output.name.clone(),
                table as i32,
                column,
                oid,
                width,
                modifier,
                format,
            )
        };
        self.wire.send(&RowDescription::new(
            outputs.iter().enumerate().map(field).collect(),
        ))
    }

    /// Says that there will be no rows.
    pub(super) fn describe_nothing(&mut self) -> Result<(), WireError> {
        self.wire.send(&NoData::new())
    }

    /// Whether the client ends its series of messages right here.
    pub(super) fn is_sync_next(&self) -> bool {
        self.wire.is_next(MESSAGE_TYPE_BYTE_SYNC)
    }

    /// The definitions as this session sees them.
    pub(super) fn schema(&mut self) -> Arc<Schema> {
        match self.transaction.lease() {
            Some(engine) => engine.schema.clone(),
            None => self.database.schema(),
        }
    }

    /// What names mean in this session now.
    pub(super) fn names(&mut self) -> Arc<Names> {
        let settings = lock(&self.settings);
        let with_temporary = self
            .names
            .path
            .first()
            .is_some_and(|first| first.starts_with("pg_temp_"));
        if settings.revision != self.names_revision || with_temporary != self.has_temporary {
            let mut path = settings.search_path(&self.names.user);
            if self.has_temporary {
                path.insert(0, self.temporary_schema());
            }
            self.names_revision = settings.revision;
            self.names = Arc::new(Names {
                path,
                ..Names::clone(&self.names)
            });
        }
        drop(settings);
        self.names.clone()
    }

    /// The schema of this session's temporary tables.
    pub(super) fn temporary_schema(&self) -> String {
        format!("pg_temp_{}", self.pid)
    }

    /// Who uses the engine.
    pub(super) fn user(&self) -> User {
        let now_micros = self
            .transaction
            .now_micros
            .unwrap_or_else(datetime::now_micros);
        User {
            pid: self.pid,
            now_micros,
            settings: self.settings.clone(),
        }
    }

    /// The remembered plan of a text, if it holds for this session now.
    pub(super) fn known_plan(
        &mut self,
        sql: &str,
        declared: &[Option<PgType>],
    ) -> Option<Arc<Plan>> {
        let (schema, names) = (self.schema(), self.names());
        self.database.plans().get(sql, &schema, &names, declared)
    }

    pub(super) fn new_plan(
        &mut self,
        statement: Arc<Statement>,
        declared: Vec<Option<PgType>>,
    ) -> SqlResult<Arc<Plan>> {
        let (schema, names) = (self.schema(), self.names());
        plan::plan(statement, &schema, &names, declared).map(Arc::new)
    }

    /// Remembers the plan of a text for all sessions.
    pub(super) fn remember(&mut self, sql: &str, declared: Vec<Option<PgType>>, plan: &Arc<Plan>) {
        let names = self.names();
        self.database
            .plans()
            .put(sql, names, declared, plan.clone());
    }

    /// Gives back whatever the session still has.
    async fn clean_up(&mut self) {
        self.rollback_silently();
        let user = self.user();
        let Ok(mut engine) = self.database.engine().await else {
            return;
        };
        engine.enter(&user);
        lock(&engine.shared).forget_session(self.pid);
        if self.has_temporary {
            // A failure leaves tables that nobody can name any more.
            let _ = super::commands::drop_temporary(
                &self.database,
                &mut engine,
                &self.temporary_schema(),
            );
        }
    }
}
