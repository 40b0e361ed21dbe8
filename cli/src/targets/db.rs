//! The target `db`: an existing PostgreSQL, or a throwaway one.

use photofinish_record::PlannedServer;

use super::local_postgres::ThrowawayPostgres;
use super::{Target, TargetKind, Values, postgres};
use crate::exit::Failure;

pub(super) static KIND: TargetKind = TargetKind {
    name: "db",
    server: "postgres",
    schemes: &["postgres", "postgresql"],
    // The embedded server accepts any user; the name appears in its log.
    url: "postgres://photofinish@{address}/photofinish",
    secure_url: Some("postgres://photofinish@{address}/photofinish?sslmode=verify-full"),
    options: &[],
    forms: "db=postgres://USER:PASSWORD@HOST:PORT/DATABASE[?sslmode=verify-full&sslrootcert=FILE], db=postgres://USER@/DATABASE?host=SOCKET_DIRECTORY, db=local",
    beginnings: &[
        ("db=postgres://", "a PostgreSQL server"),
        ("db=local", "a throwaway PostgreSQL"),
    ],
    parse: Some(parse),
};

fn parse(values: &Values<'_>) -> Result<Box<dyn Target>, Failure> {
    if values.url == PlannedServer::LOCAL {
        return Ok(Box::new(ThrowawayPostgres));
    }
    if values.url.starts_with("sqlite:") {
        let failure = Failure::usage("SQLite is not a server: a scenario calls it in-process");
        return Err(
            failure.hint("write a section `[sqlite]` with `file = \"FILE\"` instead of --target, or add --set workload=sqlite --set sqlite.file=FILE")
        );
    }
    Ok(Box::new(postgres::parse(values.url, values.tls)?))
}
