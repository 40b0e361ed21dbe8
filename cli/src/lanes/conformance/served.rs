//! Checks of what a worker asks of a server, and of what it makes of the server's answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Duration;

use photofinish_harness::measure::FIRST_WARMUP_OP;
use photofinish_record::draw::draw_below;
use photofinish_record::protocol::WorkerResult;
use serde_json::{Value, json};

use super::super::recording_server::{Misconduct, RecordingServer, Script, operation};
use super::bench::{Bench, lasting, ops, server};
use super::{Outcome, equal};

/// Requests of an operation with drawn delays.
const URLS: u64 = 3;
const DELAYS: u64 = 5;

pub(super) fn counts(bench: &Bench<'_>) -> Result<(), Outcome> {
    let server = server(Script::HONEST)?;
    let measured = bench.measurement(&bench.http_plan(&server, &ops(50)))?;
    let seen = server.seen();
    let traffic = measured.traffic.get("http").copied().unwrap_or_default();
    equal("operations", 50, measured.ops)?;
    equal("requests", seen.paths.len() as u64, traffic.requests)?;
    // The server may have accepted what the worker had not seen open yet: a client may connect ahead of its requests.
    let most = traffic.connections + traffic.abandoned_connections;
    if !(traffic.connections..=most).contains(&seen.connections) {
        equal("connections", seen.connections, traffic.connections)?;
    }
    Ok(())
}

pub(super) fn numbers(bench: &Bench<'_>) -> Result<(), Outcome> {
    let server = server(Script::HONEST)?;
    let measured = bench.measurement(&bench.http_plan(&server, &ops(50)))?;
    each_once(&server, measured.ops, measured.warmup_ops)?;
    Ok(())
}

/// An error unless the server was asked once for each operation: so many of the measurement, and of the warm-up.
pub(super) fn each_once(server: &RecordingServer, ops: u64, warmup_ops: u64) -> Result<(), String> {
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for number in server
        .seen()
        .paths
        .iter()
        .filter_map(|path| operation(path))
    {
        *times.entry(number).or_default() += 1;
    }
    let expected: BTreeSet<u64> = (0..ops)
        .chain(FIRST_WARMUP_OP..FIRST_WARMUP_OP + warmup_ops)
        .collect();
    let got: BTreeSet<u64> = times.keys().copied().collect();
    if let Some(missing) = expected.difference(&got).next() {
        return Err(format!("operation {missing} was not asked for"));
    }
    if let Some(surplus) = got.difference(&expected).next() {
        return Err(format!(
            "operation {surplus} was asked for and does not exist"
        ));
    }
    match times.iter().find(|(_, times)| **times > 1) {
        Some((number, times)) => Err(format!("operation {number} was asked for {times} times")),
        None => Ok(()),
    }
}

/// A plan whose requests have drawn delays, each a path of its own.
fn drawing_plan(bench: &Bench<'_>, server: &RecordingServer, seed: u64) -> Value {
    let mut plan = bench.http_plan(server, &ops(40));
    plan["workload"] = json!("http-limited");
    plan["params"] = json!({ "urls": URLS, "at_once": 2, "longest_units": DELAYS });
    plan["seed"] = json!(seed);
    plan
}

/// Each path as often as the formula says, beside a like number of requests in set-up.
pub(super) fn draws(bench: &Bench<'_>) -> Result<(), Outcome> {
    const SEED: u64 = 42;
    let server = server(Script::HONEST)?;
    let plan = drawing_plan(bench, &server, SEED);
    let unit_ns = plan["unit_ns"].as_u64().unwrap_or_default();
    let measured = bench.measurement(&plan)?;
    let mut left = [0_i64; DELAYS as usize];
    let paths = server.seen().paths;
    for (units, left) in (1..).zip(&mut left) {
        let path = format!("/delay/{}ns", unit_ns * units);
        *left = paths.iter().filter(|asked| **asked == path).count() as i64;
    }
    let warmup = FIRST_WARMUP_OP..FIRST_WARMUP_OP + measured.warmup_ops;
    for op in (0..measured.ops).chain(warmup) {
        let first = op.wrapping_mul(URLS);
        for url in 0..URLS {
            let drawn = draw_below(SEED, first.wrapping_add(url), DELAYS);
            left[drawn as usize] -= 1;
        }
    }
    let of_set_up = left[0];
    if of_set_up >= 0 && left.iter().all(|left| *left == of_set_up) {
        return Ok(());
    }
    let drawn = (measured.ops + measured.warmup_ops) * URLS;
    Err(format!(
        "beside the {drawn} requests drawn by the formula, expected as many for each of {DELAYS} paths, got {left:?}"
    )
    .into())
}

/// Two rounds with one seed ask for the same paths as often, and one with another seed does not.
pub(super) fn same_draws(bench: &Bench<'_>) -> Result<(), Outcome> {
    let asked = |seed| -> Result<Vec<String>, String> {
        let server = server(Script::HONEST)?;
        bench.measurement(&drawing_plan(bench, &server, seed))?;
        let mut paths = server.seen().paths;
        paths.sort_unstable();
        Ok(paths)
    };
    let first = asked(7)?;
    if first != asked(7)? {
        return Err("the second round asked for other paths than the first"
            .to_owned()
            .into());
    }
    if first == asked(8)? {
        return Err("a round with another seed asked for the same paths"
            .to_owned()
            .into());
    }
    Ok(())
}

pub(super) fn lies(bench: &Bench<'_>) -> Result<(), Outcome> {
    // The reference, the warm-up and some operations are honest.
    fails_with(bench, Misconduct::Lie, "wrong-content")
}

pub(super) fn broken_connections(bench: &Bench<'_>) -> Result<(), Outcome> {
    fails_with(bench, Misconduct::Reset, "reset")?;
    let unheard = TcpListener::bind(("127.0.0.1", 0));
    let address = unheard.and_then(|listener| listener.local_addr());
    let address = address.map_err(|error| format!("no address to refuse at: {error}"))?;
    let server = server(Script::HONEST)?;
    let mut plan = bench.http_plan(&server, &ops(10));
    let target = json!({ "url": format!("http://{address}"), "address": address, "mock": false });
    plan["targets"]["http"] = target;
    match bench.reply(&plan)? {
        WorkerResult::Failed { .. } => Ok(()),
        other => Err(format!("expected `failed` if nobody listens, got {other:?}").into()),
    }
}

/// A server that falls silent in the measurement: each session hangs once, until its client gives up the exchange.
pub(super) fn silence(bench: &Bench<'_>) -> Result<(), Outcome> {
    if bench.command.is_own {
        let reason = "a runtime of this program gives up with the phase, as `unfinished`";
        return Err(Outcome::Skipped(reason.to_owned()));
    }
    let server = server(Script::until(20, Misconduct::Silence))?;
    let plan = bench.http_plan(&server, &lasting(Duration::from_secs(1)));
    let measured = bench.measurement(&plan)?;
    let in_time = measured.errors.get("timeout");
    equal(
        "failures of the kind `timeout`",
        u64::from(measured.sessions),
        in_time.map_or(0, |failures| failures.count),
    )?;
    Ok(())
}

/// Operations fail with this kind once the server no longer answers as it should.
fn fails_with(bench: &Bench<'_>, misconduct: Misconduct, kind: &str) -> Result<(), Outcome> {
    let server = server(Script::until(40, misconduct))?;
    let measured = bench.measurement(&bench.http_plan(&server, &ops(100)))?;
    let of_kind = measured.errors.get(kind);
    if of_kind.is_none_or(|failures| failures.count == 0) {
        let kinds: Vec<_> = measured.errors.keys().map(String::as_str).collect();
        return Err(format!("expected failures of the kind `{kind}`, got {kinds:?}").into());
    }
    equal(
        "operations and failures",
        100,
        measured.ops + measured.failed_ops(),
    )?;
    Ok(())
}
