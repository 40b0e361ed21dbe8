//! The list of workloads, and operations on a workload whose type is erased: checking parameters, running a round.
//!
//! A workload is added by one file in `workloads/` and one line in `workloads!`. Each entry of [`WORKLOADS`] is derived
//! from the `Workload` implementation alone, so nothing has to be kept in step by hand; [`visit_workloads`] is for
//! other uses of the types.

use std::sync::OnceLock;
use std::time::Duration;

use photofinish_harness::runtime::Capability;
use photofinish_harness::workload::{About, ParamError, Workload, read_params};
use photofinish_record::Part;
use photofinish_record::protocol::{WorkerPlan, WorkerResult};
use schemars::{Schema, schema_for};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::workloads;

/// An operation on the type of any workload.
pub trait Visitor {
    /// The result of the visit.
    type Output;

    /// Visits `W`.
    fn visit<W: Workload>(&self) -> Self::Output;
}

macro_rules! workloads {
    ($($workload:ty),+ $(,)?) => {
        /// Every built-in workload, in display order.
        pub static WORKLOADS: &[WorkloadEntry] = &[$(WorkloadEntry::of::<$workload>()),+];

        /// Applies `visitor` to the type of every built-in workload, in display order.
        pub fn visit_workloads<V: Visitor>(visitor: &V) -> Vec<V::Output> {
            vec![$(visitor.visit::<$workload>()),+]
        }
    };
}

workloads![
    workloads::null::Null,
    workloads::scripted::Scripted,
    workloads::http::Http,
    workloads::http_get::HttpGet,
    workloads::http_stream::HttpStream,
    workloads::http_post::HttpPost,
    workloads::http_connect::HttpConnect,
    workloads::http_fanout::HttpFanout,
    workloads::http_delay::HttpDelay,
    workloads::http_limited::HttpLimited,
    workloads::http_queue::HttpQueue,
    workloads::http_json::HttpJson,
    workloads::http_errors::HttpErrors,
    workloads::http_timeout::HttpTimeout,
    workloads::http_retry::HttpRetry,
    workloads::scrape::Scrape,
    workloads::download::Download,
    workloads::crawl::Crawl,
    workloads::file_read::FileRead,
    workloads::file_random::FileRandom,
    workloads::file_write::FileWrite,
    workloads::file_lines::FileLines,
    workloads::file_process::FileProcess,
    workloads::db_select::DbSelect,
    workloads::db_crud::DbCrud,
    workloads::db_pool::DbPool,
    workloads::db_connect::DbConnect,
    workloads::db_transaction::DbTransaction,
    workloads::sql::Sql,
    workloads::sqlite::Sqlite,
    workloads::ws_echo::WsEcho,
    workloads::ws_chat::WsChat,
    workloads::job_queue::JobQueue,
    workloads::batch::Batch,
    workloads::tasks::Tasks,
    workloads::as_completed::AsCompleted,
    workloads::first_completed::FirstCompleted,
    workloads::failures::Failures,
    workloads::forgotten_await::ForgottenAwait,
    workloads::counters::Counters,
    workloads::spawn::Spawn,
    workloads::timers::Timers,
    workloads::idle_tasks::IdleTasks,
    workloads::idle_connections::IdleConnections,
    workloads::cpu_offload::CpuOffload,
    workloads::blocking_mistake::BlockingMistake,
    workloads::nested_block_on::NestedBlockOn,
    workloads::process::Process,
    workloads::serve_http::ServeHttp,
    workloads::serve_gateway::ServeGateway,
];

/// The program's own workloads, in addition to the built-in ones.
static OWN: OnceLock<Vec<WorkloadEntry>> = OnceLock::new();

/// Adds a program's own workloads, once and before any lookup; rejects a name that is taken.
pub fn add(own: Vec<WorkloadEntry>) -> Result<(), NameTaken> {
    for (index, entry) in own.iter().enumerate() {
        let name = entry.about.name;
        let earlier = own[..index].iter().chain(WORKLOADS);
        if earlier.into_iter().any(|other| other.about.name == name) {
            return Err(NameTaken { name });
        }
    }
    OWN.set(own).map_err(|again| NameTaken {
        name: again.first().map_or("", |entry| entry.about.name),
    })
}

/// A workload of this name exists, or workloads were added before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a workload `{name}` cannot be added: its name is taken, or workloads were added before")]
pub struct NameTaken {
    pub name: &'static str,
}

/// Every workload: the built-in ones, then the program's own.
pub fn workloads() -> impl Iterator<Item = &'static WorkloadEntry> {
    WORKLOADS.iter().chain(OWN.get().into_iter().flatten())
}

/// The workload called `name`.
pub fn workload(name: &str) -> Option<&'static WorkloadEntry> {
    workloads().find(|entry| entry.about.name == name)
}

/// A workload behind function pointers.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadEntry {
    pub about: About,
    /// Completes a table of parameters with defaults and checks it, given the scenario's `unit`.
    pub check: fn(&Value, Duration) -> Result<Checked, ParamsError>,
    /// JSON Schema of its parameters.
    pub schema: fn() -> Schema,
    /// Runs one round of it.
    pub run: fn(&WorkerPlan) -> WorkerResult,
}

impl WorkloadEntry {
    /// The entry for `W`.
    pub const fn of<W: Workload>() -> Self {
        Self {
            about: W::ABOUT,
            check: check::<W>,
            schema: || schema_for!(W::Params),
            #[cfg(not(any(fuzzing, test)))]
            run: photofinish_harness::measure::run_round::<W>,
            // Fuzzers and unit tests run no round. Compiling every workload under every runtime takes a minute, and ten with
            // coverage.
            #[cfg(any(fuzzing, test))]
            run: |plan| unreachable!("a fuzzer or a unit test ran {plan:?}"),
        }
    }
}

/// A valid table of parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The parameters, complete with defaults.
    pub params: Value,
    /// The capabilities that the workload needs with these parameters.
    pub needs: &'static [Capability],
    /// Writes that every round repeats; see [`Workload::repeated_writes`].
    pub repeated_writes: Vec<String>,
    /// Names of the parts of an operation.
    pub parts: Vec<String>,
}

/// An error in a table of parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// A parameter that the workload does not have.
    #[error("unknown parameter `{name}`")]
    Unknown {
        name: String,
        /// The valid names.
        expected: Vec<String>,
    },
    /// A parameter with a wrong type or an invalid value.
    #[error("{message}")]
    Invalid {
        /// Its location in the table.
        path: Vec<String>,
        /// The error, and the expected value.
        message: String,
    },
}

fn check<W: Workload>(params: &Value, unit: Duration) -> Result<Checked, ParamsError> {
    refuse_unknown_names(params, &schema_for!(W::Params))?;
    let params = read_params::<W>(params).map_err(|error| unreadable(&error))?;
    let complete = serde_json::to_value(&params).expect("parameters are plain data");
    let workload = W::new(params, unit).map_err(invalid)?;
    let checked = Checked {
        params: complete,
        needs: workload.needs(),
        repeated_writes: workload.repeated_writes(),
        parts: workload.parts(),
    };
    check_parts(checked)
}

/// A parameter that cannot be read.
fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> ParamsError {
    ParamsError::Invalid {
        path: keys(error.path()),
        message: error.inner().to_string(),
    }
}

/// A parameter that the workload does not accept.
fn invalid(error: ParamError) -> ParamsError {
    ParamsError::Invalid {
        path: error.param.split('.').map(str::to_owned).collect(),
        message: error.message,
    }
}

fn check_parts(checked: Checked) -> Result<Checked, ParamsError> {
    match Part::check_names(checked.parts.iter().map(String::as_str)) {
        Ok(()) => Ok(checked),
        Err(error) => Err(ParamsError::Invalid {
            path: Vec::new(),
            message: error.to_string(),
        }),
    }
}

/// The keys and positions of a path.
pub fn keys(path: &Path) -> Vec<String> {
    let segments = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    segments.collect()
}

fn refuse_unknown_names(params: &Value, schema: &Schema) -> Result<(), ParamsError> {
    let expected = property_names(schema);
    let mut given = params.as_object().into_iter().flatten();
    match given.find(|(name, _)| !expected.contains(name)) {
        Some((name, _)) => Err(ParamsError::Unknown {
            name: name.clone(),
            expected,
        }),
        None => Ok(()),
    }
}

/// The names of an object's properties.
pub fn property_names(schema: &Schema) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.map_or_else(Vec::new, |known| known.keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_workload_accepts_its_own_defaults() {
        for entry in WORKLOADS {
            let complete = (entry.check)(&json!({}), Duration::from_millis(20));
            let complete = complete.unwrap_or_else(|error| panic!("{}: {error}", entry.about.name));
            assert_eq!(
                (entry.check)(&complete.params, Duration::from_millis(20)),
                Ok(complete)
            );
        }
    }

    #[test]
    fn a_custom_workload_is_found_and_needs_an_unused_name() {
        let named = |name| WorkloadEntry {
            about: About {
                name,
                ..WORKLOADS[0].about
            },
            ..WORKLOADS[0]
        };
        let taken = |name| Err(NameTaken { name });
        assert_eq!(add(vec![named("null")]), taken("null"));
        assert_eq!(add(vec![named("mine"), named("mine")]), taken("mine"));
        assert_eq!(add(vec![named("mine")]), Ok(()));
        assert!(workload("mine").is_some() && workload("null").is_some());
        assert_eq!(workloads().count(), WORKLOADS.len() + 1);
        assert_eq!(add(vec![named("later")]), taken("later"));
    }

    #[test]
    fn invalid_values_are_refused_at_their_parameter() {
        let many = u32::MAX;
        let share = |share: f64| json!({ "share": share, "time_us": 1.0 });
        for (name, params, param) in [
            ("scripted", json!({ "times": [share(0.5)] }), "times"),
            (
                "scripted",
                json!({ "times": [share(0.5), share(1.5)] }),
                "times.1",
            ),
            (
                "scripted",
                json!({ "times": [{ "share": 1.0, "time_us": -1.0 }] }),
                "times.0",
            ),
            (
                "scripted",
                json!({ "parts": [{ "name": "a", "status": 42 }] }),
                "parts.0",
            ),
            (
                "scripted",
                json!({ "parts": [{ "name": "a" }, { "name": "a" }] }),
                "",
            ),
            ("tasks", json!({ "waits": [] }), "waits"),
            ("idle-tasks", json!({ "count": many }), "count"),
            ("tasks", json!({ "waits": [-1.0] }), "waits"),
            (
                "timers",
                json!({ "shortest_us": 9, "longest_us": 8 }),
                "longest_us",
            ),
            ("job-queue", json!({ "jobs": many }), "jobs"),
            ("job-queue", json!({ "consumers": many }), "consumers"),
            ("job-queue", json!({ "work": -1.0 }), "work"),
            ("crawl", json!({ "limit": many }), "limit"),
            ("crawl", json!({ "tries": many }), "tries"),
            ("crawl", json!({ "backoff": -1.0 }), "backoff"),
            ("scrape", json!({ "pages": [] }), "pages"),
            ("scrape", json!({ "pages": ["no path"] }), "pages"),
            ("download", json!({ "documents": [] }), "documents"),
            ("db-pool", json!({ "minimum": 21 }), "minimum"),
            ("db-transaction", json!({ "accounts": 1 }), "accounts"),
            ("serve-http", json!({ "listen": "localhost" }), "listen"),
        ] {
            let check = workload(name).expect("it ships").check;
            match check(&params, Duration::from_millis(20)) {
                Err(ParamsError::Invalid { path, .. }) => {
                    assert_eq!(path.join("."), param, "{name}")
                }
                other => panic!("{name} with {params}: {other:?}"),
            }
        }
    }

    #[test]
    fn no_two_workloads_share_a_name() {
        for (index, entry) in WORKLOADS.iter().enumerate() {
            let first = WORKLOADS
                .iter()
                .position(|other| other.about.name == entry.about.name);
            assert_eq!(first, Some(index), "{}", entry.about.name);
        }
    }

    #[test]
    fn an_unknown_parameter_is_named_beside_the_known_ones() {
        for entry in WORKLOADS {
            let error = (entry.check)(&json!({"pathh": 1}), Duration::from_millis(20)).unwrap_err();
            assert!(
                matches!(&error, ParamsError::Unknown { name, .. } if name == "pathh"),
                "{}: {error}",
                entry.about.name
            );
        }
    }
}
