//! Shards that do not fit, come late, fail or are killed.

use std::fs;
use std::path::Path;
use std::process::Command;

use photofinish_record::Outcome;

use super::{Site, shards};
use crate::support::{Finished, Sandbox, Started, program, send, wait_for};

#[test]
fn shards_of_different_runs_do_not_start() {
    let Some(site) = Site::new() else { return };
    let first = site.shard(0, "store", &["--seed=2"]);
    let (second, third) = (site.shard(1, "store", &[]), site.shard(2, "store", &[]));
    first.finish().check(
        2,
        &["has another seed", "hint: start all shards with the same"],
    );
    for other in [second.finish(), third.finish()] {
        other.check(2, &["shard 0 has another seed (2 and 1)"]);
    }
    assert!(site.asked().is_empty(), "nothing was measured");
    // The store is used up.
    let late = site.shard(1, "store", &[]).finish();
    late.check(
        1,
        &["ended the run", "hint: use a new directory for each run"],
    );
}

/// Goal: a shard of another program does not measure beside the others. Method: a copy of the program with bytes at its end,
/// which runs alike.
#[test]
fn another_build_of_the_program_does_not_start() {
    let Some(site) = Site::new() else { return };
    let other = site.sandbox.path().join("other");
    // By a process of its own: a child that another test starts meanwhile would hold the file open for writing.
    let copying = "cp \"$0\" \"$1\" && printf another >> \"$1\"";
    let mut copy = Command::new("sh");
    copy.args(["-c", copying])
        .args([program(), other.as_path()]);
    Finished::of(&mut copy).check(0, &[]);
    let start = |program: &Path, index: u32| {
        let (shard, out) = (format!("{index}/2"), format!("out-{index}"));
        let share = [
            "--shard",
            &shard,
            "--store=store",
            "--shared-host",
            "--out",
            &out,
        ];
        let arguments = site.arguments(&share);
        Started::of(site.sandbox.command_of(program, &arguments))
    };
    let both = [start(program(), 0), start(&other, 1)];
    for (index, shard) in both.into_iter().enumerate() {
        let expected = format!("shard {} has another build of the program", 1 - index);
        let hint = "hint: start all shards with the same program";
        shard.finish().check(2, &[&expected, hint]);
    }
    assert!(site.asked().is_empty(), "nothing was measured");
}

#[test]
fn a_missing_shard_is_named_and_a_late_one_does_not_join() {
    let Some(site) = Site::new() else { return };
    let patience = ["--store-timeout=3s"];
    let (first, last) = (
        site.shard(0, "store", &patience),
        site.shard(2, "store", &patience),
    );
    let told = [first.finish(), last.finish()];
    let named = told
        .iter()
        .any(|one| one.stderr.contains("shard 1 of 3 was not there within 3 s"));
    assert!(
        named && told.iter().all(|one| one.code == Some(1)),
        "{told:#?}"
    );
    site.shard(1, "store", &patience)
        .finish()
        .check(1, &["ended the run: shard 1 of 3 was not there"]);
}

#[test]
fn a_store_without_records_cannot_be_merged() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("store")).expect("made");
    let merge = ["merge", "store", "--out", "merged"];
    let expected = ["no shard has left a record in store", "--wait TIME"];
    sandbox.run(&merge).check(1, &expected);
}

#[test]
fn a_shard_that_ends_early_ends_the_run_and_the_others_tell() {
    let Some(site) = Site::new() else { return };
    let long = ["--duration=2s", "--store-timeout=20s"];
    let mut all: Vec<Started> = (0..3)
        .map(|index| site.shard(index, "store", &long))
        .collect();
    let started = site.sandbox.path().join("store/go/1");
    wait_for("the first round", || started.exists().then_some(()));
    // A duplicate changes nothing.
    site.shard(1, "store", &long).finish().check(
        1,
        &[
            "another process has been shard 1/3 here",
            "hint: use a new directory",
        ],
    );
    send("TERM", all[2].id());
    let [first, second, third] = [all.remove(0), all.remove(0), all.remove(0)].map(Started::finish);
    third.check(130, &[]);
    for other in [first, second] {
        other.check(1, &["shard 2 of 3 ended the run: interrupted"]);
    }
    let records = fs::read_dir(site.sandbox.path().join("store/records")).expect("records");
    assert_eq!(records.count(), 3, "what was measured is kept");
    let whole = site.merge("store", 5);
    assert!(shards(&whole).missing().is_empty());
    // The round that the others finished without it is no round of the whole.
    let last = whole.rounds.last().expect("the first round");
    assert!(
        !matches!(&last.outcome, Outcome::Ok(measured) if measured.shards.len() == 3),
        "{last:#?}"
    );
}

#[test]
fn a_killed_shard_is_missed_and_the_record_is_partial() {
    let Some(site) = Site::new() else { return };
    let long = ["--duration=1s", "--store-timeout=5s", "--runtimes=tokio"];
    let mut all: Vec<Started> = (0..3)
        .map(|index| site.shard(index, "store", &long))
        .collect();
    let started = site.sandbox.path().join("store/go/1");
    wait_for("the first round", || started.exists().then_some(()));
    send("KILL", all[0].id());
    all.remove(0).finish();
    for other in all {
        let other = other.finish();
        let reasons = [
            "shard 0 of 3 was not ready for round 2 within 5 s",
            "ended the run",
        ];
        assert!(
            reasons.iter().any(|reason| other.stderr.contains(reason)),
            "{other:#?}"
        );
        assert_eq!(other.code, Some(1));
    }
    let merged = site.sandbox.run(&["merge", "store", "--out", "merged"]);
    let merged = merged.check(5, &["partial: shard 0 of 3 is missing"]);
    assert!(!merged.stdout.contains("faster"), "{}", merged.stdout);
}

#[test]
fn what_shards_cannot_do_together_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str], expected: &str| {
        let shard = ["--shard", "0/2", "--store", "store"];
        sandbox
            .run(&[&["run"], arguments, &shard].concat())
            .check(2, &[expected, "hint: "]);
        assert!(!sandbox.path().join("store").exists(), "{arguments:?}");
    };
    let target = "--target=http=http://127.0.0.1:9/";
    refused(
        &["http-get"],
        "each shard of `http-get` would start and measure a server of its own",
    );
    refused(&["file-read"], "`file-read` measures this machine");
    refused(
        &["http-get", target, "--concurrency=1"],
        "a load of 1 session cannot be split into 2 shards",
    );
    refused(
        &["http-get", target, "--until-decided"],
        "--until-decided ends each shard at another time",
    );
    refused(
        &["http-get", target, "--find-max=response_p99 < 10ms"],
        "a search decides on its next rate alone",
    );
    refused(
        &["http-get", target, "--expect=errors < 1%"],
        "thresholds hold for the whole",
    );
    let alone = ["run", "http-get", target, "--concurrency=4", "--shard=0/2"];
    sandbox
        .run(&alone)
        .check(2, &["--shard needs a common start", "--store DIR"]);
    let past = [&alone[..], &["--start-at=1000"]].concat();
    sandbox
        .run(&past)
        .check(2, &["--start-at has passed", "hint: "]);
    let wrong = ["run", "http-get", target, "--shard=2/2", "--store=store"];
    sandbox
        .run(&wrong)
        .check(2, &["shards are numbered from 0"]);
}
