//! The GitHub Action and the pipelines in the docs: their form by the published schemas, their steps by running them.
//!
//! The steps of `action.yml` are run as a runner runs them: the same line of shell, with the step's own environment, whose
//! expressions are put in from the inputs and from what earlier steps wrote. What needs GitHub itself (the cache, the
//! upload) is looked at only. The gate behind them is tested in `gate`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Finished, Sandbox, program, python, skip_without};

/// A step of the action, as it is written.
#[derive(Debug, Default)]
struct Step {
    id: String,
    run: String,
    uses: String,
    environment: Vec<(String, String)>,
}

/// What a run of the action left behind.
struct Acted {
    outputs: BTreeMap<String, String>,
    summary: String,
    log: String,
    end: Finished,
}

fn root() -> PathBuf {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"));
    cli.parent().expect("a workspace").to_owned()
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every file of pipelines, by its name from the top.
fn pipelines() -> Vec<String> {
    let workflows = fs::read_dir(root().join(".github/workflows")).expect("workflows");
    let names = workflows.map(|entry| entry.expect("an entry").file_name());
    let mut all = vec!["action.yml".to_owned()];
    all.extend(names.map(|name| format!(".github/workflows/{}", name.to_string_lossy())));
    assert!(all.len() > 1, "{all:?}");
    all
}

/// The fenced blocks of YAML in a page, each with the line before its fence.
fn snippets(page: &str) -> Vec<String> {
    let page = text(page);
    let blocks = page.split("```yaml\n").skip(1);
    let ends = blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned());
    ends.collect()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The value of `key` on a line of a mapping, or of the first line of a list's entry.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let line = line.trim_start();
    let line = line.strip_prefix("- ").unwrap_or(line);
    Some(line.strip_prefix(key)?.strip_prefix(':')?.trim())
}

/// The steps of the action. Reads what `action.yml` is made of, and no other YAML.
fn steps() -> Vec<Step> {
    let action = text("action.yml");
    let (_, steps) = action.split_once("\n  steps:\n").expect("steps");
    let mut all: Vec<Step> = Vec::new();
    let mut within = "";
    for line in steps.lines().filter(|line| !line.is_empty()) {
        if line.trim_start().starts_with("- ") {
            all.push(Step::default());
        }
        let step = all.last_mut().expect("a step");
        match indentation(line) {
            4 | 6 => {
                within = line.trim_start().trim_end_matches(':');
                if let Some(run) = value(line, "run") {
                    step.run = run.to_owned();
                } else if let Some(id) = value(line, "id") {
                    step.id = id.to_owned();
                } else if let Some(uses) = value(line, "uses") {
                    step.uses = uses.to_owned();
                }
            }
            8 if within == "env" => {
                let (name, value) = line.trim().split_once(": ").expect("a variable");
                step.environment.push((name.to_owned(), value.to_owned()));
            }
            _ => {}
        }
    }
    assert_eq!(all.len(), 6, "{all:?}");
    all
}

/// The inputs and their defaults.
fn inputs() -> BTreeMap<String, String> {
    let action = text("action.yml");
    let (_, inputs) = action.split_once("\ninputs:\n").expect("inputs");
    let (inputs, _) = inputs.split_once("\noutputs:\n").expect("outputs");
    let mut all = BTreeMap::new();
    let mut name = String::new();
    for line in inputs.lines() {
        if indentation(line) == 2 {
            name = line.trim().trim_end_matches(':').to_owned();
            all.insert(name.clone(), String::new());
        } else if let Some(default) = value(line, "default") {
            all.insert(name.clone(), default.trim_matches('"').to_owned());
        }
    }
    all
}

/// A runner's part: the steps in their order, each in a shell of its own.
fn act(sandbox: &Sandbox, given: &[(&str, &str)]) -> Acted {
    let mut known = BTreeMap::new();
    for (name, default) in inputs() {
        known.insert(format!("inputs.{name}"), default);
    }
    for (name, value) in given {
        let before = known.insert(format!("inputs.{name}"), (*value).to_owned());
        assert!(before.is_some(), "there is no input {name}");
    }
    let summary = sandbox.write("summary.md", "");
    let mut acted = Acted {
        outputs: BTreeMap::new(),
        summary: String::new(),
        log: String::new(),
        end: Finished {
            code: None,
            stdout: String::new(),
            stderr: String::new(),
        },
    };
    for (number, step) in steps().iter().enumerate() {
        if step.run.is_empty() {
            continue;
        }
        let outputs = sandbox.write(&format!("outputs-{number}"), "");
        let mut shell = Command::new("bash");
        shell
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &step.run])
            .current_dir(sandbox.path())
            .env("GITHUB_ACTION_PATH", root())
            .env("GITHUB_OUTPUT", &outputs)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("RUNNER_TEMP", sandbox.path())
            .env("TMPDIR", sandbox.path())
            .env_remove("CARGO");
        for (name, expression) in &step.environment {
            shell.env(name, evaluated(expression, &known));
        }
        acted.end = Finished::of(&mut shell);
        acted.log += &acted.end.stdout;
        let written = fs::read_to_string(outputs).expect("outputs");
        for line in written.lines() {
            let (name, value) = line.split_once('=').expect("NAME=VALUE");
            let name = format!("steps.{}.outputs.{name}", step.id);
            known.insert(name, value.to_owned());
        }
        if acted.end.code != Some(0) {
            break;
        }
    }
    for output in ["verdict", "report"] {
        let expression = format!("${{{{ steps.measure.outputs.{output} }}}}");
        let promised = format!("\n    value: {expression}\n");
        assert!(text("action.yml").contains(&promised), "{output}");
        acted
            .outputs
            .insert(output.to_owned(), evaluated(&expression, &known));
    }
    acted.summary = fs::read_to_string(summary).expect("a summary");
    acted
}

/// An expression of an environment; what no step has written is empty, as on GitHub.
fn evaluated(expression: &str, known: &BTreeMap<String, String>) -> String {
    let name = expression
        .strip_prefix("${{ ")
        .and_then(|rest| rest.strip_suffix(" }}"));
    let name = name.unwrap_or_else(|| panic!("{expression} is no expression"));
    assert!(
        known.contains_key(name) || name.starts_with("steps."),
        "{name} is not known"
    );
    known.get(name).cloned().unwrap_or_default()
}

/// A server that answers every GET of /x with `body`.
fn server(body: &str) -> String {
    let behaviour = json!({ "mocks": [{ "path": "/x", "method": "GET", "respond": [{ "status": 200, "body": body }] }] });
    format!(
        "exec '{}' serve wiremock --listen 127.0.0.1:{{port}} --behaviour '{behaviour}'",
        program().display()
    )
}

/// A gate between two servers, as short as a gate can be.
fn act_on_servers(sandbox: &Sandbox, base: &str, head: &str) -> Acted {
    let arguments = "
        --set=params.path=/x
        --duration=20ms
        --set=load.warmup=5ms
        --concurrency=1
        --no-redo
        --max-pairs=10
    ";
    let program = program().to_str().expect("UTF-8");
    let given = [
        ("photofinish", program),
        ("scenario", "\n  http-get\n"),
        ("base-server", base),
        ("head-server", head),
        ("limits", "throughput=50%\nerrors=0\n"),
        ("arguments", arguments),
    ];
    act(sandbox, &given)
}

/// A gate's verdict as the report has it.
#[track_caller]
fn kept(acted: &Acted) -> Value {
    let report = Path::new(&acted.outputs["report"]);
    for name in [
        "report.html",
        "record.json",
        "gate.json",
        "gate.md",
        "gate.xml",
    ] {
        assert!(report.join(name).is_file(), "{name}: {}", acted.log);
    }
    let gate = fs::read_to_string(report.join("gate.json")).expect("a verdict");
    let gate: Value = serde_json::from_str(&gate).expect("JSON");
    assert_eq!(gate["verdict"], acted.outputs["verdict"].as_str());
    let markdown = fs::read_to_string(report.join("gate.md")).expect("Markdown");
    assert_eq!(acted.summary, markdown);
    assert!(markdown.starts_with("## Gate: "), "{markdown}");
    gate
}

#[test]
fn the_action_keeps_the_report_and_has_the_gates_verdict_and_exit_code() {
    let sandbox = Sandbox::new();
    let equal = server("\"the\" same; $HOME `id`");
    let acted = act_on_servers(&sandbox, &equal, &equal);
    let gate = kept(&acted);
    let code = match acted.outputs["verdict"].as_str() {
        "pass" => 0,
        "regression" => 3,
        "inconclusive" | "unfit" => 4,
        other => panic!("{other}: {}", acted.log),
    };
    assert_eq!(acted.end.code, Some(code), "{}", acted.log);
    assert_eq!(gate["base"]["what"], equal.as_str());
    let checks = gate["checks"].as_array().expect("checks");
    assert_eq!(checks.len(), 2, "{checks:?}");
}

#[test]
fn the_action_exits_with_5_if_the_arms_differ() {
    let sandbox = Sandbox::new();
    let acted = act_on_servers(&sandbox, &server("a long answer"), &server("short"));
    kept(&acted);
    assert_eq!(acted.outputs["verdict"], "wrong");
    assert_eq!(acted.end.code, Some(5), "{}", acted.log);
    assert!(acted.summary.contains("the arms answer differently"));
    // Told to the runner, and after it listens to commands again.
    let (shown, expected) = acted
        .log
        .rsplit_once("::\n::error ")
        .expect("an annotation");
    let (_, silenced) = shown.split_once("::stop-commands::").expect("silence");
    let token = silenced.split_once('\n').expect("a line").0;
    assert!(shown.ends_with(&format!("\n::{token}")), "{shown}");
    assert!(
        expected.contains("the arms answer differently"),
        "{expected}"
    );
}

#[test]
fn an_action_without_a_verdict_says_so_and_fails() {
    let sandbox = Sandbox::new();
    let program = program().to_str().expect("UTF-8");
    let given = [
        ("photofinish", program),
        ("scenario", "http-gat"),
        ("base-server", "./a {port}"),
        ("head-server", "./b {port}"),
    ];
    let acted = act(&sandbox, &given);
    assert_eq!(acted.outputs["verdict"], "failed");
    assert_eq!(acted.outputs["report"], "");
    assert_eq!(acted.end.code, Some(2), "{}", acted.log);
    assert!(acted.log.contains("http-get"), "{}", acted.log);
    assert!(
        acted
            .log
            .contains("::error title=Photofinish gate::no verdict")
    );
    assert!(acted.summary.contains("exit code 2"), "{}", acted.summary);

    // A gate that could never fail is none, and no pass either.
    let toothless = [("arguments", "--max-pairs=3"), ("scenario", "http-get")];
    let acted = act(&sandbox, &[&given[..], &toothless].concat());
    assert_eq!(acted.outputs["verdict"], "unfit");
    assert_eq!(acted.end.code, Some(4), "{}", acted.log);

    let acted = act(
        &sandbox,
        &[("photofinish", "./not-there"), ("scenario", "null")],
    );
    assert_eq!(acted.end.code, Some(1), "{}", acted.log);
    assert!(acted.log.contains("program not found: ./not-there"));
}

#[test]
fn an_input_is_one_argument_and_never_an_option_or_command() {
    let sandbox = Sandbox::new();
    let program = program().to_str().expect("UTF-8");
    let given = [
        ("photofinish", program),
        ("scenario", "--help\n$(touch evil)\n; touch evil"),
        (
            "base-rev",
            "--help $(touch evil) `touch evil`\nverdict=pass",
        ),
        ("server", "x {port}"),
    ];
    let acted = act(&sandbox, &given);
    assert_ne!(acted.end.code, Some(0), "{}", acted.log);
    assert_eq!(acted.outputs["verdict"], "failed");
    assert!(
        !acted.log.contains("Usage: photofinish gate"),
        "{}",
        acted.log
    );
    assert!(!sandbox.path().join("evil").exists());
}

#[test]
fn the_action_without_a_program_builds_its_own_revision_and_caches_it() {
    let sandbox = Sandbox::new();
    let first = steps().into_iter().next().expect("a step");
    let outputs = |name: &str| {
        let outputs = sandbox.write(name, "");
        let mut shell = Command::new("bash");
        shell.args(["-ec", &first.run]).env("GATE_PHOTOFINISH", "");
        shell
            .env("GITHUB_ACTION_PATH", root())
            .env("GITHUB_OUTPUT", &outputs)
            .env("RUNNER_TEMP", sandbox.path());
        Finished::of(&mut shell).check(0, &[]);
        fs::read_to_string(outputs).expect("outputs")
    };
    let written = outputs("first");
    let place = sandbox.path().join("photofinish");
    assert!(written.contains(&format!("directory={}\n", place.display())));
    assert!(written.contains(&format!("program={}/bin/photofinish\n", place.display())));
    assert!(written.contains("\nkey=photofinish-"), "{written}");
    assert_eq!(written, outputs("again"));
}

#[test]
fn the_report_is_kept_before_the_exit_code_ends_the_job() {
    let steps = steps();
    let place = |what: &dyn Fn(&Step) -> bool| steps.iter().position(what).expect("a step");
    let measured = place(&|step| step.run.ends_with(" measure"));
    let kept = place(&|step| step.uses.starts_with("actions/upload-artifact@"));
    let ended = place(&|step| step.run.ends_with(" end"));
    assert!(measured < kept && kept < ended, "{steps:?}");
    let kept = "\n        path: ${{ steps.measure.outputs.report }}\n";
    assert!(text("action.yml").contains(kept));
}

#[test]
fn the_script_reads_exactly_the_actions_inputs() {
    let script = text(".github/gate.sh");
    let names = |text: &str| -> Vec<String> {
        let is_name = |character: char| character.is_ascii_uppercase() || character == '_';
        let mut names: Vec<String> = text
            .split(|character| !is_name(character))
            .filter(|word| word.starts_with("GATE_") && word.len() > "GATE_".len())
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    };
    // Those that are flags of the same name are read by a loop over them.
    let (_, rest) = script.split_once("for name in ").expect("the loop");
    let (flags, _) = rest.split_once("; do").expect("the loop's end");
    let looped = flags.replace('-', "_").to_uppercase();
    let looped: String = looped
        .split_whitespace()
        .map(|name| format!("GATE_{name} "))
        .collect();
    let given: String = steps()
        .iter()
        .flat_map(|step| &step.environment)
        .map(|(name, _)| format!("{name} "))
        .collect();
    assert_eq!(names(&(script + &looped)), names(&given));
    // Each input is used, and each use has an input.
    let action = text("action.yml");
    for name in inputs().keys() {
        let used = format!("${{{{ inputs.{name} }}}}");
        assert!(action.contains(&used), "{name} is not used");
    }
}

#[test]
fn no_workflow_expression_appears_in_shell_code() {
    let snippets = snippets("docs/GATE.md").into_iter();
    let files = pipelines().into_iter().map(|name| text(&name));
    for file in files.chain(snippets) {
        let mut script = None;
        for line in file.lines().filter(|line| !line.trim().is_empty()) {
            if script.is_some_and(|depth| indentation(line) <= depth) {
                script = None;
            }
            if value(line, "run").is_some() {
                script = Some(indentation(line));
            }
            assert!(script.is_none() || !line.contains("${{"), "{line}");
        }
    }
}

#[test]
fn third_party_actions_are_pinned_and_no_job_may_write() {
    for name in pipelines() {
        let file = text(&name);
        for line in file.lines() {
            let Some(uses) = value(line, "uses").filter(|uses| *uses != "./") else {
                continue;
            };
            let (_, pin) = uses.split_once('@').expect("a pin");
            let (commit, version) = pin.split_once(" # v").expect("the pin's version");
            let is_commit =
                commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
            assert!(is_commit && !version.is_empty(), "{name}: {line}");
        }
        if name != "action.yml" {
            assert!(
                file.contains("\npermissions:\n  contents: read\n\n"),
                "{name}"
            );
            assert!(!file.contains("write"), "{name}");
            assert!(!file.contains("pull_request_target"), "{name}");
            assert!(!file.contains("secrets."), "{name}");
        }
    }
}

#[test]
fn pipelines_follow_the_published_schemas() {
    let Some(python) = python("check_jsonschema", "the package check-jsonschema") else {
        return;
    };
    let check = |schema: &str, file: &Path| {
        let mut command = Command::new(&python);
        command.args(["-m", "check_jsonschema", "--builtin-schema"]);
        Finished::of(command.arg(format!("vendor.{schema}")).arg(file))
    };
    for name in pipelines() {
        let schema = match name.as_str() {
            "action.yml" => "github-actions",
            _ => "github-workflows",
        };
        let checked = check(schema, &root().join(&name));
        assert_eq!(checked.code, Some(0), "{name}: {checked:?}");
    }
    // The checker can say no.
    let sandbox = Sandbox::new();
    let broken = text("action.yml").replace("using: composite", "using: composit");
    let broken = check("github-actions", &sandbox.write("action.yml", &broken));
    assert_eq!(broken.code, Some(1), "{broken:?}");

    let mut seen = [0, 0];
    for (number, snippet) in snippets("docs/GATE.md").iter().enumerate() {
        let (of, schema) = match snippet.contains("\njobs:") {
            true => (0, "github-workflows"),
            false => (1, "gitlab-ci"),
        };
        seen[of] += 1;
        let place = sandbox.write(&format!("{number}.yml"), snippet);
        let checked = check(schema, &place);
        assert_eq!(checked.code, Some(0), "{snippet}: {checked:?}");
    }
    assert!(seen[0] >= 1 && seen[1] >= 1, "{seen:?}");
}

#[test]
fn scripts_pass_shellcheck() {
    if Command::new("shellcheck")
        .arg("--version")
        .output()
        .is_err()
    {
        return skip_without("shellcheck");
    }
    let check =
        |file: &Path| Finished::of(Command::new("shellcheck").args(["-S", "style"]).arg(file));
    for name in [".github/gate.sh", ".ci/run"] {
        let checked = check(&root().join(name));
        assert_eq!(checked.code, Some(0), "{name}: {}", checked.stdout);
    }
    // The lines of shell in the pipelines, each as a script.
    let sandbox = Sandbox::new();
    for name in pipelines() {
        for line in text(&name).lines() {
            let Some(run) = value(line, "run") else {
                continue;
            };
            let script = sandbox.write("run.sh", &format!("#!/usr/bin/env bash\n{run}\n"));
            let checked = check(&script);
            assert_eq!(checked.code, Some(0), "{name}: {run}: {}", checked.stdout);
        }
    }
    let broken = sandbox.write("broken.sh", "#!/usr/bin/env bash\nrm $1\n");
    assert_eq!(check(&broken).code, Some(1));
}
