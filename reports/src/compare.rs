//! Compares two records: the changes in speed, and all other differences between them.
//!
//! The rounds of two records were measured at different times, so they are compared as two groups (exact rank-sum
//! intervals) and never pair by pair. Cells with different work are not compared, and the reason is given.
//! `report/gate.rs` compares the two arms of one run.

use std::collections::{BTreeMap, BTreeSet};

use photofinish_record::load::Load;
use photofinish_record::{Cell, Plan, PlannedScenario, PlannedServer, Record};
use serde::{Deserialize, Serialize};

use crate::metrics::{self, Better, METRICS, Metric};
use crate::rounds::{Rounds, own_cells, same_cell};
use crate::rule::{Rule, Samples, Verdict};
use crate::statistics::{self, Estimate};
use crate::summary::VerdictRule;
use crate::validity::validate;
use crate::{describe, units};

/// Name and version of the comparison's format.
pub const COMPARISON_SCHEMA: &str = "photofinish-comparison/1";

/// Two records side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordComparison {
    /// Always [`COMPARISON_SCHEMA`].
    pub schema: String,
    pub base: RecordId,
    /// The record that the verdicts are about.
    pub head: RecordId,
    pub rule: VerdictRule,
    /// Reasons to take verdicts as advice only, in one sentence each: another machine, another boot, a debug build.
    pub cautions: Vec<String>,
    /// Further differences between the two.
    pub differences: Vec<Difference>,
    /// The cells of both that can be compared, in the head's order.
    pub cells: Vec<ComparedCell>,
    /// The cells that cannot be compared, with the reason.
    pub refused: Vec<RefusedCell>,
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordId {
    /// The run's id.
    pub id: String,
    /// Start of the run, RFC 3339, UTC.
    pub started_utc: String,
}

/// A difference between two records that is not a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// The subject: `CPU`, `tokio`, `seed`.
    pub what: String,
    pub base: String,
    pub head: String,
}

/// A cell of both records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparedCell {
    pub scenario: String,
    pub runtime: String,
    pub load: Load,
    /// Every metric that both have, by name.
    pub metrics: BTreeMap<String, ComparedMetric>,
    /// Parts that both sides have, each with its metrics by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, BTreeMap<String, ComparedMetric>>,
    /// Failed operations of the base, over all rounds.
    #[serde(default)]
    pub base_failures: FailureCount,
    /// Failed operations of the head.
    #[serde(default)]
    pub head_failures: FailureCount,
}

/// Failed operations out of the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailureCount {
    pub failed: u64,
    /// Successes and failures.
    pub operations: u64,
}

impl FailureCount {
    fn of(rounds: &Rounds<'_>, cell: usize) -> Self {
        let mut count = Self::default();
        for round in rounds.measured(cell).map(|measured| &measured.worker) {
            let failed = round.failed_ops();
            count.failed = count.failed.saturating_add(failed);
            let operations = count.operations.saturating_add(failed);
            count.operations = operations.saturating_add(round.ops);
        }
        count
    }
}

/// A metric of both records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparedMetric {
    /// The unit; empty of a plain number.
    pub unit: String,
    /// Median over the base's rounds.
    pub base: f64,
    /// Median over the head's rounds.
    pub head: f64,
    /// Rounds of the base with a value.
    pub base_rounds: usize,
    /// Rounds of the head with a value.
    pub head_rounds: usize,
    /// Hodges–Lehmann estimate of head / base with its rank-sum interval; above 1 the head's number is the greater.
    /// `null` without positive values.
    pub ratio: Option<Estimate>,
    /// `null` where rounds are too few for any, or nothing is compared by the metric.
    pub verdict: Option<Verdict>,
}

/// A cell that cannot be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedCell {
    pub scenario: String,
    pub runtime: String,
    pub load: Load,
    /// The reason, in one sentence.
    pub reason: String,
}

impl RecordComparison {
    /// Compares `head` with `base`.
    pub fn of(base: &Record, head: &Record) -> Self {
        let id = |record: &Record| RecordId {
            id: record.id.clone(),
            started_utc: record.started_utc.clone(),
        };
        let (cells, refused) = cells(base, head);
        Self {
            schema: COMPARISON_SCHEMA.to_owned(),
            base: id(base),
            head: id(head),
            rule: (&Rule::RUNTIMES).into(),
            cautions: cautions(base, head),
            differences: differences(base, head),
            cells,
            refused,
        }
    }
}

/// A compared metric with its cell.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub cell: &'a ComparedCell,
    /// The part of the operation; `None` for the whole.
    pub part: Option<&'a str>,
    pub metric: &'a str,
    pub compared: &'a ComparedMetric,
}

impl Change<'_> {
    /// `throughput`; of a part, `login: service_p50`.
    pub fn name(&self) -> String {
        let metric = metrics::short_name(self.metric);
        self.part
            .map_or(metric.clone(), |part| format!("{part}: {metric}"))
    }

    /// True if the head is certainly faster or slower.
    pub fn is_certain(&self) -> bool {
        let verdict = self.compared.verdict;
        matches!(verdict, Some(Verdict::Faster | Verdict::Slower))
    }

    /// The distance of the ratio from 1, on a logarithmic axis.
    fn size(&self) -> f64 {
        let ratio = self.compared.ratio;
        ratio.map_or(0.0, |ratio| ratio.value.ln().abs())
    }
}

impl RecordComparison {
    /// Every metric that something is compared by, in every cell: certain changes first, and the largest first.
    pub fn changes(&self) -> Vec<Change<'_>> {
        let mut changes: Vec<Change<'_>> = self.cells.iter().flat_map(changes_of).collect();
        changes.sort_by(|a, b| {
            let certain = b.is_certain().cmp(&a.is_certain());
            certain.then(b.size().total_cmp(&a.size()))
        });
        changes
    }
}

fn changes_of(cell: &ComparedCell) -> impl Iterator<Item = Change<'_>> {
    let is_compared = |name: &str| {
        metrics::named(name).is_some_and(|metric| metric.compared_under(cell.load).is_some())
    };
    let whole = cell.metrics.iter();
    let whole = whole.filter(move |(name, _)| is_compared(name));
    let whole = whole.map(move |(metric, compared)| Change {
        cell,
        part: None,
        metric,
        compared,
    });
    let parts = cell.parts.iter().flat_map(move |(part, metrics)| {
        metrics.iter().map(move |(metric, compared)| Change {
            cell,
            part: Some(part),
            metric,
            compared,
        })
    });
    whole.chain(parts)
}

fn cells(base: &Record, head: &Record) -> (Vec<ComparedCell>, Vec<RefusedCell>) {
    let (base_rounds, head_rounds) = (Rounds::of(base), Rounds::of(head));
    let (mut compared, mut refused) = (Vec::new(), Vec::new());
    let sides = |base: usize, head: usize| [(&base_rounds, base), (&head_rounds, head)];
    let refusal = |cell: &Cell, reason: String| RefusedCell {
        scenario: cell.scenario.clone(),
        runtime: cell.runtime.clone(),
        load: cell.load,
        reason,
    };
    for index in own_cells(&head.plan) {
        let cell = &head.plan.cells[index];
        let partner = matching(&base.plan, &head.plan, index).and_then(|partner| {
            validate(&base_rounds, &base.completion, partner)
                .map_err(|(_, reason)| format!("no numbers of the base: {reason}"))?;
            validate(&head_rounds, &head.completion, index)
                .map_err(|(_, reason)| format!("no numbers of the head: {reason}"))?;
            Ok(partner)
        });
        match partner {
            Ok(partner) => compared.push(ComparedCell {
                scenario: cell.scenario.clone(),
                runtime: cell.runtime.clone(),
                load: cell.load,
                metrics: compare_metrics(sides(partner, index), METRICS),
                parts: compare_parts(sides(partner, index)),
                base_failures: FailureCount::of(&base_rounds, partner),
                head_failures: FailureCount::of(&head_rounds, index),
            }),
            Err(reason) => refused.push(refusal(cell, reason)),
        }
    }
    for index in own_cells(&base.plan) {
        let cell = &base.plan.cells[index];
        if !own_cells(&head.plan).any(|other| same_cell(&head.plan.cells[other], cell)) {
            refused.push(refusal(cell, "the head does not have it".to_owned()));
        }
    }
    (compared, refused)
}

/// The two sides of a comparison, base and head: rounds, and a cell among them.
type Sides<'a> = [(&'a Rounds<'a>, usize); 2];

fn compare_metrics<'m>(
    sides: Sides<'_>,
    metrics: impl IntoIterator<Item = &'m Metric>,
) -> BTreeMap<String, ComparedMetric> {
    metrics
        .into_iter()
        .filter_map(|metric| Some((metric.name.to_string(), compare_metric(sides, metric)?)))
        .collect()
}

/// Parts that both sides have, with the metrics by which they are compared.
fn compare_parts(sides: Sides<'_>) -> BTreeMap<String, BTreeMap<String, ComparedMetric>> {
    let (rounds, cell) = sides[1];
    let first = rounds.measured(cell).next();
    let parts = first.map_or(&[][..], |round| &round.worker.parts);
    // A single part is the whole operation.
    let names = parts
        .iter()
        .map(|part| &part.name)
        .filter(|_| parts.len() > 1);
    names
        .filter_map(|name| {
            let metrics: Vec<Metric> = metrics::of_part(name)
                .filter(|metric| metric.compared.is_some())
                .collect();
            let compared = compare_metrics(sides, &metrics);
            (!compared.is_empty()).then(|| (name.clone(), compared))
        })
        .collect()
}

/// A metric of both sides; `None` if one of them has no value.
fn compare_metric(sides: Sides<'_>, metric: &Metric) -> Option<ComparedMetric> {
    let (rounds, cell) = sides[1];
    let load = rounds.plan.cells[cell].load;
    let [base, head] = sides.map(|(rounds, cell)| rounds.values(cell, metric));
    let (base_rounds, head_rounds) = (base.len(), head.len());
    let (base_median, head_median) = (statistics::median(&base)?, statistics::median(&head)?);
    let samples = Samples::Apart {
        base,
        head: head.into_iter().map(Some).collect(),
    };
    let compared = metric.compared_under(load);
    let better = compared.map_or(Better::Higher, |compared| compared.better);
    let difference = Rule::RUNTIMES.compare(&samples, better);
    let is_sound = || {
        let too_few =
            |(rounds, cell): &(&Rounds<'_>, usize)| rounds.too_few_samples(*cell, metric).is_some();
        compared.is_some() && !sides.iter().any(too_few)
    };
    Some(ComparedMetric {
        unit: metric.unit.to_owned(),
        base: base_median,
        head: head_median,
        base_rounds,
        head_rounds,
        ratio: difference.map(|difference| difference.ratio),
        verdict: difference
            .and_then(|difference| difference.verdict)
            .filter(|_| is_sound()),
    })
}

/// The base's cell with the same work as a cell of the head, or the reason that there is none.
pub(crate) fn matching(base: &Plan, head: &Plan, index: usize) -> Result<usize, String> {
    let cell = &head.cells[index];
    let partner = own_cells(base)
        .find(|other| same_cell(&base.cells[*other], cell))
        .ok_or("the base does not have it")?;
    if base.placement.kind != head.placement.kind {
        return Err(format!(
            "server and worker are placed differently ({} and {}), which dominates the result",
            json(&base.placement.kind),
            json(&head.placement.kind)
        ));
    }
    let scenarios = [base, head].map(|plan| scenario(plan, &cell.scenario));
    let [Some(base), Some(head)] = scenarios else {
        return Err("its scenario is not in the plan".to_owned());
    };
    match work_difference(base, head) {
        None => Ok(partner),
        Some(difference) => Err(difference),
    }
}

fn scenario<'a>(plan: &'a Plan, name: &str) -> Option<&'a PlannedScenario> {
    plan.scenarios.iter().find(|scenario| scenario.name == name)
}

/// The difference in work between two scenarios of the same name.
fn work_difference(base: &PlannedScenario, head: &PlannedScenario) -> Option<String> {
    if base.workload != head.workload {
        return Some(format!(
            "the base runs the workload {}, the head {}",
            base.workload, head.workload
        ));
    }
    if let Some(name) = first_difference(&base.params, &head.params) {
        return Some(format!(
            "the parameter {name} is {} in the base and {} in the head",
            json(&base.params[&name]),
            json(&head.params[&name])
        ));
    }
    if base.unit_ns != head.unit_ns {
        return Some("the unit of delay has different lengths".to_owned());
    }
    let is_mock = |server: &PlannedServer| matches!(server, PlannedServer::Mock { .. });
    let other_server = head.servers.iter().find(|(target, server)| {
        base.servers.get(*target).is_none_or(|base| {
            is_mock(server) != is_mock(base) || (is_mock(server) && *server != base)
        })
    });
    if let Some((target, _)) = other_server {
        return Some(format!("the servers behind `{target}` differ"));
    }
    if base.stages != head.stages {
        return Some("the rate changes differently".to_owned());
    }
    (base.lag_probe != head.lag_probe).then(|| "only one of the two has a lag probe".to_owned())
}

/// The first parameter that differs.
fn first_difference(base: &serde_json::Value, head: &serde_json::Value) -> Option<String> {
    let none = serde_json::Map::new();
    let [base, head] = [base, head].map(|params| params.as_object().unwrap_or(&none));
    let mut names = base.keys().chain(head.keys());
    names
        .find(|name| base.get(*name) != head.get(*name))
        .cloned()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reasons a difference may be due to circumstances.
fn cautions(base: &Record, head: &Record) -> Vec<String> {
    let circumstances = if base.id == head.id {
        "base and head are the same run, so no difference is possible"
    } else if !machine_differences(base, head).is_empty() {
        "measured on different machines, which differ by more than most changes do: take verdicts as advice"
    } else if base.machine.boot_id != head.machine.boot_id || head.machine.boot_id.is_none() {
        "measured on different boots, or on machines that only look alike: take verdicts as advice"
    } else {
        "measured at different times: the difference includes what else the machine did; `gate` measures both sides in turn"
    };
    let mut cautions = vec![circumstances.to_owned()];
    for (side, record) in [("base", base), ("head", head)] {
        if record.tool.profile == "debug" {
            cautions.push(format!("the {side} was measured with a debug build"));
        }
    }
    if base.started_utc > head.started_utc {
        cautions.push("the base was measured after the head: are the two swapped?".to_owned());
    }
    cautions
}

/// All differences that are not results.
fn differences(base: &Record, head: &Record) -> Vec<Difference> {
    let tool = |record: &Record| {
        format!(
            "{} {} ({})",
            record.tool.name, record.tool.version, record.tool.profile
        )
    };
    let mut all = machine_differences(base, head);
    all.extend(difference("tool", tool(base), tool(head)));
    let (base_seed, head_seed) = (base.seed.to_string(), head.seed.to_string());
    all.extend(difference("seed", base_seed, head_seed));
    let [base_place, head_place] = [base, head].map(|record| describe::placement(&record.plan));
    all.extend(difference("placement", base_place, head_place));
    all.extend(round_lengths(&base.plan, &head.plan));
    for head in &head.plan.scenarios {
        let Some(base) = scenario(&base.plan, &head.name) else {
            continue;
        };
        for (target, server) in &head.servers {
            let software = |server: Option<&PlannedServer>| match server {
                Some(PlannedServer::External { url, software, .. }) => {
                    format!("{} at {url}", software.as_deref().unwrap_or("unknown"))
                }
                Some(PlannedServer::Arm { url, .. }) => format!("an own one at {url}"),
                _ => String::new(),
            };
            all.extend(difference(
                &format!("server behind `{target}`"),
                software(base.servers.get(target)),
                software(Some(server)),
            ));
        }
    }
    let names = base.dependencies.keys().chain(head.dependencies.keys());
    let names: BTreeSet<&String> = names.collect();
    all.extend(names.into_iter().filter_map(|name| {
        let [base, head] = [base, head].map(|record| {
            let version = record.dependencies.get(name);
            version.cloned().unwrap_or_else(|| "none".to_owned())
        });
        difference(name, base, head)
    }));
    all
}

/// Scenarios whose rounds have different lengths.
pub(crate) fn round_lengths(base: &Plan, head: &Plan) -> Vec<Difference> {
    let scenarios = head.scenarios.iter();
    scenarios
        .filter_map(|head| {
            difference(
                &format!("length of a round of {}", head.name),
                describe::stop(scenario(base, &head.name)?.stop),
                describe::stop(head.stop),
            )
        })
        .collect()
}

fn machine_differences(base: &Record, head: &Record) -> Vec<Difference> {
    let facts = |record: &Record| {
        let machine = &record.machine;
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "n/a".to_owned());
        let memory = machine.memory_bytes.map(|bytes| units::bytes(bytes as f64));
        [
            ("system", machine.os.clone()),
            ("architecture", machine.arch.clone()),
            ("CPU", text(&machine.cpu_model)),
            ("CPUs online", machine.cpus_online.to_string()),
            ("memory", text(&memory)),
            ("hypervisor", text(&machine.hypervisor)),
            ("governor", text(&machine.governor)),
            ("clock source", text(&machine.clock_source)),
        ]
    };
    let facts = facts(base).into_iter().zip(facts(head));
    facts
        .filter_map(|((what, base), (_, head))| difference(what, base, head))
        .collect()
}

fn difference(what: &str, base: String, head: String) -> Option<Difference> {
    (base != head).then(|| Difference {
        what: what.to_owned(),
        base,
        head,
    })
}
