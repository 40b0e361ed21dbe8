//! Targets: what `--target` puts in the place of the embedded servers.
//!
//! A target is parsed and checked here before anything runs: that its URL makes sense, that it is a loopback address
//! unless `--allow-remote` says otherwise. Then it is stood up: an HTTP server is probed, a database logged in to, a
//! throwaway PostgreSQL started. Passwords stay in [`Standing`] and go nowhere but into the worker's plan.

mod http;
mod local_postgres;
mod loopback;
mod postgres;
mod postgres_client;
mod ws;

use std::collections::BTreeMap;

use photofinish_record::protocol::TargetAddress;
use photofinish_record::{PlannedServer, ServerCounts};
use url::Url;

use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::store::redaction;

pub use local_postgres::guard as guard_local_postgres;

/// What was asked for with `--target`, checked.
#[derive(Debug, Default)]
pub struct Targets {
    http: Option<Url>,
    http_status: Option<Url>,
    db: Option<Database>,
    ws: Option<Url>,
}

#[derive(Debug)]
enum Database {
    There(Box<postgres::Database>),
    Local,
}

/// What to write after `--target`.
const FORMS: &str = "write http=http://HOST:PORT[/PATH], db=postgres://USER:PASSWORD@HOST:PORT/DATABASE, db=local, \
                     ws=ws://HOST:PORT[/PATH], or http-status=URL of nginx's stub_status";

impl Targets {
    /// Reads the values of all `--target` options. Errors never repeat a value: it may hold a password.
    pub fn parse(values: &[String], allow_remote: bool) -> Result<Self, Failure> {
        let mut targets = Self::default();
        for value in values {
            targets.add(value)?;
        }
        if targets.http_status.is_some() && targets.http.is_none() {
            return Err(Failure::usage(
                "--target http-status=… says nothing without --target http=…",
            )
            .hint(FORMS));
        }
        if !allow_remote {
            targets.urls().try_for_each(loopback::require)?;
        }
        Ok(targets)
    }

    fn add(&mut self, value: &str) -> Result<(), Failure> {
        let (name, rest) = value
            .split_once('=')
            .ok_or_else(|| Failure::usage("--target needs a name and a URL").hint(FORMS))?;
        let taken = match name {
            "http" => self.http.replace(http::parse(rest)?).is_some(),
            "http-status" => self.http_status.replace(http::parse(rest)?).is_some(),
            "db" if rest == "local" => self.db.replace(Database::Local).is_some(),
            "db" => self
                .db
                .replace(Database::There(Box::new(postgres::parse(rest)?)))
                .is_some(),
            "ws" => self.ws.replace(ws::parse(rest)?).is_some(),
            _ => return Err(Failure::usage(format!("there is no target `{name}`")).hint(FORMS)),
        };
        match taken {
            true => Err(Failure::usage(format!("--target {name}=… was given twice"))),
            false => Ok(()),
        }
    }

    fn urls(&self) -> impl Iterator<Item = &Url> {
        let db = self.db.as_ref().and_then(|db| match db {
            Database::There(database) => Some(database.url()),
            Database::Local => None,
        });
        self.http
            .iter()
            .chain(&self.http_status)
            .chain(&self.ws)
            .chain(db)
    }

    /// What the plan says about them before they are stood up.
    pub fn planned(&self) -> BTreeMap<String, PlannedServer> {
        let mut planned = BTreeMap::new();
        if let Some(url) = &self.http {
            planned.insert("http".to_owned(), external(redaction::url(url), None));
        }
        if let Some(db) = &self.db {
            let url = match db {
                Database::There(database) => database.safe_url(),
                Database::Local => "local".to_owned(),
            };
            planned.insert("db".to_owned(), external(url, None));
        }
        if let Some(url) = &self.ws {
            planned.insert("ws".to_owned(), external(redaction::url(url), None));
        }
        planned
    }

    /// Probes and starts them.
    pub fn stand_up(
        self,
        server_cpus: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Standing, Failure> {
        let mut standing = BTreeMap::new();
        if let Some(url) = self.http {
            let target = http::Http::probe(url, self.http_status)?;
            standing.insert("http".to_owned(), Box::new(target) as Box<dyn External>);
        }
        match self.db {
            None => {}
            Some(Database::There(database)) => {
                let target = postgres::Postgres::probe(*database)?;
                standing.insert("db".to_owned(), Box::new(target));
            }
            Some(Database::Local) => {
                let target = local_postgres::LocalPostgres::start(server_cpus, interrupt)?;
                standing.insert("db".to_owned(), Box::new(target));
            }
        }
        if let Some(url) = self.ws {
            standing.insert("ws".to_owned(), Box::new(ws::WebSocket::probe(url)?));
        }
        Ok(Standing { targets: standing })
    }
}

fn external(url: String, software: Option<String>) -> PlannedServer {
    PlannedServer::External { url, software }
}

/// A server that was not started for a round but stands over the whole run.
trait External {
    /// Where the worker finds it; may hold a password.
    fn url(&self) -> &str;

    /// Where it is, for people and records.
    fn safe_url(&self) -> String;

    /// What it says it is.
    fn software(&self) -> Option<String>;

    /// The processes it consists of, where they are not children of this one; `None` where nobody can tell.
    fn processes(&self) -> Option<Vec<u32>> {
        loopback::listeners(&Url::parse(self.url()).ok()?)
    }

    /// What it has counted so far, where it can be asked; asking does not count.
    fn counts(&mut self) -> Result<Option<ServerCounts>, Failure>;
}

/// The targets of a run, ready to be measured.
pub struct Standing {
    targets: BTreeMap<String, Box<dyn External>>,
}

/// What the standing targets had counted at some moment.
pub type CountsSoFar = BTreeMap<String, ServerCounts>;

impl Standing {
    /// What the plan says about them.
    pub fn planned(&self) -> BTreeMap<String, PlannedServer> {
        let mut planned = BTreeMap::new();
        for (name, target) in &self.targets {
            planned.insert(name.clone(), external(target.safe_url(), target.software()));
        }
        planned
    }

    /// Where the worker finds the target of that name, which the plan has at `planned`: a path is there in both or in
    /// none.
    pub fn address(&self, name: &str, planned: &str) -> Option<TargetAddress> {
        let mut url = self.targets.get(name)?.url().to_owned();
        if !planned.ends_with('/') && url.strip_suffix('/') == Some(planned) {
            url.pop();
        }
        Some(TargetAddress { url, mock: false })
    }

    /// The processes of all targets; `None` where those of one cannot be told.
    pub fn processes(&self) -> Option<Vec<u32>> {
        let each: Option<Vec<_>> = self
            .targets
            .values()
            .map(|target| target.processes())
            .collect();
        Some(each?.concat())
    }

    /// What those among `names` that can be asked have counted so far.
    pub fn counts<'a>(
        &mut self,
        names: impl Iterator<Item = &'a String>,
    ) -> Result<CountsSoFar, Failure> {
        let mut so_far = CountsSoFar::new();
        for name in names {
            let Some(target) = self.targets.get_mut(name) else {
                continue;
            };
            if let Some(counts) = target.counts()? {
                so_far.insert(name.clone(), counts);
            }
        }
        Ok(so_far)
    }
}

/// What was counted between two moments.
pub fn counted_between(before: &CountsSoFar, after: CountsSoFar) -> CountsSoFar {
    after
        .into_iter()
        .filter_map(|(name, after)| {
            let before = before.get(&name)?;
            Some((name, difference(before, &after)))
        })
        .collect()
}

fn difference(before: &ServerCounts, after: &ServerCounts) -> ServerCounts {
    let minus = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
    ServerCounts {
        requests: minus(after.requests, before.requests),
        bytes_in: minus(after.bytes_in, before.bytes_in),
        bytes_out: minus(after.bytes_out, before.bytes_out),
        connections: minus(after.connections, before.connections),
        transactions: minus(after.transactions, before.transactions),
        // A peak is no sum: that of an earlier round cannot be taken away from it.
        peak_in_flight: None,
        cpu_user_ns: minus(after.cpu_user_ns, before.cpu_user_ns),
        cpu_system_ns: minus(after.cpu_system_ns, before.cpu_system_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(values: &[&str]) -> Failure {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        Targets::parse(&values, false).expect_err("must be refused")
    }

    #[test]
    fn targets_that_make_no_sense_are_usage_errors_that_repeat_no_password() {
        for values in [
            &["http"][..],
            &["htp=http://127.0.0.1:1"],
            &["http=https://127.0.0.1:1"],
            &["http=127.0.0.1:1"],
            &["db=postgres://ann:s3cret@127.0.0.1:port/d"],
            &["db=mysql://ann:s3cret@127.0.0.1:1/d"],
            &["db=postgres://ann:s3cret@192.0.2.1:5432/d"],
            &["db=local", "db=local"],
            &["http-status=http://127.0.0.1:1/status"],
            &["http=http://192.0.2.1:80"],
            &["ws=http://127.0.0.1:1"],
            &["ws=wss://127.0.0.1:1"],
            &["ws=ws://ann:s3cret@127.0.0.1:1"],
            &["ws=ws://192.0.2.1:80"],
        ] {
            let failure = refusal(values);
            assert_eq!(failure.exit(), crate::exit::Exit::Usage, "{values:?}");
            assert!(!failure.to_string().contains("s3cret"), "{failure}");
        }
    }

    #[test]
    fn a_target_elsewhere_is_taken_when_allowed() {
        let values = ["http=http://192.0.2.1:80/x".to_owned()];
        let planned = Targets::parse(&values, true).expect("allowed").planned();
        assert_eq!(
            planned["http"],
            external("http://192.0.2.1/x".to_owned(), None)
        );
    }

    #[test]
    fn the_plan_knows_no_password() {
        let values = ["db=postgres://ann:s3cret@127.0.0.1:5432/d".to_owned()];
        let planned = Targets::parse(&values, false).expect("loopback").planned();
        assert_eq!(
            planned["db"],
            external("postgres://ann@127.0.0.1:5432/d".to_owned(), None)
        );
    }
}
