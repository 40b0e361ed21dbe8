//! `photofinish check-worker`: workers that keep every promise pass, and one that breaks a promise is caught by its check.

use std::path::Path;
use std::sync::Mutex;
use std::thread;

use crate::lanes::{node_is_missing, packages_are_missing, perl_is_missing, perl_worker};
use crate::setup::built_go;
use crate::support::{Finished, Sandbox, python};

/// Runs `check` for each item, some at a time: a worker under test mostly waits.
fn each<T: Sync>(items: &[T], check: impl Fn(&T) + Sync) {
    let items = Mutex::new(items.iter());
    let next = || items.lock().expect("not poisoned").next();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(item) = next() {
                    check(item);
                }
            });
        }
    });
}

#[test]
fn an_interruption_is_no_failure_of_the_worker() {
    let sandbox = Sandbox::new();
    let mut checking = sandbox.start(&["check-worker", "tokio"]);
    checking.wait_for_child("worker");
    checking.signal("INT");
    let finished = checking.finish().check(130, &["interrupted"]);
    assert!(!finished.stdout.contains("FAILED"), "{}", finished.stdout);
}

/// The stall test under every lane is one of the checks.
#[test]
fn every_worker_passes_the_checks() {
    if packages_are_missing() || perl_is_missing() || node_is_missing() {
        return;
    }
    let Some(data) = built_go() else {
        return;
    };
    let sandbox = Sandbox::new();
    let perl = perl_worker();
    let workers = [
        "tokio",
        "python-sync",
        "python-threads",
        "asyncio",
        "asyncio-processes",
        "aiohttp",
        "uvloop",
        "asyncio-floor",
        "node",
        "node-floor",
        "go",
        "go-floor",
        &perl,
    ];
    each(&workers, |worker| {
        let arguments: Vec<&str> = ["check-worker"]
            .into_iter()
            .chain(worker.split(' '))
            .collect();
        let mut command = sandbox.command(&arguments);
        command.env("PHOTOFINISH_DATA", data);
        let stdout = Finished::of(&mut command).check(0, &[]).stdout;
        let has_http = *worker != "asyncio-processes";
        let served = stdout.contains("  ok      each arrival");
        assert_eq!(served, has_http, "{stdout}");
        assert_eq!(stdout.lines().count(), 1 + BROKEN.len(), "{stdout}");
        let skipped = stdout.matches("\n  -  ").count();
        match *worker {
            // Its description, and what hangs or is left: it has limits of its own.
            "tokio" => assert_eq!(skipped, 3, "{stdout}"),
            "node" | "node-floor" | "go" | "go-floor" => {}
            _ if !has_http => assert_eq!(skipped, 12, "{stdout}"),
            lane if lane == perl => assert_eq!(skipped, 4, "{stdout}"),
            _ => assert_eq!(skipped, 0, "{stdout}"),
        }
    });
}

/// The worker that a broken one wraps.
#[derive(Clone, Copy)]
enum Base {
    Perl,
    Asyncio,
}

/// The beginning of each claim, and a change to a worker that breaks it: at its start, to the plan, to the description, to a
/// measurement, or to the text of a reply.
const BROKEN: [(&str, Base, &str, &str); 21] = [
    (
        "its description",
        Base::Perl,
        "described",
        r#"reply["lanes"][0]["workloads"] = []"#,
    ),
    (
        "a phase by count",
        Base::Perl,
        "measured",
        r#"m["ops"] -= 1"#,
    ),
    (
        "a phase by time",
        Base::Perl,
        "measured",
        r#"m["elapsed_ns"] //= 1000"#,
    ),
    (
        "its histogram",
        Base::Asyncio,
        "plan",
        r#"[line.update(time_us=line["time_us"] / 2) for line in plan["params"].get("times", [])]"#,
    ),
    (
        "an unknown workload",
        Base::Perl,
        "plan",
        r#"plan["workload"] = "null""#,
    ),
    (
        "a plan of another protocol",
        Base::Perl,
        "plan",
        r#"plan["protocol"] = 1"#,
    ),
    ("one line", Base::Perl, "text", r#"text += "\nhello""#),
    (
        "a reply of more",
        Base::Asyncio,
        "text",
        "text = text[:65536]",
    ),
    (
        "every thread",
        Base::Perl,
        "start",
        "os.sched_setaffinity(0, range(os.cpu_count()))",
    ),
    (
        "its CPU time",
        Base::Perl,
        "measured",
        r#"m["cost"].update(cpu_user_ns=0, cpu_system_ns=0)"#,
    ),
    (
        "SIGTERM",
        Base::Perl,
        "start",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    ),
    (
        "it ends with its parent",
        Base::Perl,
        "start",
        "ctypes.CDLL(None).prctl(1, 0)",
    ),
    (
        "its requests and connections",
        Base::Perl,
        "measured",
        r#"m["traffic"]["http"]["connections"] = 7"#,
    ),
    (
        "operations are numbered",
        Base::Perl,
        "plan",
        r#"plan["params"]["numbered"] = False"#,
    ),
    ("its draws", Base::Asyncio, "plan", r#"plan["seed"] += 1"#),
    (
        "two rounds",
        Base::Asyncio,
        "plan",
        r#"plan["seed"] ^= os.getpid()"#,
    ),
    (
        "other content",
        Base::Perl,
        "measured",
        r#"m["errors"] = {}"#,
    ),
    (
        "a reset",
        Base::Perl,
        "measured",
        r#"m["errors"] = {"io": error for error in m["errors"].values()}"#,
    ),
    (
        "an answer that does not come",
        Base::Perl,
        "measured",
        r#"m["errors"] = {"io": error for error in m["errors"].values()}"#,
    ),
    (
        "each arrival",
        Base::Perl,
        "measured",
        r#"m["open"]["response"] = m["service"]"#,
    ),
    (
        "arrivals that are left",
        Base::Perl,
        "measured",
        r#"m["open"]["unsent"] = 0"#,
    ),
];

/// A worker that runs another one, with a change at one place.
fn broken_worker(base: &str, place: &str, change: &str) -> String {
    let at = |here: &str| if here == place { change } else { "pass" };
    format!(
        r#"
import ctypes, json, os, signal, subprocess, sys
try:
    {start}
except OSError:
    pass
plan = json.loads(sys.stdin.readline()) if sys.argv[1] == "worker" else None
if plan:
    {plan}
told = subprocess.run({base:?}.split() + sys.argv[1:], input=json.dumps(plan) + "\n", stdout=subprocess.PIPE, text=True).stdout
reply = json.loads(told)
m = reply.get("measurement")
if m:
    {measured}
if not plan:
    {described}
text = json.dumps(reply)
if plan:
    {text}
print(text)
"#,
        start = at("start"),
        plan = at("plan"),
        measured = at("measured"),
        described = at("described"),
        text = at("text"),
    )
}

#[test]
fn each_broken_promise_of_a_worker_is_caught() {
    if python("asyncio", "asyncio").is_none() || perl_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let asyncio = Path::new(env!("CARGO_MANIFEST_DIR")).join("lanes/python/asyncio_tasks.py");
    let asyncio = format!("python3 {}", asyncio.display());
    each(&BROKEN, |(claim, base, place, change)| {
        let base = match base {
            Base::Perl => perl_worker(),
            Base::Asyncio => asyncio.clone(),
        };
        let name = format!("{}.py", claim.replace(' ', "-"));
        let script = sandbox.write(&name, &broken_worker(&base, place, change));
        let script = script.to_str().expect("text");
        let checked = sandbox.run(&["check-worker", "--only", claim, "python3", script]);
        assert_eq!(checked.code, Some(5), "{claim}: {}", checked.stdout);
        let failed = format!("  FAILED  {claim}");
        assert!(
            checked.stdout.contains(&failed),
            "{claim}: {}",
            checked.stdout
        );
    });
}

#[test]
fn a_check_that_does_not_exist_is_told() {
    let sandbox = Sandbox::new();
    let arguments = ["check-worker", "--only", "no such claim", "tokio"];
    sandbox
        .run(&arguments)
        .check(2, &["no check contains `no such claim`"]);
}
