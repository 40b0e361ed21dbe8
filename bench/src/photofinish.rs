//! Photofinish's side: the scenario of a work, the command that measures it for one block, and the reading of its summary.
//!
//! Each block is a run of one round: `photofinish run … --rounds 1 --format json`. The program pins its own worker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::child::Output;
use crate::cpus::Cpus;
use crate::failure::{Failure, OrFail as _};
use crate::text;
use crate::work::{FileAccess, HttpWork, Protocol, Site, SqlWork, Transaction, Work};

/// Size of the file of random reads.
const FILE_MIB: u32 = 64;

/// A scenario that does a work in another way than the default for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnScenario {
    pub(crate) name: &'static str,
    pub(crate) toml: &'static str,
    /// Name and contents of a file that it reads.
    pub(crate) file: Option<(&'static str, &'static str)>,
}

impl OwnScenario {
    pub(crate) const fn new(name: &'static str, toml: &'static str) -> Self {
        Self {
            name,
            toml,
            file: None,
        }
    }
}

/// A runtime and what it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    pub(crate) runtime: &'static str,
    /// `None` for the default scenario of the work.
    pub(crate) scenario: Option<OwnScenario>,
    /// `--set` of the scenario.
    pub(crate) setting: Option<&'static str>,
}

impl Ours {
    pub(crate) const fn new(runtime: &'static str) -> Self {
        Self {
            runtime,
            scenario: None,
            setting: None,
        }
    }
}

/// Arguments of a scenario: its name or the text of its file, and its settings.
struct Scenario {
    name: String,
    toml: Option<String>,
    settings: Vec<String>,
}

impl Scenario {
    fn catalogue(name: &str, settings: &[String]) -> Self {
        Self {
            name: name.to_owned(),
            toml: None,
            settings: settings.to_vec(),
        }
    }

    fn file(name: &str, toml: String) -> Self {
        Self {
            name: name.to_owned(),
            toml: Some(toml),
            settings: Vec::new(),
        }
    }

    /// The scenario of a work.
    fn of(work: &Work) -> Self {
        match work {
            Work::Http(HttpWork {
                streams: Some(streams),
                page,
                ..
            }) => {
                let page = page.path();
                let http = format!("http = {{ version = \"2\", streams = {streams} }}");
                Self::file(
                    "streams",
                    format!("{http}\n[[request]]\nsend = \"GET {page}\"\n"),
                )
            }
            Work::Http(HttpWork {
                keep_alive: false, ..
            }) => Self::catalogue("http-connect", &[]),
            Work::Http(_) => Self::catalogue("http-get", &[]),
            Work::Ws(_) => Self::catalogue("ws-echo", &["params.messages=1".to_owned()]),
            Work::Sql(sql) => sql_scenario(sql),
            Work::File(file) => match file.access {
                FileAccess::Random { block_kib } => Self::catalogue(
                    "file-random",
                    &[
                        format!("params.file_size={FILE_MIB}MiB"),
                        format!("params.block={block_kib}KiB"),
                    ],
                ),
                FileAccess::Whole { kib } => {
                    Self::catalogue("file-read", &[format!("params.size={kib}KiB")])
                }
                FileAccess::WriteSynced { kib } => {
                    Self::catalogue("file-write", &[format!("params.size={kib}KiB")])
                }
            },
        }
    }
}

/// The scenario of a transaction: pgbench's statements, whose tables are at [`SCALE`], or one of the catalogue.
fn sql_scenario(sql: &SqlWork) -> Scenario {
    let (accounts, tellers) = (100_000 * SCALE, 10 * SCALE);
    let delta = "delta = { from = -5000, to = 5000 }";
    let (draws, statements, rows) = match sql.transaction {
        Transaction::SelectByKey => (
            format!("aid = {{ from = 1, to = {accounts} }}"),
            "\"SELECT abalance FROM pgbench_accounts WHERE aid = :aid\"",
            "[1]",
        ),
        Transaction::Insert => (
            delta.to_owned(),
            "\"INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, :delta, CURRENT_TIMESTAMP)\"",
            "[1]",
        ),
        Transaction::Item => return Scenario::catalogue("db-select", &[]),
        Transaction::TpcB => (
            format!(
                "aid = {{ from = 1, to = {accounts} }}\ntid = {{ from = 1, to = {tellers} }}\n\
                 bid = {{ from = 1, to = {SCALE} }}\n{delta}"
            ),
            TPC_B,
            "[1, 1, 1, 1, 1]",
        ),
    };
    let protocol = Protocol::name(sql.protocol);
    let toml = format!(
        "sql = {{ protocol = \"{protocol}\" }}\n[draw]\n{draws}\n\
         [[transaction]]\nstatements = [{statements}]\nexpect = {{ rows = {rows} }}\n"
    );
    Scenario::file("transaction", toml)
}

/// Scale of pgbench's tables.
pub(crate) const SCALE: u32 = 10;

const TPC_B: &str = "
  \"UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid\",
  \"SELECT abalance FROM pgbench_accounts WHERE aid = :aid\",
  \"UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid\",
  \"UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid\",
  \"INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP)\",
";

/// One run of Photofinish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OurJob<'a> {
    pub(crate) program: &'a Path,
    pub(crate) ours: &'a Ours,
    pub(crate) work: &'a Work,
    pub(crate) site: &'a Site,
    pub(crate) cpus: Cpus,
    pub(crate) seconds: u32,
}

/// The directory of the runs, whose reports nobody reads.
pub(crate) fn runs(site: &Site) -> PathBuf {
    site.directory.join("runs")
}

impl OurJob<'_> {
    /// The command for a block, with its scenario written if it is a file.
    pub(crate) fn command(&self) -> Result<Command, Failure> {
        let Self {
            ours,
            work,
            site,
            cpus,
            ..
        } = self;
        let mut scenario = Scenario::of(work);
        if let Some(OwnScenario { name, toml, file }) = ours.scenario {
            scenario = Scenario::file(name, toml.to_owned());
            if let Some((name, text)) = file {
                fs::write(site.directory.join(name), text).or_fail("write a file of a scenario")?;
            }
        }
        let mut command = clean_command(self.program, &site.directory);
        command.arg("run").arg(self.written(&scenario)?);
        for setting in scenario
            .settings
            .iter()
            .map(String::as_str)
            .chain(ours.setting)
        {
            command.args(["--set", setting]);
        }
        command.args([
            "--runtimes",
            ours.runtime,
            "--rounds",
            "1",
            "--no-redo",
            "--quiet",
            "--format",
            "json",
        ]);
        command.args(["--set", "load.warmup=300ms", "--placement", "split"]);
        command
            .arg("--cpus")
            .arg(format!("{},{}", cpus.server, cpus.generator));
        command.arg("--duration").arg(format!("{}s", self.seconds));
        command.arg("--out").arg(runs(site));
        // A scenario file names its paths, which are appended to that of the URL.
        let url = if scenario.toml.is_some() {
            origin(&site.url)
        } else {
            &site.url
        };
        self.add_load(&mut command, url);
        Ok(command)
    }

    /// Adds the load and the target.
    fn add_load(&self, command: &mut Command, url: &str) {
        let in_flight = match self.work {
            Work::Http(http) => {
                command.arg("--target").arg(format!("http={url}"));
                if let Some(rate_hz) = http.rate_hz {
                    command.arg("--rate").arg(rate_hz.to_string());
                }
                if http.bursts {
                    command.args(["--arrivals", "bursts"]);
                }
                http.connections
            }
            Work::Sql(sql) => {
                command.arg("--target").arg(format!("db={}", self.site.url));
                sql.clients
            }
            Work::Ws(ws) => {
                command.arg("--target").arg(format!("ws={url}"));
                ws.connections
            }
            Work::File(file) => file.depth,
        };
        if let Some(ca_file) = &self.site.ca_file {
            command
                .arg("--target")
                .arg(format!("http-ca={}", ca_file.display()));
        }
        command.arg("--concurrency").arg(in_flight.to_string());
    }

    /// The name of a scenario, or the path of its file, which is written.
    fn written(&self, scenario: &Scenario) -> Result<PathBuf, Failure> {
        let Some(toml) = &scenario.toml else {
            return Ok(PathBuf::from(&scenario.name));
        };
        let path = self.site.directory.join(format!("{}.toml", scenario.name));
        fs::write(&path, format!("title = \"{}\"\n{toml}", scenario.name))
            .or_fail("write a scenario")?;
        Ok(path)
    }
}

/// A URL without its path.
fn origin(url: &str) -> &str {
    let ca_file = url.find("://").map_or(0, |at| at + 3);
    let end = url[ca_file..]
        .find('/')
        .map_or(url.len(), |at| ca_file + at);
    &url[..end]
}

/// A command of Photofinish that no configuration of the user changes.
pub(crate) fn clean_command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PHOTOFINISH_") {
            command.env_remove(name);
        }
    }
    command
}

/// True if the program has this runtime or lane; some are behind features.
pub(crate) fn has_runtime(program: &Path, name: &str) -> bool {
    let knows = |words: &[&str]| {
        let output = Command::new(program)
            .args(words)
            .arg("--no-config")
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    knows(&["list", name]) || knows(&["lanes", "show", name])
}

/// The result of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OurReading {
    /// Operations of the worker per second.
    pub(crate) rate_hz: f64,
    /// CPU time of the worker, measured phase only.
    pub(crate) cpu_ns: Option<f64>,
}

/// Reads a summary of one cell.
pub(crate) fn read(output: &Output) -> Result<OurReading, String> {
    let complaint = || {
        let line = text::first_line(&output.stderr);
        line.unwrap_or_else(|| "expected a summary, got no output".to_owned())
    };
    let summary: Value = serde_json::from_str(&output.stdout).map_err(|_| complaint())?;
    let cell = &summary["cells"][0];
    if let Some(reason) = cell["reason"].as_str() {
        return Err(reason.to_owned());
    }
    if !output.success {
        return Err(complaint());
    }
    let metric = |name: &str| cell["metrics"][name]["median"].as_f64();
    let rate_hz = metric("throughput_ops_s").filter(|rate_hz| *rate_hz > 0.0);
    Ok(OurReading {
        rate_hz: rate_hz.ok_or("expected a throughput, got none")?,
        // The pacer of an open load is part of the generator.
        cpu_ns: metric("cpu_ns_per_op").map(|ns| ns + metric("pacer_cpu_ns_per_op").unwrap_or(0.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::{HttpServer, SqlServer};

    fn check(stdout: &str, expected: Result<OurReading, &str>) {
        let output = Output {
            stdout: stdout.to_owned(),
            success: true,
            ..Output::default()
        };
        assert_eq!(read(&output), expected.map_err(str::to_owned));
    }

    #[test]
    fn a_summary_has_a_rate_or_a_reason() {
        let metrics = r#"{"throughput_ops_s": {"median": 5.0}, "cpu_ns_per_op": {"median": 7.0}}"#;
        let cell = |reason: &str| {
            format!(r#"{{"cells": [{{"reason": {reason}, "metrics": {metrics}}}]}}"#)
        };
        check(
            &cell("null"),
            Ok(OurReading {
                rate_hz: 5.0,
                cpu_ns: Some(7.0),
            }),
        );
        check(&cell(r#""not supported""#), Err("not supported"));
        check(r#"{"cells": []}"#, Err("expected a throughput, got none"));
        check("", Err("expected a summary, got no output"));
    }

    #[test]
    fn a_failed_run_is_quoted() {
        let output = Output {
            stderr: "error: no server\nhint".to_owned(),
            ..Output::default()
        };
        assert_eq!(read(&output), Err("error: no server".to_owned()));
    }

    #[test]
    fn the_origin_of_a_url_has_no_path() {
        assert_eq!(origin("https://127.0.0.1:80/13"), "https://127.0.0.1:80");
        assert_eq!(origin("http://127.0.0.1:80"), "http://127.0.0.1:80");
    }

    #[test]
    fn works_become_arguments() {
        let http = HttpWork {
            rate_hz: Some(20_000),
            ..HttpWork::new(HttpServer::Nginx, 64)
        };
        let directory = tempfile::tempdir().expect("a directory");
        let site = Site {
            url: "http://127.0.0.1:1/13".to_owned(),
            directory: directory.path().to_owned(),
            ..Site::default()
        };
        let arguments = |work: &Work| {
            let job = OurJob {
                program: Path::new("photofinish"),
                ours: &Ours::new("smol"),
                work,
                site: &site,
                cpus: Cpus {
                    server: 2,
                    generator: 3,
                },
                seconds: 4,
            };
            let command = job.command().expect("a command");
            let words: Vec<_> = command
                .get_args()
                .map(|word| word.to_string_lossy())
                .collect();
            words.join(" ")
        };
        let line = arguments(&Work::Http(http));
        for part in [
            "run http-get",
            "--runtimes smol",
            "--cpus 2,3",
            "--duration 4s",
            "--rate 20000",
            "--concurrency 64",
        ] {
            assert!(line.contains(part), "no {part} in {line}");
        }
        let sql = SqlWork {
            server: SqlServer::Postgres,
            transaction: Transaction::TpcB,
            protocol: Protocol::Extended,
            clients: 1,
        };
        assert!(arguments(&Work::Sql(sql)).contains("transaction.toml"));
        let written =
            fs::read_to_string(directory.path().join("transaction.toml")).expect("written");
        assert!(
            written.contains("protocol = \"extended\"") && written.contains("to = 1000000"),
            "{written}"
        );
    }
}
