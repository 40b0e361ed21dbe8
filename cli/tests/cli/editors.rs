//! Scenario files in editors: two independent tools take the schema that the first line of a file names.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Finished, Sandbox, skip_without};

/// A tool, and how it is told to check files.
struct Tool {
    name: &'static str,
    program: PathBuf,
    command: &'static [&'static str],
}

fn tools() -> [Tool; 2] {
    // Where `.ci/run` puts programs from npm.
    let modules = env::var_os("NODE_PATH").map(PathBuf::from);
    let taplo = modules.map(|modules| modules.join(".bin/taplo"));
    [
        Tool {
            name: "taplo",
            program: taplo
                .filter(|path| path.exists())
                .unwrap_or_else(|| "taplo".into()),
            command: &["check"],
        },
        Tool {
            name: "tombi",
            program: "tombi".into(),
            command: &["lint", "--offline"],
        },
    ]
}

/// Goal: editors complete and check scenarios. Method: the file that `init` writes, the whole catalogue behind the same first
/// line, and a misspelt key.
#[test]
fn independent_tools_check_scenarios_by_the_schema_in_their_first_line() {
    let sandbox = Sandbox::new();
    sandbox.run(&["init", "mine.toml"]).check(0, &[]);
    let own = fs::read_to_string(sandbox.path().join("mine.toml")).expect("a scenario");
    let (first, _) = own.split_once('\n').expect("lines");
    assert_eq!(first, "#:schema ./photofinish-scenario.schema.json");
    let mut good = vec![sandbox.path().join("mine.toml")];
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/catalogue");
    for entry in fs::read_dir(catalogue).expect("the catalogue") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a scenario");
        let name = path.file_name().expect("a name").to_string_lossy();
        good.push(sandbox.write(&name, &format!("{first}\n{text}")));
    }
    assert!(good.len() > 9);
    let misspelt = own.replace("\nduration = ", "\nduraton = ");
    assert_ne!(misspelt, own);
    let bad = sandbox.write("bad.toml", &misspelt);
    for tool in tools() {
        let check = |files: &[PathBuf]| {
            let mut command = Command::new(&tool.program);
            command
                .args(tool.command)
                .args(files)
                .current_dir(sandbox.path());
            command.output().ok().map(Finished::from)
        };
        let Some(checked) = check(&good) else {
            skip_without(tool.name);
            continue;
        };
        checked.check(0, &[]);
        let refused = check(std::slice::from_ref(&bad)).expect("it starts");
        assert_ne!(refused.code, Some(0), "{refused:?}");
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert!(told.contains("duraton"), "{told}");
    }
}

#[test]
fn a_schema_of_somebody_else_stays() {
    let sandbox = Sandbox::new();
    let schema = sandbox.write("photofinish-scenario.schema.json", "{\"title\": \"mine\"}");
    let told = sandbox.run(&["init", "mine.toml"]);
    told.check(
        0,
        &["photofinish-scenario.schema.json is not a schema of this program"],
    );
    assert_eq!(
        fs::read_to_string(&schema).expect("a file"),
        "{\"title\": \"mine\"}"
    );
    fs::remove_file(&schema).expect("removed");
    sandbox.run(&["init", "other.toml"]).check(0, &[]);
    let written = fs::read_to_string(&schema).expect("a schema");
    assert_eq!(
        written,
        sandbox.run(&["schema", "scenario"]).check(0, &[]).stdout
    );
    // An older one is replaced.
    fs::write(&schema, written.replace("\"workload\"", "\"old\"")).expect("written");
    sandbox.run(&["init", "third.toml"]).check(0, &[]);
    assert_eq!(fs::read_to_string(&schema).expect("a schema"), written);
}
