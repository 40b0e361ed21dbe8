//! Checks of what a worker answers: its description, its counts and times, and the form of its reply.

use std::time::{Duration, Instant};

use photofinish_harness::runtimes::descriptor;
use photofinish_record::draw::draw;
use photofinish_record::latency::Latencies;
use photofinish_record::protocol::{LaneDescription, WORKER_PROTOCOL, WorkerResult};
use serde_json::json;

use super::bench::{Bench, REPLYING, lasting, line, measured, ops, result};
use super::{Outcome, equal};
use crate::process::NoLine;

/// Relative and absolute error of a quantile: a bucket of three digits, and a clock read.
const BUCKET: f64 = 0.001;
const CLOCK_NS: f64 = 2_000.0;

pub(super) fn description(bench: &Bench<'_>) -> Result<(), Outcome> {
    if bench.command.is_own {
        let reason = "a runtime of this program has none";
        return Err(Outcome::Skipped(reason.to_owned()));
    }
    let LaneDescription {
        name, workloads, ..
    } = bench.lane;
    if name.is_empty() {
        return Err("the lane has no name".to_owned().into());
    }
    if descriptor(name).is_some() {
        return Err(format!("`{name}` is a built-in runtime").into());
    }
    if workloads.is_empty() {
        return Err("the lane has no workload".to_owned().into());
    }
    Ok(())
}

pub(super) fn by_count(bench: &Bench<'_>) -> Result<(), Outcome> {
    let measured = bench.measurement(&bench.plan("null", &ops(101)))?;
    equal("operations", 101, measured.ops)?;
    equal("operations of the warm-up", 10, measured.warmup_ops)?;
    equal(
        "values in the histogram",
        measured.ops,
        measured.service.count(),
    )?;
    Ok(())
}

pub(super) fn by_time(bench: &Bench<'_>) -> Result<(), Outcome> {
    let length = Duration::from_millis(100);
    let measured = bench.measurement(&bench.plan("null", &lasting(length)))?;
    let lasted = Duration::from_nanos(measured.elapsed_ns);
    // It lasts from the first start on, which may be later than that of the clock.
    if lasted < length.mul_f64(0.95) {
        return Err(format!("expected about {length:?}, got {lasted:?}").into());
    }
    let rate = measured.ops as f64 / lasted.as_secs_f64();
    let share = measured.throughput_ops_s / rate;
    if !(0.8..=1.25).contains(&share) {
        let got = measured.throughput_ops_s;
        let ops = measured.ops;
        return Err(format!(
            "{ops} operations in {lasted:?} are {rate:.0}/s, and it reports {got:.0}/s"
        )
        .into());
    }
    equal(
        "values in the histogram",
        measured.ops,
        measured.service.count(),
    )?;
    Ok(())
}

/// Operations that are busy for 1 or 4 ms, by their draws. None can be shorter, whatever else the machine does; and all together
/// take no longer than the sessions had, which took no longer than the worker.
pub(super) fn scripted_times(bench: &Bench<'_>) -> Result<(), Outcome> {
    const OPS: u64 = 40;
    let mut plan = bench.plan("scripted", &ops(OPS));
    let line = |share: f64, time_us: f64| json!({ "share": share, "time_us": time_us });
    plan["params"] =
        json!({ "times": [line(0.7, 1_000.0), line(0.3, 4_000.0)], "work": 0, "parts": [] });
    let seed = plan["seed"].as_u64().unwrap_or_default();
    let begun = Instant::now();
    let measured = bench.measurement(&plan)?;
    let took_ns = begun.elapsed().as_nanos() as f64;
    let uniform = |op| (draw(seed, op) >> 11) as f64 / (1_u64 << 53) as f64;
    let scripted: Latencies = (0..OPS)
        .map(|op| {
            if uniform(op) < 0.7 {
                1_000_000
            } else {
                4_000_000
            }
        })
        .collect();
    equal("values in the histogram", OPS, measured.service.count())?;
    for percent in [1_u32, 25, 50, 75, 99] {
        let quantile = f64::from(percent) / 100.0;
        let at = |times: &Latencies| times.quantile_ns(quantile).unwrap_or(0) as f64;
        let (least, got) = (at(&scripted), at(&measured.service));
        if got < least * (1.0 - BUCKET) - CLOCK_NS {
            return Err(format!("p{percent}: expected {least} ns or more, got {got} ns").into());
        }
    }
    let all_ns = measured.service.mean_ns().unwrap_or(0.0) * OPS as f64;
    let sessions_ns = measured.session_ns as f64;
    if all_ns > sessions_ns * (1.0 + BUCKET) + CLOCK_NS {
        let what = "all operations together are longer than the sessions were at work";
        return Err(format!("{what}: {all_ns:.0} ns, {sessions_ns:.0} ns").into());
    }
    let most_ns = took_ns * f64::from(measured.sessions);
    if sessions_ns > most_ns {
        let what = "the sessions were at work for longer than the worker was there";
        return Err(format!("{what}: {sessions_ns:.0} ns, {most_ns:.0} ns").into());
    }
    Ok(())
}

pub(super) fn unknown_workload(bench: &Bench<'_>) -> Result<(), Outcome> {
    match bench.reply(&bench.plan("no-such-workload", &ops(1)))? {
        WorkerResult::Unsupported { .. } => Ok(()),
        other => Err(format!("expected `unsupported`, got {other:?}").into()),
    }
}

pub(super) fn other_protocol(bench: &Bench<'_>) -> Result<(), Outcome> {
    let mut plan = bench.plan("null", &ops(1));
    plan["protocol"] = json!(WORKER_PROTOCOL + 1);
    match bench.reply(&plan) {
        Ok(WorkerResult::Ok { .. }) => {
            let what = "it measured a plan that it cannot understand";
            Err(what.to_owned().into())
        }
        // It may also end with an error.
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(super) fn one_line(bench: &Bench<'_>) -> Result<(), Outcome> {
    let mut worker = bench.start(&bench.plan("null", &ops(10)))?;
    line(&mut worker)?;
    match worker.next_line(REPLYING) {
        Ok(line) => Err(format!("a second line: {line:.60}").into()),
        Err(NoLine::Ended(_)) => Ok(()),
        Err(NoLine::TimedOut(_) | NoLine::Interrupted) => Err("it did not exit".to_owned().into()),
    }
}

/// An audit lists the service times one by one: a long line, and a second opinion on the histogram.
pub(super) fn long_line(bench: &Bench<'_>) -> Result<(), Outcome> {
    const OPS: u64 = 40_000;
    const LONG: usize = 64 << 10;
    let mut plan = bench.plan("null", &ops(OPS));
    plan["audit"] = json!(true);
    let mut worker = bench.start(&plan)?;
    let line = line(&mut worker)?;
    let (measurement, audit) = measured(result(&line)?)?;
    let Some(audit) = audit else {
        return Err(Outcome::Skipped("it has no audit".to_owned()));
    };
    equal("times in the audit", OPS, audit.service_ns.len() as u64)?;
    if line.len() <= LONG {
        return Err(format!("expected more than 64 KiB, got {} bytes", line.len()).into());
    }
    let listed: Latencies = audit.service_ns.into_iter().collect();
    for percent in [1_u32, 50, 99] {
        let quantile = f64::from(percent) / 100.0;
        let at = |times: &Latencies| times.quantile_ns(quantile).unwrap_or(0) as f64;
        let (expected, got) = (at(&listed), at(&measurement.service));
        if (got - expected).abs() > expected * BUCKET + CLOCK_NS {
            return Err(format!("p{percent}: expected {expected} ns, got {got} ns").into());
        }
    }
    Ok(())
}
