//! Fixture records: built from literals, with seeded synthetic latencies.
//!
//! [`all`] is what every chart, format and page must render: the usual run and the ones that tend to break layouts. No
//! number here was measured.

// With its path, since a fuzzer has this file as a module, too.
#[path = "fixtures/synthetic.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::LazyLock;

use photofinish_record::latency::LatencyRecorder;
use photofinish_record::load::{Arrivals, Load, RateHz};
use photofinish_record::merge::Merger;
use photofinish_record::shard::{ClockOffset, CommonStart, ShardMember, ShardSet};
use photofinish_record::{
    Arm, ArmKind, ArmSource, Cell, Completion, Cost, Gate, GateTerm, LoopOverhead, Measurement,
    OpenLoad, Outcome, Part, PlannedScenario, Profile, Record, Requirement, Search, SearchResult,
    SearchRound, SearchStep, SourceLocation, Threshold,
};
use serde_json::json;

use self::synthetic::{Draw, base, database, files, http, measured, ok_round, ops};
pub(crate) use self::synthetic::{Random, Sweep, add, cell, closed, each_measured, fail};

pub(crate) const RUNTIMES: [&str; 7] = [
    "sync",
    "threads",
    "pool",
    "tokio",
    "tokio-current-thread",
    "async-std",
    "smol",
];

/// Every fixture, by name; built once.
pub(crate) fn all() -> &'static [(&'static str, Record)] {
    static ALL: LazyLock<Vec<(&'static str, Record)>> =
        LazyLock::new(|| ALL_BY_NAME.map(|(name, build)| (name, build())).into());
    &ALL
}

/// The name of a fixture, and what builds it.
pub(crate) type Fixture = (&'static str, fn() -> Record);

pub(crate) const ALL_BY_NAME: [Fixture; 17] = [
    ("tour", tour),
    ("failures", failures),
    ("interrupted", interrupted),
    ("single", single),
    ("empty", empty),
    ("sweep", sweep),
    ("long-names", long_names),
    ("extremes", extremes),
    ("hostile", hostile),
    ("short-rounds", short_rounds),
    ("open-loads", open_loads),
    ("parts", || with_parts(7)),
    ("search", search),
    ("search-cut-short", search_cut_short),
    ("thresholds", thresholds),
    ("shards", || merged(0..4)),
    ("partial", || merged([0, 2])),
];

/// Seven runtimes, three scenarios, ten rounds.
pub(crate) fn tour() -> Record {
    let mut record = base();
    for scenario in [http(), files(), database()] {
        let operation_ns = match scenario.name.as_str() {
            "http-get" => 420_000.0,
            "file-read" => 95_000.0,
            _ => 1_900_000.0,
        };
        let sweep = Sweep {
            concurrency: &[64],
            rounds: 10,
            operation_ns,
            ops: 24_000,
        };
        add(&mut record, scenario, &RUNTIMES, sweep);
    }
    record.warnings.push(
        "The load average was 1.7 on 2 CPUs when the run began; other processes were busy."
            .to_owned(),
    );
    record.profiles = [0, 3].map(profile).to_vec();
    record
}

/// The stacks of a worker that sends, receives and waits.
fn profile(cell: usize) -> Profile {
    const SEND: &str = "runtime::Runtime::block_on;photofinish_workloads::workloads::Get::operate;wire::Wire::write;__send";
    const READ: &str = "runtime::Runtime::block_on;photofinish_workloads::workloads::Get::operate;wire::Wire::read;recv";
    Profile {
        cell,
        throughput_ops_s: 2_000.0,
        user_only: cell == 3,
        stacks: vec![
            format!("{SEND};__sys_sendto_[k];tcp_sendmsg_[k] 310"),
            format!("{READ};__sys_recvfrom_[k];tcp_recvmsg_[k] 120"),
            format!("{READ} 20"),
            "runtime::Runtime::block_on;runtime::park;epoll_wait;do_epoll_wait_[k] 140".to_owned(),
            "[rare stacks] 9".to_owned(),
        ],
    }
}

/// Every way for a cell to have no numbers, and errors within the budget.
pub(crate) fn failures() -> Record {
    let mut record = base();
    let sweep = Sweep {
        concurrency: &[16],
        rounds: 5,
        operation_ns: 420_000.0,
        ops: 4_000,
    };
    add(
        &mut record,
        PlannedScenario {
            error_budget: 0.01,
            ..http()
        },
        &RUNTIMES,
        sweep,
    );
    record.plan.cells[0].unsupported =
        Some("producers and consumers at once need more than one thread".to_owned());
    record.rounds.retain(|round| round.cell != 0);
    for round in &mut record.rounds {
        let replacement = match (round.cell, round.block) {
            (1, 0) => Some("the worker was killed by signal 9".to_owned()),
            (2, _) => Some("the server was gone: connection refused (os error 111)".to_owned()),
            _ => None,
        };
        if let Some(reason) = replacement {
            round.outcome = Outcome::Failed { reason };
        }
        match &mut round.outcome {
            Outcome::Ok(measured) if round.cell == 3 => {
                measured
                    .mismatches
                    .push("http: the server counted 4003 requests, the worker 4002".to_owned());
            }
            Outcome::Ok(measured) if round.cell == 4 => fail(&mut measured.worker, "timeout", 900),
            Outcome::Ok(measured) if round.cell == 5 => {
                fail(&mut measured.worker, "timeout", 3);
                fail(&mut measured.worker, "reset", 1);
            }
            Outcome::Ok(measured) if round.cell == 6 && round.block == 2 => {
                measured
                    .worker
                    .violations
                    .push("operation 17: expected 2 bytes, got 3".to_owned());
            }
            _ => {}
        }
    }
    record
}

/// Ended by Ctrl-C in its second block: some cells have two rounds, some one, some none.
pub(crate) fn interrupted() -> Record {
    let mut record = tour();
    record.completion = Completion::Interrupted;
    record
        .rounds
        .retain(|round| round.block == 0 && round.cell < 17 || round.block == 1 && round.cell < 4);
    record
}

/// One runtime, one round.
pub(crate) fn single() -> Record {
    let mut record = base();
    let sweep = Sweep {
        concurrency: &[1],
        rounds: 1,
        operation_ns: 55_000.0,
        ops: 500,
    };
    add(&mut record, http(), &["smol"], sweep);
    record
}

/// Nothing planned, nothing measured.
pub(crate) fn empty() -> Record {
    Record {
        completion: Completion::Failed {
            reason: "the disk is full".to_owned(),
        },
        ..base()
    }
}

/// Five levels of concurrency.
pub(crate) fn sweep() -> Record {
    let mut record = base();
    let sweep = Sweep {
        concurrency: &[1, 4, 16, 64, 256],
        rounds: 6,
        operation_ns: 300_000.0,
        ops: 12_000,
    };
    add(&mut record, http(), &RUNTIMES, sweep);
    record
}

/// Names and titles far beyond any column.
pub(crate) fn long_names() -> Record {
    let mut record = base();
    let scenario = PlannedScenario {
        name: "a-scenario-file-with-a-name-that-nobody-would-type-twice-but-somebody-will"
            .to_owned(),
        title: format!(
            "汉字の長いタイトル and {} 🏁",
            "a title that goes on and on ".repeat(6)
        ),
        ..http()
    };
    let runtimes = [
        "a-runtime-with-a-very-long-name-indeed-0.19.0-beta",
        "otherwise-quite-ordinary-runtime",
        "tokio",
    ];
    add(
        &mut record,
        scenario,
        &runtimes,
        Sweep {
            concurrency: &[100_000],
            rounds: 3,
            operation_ns: 1e6,
            ops: 2_000,
        },
    );
    record.warnings.push("wide".repeat(60));
    record
}

/// From nanoseconds to a minute in one chart.
pub(crate) fn extremes() -> Record {
    let mut record = base();
    let scenario = PlannedScenario {
        servers: BTreeMap::new(),
        stop: ops(5),
        ..http()
    };
    add(
        &mut record,
        scenario,
        &["sync"],
        Sweep {
            concurrency: &[1],
            rounds: 4,
            operation_ns: 12.0,
            ops: 400_000,
        },
    );
    for (runtime, operation_ns) in [("threads", 59e9), ("tokio", 1e3)] {
        let cell = record.plan.cells.len();
        record.plan.cells.push(Cell {
            runtime: runtime.to_owned(),
            ..record.plan.cells[0].clone()
        });
        for block in 0..4 {
            let draw = Draw {
                operation_ns,
                sessions: 1,
                ops: 7,
                seed: block as u64,
            };
            record
                .rounds
                .push(ok_round(cell, block, measured("threads", draw)));
        }
    }
    if let Some(Outcome::Ok(measured)) = record.rounds.last_mut().map(|round| &mut round.outcome) {
        measured.worker.cost = Cost::default();
    }
    record
}

/// Text that would be markup, a formula, or a control sequence where it is not escaped.
pub(crate) fn hostile() -> Record {
    let mut record = base();
    let scenario = PlannedScenario {
        name: "../<script>alert(1)</script>,\"x\"".to_owned(),
        title: "</title><script>alert('title')</script> & \u{1b}[31mred\u{1b}[0m\nnext".to_owned(),
        operation: "<img src=x onerror=alert(2)>".to_owned(),
        params: json!({"path": "</details><script>alert(3)</script>", "quote": "\"'&"}),
        ..http()
    };
    add(
        &mut record,
        scenario,
        &["<b>sync</b>", "=1+1"],
        Sweep {
            concurrency: &[2],
            rounds: 2,
            operation_ns: 1e5,
            ops: 300,
        },
    );
    record
        .warnings
        .push("<script>alert('warning')</script>".to_owned());
    record.command_line = vec![
        "photofinish".to_owned(),
        "run".to_owned(),
        "<script>alert(4)</script>".to_owned(),
    ];
    record
}

/// A few slow operations per round, as in `http-delay`.
pub(crate) fn short_rounds() -> Record {
    let mut record = base();
    let scenario = PlannedScenario {
        name: "http-delay".to_owned(),
        title: "Five requests that the server answers after one second each".to_owned(),
        stop: ops(1),
        ..http()
    };
    add(
        &mut record,
        scenario,
        &["sync", "threads", "tokio", "smol"],
        Sweep {
            concurrency: &[1],
            rounds: 3,
            operation_ns: 1e9,
            ops: 1,
        },
    );
    record
}

/// Arrivals at two rates, of which `sync` cannot hold the higher one; with a floor, a probe and a gauge.
pub(crate) fn open_loads() -> Record {
    let mut record = base();
    let sweep = Sweep {
        concurrency: &[64, 64],
        rounds: 10,
        operation_ns: 420_000.0,
        ops: 24_000,
    };
    let scenario = PlannedScenario {
        lag_probe: true,
        ..http()
    };
    let runtimes = ["sync", "threads", "tokio", "smol"];
    add(&mut record, scenario, &runtimes, sweep);
    for (index, cell) in record.plan.cells.iter_mut().enumerate() {
        let (arrivals, rate_hz) = match index / runtimes.len() {
            0 => (Arrivals::Constant, 1_000.0),
            _ => (Arrivals::Poisson, 6_000.0),
        };
        cell.load = open_at(arrivals, rate_hz, cell.load.concurrency());
    }
    for round in &mut record.rounds {
        let cell = &record.plan.cells[round.cell];
        let rate_hz = cell.load.rate_hz().expect("an open load").get();
        if let Outcome::Ok(measured) = &mut round.outcome {
            open(&mut measured.worker, rate_hz);
        }
    }
    record
}

/// Rounds without a tail, of these runtimes.
pub(crate) fn steady(runtimes: &[&str], rounds: usize) -> Record {
    let mut record = base();
    let sweep = Sweep {
        concurrency: &[16],
        rounds,
        operation_ns: 1e6,
        ops: 20_000,
    };
    add(&mut record, http(), runtimes, sweep);
    record
}

/// The record of one of four shards; the last one is slow and has another CPU.
pub(crate) fn shard(index: u32) -> Record {
    let mut record = steady(&["threads", "tokio"], 8);
    for round in &mut record.rounds {
        if let Outcome::Ok(measured) = &mut round.outcome {
            let worker = &mut measured.worker;
            if index == 3 {
                worker.ops /= 2;
                worker.throughput_ops_s /= 2.0;
                worker.cost.cpu_user_ns = Some(worker.elapsed_ns);
            }
            worker.common_start = Some(CommonStart {
                unix_us: 1_700_000_000_000_000,
                after_ns: 1_000_000 * u64::from(index),
            });
        }
    }
    record.shards = Some(ShardSet {
        count: NonZeroU32::new(4).expect("four"),
        identity: "the same".to_owned(),
        merged: false,
        members: vec![ShardMember {
            index,
            run: record.id.clone(),
            host: format!("node-{index}"),
            boot_id: None,
            cpu_model: record.machine.cpu_model.clone(),
            worker_cpus: 1 + index / 3,
            clock: Some(ClockOffset {
                least_us: i64::from(index) * 40_000,
                most_us: i64::from(index) * 40_000 + 5_000,
            }),
        }],
    });
    record
}

/// The merged record of these shards of four.
pub(crate) fn merged(shards: impl IntoIterator<Item = u32>) -> Record {
    let mut merger = Merger::default();
    for index in shards {
        merger.add(shard(index)).expect("a shard of the run");
    }
    merger.finish().expect("at least one")
}

/// Thresholds of all three verdicts, from a file and from the command line.
pub(crate) fn thresholds() -> Record {
    let mut record = steady(&["sync", "tokio"], 5);
    let threshold = |metric: &str, value: f64, line: Option<u32>| Threshold {
        scenario: "http-get".to_owned(),
        part: None,
        metric: metric.to_owned(),
        requirement: Requirement::Below { value },
        text: format!("{metric} = <script>"),
        place: line.map(|line| SourceLocation {
            file: "limits, 100%.toml".to_owned(),
            line,
        }),
    };
    record.plan.thresholds = vec![
        threshold("service_p50_ns", 10e9, Some(3)),
        threshold("service_p50_ns", 1_000.0, Some(4)),
        threshold("response_p99.5_ns", 5e6, None),
    ];
    record
}

/// A search for the highest rate: `tokio` is found, `smol` held every rate that was tried, `threads` met the objective at
/// none, and `sync` could not try.
pub(crate) fn search() -> Record {
    let mut record = base();
    let runtimes = ["threads", "tokio", "smol"];
    let rates_hz = [800.0, 1_600.0, 3_200.0, 2_260.0, 2_700.0, 3_800.0, 4_500.0];
    let sweep = Sweep {
        concurrency: &[64; 8],
        rounds: 3,
        operation_ns: 4_200_000.0,
        ops: 2_000,
    };
    add(&mut record, http(), &runtimes, sweep);
    for (index, cell) in record.plan.cells.iter_mut().enumerate() {
        if let Some(step) = (index / runtimes.len()).checked_sub(1) {
            cell.load = open_at(Arrivals::Constant, rates_hz[step], cell.load.concurrency());
        }
    }
    // Of the closed load one round is enough.
    record
        .rounds
        .retain(|round| round.cell >= runtimes.len() || round.block == 0);
    for round in &mut record.rounds {
        let load = record.plan.cells[round.cell].load;
        if let (Some(rate_hz), Outcome::Ok(measured)) = (load.rate_hz(), &mut round.outcome) {
            open(&mut measured.worker, rate_hz.get());
        }
    }
    record.plan.cells.push(Cell {
        runtime: "sync".to_owned(),
        arm: None,
        unsupported: Some("one session cannot hold an open load".to_owned()),
        ..record.plan.cells[0].clone()
    });
    record.search = Some(Search {
        objective: "response_p99 < 50ms".to_owned(),
        precision: 0.05,
        results: runtimes
            .map(|runtime| found(&record, runtime, 50e6))
            .to_vec(),
    });
    record
}

/// A search that ended when it had tried one rate under one runtime, and none under the other.
pub(crate) fn search_cut_short() -> Record {
    let mut record = search();
    record.completion = Completion::Interrupted;
    record.rounds.retain(|round| round.cell < 4);
    let results = &mut record.search.as_mut().expect("a search").results;
    results.truncate(2);
    results[0].steps.truncate(1);
    results[1].steps.clear();
    results[1].highest_hz = None;
    results[1].lowest_failing_hz = None;
    for result in results {
        result.unfinished = Some("the run ended before the search did".to_owned());
    }
    record
}

/// What a search makes of a runtime's rounds, if they are judged by their p99 alone.
fn found(record: &Record, runtime: &str, limit_ns: f64) -> SearchResult {
    let mut steps = Vec::new();
    for (index, cell) in record.plan.cells.iter().enumerate() {
        let Some(rate_hz) = cell.load.rate_hz().filter(|_| cell.runtime == runtime) else {
            continue;
        };
        let rounds = record.rounds.iter().filter(|round| round.cell == index);
        let rounds: Vec<SearchRound> = rounds
            .filter_map(|round| match &round.outcome {
                Outcome::Ok(measured) => measured.worker.open.as_ref(),
                _ => None,
            })
            .map(|open| judged(open, limit_ns))
            .collect();
        if !rounds.is_empty() {
            steps.push(SearchStep {
                rate_hz: rate_hz.get(),
                met: rounds.iter().all(|round| round.met),
                rounds,
            });
        }
    }
    let rates = |met: bool| {
        let agreeing = steps.iter().filter(move |step| step.met == met);
        agreeing.map(|step| step.rate_hz)
    };
    let (highest_hz, lowest_failing_hz) =
        (rates(true).reduce(f64::max), rates(false).reduce(f64::min));
    let unfinished = match (highest_hz, lowest_failing_hz) {
        (Some(_), Some(_)) => None,
        (Some(highest), _) => Some(format!(
            "the objective is met at the highest rate there is, {highest}/s"
        )),
        _ => Some("the objective is not met at the lowest rate that was tried, 800/s".to_owned()),
    };
    SearchResult {
        scenario: "http-get".to_owned(),
        runtime: runtime.to_owned(),
        highest_hz,
        lowest_failing_hz,
        steps,
        unfinished,
    }
}

fn judged(open: &OpenLoad, limit_ns: f64) -> SearchRound {
    let value = open
        .response
        .quantile_ns(0.99)
        .map(|time_ns| time_ns as f64);
    let met = open.rate_held && value.is_some_and(|value| value < limit_ns);
    let left = open.scheduled - open.started_in_time;
    let reason = format!("{left} of {} operations did not end", open.scheduled);
    SearchRound {
        value,
        met,
        reason: (!met).then_some(reason),
    }
}

fn open_at(arrivals: Arrivals, rate_hz: f64, concurrency: NonZeroU32) -> Load {
    Load::Open {
        arrivals,
        rate_hz: RateHz::new(rate_hz).expect("a positive literal"),
        concurrency,
    }
}

/// Makes an open load of a closed round: arrivals for two seconds that wait for sessions as long as there is work for
/// more than two seconds.
fn open(round: &mut Measurement, rate_hz: f64) {
    const SCHEDULE_NS: u64 = 2_000_000_000;
    let scheduled = (rate_hz * SCHEDULE_NS as f64 / 1e9) as u64;
    let share = (round.throughput_ops_s / rate_hz).min(1.0);
    let started = (scheduled as f64 * share) as u64;
    let [
        mut service,
        mut response,
        mut lag,
        mut overdue,
        mut pacing_error,
    ] = std::array::from_fn(|_| LatencyRecorder::default());
    let times: Vec<u64> = (0..100)
        .filter_map(|step| round.service.quantile_ns(f64::from(step) / 100.0))
        .collect();
    for op in 0..scheduled {
        // The backlog grows evenly while the rate is more than what is served.
        let due_ns = SCHEDULE_NS * op / scheduled;
        let lag_ns = 20_000 + op % 40 * 1_000 + (due_ns as f64 * (1.0 / share - 1.0)) as u64;
        pacing_error.record_ns(5_000 + op % 100 * 300);
        if op < started {
            let service_ns = times[(op * 61) as usize % times.len()];
            service.record_ns(service_ns);
            lag.record_ns(lag_ns);
            response.record_ns(lag_ns + service_ns);
        } else {
            overdue.record_ns(SCHEDULE_NS - due_ns);
        }
    }
    round.ops = started;
    round.service = service.latencies();
    round.throughput_ops_s = started as f64 * 1e9 / SCHEDULE_NS as f64;
    round.elapsed_ns = SCHEDULE_NS;
    round.open = Some(OpenLoad {
        scheduled,
        schedule_ns: SCHEDULE_NS,
        started_in_time: started,
        rate_held: started == scheduled,
        late: if started == scheduled {
            0
        } else {
            started - started / 100
        },
        unfinished: 0,
        unsent: scheduled - started,
        response: response.latencies(),
        lag: lag.latencies(),
        overdue: overdue.latencies(),
        pacing_error: pacing_error.latencies(),
        pacer_cpu_ns: Some(120_000_000),
        pacer_alone: true,
    });
    round.overhead = Some(LoopOverhead {
        ops: 100_000,
        throughput_ops_s: 9e6,
        service_p50_ns: 55,
        service_p99_ns: 90,
    });
    let probe_lag = (0..400).map(|probe: u64| 60_000 + probe * 500).collect();
    round.observed = BTreeMap::from([("probe_lag".to_owned(), probe_lag)]);
    round.gauges = BTreeMap::from([("idle_task_bytes".to_owned(), 1_234.5)]);
}

/// One scenario by time, under these runtimes.
pub(crate) fn of(sweep: Sweep<'_>, runtimes: &[&str]) -> Record {
    let mut record = base();
    add(&mut record, http(), runtimes, sweep);
    record
}

/// A gate under two loads, whose head takes 1.25 times as long.
pub(crate) fn gate_of_two_loads() -> Record {
    let sweep = Sweep {
        concurrency: &[1, 16],
        rounds: 16,
        operation_ns: 100_000.0,
        ops: 1_000,
    };
    let mut record = of(sweep, &["tokio", "tokio"]);
    for (index, cell) in record.plan.cells.iter_mut().enumerate() {
        cell.arm = Some([Arm::Base, Arm::Head][index % 2]);
    }
    let source = |what: &str| ArmSource {
        kind: ArmKind::Server,
        what: what.to_owned(),
        identity: None,
        sha256: None,
    };
    let term = GateTerm {
        scenario: record.plan.scenarios[0].name.clone(),
        metric: "throughput_ops_s".to_owned(),
        requirement: Requirement::Slowdown { limit: 0.1 },
        text: "throughput = 10%".to_owned(),
        place: None,
    };
    record.plan.gate = Some(Gate {
        base: source("./old"),
        head: source("./new"),
        tolerance: 0.02,
        terms: vec![term],
        content_may_differ: false,
    });
    record.plan.looks = vec![10, 16];
    each_measured(&mut record, |cell, block, measured| {
        let noise = 1.0 + 0.01 * (block % 3) as f64;
        measured.worker.throughput_ops_s = 5_000.0 * noise / [1.0, 1.25][cell % 2];
    });
    record
}

/// Operations that are each one request of a mix of three, under two runtimes; some fail.
pub(crate) fn with_parts(seed: u64) -> Record {
    let sweep = Sweep {
        concurrency: &[8],
        rounds: 6,
        operation_ns: 1e6,
        ops: 1,
    };
    let mut record = of(sweep, &["tokio", "tokio-current-thread"]);
    for scenario in &mut record.plan.scenarios {
        scenario.error_budget = 1.0;
    }
    let mut random = Random(seed);
    each_measured(&mut record, |_, _, measured| {
        mix(&mut measured.worker, &mut random)
    });
    record
}

fn mix(round: &mut Measurement, random: &mut Random) {
    let names = [
        "GET /items",
        "POST /orders with a rather long description",
        "login",
    ];
    round.parts = names
        .map(|name| Part {
            name: name.to_owned(),
            ..Part::default()
        })
        .to_vec();
    let mut services = [const { Vec::new() }; 3];
    let mut failed = 0;
    for _ in 0..1_500 {
        let index = (random.uniform() * 2.2) as usize;
        let part = &mut round.parts[index];
        let fails = index > 0 && random.uniform() < 0.1;
        let status = ["200", "201", "204"][index];
        let status = if fails { "503" } else { status };
        *part.statuses.entry(status.to_owned()).or_default() += 1;
        if fails {
            part.failed += 1;
            *part.failures.entry("status".to_owned()).or_default() += 1;
            failed += 1;
        } else {
            part.succeeded += 1;
            services[index].push((1e6 * (1.0 + index as f64 + random.uniform())) as u64);
        }
    }
    round.service = services.iter().flatten().copied().collect();
    round.ops = round.service.count();
    round.throughput_ops_s = 1e3;
    round.elapsed_ns = round.ops * 1_000_000;
    fail(round, "status", failed);
    for (part, service) in round.parts.iter_mut().zip(services) {
        part.service = service.into_iter().collect();
    }
}
