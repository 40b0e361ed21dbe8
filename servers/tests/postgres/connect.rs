//! Connections to a server under test.

use std::future::Future;

use serde_json::Value;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::driver::Server;

/// A started server `postgres`.
pub(crate) fn server(behaviour: Value) -> Server {
    Server::start("postgres", behaviour)
}

/// Where and as whom to connect.
pub(crate) fn config(server: &Server) -> Config {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(server.address().port())
        .user("tester")
        .dbname("any");
    config
}

/// A connection, driven in the background.
pub(crate) async fn connect(config: &Config) -> Client {
    try_connect(config)
        .await
        .unwrap_or_else(|error| panic!("cannot connect: {error:?}"))
}

pub(crate) async fn try_connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Runs `test` with a connection to a new server.
pub(crate) fn with_client<F: Future<Output = ()>>(
    behaviour: Value,
    test: impl FnOnce(Client, Config) -> F,
) {
    let server = server(behaviour);
    let config = config(&server);
    block_on(async {
        let client = connect(&config).await;
        test(client, config).await;
    });
    server.stop().unwrap();
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The rows of a simple query, each value as text.
pub(crate) async fn rows(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let messages = client
        .simple_query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len())
                .map(|at| row.get(at).map(str::to_owned))
                .collect(),
        ),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// The rows of a simple query as one text: columns with `|`, rows with `;`, NULL as nothing.
pub(crate) async fn text(client: &Client, sql: &str) -> String {
    let row = |row: Vec<Option<String>>| {
        row.into_iter()
            .map(Option::unwrap_or_default)
            .collect::<Vec<_>>()
            .join("|")
    };
    rows(client, sql)
        .await
        .into_iter()
        .map(row)
        .collect::<Vec<_>>()
        .join(";")
}

/// The SQLSTATE a simple query fails with; nothing if it does not fail.
pub(crate) async fn state(client: &Client, sql: &str) -> Option<String> {
    client
        .simple_query(sql)
        .await
        .err()
        .map(|error| state_of(&error))
}

pub(crate) fn state_of(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(
        || format!("no SQLSTATE: {error:?}"),
        |code| code.code().to_owned(),
    )
}
