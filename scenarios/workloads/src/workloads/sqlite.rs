//! `sqlite`: user-defined transactions against an in-process database, through a blocking library.
//!
//! The transactions are those of `sql`. A call of the library occupies a thread until it returns, and no runtime knows of
//! it: `access` selects the thread. Only this file is generic over the runtime; `sqlite/client.rs` runs an operation.

#[cfg(test)]
mod allocations;
mod client;
mod database;
mod dedicated;
mod number;
mod spec;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use self::client::{Client, Round};
use self::database::Database;
pub use self::database::survey;
use self::dedicated::Dedicated;
use self::spec::{Access, SqliteSpec};
use super::params::params;
use super::parts;
use super::sql::{Engine, Script, Statements, TransactionSpec, violated_check};
use crate::data::{DataSpec, DrawSpec, FeedSpec};

#[derive(Debug)]
pub struct Sqlite {
    script: Arc<Script>,
    settings: SqliteSpec,
}

params! {
    /// Transactions of a mix: each operation is one of them, by weight. Without any, `SELECT 1`.
    transaction: Vec<TransactionSpec> = Vec::new(),
    /// The database, and how sessions call it.
    sqlite: SqliteSpec = SqliteSpec::default(),
    /// Rows of files, by name: `:user.email` is the column `email` of the feed `user`.
    feed: BTreeMap<String, FeedSpec> = BTreeMap::new(),
    /// Values drawn by operation number, by name.
    draw: BTreeMap<String, DrawSpec> = BTreeMap::new(),
}

/// One client, on the thread that `access` selects.
pub struct Session {
    index: u32,
    client: ClientHandle,
}

enum ClientHandle {
    Inline(Box<Client>),
    Offloaded(Box<Client>),
    Dedicated(Dedicated),
    /// Taken by an offloaded or dedicated call that never returned.
    Lost,
}

impl Workload for Sqlite {
    const ABOUT: About = About {
        name: "sqlite",
        class: "database",
        operation: "a transaction of a mix on an in-process database; rows counted",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Arc<Round>;
    type Session<R: Runtime> = Session;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let settings = params.sqlite;
        let engine = Engine {
            begin: settings.begin.sql(),
            no_pipeline: Some("expected no pipeline: nothing is sent to an in-process database"),
            keeps_changes: settings.file.is_some() && settings.setup.is_none(),
        };
        let data = DataSpec {
            feed: params.feed,
            draw: params.draw,
        };
        let script = Script::compile(&params.transaction, &data, engine)?;
        Ok(Self {
            script: Arc::new(script),
            settings,
        })
    }

    fn parts(&self) -> Vec<String> {
        self.script.parts.clone()
    }

    fn repeated_writes(&self) -> Vec<String> {
        self.script.repeated_writes.clone()
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Arc<Round>, Failure> {
        let round = Arc::new(Round {
            database: self.database(env),
            script: Arc::clone(&self.script),
            data: self.script.data.load(env)?,
            observed: env.observed.clone(),
            seed: env.seed,
            tries: self.settings.tries.get(),
        });
        let setup = self.text(env, "setup", self.settings.setup.as_ref())?;
        let database = self.database(env);
        parts::offload(&env.runtime, move || {
            if database.is_temporary() {
                database.create()?;
            }
            run(&database, setup)
        })
        .await??;
        Ok(round)
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Arc<Round>>,
        index: u32,
    ) -> Result<Session, Failure> {
        Ok(Session {
            index,
            client: self.open_client(env, index).await?,
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Arc<Round>>,
        session: &mut Session,
        op: u64,
    ) -> Result<(), Failure> {
        if matches!(session.client, ClientHandle::Lost) {
            session.client = self.open_client(env, session.index).await?;
        }
        match &mut session.client {
            ClientHandle::Inline(client) => client.operate(op),
            ClientHandle::Dedicated(dedicated) => {
                let result = dedicated.operate(&env.runtime, op).await;
                if !dedicated.is_usable() {
                    session.client = ClientHandle::Lost;
                }
                result
            }
            handle => {
                let ClientHandle::Offloaded(mut client) =
                    std::mem::replace(handle, ClientHandle::Lost)
                else {
                    unreachable!("a lost client was replaced");
                };
                let work = move || (client.operate(op), client);
                let (result, client) = env.runtime.offload(work).await?;
                session.client = ClientHandle::Offloaded(client);
                result
            }
        }
    }

    async fn close<R: Runtime>(&self, env: &Env<R, Arc<Round>>, session: &mut Session) {
        let client = std::mem::replace(&mut session.client, ClientHandle::Lost);
        // Closing the last connection checkpoints the write-ahead log.
        let _ = parts::offload(&env.runtime, move || client.close()).await;
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Arc<Round>>,
        _: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let teardown = self.text(env, "teardown", self.settings.teardown.as_ref())?;
        let check = self.settings.check.clone();
        let database = self.database(env);
        let work = move || {
            let rows = check.map(|check| database.count_rows(&check)).transpose()?;
            run(&database, teardown)?;
            database.remove()?;
            Ok(rows.and_then(violated_check).into_iter().collect())
        };
        parts::offload(&env.runtime, work).await?
    }

    async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        // A leftover is removed by the next round, or with the work directory.
        let _ = self.database(env).remove();
    }
}

impl Sqlite {
    fn database<R>(&self, env: &RoundEnv<R>) -> Database {
        Database::new(&self.settings, &env.directory, &env.work_dir)
    }

    /// The statements of `key`, with a name for messages.
    fn text<R>(
        &self,
        env: &RoundEnv<R>,
        key: &str,
        statements: Option<&Statements>,
    ) -> Result<Option<(String, String)>, Failure> {
        let named = statements.map(|statements| {
            let text = statements.read(&self.settings.sha256, &env.directory)?;
            Ok((statements.name(key).to_owned(), text))
        });
        named.transpose()
    }

    /// Opens a client on the thread that `access` selects.
    async fn open_client<R: Runtime>(
        &self,
        env: &Env<R, Arc<Round>>,
        index: u32,
    ) -> Result<ClientHandle, Failure> {
        let (round, part) = (Arc::clone(&env.shared), env.parts.recorder(index));
        let opening = move || Client::open(round, index, part).map(Box::new);
        let client = parts::offload(&env.runtime, opening).await??;
        Ok(match self.settings.access {
            Access::Inline => ClientHandle::Inline(client),
            Access::Offload => ClientHandle::Offloaded(client),
            Access::Dedicated => ClientHandle::Dedicated(Dedicated::start(*client)?),
        })
    }
}

impl ClientHandle {
    /// Closes the connection; blocks.
    fn close(self) {
        match self {
            Self::Inline(client) | Self::Offloaded(client) => drop(client),
            Self::Dedicated(dedicated) => dedicated.close(),
            Self::Lost => {}
        }
    }
}

fn run(database: &Database, statements: Option<(String, String)>) -> Result<(), Failure> {
    match statements {
        Some((name, text)) => database.run(&name, &text),
        None => Ok(()),
    }
}
