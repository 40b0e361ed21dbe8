//! The committed JSON Schemas: equal to what the types say, and true of what the program really writes.

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use photofinish_record::Record;
use photofinish_record::protocol::{WorkerDescription, WorkerPlan, WorkerReply};
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::diagnosis::Diagnosis;
use photofinish_reports::gate::GateReport;
use photofinish_reports::selftest::Proof;
use photofinish_reports::summary::Summary;
use schemars::{Schema, schema_for};
use serde_json::{Value, json};

use crate::support::{Sandbox, TINY};

type NamedSchema = (&'static str, fn() -> Schema);

/// The schemas of fixed types.
const DERIVED: [NamedSchema; 9] = [
    ("record", || schema_for!(Record)),
    ("summary", || schema_for!(Summary)),
    ("gate", || schema_for!(GateReport)),
    ("comparison", || schema_for!(RecordComparison)),
    ("diagnosis", || schema_for!(Diagnosis)),
    ("selftest", || schema_for!(Proof)),
    ("worker-plan", || schema_for!(WorkerPlan)),
    ("worker-description", || schema_for!(WorkerDescription)),
    ("worker-reply", || schema_for!(WorkerReply)),
];

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/schemas/{name}.schema.json"))
}

fn read(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// With `UPDATE_SCHEMAS=1` in the environment, the committed copies are written instead.
#[test]
fn the_committed_schemas_are_current() {
    let sandbox = Sandbox::new();
    let printed = |name: &str| sandbox.run(&["schema", name]).check(0, &[]).stdout;
    for name in ["scenario", "config"] {
        check_committed(name, &printed(name));
    }
    for (name, schema) in DERIVED {
        let text = serde_json::to_string_pretty(&schema().to_value()).expect("JSON");
        check_committed(name, &format!("{text}\n"));
        let hint = "the program has the copy of its build";
        assert!(
            is_updating() || printed(name) == format!("{text}\n"),
            "{name}: {hint}"
        );
    }
}

fn is_updating() -> bool {
    std::env::var_os("UPDATE_SCHEMAS").is_some()
}

#[track_caller]
fn check_committed(name: &str, current: &str) {
    if is_updating() {
        fs::write(committed(name), current).expect("written");
    }
    let kept = fs::read_to_string(committed(name)).unwrap_or_default();
    assert!(
        kept == current,
        "{name} has changed; run the tests with UPDATE_SCHEMAS=1 and look at the difference"
    );
}

/// Checks that a document is what the committed schema says.
#[track_caller]
pub fn check(name: &str, document: &Value) {
    let mut compiler = Compiler::new();
    compiler
        .add_resource(name, read(&committed(name)))
        .expect("a name");
    let mut schemas = Schemas::new();
    let schema = compiler.compile(name, &mut schemas).expect("a schema");
    if let Err(flaws) = schemas.validate(document, schema) {
        panic!("{name}: {flaws}");
    }
}

#[test]
fn a_real_record_and_a_real_summary_are_valid() {
    let sandbox = Sandbox::new();
    let arguments = [
        &[
            "run",
            "http-get",
            "file-read",
            "--format",
            "json",
            "--runtimes",
            "sync,smol",
        ],
        &TINY[..],
    ]
    .concat();
    let finished = sandbox.run(&arguments).check(0, &[]);
    check("summary", &finished.json());
    check("record", &read(&sandbox.latest().join("record.json")));
}

#[test]
fn a_real_plan_makes_a_real_worker_give_a_valid_reply() {
    let sandbox = Sandbox::new();
    let plan = json!({
        "protocol": 1,
        "workload": "null",
        "params": {},
        "unit_ns": 1_000_000,
        "runtime": "tokio",
        "cpus": [],
        "worker_threads": 1,
        "load": { "model": "closed", "concurrency": 2 },
        "warmup": { "ops": 10 },
        "stop": { "ops": 100 },
        "seed": 1,
        "targets": {},
        "work_dir": sandbox.path(),
    });
    check("worker-plan", &plan);
    let reply = answer_of_worker(&sandbox, &plan);
    check("worker-reply", &reply);
    assert_eq!(reply["status"], "ok", "{reply}");
    assert_eq!(reply["measurement"]["ops"], 100);
}

fn answer_of_worker(sandbox: &Sandbox, plan: &Value) -> Value {
    let input = sandbox.write("plan.json", &format!("{plan}\n"));
    let mut command = sandbox.command(&["worker"]);
    command.stdin(fs::File::open(input).expect("the plan"));
    let finished = crate::support::Finished::of(&mut command).check(0, &[]);
    assert_eq!(finished.stdout.lines().count(), 1, "one line");
    finished.json()
}

#[test]
fn every_scenario_that_ships_is_valid() {
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/catalogue");
    let mut checked = 0;
    for entry in fs::read_dir(catalogue).expect("the catalogue") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a scenario");
        let scenario: Value = toml::from_str(&text).expect("TOML");
        check("scenario", &scenario);
        checked += 1;
    }
    assert!(checked >= 9, "{checked} scenarios");
}
