//! Workloads on a runtime that breaks one promise: each reports the operation and the observation.
//!
//! A workload checks itself, so a test has to break something below it. Here that is the runtime
//! (`broken_promises/runtime.rs`): a semaphore with one permit too many has the same effect on a workload as a missing
//! semaphore. Whole rounds run over real sockets, files and tasks, and the same rounds on an intact runtime have no error.

mod runtime;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use photofinish_harness::workload::Workload;
use photofinish_record::Measurement;
use photofinish_record::protocol::{TargetAddress, WorkerPlan};
use photofinish_workloads::registry::WorkloadEntry;
use photofinish_workloads::workloads::{
    as_completed::AsCompleted, batch::Batch, blocking_mistake::BlockingMistake, counters::Counters,
    cpu_offload::CpuOffload, crawl::Crawl, db_pool::DbPool, download::Download, failures::Failures,
    file_lines::FileLines, file_process::FileProcess, file_random::FileRandom, file_read::FileRead,
    file_write::FileWrite, first_completed::FirstCompleted, http_fanout::HttpFanout,
    http_limited::HttpLimited, http_queue::HttpQueue, http_retry::HttpRetry,
    http_timeout::HttpTimeout, idle_connections::IdleConnections, idle_tasks::IdleTasks,
    job_queue::JobQueue, nested_block_on::NestedBlockOn, process::Process, scrape::Scrape,
    spawn::Spawn, tasks::Tasks, timers::Timers,
};
use serde_json::{Value, json};

use self::runtime::{On, Promise};
use crate::support::rounds::{measured, plan};
use crate::support::throwaway_postgres::ThrowawayPostgres;

/// Enough for checks over a whole round: one loser of ten must have been cancelled.
const OPERATIONS: u64 = 10;

/// Runtimes affected by a promise: without concurrency, there is never one too many.
const ALL: &[&str] = &["sync", "threads", "tokio"];
const CONCURRENT: &[&str] = &["threads", "tokio"];
const TASKS: &[&str] = &["tokio"];

struct Subject {
    entry: WorkloadEntry,
    params: Value,
    unit: Duration,
    /// URL of its database.
    database: Option<String>,
}

impl Subject {
    fn of<W: Workload>(params: Value) -> Self {
        Self {
            entry: WorkloadEntry::of::<On<W>>(),
            params,
            unit: Duration::from_millis(2),
            database: None,
        }
    }

    fn with_database(self, server: &ThrowawayPostgres) -> Self {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
        Self {
            database: Some(url),
            ..self
        }
    }

    fn with_unit(self, unit: Duration) -> Self {
        Self { unit, ..self }
    }

    /// Checks that nothing is reported on an intact runtime, and the expected text for each broken promise.
    #[track_caller]
    fn notices(&self, runtimes: &[&str], broken: &[(Promise, &str)]) {
        for runtime in runtimes {
            let name = self.entry.about.name;
            let intact = reports(&self.round(runtime, Promise::None));
            assert_eq!(intact, [""; 0], "{name} under {runtime}");
            for (promise, expected) in broken {
                let reports = reports(&self.round(runtime, *promise));
                assert!(
                    reports.iter().any(|report| matches(report, expected)),
                    "{name} under {runtime}, {promise:?}: `{expected}` is not in {reports:#?}"
                );
            }
        }
    }

    fn round(&self, runtime: &str, broken: Promise) -> Measurement {
        let directory = tempfile::tempdir().expect("a directory");
        let params = json!({ "broken": broken, "params": self.params });
        let target = |name: &&str| {
            let http = || format!("http://{}", server::start());
            let url = self.database.clone().unwrap_or_else(http);
            (
                (*name).to_owned(),
                TargetAddress {
                    url,
                    address: None,
                    mock: false,
                    tls: None,
                },
            )
        };
        let targets: BTreeMap<_, _> = self.entry.about.targets.iter().map(target).collect();
        let (entry, directory) = (&self.entry, directory.path());
        let plan = WorkerPlan {
            targets,
            ..plan(entry, &params, self.unit, runtime, OPERATIONS, directory)
        };
        measured(&plan, (self.entry.run)(&plan))
    }
}

/// True if `report` contains the expected text; `operation N` stands for any measured operation.
fn matches(report: &str, expected: &str) -> bool {
    let Some(expected) = expected.strip_prefix("operation N") else {
        return report.contains(expected);
    };
    report.strip_prefix("operation ").is_some_and(|rest| {
        let after_number = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
        after_number.len() < rest.len() && after_number.starts_with(expected)
    })
}

/// The violations and errors of a round.
fn reports(round: &Measurement) -> Vec<String> {
    let failures = round.errors.values().map(|failures| &failures.example);
    round.violations.iter().chain(failures).cloned().collect()
}

#[test]
fn an_excess_permit_is_caught() {
    let check = |subject: Subject, runtimes, report| {
        subject.notices(runtimes, &[(Promise::Permits, report)]);
    };
    check(
        Subject::of::<HttpLimited>(json!({})),
        CONCURRENT,
        "operation 0: expected at most 5 requests in flight at once, got 6",
    );
    check(
        Subject::of::<JobQueue>(json!({})),
        CONCURRENT,
        "operation 0: expected at most 3 jobs at once, got 4",
    );
    check(
        Subject::of::<FileLines>(json!({})),
        TASKS,
        "expected at most 10 files at once, got 11",
    );
    // All parts wait for a semaphore whose only permit is taken: with one more, they do not wait.
    check(
        Subject::of::<IdleTasks>(json!({ "count": 50 })),
        CONCURRENT,
        "expected 50 parts waiting at once, got ",
    );
    check(
        Subject::of::<IdleConnections>(json!({ "count": 50 })),
        CONCURRENT,
        "expected 50 parts waiting at once, got ",
    );
}

#[test]
fn an_excess_pool_connection_is_caught() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    // Counts that take milliseconds overlap on a busy machine, too.
    Subject::of::<DbPool>(json!({ "minimum": 1, "maximum": 2, "rows": 20_000 }))
        .with_database(&server)
        .notices(
            CONCURRENT,
            &[(
                Promise::Permits,
                "expected at most 2 open connections, got 3",
            )],
        );
}

#[test]
fn lost_duplicated_and_reordered_items_and_excess_capacity_are_caught() {
    Subject::of::<HttpQueue>(json!({})).notices(
        ALL,
        &[
            (
                Promise::ItemLost,
                "operation 0: expected URL 0 once, got it 0 times",
            ),
            (
                Promise::ItemDoubled,
                "operation 0: expected URL 0 once, got it 2 times",
            ),
        ],
    );
    Subject::of::<JobQueue>(json!({})).notices(
        CONCURRENT,
        &[
            (Promise::ItemLost, "once, got it 0 times"),
            (Promise::ItemDoubled, "once, got it 2 times"),
            (
                Promise::Capacity,
                "expected at most 15 unfinished jobs at once, got ",
            ),
        ],
    );
    Subject::of::<AsCompleted>(json!({})).notices(
        ALL,
        &[
            (Promise::ItemLost, "once, got it 0 times"),
            (Promise::ItemDoubled, "once, got it 2 times"),
            (Promise::ItemsSwapped, "operation 0: results came as ["),
        ],
    );
    let shielded = Subject::of::<HttpTimeout>(json!({ "shielded": true }));
    shielded.notices(
        CONCURRENT,
        &[(
            Promise::ItemLost,
            "operation 0: the work ended without a result when its caller had given up",
        )],
    );
}

#[test]
fn a_task_that_never_runs_and_a_changed_result_are_caught() {
    let never_ran = |subject: Subject, runtimes| {
        subject.notices(runtimes, &[(Promise::TaskLost, "operation 0: cancelled")]);
    };
    never_ran(Subject::of::<Spawn>(json!({})), ALL);
    never_ran(Subject::of::<Tasks>(json!({})), ALL);
    never_ran(Subject::of::<Counters>(json!({})), ALL);
    never_ran(Subject::of::<Batch>(json!({})), ALL);
    never_ran(Subject::of::<FileProcess>(json!({})), ALL);
    never_ran(Subject::of::<HttpFanout>(json!({})), ALL);
    never_ran(
        Subject::of::<Scrape>(json!({ "pages": ["/", "/second"] })),
        ALL,
    );
    never_ran(Subject::of::<Crawl>(json!({})), ALL);
    never_ran(Subject::of::<Process>(json!({})), ALL);

    let changed = |subject: Subject, runtimes, report| {
        subject.notices(runtimes, &[(Promise::ResultChanged, report)]);
    };
    let other_number = "operation 0: expected 0 as the result of a task, got 1";
    changed(Subject::of::<Spawn>(json!({})), ALL, other_number);
    changed(
        Subject::of::<NestedBlockOn>(json!({})),
        &["threads"],
        other_number,
    );
    changed(
        Subject::of::<CpuOffload>(json!({ "repeats": 1 })),
        ALL,
        "got [333283335001,",
    );
}

#[test]
fn a_lost_panic_message_and_a_failure_of_all_tasks_are_caught() {
    let by_panic = Subject::of::<Failures>(json!({ "by": "panic" }));
    let lost = [(
        Promise::MessageChanged,
        "got [Ok(Ok(0)), Err(Panicked(\"something went wrong\"))",
    )];
    by_panic.notices(ALL, &lost);
    let spread = [(
        Promise::TaskLost,
        "got [Err(Cancelled), Err(Cancelled), Err(Cancelled)]",
    )];
    Subject::of::<Failures>(json!({})).notices(ALL, &spread);
}

#[test]
fn an_ineffective_or_uncleaned_cancellation_is_caught() {
    Subject::of::<FirstCompleted>(json!({}))
        .with_unit(Duration::from_millis(10))
        .notices(
            TASKS,
            &[
                (
                    Promise::CancelSkipped,
                    "operation 0: the loser's cleanup had not run when cancelling it returned",
                ),
                (
                    Promise::CancelWaits,
                    "in none of 11 operations the loser was cancelled",
                ),
            ],
        );
}

#[test]
fn an_early_wait_is_caught() {
    // Half a unit is more than a tick of any runtime's timer.
    let unit = Duration::from_millis(8);
    let check = |subject: Subject, runtimes, report| {
        let subject = subject.with_unit(unit);
        subject.notices(runtimes, &[(Promise::WokenEarly, report)]);
    };
    let early = "before it was due";
    check(Subject::of::<Timers>(json!({})), ALL, early);
    check(Subject::of::<Tasks>(json!({})), ALL, early);
    check(
        Subject::of::<Tasks>(json!({ "at_once": false })),
        ALL,
        early,
    );
    check(Subject::of::<AsCompleted>(json!({})), ALL, early);
    check(Subject::of::<FirstCompleted>(json!({})), TASKS, early);
    check(Subject::of::<Failures>(json!({})), ALL, early);
    check(Subject::of::<Counters>(json!({})), ALL, early);
    check(Subject::of::<Batch>(json!({})), ALL, early);
    check(
        Subject::of::<JobQueue>(json!({ "work": 1.0 })),
        CONCURRENT,
        early,
    );
    check(Subject::of::<FileProcess>(json!({})), ALL, early);
    check(Subject::of::<Process>(json!({})), ALL, early);
    check(
        Subject::of::<BlockingMistake>(json!({ "how": "waiting" })),
        ALL,
        early,
    );
    // Its timer fires every millisecond; not every runtime's timer resolves half of that.
    check(
        Subject::of::<CpuOffload>(json!({ "repeats": 1 })),
        &["threads"],
        early,
    );
    // The operation depends on the machine: on a busy one, some attempts are late enough anyway.
    check(
        Subject::of::<HttpRetry>(json!({ "path": "/flaky/" })),
        ALL,
        "operation N: expected attempt 2 at least",
    );
}

#[test]
fn an_ignored_or_early_deadline_is_caught() {
    // More than two ticks of any kernel lie between the deadline and the response.
    let unit = Duration::from_millis(15);
    let ignored = (
        Promise::DeadlineIgnored,
        "11 of 11 operations got their answer although the deadline had passed",
    );
    let early = (Promise::DeadlineEarly, "operation N: given up after");
    Subject::of::<HttpTimeout>(json!({}))
        .with_unit(unit)
        .notices(ALL, &[ignored, early]);
    Subject::of::<HttpTimeout>(json!({ "shielded": true }))
        .with_unit(unit)
        .notices(CONCURRENT, &[ignored, early]);
}

#[test]
fn lost_reads_and_writes_are_caught() {
    Subject::of::<FileRead>(json!({})).notices(
        ALL,
        &[
            (
                Promise::ReadShort,
                "operation 0: expected 65536 bytes, got 65535",
            ),
            (
                Promise::ReadSkipped,
                "operation 0: expected 65536 bytes, got 0",
            ),
        ],
    );
    Subject::of::<FileRandom>(json!({ "file_size": "1MiB" }))
        .notices(ALL, &[(Promise::ReadElsewhere, "are wrong")]);
    let other_content = "operation 0: what was read back is not what was written";
    Subject::of::<FileWrite>(json!({})).notices(
        ALL,
        &[
            (Promise::WriteLost, other_content),
            (Promise::ReadSkipped, other_content),
            (Promise::SyncFails, "operation 0: this disk keeps nothing"),
        ],
    );
    let unsynced = Subject::of::<FileWrite>(json!({ "sync": false }));
    assert_eq!(
        reports(&unsynced.round("sync", Promise::SyncFails)),
        [""; 0]
    );
    Subject::of::<FileLines>(json!({})).notices(
        ALL,
        &[
            (
                Promise::EntryLost,
                "operation 0: expected 200 files, got 199",
            ),
            (Promise::ReadShort, "lines in all files, got"),
        ],
    );
    Subject::of::<FileProcess>(json!({})).notices(
        ALL,
        &[(
            Promise::ReadShort,
            "operation 0: expected 16384 bytes of a file, got 16383",
        )],
    );
    Subject::of::<Download>(json!({ "documents": ["/documents/1.bin"] })).notices(
        ALL,
        &[(
            Promise::WriteLost,
            "the file of /documents/1.bin holds 0 bytes that are not the 10 served",
        )],
    );
    Subject::of::<Crawl>(json!({})).notices(
        ALL,
        &[(Promise::WriteLost, "is not in the results, and 1 more")],
    );
}
