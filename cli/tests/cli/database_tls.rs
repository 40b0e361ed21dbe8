//! PostgreSQL over TLS: a real server that accepts only TLS, with certificates made by openssl, and the embedded one.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use photofinish_record::{Outcome, PlannedServer, Record, Verification};

use crate::certificates::{Authority, Certificate};
use crate::support::{Sandbox, TINY};
use crate::user_database::throwaway_postgres::ThrowawayPostgres;

/// `postgres` needs TLS; `certified` also needs a client certificate of that name.
const HBA: &str =
    "hostssl all certified 127.0.0.1/32 cert\nhostssl all postgres 127.0.0.1/32 trust\n";

/// A server with this certificate that accepts client certificates of the authority.
fn server(authority: &Authority<'_>, certificate: &Certificate) -> Option<ThrowawayPostgres> {
    ThrowawayPostgres::start(|data| {
        let owner = data.metadata().expect("its directory");
        for (file, name) in [
            (&certificate.cert, "server.crt"),
            (&certificate.key, "server.key"),
            (&authority.file(), "root.crt"),
        ] {
            let copy = data.join(name);
            fs::copy(file, &copy).expect("copied");
            fs::set_permissions(&copy, Permissions::from_mode(0o600)).expect("private");
            chown(&copy, Some(owner.uid()), Some(owner.gid())).expect("its own");
        }
        let settings = data.join("postgresql.conf");
        let text = fs::read_to_string(&settings).expect("its settings");
        let text = text + "\nssl = on\nssl_ca_file = 'root.crt'\n";
        fs::write(settings, text).expect("written");
        fs::write(data.join("pg_hba.conf"), HBA).expect("written");
    })
}

fn run(sandbox: &Sandbox, scenario: &str, target: &str) -> Record {
    let arguments = ["run", scenario, "--target", target, "--set=load.ops=20"];
    sandbox.run(&[&arguments[..], &TINY].concat()).check(0, &[]);
    sandbox.record()
}

/// Full and resumed handshakes of all rounds; each round must have one per connection.
fn handshakes(record: &Record) -> (u64, u64) {
    let mut all = (0, 0);
    for round in &record.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{:?}", round.outcome);
        };
        assert!(measured.worker.errors.is_empty(), "{:?}", measured.worker);
        let traffic = measured.worker.traffic["db"];
        let (full, resumed) = (traffic.full_handshakes, traffic.resumed_handshakes);
        assert!(full > 0 && full + resumed == traffic.connections);
        all = (all.0 + full, all.1 + resumed);
    }
    all
}

fn verification(record: &Record) -> Verification {
    let server = &record.plan.scenarios[0].servers["db"];
    let PlannedServer::External { tls: Some(tls), .. } = server else {
        panic!("TLS settings: {server:?}");
    };
    assert!(tls.ca.is_none() && tls.cert.is_none() && tls.key.is_none());
    tls.verification
}

/// Goal: every libpq mode works against a server that accepts only TLS, under every runtime, and a client certificate logs
/// in. Method: the server's own rules.
#[test]
fn a_real_postgresql_is_measured_over_tls_under_every_runtime() {
    let sandbox = Sandbox::new();
    let Some(authority) = Authority::new(&sandbox) else {
        return;
    };
    let certificate = authority.certificate("server", "DNS:localhost", 30);
    let Some(server) = server(&authority, &certificate) else {
        return;
    };
    let port = server.port;
    let ca = "sslrootcert=ca.pem";
    let target = |user: &str, host: &str, query: &str| {
        format!("db=postgres://{user}@{host}:{port}/postgres?{query}")
    };
    let full = target(
        "postgres",
        "localhost",
        &format!("sslmode=verify-full&{ca}"),
    );
    let record = run(&sandbox, "db-crud", &full);
    assert_eq!(verification(&record), Verification::Full);
    let page = fs::read_to_string(sandbox.latest().join("report.html")).expect("the page");
    assert!(page.contains("/postgres over TLS"));
    // The server issues no session tickets.
    let record = run(&sandbox, "db-connect", &full);
    assert_eq!(handshakes(&record).1, 0);
    let certified = format!("sslmode=verify-ca&{ca}&sslcert=client.pem&sslkey=client.key");
    let certified = target("certified", "127.0.0.1", &certified);
    run_sql(&server, "CREATE ROLE certified LOGIN SUPERUSER");
    authority.certificate("certified", "DNS:certified", 30);
    for (from, to) in [
        ("certified.pem", "client.pem"),
        ("certified.key", "client.key"),
    ] {
        fs::copy(sandbox.path().join(from), sandbox.path().join(to)).expect("copied");
    }
    let record = run(&sandbox, "db-transaction", &certified);
    assert_eq!(verification(&record), Verification::Authority);
    let key = fs::read_to_string(sandbox.path().join("client.key")).expect("the key");
    let text = fs::read_to_string(sandbox.latest().join("record.json")).expect("the record");
    assert!(!text.contains(key.lines().nth(1).expect("its body")));

    let quick = |target: &str, code: i32, expected: &[&str]| {
        let arguments = ["run", "db-select", "--quick", "--runtimes=sync", "--target"];
        sandbox
            .run(&[&arguments[..], &[target]].concat())
            .check(code, expected);
    };
    quick(&target("postgres", "127.0.0.1", "sslmode=require"), 0, &[]);
    let page = fs::read_to_string(sandbox.latest().join("report.html")).expect("the page");
    assert!(page.contains("was not verified (insecure)"));
    for (host, query, expected) in [
        (
            "127.0.0.1",
            format!("sslmode=verify-full&{ca}"),
            ["not valid for name", "hint: name the host"],
        ),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=server.pem".to_owned(),
            ["UnknownIssuer", "sslrootcert=FILE"],
        ),
        (
            "localhost",
            "sslmode=disable".to_owned(),
            ["no encryption", "cannot log in"],
        ),
    ] {
        quick(&target("postgres", host, &query), 1, &expected);
    }
    quick(
        &target(
            "certified",
            "localhost",
            &format!("sslmode=verify-full&{ca}"),
        ),
        1,
        &["client certificate", "cannot log in"],
    );
    quick(
        &target(
            "postgres",
            "localhost",
            "sslmode=verify-full&sslrootcert=none.pem",
        ),
        2,
        &[
            "sslrootcert: cannot read `none.pem`",
            "hint: write sslrootcert=FILE",
        ],
    );
}

fn run_sql(server: &ThrowawayPostgres, sql: &str) {
    let mut psql = std::process::Command::new("psql");
    let port = server.port.to_string();
    psql.env("PGSSLMODE", "require");
    psql.args([
        "-h",
        "127.0.0.1",
        "-U",
        "postgres",
        "-p",
        &port,
        "-XqAt",
        "-c",
        sql,
    ]);
    crate::support::Finished::of(&mut psql).check(0, &[]);
}

/// Goal: a server without TLS is refused, never used in plain text instead.
#[test]
fn a_database_that_declines_tls_is_named_before_anything_is_measured() {
    let Some(server) = ThrowawayPostgres::shared() else {
        return;
    };
    let sandbox = Sandbox::new();
    let target = format!(
        "db=postgres://postgres@127.0.0.1:{}/postgres?sslmode=require",
        server.port
    );
    sandbox
        .run(&["run", "db-select", "--target", &target])
        .check(
            1,
            &[
                "no TLS connection to postgres://postgres@127.0.0.1",
                "declined",
                "hint: enable it with ssl = on",
            ],
        );
}

/// Goal: the embedded database speaks TLS under every runtime, and both sides' counts agree.
#[test]
fn the_embedded_database_speaks_tls() {
    let sandbox = Sandbox::new();
    let text = "workload = \"db-connect\"\n[tls]\n[server.db]\nkind = \"postgres\"\n[load]\nops = 20\nwarmup_ops = 2\n";
    let file = sandbox.write("own.toml", text);
    let arguments = ["run", &file.display().to_string()];
    sandbox.run(&[&arguments[..], &TINY].concat()).check(0, &[]);
    let (full, resumed) = handshakes(&sandbox.record());
    assert!(resumed > full, "{full} full, {resumed} resumed");
    let plain = "db=postgres://postgres@127.0.0.1:1/postgres";
    let arguments = ["run", &file.display().to_string(), "--target", plain];
    sandbox
        .run(&arguments)
        .check(2, &["section `[tls]`", "hint: add sslmode=verify-full"]);
}
