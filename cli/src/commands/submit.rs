//! `photofinish submit`: what a batch system needs to run the shards of a run at the same time, and to merge them afterwards.
//!
//! The engine that is there starts the processes and gives each its index; this prints a script or a manifest, or hands it
//! over. An engine is a file with a function from [`Submission`] to text, and a line in [`ENGINES`].

mod kubernetes;
mod slurm;
mod ssh;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use photofinish_record::shard::Shard;

use super::run;
use crate::cleaning;
use crate::exit::{Exit, Failure, OrFail};
use crate::meeting_place::MeetingPlace;
use crate::output;
use crate::request::parse_positive;
use crate::run::shards::parse_count;

/// Print or submit the job that runs a load from several machines
///
/// Everything after `--` are arguments of `photofinish run`. Without --now nothing is started: read the script, and run it or
/// apply it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish submit slurm --shards 4 --store /shared/run-42 -- \\
      http-get --target http=http://10.0.0.5/ --allow-remote --rate 80k
  photofinish submit ssh --hosts a,b,c --store /shared/run-42 -- \\
      http-get --target http=http://10.0.0.5/ --allow-remote --concurrency 96")]
pub struct Submit {
    /// What starts the processes
    #[arg(value_parser = engines())]
    engine: &'static Engine,

    /// Number of shards, one for each machine [default with ssh: one for each host]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_hyphen_values = true, required_if_eq_any = [("engine", "slurm"), ("engine", "kubernetes")])]
    shards: Option<NonZeroU32>,

    /// Directory that all machines reach [with kubernetes: a folder of the volume], or s3://BUCKET/PREFIX; a new one for
    /// each run
    #[arg(
        long,
        value_name = "DIR",
        default_value = "photofinish-store",
        default_value_if("engine", "kubernetes", "/store/run")
    )]
    store: MeetingPlace,

    /// CPUs of each shard
    #[arg(
        long,
        value_name = "N",
        default_value = "2",
        value_parser = parse_positive::<NonZeroU32>,
        allow_hyphen_values = true,
        hide_short_help = true
    )]
    cpus: NonZeroU32,

    /// The program, as the machines find it
    #[arg(
        long,
        value_name = "PATH",
        default_value = "photofinish",
        hide_short_help = true
    )]
    program: String,

    /// Name of the job
    #[arg(long, value_name = "NAME", default_value = "photofinish", value_parser = parse_name, hide_short_help = true)]
    name: String,

    /// Hosts of ssh, separated by commas
    #[arg(
        long,
        value_name = "HOST,HOST",
        value_delimiter = ',',
        required_if_eq("engine", "ssh")
    )]
    hosts: Vec<String>,

    /// Image of kubernetes, built from the Containerfile
    #[arg(
        long,
        value_name = "IMAGE",
        required_if_eq("engine", "kubernetes"),
        hide_short_help = true
    )]
    image: Option<String>,

    /// Claim of a kubernetes volume that all nodes can write to (ReadWriteMany)
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    claim: Option<String>,

    /// Secret of kubernetes with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, for a store in s3
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "claim",
        hide_short_help = true
    )]
    credentials: Option<String>,

    /// Submit it instead of printing it
    #[arg(long)]
    now: bool,

    /// Arguments of `photofinish run`
    #[arg(last = true, required = true, value_name = "ARGUMENTS")]
    run: Vec<String>,
}

/// What an engine has to start.
struct Submission {
    name: String,
    shards: NonZeroU32,
    cpus: NonZeroU32,
    program: String,
    store: String,
    run: Vec<String>,
    hosts: Vec<String>,
    image: String,
    access: Access,
}

/// The way of pods to the store.
enum Access {
    /// The claim of a volume.
    Claim(String),
    /// The secret that holds the credentials.
    Secret(String),
}

/// What starts the processes of a run.
#[derive(Debug)]
struct Engine {
    name: &'static str,
    help: &'static str,
    /// The script or manifest.
    text: fn(&Submission) -> String,
    /// The command that takes it from stdin.
    submit: &'static [&'static str],
}

static ENGINES: [Engine; 3] = [
    Engine {
        name: "slurm",
        help: "A gang job, and the merge as a dependent job",
        text: slurm::script,
        submit: &["sh"],
    },
    Engine {
        name: KUBERNETES,
        help: "An Indexed Job, and a job that waits for it and merges",
        text: kubernetes::manifest,
        submit: &["kubectl", "apply", "--filename", "-"],
    },
    Engine {
        name: SSH,
        help: "A shell script that starts one process on each host",
        text: ssh::script,
        submit: &["sh"],
    },
];

/// Engines with options of their own.
const KUBERNETES: &str = "kubernetes";
const SSH: &str = "ssh";

fn engines() -> impl TypedValueParser<Value = &'static Engine> {
    let values = ENGINES
        .iter()
        .map(|engine| PossibleValue::new(engine.name).help(engine.help));
    PossibleValuesParser::new(values).map(|given| {
        let known = ENGINES.iter().find(|engine| engine.name == given);
        known.expect("one of the possible values")
    })
}

/// Names of jobs and pods: a DNS label, short enough for what engines append to it.
fn parse_name(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (1..=40).contains(&text.len())
        && text.bytes().all(is_part)
        && !text.starts_with('-')
        && !text.ends_with('-');
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "expected up to 40 lower-case letters, digits and dashes".to_owned())
}

impl Submit {
    pub fn execute(self) -> Result<Exit, Failure> {
        let Engine { text, submit, .. } = self.engine;
        let now = self.now;
        let text = text(&self.submission()?);
        if now {
            hand_over(&text, submit)
        } else {
            output::say(text.trim_end())?;
            Ok(Exit::Done)
        }
    }

    /// A host is one machine, and no option of ssh.
    fn check_hosts(&self) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        for host in &self.hosts {
            if host.is_empty() || host.starts_with('-') {
                return Err(Failure::usage(format!(
                    "`{}` is not a host",
                    cleaning::one_line(host)
                ))
                .hint("name the hosts as ssh knows them, separated by commas"));
            }
            let may_share = self.run.iter().any(|word| word == "--shared-host");
            if !seen.insert(host) && !may_share {
                return Err(Failure::usage(format!(
                    "`{host}` would run two shards, which take each other's CPUs"
                ))
                .hint("name one host for each shard, or add --shared-host after --"));
            }
        }
        Ok(())
    }

    fn submission(self) -> Result<Submission, Failure> {
        let of_hosts = u32::try_from(self.hosts.len())
            .ok()
            .and_then(NonZeroU32::new);
        let shards = self.shards.or(of_hosts).unwrap_or(NonZeroU32::MIN);
        if self.engine.name == SSH && Some(shards) != of_hosts {
            return Err(Failure::usage(format!(
                "{shards} shards need as many hosts, and there are {}",
                self.hosts.len()
            ))
            .hint("name one host for each shard with --hosts"));
        }
        self.check_hosts()?;
        for option in ["--shard", "--store", "--start-at"] {
            if self
                .run
                .iter()
                .any(|word| word == option || word.starts_with(&format!("{option}=")))
            {
                return Err(Failure::usage(format!(
                    "{option} belongs to the job, not to its arguments"
                ))
                .hint(format!("leave {option} out after --")));
            }
        }
        let store = self.store.to_string();
        let access = self.access()?;
        check_share(
            &self.run,
            Shard::new(0, shards).expect("the first of at least one"),
            &store,
        )?;
        Ok(Submission {
            name: self.name,
            shards,
            cpus: self.cpus,
            program: self.program,
            store,
            run: self.run,
            hosts: self.hosts,
            image: self.image.unwrap_or_default(),
            access,
        })
    }

    /// The way to the store, which other engines than Kubernetes leave to the machines.
    fn access(&self) -> Result<Access, Failure> {
        let (claim, secret) = (self.claim.clone(), self.credentials.clone());
        if self.engine.name != KUBERNETES {
            return Ok(Access::Claim(String::new()));
        }
        let refused = |message: &str, hint: &str| Err(Failure::usage(message).hint(hint));
        match (&self.store, claim, secret) {
            (MeetingPlace::Bucket(_), _, Some(secret)) => Ok(Access::Secret(secret)),
            (MeetingPlace::Bucket(_), _, None) => refused(
                "pods need credentials for the store",
                "name the secret that has them with --credentials NAME",
            ),
            (MeetingPlace::Directory(_), None, _) => refused(
                "pods need a volume for the store",
                "name a claim with --claim NAME, or a store in s3 with --store s3://BUCKET/PREFIX",
            ),
            (MeetingPlace::Directory(path), Some(_), _) if !path.starts_with("/store") => refused(
                "the volume is mounted at /store, and the store is elsewhere",
                "such as --store /store/run-42",
            ),
            (MeetingPlace::Directory(_), Some(claim), _) => Ok(Access::Claim(claim)),
        }
    }
}

/// Checks the arguments of the run as the shards will, except for files that only they have.
fn check_share(run: &[String], shard: Shard, store: &str) -> Result<(), Failure> {
    let is_elsewhere = |word: &String| word.ends_with(".toml") && !Path::new(word).exists();
    if run.iter().any(is_elsewhere) {
        return Ok(());
    }
    let share = [format!("--shard={shard}"), format!("--store={store}")];
    run::check(run.iter().cloned().chain(share))
}

/// Runs `command` with `text` on its stdin.
fn hand_over(text: &str, command: &[&str]) -> Result<Exit, Failure> {
    let [program, arguments @ ..] = command else {
        unreachable!("each engine has a command");
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .or_fail(format!("cannot start {program}"))
        .map_err(|failure| failure.hint("leave --now out to print what it would get"))?;
    let mut stdin = child.stdin.take().expect("piped");
    let written = stdin.write_all(text.as_bytes());
    drop(stdin);
    let status = child.wait().or_fail(format!("cannot wait for {program}"))?;
    written.or_fail(format!("{program} did not read what it got"))?;
    if status.success() {
        Ok(Exit::Done)
    } else {
        Err(Failure::could_not_run(format!(
            "{program} failed: {status}"
        )))
    }
}

/// Words of a shell, each quoted if need be.
fn shell_words(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    quoted.join(" ")
}

fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./:,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn submission() -> Submission {
        Submission {
            name: "load".to_owned(),
            shards: NonZeroU32::new(3).expect("three"),
            cpus: NonZeroU32::new(2).expect("two"),
            program: "photofinish".to_owned(),
            store: "/shared/it's here".to_owned(),
            run: [
                "http-get",
                "--target",
                "http=http://10.0.0.5/?a=$b&c",
                "--rate",
                "20k",
            ]
            .map(str::to_owned)
            .to_vec(),
            hosts: ["a", "b", "user@c"].map(str::to_owned).to_vec(),
            image: "example/photofinish:1".to_owned(),
            access: Access::Claim("shared".to_owned()),
        }
    }

    #[test]
    fn words_reach_the_shell_as_they_are() {
        let words = ["plain-word", "it's", "$HOME", "", "a b", "`x`"].map(str::to_owned);
        let script = format!("printf '<%s>' {}", shell_words(&words));
        let output = Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("a shell");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "<plain-word><it's><$HOME><><a b><`x`>"
        );
    }

    #[test]
    fn scripts_are_shell() {
        for text in [slurm::script(&submission()), ssh::script(&submission())] {
            let mut shell = Command::new("sh")
                .arg("-n")
                .stdin(Stdio::piped())
                .spawn()
                .expect("a shell");
            let mut stdin = shell.stdin.take().expect("piped");
            stdin.write_all(text.as_bytes()).expect("a reader");
            drop(stdin);
            assert!(shell.wait().expect("ended").success(), "{text}");
        }
    }

    #[test]
    fn names_are_dns_labels() {
        for name in ["photofinish", "run-42", "x"] {
            parse_name(name).expect(name);
        }
        for name in ["", "Run", "-x", "x-", "a b", &"x".repeat(41)] {
            parse_name(name).expect_err(name);
        }
    }
}
