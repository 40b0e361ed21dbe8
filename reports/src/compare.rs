//! Two records side by side: what became faster or slower, and what else differs between them.
//!
//! The rounds of two records were measured at different times, so they are compared as two groups (exact rank-sum
//! intervals) and never pair by pair. Cells whose work is not the same are refused with the reason: a difference between
//! them would be one of the questions, not of the answers. Two arms of one run are the business of `gate`.

use std::collections::BTreeMap;

use photofinish_record::load::Load;
use photofinish_record::{Arm, Cell, PlannedScenario, PlannedServer, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{Better, METRICS, Metric};
use crate::rounds::{measured, scenario};
use crate::statistics;
use crate::summary::{Status, Summary};
use crate::verdict::{Rule, Verdict};

/// Name and version of the comparison's format.
pub const COMPARISON_SCHEMA: &str = "photofinish-comparison/1";

/// Two records side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordComparison {
    /// Always [`COMPARISON_SCHEMA`].
    pub schema: String,
    /// The record that is compared with.
    pub base: Compared,
    /// The record that the verdicts are about.
    pub head: Compared,
    /// How differences became verdicts.
    pub rule: Rule,
    /// Why verdicts are advice only, in one sentence each: another machine, another boot, a debug build.
    pub cautions: Vec<String>,
    /// What else differs between the two.
    pub differences: Vec<Difference>,
    /// The cells that both have and that can be compared, in the head's order.
    pub cells: Vec<ComparedCell>,
    /// The cells that cannot be compared, with the reason.
    pub refused: Vec<Refused>,
}

/// A record as a side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// The run's id.
    pub id: String,
    /// Its start, RFC 3339, UTC.
    pub started_utc: String,
}

/// Something that the two records do not have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What: `CPU`, `tokio`, `seed`.
    pub what: String,
    /// As it is in the base.
    pub base: String,
    /// As it is in the head.
    pub head: String,
}

/// A cell of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedCell {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    /// The load.
    pub load: Load,
    /// Every metric that both have, by name.
    pub metrics: BTreeMap<String, ComparedMetric>,
}

/// A metric of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Hodges–Lehmann estimate of head / base; above 1 the head's number is the greater. `null` where either has a round
    /// with 0.
    pub ratio: Option<Ratio>,
    /// What came of it; `null` where rounds are too few for any, or the metric is one that nothing is judged by.
    pub verdict: Option<Verdict>,
}

/// A ratio with its exact interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ratio {
    /// The estimate.
    pub median: f64,
    /// Lower bound, exact rank-sum.
    pub low: f64,
    /// Upper bound, exact rank-sum.
    pub high: f64,
    /// The interval's confidence, 0..=1.
    pub confidence: f64,
}

/// A cell that cannot be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    /// The load.
    pub load: Load,
    /// Why, in one sentence.
    pub reason: String,
}

/// A cell of each record, by index, that measure the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellPair {
    pub(crate) base: usize,
    pub(crate) head: usize,
}

/// The cells of both records that can be compared, in the head's order.
pub(crate) fn pairs(base: &Record, head: &Record) -> Vec<CellPair> {
    let matched = own_cells(head).map(|cell| (cell, matching(base, head, cell)));
    matched
        .filter_map(|(head, base)| {
            Some(CellPair {
                base: base.ok()?,
                head,
            })
        })
        .collect()
}

impl RecordComparison {
    /// Compares `head` with `base`.
    pub fn of(base: &Record, head: &Record) -> Self {
        let side = |record: &Record| Compared {
            id: record.id.clone(),
            started_utc: record.started_utc.clone(),
        };
        let (cells, refused) = cells(base, head);
        Self {
            schema: COMPARISON_SCHEMA.to_owned(),
            base: side(base),
            head: side(head),
            rule: Rule::RUNTIMES,
            cautions: cautions(base, head),
            differences: differences(base, head),
            cells,
            refused,
        }
    }
}

/// The JSON Schema of [`RecordComparison`].
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RecordComparison).to_value()
}

fn cells(base: &Record, head: &Record) -> (Vec<ComparedCell>, Vec<Refused>) {
    let summaries = [Summary::of(base), Summary::of(head)];
    let (mut compared, mut refused) = (Vec::new(), Vec::new());
    let refusal = |cell: &Cell, reason: String| Refused {
        scenario: cell.scenario.clone(),
        runtime: cell.runtime.clone(),
        load: cell.load,
        reason,
    };
    for index in own_cells(head) {
        let cell = &head.plan.cells[index];
        let found = matching(base, head, index).and_then(|partner| {
            let statuses = [&summaries[0].cells[partner], &summaries[1].cells[index]];
            let words = ["base", "head"];
            let bad = statuses
                .iter()
                .zip(words)
                .find(|(cell, _)| cell.status != Status::Ok);
            match bad {
                None => Ok(partner),
                Some((cell, side)) => {
                    let reason = cell.reason.as_deref().unwrap_or("it was not measured");
                    Err(format!("no numbers of the {side}: {reason}"))
                }
            }
        });
        match found {
            Ok(partner) => compared.push(ComparedCell {
                scenario: cell.scenario.clone(),
                runtime: cell.runtime.clone(),
                load: cell.load,
                metrics: compared_metrics([(base, partner), (head, index)]),
            }),
            Err(reason) => refused.push(refusal(cell, reason)),
        }
    }
    for index in own_cells(base) {
        let cell = &base.plan.cells[index];
        if !own_cells(head).any(|other| same_place(&head.plan.cells[other], cell)) {
            refused.push(refusal(cell, "the head does not have it".to_owned()));
        }
    }
    (compared, refused)
}

fn compared_metrics(sides: [(&Record, usize); 2]) -> BTreeMap<String, ComparedMetric> {
    let of = |metric: &Metric| {
        let [base, head] = sides.map(|(record, cell)| -> Vec<f64> {
            measured(record, cell)
                .filter_map(|(_, round)| metric.read(&round.worker))
                .collect()
        });
        let rule = Rule::RUNTIMES;
        let ratio = statistics::ratio_apart(&head, &base, rule.confidence());
        let few = sides
            .iter()
            .any(|(record, cell)| too_few_samples(record, *cell, metric));
        let better = metric.compared_under(sides[1].0.plan.cells[sides[1].1].load);
        let verdict = ratio
            .zip(better)
            .filter(|(ratio, _)| ratio.confidence >= rule.confidence() - 1e-9 && !few)
            .map(|(ratio, compared)| rule.verdict(ratio, compared.better));
        Some(ComparedMetric {
            unit: metric.unit.to_owned(),
            base: statistics::median(&base)?,
            head: statistics::median(&head)?,
            base_rounds: base.len(),
            head_rounds: head.len(),
            ratio: ratio.map(|ratio| Ratio {
                median: ratio.value,
                low: ratio.low,
                high: ratio.high,
                confidence: ratio.confidence,
            }),
            verdict,
        })
    };
    METRICS
        .iter()
        .filter_map(|metric| Some((metric.name.to_string(), of(metric)?)))
        .collect()
}

fn too_few_samples(record: &Record, cell: usize, metric: &Metric) -> bool {
    measured(record, cell)
        .filter_map(|(_, round)| metric.samples(&round.worker))
        .any(|samples| samples.there < samples.needed)
}

/// Which way a metric is better, where it is compared at all.
pub fn better(name: &str, load: Load) -> Option<Better> {
    let metric = METRICS.iter().find(|metric| metric.name == name)?;
    Some(metric.compared_under(load)?.better)
}

/// The cells that a record speaks for: those of a gate's base were there for comparison only.
pub(crate) fn own_cells(record: &Record) -> impl Iterator<Item = usize> {
    let cells = record.plan.cells.iter().enumerate();
    cells
        .filter(|(_, cell)| cell.arm != Some(Arm::Base))
        .map(|(index, _)| index)
}

fn same_place(a: &Cell, b: &Cell) -> bool {
    a.scenario == b.scenario && a.runtime == b.runtime && a.load == b.load
}

/// The base's cell that measures the same work as a cell of the head, or why there is none.
fn matching(base: &Record, head: &Record, index: usize) -> Result<usize, String> {
    let cell = &head.plan.cells[index];
    let partner = own_cells(base)
        .find(|other| same_place(&base.plan.cells[*other], cell))
        .ok_or("the base does not have it")?;
    let (kinds, other) = (base.plan.placement.kind, head.plan.placement.kind);
    if kinds != other {
        return Err(format!(
            "server and worker share the CPUs differently ({} and {}), which decides most of a result",
            json(&kinds),
            json(&other)
        ));
    }
    let scenarios = [
        scenario(base, &cell.scenario),
        scenario(head, &cell.scenario),
    ];
    let [Some(base), Some(head)] = scenarios else {
        return Err("its scenario is not in the plan".to_owned());
    };
    same_work(base, head).map(|()| partner)
}

/// Whether two scenarios of the same name ask for the same work.
fn same_work(base: &PlannedScenario, head: &PlannedScenario) -> Result<(), String> {
    if base.workload != head.workload {
        return Err(format!(
            "the base runs the workload {}, the head {}",
            base.workload, head.workload
        ));
    }
    let (ours, theirs) = (&head.params, &base.params);
    if let Some(name) = first_difference(theirs, ours) {
        return Err(format!(
            "the parameter {name} is {} in the base and {} in the head",
            json(&theirs[&name]),
            json(&ours[&name])
        ));
    }
    if base.unit_ns != head.unit_ns {
        return Err("a unit of delay is not as long in both".to_owned());
    }
    for (target, ours) in &head.servers {
        let theirs = base.servers.get(target);
        let mocked = |server: &PlannedServer| matches!(server, PlannedServer::Mock { .. });
        let differ = theirs.is_none_or(|theirs| {
            mocked(ours) != mocked(theirs) || (mocked(ours) && ours != theirs)
        });
        if differ {
            return Err(format!("another server stands behind `{target}`"));
        }
    }
    if base.stages != head.stages {
        return Err("the rate changes differently".to_owned());
    }
    if base.lag_probe != head.lag_probe {
        return Err("a probe rides along in one of the two only".to_owned());
    }
    Ok(())
}

/// The first parameter that is not the same in both.
fn first_difference(base: &serde_json::Value, head: &serde_json::Value) -> Option<String> {
    let none = serde_json::Map::new();
    let (base, head) = (
        base.as_object().unwrap_or(&none),
        head.as_object().unwrap_or(&none),
    );
    let names = base.keys().chain(head.keys());
    let mut differing = names.filter(|name| base.get(*name) != head.get(*name));
    differing.next().cloned()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Why a difference between the two may be one of circumstances.
fn cautions(base: &Record, head: &Record) -> Vec<String> {
    let mut cautions = Vec::new();
    let (ours, theirs) = (&head.machine, &base.machine);
    if machine_differences(base, head).next().is_some() {
        cautions.push(
            "measured on different machines, which differ by more than most changes do: take verdicts as advice".to_owned(),
        );
    } else if ours.boot_id != theirs.boot_id || ours.boot_id.is_none() {
        cautions.push(
            "measured on different boots, or on machines that only look alike: take verdicts as advice".to_owned(),
        );
    } else {
        cautions.push(
            "measured at different times: what the machine did meanwhile is in the difference; `gate` measures both sides \
             in turn"
                .to_owned(),
        );
    }
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

/// Everything that differs and is no result.
fn differences(base: &Record, head: &Record) -> Vec<Difference> {
    let mut all: Vec<Difference> = machine_differences(base, head).collect();
    let tool = |record: &Record| {
        format!(
            "{} {} ({})",
            record.tool.name, record.tool.version, record.tool.profile
        )
    };
    all.extend(difference("tool", tool(base), tool(head)));
    all.extend(difference(
        "seed",
        base.seed.to_string(),
        head.seed.to_string(),
    ));
    let cpus = |record: &Record| {
        let placement = &record.plan.placement;
        format!(
            "server {}, worker {}",
            crate::describe::cpus(&placement.server_cpus),
            crate::describe::cpus(&placement.worker_cpus)
        )
    };
    all.extend(difference("CPUs", cpus(base), cpus(head)));
    for ours in &head.plan.scenarios {
        let Some(theirs) = scenario(base, &ours.name) else {
            continue;
        };
        all.extend(difference(
            &format!("length of a round of {}", ours.name),
            crate::describe::stop(theirs.stop),
            crate::describe::stop(ours.stop),
        ));
        for (target, server) in &ours.servers {
            let software = |server: Option<&PlannedServer>| match server {
                Some(PlannedServer::External { url, software }) => {
                    format!("{} at {url}", software.as_deref().unwrap_or("unknown"))
                }
                Some(PlannedServer::Arm { url }) => format!("an arm's own at {url}"),
                _ => String::new(),
            };
            all.extend(difference(
                &format!("server behind `{target}`"),
                software(theirs.servers.get(target)),
                software(Some(server)),
            ));
        }
    }
    all.extend(versions(base, head));
    all
}

fn machine_differences<'a>(
    base: &'a Record,
    head: &'a Record,
) -> impl Iterator<Item = Difference> + use<'a> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "n/a".to_owned());
    let (theirs, ours) = (&base.machine, &head.machine);
    [
        difference("system", theirs.os.clone(), ours.os.clone()),
        difference("architecture", theirs.arch.clone(), ours.arch.clone()),
        difference("CPU", text(&theirs.cpu_model), text(&ours.cpu_model)),
        difference(
            "CPUs online",
            theirs.cpus_online.to_string(),
            ours.cpus_online.to_string(),
        ),
        difference(
            "memory",
            memory(theirs.memory_bytes),
            memory(ours.memory_bytes),
        ),
        difference(
            "hypervisor",
            text(&theirs.hypervisor),
            text(&ours.hypervisor),
        ),
        difference("governor", text(&theirs.governor), text(&ours.governor)),
        difference(
            "clock source",
            text(&theirs.clock_source),
            text(&ours.clock_source),
        ),
    ]
    .into_iter()
    .flatten()
}

fn memory(bytes: Option<u64>) -> String {
    bytes.map_or("n/a".to_owned(), |bytes| crate::units::bytes(bytes as f64))
}

/// The libraries whose versions differ.
fn versions<'a>(base: &'a Record, head: &'a Record) -> impl Iterator<Item = Difference> + use<'a> {
    let names = base.dependencies.keys().chain(head.dependencies.keys());
    let names: std::collections::BTreeSet<&String> = names.collect();
    let version = |record: &Record, name: &String| {
        let version = record.dependencies.get(name);
        version.cloned().unwrap_or_else(|| "none".to_owned())
    };
    names
        .into_iter()
        .filter_map(move |name| difference(name, version(base, name), version(head, name)))
}

fn difference(what: &str, base: String, head: String) -> Option<Difference> {
    (base != head).then(|| Difference {
        what: what.to_owned(),
        base,
        head,
    })
}
