//! The traits of a runtime that reports need: they travel in the plan, so that reports know no runtime by name.
//!
//! The harness fills them in from each runtime's descriptor; a worker in another language declares its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The way a runtime runs sessions, as far as reports distinguish runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeFamily {
    /// One session on one thread, one operation after another.
    Sequential,
    /// An OS thread per session.
    Threads,
    /// A fixed number of OS threads that take operations from a queue.
    Pool,
    /// Tasks on an event loop.
    Async,
    /// The least that an event loop can do, or a language without a client library: for comparison, not for choice.
    Floor,
}

/// The properties of a runtime that reports depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RuntimeTraits {
    pub family: RuntimeFamily,
    /// True if operations wait for a thread outside their service time: mean service × throughput then counts threads,
    /// not sessions.
    pub queues_before_service: bool,
    /// A warning shown beside its name: `discontinued`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its position among the runtimes of the build, from 0: selects colour and marker, so that a runtime looks the same
    /// in every report.
    pub position: usize,
    /// System calls of a request, by its design; `None` if not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_calls: Option<ExpectedSystemCalls>,
    /// The worker of a lane, a runtime in another language; `None` of the runtimes in this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<ForeignWorker>,
}

/// System calls of one small request over a kept connection, whose response is not there yet when the runtime looks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExpectedSystemCalls {
    /// A formula, such as `2 + 1/k`: k is the number of responses that one turn of the event loop handles.
    pub per_request: String,
    /// The calls by name, and why each is needed.
    pub reason: String,
}

/// A worker in another language: a program of its own that speaks the worker protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForeignWorker {
    /// Language and libraries, as far as rankings distinguish them: runtimes are ranked within their stack.
    pub stack: String,
    /// Its command, which gets `describe` or `worker` as an argument.
    pub command: Vec<String>,
    /// SHA-256 of the shipped program and its frame, in hex; `None` of a command of the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Shortest warm-up that it asks for, in ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_warmup_ns: Option<u64>,
    /// Versions of its parts, as it reports them.
    pub versions: BTreeMap<String, String>,
}
