//! Checks of a worker under open load: its arrivals come when they are due, whatever became of the others.

use std::time::Duration;

use photofinish_record::{Measurement, OpenLoad};
use photofinish_reports::selftest::Stall;
use serde_json::{Value, json};

use super::super::recording_server::{Misconduct, Pause, RecordingServer, Script};
use super::bench::{Bench, lasting, server};
use super::served::each_once;
use super::{Outcome, equal};

const RATE_HZ: f64 = 100.0;

/// Length of the stall: three quarters of the arrivals are due while it lasts.
const STALL: Duration = Duration::from_millis(1_400);

fn open_plan(bench: &Bench<'_>, server: &RecordingServer, length: Duration) -> Value {
    let mut plan = bench.http_plan(server, &lasting(length));
    plan["load"] = json!({
        "model": "open", "arrivals": "constant", "rate_hz": RATE_HZ, "concurrency": 2,
    });
    plan
}

fn open(measured: &Measurement) -> Result<&OpenLoad, String> {
    let open = measured.open.as_ref();
    open.ok_or_else(|| "it has no numbers of an open load".to_owned())
}

/// The server pauses once. Arrivals that are due meanwhile wait: those are lower bounds, whatever else the machine does. An operation
/// of each session waits as well, and no other one, so that service times show nothing.
pub(super) fn stall(bench: &Bench<'_>) -> Result<(), Outcome> {
    const ARRIVALS: u64 = 200;
    let pause = Pause {
        op: 20,
        length: STALL,
    };
    let server = server(Script {
        stall: Some(pause),
        ..Script::HONEST
    })?;
    let plan = open_plan(bench, &server, Duration::from_secs(2));
    let measured = bench.open_measurement(plan, Duration::from_secs(2))?;
    let open = open(&measured)?;
    equal("arrivals scheduled", ARRIVALS, open.scheduled)?;
    equal("arrivals served", ARRIVALS, measured.ops)?;
    each_once(&server, measured.ops, measured.warmup_ops)?;
    let stall = Stall {
        rate_hz: RATE_HZ,
        stall_ns: u64::try_from(STALL.as_nanos()).unwrap_or(u64::MAX),
    };
    for percent in [50_u32, 90, 100] {
        let quantile = f64::from(percent) / 100.0;
        let least_ns = 0.95 * stall.response_ns(ARRIVALS, quantile);
        let got_ns = open.response.quantile_ns(quantile).unwrap_or(0) as f64;
        if got_ns < least_ns {
            return Err(format!(
                "p{percent} of the response times, with a stall of {STALL:?}: expected {least_ns:.0} ns or more, got {got_ns:.0}"
            )
            .into());
        }
    }
    let p90_ns = measured.service.quantile_ns(0.9).unwrap_or(0) as f64;
    if p90_ns > 0.5 * stall.response_ns(ARRIVALS, 0.9) {
        return Err(format!("p90 of the service times holds the stall: {p90_ns:.0} ns").into());
    }
    Ok(())
}

/// A server that falls silent: every session hangs in an operation, and all later arrivals are left.
pub(super) fn left_over(bench: &Bench<'_>) -> Result<(), Outcome> {
    const ARRIVALS: u64 = 30;
    if bench.command.is_own {
        let reason = "a runtime of this program has a fixed limit";
        return Err(Outcome::Skipped(reason.to_owned()));
    }
    // By count, so that the silence begins in the measurement: references, at most ten operations, and some more.
    let server = server(Script::until(20, Misconduct::Silence))?;
    let plan = open_plan(bench, &server, Duration::from_millis(300));
    let measured = bench.open_measurement(plan, Duration::from_millis(300))?;
    let open = open(&measured)?;
    equal("arrivals scheduled", ARRIVALS, open.scheduled)?;
    equal(
        "unfinished operations",
        u64::from(measured.sessions),
        open.unfinished,
    )?;
    if open.unsent == 0 {
        return Err("no arrival is unsent".to_owned().into());
    }
    Ok(())
}
