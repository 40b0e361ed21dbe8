//! Outcomes of operations (failures by kind and apart, violations, panics), and of a round that cannot run.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::Descriptor;
use photofinish_harness::workload::Failure;
use photofinish_record::load::Stop;
use photofinish_record::protocol::{WorkerPlan, WorkerResult};

use crate::scripted::{
    ABANDONED, RoundSpec, Script, measure, noted, ops, plan, round, round_of, sessions,
};
use crate::suite::{Check, listed};

pub(crate) const CHECKS: &[Check] = listed![
    failures_are_counted_by_kind_and_never_among_successes,
    a_phase_ends_where_the_data_do,
    wrong_content_is_a_violation_in_words,
    an_operation_that_panics_fails_the_round_with_its_message,
    what_cannot_be_set_up_fails_the_round_with_the_reason,
    a_session_that_opens_to_the_wrong_content_makes_the_round_wrong,
    a_promise_broken_over_the_whole_round_is_a_violation,
    a_check_that_fails_at_the_end_keeps_what_was_counted,
    operations_and_farewells_that_never_end_are_ended_and_told,
];

fn spec(script: Script) -> RoundSpec {
    RoundSpec {
        script,
        concurrency: 4,
        warmup_ops: 6,
        stop: ops(300),
    }
}

fn failures_are_counted_by_kind_and_never_among_successes(runtime: &'static Descriptor) {
    let measurement = measure(runtime, spec(Script::FailTwoOfThree));
    assert_eq!((measurement.ops, measurement.warmup_ops), (100, 6));
    assert_eq!(measurement.service.count(), 100);
    let errors: Vec<_> = measurement
        .errors
        .iter()
        .map(|(kind, failures)| (kind.as_str(), failures.count, failures.service.count()))
        .collect();
    assert_eq!(
        errors,
        [(Failure::RESET, 100, 100), (Failure::TIMEOUT, 100, 100)]
    );
    assert!(
        measurement.errors[Failure::RESET]
            .example
            .ends_with(": as told")
    );
    assert!(measurement.violations.is_empty());
}

fn a_phase_ends_where_the_data_do(runtime: &'static Descriptor) {
    // A generous bound, far more than forty operations take: the phase must end before its planned end.
    let start = Instant::now();
    let measurement = measure(
        runtime,
        RoundSpec {
            stop: Stop::after(Duration::from_secs(600)),
            warmup_ops: 60,
            ..spec(Script::RowsEndAt(40))
        },
    );
    assert!(start.elapsed() < Duration::from_secs(300));
    assert_eq!((measurement.ops, measurement.warmup_ops), (40, 40));
    assert!(measurement.errors.is_empty(), "{:?}", measurement.errors);
    let all: Vec<u64> = (0..40).collect();
    assert_eq!(noted(), (all.clone(), all));
}

fn wrong_content_is_a_violation_in_words(runtime: &'static Descriptor) {
    let measurement = measure(runtime, spec(Script::WrongContentAt(42)));
    assert_eq!(measurement.violations, ["operation 42: 7 instead of 8"]);
    assert_eq!(measurement.errors[Failure::WRONG_CONTENT].count, 1);
    assert_eq!((measurement.ops, measurement.service.count()), (299, 299));
}

/// The round fails, and says so in words with `part` in them.
fn check_fails(runtime: &Descriptor, script: Script, part: &str) {
    match round(runtime, spec(script)) {
        WorkerResult::Failed { reason, .. } => assert!(reason.contains(part), "{reason}"),
        other => panic!("{script:?} gave {other:?}"),
    }
}

fn an_operation_that_panics_fails_the_round_with_its_message(runtime: &'static Descriptor) {
    check_fails(runtime, Script::PanicAt(17), "as told");
    // The process is there, and can do another round.
    assert_eq!(measure(runtime, spec(Script::Note)).ops, 300);
}

fn what_cannot_be_set_up_fails_the_round_with_the_reason(runtime: &'static Descriptor) {
    check_fails(runtime, Script::Refuse, "asks for the impossible");
    check_fails(runtime, Script::FailToPrepare, "no room");
    let last = sessions(runtime, 4) - 1;
    check_fails(
        runtime,
        Script::FailToOpen(last),
        &format!("session {last} failed{}: refused", so_far(last)),
    );
}

/// The number of sessions that were open before the last one failed to.
fn so_far(last: u32) -> String {
    match last {
        0 => String::new(),
        open => format!(" ({open} of 4 are open)"),
    }
}

fn a_session_that_opens_to_the_wrong_content_makes_the_round_wrong(runtime: &'static Descriptor) {
    let last = sessions(runtime, 4) - 1;
    let so_far = so_far(last);
    match round(runtime, spec(Script::OpenToWrongContent(last))) {
        WorkerResult::Wrong { reason } => assert_eq!(
            reason,
            format!("opening session {last} failed{so_far}: wrong-content: 7 instead of 8")
        ),
        other => panic!("{other:?}"),
    }
}

fn a_promise_broken_over_the_whole_round_is_a_violation(runtime: &'static Descriptor) {
    let measurement = measure(runtime, spec(Script::BreakAPromise));
    let sessions = sessions(runtime, 4);
    let totals =
        format!("Totals {{ sessions: {sessions}, succeeded: 306, failed: 0, traffic: {{}} }}");
    assert_eq!(measurement.violations, [totals]);
}

fn a_check_that_fails_at_the_end_keeps_what_was_counted(runtime: &'static Descriptor) {
    let measurement = measure(runtime, spec(Script::FailToFinish));
    assert_eq!(measurement.ops, 300);
    let failed = "checking and cleaning up failed: reset: nobody there";
    assert_eq!(measurement.violations, ["broken", failed]);
    assert_eq!(noted().1, [ABANDONED]);
}

/// A closed round of 50 ms after 50 ms of warm-up.
fn short_round(runtime: &Descriptor, script: Script) -> WorkerResult {
    let shortly = Stop::after(Duration::from_millis(50));
    round_of(&WorkerPlan {
        warmup: shortly,
        stop: shortly,
        ..plan(runtime, spec(script))
    })
}

/// The three run side by side, since each of them waits for seconds.
fn operations_and_farewells_that_never_end_are_ended_and_told(runtime: &'static Descriptor) {
    std::thread::scope(|scope| {
        scope.spawn(|| check_stuck_in_the_measured_phase(runtime));
        scope.spawn(|| check_stuck_in_the_warm_up(runtime));
        scope.spawn(|| check_never_closed(runtime));
    });
}

fn check_stuck_in_the_measured_phase(runtime: &Descriptor) {
    let script = Script::StickAt {
        measured: Some(1),
        warmup: None,
    };
    let WorkerResult::Ok { measurement, .. } = short_round(runtime, script) else {
        panic!("not measured");
    };
    let sessions = sessions(runtime, 4);
    let unfinished = &measurement.errors[Failure::UNFINISHED];
    assert_eq!((unfinished.count, unfinished.service.count()), (1, 1));
    let message = format!("1 of {sessions} sessions");
    assert!(unfinished.example.starts_with(&message), "{unfinished:?}");
    // Those of the other sessions, or the one before it.
    assert!(measurement.ops >= u64::from(sessions.max(2) - 1));
    let without_success = u32::from(sessions > 1);
    assert_eq!(measurement.sessions_without_success, without_success);
    assert!(measurement.throughput_ops_s > 0.0 && measurement.violations.is_empty());
}

fn check_stuck_in_the_warm_up(runtime: &Descriptor) {
    let script = Script::StickAt {
        measured: None,
        warmup: Some(1),
    };
    match short_round(runtime, script) {
        WorkerResult::Failed { reason, hint, .. } => {
            let message = format!("1 of {} sessions", sessions(runtime, 4));
            assert!(reason.starts_with(&message), "{reason}");
            assert!(reason.contains("of the warm-up"), "{reason}");
            assert!(hint.is_some());
        }
        other => panic!("{other:?}"),
    }
}

fn check_never_closed(runtime: &Descriptor) {
    let measurement = measure(runtime, spec(Script::NeverClose));
    let sessions = sessions(runtime, 4);
    let message = format!("{sessions} of {sessions} sessions were not closed");
    assert!(
        measurement.warnings[0].starts_with(&message),
        "{measurement:?}"
    );
    assert_eq!((measurement.ops, measurement.violations.len()), (300, 0));
}
