//! Open loads as users meet them: rates from the command line, a server that stops, ends that nobody planned, a search.

use std::thread;
use std::time::{Duration, Instant};

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_record::load::Load;
use photofinish_record::{Completion, Measurement, Outcome, Record};
use photofinish_reports::report::all_decided;
use photofinish_reports::selftest::Stall;

use crate::nginx::nginx;
use crate::support::{Sandbox, send, wait_for};

/// The measured rounds, with the runtime of each.
fn measured(record: &Record) -> Vec<(&str, &Measurement)> {
    let measured = record
        .rounds
        .iter()
        .filter_map(|round| match &round.outcome {
            Outcome::Ok(measured) => {
                let cell = &record.plan.cells[round.cell];
                Some((cell.runtime.as_str(), &measured.worker))
            }
            _ => None,
        });
    measured.collect()
}

#[test]
fn each_rate_is_a_cell_and_every_arrival_is_accounted_for() {
    let sandbox = Sandbox::new();
    let arguments = [
        "run",
        "http-get",
        "--runtimes",
        "sync,tokio",
        "--rate",
        "200,0.4k",
        "--arrivals",
        "poisson",
        "--duration",
        "200ms",
        "--rounds",
        "2",
        "--concurrency",
        "4",
        "--no-redo",
    ];
    let finished = sandbox.run(&arguments).check(0, &[]);
    assert!(finished.stdout.contains("400/s"), "{}", finished.stdout);
    let record = sandbox.record();
    let rates: Vec<f64> = record
        .plan
        .cells
        .iter()
        .filter_map(|cell| Some(cell.load.rate_hz()?.get()))
        .collect();
    assert_eq!(rates, [200.0, 200.0, 400.0, 400.0]);
    let rounds = measured(&record);
    assert_eq!(rounds.len(), 8);
    for (_, round) in rounds {
        let open = round.open.as_ref().expect("an open load");
        assert_eq!(round.ops + open.unfinished + open.unsent, open.scheduled);
        assert!(open.scheduled > 0);
    }
}

/// The stall test against a server of others: what arithmetic says must show in the responses, under each runtime.
///
/// Method: 500 arrivals per second for 3 s; nginx is stopped for half a second in the middle, by signals. Other tests run
/// beside this one and may add to it, never take away; without counting from the due time the 99th percentile would be
/// missed by orders of magnitude. How exact it is on a quiet machine is the self-test's business.
#[test]
fn a_stopped_nginx_shows_in_the_response_times_as_arithmetic_predicts() {
    let sandbox = Sandbox::new();
    let Some((mut nginx, address)) = nginx(&sandbox) else {
        return;
    };
    let target = format!("http=http://{address}/page");
    let server = nginx.id();
    for runtime in DESCRIPTORS {
        let attempt = |_| {
            let run = sandbox.start(&[
                "run",
                "http-get",
                "--runtimes",
                runtime.name,
                "--rate",
                "500",
                "--duration",
                "3s",
                "--rounds",
                "1",
                "--concurrency",
                "8",
                "--no-redo",
                "--set=load.warmup=100ms",
                "--target",
                &target,
            ]);
            stall_in_the_middle(run, server)
        };
        let stall = (0..5)
            .find_map(attempt)
            .expect("a machine with time for this test");
        let record = sandbox.record();
        let rounds = measured(&record);
        let [(_, round)] = rounds.as_slice() else {
            panic!("{}: {:?}", runtime.name, record.completion);
        };
        let open = round.open.as_ref().expect("an open load");
        assert_eq!(round.ops, open.scheduled, "{}", runtime.name);
        for quantile in [0.99, 1.0] {
            let expected_ns = stall.response_ns(round.ops, quantile);
            let seen_ns = open.response.quantile_ns(quantile).expect("values") as f64;
            let ratio = seen_ns / expected_ns;
            assert!(
                (0.85..=1.6).contains(&ratio),
                "{}: {seen_ns} ns instead of {expected_ns} ns at {quantile}",
                runtime.name
            );
        }
        // What a closed view would have shown: at most a session each saw the stall.
        let service_ns = round.service.quantile_ns(0.99).expect("values") as f64;
        assert!(
            service_ns < 0.5 * stall.response_ns(round.ops, 0.99),
            "{service_ns}"
        );
    }
}

/// Stops the server for half a second once the worker measures, and waits for the run's end. `None` if this process got so
/// little of the CPU that the stall was not in the middle of the measured phase.
fn stall_in_the_middle(mut run: crate::support::Started, server: u32) -> Option<Stall> {
    run.wait_for_child("worker");
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(1_300));
    let stopped = Instant::now();
    send("STOP", server);
    thread::sleep(Duration::from_millis(500));
    send("CONT", server);
    let (lead, stall) = (stopped - begun, stopped.elapsed());
    run.finish().check(0, &[]);
    let is_in_the_middle = lead + stall < Duration::from_millis(2_500);
    is_in_the_middle.then(|| Stall {
        rate_hz: 500.0,
        stall_ns: u64::try_from(stall.as_nanos()).expect("half a second"),
    })
}

/// A run whose only round is a long open load, and which has begun with it.
fn long_open_round(sandbox: &Sandbox, duration: &str) -> crate::support::Started {
    let mut run = sandbox.start(&[
        "run",
        "http-get",
        "--runtimes",
        "tokio",
        "--rate",
        "200",
        "--duration",
        duration,
        "--rounds",
        "1",
        "--concurrency",
        "2",
        "--no-redo",
        "--set=load.warmup=20ms",
    ]);
    run.wait_for_child("worker");
    thread::sleep(Duration::from_millis(500));
    run
}

#[test]
fn a_stalled_server_leaves_a_record_of_unfinished_operations() {
    let sandbox = Sandbox::new();
    let mut run = long_open_round(&sandbox, "2s");
    let server = run.wait_for_child("serve");
    send("STOP", server);
    run.finish().check(1, &["the server `http` gave no answer"]);
    let record = sandbox.record();
    assert!(
        matches!(&record.completion, Completion::Failed { reason } if reason.contains("no answer"))
    );
    let Some(Outcome::Ok(round)) = record.rounds.last().map(|round| &round.outcome) else {
        panic!("the round's numbers are kept: {:?}", record.rounds);
    };
    let open = round.worker.open.as_ref().expect("an open load");
    assert_eq!(
        round.worker.ops + open.unfinished + open.unsent,
        open.scheduled
    );
    assert!(
        open.unsent > 0 && open.unfinished > 0 && !open.rate_held,
        "{open:?}"
    );
    assert!(
        round.mismatches[0].contains("counts are missing"),
        "{:?}",
        round.mismatches
    );
    assert!(sandbox.latest().join("report.html").is_file());
}

#[test]
fn ctrl_c_and_a_killed_worker_in_an_open_load_leave_a_record_that_says_so() {
    let sandbox = Sandbox::new();
    let mut run = long_open_round(&sandbox, "10m");
    run.signal("INT");
    run.finish()
        .check(130, &["interrupted after 0 of 1 rounds"]);
    assert_eq!(sandbox.record().completion, Completion::Interrupted);

    let mut run = long_open_round(&sandbox, "10m");
    let worker = run.wait_for_child("worker");
    send("KILL", worker);
    run.finish().check(1, &["the worker was killed by SIGKILL"]);
    let record = sandbox.record();
    assert!(
        matches!(&record.completion, Completion::Failed { reason } if reason.contains("SIGKILL"))
    );
}

#[test]
fn a_search_records_its_steps_and_the_highest_rate() {
    let sandbox = Sandbox::new();
    let arguments = [
        "run",
        "scripted",
        "--runtimes",
        "sync,tokio",
        "--find-max",
        "response_p50 < 30ms",
        "--duration",
        "100ms",
        "--set=load.warmup=10ms",
        "--no-redo",
        "--set=params.times=[{share=1.0,time_us=2000.0}]",
    ];
    let finished = sandbox.run(&arguments).check(0, &[]);
    let trying = |line: &str| {
        line.starts_with("step ") && line.contains("/s met") && line.contains("trying ")
    };
    assert!(finished.stderr.lines().any(trying), "{}", finished.stderr);
    // One table, whatever the number of rates.
    assert_eq!(finished.stdout.matches("  not met at  ").count(), 1);
    // What it advises must be a command that works: --find-max and --rounds exclude each other.
    let (_, next) = finished.stdout.split_once("Next:").expect("advice");
    assert!(
        next.contains("--rate ") && next.contains("--rounds 15"),
        "{next}"
    );
    assert!(!next.contains("--find-max"), "{next}");
    let record = sandbox.record();
    let search = record.search.as_ref().expect("a search");
    assert_eq!(search.objective, "response_p50 < 30ms");
    assert_eq!(search.results.len(), 2);
    for result in &search.results {
        assert_eq!(result.unfinished, None, "{result:?}");
        let (held, failed) = (
            result.highest_hz.expect("found"),
            result.lowest_failing_hz.expect("found"),
        );
        // An operation takes 2 ms, so 500 per second are the most; other tests may leave less.
        assert!(held < failed && held <= 550.0, "{held} {failed}");
        assert!(result.steps.iter().all(|step| step.rounds.len() >= 2));
        let at_this_rate = |rate_hz: f64| {
            let same = |load: Load| load.rate_hz().is_some_and(|rate| rate.get() == rate_hz);
            record
                .plan
                .cells
                .iter()
                .any(|cell| cell.runtime == result.runtime && same(cell.load))
        };
        assert!(result.steps.iter().all(|step| at_this_rate(step.rate_hz)));
    }
}

#[test]
fn a_run_ends_at_the_first_look_with_everything_decided() {
    // A twin with ten times the work: on a quiet machine ten rounds tell them apart. A busy one may take a round's whole
    // time from one of them, so the looks before the end are asked, too.
    let sandbox = Sandbox::new();
    let arguments = [
        "run",
        "scripted",
        "--runtimes",
        "sync",
        "--twin",
        "sync,work=100000",
        "--until-decided",
        "--duration",
        "10ms",
        "--set=load.warmup=1ms",
        "--set=params.times=[]",
        "--set=params.work=10000",
        "--no-redo",
    ];
    sandbox.run(&arguments).check(0, &[]);
    let record = sandbox.record();
    assert_eq!(record.plan.looks, [10, 16, 24, 40]);
    assert_eq!(record.completion, Completion::Complete);
    let ends = record.plan.looks.iter().map(|blocks| 2 * *blocks as usize);
    let mut decided = ends.map(|end| {
        let rounds = record.rounds.get(..end);
        (end, rounds.map(|rounds| all_decided(&record.plan, rounds)))
    });
    let first = decided.find(|(end, decided)| *decided != Some(false) || *end == 80);
    let (end, decided) = first.expect("a look");
    assert_eq!(record.rounds.len(), end, "{decided:?}");
    assert!(
        record
            .rounds
            .iter()
            .any(|round| record.plan.cells[round.cell].runtime == "sync-twin")
    );
}

#[test]
fn an_invalid_open_load_is_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    let check = |arguments: &[&str], expected_text: &[&str]| {
        sandbox
            .run(&[&["run", "null"], arguments].concat())
            .check(2, expected_text);
    };
    check(
        &["--rate", "0"],
        &["expected a rate in arrivals per second"],
    );
    check(
        &["--arrivals", "poisson"],
        &["every load of this run is closed", "--rate"],
    );
    check(
        &["--find-max", "p99 < 10"],
        &["expected an objective", "response_p99 < 10ms"],
    );
    check(
        &["--find-max", "lag_p99 < 1ms", "--rate", "5"],
        &["cannot be used with"],
    );
    check(
        &["--until-decided", "--rounds", "5"],
        &["cannot be used with"],
    );
    check(
        &["--runtimes", "sync,tokio", "--reference", "smol"],
        &["is not among the runtimes"],
    );
    wait_for("nothing", || {
        (!sandbox.path().join("photofinish-runs").exists()).then_some(())
    });
}
