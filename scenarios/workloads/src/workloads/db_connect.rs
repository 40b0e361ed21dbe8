//! `db-connect`: connect, SELECT 1, disconnect: the cost of not keeping connections.
//!
//! On a real server most of it is the login: SCRAM hashes the password thousands of times on either side, which takes
//! milliseconds, and a process is forked for each connection. The mock requires no password by default. A scope closes
//! the connection in any case: with a goodbye after success and failure, abruptly if the operation is cut off. The
//! server closes first, so that local ports do not stay occupied.

use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::nothing_shared;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::census::{Census, Counts};
use super::db_connection::{Connection, Connector, TARGET};
use super::params::NoParams;
use super::request_count::wrong_requests;
use super::tallies::ensure;
use crate::protocol::postgres::Row;

#[derive(Debug)]
pub struct DbConnect {
    census: Census,
}

impl Workload for DbConnect {
    const ABOUT: About = About {
        name: "db-connect",
        class: "database",
        operation: "connect, log in, SELECT 1, disconnect; no connection left open",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = NoParams;
    nothing_shared!();
    /// Closed between operations; its buffers are reused.
    type Session<R: Runtime> = Connection<R>;

    fn new(_: NoParams, _: Duration) -> Result<Self, ParamError> {
        let census = Census::default();
        Ok(Self { census })
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<Connection<R>, Failure> {
        // Its connections only log in: they have no statements.
        Ok(Connector::new(env, &Arc::from(""), &[], &self.census)?.connection())
    }

    async fn operate<R: Runtime>(
        &self,
        _: &Env<R>,
        connection: &mut Connection<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let scope = Scope(connection);
        let outcome = select_one(scope.0).await;
        scope.leave().await;
        outcome
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let mut violations = judge(self.census.counts(), totals);
        violations.extend(wrong_requests(totals, TARGET, 1));
        violations
    }
}

/// A connection that does not outlive it.
struct Scope<'a, R: Runtime>(&'a mut Connection<R>);

impl<R: Runtime> Scope<'_, R> {
    async fn leave(self) {
        self.0.close().await;
    }
}

impl<R: Runtime> Drop for Scope<'_, R> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

async fn select_one<R: Runtime>(connection: &mut Connection<R>) -> Result<(), Failure> {
    connection.log_in().await?;
    let mut is_one = false;
    let mut check = |row: Row<'_>| is_one = row.equals(&["1"]);
    let rows = connection.query("SELECT 1", &mut check).await?.rows;
    ensure(rows == 1 && is_one, || {
        format!("SELECT 1 gave {rows} rows, which are not 1")
    })
}

/// Expectations of the connections that are violated once no operation is in flight.
fn judge(counts: Counts, totals: &Totals) -> Vec<String> {
    let Counts { opened, most, .. } = counts;
    let mut violations = Vec::new();
    if counts.open() > 0 {
        violations.push(format!(
            "{} of {opened} connections were never closed",
            counts.open()
        ));
    }
    if most > u64::from(totals.sessions) {
        violations.push(format!(
            "expected at most {} open connections (one per session), got {most}",
            totals.sessions
        ));
    }
    if totals.failed == 0 && opened != totals.succeeded {
        violations.push(format!(
            "expected a connection for each of {} operations, got {opened}",
            totals.succeeded
        ));
    }
    violations
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::TcpListener;

    use photofinish_harness::observed::Observed;
    use photofinish_harness::traffic::TrafficCounter;
    use photofinish_harness::workload::RoundEnv;
    use photofinish_record::protocol::TargetAddress;

    use super::super::every_runtime::under_every_runtime;
    use super::*;

    #[track_caller]
    fn check([opened, closed, most]: [u64; 3], failed: u64, expected: &[&str]) {
        let counts = Counts {
            opened,
            closed,
            most,
            fewest: 0,
        };
        let totals = Totals {
            sessions: 2,
            succeeded: 10,
            failed,
            ..Totals::default()
        };
        assert_eq!(judge(counts, &totals), expected);
    }

    #[test]
    fn leaked_kept_and_duplicate_connections_are_caught() {
        check([10, 10, 2], 0, &[]);
        // A failed login had a connection; a refused one had none.
        check([11, 11, 2], 1, &[]);
        check([10, 10, 1], 1, &[]);
        let leaked = "1 of 10 connections were never closed";
        check([10, 9, 2], 0, &[leaked]);
        check([10, 9, 2], 3, &[leaked]);
        let each =
            |opened| format!("expected a connection for each of 10 operations, got {opened}");
        check([12, 12, 2], 0, &[&each(12)]);
        check([2, 2, 2], 0, &[&each(2)]);
        let at_once = "expected at most 2 open connections (one per session), got 3";
        check([10, 10, 3], 0, &[at_once]);
    }

    /// Under every runtime: a server that hangs up during login, then an operation that is cut off while it waits for
    /// an answer. In both cases nothing stays open.
    #[test]
    fn an_operation_that_fails_or_runs_out_of_time_leaves_nothing_open() {
        under_every_runtime!(&[], |runtime| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let env = environment(runtime.clone(), &listener);
            runtime.block_on(async {
                let workload = DbConnect::new(NoParams {}, Duration::ZERO).expect("sound");
                let mut session = workload.open(&env, 0).await.expect("a session");
                let server = hang_up_once(listener);
                let failed = workload.operate(&env, &mut session, 0).await;
                let listener = server.join().expect("no panic");
                assert!(failed.is_err());
                assert_eq!(open_of(&workload), (1, 0));
                // Nobody accepts: the system connects, and no answer ever comes.
                let limit = Duration::from_millis(100);
                let late = env
                    .runtime
                    .timeout(limit, workload.operate(&env, &mut session, 1));
                assert!(late.await.is_err());
                assert_eq!(open_of(&workload), (2, 0));
                drop(listener);
            });
        });
    }

    fn open_of(workload: &DbConnect) -> (u64, u64) {
        let counts = workload.census.counts();
        (counts.opened, counts.open())
    }

    fn hang_up_once(listener: TcpListener) -> std::thread::JoinHandle<TcpListener> {
        std::thread::spawn(move || {
            drop(listener.accept().expect("a client"));
            listener
        })
    }

    fn environment<R: Runtime>(runtime: R, listener: &TcpListener) -> Env<R> {
        let address = listener.local_addr().expect("an address");
        let target = TargetAddress {
            url: format!("postgres://somebody@{address}/somewhere"),
            address: Some(address.into()),
            mock: false,
            tls: None,
        };
        Env::from(RoundEnv {
            runtime,
            seed: 1,
            concurrency: 1,
            targets: BTreeMap::from([(TARGET.to_owned(), target)]),
            work_dir: std::path::PathBuf::new(),
            directory: Default::default(),
            run: String::new(),
            round: 1,
            warmup: photofinish_record::load::Stop::after(std::time::Duration::from_secs(1)),
            traffic: BTreeMap::from([(TARGET.to_owned(), TrafficCounter::default())]),
            memo: Default::default(),
            observed: Observed::default(),
            parts: Default::default(),
        })
    }
}
