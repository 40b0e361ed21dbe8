//! Verdicts: how often the rule errs and finds, by seeded simulation, and what a record makes of it.
//!
//! Every simulation draws whole blocks as a noisy machine would give them and asks the rule that reports ask. Bounds lie
//! about four standard errors from what the rule's documentation promises: a wrong confidence, a missing floor or
//! comparing out of block breaks them.

use photofinish_record::{LoopOverhead, Outcome, Record};
use photofinish_reports::describe;
use photofinish_reports::metrics::{Better, RESPONSE_P50, RESPONSE_P99, THROUGHPUT};
use photofinish_reports::report::all_decided;
use photofinish_reports::rule::{ALPHA, Difference, Look, Rule, Samples, Verdict};
use photofinish_reports::summary::{Comparison, Summary};

use crate::fixtures::{self, Random, Sweep, cell, each_measured};

/// A machine, and how much better the first of two runtimes is on it.
#[derive(Clone, Copy)]
struct Machine {
    /// Standard deviation of one round's logarithm; that of a pair is √2 times as much.
    noise: f64,
    /// How often a round is off by a fifth, to either side.
    spikes: f64,
    /// How much slower every round is than the one before.
    drift: f64,
    /// How much slower the second place of a block is.
    second_place: f64,
    /// Whether the order in a block is drawn, as it must be.
    shuffled: bool,
    /// The ratio of the first runtime's throughput to the second's.
    ratio: f64,
}

const QUIET: Machine = Machine {
    noise: 0.0,
    spikes: 0.0,
    drift: 0.0,
    second_place: 0.0,
    shuffled: true,
    ratio: 1.0,
};

/// Pairs that differ by 6.8 % and now and then by a fifth, as measured on a virtual machine.
const NOISY: Machine = Machine {
    noise: 0.068 / std::f64::consts::SQRT_2,
    spikes: 1.0 / 24.0,
    ..QUIET
};

impl Machine {
    fn blocks(self, blocks: usize, random: &mut Random) -> Vec<(f64, f64)> {
        (0..blocks).map(|block| self.block(block, random)).collect()
    }

    fn block(self, block: usize, random: &mut Random) -> (f64, f64) {
        let second_first = self.shuffled && random.uniform() < 0.5;
        let mut at_place = |place: usize| {
            let slower = self.drift * (2 * block + place) as f64 + self.second_place * place as f64;
            let spike = match random.uniform() {
                draw if draw < self.spikes / 2.0 => 0.19,
                draw if draw < self.spikes => -0.19,
                _ => 0.0,
            };
            (self.noise * random.normal() + spike - slower).exp()
        };
        let (first, second) = (at_place(0), at_place(1));
        let (a, b) = if second_first {
            (second, first)
        } else {
            (first, second)
        };
        (1e5 * a * self.ratio, 1e5 * b)
    }
}

/// How often each verdict came out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    faster: u32,
    slower: u32,
    tie: u32,
    inconclusive: u32,
}

impl Tally {
    fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Faster => &mut self.faster,
            Verdict::Slower => &mut self.slower,
            Verdict::Tie => &mut self.tie,
            Verdict::Inconclusive => &mut self.inconclusive,
        } += 1;
    }

    fn called(&self) -> u32 {
        self.faster + self.slower
    }
}

/// The first of each pair against the second.
fn judge(rule: &Rule, pairs: &[(f64, f64)]) -> Difference {
    let samples = pairs.iter().map(|(first, second)| Some((*second, *first)));
    let samples = Samples::Paired(samples.collect());
    rule.compare(&samples, Better::Higher).expect("pairs")
}

/// `runs` runs of so many blocks on that machine.
fn simulate(machine: Machine, blocks: usize, runs: u32) -> Tally {
    let mut random = Random(42);
    let mut tally = Tally::default();
    for _ in 0..runs {
        let pairs = machine.blocks(blocks, &mut random);
        let judged = judge(&Rule::RUNTIMES, &pairs);
        tally.add(judged.verdict.expect("blocks enough"));
    }
    tally
}

#[test]
fn equal_runtimes_are_rarely_called_different() {
    // One in a thousand with the noise of a virtual machine.
    let noisy = simulate(NOISY, 10, 4_000);
    assert!(noisy.called() <= 12, "{noisy:?}");
    // So noisy that the floor hardly helps: the error rate itself, halved by it.
    let wild = Machine {
        noise: 0.2,
        ..QUIET
    };
    let wild = simulate(wild, 10, 4_000);
    assert!((5..=52).contains(&wild.called()), "{wild:?}");
}

#[test]
fn a_slowdown_is_detected_given_enough_rounds() {
    let of = |ratio, machine| Machine { ratio, ..machine };
    let good = Machine {
        noise: 0.02 / std::f64::consts::SQRT_2,
        ..QUIET
    };
    let small = simulate(of(1.05, good), 10, 1_000);
    assert!((780..=890).contains(&small.faster), "84 %: {small:?}");
    let ten = simulate(of(1.10, NOISY), 24, 500);
    assert!(ten.faster >= 430, "92 %: {ten:?}");
    let less = simulate(of(1.0 / 1.10, NOISY), 24, 500);
    assert!(less.slower >= 430, "and so the other way: {less:?}");
    let fifteen = simulate(of(1.15, NOISY), 24, 200);
    assert!(fifteen.faster >= 197, "all but: {fifteen:?}");
    for tally in [small, ten, fifteen] {
        assert_eq!(tally.slower, 0, "never the wrong way: {tally:?}");
    }
}

#[test]
fn equal_runtimes_tie_on_a_quiet_machine() {
    let good = Machine {
        noise: 0.02 / std::f64::consts::SQRT_2,
        ..QUIET
    };
    let tally = simulate(good, 24, 500);
    assert!(tally.tie >= 435 && tally.called() == 0, "93 %: {tally:?}");
    assert_eq!(simulate(QUIET, 8, 10).tie, 10);
}

#[test]
fn a_steady_slowdown_of_the_machine_makes_no_difference() {
    // By 1 % from round to round: the last is a fifth as fast as the first in a hundred of them.
    let drifting = Machine {
        drift: 0.01,
        ..NOISY
    };
    let tally = simulate(drifting, 24, 1_000);
    assert!(tally.called() <= 4, "{tally:?}");
}

#[test]
fn position_bias_is_noise_in_random_order_and_a_verdict_in_fixed_order() {
    let biased = Machine {
        noise: 0.01,
        second_place: 0.08,
        ..QUIET
    };
    let drawn = simulate(biased, 10, 2_000);
    assert!(drawn.called() <= 36, "1 % and four errors: {drawn:?}");
    let fixed = Machine {
        shuffled: false,
        ..biased
    };
    assert_eq!(simulate(fixed, 10, 50).called(), 50);
}

#[test]
fn looks_share_the_error_rate_and_find_differences_earlier() {
    let mut record = pair(10);
    record.plan.looks = vec![10, 16, 24, 40];
    let rule = Rule::of(&record.plan);
    assert_eq!(rule.alpha(), ALPHA / 4.0);
    let until_decided = |machine: Machine, runs: u32| {
        let mut random = Random(7);
        let mut tally = Tally::default();
        for _ in 0..runs {
            let pairs = machine.blocks(40, &mut random);
            let at = |look: &u32| {
                let judged = judge(&rule, &pairs[..*look as usize]);
                judged.verdict.expect("attainable at every look")
            };
            let mut verdicts = record.plan.looks.iter().map(at);
            let decided = verdicts.find(|verdict| *verdict != Verdict::Inconclusive);
            tally.add(decided.unwrap_or(Verdict::Inconclusive));
        }
        tally
    };
    let wild = until_decided(
        Machine {
            noise: 0.2,
            ..QUIET
        },
        600,
    );
    assert!(wild.called() <= 8, "{wild:?}");
    let ten = until_decided(
        Machine {
            ratio: 1.10,
            ..NOISY
        },
        200,
    );
    assert!(ten.faster >= 191 && ten.slower == 0, "98.6 %: {ten:?}");
}

#[test]
fn looks_are_identified_by_the_blocks_before_them() {
    let mut record = pair(1);
    assert_eq!(Summary::of(&record).look, None);
    record.plan.looks = vec![10, 16, 24, 40];
    let number = |blocks| Rule::of(&record.plan).look(blocks).number;
    assert_eq!([9, 10, 15, 16, 40].map(number), [0, 1, 1, 2, 4]);

    let mut record = pair(16);
    record.plan.looks = vec![10, 16, 24, 40];
    let summary = Summary::of(&record);
    let second = Look {
        number: 2,
        planned: 4,
    };
    assert_eq!(summary.look, Some(second));
    let legend = describe::verdict_legend(&summary).expect("verdicts");
    assert!(legend.contains("look 2 of 4"), "{legend}");
}

#[test]
fn the_fewest_rounds_are_those_with_which_a_verdict_is_attainable() {
    let fewest = |alpha| {
        let lower_alpha = alpha / 2.0;
        let rule = Rule {
            lower_alpha,
            ..Rule::RUNTIMES
        };
        rule.fewest_pairs()
    };
    // 2 / 2ⁿ: 0.03125, 0.0078125 and 0.00195.
    assert_eq!([0.05, 0.01, 0.0025].map(fewest), [6, 8, 10]);
    for pairs in [7, 8] {
        let apart = vec![(2.0, 1.0); pairs];
        let judged = judge(&Rule::RUNTIMES, &apart);
        assert_eq!(judged.verdict.is_some(), pairs == 8);
    }
}

#[test]
fn the_smallest_callable_difference_is_where_verdicts_begin() {
    // Noise that is symmetric in logarithms; moved as a whole, its interval keeps its width.
    let noise = [
        -0.04, -0.03, -0.01, -0.005, 0.0, 0.0, 0.005, 0.01, 0.03, 0.04_f64,
    ];
    let moved = |share: f64| -> Vec<(f64, f64)> {
        let ratio = |noise: &f64| (noise.exp() * (1.0 + share), 1.0);
        noise.iter().map(ratio).collect()
    };
    let judge = |share| judge(&Rule::RUNTIMES, &moved(share));
    let smallest = Rule::RUNTIMES.smallest_callable(judge(0.0).ratio);
    assert!((0.03..0.08).contains(&smallest), "{smallest}");
    assert_eq!(judge(smallest + 1e-6).verdict, Some(Verdict::Faster));
    assert_eq!(judge(smallest - 1e-6).verdict, Some(Verdict::Inconclusive));
}

/// Two runtimes under closed load, so many blocks.
fn pair(rounds: usize) -> Record {
    let sweep = Sweep {
        concurrency: &[8],
        rounds,
        operation_ns: 1e6,
        ops: 20_000,
    };
    fixtures::of(sweep, &["threads", "tokio", "smol"])
}

/// Makes all of the same speed but for one cell, and nothing noisy.
fn settle(record: &mut Record, cell: usize, factor: f64) {
    let Outcome::Ok(first) = record.rounds[0].outcome.clone() else {
        panic!("measured");
    };
    each_measured(record, |of, _, measured| {
        *measured = (*first).clone();
        if of == cell {
            measured.worker.throughput_ops_s *= factor;
        }
    });
}

fn compared<'a>(summary: &'a Summary, runtime: &str, metric: &str) -> &'a Comparison {
    &cell(summary, runtime).comparisons[metric]
}

#[test]
fn more_operations_and_less_time_and_cost_are_better() {
    let mut record = pair(8);
    settle(&mut record, 1, 1.5);
    each_measured(&mut record, |cell, _, measured| {
        if cell == 1 {
            let cost = &mut measured.worker.cost;
            cost.cpu_user_ns = cost.cpu_user_ns.map(|ns| 2 * ns);
        }
    });
    let summary = Summary::of(&record);
    let verdict = |metric| compared(&summary, "tokio", metric).verdict;
    assert_eq!(verdict(THROUGHPUT), Some(Verdict::Faster));
    assert_eq!(verdict("cpu_ns_per_op"), Some(Verdict::Slower));
    assert_eq!(verdict("service_p50_ns"), Some(Verdict::Tie));
    assert_eq!(verdict("service_p99_ns"), Some(Verdict::Tie));
    assert!(cell(&summary, "threads").comparisons.is_empty());
}

#[test]
fn the_reference_is_the_one_the_plan_names_if_it_has_numbers() {
    let mut record = pair(8);
    let against = |record: &Record, runtime| {
        let summary = Summary::of(record);
        compared(&summary, runtime, THROUGHPUT).against.clone()
    };
    assert_eq!(against(&record, "smol"), "threads");
    record.plan.reference = Some("tokio".to_owned());
    assert_eq!(against(&record, "smol"), "tokio");
    assert_eq!(against(&record, "threads"), "tokio");
    each_measured(&mut record, |cell, _, measured| {
        if cell == 1 {
            measured.mismatches.push("wrong".to_owned());
        }
    });
    assert_eq!(against(&record, "smol"), "threads");
}

#[test]
fn a_difference_below_the_loops_own_cost_is_a_tie_and_says_so() {
    let judged = |loop_ops_s: Option<f64>| {
        let mut record = pair(8);
        settle(&mut record, 1, 1.0 / 1.10);
        each_measured(&mut record, |_, _, measured| {
            measured.worker.overhead = loop_ops_s.map(|throughput_ops_s| LoopOverhead {
                ops: 1_000,
                throughput_ops_s,
                service_p50_ns: 50,
                service_p99_ns: 90,
            });
        });
        let ops_s = Summary::of(&record).cells[0].metrics[THROUGHPUT].median;
        (
            compared(&Summary::of(&record), "tokio", THROUGHPUT).clone(),
            ops_s,
        )
    };
    let (plain, ops_s) = judged(None);
    assert_eq!((plain.verdict, plain.margin), (Some(Verdict::Slower), 0.02));
    // A tenth more time per operation, where the loop takes a fifth of an operation's time, and where it takes a twentieth.
    let (below, _) = judged(Some(5.0 * ops_s));
    assert_eq!(below.verdict, Some(Verdict::Tie));
    assert!((below.margin - 0.2).abs() < 1e-9, "{below:?}");
    assert!(
        below
            .reason
            .is_some_and(|reason| reason.contains("measuring loop"))
    );
    let (above, _) = judged(Some(20.0 * ops_s));
    assert_eq!((above.verdict, above.reason), (Some(Verdict::Slower), None));
}

#[test]
fn a_percentile_with_too_few_samples_is_not_compared() {
    let mut record = pair(8);
    let has_p99 = |record: &Record| {
        let summary = Summary::of(record);
        cell(&summary, "tokio")
            .comparisons
            .contains_key("service_p99_ns")
    };
    assert!(has_p99(&record));
    if let Outcome::Ok(measured) = &mut record.rounds[0].outcome {
        measured.worker.service = [1_000_000].into_iter().collect();
    }
    assert!(!has_p99(&record));
}

#[test]
fn open_loads_are_decided_by_response_time_and_a_lower_bound_can_only_be_slower() {
    let record = fixtures::open_loads();
    let summary = Summary::of(&record);
    let groups = summary.groups();
    // 2,000 operations in a round are too few for a p99.
    assert_eq!(groups[0].headline(), RESPONSE_P50);
    assert_eq!(groups[1].headline(), RESPONSE_P99);
    assert!(
        summary
            .cells
            .iter()
            .all(|cell| !cell.comparisons.contains_key(THROUGHPUT))
    );

    let sync = groups[1].cells[0];
    assert_eq!(
        (sync.runtime.as_str(), sync.rate_held),
        ("sync", Some(false))
    );
    assert!(sync.metrics[RESPONSE_P99].lower_bound);
    let tokio = &groups[1].cells[2].comparisons[RESPONSE_P99];
    assert_eq!(tokio.verdict, Some(Verdict::Faster), "{tokio:?}");

    let mut turned = record;
    turned.plan.reference = Some("tokio".to_owned());
    let summary = Summary::of(&turned);
    let sync = &summary.groups()[1].cells[0].comparisons[RESPONSE_P99];
    assert_eq!(sync.verdict, Some(Verdict::Slower), "{sync:?}");
}

#[test]
fn two_lower_bounds_have_no_verdict() {
    let mut record = fixtures::open_loads();
    record.plan.cells.retain(|cell| cell.runtime == "sync");
    record.plan.cells.remove(0);
    let twin = record.plan.cells[0].clone();
    record.plan.cells.push(twin);
    record.plan.cells[1].runtime = "sync again".to_owned();
    record.rounds.retain(|round| round.cell == 4);
    let mut twins = record.rounds.clone();
    record.rounds.iter_mut().for_each(|round| round.cell = 0);
    twins.iter_mut().for_each(|round| round.cell = 1);
    record.rounds.extend(twins);
    let summary = Summary::of(&record);
    let twin = compared(&summary, "sync again", RESPONSE_P99);
    assert_eq!(twin.verdict, None);
    assert!(
        twin.reason
            .as_ref()
            .is_some_and(|reason| reason.contains("lower bound"))
    );
    assert!(!all_decided(&record.plan, &record.rounds));
}

#[test]
fn a_record_is_decided_when_no_comparison_is_inconclusive() {
    let mut record = pair(10);
    settle(&mut record, 1, 1.10);
    assert!(all_decided(&record.plan, &record.rounds));
    each_measured(&mut record, |cell, block, measured| {
        if cell == 2 {
            measured.worker.throughput_ops_s *= [0.8, 1.2][block % 2];
        }
    });
    assert!(
        !all_decided(&record.plan, &record.rounds),
        "smol is inconclusive"
    );
    record.rounds.retain(|round| round.cell != 2);
    assert!(all_decided(&record.plan, &record.rounds));
    record.rounds.retain(|round| round.block < 7);
    assert!(
        !all_decided(&record.plan, &record.rounds),
        "no verdict is no decision"
    );
    let single = fixtures::single();
    assert!(
        all_decided(&single.plan, &single.rounds),
        "nothing to decide"
    );
}
