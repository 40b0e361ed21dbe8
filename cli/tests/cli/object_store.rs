//! Shards that meet in an object store. The store is moto, an independent one, which checks signatures with botocore, and
//! `If-None-Match`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use photofinish_record::Outcome;
use serde_json::Value;

use crate::certificates::{Authority, Certificate};
use crate::shards::{Site, check_whole, newest, shards};
use crate::support::{
    Finished, Sandbox, Started, closed_address, python, read_record, send, wait_for,
};

/// A server with the bucket `meeting`, and a user of it.
pub struct ObjectStore {
    _server: Started,
    python: PathBuf,
    endpoint: String,
    key: String,
    secret: String,
    /// Of a role: its key, its secret and its token.
    role: [String; 3],
    /// The authority of its certificate, if it speaks TLS.
    ca: Option<PathBuf>,
}

/// Makes a user, a role and a bucket; from then on the server checks who asks.
const SET_UP: &str = "\
import boto3, json, sys
own = dict(endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='a', aws_secret_access_key='b')
iam = boto3.client('iam', **own)
iam.create_user(UserName='shard')
allowed = [{'Effect': 'Allow', 'Action': 's3:*', 'Resource': '*'}]
allowed = json.dumps({'Version': '2012-10-17', 'Statement': allowed})
iam.put_user_policy(UserName='shard', PolicyName='all', PolicyDocument=allowed)
key = iam.create_access_key(UserName='shard')['AccessKey']
trust = [{'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': {'AWS': '*'}}]
trust = json.dumps({'Version': '2012-10-17', 'Statement': trust})
role = iam.create_role(RoleName='shard', AssumeRolePolicyDocument=trust)['Role']
iam.put_role_policy(RoleName='shard', PolicyName='all', PolicyDocument=allowed)
session = boto3.client('sts', **own).assume_role(RoleArn=role['Arn'], RoleSessionName='shard')['Credentials']
boto3.client('s3', **own).create_bucket(Bucket='meeting')
print(key['AccessKeyId'], key['SecretAccessKey'])
print(session['AccessKeyId'], session['SecretAccessKey'], session['SessionToken'])
";

/// Number of requests in it.
const UNCHECKED: &str = "7";

/// The keys below a prefix, one a line, with their sizes.
const LIST: &str = "\
import boto3, sys
s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1')
for one in s3.list_objects_v2(Bucket='meeting', Prefix=sys.argv[2]).get('Contents', []): print(one['Key'])
";

/// The variable that names the file of an authority.
const CA: &str = "AWS_CA_BUNDLE";

impl ObjectStore {
    /// Starts it; `None`, with a message, where it is not installed.
    pub fn start() -> Option<Self> {
        Self::serving(None)
    }

    /// The same over TLS, with a certificate of the authority in the file `ca`.
    fn start_secured(certificate: &Certificate, ca: &Path) -> Option<Self> {
        Self::serving(Some((certificate, ca)))
    }

    fn serving(tls: Option<(&Certificate, &Path)>) -> Option<Self> {
        let python = python(
            "moto.server, flask, flask_cors, boto3",
            "moto[s3] flask flask-cors",
        )?;
        let address = closed_address();
        let (host, port) = address.split_once(':').expect("an address");
        let secured = tls.map(|(Certificate { cert, key }, _)| {
            format!(", '-c', '{}', '-k', '{}'", cert.display(), key.display())
        });
        let secured = secured.unwrap_or_default();
        let serve = format!(
            "from moto.server import main; main(['-H', '{host}', '-p', '{port}'{secured}])"
        );
        let mut command = Command::new(&python);
        command
            .args(["-c", &serve])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", UNCHECKED);
        let server = Started::of(command);
        wait_for("moto", || TcpStream::connect(&address).ok().map(drop));
        let ca = tls.map(|(_, ca)| ca.to_owned());
        let endpoint = format!("http{}://{address}", if ca.is_some() { "s" } else { "" });
        let mut set_up = Command::new(&python);
        set_up
            .args(["-c", SET_UP, &endpoint])
            .envs(ca.iter().map(|ca| (CA, ca)));
        let set_up = Finished::of(&mut set_up).check(0, &[]);
        let mut words = set_up.stdout.split_whitespace();
        let mut next = || words.next().expect("credentials").to_owned();
        Some(Self {
            key: next(),
            secret: next(),
            role: [next(), next(), next()],
            _server: server,
            python,
            endpoint,
            ca,
        })
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let ca = self.ca.iter().map(|ca| (CA, ca.display().to_string()));
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", self.key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL_S3", self.endpoint.clone()),
        ];
        variables.extend(ca);
        variables
    }

    fn start_in(&self, sandbox: &Sandbox, arguments: &[&str], more: &[(&str, &str)]) -> Started {
        let mut command = sandbox.command(arguments);
        command.envs(self.variables()).envs(more.iter().copied());
        Started::of(command)
    }

    fn run_in(&self, sandbox: &Sandbox, arguments: &[&str]) -> Finished {
        self.start_in(sandbox, arguments, &[]).finish()
    }

    /// The names of what there is below a prefix, as boto3 lists it.
    fn names(&self, prefix: &str) -> Vec<String> {
        let mut list = Command::new(&self.python);
        list.args(["-c", LIST, &self.endpoint, prefix])
            .envs(self.variables());
        let listed = Finished::of(&mut list).check(0, &[]);
        let names = listed.stdout.lines();
        names
            .filter_map(|name| Some(name.strip_prefix(prefix)?.to_owned()))
            .collect()
    }
}

fn shard<'a>(index: &'a str, store: &'a str, out: &'a str) -> [&'a str; 7] {
    [
        "--shard",
        index,
        "--store",
        store,
        "--shared-host",
        "--out",
        out,
    ]
}

/// Goal: three processes that meet in an object store run the load of one, and a killed one is named. Method: nginx counts;
/// boto3 lists what they left.
#[test]
fn the_shards_of_an_object_store_are_the_run_of_one_machine() {
    let (Some(site), Some(store)) = (Site::new(), ObjectStore::start()) else {
        return;
    };
    let started: Vec<Started> = (0..3)
        .map(|index| {
            let (index, out) = (format!("{index}/3"), format!("out-{index}"));
            let share = shard(&index, "s3://meeting/runs/1", &out);
            store.start_in(&site.sandbox, &site.arguments(&share), &[])
        })
        .collect();
    for shard in started {
        shard.finish().check(0, &[]);
    }
    let merge = ["merge", "s3://meeting/runs/1", "--out", "merged"];
    let merged = store.run_in(&site.sandbox, &merge).check(0, &[]);
    let whole = newest(&site.sandbox.path().join("merged"));
    check_whole(&site, &whole, 40);
    assert!(shards(&whole).members.iter().all(|one| one.clock.is_some()));
    let kept = format!("merged/{}", whole.id);
    assert!(
        merged
            .stdout
            .contains(&format!("Kept in s3://meeting/runs/1/{kept}"))
    );
    let names = store.names("runs/1/");
    for name in [
        "go/4",
        "joined/2",
        "ready/1/0",
        "records/1.json",
        &format!("{kept}/report.html"),
    ] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    // Neither record nor message has anything of the credentials.
    let record = fs::read_to_string(site.sandbox.path().join("out-0/latest/record.json"));
    let record = record.expect("a record");
    assert!(!record.contains(&store.secret) && !record.contains(&store.key));
    // The prefix is used up.
    let again = site.arguments(&shard("1/3", "s3://meeting/runs/1", "again"));
    store.run_in(&site.sandbox, &again).check(
        1,
        &[
            "another process has been shard 1/3 here",
            "hint: use a new prefix for each run",
        ],
    );
}

#[test]
fn a_killed_shard_of_an_object_store_is_named() {
    let (Some(site), Some(store)) = (Site::new(), ObjectStore::start()) else {
        return;
    };
    let long = ["--duration=1s", "--store-timeout=4s", "--runtimes=tokio"];
    let mut all: Vec<Started> = (0..3)
        .map(|index| {
            let (index, out) = (format!("{index}/3"), format!("out-{index}"));
            let share = shard(&index, "s3://meeting/killed", &out);
            let arguments = site.arguments(&[&share, &long[..]].concat());
            store.start_in(&site.sandbox, &arguments, &[])
        })
        .collect();
    wait_for("the first round", || {
        let names = store.names("killed/");
        names.iter().any(|name| name == "go/1").then_some(())
    });
    send("KILL", all[1].id());
    all.remove(1).finish();
    let mut told = false;
    for other in all {
        let other = other.finish();
        assert_eq!(other.code, Some(1), "{other:#?}");
        let named = ["shard 1 of 3 was not ready for round ", "ended the run: "];
        assert!(
            named.iter().any(|named| other.stderr.contains(named)),
            "{other:#?}"
        );
        told |= other.stderr.contains(named[0]);
    }
    assert!(told, "one of them missed it");
    let merge = [
        "merge",
        "s3://meeting/killed",
        "--out",
        "merged",
        "--wait=1m",
    ];
    store
        .run_in(&site.sandbox, &merge)
        .check(5, &["partial: shard 1 of 3 is missing"]);
}

/// Goal: temporary credentials, and an authority of one's own, are enough and needed. Method: a store behind TLS that knows a
/// role.
#[test]
fn a_role_and_an_authority_of_ones_own_open_the_store() {
    let Some(site) = Site::new() else { return };
    let Some(authority) = Authority::new(&site.sandbox) else {
        return;
    };
    let certificate = authority.certificate("store", "IP:127.0.0.1", 2);
    let Some(store) = ObjectStore::start_secured(&certificate, &authority.file()) else {
        return;
    };
    let [key, secret, token] = store.role.each_ref().map(String::as_str);
    let with = |arguments: &[&str], token: &str, more: &[(&str, &str)]| {
        let role = [
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", token),
        ];
        let started = store.start_in(&site.sandbox, arguments, &[&role, more].concat());
        started.finish()
    };
    let run = site.arguments(&shard("0/1", "s3://meeting/role", "out"));
    with(&run, "another", &[]).check(1, &["the credentials are not accepted (InvalidToken)"]);
    with(&run, token, &[(CA, "")]).check(1, &["s3://meeting/role", "certificate"]);
    with(&run, token, &[]).check(0, &[]);
    let record = fs::read_to_string(site.sandbox.path().join("out/latest/record.json"));
    assert!(!record.expect("a record").contains(token));
    // The authorities of the system are those of this file.
    let ca = authority.file();
    let of_system = [(CA, ""), ("SSL_CERT_FILE", ca.to_str().expect("a path"))];
    let merge = ["merge", "s3://meeting/role", "--out", "merged", "--quiet"];
    with(&merge, token, &of_system).check(0, &[]);
    let whole = newest(&site.sandbox.path().join("merged"));
    assert!(shards(&whole).missing().is_empty() && whole.rounds.len() == 4);
}

/// Goal: each reason for which a store cannot be used has its own sentence. Method: real refusals of moto, and a server that
/// gives those of other stores.
#[test]
fn what_an_object_store_refuses_is_told() {
    let (Some(site), Some(store)) = (Site::new(), ObjectStore::start()) else {
        return;
    };
    let refused = |place: &str, variables: &[(&str, &str)], code: i32, expected: &[&str]| {
        let arguments = site.arguments(&shard("0/3", place, "out"));
        let finished = store
            .start_in(&site.sandbox, &arguments, variables)
            .finish();
        finished.check(code, expected);
    };
    let place = "s3://meeting/x";
    refused(
        "s3://nowhere/x",
        &[],
        1,
        &[
            "there is no bucket `nowhere`",
            "hint: the bucket must exist",
        ],
    );
    let wrong = [("AWS_SECRET_ACCESS_KEY", "wrong")];
    refused(
        place,
        &wrong,
        1,
        &["the credentials are not accepted (SignatureDoesNotMatch)"],
    );
    let unset = [("AWS_ACCESS_KEY_ID", "")];
    refused(
        place,
        &unset,
        2,
        &[
            "AWS_ACCESS_KEY_ID is not set",
            "hint: set AWS_ACCESS_KEY_ID",
        ],
    );
    let odd = [("AWS_ENDPOINT_URL_S3", "ftp://user:pass@x")];
    refused(place, &odd, 2, &["AWS_ENDPOINT_URL_S3 is not an endpoint"]);
    let closed = format!("http://{}", closed_address());
    let closed = [("AWS_ENDPOINT_URL_S3", closed.as_str())];
    refused(place, &closed, 1, &["no response from http://127.0.0.1:"]);
    refused("gs://meeting/x", &[], 2, &["s3://BUCKET/PREFIX"]);
    for (status, code, expected) in [
        (403, "AccessDenied", "access to `meeting` is denied"),
        (
            403,
            "RequestTimeTooSkewed",
            "this machine's clock is wrong: ",
        ),
        (
            301,
            "PermanentRedirect",
            "`meeting` is in another region, eu-west-3 (AWS_REGION)",
        ),
        (501, "NotImplemented", "it cannot create a file exclusively"),
        (418, "Strange", "it responded with 418 (Strange)"),
    ] {
        let endpoint =
            responding(move |_, _| (status, format!("<Error><Code>{code}</Code></Error>")));
        refused(place, &[("AWS_ENDPOINT_URL_S3", &endpoint)], 1, &[expected]);
    }
    // It overwrites what exists.
    let endpoint = responding(|method, _| (if method == "PUT" { 200 } else { 404 }, String::new()));
    let overwriting = [("AWS_ENDPOINT_URL_S3", endpoint.as_str())];
    refused(
        place,
        &overwriting,
        1,
        &["the store s3://meeting/x overwrites files that exist"],
    );
}

/// A server that gives each request such a response: `answer` gets the method and the number of requests before.
fn responding(answer: impl Fn(&str, usize) -> (u16, String) + Send + 'static) -> String {
    serving(move |request, number| {
        let (method, _) = request.split_once(' ').unwrap_or_default();
        Some(answer(method, number))
    })
}

/// A server with such a response for each request and the number of requests before; without one it closes the connection.
fn serving(
    mut answer: impl FnMut(&str, usize) -> Option<(u16, String)> + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let Some((status, body)) = answer(&request(&mut stream), number) else {
                continue;
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\ndate: Sat, 28 Nov 2020 15:00:00 GMT\r\nx-amz-bucket-region: eu-west-3\r\n\
                 last-modified: Sat, 28 Nov 2020 15:00:00 GMT\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}")
}

/// A whole request, as far as it comes.
fn request(stream: &mut TcpStream) -> String {
    let (mut request, mut part) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        let length = text.split_once("content-length: ").and_then(|(_, rest)| {
            let (length, rest) = rest.split_once("\r\n")?;
            let (_, body) = rest
                .split_once("\r\n\r\n")
                .or(rest.strip_prefix("\r\n").map(|body| ("", body)))?;
            Some((length.parse::<usize>().ok()?, body.len()))
        });
        if length.is_some_and(|(length, there)| there >= length) {
            return text;
        }
        match stream.read(&mut part) {
            Ok(count) if count > 0 => request.extend_from_slice(&part[..count]),
            _ => return text,
        }
    }
}

/// Goal: a store that fails now and then costs time, and nothing else. Method: a store of this test, where every fourth request
/// gets 503, and every third file is created without a response. Each shard takes what is its own for created.
#[test]
fn a_store_that_fails_now_and_then_is_asked_again() {
    let Some(site) = Site::new() else { return };
    let endpoint = unreliable();
    let start = |index: u32| {
        let (shard, out) = (format!("{index}/2"), format!("out-{index}"));
        let share = [
            "--shard",
            &shard,
            "--store=s3://meeting/x",
            "--shared-host",
            "--out",
            &out,
        ];
        // Each repetition delays the sight of a start.
        let patient = ["--start-margin=1500ms"];
        let arguments = site.arguments(&[&share[..], &patient].concat());
        let mut command = site.sandbox.command(&arguments);
        command
            .env("AWS_ENDPOINT_URL", &endpoint)
            .envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")]);
        Started::of(command)
    };
    for shard in [0, 1].map(start) {
        shard.finish().check(0, &[]);
    }
    let runs = ["out-0/latest", "out-1/latest"];
    let merge = [&["merge", "--out", "merged", "--quiet"], &runs[..]].concat();
    site.sandbox.run(&merge).check(0, &[]);
    let whole = newest(&site.sandbox.path().join("merged"));
    assert!(shards(&whole).missing().is_empty() && whole.rounds.len() == 4);
}

/// A store that checks no signature.
fn unreliable() -> String {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut created = 0;
    serving(move |request, number| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        let mut words = head.split(' ');
        let (method, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        if number % 4 == 3 {
            return Some((503, String::new()));
        }
        if method == "PUT" {
            if files.contains_key(target) {
                return Some((412, String::new()));
            }
            files.insert(target.to_owned(), body.to_owned());
            created += 1;
            return (created % 3 != 0).then(|| (200, String::new()));
        }
        let Some((_, query)) = target.split_once('?') else {
            let file = files.get(target).cloned();
            return Some(file.map_or((404, String::new()), |file| (200, file)));
        };
        let (_, prefix) = query.split_once("prefix=").unwrap_or_default();
        let prefix = prefix.replace("%2F", "/");
        let keys = files
            .keys()
            .filter_map(|path| path.strip_prefix("/meeting/"));
        let keys = keys.filter(|key| key.starts_with(&prefix));
        Some((200, keys.map(|key| format!("<Key>{key}</Key>")).collect()))
    })
}

/// Goal: what `submit kubernetes` prints runs. Method: the commands of the manifest, with its variables and those of an Indexed
/// Job and of the secret, as processes of this machine.
#[test]
fn the_commands_of_a_kubernetes_manifest_run_and_merge() {
    let (Some(site), Some(store)) = (Site::new(), ObjectStore::start()) else {
        return;
    };
    let program = crate::support::program().to_str().expect("a path");
    let job = [
        "submit",
        "kubernetes",
        "--shards=3",
        "--image=i",
        "--store=s3://meeting/jobs/1",
        "--program",
        program,
    ];
    let run = site.arguments(&["--shared-host"]);
    let run = [&["--"], &run[1..]].concat();
    let without = site.sandbox.run(&[&job, &run[..]].concat());
    without.check(
        2,
        &["pods need credentials for the store", "--credentials NAME"],
    );
    let manifest = [&job, &["--credentials=keys"][..], &run].concat();
    let manifest = site.sandbox.run(&manifest).check(0, &[]).stdout;
    assert!(!manifest.contains("volume"), "{manifest}");
    let read = "import sys, yaml, json; print(json.dumps(list(yaml.safe_load_all(sys.argv[1]))))";
    let read = Finished::of(Command::new(&store.python).args(["-c", read, &manifest]));
    let jobs = read.check(0, &[]).json();
    let pod = |job: usize| &jobs[job]["spec"]["template"]["spec"]["containers"][0];
    let start = |pod: &Value, index: Option<u32>| {
        assert_eq!(pod["envFrom"][0]["secretRef"]["name"], "keys");
        let words = |key: &str| -> Vec<String> {
            let words = pod[key].as_array().expect("a list").iter();
            words
                .map(|word| word.as_str().expect("text").to_owned())
                .collect()
        };
        let own = pod["env"].as_array().into_iter().flatten();
        let own =
            own.map(|one| [&one["name"], &one["value"]].map(|text| text.as_str().expect("text")));
        let own: BTreeMap<&str, &str> = own.map(|[name, value]| (name, value)).collect();
        // Pods have a file system each.
        let out = format!(
            "pod-{}",
            index.map_or_else(|| "merge".to_owned(), |index| index.to_string())
        );
        let words = [words("command"), words("args")].concat();
        let words: Vec<String> = words
            .into_iter()
            .map(|word| word.replace("/tmp/photofinish-runs", &out))
            .collect();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .envs(own)
            .envs(store.variables())
            .envs(index.map(|index| ("JOB_COMPLETION_INDEX", index.to_string())))
            .current_dir(site.sandbox.path());
        Started::of(command)
    };
    assert_eq!(jobs[0]["spec"]["completions"], 3);
    // All jobs start at the same time.
    let merge = start(pod(1), None);
    let shards: Vec<Started> = (0..3).map(|index| start(pod(0), Some(index))).collect();
    for shard in shards {
        shard.finish().check(0, &[]);
    }
    merge.finish().check(0, &[]);
    let whole = read_record(&site.sandbox.path().join("pod-merge/latest/record.json"));
    check_whole(&site, &whole, 40);
    assert!(matches!(&whole.rounds[0].outcome, Outcome::Ok(_)));
}
