//! The server `postgres`: PostgreSQL's protocol over SQLite in memory.
//!
//! A thin mock, for runs without a PostgreSQL: both protocols, scalar types in text and binary, prepared statements,
//! transactions, logins, errors with their SQLSTATE. SQL is SQLite's, with names, casts and types rewritten; anything
//! that SQLite cannot do is rejected with SQLSTATE 0A000. This file has the behaviour and the steps from a connection
//! to a session; read `postgres/session.rs` next for a session, `postgres/rewrite.rs` for the SQL,
//! `postgres/database.rs` for the database.

mod auth;
mod database;
mod ddl;
mod error;
mod preload;
mod query;
mod rewrite;
mod session;
mod settings;
mod token;
mod types;
mod wire;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};

use bytes::{Buf, BufMut};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::tls::Identity;
use crate::{
    BehaviourError, Count, CountedStream, Counts, Duration, Running, ServeError, ServerKind,
    Startup, read_behaviour, serve_connections,
};
use auth::{Auth, Authenticator, random};
use database::{Database, Engine};
use error::{CLIENT_IS_GONE, SqlError, SqlResult};
use preload::Preload;
use query::Scope;
use wire::{MAX_LOGIN_BYTES, Wire, text};

const NAME: &str = "postgres";

/// The server `postgres`.
pub(crate) static KIND: ServerKind = ServerKind {
    name: NAME,
    summary: "PostgreSQL's protocol over SQLite in memory, for simple statements",
    counted: &[
        Count::Requests,
        Count::Statements,
        Count::BytesIn,
        Count::BytesOut,
        Count::Connections,
        Count::OpenConnections,
        Count::PeakInFlight,
        Count::Refused,
    ],
    most_threads: None,
    alpn: Some(&["postgresql"]),
    check_behaviour: |behaviour| read(behaviour).map(|_| ()),
    behaviour_schema: || schemars::schema_for!(Behaviour),
    start,
};

/// The behaviour of the server `postgres`. Any database name is accepted, and means the same database.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Behaviour {
    /// Methods of authentication.
    auth: Auth,
    /// The only user allowed; any user if omitted.
    user: Option<String>,
    /// The password, required for every method except trust.
    password: Option<String>,
    /// Tables to start with.
    preload: Vec<Preload>,
    /// The scale of pgbench's tables; 1 is 100,000 accounts.
    pgbench_scale: Option<NonZeroU32>,
    /// Delay before each request is processed.
    delay: Duration,
    /// Maximum number of connections; more are refused with SQLSTATE 53300. Unlimited by default.
    max_connections: Option<NonZeroU32>,
    /// Statements that run before the first client connects.
    seed_sql: Vec<String>,
}

fn read(behaviour: &serde_json::Value) -> Result<Behaviour, BehaviourError> {
    let behaviour: Behaviour = read_behaviour(behaviour)?;
    if behaviour.auth != Auth::Trust && behaviour.password.is_none() {
        let message = "every method but `trust` needs a password";
        return Err(BehaviourError::at(["password"], message));
    }
    for (position, sql) in behaviour.seed_sql.iter().enumerate() {
        let path = ["seed_sql", &position.to_string()];
        let at_it = |error: SqlError| BehaviourError::at(path, error.to_string());
        preload::check_script(sql).map_err(at_it)?;
    }
    Ok(behaviour)
}

/// State shared by all connections.
struct Server {
    database: Database,
    /// The database's own.
    generation: Arc<AtomicU64>,
    authenticator: Authenticator,
    counts: Arc<Counts>,
    /// Waited for before each request.
    delay: std::time::Duration,
    max_connections: Option<u32>,
    identity: Option<Identity>,
    next_pid: AtomicI32,
}

fn start(mut startup: Startup) -> Result<Running, ServeError> {
    let behaviour = read(&startup.behaviour)?;
    let failed = |error: SqlError| ServeError::Start {
        server: NAME,
        source: std::io::Error::other(error),
    };
    let engine = Engine::new(startup.stop.clone()).map_err(failed)?;
    preload::fill(&engine, &behaviour).map_err(failed)?;
    let password = behaviour.password.unwrap_or_default();
    let server = Arc::new(Server {
        generation: engine.generation.clone(),
        database: Arc::new(Mutex::new(engine)),
        authenticator: Authenticator::new(behaviour.auth, behaviour.user, password),
        counts: startup.counts.clone(),
        delay: behaviour.delay.get(),
        max_connections: behaviour.max_connections.map(NonZeroU32::get),
        // The handshake comes after a request for it.
        identity: startup.identity.take(),
        next_pid: AtomicI32::new(1),
    });
    serve_connections(NAME, startup, move |stream| serve(server.clone(), stream))
}

async fn serve(server: Arc<Server>, stream: CountedStream) {
    let mut wire = Wire::new(stream);
    let ended = converse(&server, &mut wire).await;
    wire.close(ended).await;
}

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;

/// Handles a connection from the first message to the last.
async fn converse(server: &Server, wire: &mut Wire) -> SqlResult<()> {
    let (version, body) = loop {
        let mut body = wire.next_untyped(MAX_LOGIN_BYTES).await?;
        let code = body.try_get_i32()?;
        match code {
            SSL_REQUEST | GSS_REQUEST => match &server.identity {
                Some(identity) if code == SSL_REQUEST => wire.secure(identity).await?,
                // Encryption is declined.
                _ => wire.out.push(b'N'),
            },
            // A cancel request has no answer. No statement can be interrupted from outside, since it keeps the thread.
            CANCEL_REQUEST => return Err(SqlError::fatal(CLIENT_IS_GONE, "")),
            _ => break (code, body),
        }
    };
    let counts = &server.counts;
    let is_one_too_many = |most| counts.open_connections.load(Relaxed) > u64::from(most);
    if server.max_connections.is_some_and(is_one_too_many) {
        counts.refused.fetch_add(1, Relaxed);
        return Err(SqlError::fatal("53300", "sorry, too many clients already"));
    }
    if version >> 16 != 3 {
        return Err(SqlError::fatal("0A000", "only protocol 3 is supported"));
    }
    let mut scope = read_startup(wire, version, &body)?;
    scope.pid = server.next_pid.fetch_add(1, Relaxed);
    server.authenticator.log_in(wire, &scope.user).await?;
    for setting in scope.settings.reported() {
        wire::texts(&mut wire.out, b'S', &setting);
    }
    let key = [scope.pid, random() as i32].map(i32::to_be_bytes);
    wire::message(&mut wire.out, b'K', |out| out.extend(key.as_flattened()));
    session::serve(server, wire, scope).await
}

/// Reads the parameters of a startup message. Unknown settings are accepted, since drivers send many.
fn read_startup(wire: &mut Wire, version: i32, mut body: &[u8]) -> Result<Scope, SqlError> {
    let mut scope = Scope::default();
    let mut unknown_options = Vec::new();
    loop {
        let name = text(&mut body)?;
        if name.is_empty() {
            break;
        }
        let value = text(&mut body)?;
        match name {
            "user" => value.clone_into(&mut scope.user),
            "database" => value.clone_into(&mut scope.database),
            "options" => return Err(SqlError::unsupported("`options` in the startup packet")),
            _ if name.starts_with("_pq_.") => unknown_options.push(name),
            _ => drop(scope.settings.set(name, Some(value))),
        }
    }
    if version & 0xffff > 0 || !unknown_options.is_empty() {
        wire::message(&mut wire.out, b'v', |out| {
            out.put_i32(3 << 16);
            out.put_i32(unknown_options.len() as i32);
            wire::put_texts(out, &unknown_options);
        });
    }
    if scope.user.is_empty() {
        return Err(SqlError::fatal("28000", "no user name given"));
    }
    if scope.database.is_empty() {
        scope.database.clone_from(&scope.user);
    }
    Ok(scope)
}
