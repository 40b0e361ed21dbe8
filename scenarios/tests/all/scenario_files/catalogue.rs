//! The scenarios and suites that ship, and the schema of both.

use std::path::PathBuf;

use boon::{Compiler, Schemas};
use insta::assert_snapshot;
use photofinish_scenarios::catalogue::{ScenarioRef, catalogue, locate};
use photofinish_scenarios::scenario::{Checks, Scenario, schema};
use photofinish_scenarios::suite::{self, Suite};
use photofinish_workloads::registry::WORKLOADS;
use serde_json::Value;

use super::{default_server, source};

/// For the catalogue: the tests of the CLI check its behaviours against the real servers.
const ANY: Checks<'static> = Checks {
    server: &|_, _| Ok(()),
    default_server: &default_server,
    gate: &|_, _| Ok(()),
    threshold: &|_, _, _| Ok(()),
};

#[test]
fn every_scenario_of_the_catalogue_is_valid() {
    let names: Vec<_> = catalogue().iter().map(|entry| entry.name).collect();
    for name in [
        "null",
        "http-get",
        "http-fanout",
        "http-delay",
        "file-read",
        "file-random",
        "file-write",
        "db-select",
        "db-crud",
    ] {
        assert!(names.contains(&name), "{name} is missing of {names:?}");
    }
    for entry in catalogue() {
        let scenario = Scenario::parse(entry.source(), &[], ANY);
        let scenario = scenario.unwrap_or_else(|refused| panic!("{refused}"));
        assert_eq!(scenario.name, entry.name);
        assert!(
            entry.text.starts_with("# "),
            "{} opens with a comment",
            entry.name
        );
    }
}

#[test]
fn every_workload_has_a_scenario_of_its_name() {
    for entry in WORKLOADS {
        let named = |shipped: &photofinish_scenarios::catalogue::CatalogueEntry| {
            shipped.name == entry.about.name
        };
        assert!(catalogue().iter().any(named), "{}", entry.about.name);
    }
}

#[test]
fn a_name_is_a_catalogue_entry_a_file_or_gets_a_suggestion() {
    let check = |name: &str, expected: Result<&str, Option<&str>>| {
        let found = match locate(name) {
            Ok(ScenarioRef::Catalogue(entry)) => Ok(PathBuf::from(entry.name)),
            Ok(ScenarioRef::File(path)) => Ok(path),
            Err(unknown) => Err(unknown.suggestion),
        };
        assert_eq!(found, expected.map(PathBuf::from), "{name}");
    };
    check("http-get", Ok("http-get"));
    check("http_get", Err(Some("http-get")));
    check("http-gte", Err(Some("http-get")));
    check("mine.toml", Ok("mine.toml"));
    check("./http-get", Ok("./http-get"));
    check("folder/mine", Ok("folder/mine"));
    check("mine", Err(None));
}

#[test]
fn every_suite_names_scenarios_that_accept_its_overrides() {
    let suites = suite::names().map(|name| suite::suite(name).expect("it ships"));
    let scenarios: Vec<_> = suites.flat_map(|suite| suite.scenarios).collect();
    assert!(scenarios.len() > catalogue().len());
    for listed in scenarios {
        let Ok(ScenarioRef::Catalogue(entry)) = locate(&listed.name) else {
            panic!("{} is not in the catalogue", listed.name);
        };
        let scenario = Scenario::parse(entry.source(), &listed.overrides, ANY);
        scenario.unwrap_or_else(|refused| panic!("{refused}"));
    }
}

#[test]
fn errors_in_a_suite_have_their_lines() {
    let text =
        "rounds = 0\n[[scenarios]]\nnam = 'x'\n[[scenarios]]\nname = 'null'\nset = ['unit']\n";
    assert_snapshot!(Suite::parse(source(text)).unwrap_err(), @r"
    error: wrong value for `rounds`: integer `0`
     --> mine.toml:1:10
      |
    1 | rounds = 0
      |          ^ expected a whole number from 1 up

    error: unknown key `nam` in `scenarios.0`
     --> mine.toml:3:1
      |
    3 | nam = 'x'
      | ^^^ did you mean `name`?
      |
      = help: expected `name` or `set`
    ");
    let text = "[[scenarios]]\nname = 'null'\nset = ['unit=1s', 'unit']\n";
    assert_snapshot!(Suite::parse(source(text)).unwrap_err(), @r"
    error: override without a value
     --> mine.toml:3:19
      |
    3 | set = ['unit=1s', 'unit']
      |                   ^^^^^^ expected `key=value`, such as `unit=1s` or `load.concurrency=[1, 16]`
    ");
}

#[test]
fn the_schema_accepts_the_catalogue_and_refuses_what_the_reader_refuses() {
    let mut compiler = Compiler::new();
    compiler
        .add_resource("scenario", schema().into())
        .expect("a name");
    let mut schemas = Schemas::new();
    let schema = compiler
        .compile("scenario", &mut schemas)
        .expect("a valid schema");
    let check = |text: &str, expected: bool| {
        let value: Value = toml::from_str(text).expect("valid TOML");
        let validity = schemas.validate(&value, schema);
        let errors = validity.as_ref().err().map(ToString::to_string);
        assert_eq!(validity.is_ok(), expected, "{text}: {errors:?}");
        let read = Scenario::parse(source(text), &[], ANY);
        assert_eq!(read.is_ok(), expected, "{text}");
    };
    for entry in catalogue() {
        check(entry.text, true);
    }
    check("title = 'x'", false);
    check("workload = 'http-gett'", false);
    check("workload = 'null'\ntitel = 'x'", false);
    check("workload = 'null'\nunit = '20'", false);
    check("workload = 'null'\nload.durration = '1s'", false);
    check("workload = 'null'\nload.concurrency = 0", false);
    check("workload = 'null'\nload.concurrency = [1, 1]", false);
    check("workload = 'null'\nexpect.errors = '1%'", true);
    check("workload = 'null'\nexpect.errors = 'all'", false);
    check("workload = 'null'\nexpect.errors = ['1%', '< 2%']", true);
    check("workload = 'null'\nexpect.throughput = '> 5'", true);
    check("workload = 'http-delay'\nparams.requests = 'five'", false);
    check("workload = 'http-delay'\nparams.reqests = 5", false);
}
