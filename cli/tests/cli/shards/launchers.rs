//! Slurm, Kubernetes and ssh start the shards.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use photofinish_record::{Completion, Outcome};

use super::{OPEN, Site, check_union, check_whole, shards};
use crate::slurm::Slurm;
use crate::support::{Finished, Sandbox, Started, program, python, read_record, send, wait_for};

/// A job as `submit` prints it, in a real Slurm of three virtual nodes.
#[test]
fn a_job_under_slurm_is_the_run_of_one_machine() {
    let Some(site) = Site::new() else { return };
    let Some(slurm) = Slurm::start(&site.sandbox) else {
        return;
    };
    let program = program().to_str().expect("a path");
    let submit = |store: &str, more: &[&str]| {
        let job = [
            "submit",
            "slurm",
            "--shards=3",
            "--cpus=1",
            "--program",
            program,
            "--store",
            store,
            "--",
        ];
        let run = site.arguments(&[&["--shared-host"], more].concat());
        let printed = site.sandbox.run(&[&job, &run[1..]].concat()).check(0, &[]);
        slurm.submit(&printed.stdout)
    };
    let job = submit("store", &OPEN);
    slurm.wait_for_queue();
    let merged = site.sandbox.path().join("photofinish-runs");
    let told = slurm.output();
    assert!(merged.join("latest").exists(), "{told}");
    let records = fs::read_dir(site.sandbox.path().join("store/records")).expect("records");
    assert_eq!(records.count(), 3, "job {job}: {told}");
    let whole = read_record(&merged.join("latest/record.json"));
    let Outcome::Ok(first) = &whole.rounds[0].outcome else {
        panic!("not measured: {told}");
    };
    let scheduled = first.worker.open.as_ref().expect("open").scheduled;
    check_whole(&site, &whole, scheduled);
    check_union(&site, "store", &whole);
    site.forget();
    submit("closed", &[]);
    slurm.wait_for_queue();
    let whole = read_record(&merged.join("latest/record.json"));
    check_whole(&site, &whole, 40);
    check_union(&site, "closed", &whole);
    // A job that is cancelled ends with its records, and the merge tells.
    let begun = |store: &str| {
        let started = site.sandbox.path().join(store).join("go/1");
        wait_for("the first round", || started.exists().then_some(()));
    };
    let records = |store: &str| {
        let records = site.sandbox.path().join(store).join("records");
        fs::read_dir(records).map_or(0, Iterator::count)
    };
    let job = submit("cancelled", &["--duration=30s"]);
    begun("cancelled");
    slurm.cancel(&job);
    slurm.wait_for_queue();
    assert_eq!(records("cancelled"), 3, "{}", slurm.output());
    let cancelled = read_record(&merged.join("latest/record.json"));
    assert_eq!(cancelled.completion, Completion::Interrupted);
    // One of whose processes is killed ends early, with the records of the others.
    submit("killed", &["--duration=30s"]);
    begun("killed");
    let rank = slurm.process_of_rank(1).expect("a process of rank 1");
    send("KILL", rank);
    slurm.wait_for_queue();
    assert_eq!(records("killed"), 2, "{}", slurm.output());
    let killed = read_record(&merged.join("latest/record.json"));
    assert_eq!(shards(&killed).missing(), [1]);
    assert_ne!(killed.completion, Completion::Complete);
}

/// The published schemas are in the Python package.
#[test]
fn manifests_follow_the_schemas_of_kubernetes() {
    let Some(python) = python("kubernetes_validate", "kubernetes-validate") else {
        return;
    };
    let sandbox = Sandbox::new();
    let job = [
        "submit",
        "kubernetes",
        "--shards=3",
        "--image=example/photofinish",
        "--claim=shared",
        "--store=/store/it's",
        "--",
    ];
    let run = [
        "http-get",
        "--target",
        "http=http://server/?a=\"b\"",
        "--allow-remote",
        "--rate=300",
        "--concurrency=16",
    ];
    let manifest = sandbox.run(&[&job[..], &run].concat()).check(0, &[]).stdout;
    let validate = |manifest: &str| {
        let file = sandbox.write("jobs.yaml", manifest);
        let script = "import sys, yaml, kubernetes_validate as k\n\
                      for job in yaml.safe_load_all(open(sys.argv[1])): k.validate(job, k.latest_version(), strict=True)";
        Finished::of(Command::new(&python).args(["-c", script]).arg(file))
    };
    validate(&manifest).check(0, &[]);
    let in_bucket = [
        "submit",
        "kubernetes",
        "--shards=3",
        "--image=i",
        "--store=s3://b/p",
        "--credentials=c",
        "--",
    ];
    let in_bucket = sandbox
        .run(&[&in_bucket, &run[..]].concat())
        .check(0, &[])
        .stdout;
    validate(&in_bucket).check(0, &[]);
    validate(&manifest.replace("backoffLimit: 0", "backoffLimit: none")).check(1, &["none"]);
    let refused = sandbox.run(&[
        "submit",
        "kubernetes",
        "--shards=3",
        "--image=i",
        "--claim=c",
        "--store=/tmp/x",
        "--",
        "a",
    ]);
    refused.check(2, &["the volume is mounted at /store"]);
    let ssh = |hosts: &str, shards: &str, more: &[&str]| {
        let job = [
            "submit",
            "ssh",
            "--hosts",
            hosts,
            "--shards",
            shards,
            "--",
            "http-get",
            "--concurrency=16",
        ];
        sandbox.run(&[&job, more].concat())
    };
    let target = "--target=http=http://127.0.0.1:9/";
    ssh("a,b", "3", &[target]).check(2, &["3 shards need as many hosts, and there are 2"]);
    ssh("a,-oProxyCommand=x", "2", &[target]).check(2, &["`-oProxyCommand=x` is not a host"]);
    ssh("a,a", "2", &[target]).check(2, &["`a` would run two shards"]);
    // What the shards would refuse is refused here.
    ssh("a,b", "2", &[]).check(
        2,
        &["each shard of `http-get` would start and measure a server of its own"],
    );
    ssh("a,b", "2", &[target, "--rats"]).check(2, &["--rats"]);
    let script = ssh("a,b", "2", &[target]).check(0, &[]).stdout;
    assert!(
        script.contains("ssh -tt -o BatchMode=yes -- b "),
        "{script}"
    );
}

/// The script of ssh, running; the hosts are this machine, and ssh is a shell.
fn start_over_ssh(site: &Site, more: &[&str]) -> Started {
    fs::create_dir(site.sandbox.path().join("bin")).expect("created");
    let shell = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nexec sh -c \"exec $3\"\n";
    let shell = site.sandbox.write("bin/ssh", shell);
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).expect("set");
    let program = program().to_str().expect("a path");
    let job = [
        "submit",
        "ssh",
        "--hosts=a,b,c",
        "--program",
        program,
        "--store=store",
        "--",
    ];
    let run = site.arguments(&[&["--shared-host"], more].concat());
    let script = site
        .sandbox
        .run(&[&job, &run[1..]].concat())
        .check(0, &[])
        .stdout;
    let bin = shell.parent().expect("bin").display();
    let path = format!("{bin}:{}", std::env::var("PATH").expect("set"));
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .env("PATH", path)
        .current_dir(site.sandbox.path());
    Started::of(command)
}

#[test]
fn the_script_of_ssh_runs_all_shards_and_merges_them() {
    let Some(site) = Site::new() else { return };
    start_over_ssh(&site, &[]).finish().check(0, &[]);
    let whole = read_record(
        &site
            .sandbox
            .path()
            .join("photofinish-runs/latest/record.json"),
    );
    check_whole(&site, &whole, 40);
}

#[test]
fn an_interrupted_script_of_ssh_ends_all_shards_and_merges_what_they_left() {
    let Some(site) = Site::new() else { return };
    let mut script = start_over_ssh(&site, &["--duration=30s"]);
    let started = site.sandbox.path().join("store/go/1");
    wait_for("the first round", || started.exists().then_some(()));
    script.signal("TERM");
    script.finish().check(130, &[]);
    let records = fs::read_dir(site.sandbox.path().join("store/records")).expect("records");
    assert_eq!(records.count(), 3);
    assert!(site.sandbox.path().join("photofinish-runs/latest").exists());
}
