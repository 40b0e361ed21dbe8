//! Live arms: servers and programs that start, crash, answer differently or stay behind.

use std::process::Command;

use photofinish_record::Arm;
use serde_json::Value;

use super::{SHORT, gate, says, server};
use crate::schemas;
use crate::support::{
    Sandbox, arguments, is_gone, program, python, send, wait_for, wait_until_gone,
};

#[test]
fn live_arms_are_measured_in_balanced_pairs_and_the_output_matches_the_record() {
    let sandbox = Sandbox::new();
    let equal = server("same");
    let more = ["--max-pairs=10", "--limit=throughput=50%", "--format=json"];
    let live = gate(&sandbox, &equal, &equal, &more);
    let report: Value = live.json();
    schemas::check("gate", &report);
    assert_eq!(report["blocks"], 10);
    let record = sandbox.record();
    let first_heads = record
        .plan
        .blocks
        .iter()
        .filter(|block| record.plan.cells[block[0]].arm == Some(Arm::Head))
        .count();
    assert_eq!(first_heads, 5);
    let run = sandbox.latest();
    let run = run.to_str().expect("UTF-8");
    let again = sandbox.run(&["gate", run, "--format=json"]);
    assert_eq!((again.code, &again.stdout), (live.code, &live.stdout));
    let page = std::fs::read_to_string(sandbox.latest().join("report.html")).expect("a page");
    assert!(page.contains("id=\"gate\""));
}

#[test]
fn an_arm_with_different_responses_is_wrong_unless_that_is_allowed() {
    let sandbox = Sandbox::new();
    let (base, head) = (server("a long answer"), server("short"));
    let more = ["--max-pairs=10", "--limit=throughput=50%"];
    let finished = gate(&sandbox, &base, &head, &more);
    says(
        &finished,
        5,
        &["WRONG", "the arms answer differently: GET /x"],
    );
    // No more pairs are measured than it takes to exclude chance.
    assert_eq!(sandbox.record().rounds.len(), 6);
    let allowed = [&more[..], &["--content-may-differ"]].concat();
    let finished = gate(&sandbox, &base, &head, &allowed);
    assert_ne!(finished.code, Some(5), "{finished:#?}");
}

#[test]
fn an_arm_that_fails_to_start_or_crashes_ends_the_gate_with_its_stderr() {
    let sandbox = Sandbox::new();
    let good = server("same");
    gate(&sandbox, &good, "echo no luck >&2; exit 3 # {port}", &[]).check(
        1,
        &[
            "the head: the server",
            "ended with exit code 3 before it was ready",
            "no luck",
        ],
    );
    let dies = format!("( sleep 0.4; kill $$ ) & {good}");
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &dies,
        "--head-server",
        &good,
    ];
    let longer = ["--set=params.path=/x", "--duration=5s", "--no-redo"];
    sandbox
        .run(&[&arms[..], &longer].concat())
        .check(1, &["the base"]);
}

#[test]
fn two_builds_of_a_program_are_measured_as_workers() {
    let sandbox = Sandbox::new();
    let copy = |name: &str| {
        let place = sandbox.path().join(name);
        std::fs::copy(program(), &place).expect("copied");
        place
    };
    let (base, head) = (copy("base"), copy("head"));
    let arguments = [
        "gate",
        "null",
        "--base-exe",
        base.to_str().expect("UTF-8"),
        "--head-exe",
        head.to_str().expect("UTF-8"),
        "--max-pairs=10",
        "--limit=throughput=50%",
        "--limit=errors=0",
    ];
    let finished = sandbox.run(&[&arguments[..], &SHORT].concat());
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let record = sandbox.record();
    let gated = record.plan.gate.as_ref().expect("a gate");
    assert!(gated.base.identity.is_some(), "{gated:?}");
    assert_eq!(gated.base.identity, gated.head.identity);
    let copies = |warning: &String| warning.contains("the same program, byte for byte");
    assert!(record.warnings.iter().any(copies), "{:?}", record.warnings);
    assert_eq!(record.rounds.len(), 20);
    // A server is no such program, and would be waited for in vain; nor is one that ends at once.
    sandbox.write("server", "#!/bin/sh\nexec sleep 600\n");
    let server = sandbox.path().join("server");
    let may_run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&server, may_run).expect("permitted");
    for base in ["/bin/true", "./server"] {
        let arguments = ["gate", "null", "--base-exe", base, "--head-exe"];
        let head = [head.to_str().expect("UTF-8")];
        let message = format!("{base} is not a Photofinish program");
        sandbox
            .run(&[&arguments[..], &head, &SHORT].concat())
            .check(1, &[&message, "--server '{exe} --port {port}'"]);
    }
}

/// A server that works, does not replace the shell that starts it, and takes a while to leave: it writes down the CPU
/// time that it has taken then.
const WORKING_SERVER: &str = r#"
import os, signal, socket, sys, threading, time
def leave(*_):
    time.sleep(0.1)
    with open("spent", "a") as spent:
        spent.write(f"{time.process_time_ns()}\n")
    os._exit(0)
def serve(client):
    unread = b""
    while True:
        while b"\r\n\r\n" not in unread:
            more = client.recv(65536)
            if not more:
                return
            unread += more
        unread = unread.split(b"\r\n\r\n", 1)[1]
        total = 0
        for number in range(20000):
            total += number
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
signal.signal(signal.SIGTERM, leave)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"#;

/// The CPU time of an arm's server is the gate's own, though the shell between the two dies first: otherwise every
/// round would be disturbed by its own server. Counted where the system counts it, in the gate and all that it has
/// waited for, beside what the servers themselves say: no other process of a busy machine has a part in it.
#[test]
fn the_cpu_time_of_an_arms_server_is_the_gates_own() {
    let Some(python) = python("socket", "its standard library") else {
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.write("server.py", WORKING_SERVER);
    // What follows keeps any shell from replacing itself with the server; the other arm's leaves the process group as
    // well.
    let server = format!("'{}' server.py {{port}}; true", python.display());
    let leaves = format!("setsid {server} & wait");
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &server,
        "--head-server",
        &leaves,
    ];
    let more = ["--max-pairs=10", "--limit=throughput=50%", "--set=path=/x"];
    let mut gate = sandbox.start(&[&arms[..], &more, &SHORT].concat());
    let process = gate.id();
    wait_for("the end of the gate", || is_gone(process).then_some(()));
    let (own, spent) = (cpu_ns(process), sandbox.path().join("spent"));
    let finished = gate.finish();
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    // On a busy machine some may be killed before they can say it.
    let spent = std::fs::read_to_string(spent).expect("servers that leave in time");
    let spent: u64 = spent
        .lines()
        .map(|line| line.parse::<u64>().expect("ns"))
        .sum();
    assert!(spent > 0);
    assert!(own >= spent, "{own} ns in all, {spent} ns in the servers");
}

/// CPU time of a process that nobody has waited for yet, and of all that it has waited for.
fn cpu_ns(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("not waited for");
    let (_, after_name) = stat.rsplit_once(')').expect("a name");
    let times = after_name.split_whitespace().skip(11).take(4);
    times
        .map(|ticks| ticks.parse::<u64>().expect("ticks") * 10_000_000)
        .sum()
}

#[test]
fn an_interrupted_gate_keeps_its_pairs_and_leaves_no_server() {
    let sandbox = Sandbox::new();
    let equal = server("same");
    let arguments = [
        "gate",
        "http-get",
        "--base-server",
        &equal,
        "--head-server",
        &equal,
    ];
    let path = ["--set=params.path=/x", "--limit=throughput=1%"];
    let mut run = sandbox.start(&[&arguments[..], &path, &SHORT].concat());
    wait_for("rounds", || (sandbox.rounds_so_far() >= 3).then_some(()));
    let guard = run.wait_for_child("arm-server");
    run.signal("INT");
    run.finish().check(130, &["interrupted before the verdict"]);
    wait_until_gone(&[guard]);
    assert!(sandbox.record().rounds.len() >= 3);
    let again = sandbox.run(&["gate", "photofinish-runs/latest"]);
    says(&again, 4, &["INCONCLUSIVE", "interrupted"]);
}

/// A command that starts `server.py` with `code`, which has `port`, `listener` and the helpers of this text.
fn scripted(sandbox: &Sandbox, name: &str, code: &str) -> Option<String> {
    const BEGINNING: &str = r#"
import os, signal, socket, sys, threading, time
born = time.monotonic()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def respond(client, status="200 OK"):
    unread = b""
    while True:
        while b"\r\n\r\n" not in unread:
            more = client.recv(65536)
            if not more:
                return
            unread += more
        unread = unread.split(b"\r\n\r\n", 1)[1]
        client.sendall(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok".encode())
"#;
    let python = python("socket", "its standard library")?;
    sandbox.write(name, &format!("{BEGINNING}{code}"));
    Some(format!("'{}' {name} {{port}}", python.display()))
}

const ANSWERING: &str = "
while True:
    client, _ = listener.accept()
    threading.Thread(target=respond, args=(client,), daemon=True).start()
";

/// Two pairs: enough of a gate that is about its arms.
const TWO_PAIRS: [&str; 2] = ["--max-pairs=10", "--limit=throughput=50%"];

#[test]
fn a_starting_server_is_waited_for() {
    let sandbox = Sandbox::new();
    let starting = "
while True:
    client, _ = listener.accept()
    age = time.monotonic() - born
    if age < 0.2:
        client.close()
    else:
        status = '503 Starting' if age < 0.4 else '200 OK'
        threading.Thread(target=respond, args=(client, status), daemon=True).start()
";
    let Some(starting) = scripted(&sandbox, "starting.py", starting) else {
        return;
    };
    let finished = gate(&sandbox, &starting, &server("ok"), &TWO_PAIRS);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    assert_eq!(sandbox.record().rounds.len(), 20);
}

#[test]
fn an_arm_with_wrong_responses_is_named() {
    let sandbox = Sandbox::new();
    let failing = "
while True:
    client, _ = listener.accept()
    threading.Thread(target=respond, args=(client, '500 No'), daemon=True).start()
";
    let Some(failing) = scripted(&sandbox, "failing.py", failing) else {
        return;
    };
    gate(&sandbox, &server("ok"), &failing, &TWO_PAIRS).check(1, &["the head: ", "500"]);
}

#[test]
fn a_command_that_is_not_a_server_in_the_foreground_is_reported() {
    let sandbox = Sandbox::new();
    let good = server("same");
    let check = |base: &str, expected: &[&str]| {
        let finished = gate(&sandbox, base, &good, &[]).check(1, expected);
        assert!(
            finished.stderr.contains("the base: the server"),
            "{}",
            finished.stderr
        );
        assert!(
            !finished.stderr.contains("error: error"),
            "{}",
            finished.stderr
        );
        assert_eq!(
            finished.stderr.matches("exit code").count(),
            1,
            "{}",
            finished.stderr
        );
    };
    let foreground = [
        "ended with exit code 0 before it was ready",
        "hint:",
        "`sh`",
        "foreground",
    ];
    check("sleep 60 {port} & exit 0", &foreground);
    check("true {port} &", &foreground);
    let Some(killed) = scripted(&sandbox, "killed.py", "os.kill(os.getpid(), 9)") else {
        return;
    };
    let finished = gate(&sandbox, &format!("{killed}; exit $?"), &good, &[]);
    finished.check(1, &["was killed by SIGKILL before it was ready"]);
}

#[test]
fn a_shells_error_from_a_ready_arm_is_a_warning() {
    let sandbox = Sandbox::new();
    let base = format!("nosuchcommand env.sh; {}", server("ok"));
    let finished = gate(&sandbox, &base, &server("ok"), &TWO_PAIRS);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let warnings = sandbox.record().warnings;
    let is_reported = |warning: &&String| {
        warning.contains("the base: its server started, but") && warning.contains("nosuchcommand")
    };
    assert_eq!(
        warnings.iter().filter(is_reported).count(),
        1,
        "{warnings:?}"
    );
}

/// The processes whose command line holds `word`.
fn processes_with(word: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(Result::ok);
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        arguments(*id)
            .iter()
            .any(|argument| argument.contains(word))
    })
    .collect()
}

#[test]
fn a_server_in_its_own_session_ends_with_its_round_or_a_killed_guard() {
    let sandbox = Sandbox::new();
    let Some(base) = scripted(&sandbox, "own_session.py", ANSWERING) else {
        return;
    };
    let mark = format!("mark-{}", std::process::id());
    let twice = format!("(setsid {base} {mark} &) ; sleep 600");
    let finished = gate(
        &sandbox,
        &format!("setsid {base} {mark} & wait"),
        &twice,
        &TWO_PAIRS,
    );
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    assert_eq!(processes_with(&mark), [0; 0]);

    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &twice,
        "--head-server",
        &twice,
    ];
    let longer = ["--set=params.path=/x", "--duration=20s", "--no-redo"];
    let mut run = sandbox.start(&[&arms[..], &longer].concat());
    run.wait_for_child("worker");
    let guard = run.wait_for_child("arm-server");
    send("KILL", guard);
    let kept = ["was killed by SIGKILL", "Record: photofinish-runs/"];
    run.finish().check(1, &kept);
    wait_for("the server's end", || {
        processes_with(&mark).is_empty().then_some(())
    });
}

/// Goal: a server that somebody else starts for the arm, as a daemon does for a container, is not left to run beside
/// the next rounds. Method: the test is that somebody.
#[test]
fn a_server_that_is_still_there_after_its_round_ends_the_gate() {
    let sandbox = Sandbox::new();
    let Some(server) = scripted(&sandbox, "daemon.py", ANSWERING) else {
        return;
    };
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        "echo {port} > port; exec sleep 600",
    ];
    let more = [
        "--head-server",
        "echo {port} > port; exec sleep 600",
        "--set=params.path=/x",
    ];
    let run = sandbox.start(&[&arms[..], &more, &SHORT].concat());
    let port = wait_for("a port", || {
        let port = std::fs::read_to_string(sandbox.path().join("port")).ok()?;
        port.ends_with('\n').then(|| port.trim().to_owned())
    });
    let mut daemon = Command::new("sh");
    let daemon = daemon.args(["-c", &format!("exec {}", server.replace("{port}", &port))]);
    let mut daemon = daemon.current_dir(sandbox.path()).spawn().expect("started");
    let pid = format!("is still running (pid {})", daemon.id());
    let finished = run.finish();
    daemon.kill().expect("killed");
    daemon.wait().expect("waited for");
    finished.check(1, &[": the server", &pid, "hint:"]);
}

#[test]
fn ctrl_c_while_an_arm_starts_ends_it_at_once() {
    let sandbox = Sandbox::new();
    let mark = format!("7{}", std::process::id());
    let coming = format!("sleep {mark}; true {{port}}");
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &coming,
        "--head-server",
        &coming,
    ];
    let mut run = sandbox.start(&[&arms[..], &["--set=path=/x"], &SHORT].concat());
    run.wait_for_child("arm-server");
    wait_for("the command", || {
        (!processes_with(&mark).is_empty()).then_some(())
    });
    let asked = std::time::Instant::now();
    run.signal("INT");
    run.finish().check(130, &["interrupted"]);
    // It was 20 s: the guard did not listen while it waited.
    assert!(asked.elapsed().as_secs() < 10, "{:?}", asked.elapsed());
    wait_for("the command's end", || {
        processes_with(&mark).is_empty().then_some(())
    });
}

#[test]
fn a_program_that_is_replaced_while_it_is_measured_ends_the_gate() {
    let sandbox = Sandbox::new();
    let Some(server) = scripted(&sandbox, "edited.py", ANSWERING) else {
        return;
    };
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &server,
        "--head-server",
        &server,
    ];
    let more = ["--max-pairs=10", "--limit=throughput=50%", "--set=path=/x"];
    let run = sandbox.start(&[&arms[..], &more, &SHORT].concat());
    wait_for("a round", || (sandbox.rounds_so_far() >= 1).then_some(()));
    sandbox.write("edited.py", "another");
    let finished = run.finish();
    // The next round may have found out first.
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let record = sandbox.record();
    let gated = record.plan.gate.expect("a gate");
    assert!(gated.base.sha256.is_some_and(|sum| sum.len() == 64));
}

/// Goal: a warning says that two commands started the same program. Method: two scripts that become the same server.
#[test]
fn commands_that_start_the_same_program_are_reported() {
    let sandbox = Sandbox::new();
    let script = |name: &str| {
        let command = server("same").replace("{port}", "$1");
        sandbox.write(name, &format!("#!/bin/sh\n# {name}\n{command}\n"));
        format!("exec sh ./{name} {{port}}")
    };
    let (base, head) = (script("old.sh"), script("new.sh"));
    let finished = gate(&sandbox, &base, &head, &TWO_PAIRS);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let warnings = sandbox.record().warnings.concat();
    let program = program().display().to_string();
    assert!(
        warnings.contains(&format!("both arms ran {program}, although")),
        "{warnings}"
    );
    assert!(finished.stdout.contains("both arms ran"), "{finished:#?}");
}
