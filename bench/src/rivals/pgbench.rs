//! pgbench: PostgreSQL's own benchmark, one thread for all clients.

use std::fs;

use super::{Job, Reading, Rival, reading};
use crate::child::Output;
use crate::failure::{Failure, OrFail as _};
use crate::programs::Program;
use crate::text::number_after;
use crate::work::{Transaction, Work};

pub(super) static PGBENCH: Rival = Rival {
    name: "pgbench",
    program: Program {
        name: "pgbench",
        install: "apt install postgresql-contrib",
        version: Some("--version"),
    },
    checks: "no error; rows are thrown away",
    prepare,
    command,
    read,
};

/// The script of [`Transaction::Insert`], which Photofinish runs as well.
const INSERT: &str = "\\set delta random(-5000, 5000)
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, :delta, CURRENT_TIMESTAMP);
";

const INSERT_FILE: &str = "insert.sql";

fn prepare(job: &Job<'_>) -> Result<(), Failure> {
    fs::write(job.site.directory.join(INSERT_FILE), INSERT).or_fail("write pgbench's script")
}

fn command(job: &Job<'_>) -> Option<Vec<String>> {
    let Work::Sql(sql) = job.work else {
        return None;
    };
    let (protocol, clients) = (sql.protocol.name(), sql.clients);
    let (seconds, port) = (job.seconds, job.site.port);
    let mut command = job.command_line(&format!(
        "-n -h 127.0.0.1 -p {port} -U bench -M {protocol} -c {clients} -j 1 -T {seconds}"
    ));
    match sql.transaction {
        Transaction::SelectByKey => command.push("-S".to_owned()),
        Transaction::Item => return None,
        Transaction::TpcB => command.push("--builtin=tpcb-like".to_owned()),
        Transaction::Insert => {
            let script = job.site.directory.join(INSERT_FILE);
            command.extend(["-f".to_owned(), script.display().to_string()]);
        }
    }
    command.push("postgres".to_owned());
    Some(command)
}

fn read(output: &Output) -> Result<Reading, String> {
    let text = &output.stdout;
    match number_after(text, "number of failed transactions:") {
        Some(failed) if failed > 0.0 => Err(format!("{failed} failed transactions")),
        _ => reading(
            output,
            number_after(text, "transactions actually processed:"),
            number_after(text, "tps ="),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::printed;

    #[test]
    fn a_result_and_its_failures() {
        let result = read(&printed(include_str!(
            "../../captured/pgbench-prepared.txt"
        )));
        assert_eq!(
            result,
            Ok(Reading {
                operations: 13_549.0,
                rate_hz: 14_688.122_665
            })
        );
        let text = include_str!("../../captured/pgbench-prepared.txt");
        let some = text.replace("transactions: 0 (0.000%)", "transactions: 3 (0.022%)");
        assert_eq!(
            read(&printed(&some)),
            Err("3 failed transactions".to_owned())
        );
        let failed = include_str!("../../captured/pgbench-failed.txt").to_owned();
        let failed = read(&Output {
            stderr: failed,
            ..Output::default()
        });
        assert!(failed.is_err_and(|line| line.ends_with("relation \"nowhere\" does not exist")));
    }
}
