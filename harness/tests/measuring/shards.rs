//! Shards: together they run the operations of the whole, each once, from a common start.

use std::num::NonZeroU32;
use std::path::Path;
use std::thread;
use std::time::Duration;

use photofinish_harness::meeting::{Abort, Meeting};
use photofinish_harness::runtime::Descriptor;
use photofinish_record::Measurement;
use photofinish_record::load::{Arrivals, Load, RateHz};
use photofinish_record::protocol::{WorkerPlan, WorkerResult};
use photofinish_record::shard::{Shard, StartRule, WorkerShard};

use crate::scripted::{RoundSpec, Script, noted, ops, plan, round_of, sessions};
use crate::suite::{Check, listed};

pub(crate) const CHECKS: &[Check] = listed![
    the_shards_of_a_closed_load_run_its_operations,
    the_shards_of_an_open_load_serve_its_arrivals,
    a_shard_without_the_others_fails,
];

const SHARDS: u32 = 3;
const SESSIONS: u32 = 7;

fn whole(runtime: &Descriptor) -> WorkerPlan {
    let spec = RoundSpec {
        script: Script::Note,
        concurrency: SESSIONS,
        warmup_ops: 20,
        stop: ops(50),
    };
    plan(runtime, spec)
}

fn share(whole: &WorkerPlan, index: u32, store: &Path, limit: Duration) -> WorkerPlan {
    let count = NonZeroU32::new(SHARDS).expect("three");
    WorkerPlan {
        shard: Some(WorkerShard {
            shard: Shard::new(index, count).expect("a shard"),
            start: StartRule::Meet {
                store: store.to_owned(),
                limit_ns: limit.as_nanos() as u64,
                // Several looks, which are up to 50 ms apart on an idle machine.
                margin_ns: 1_000_000_000,
            },
        }),
        ..whole.clone()
    }
}

/// Runs all shards at once.
fn run_shards(whole: &WorkerPlan) -> Vec<WorkerResult> {
    let store = tempfile::tempdir().expect("a directory");
    let limit = Duration::from_secs(60);
    thread::scope(|scope| {
        let shards = (0..SHARDS).map(|index| share(whole, index, store.path(), limit));
        let running: Vec<_> = shards
            .map(|plan| scope.spawn(move || round_of(&plan)))
            .collect();
        let results = running.into_iter().map(|shard| shard.join());
        results.map(|result| result.expect("no panic")).collect()
    })
}

/// The measurements of all shards, or `None` if the runtime cannot be split.
fn measured(whole: &WorkerPlan, runtime: &Descriptor) -> Option<Vec<Measurement>> {
    let results = run_shards(whole);
    if sessions(runtime, SESSIONS) < SHARDS {
        for result in results {
            let reason = "its load has fewer sessions (1) than there are shards (3)".to_owned();
            assert_eq!(result, WorkerResult::Unsupported { reason });
        }
        return None;
    }
    let all = results.into_iter().map(|result| match result {
        WorkerResult::Ok { measurement, .. } => *measurement,
        other => panic!("not measured: {other:?}"),
    });
    let all: Vec<Measurement> = all.collect();
    let started = all.iter().map(|shard| shard.common_start.expect("shared"));
    let started: Vec<u64> = started.map(|start| start.unix_us).collect();
    assert!(
        started.iter().all(|start| *start == started[0]),
        "{started:?}"
    );
    let shares: Vec<u32> = all.iter().map(|shard| shard.sessions).collect();
    assert_eq!(shares, [3, 2, 2]);
    Some(all)
}

fn the_shards_of_a_closed_load_run_its_operations(runtime: &'static Descriptor) {
    let Some(shards) = measured(&whole(runtime), runtime) else {
        return;
    };
    let counts: Vec<u64> = shards.iter().map(|shard| shard.ops).collect();
    // 50 operations of 7 sessions: session 0 has 8, the others 7.
    assert_eq!(counts, [22, 14, 14]);
    assert_eq!(noted(), (Vec::from_iter(0..20), Vec::from_iter(0..50)));
}

fn the_shards_of_an_open_load_serve_its_arrivals(runtime: &'static Descriptor) {
    let whole = WorkerPlan {
        load: Load::Open {
            arrivals: Arrivals::Poisson,
            rate_hz: RateHz::new(1_000.0).expect("a rate"),
            concurrency: NonZeroU32::new(SESSIONS).expect("seven"),
        },
        ..whole(runtime)
    };
    let Some(shards) = measured(&whole, runtime) else {
        return;
    };
    let scheduled = shards.iter().map(|shard| {
        let open = shard.open.as_ref().expect("open");
        open.scheduled
    });
    assert_eq!(Vec::from_iter(scheduled), [17, 17, 16]);
    let lengths = shards.iter().map(|shard| {
        let open = shard.open.as_ref().expect("open");
        open.schedule_ns
    });
    let lengths = Vec::from_iter(lengths);
    assert!(
        lengths.iter().all(|length| *length == lengths[0]),
        "{lengths:?}"
    );
    assert_eq!(noted(), (Vec::from_iter(0..20), Vec::from_iter(0..50)));
}

fn a_shard_without_the_others_fails(runtime: &'static Descriptor) {
    if sessions(runtime, SESSIONS) < SHARDS {
        return;
    }
    let store = tempfile::tempdir().expect("a directory");
    let failure = |plan: &WorkerPlan| match round_of(plan) {
        WorkerResult::Failed { reason, .. } => reason,
        other => panic!("it ran: {other:?}"),
    };
    let alone = share(&whole(runtime), 1, store.path(), Duration::from_millis(20));
    assert_eq!(
        failure(&alone),
        "shards 0 and 2 of 3 were not ready for round 1 within 0 s"
    );
    assert_eq!(
        failure(&alone),
        "another process has been shard 1/3 here: it is ready for round 1 already"
    );
    let ended = Abort {
        shard: 2,
        reason: "interrupted".to_owned(),
    };
    let meeting = Meeting::in_directory(store.path());
    meeting.end(&ended).expect("written");
    let alone = share(&whole(runtime), 0, store.path(), Duration::from_secs(60));
    assert_eq!(failure(&alone), "shard 2 of 3 ended the run: interrupted");
    let late = WorkerPlan {
        shard: alone.shard.map(|own| WorkerShard {
            start: StartRule::At { unix_us: 1 },
            ..own
        }),
        ..alone
    };
    let late = failure(&late);
    assert!(late.starts_with("the start was set "), "{late}");
}
