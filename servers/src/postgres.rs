//! The server `postgres`: PostgreSQL's protocol, over an SQL engine in memory.
//!
//! A client meets what it would meet at a real server as far as its own statements go: both protocols, types in text
//! and binary, prepared statements, transactions, errors with their SQLSTATE, passwords. What is not there is refused
//! with SQLSTATE 0A000. Here live the behaviour and the way from a connection to a session; then read
//! `postgres/session.rs` for a session, `postgres/translate.rs` for the SQL, `postgres/engine.rs` for the database.

mod arrays;
mod auth;
mod casts;
mod catalog;
mod commands;
mod datetime;
mod ddl;
mod engine;
mod error;
mod functions;
mod numeric;
mod plan;
mod portals;
mod preload;
mod schema;
mod session;
mod settings;
mod transaction;
mod translate;
mod types;
mod value;
mod wire;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};

use pgwire::messages::PgWireFrontendMessage;
use pgwire::messages::startup::{
    BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey, Startup as StartupMessage,
};
use serde::{Deserialize, Serialize};

use crate::{
    BehaviourError, Count, CountedStream, Counts, Duration, Running, ServeError, ServerKind,
    Startup, read_behaviour, serve_connections,
};
use auth::{Authenticator, Login, Refusal, Verifier};
use engine::Database;
use error::SqlError;
use preload::Preload;
use session::{Opening, Session};
use settings::Settings;
use wire::{Wire, WireError};

const NAME: &str = "postgres";

/// The server `postgres`.
pub(crate) static KIND: ServerKind = ServerKind {
    name: NAME,
    summary: "PostgreSQL's protocol over an SQL engine in memory",
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
    check_behaviour: |behaviour| read(behaviour).map(|_| ()),
    behaviour_schema: || schemars::schema_for!(Behaviour),
    start,
};

/// How clients prove who they are.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
enum Auth {
    /// Not at all.
    #[default]
    Trust,
    /// With the password in the clear.
    Cleartext,
    /// With a salted MD5 hash of it.
    Md5,
    /// With SCRAM, as PostgreSQL does by default.
    #[serde(rename = "scram-sha-256")]
    Scram,
}

/// The behaviour of the server `postgres`. Any database name is accepted, and means the same database.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Behaviour {
    /// How clients prove who they are.
    auth: Auth,
    /// The only user; any user without it.
    user: Option<String>,
    /// The password; needed for every method but trust.
    password: Option<String>,
    /// Tables to start with.
    preload: Vec<Preload>,
    /// The scale of pgbench's tables; 1 is 100,000 accounts.
    pgbench_scale: Option<NonZeroU32>,
    /// Waited for before each request is dealt with.
    delay: Duration,
    /// Connections at once; more are refused with SQLSTATE 53300. No bound without it.
    max_connections: Option<NonZeroU32>,
    /// Statements that are run before the first client is let in.
    seed_sql: Vec<String>,
}

fn read(behaviour: &serde_json::Value) -> Result<Behaviour, BehaviourError> {
    let behaviour: Behaviour = read_behaviour(behaviour)?;
    if behaviour.auth != Auth::Trust && behaviour.password.is_none() {
        return Err(BehaviourError::at(
            ["password"],
            "every method but `trust` needs a password",
        ));
    }
    for (position, sql) in behaviour.seed_sql.iter().enumerate() {
        let at = position.to_string();
        preload::check_script(sql)
            .map_err(|error| BehaviourError::at(["seed_sql", &at], error.to_string()))?;
    }
    Ok(behaviour)
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    database: Arc<Database>,
    authenticator: Authenticator,
    counts: Arc<Counts>,
    delay: std::time::Duration,
    max_connections: Option<u32>,
    admitted: AtomicU32,
    next_pid: AtomicI32,
}

fn start(startup: Startup) -> Result<Running, ServeError> {
    let behaviour = read(&startup.behaviour)?;
    let failed = |error: SqlError| ServeError::Start {
        server: NAME,
        source: std::io::Error::other(error),
    };
    let database = Database::new().map_err(failed)?;
    let scale = behaviour.pgbench_scale.map_or(1, NonZeroU32::get);
    // Nobody else has the engine yet, so this waits for nothing and needs no runtime of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|source| ServeError::Start {
        server: NAME,
        source,
    })?;
    runtime
        .block_on(preload::fill(
            &database,
            &behaviour.preload,
            scale,
            &behaviour.seed_sql,
        ))
        .map_err(failed)?;
    let server = Arc::new(Server {
        database: Arc::new(database),
        authenticator: authenticator(&behaviour),
        counts: startup.counts.clone(),
        delay: behaviour.delay.get(),
        max_connections: behaviour.max_connections.map(NonZeroU32::get),
        admitted: AtomicU32::new(0),
        next_pid: AtomicI32::new(1),
    });
    serve_connections(NAME, startup, move |stream| serve(server.clone(), stream))
}

fn authenticator(behaviour: &Behaviour) -> Authenticator {
    let password = behaviour.password.clone().unwrap_or_default();
    let login = Login {
        user: behaviour.user.clone(),
        password,
    };
    match behaviour.auth {
        Auth::Trust => Authenticator::Trust,
        Auth::Cleartext => Authenticator::Cleartext(login),
        Auth::Md5 => Authenticator::Md5(login),
        Auth::Scram => {
            let verifier = Verifier::of(&login.password);
            Authenticator::Scram(login, verifier)
        }
    }
}

/// A connection that counts against the bound, until it is dropped.
struct Admitted<'a>(&'a Server);

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Relaxed);
    }
}

impl Server {
    fn admit(&self) -> Result<Admitted<'_>, SqlError> {
        let before = self.admitted.fetch_add(1, Relaxed);
        let admitted = Admitted(self);
        if self.max_connections.is_some_and(|most| before >= most) {
            self.counts.refused.fetch_add(1, Relaxed);
            return Err(SqlError::fatal("53300", "sorry, too many clients already"));
        }
        Ok(admitted)
    }
}

/// A number that nobody can foresee, for salts and nonces.
fn random() -> u64 {
    // Each state is keyed by the operating system's random numbers.
    RandomState::new().build_hasher().finish()
}

async fn serve(server: Arc<Server>, stream: CountedStream) {
    let mut wire = Wire::new(stream);
    let message = match wire.first().await {
        Ok(Some(PgWireFrontendMessage::Startup(message))) => message,
        Err(WireError::Protocol(error)) => return refuse(&mut wire, &error).await,
        // A cancel request has no answer. No statement can be interrupted from outside, since its thread is busy with it.
        _ => return,
    };
    let _admitted = match server.admit() {
        Ok(admitted) => admitted,
        Err(error) => return refuse(&mut wire, &error).await,
    };
    match open(&server, &mut wire, message).await {
        Ok(opening) => Session::new(wire, opening).serve().await,
        Err(Refusal::Told(error)) => refuse(&mut wire, &error).await,
        Err(Refusal::Gone) => (),
    }
}

async fn refuse(wire: &mut Wire, error: &SqlError) {
    // Gone or told, the connection ends.
    let _ = wire.send_error(error);
    wire.close().await;
}

/// From the first message to the point where the client may send statements.
async fn open(
    server: &Server,
    wire: &mut Wire,
    message: StartupMessage,
) -> Result<Opening, Refusal> {
    let mut parameters: BTreeMap<String, String> = message.parameters;
    if message.protocol_number_major != 3 {
        return Err(SqlError::fatal(
            "0A000",
            "unsupported frontend protocol; the server supports 3.0",
        )
        .into());
    }
    let strange: Vec<String> = parameters
        .keys()
        .filter(|name| name.starts_with("_pq_."))
        .cloned()
        .collect();
    if message.protocol_number_minor > 0 || !strange.is_empty() {
        wire.send(&NegotiateProtocolVersion::new(3 << 16, strange))?;
    }
    let user = parameters.remove("user").ok_or_else(|| {
        SqlError::fatal(
            "28000",
            "no PostgreSQL user name specified in startup packet",
        )
    })?;
    let database_name = parameters
        .remove("database")
        .unwrap_or_else(|| user.clone());
    server.authenticator.admit(wire, &user, random).await?;
    let mut settings = Settings::default();
    let options = parameters.remove("options").unwrap_or_default();
    for (name, value) in parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain(command_line(&options))
    {
        settings.start_with(name, value);
    }
    for (name, value) in settings.reported() {
        wire.send(&ParameterStatus::new(name, value))?;
    }
    wire.send(&ParameterStatus::new(
        "session_authorization".into(),
        user.clone(),
    ))?;
    let pid = server.next_pid.fetch_add(1, Relaxed);
    wire.send(&BackendKeyData::new(pid, SecretKey::I32(random() as i32)))?;
    Ok(Opening {
        database: server.database.clone(),
        counts: server.counts.clone(),
        pid,
        settings,
        delay: server.delay,
        user,
        database_name,
    })
}

/// Settings given as `-c name=value` or `--name=value`.
fn command_line(options: &str) -> impl Iterator<Item = (&str, &str)> {
    let words = options.split_whitespace().filter(|word| *word != "-c");
    words.filter_map(|word| {
        word.trim_start_matches("--")
            .trim_start_matches("-c")
            .split_once('=')
    })
}
