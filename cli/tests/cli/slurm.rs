//! A real Slurm on this machine: a controller and three virtual nodes, without accounts, control groups or containers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Finished, Sandbox, Started, arguments, closed_address, skip_without, wait_for,
};

const NODES: usize = 3;

pub struct Slurm {
    configuration: PathBuf,
    directory: PathBuf,
    /// The controller and the nodes; killed when dropped.
    _daemons: Vec<Started>,
}

fn found(program: &str) -> Option<PathBuf> {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let mut places = places.iter().map(|place| Path::new(place).join(program));
    places.find(|path| path.exists())
}

/// A free port, without its address.
fn port() -> String {
    let address = closed_address();
    address.rsplit(':').next().expect("a port").to_owned()
}

fn output(program: &str) -> String {
    let output = Command::new(program).output().expect("it is everywhere");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

impl Slurm {
    /// Starts it; `None`, with a message, where it is not installed.
    pub fn start(sandbox: &Sandbox) -> Option<Self> {
        let (Some(controller), Some(node)) = (found("slurmctld"), found("slurmd")) else {
            skip_without("slurm-wlm");
            return None;
        };
        let directory = sandbox.path().join("slurm");
        fs::create_dir_all(directory.join("state")).expect("created");
        let (host, user) = (output("hostname"), output("whoami"));
        let shown = directory.display();
        let mut text = format!(
            "ClusterName=lab\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={}\nSlurmUser={user}\nSlurmdUser={user}\n\
             AuthType=auth/none\nCredType=cred/none\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             SwitchType=switch/none\nMpiDefault=none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n\
             JobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\n\
             StateSaveLocation={shown}/state\nSlurmdSpoolDir={shown}/spool-%n\nSlurmctldPidFile={shown}/ctld.pid\n\
             SlurmdPidFile={shown}/slurmd-%n.pid\nReturnToService=2\nSlurmdParameters=config_overrides\n\
             SchedulerParameters=sched_interval=1,sched_min_interval=0\nMinJobAge=2\n",
            port()
        );
        for index in 1..=NODES {
            fs::create_dir_all(directory.join(format!("spool-w{index}"))).expect("created");
            text += &format!(
                "NodeName=w{index} NodeHostname={host} NodeAddr=127.0.0.1 Port={} CPUs=2 RealMemory=100 State=UNKNOWN\n",
                port()
            );
        }
        text += &format!("PartitionName=main Nodes=w[1-{NODES}] Default=YES MaxTime=10 State=UP\n");
        let configuration = directory.join("slurm.conf");
        fs::write(&configuration, text).expect("written");
        let daemon = |program: &Path, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).env("SLURM_CONF", &configuration);
            Started::of(command)
        };
        let mut daemons = vec![daemon(&controller, &["-D", "-c"])];
        for index in 1..=NODES {
            daemons.push(daemon(&node, &["-D", "-N", &format!("w{index}")]));
        }
        let slurm = Self {
            configuration,
            directory: sandbox.path().to_owned(),
            _daemons: daemons,
        };
        wait_for("Slurm's nodes", || {
            let idle = slurm.command("sinfo", &["--noheader", "--format=%D", "--states=idle"]);
            (idle.stdout.trim() == NODES.to_string()).then_some(())
        });
        Some(slurm)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Finished {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("SLURM_CONF", &self.configuration)
            .current_dir(&self.directory);
        Finished::of(&mut command)
    }

    /// Runs a script that submits jobs; returns the number of the first.
    pub fn submit(&self, script: &str) -> String {
        let submitted = self.command("sh", &["-c", script]).check(0, &[]);
        let mut words = submitted.stdout.split_whitespace();
        let job = words.find(|word| word.parse::<u64>().is_ok());
        job.unwrap_or_else(|| panic!("no job: {submitted:#?}"))
            .to_owned()
    }

    pub fn cancel(&self, job: &str) {
        self.command("scancel", &["--signal=TERM", job])
            .check(0, &[]);
    }

    /// The process of the program that runs as this rank of a job.
    pub fn process_of_rank(&self, rank: u32) -> Option<u32> {
        let rank = format!("SLURM_PROCID={rank}");
        let processes = fs::read_dir("/proc").ok()?;
        let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut ids: Vec<u32> = ids.collect();
        ids.retain(|id| {
            let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            let mut variables = environment.split(|byte| *byte == 0);
            arguments(*id).get(1).is_some_and(|word| word == "run")
                && variables.any(|variable| variable == rank.as_bytes())
        });
        ids.into_iter().min()
    }

    /// Waits until no job is left.
    pub fn wait_for_queue(&self) {
        wait_for("Slurm's queue", || {
            let left = self.command("squeue", &["--noheader"]);
            (left.code == Some(0) && left.stdout.trim().is_empty()).then_some(())
        });
    }

    /// What the jobs printed so far.
    pub fn output(&self) -> String {
        let entries = fs::read_dir(&self.directory).expect("a directory");
        let paths = entries.map(|entry| entry.expect("readable").path());
        let outputs = paths.filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("slurm-") && name.ends_with(".out")
        });
        outputs
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .collect()
    }
}
