//! Rates, stages and arrivals.

use std::time::Duration;

use photofinish_record::load::{Arrivals, RateHz, Stop};
use photofinish_scenarios::plan::{PlanOptions, plan};

use super::{count, names, options, rates, scenario};

/// The loads of a plan, in words.
fn loads(text: &str, options: &PlanOptions) -> Vec<String> {
    let planned = plan(&[scenario(text)], options).unwrap();
    planned
        .cells
        .iter()
        .map(|cell| cell.load.to_string())
        .collect()
}

#[test]
fn a_rate_makes_the_load_open_with_the_maximum_of_sessions() {
    let text = "workload = 'null'\nload.concurrency = [4, 16, 1]\nruntimes = ['sync']";
    let given = |concurrency: &[u32]| PlanOptions {
        rates: rates(&[1_000.0, 20.5, 1_000.0]),
        concurrency: (!concurrency.is_empty()).then(|| {
            concurrency
                .iter()
                .map(|sessions| count(*sessions))
                .collect()
        }),
        ..options()
    };
    let expected = ["open, 1000/s, 16 sessions", "open, 20.5/s, 16 sessions"];
    assert_eq!(loads(text, &given(&[])), expected);
    let expected = [
        "open, 1000/s, 2 sessions",
        "open, 1000/s, 3 sessions",
        "open, 20.5/s, 2 sessions",
        "open, 20.5/s, 3 sessions",
    ];
    assert_eq!(loads(text, &given(&[2, 3])), expected);
}

#[test]
fn a_scenario_may_have_an_open_load() {
    let text = "workload = 'null'\nruntimes = ['sync']\nload = { rate = [100, 200], arrivals = 'poisson', concurrency = 8 }";
    let expected = [
        "open, 100/s Poisson, 8 sessions",
        "open, 200/s Poisson, 8 sessions",
    ];
    assert_eq!(loads(text, &options()), expected);
    let evenly = PlanOptions {
        arrivals: Some(Arrivals::Constant),
        rates: rates(&[5.0]),
        ..options()
    };
    assert_eq!(loads(text, &evenly), ["open, 5/s, 8 sessions"]);
}

#[test]
fn stages_keep_their_proportions_over_another_duration() {
    let text = "workload = 'null'\n[load]\nrate = 10\nstages = [{ duration = '3s', from = 0, to = 1 }, { duration = '1s', from = 1 }]";
    let check = |options: &PlanOptions, expected_ms: [u64; 2]| {
        let planned = plan(&[scenario(text)], options).unwrap();
        let planned = &planned.scenarios[0];
        let lengths_ms = planned
            .stages
            .iter()
            .map(|stage| stage.duration_ns.get() / 1_000_000);
        assert_eq!(lengths_ms.collect::<Vec<_>>(), expected_ms);
        let total = Duration::from_millis(expected_ms.iter().sum());
        assert_eq!(planned.stop, Stop::after(total));
    };
    check(&options(), [3_000, 1_000]);
    let shorter = PlanOptions {
        duration: Some(Duration::from_millis(800)),
        ..options()
    };
    check(&shorter, [600, 200]);
    let quick = PlanOptions {
        quick: true,
        ..options()
    };
    check(&quick, [150, 50]);
}

#[test]
fn an_impossible_open_load_is_an_error_with_a_hint() {
    let check = |options: &PlanOptions, error: &str, hint: &str| {
        let refused = plan(&[scenario("workload = 'null'")], options).unwrap_err();
        assert_eq!(
            (refused.to_string().as_str(), refused.hint().as_str()),
            (error, hint)
        );
    };
    let arrivals = PlanOptions {
        arrivals: Some(Arrivals::Poisson),
        ..options()
    };
    check(
        &arrivals,
        "`--arrivals` is for open loads, but every load of this run is closed",
        "add `--rate`, in arrivals per second",
    );
    let many = PlanOptions {
        rates: rates(&[1e7]),
        duration: Some(Duration::from_secs(200)),
        ..options()
    };
    check(
        &many,
        "10000000 arrivals per second over 200 s are too many for a round",
        "a round has at most 1000000000 arrivals; lower the rate or `--duration`",
    );
    let reference = PlanOptions {
        runtimes: names(&["sync", "tokio"]),
        reference: Some("smol".to_owned()),
        ..options()
    };
    check(
        &reference,
        "`--reference`: `smol` is not among the runtimes of this run",
        "expected `sync` or `tokio`",
    );
}

/// A round without an arrival would measure nothing; a single one at the start of a constant schedule would be told as
/// a rate that nobody asked for.
#[test]
fn a_load_without_an_arrival_in_a_round_is_refused() {
    let refused = |text: &str, rate: f64, arrivals, duration_ms| {
        let options = PlanOptions {
            rates: Some(vec![RateHz::new(rate).expect("a rate")]),
            arrivals,
            duration: Some(Duration::from_millis(duration_ms)),
            ..options()
        };
        let error = plan(&[scenario(text)], &options).err()?;
        let none = format!("{rate} arrivals per second over");
        assert!(error.to_string().starts_with(&none), "{error}");
        assert!(
            error.to_string().ends_with("give a round no arrival"),
            "{error}"
        );
        assert!(error.hint().contains("raise the rate"), "{}", error.hint());
        Some(())
    };
    let (constant, poisson) = (Some(Arrivals::Constant), Some(Arrivals::Poisson));
    let null = "workload = 'null'";
    assert!(refused(null, 1e-6, constant, 2_000).is_some());
    assert!(refused(null, 0.4, constant, 2_000).is_some());
    assert!(refused(null, 0.1, poisson, 1_000).is_some());
    assert_eq!(refused(null, 0.5, constant, 2_000), None);
    assert_eq!(refused(null, 1.0 / 3.0, constant, 3_000), None);
    assert_eq!(refused(null, 20.0, poisson, 1_000), None);
    let ramp = "workload = 'null'\nload.rate = 1\nload.stages = [{ from = 0, duration = '700ms' }, { from = 0.01, duration = '1s' }]";
    assert!(refused(ramp, 1.0, None, 1_700).is_some());
    assert_eq!(refused(ramp, 1_000.0, None, 1_700), None);
}
