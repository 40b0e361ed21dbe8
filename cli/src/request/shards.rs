//! The share of a run that this process takes, as requested: `--shard` and the options beside it.
//!
//! `auto` reads index and number of shards from the variables that batch systems set for each of their processes. What a
//! shard cannot take part in (searches, early ends, servers of this machine) is refused here, before anything starts.

use std::env;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::Args;
use photofinish_harness::meeting::unix_us;
use photofinish_record::load::{Load, Stop};
use photofinish_record::shard::Shard;
use photofinish_record::{Cell, PlannedServer, UtcTime};
use photofinish_reports::describe;
use photofinish_scenarios::scenario::parse_length;

use crate::cleaning;
use crate::exit::Failure;
use crate::meeting_place::MeetingPlace;
use crate::request::PreparedRun;
use crate::request::redo::RedoBudget;

#[derive(Args)]
#[command(next_help_heading = "Several machines")]
pub struct ShardArguments {
    /// Run one share of a load that several processes generate together: shard I of N, counted from 0, such as 0/3;
    /// `auto` asks the batch system
    #[arg(long, value_name = "I/N|auto")]
    shard: Option<ShardChoice>,

    /// Directory or s3://BUCKET/PREFIX in which the shards meet before each round and leave their records; a new one for
    /// each run
    #[arg(
        long,
        value_name = "DIR",
        requires = "shard",
        conflicts_with = "start_at"
    )]
    store: Option<MeetingPlace>,

    /// Timeout for the other shards
    #[arg(
        long,
        value_name = "TIME",
        default_value = "120s",
        value_parser = parse_length,
        requires = "store",
        hide_short_help = true
    )]
    store_timeout: Duration,

    /// Time from the last shard's arrival to the start of a round
    #[arg(
        long,
        value_name = "TIME",
        default_value = "500ms",
        value_parser = parse_length,
        requires = "store",
        hide_short_help = true
    )]
    start_margin: Duration,

    /// Without a store: start of the first measurement, as Unix time in s or as 2026-11-20T18:30:00Z; later rounds follow at
    /// fixed times
    #[arg(long, value_name = "TIME", requires = "shard", value_parser = parse_time, hide_short_help = true)]
    start_at: Option<SystemTime>,

    /// The first shard runs the embedded servers at this address of its machine, for all shards to load; 0.0.0.0 is every
    /// address, and the others use the machine's name
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "store",
        hide_short_help = true
    )]
    serve_on: Option<IpAddr>,

    /// Allow several shards on one machine
    #[arg(long, requires = "shard", hide_short_help = true)]
    shared_host: bool,
}

#[derive(Clone, Copy, Debug)]
enum ShardChoice {
    Named(Shard),
    Auto,
}

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::Named)
                .map_err(|error: photofinish_record::shard::InvalidShard| error.to_string()),
        }
    }
}

fn parse_time(text: &str) -> Result<SystemTime, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0);
    let from_seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = match from_seconds {
        Some(since) => SystemTime::UNIX_EPOCH.checked_add(since),
        None => text.parse::<UtcTime>().ok().map(SystemTime::from),
    };
    time.ok_or_else(|| {
        "expected a Unix time in s, or a time such as 2026-11-20T18:30:00Z".to_owned()
    })
}

/// Pairs of variables with index and number of the processes of one job, of batch systems and CI services. Slurm's
/// job arrays are missing on purpose: their tasks may start hours apart.
const VARIABLES: [(&str, &str); 10] = [
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("JOB_COMPLETION_INDEX", "PHOTOFINISH_SHARDS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("NOMAD_ALLOC_INDEX", "PHOTOFINISH_SHARDS"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "PHOTOFINISH_SHARDS"),
    ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"),
    ("CI_NODE_INDEX", "CI_NODE_TOTAL"),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT"),
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL"),
];

/// Counts its nodes from 1, unlike the others.
const FROM_ONE: &str = "CI_NODE_INDEX";

/// The shard that the environment names.
fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Shard, Failure> {
    if variable("SLURM_ARRAY_TASK_ID").is_some() {
        let refusal = "--shard auto: the tasks of a Slurm job array may start hours apart";
        return Err(Failure::usage(refusal).hint(
            "submit one job with as many tasks as shards; `photofinish submit slurm` prints it",
        ));
    }
    for (index_name, count_name) in VARIABLES {
        let Some(index) = variable(index_name) else {
            continue;
        };
        let Some(count) = variable(count_name) else {
            return Err(Failure::usage(format!(
                "--shard auto: {index_name} is set, and {count_name} is not"
            ))
            .hint(format!("set {count_name} to the number of shards")));
        };
        let (given_index, given_count) = (cleaning::one_line(&index), cleaning::one_line(&count));
        let first = u32::from(index_name == FROM_ONE);
        let index = index
            .trim()
            .parse::<u32>()
            .ok()
            .and_then(|index| index.checked_sub(first));
        let count = count.trim().parse::<NonZeroU32>().ok();
        let shard = index
            .zip(count)
            .and_then(|(index, count)| Shard::new(index, count).ok());
        return shard.ok_or_else(|| {
            Failure::usage(format!(
                "--shard auto: {index_name}={given_index} and {count_name}={given_count} do not name a shard, from 0"
            ))
            .hint("they are set by the batch system; --shard I/N names the shard without them")
        });
    }
    let known = VARIABLES.map(|(index, _)| index).join(", ");
    Err(
        Failure::usage("--shard auto: no batch system has set the index of this process").hint(
            format!("known variables are {known}; --shard I/N needs none of them"),
        ),
    )
}

/// The way in which the shards of a run start together.
#[derive(Clone, Debug)]
pub enum Together {
    /// They meet.
    Meet {
        store: MeetingPlace,
        limit: Duration,
        margin: Duration,
    },
    /// Each measurement starts at a time that was agreed on: the first one at this Unix time in µs, each other one this much
    /// later than the one before.
    Schedule { first_us: u64, every: Duration },
}

/// The share of a run.
#[derive(Clone, Debug)]
pub struct ShardRequest {
    pub shard: Shard,
    pub together: Together,
    pub shared_host: bool,
    /// Address of the first shard's embedded servers, which all load; `None` if the servers are external.
    pub serve_on: Option<IpAddr>,
}

/// Time allowed for everything of a round but warm-up and measurement, where rounds start at fixed times.
const SET_UP: Duration = Duration::from_secs(5);

impl ShardArguments {
    /// The share of `prepared` that this process runs; `None` if it runs all of it.
    pub fn request(
        &self,
        prepared: &mut PreparedRun,
        allow_remote: bool,
    ) -> Result<Option<ShardRequest>, Failure> {
        let shard = match self.shard {
            None => return Ok(None),
            Some(ShardChoice::Named(shard)) => shard,
            Some(ShardChoice::Auto) => from_environment(&|name| env::var(name).ok())?,
        };
        refuse(prepared, shard, self.serve_on.is_some())?;
        if let Some(address) = self.serve_on {
            check_serving(prepared, address, allow_remote)?;
        }
        let together = match (&self.store, self.start_at) {
            (Some(store), _) => Together::Meet {
                // Workers look for it from directories of their own.
                store: store.absolute(),
                limit: self.store_timeout,
                margin: self.start_margin,
            },
            (None, Some(time)) if time <= SystemTime::now() => {
                return Err(Failure::usage("--start-at has passed")
                    .hint("name a time some seconds ahead, the same for all shards"));
            }
            (None, Some(time)) => Together::Schedule {
                first_us: unix_us(time),
                every: round_length(prepared)?,
            },
            (None, None) => {
                return Err(Failure::usage("--shard needs a common start").hint(
                    "add --store DIR, a directory or s3://BUCKET/PREFIX that all shards reach, or --start-at TIME",
                ));
            }
        };
        // A redo would have to be the decision of all.
        prepared.redos = RedoBudget::NONE;
        Ok(Some(ShardRequest {
            shard,
            together,
            shared_host: self.shared_host,
            serve_on: self.serve_on,
        }))
    }
}

/// Longest round of a plan whose phases all end by time.
fn round_length(prepared: &PreparedRun) -> Result<Duration, Failure> {
    let mut longest = Duration::ZERO;
    for scenario in &prepared.plan.scenarios {
        let (Stop::DurationNs(warmup), Stop::DurationNs(measured)) =
            (scenario.warmup, scenario.stop)
        else {
            return Err(Failure::usage(format!(
                "--start-at: `{}` ends after a number of operations, so that its rounds have no fixed length",
                scenario.name
            ))
            .hint("use --store DIR, or add --duration TIME"));
        };
        longest = longest.max(Duration::from_nanos(
            warmup.get().saturating_add(measured.get()),
        ));
    }
    Ok(longest + SET_UP)
}

/// A load with fewer sessions than shards.
pub fn too_few_sessions(load: Load, count: NonZeroU32) -> Failure {
    let sessions = describe::plural(load.concurrency().get() as usize, "session");
    Failure::usage(format!(
        "a load of {sessions} cannot be split into {count} shards"
    ))
    .hint("raise --concurrency: it counts the sessions of all shards")
}

/// Refuses an address at which the first shard cannot, or may not, serve.
fn check_serving(
    prepared: &PreparedRun,
    address: IpAddr,
    allow_remote: bool,
) -> Result<(), Failure> {
    let mut servers = prepared
        .plan
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.servers.values());
    if !servers.any(|server| matches!(server, PlannedServer::Mock { .. })) {
        return Err(
            Failure::usage("--serve-on: there is no embedded server to run")
                .hint("leave it out: all servers are external"),
        );
    }
    if allow_remote || address.is_loopback() {
        return Ok(());
    }
    Err(
        Failure::usage(format!("--serve-on: other machines can reach {address}"))
            .hint("add --allow-remote: an embedded server serves anyone who connects"),
    )
}

/// The reason why the first shard cannot run this server for all of them.
fn unshared(server: &PlannedServer) -> Option<&'static str> {
    match server {
        PlannedServer::Mock { server, .. } if server == CLIENT => {
            Some("is itself the server, and each shard would be another one")
        }
        PlannedServer::Mock { tls: Some(_), .. } => {
            Some("speaks TLS, and the certificate of an embedded server is for its own machine")
        }
        PlannedServer::Mock { .. } | PlannedServer::External { .. } => None,
        PlannedServer::Arm { .. } => Some("has a server of yours, which each shard would start"),
    }
}

/// The embedded server that is a client: workers serve it.
const CLIENT: &str = "client";

/// Refuses what shards cannot do together; embedded servers are one for all if the first shard serves.
fn refuse(prepared: &PreparedRun, shard: Shard, serves: bool) -> Result<(), Failure> {
    let plan = &prepared.plan;
    let refused =
        |what: String, hint: &str| Err(Failure::usage(format!("--shard: {what}")).hint(hint));
    if prepared.search.is_some() {
        return refused(
            "a search decides on its next rate alone".to_owned(),
            "give the rates with --rate",
        );
    }
    if !plan.looks.is_empty() {
        return refused(
            "--until-decided ends each shard at another time".to_owned(),
            "give the number of rounds with --rounds",
        );
    }
    if !plan.thresholds.is_empty() {
        return refused(
            "thresholds hold for the whole, and this is a share".to_owned(),
            "merge first, and gate the merged run: `photofinish gate RUN --baseline NAME`",
        );
    }
    for scenario in &plan.scenarios {
        let name = &scenario.name;
        let own = |server: &PlannedServer| server.is_own();
        if scenario.servers.is_empty() {
            return refused(
                format!("`{name}` measures this machine, not a server that shards share"),
                "run it on each machine without --shard, and compare the records",
            );
        }
        let mut servers = scenario.servers.iter();
        if let (true, Some(reason)) = (serves, scenario.servers.values().find_map(unshared)) {
            return refused(
                format!("`{name}` {reason}"),
                "run it on each machine without --shard, or name one server with --target",
            );
        }
        let of_each = servers.find(|(_, server)| own(server) && !serves);
        if let Some((target, _)) = of_each {
            return refused(
                format!("each shard of `{name}` would start and measure a server of its own"),
                &format!(
                    "name one server for all of them with --target {target}=URL, or let the first shard run it with --serve-on \
                     ADDRESS"
                ),
            );
        }
    }
    let has_too_few = |cell: &&Cell| cell.load.concurrency() < shard.count();
    if let Some(cell) = plan.cells.iter().find(has_too_few) {
        return Err(too_few_sessions(cell.load, shard.count()));
    }
    let lane = plan
        .runtimes
        .iter()
        .find(|(_, traits)| traits.worker.is_some());
    if let Some((runtime, _)) = lane {
        return refused(
            format!("the lane `{runtime}` cannot run a share of a load yet"),
            "leave it out with --runtimes",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(variables: &[(&str, &str)]) -> Result<Shard, String> {
        let value = |name: &str| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        };
        from_environment(&value).map_err(|failure| failure.in_one_line())
    }

    #[test]
    fn batch_systems_name_the_shard() {
        let shard = |text: &str| Ok(text.parse().expect("a shard"));
        assert_eq!(
            auto(&[("SLURM_PROCID", "2"), ("SLURM_NTASKS", "3")]),
            shard("2/3")
        );
        let kubernetes = [("JOB_COMPLETION_INDEX", "0"), ("PHOTOFINISH_SHARDS", "4")];
        assert_eq!(auto(&kubernetes), shard("0/4"));
        assert_eq!(
            auto(&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "2")]),
            shard("0/2")
        );
    }

    #[test]
    fn half_an_answer_is_an_error() {
        let error = |variables: &[(&str, &str)]| auto(variables).expect_err("no shard");
        assert!(error(&[]).starts_with("--shard auto: no batch system"));
        let array = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_PROCID", "0"),
            ("SLURM_NTASKS", "1"),
        ];
        assert!(error(&array).contains("job array"), "{}", error(&array));
        assert_eq!(
            error(&[("JOB_COMPLETION_INDEX", "0")]),
            "--shard auto: JOB_COMPLETION_INDEX is set, and PHOTOFINISH_SHARDS is not"
        );
        let wrong = |index: &str| {
            format!(
                "--shard auto: SLURM_PROCID={index} and SLURM_NTASKS=3 do not name a shard, from 0"
            )
        };
        assert_eq!(
            error(&[("SLURM_PROCID", "3"), ("SLURM_NTASKS", "3")]),
            wrong("3")
        );
        assert_eq!(
            error(&[("SLURM_PROCID", "x"), ("SLURM_NTASKS", "3")]),
            wrong("x")
        );
    }

    #[test]
    fn a_start_is_a_unix_time_or_a_timestamp() {
        let time = parse_time("2026-11-20T18:30:00Z").expect("a time");
        assert_eq!(parse_time("1795199400"), Ok(time));
        for wrong in ["", "-1", "soon", "1e300"] {
            parse_time(wrong).expect_err(wrong);
        }
    }
}
