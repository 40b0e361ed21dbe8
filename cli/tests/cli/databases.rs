//! A throwaway PostgreSQL: there for the run, equal in its counts, and gone afterwards however the run ends.
//!
//! Where no PostgreSQL is installed there is only one thing to see: that the program says what to install.

use std::path::Path;

use photofinish_record::{Outcome, PlannedServer};

use crate::serve::served;
use crate::support::{Sandbox, TINY, children, wait_for, wait_until_gone};

pub fn installed() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    versions
        .into_iter()
        .any(|version| version.path().join("bin/initdb").exists())
        || std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|path| path.join("initdb").exists())
}

#[test]
fn a_missing_postgresql_gets_an_installation_hint() {
    if Path::new("/usr/lib/postgresql").exists() {
        return;
    }
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["run", "db-select", "--target", "db=local"]);
    command.env("PATH", "");
    crate::support::Finished::of(&mut command)
        .check(1, &["no PostgreSQL", "apt install postgresql"]);
}

#[test]
fn a_throwaway_database_is_measured_and_removed_afterwards() {
    if !installed() {
        return;
    }
    let sandbox = world_readable_sandbox();
    let arguments = [
        &[
            "run",
            "db-select",
            "db-crud",
            "--target",
            "db=local",
            "--runtimes",
            "sync,tokio",
        ],
        &TINY[..],
    ]
    .concat();
    sandbox.run(&arguments).check(0, &[]);
    let record = sandbox.record();
    for scenario in &record.plan.scenarios {
        let PlannedServer::External { url, software, .. } = &scenario.servers["db"] else {
            panic!("{scenario:?}")
        };
        assert_eq!(url, "local");
        assert!(
            software
                .as_ref()
                .is_some_and(|software| software.starts_with("PostgreSQL ")),
            "{software:?}"
        );
    }
    for round in &record.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{round:?}")
        };
        let connections = measured.worker.traffic["db"].connections;
        assert_eq!(measured.servers["db"].connections, Some(connections));
    }
    assert_eq!(left_behind(&sandbox), 0);
    let text = std::fs::read_to_string(sandbox.latest().join("record.json")).expect("a record");
    assert!(
        !text.contains("photofinish:"),
        "a password may be in the record"
    );
}

#[test]
fn a_throwaway_database_is_removed_after_the_orchestrator_was_killed() {
    if !installed() {
        return;
    }
    let sandbox = world_readable_sandbox();
    let mut run = sandbox.start(&[
        "run",
        "db-select",
        "--target",
        "db=local",
        "--runtimes",
        "sync",
        "--duration",
        "10m",
        "--concurrency",
        "1",
    ]);
    let worker = run.wait_for_child("worker");
    let guard = run.wait_for_child("throwaway-postgres");
    let servers = children(guard);
    assert_eq!(servers.len(), 1, "the server itself");
    run.signal("KILL");
    run.finish();
    wait_until_gone(&[worker, guard, servers[0]]);
    wait_for("its directory to be gone", || {
        (left_behind(&sandbox) == 0).then_some(())
    });
}

#[test]
fn a_throwaway_database_is_removed_after_ctrl_c_during_its_start() {
    if !installed() {
        return;
    }
    let sandbox = world_readable_sandbox();
    let mut run = sandbox.start(&["run", "db-select", "--target", "db=local"]);
    let guard = run.wait_for_child("throwaway-postgres");
    wait_for("its directory", || {
        (left_behind(&sandbox) == 1).then_some(())
    });
    run.signal("INT");
    run.finish().check(130, &["interrupted"]);
    wait_until_gone(&[guard]);
    assert_eq!(left_behind(&sandbox), 0);
}

#[test]
fn a_wrong_password_is_reported_before_anything_is_measured() {
    // The embedded server may ask for a password too, and does so by the same rules.
    let sandbox = Sandbox::new();
    let behaviour = r#"{"auth": "scram-sha-256", "password": "right"}"#;
    let (_server, address) = served(&sandbox, &["postgres", "--behaviour", behaviour]);
    let target = format!("db=postgres://ann:wr0ng@{address}/shop");
    let expected = ["cannot log in to postgres://ann@127.0.0.1", "hint:"];
    let refused = sandbox
        .run(&["run", "db-select", "--target", &target])
        .check(1, &expected);
    assert!(!format!("{refused:?}").contains("wr0ng"), "{refused:?}");
}

/// The server runs as another user where the tests run as root, and must be able to reach its directory.
pub fn world_readable_sandbox() -> Sandbox {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sandbox.path(), open).expect("permissions");
    sandbox
}

fn left_behind(sandbox: &Sandbox) -> usize {
    let entries = std::fs::read_dir(sandbox.path())
        .expect("listed")
        .filter_map(Result::ok);
    entries
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("photofinish-postgres-")
        })
        .count()
}
