//! Programs and drivers of other languages, where they are installed.
//!
//! Where one is not, the test says so aloud and passes; with `CI=true` in the environment it fails instead, because
//! there everything has to be there.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use photofinish_servers::ServeOptions;
use serde_json::json;

use crate::connect::server;
use crate::driver::Server;

/// Says that `what` is missing, or fails where nothing may be.
fn skip(what: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{what} is not installed, and CI has to have it"
    );
    // Around the test harness's capture of output, so that it is seen.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what} is not installed");
}

/// A command that connects to `server` through libpq's variables.
fn command(program: &str, server: &Server) -> Command {
    let mut command = Command::new(program);
    let port = server.address().port().to_string();
    let environment = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", &port),
        ("PGUSER", "tester"),
        ("PGDATABASE", "any"),
        ("PGPASSWORD", "secret"),
    ];
    command.envs(environment).stdin(Stdio::null());
    command
}

fn exists(program: &str, arguments: &[&str]) -> bool {
    let mut probe = Command::new(program);
    probe
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// What a program has written, once it has ended well.
#[track_caller]
fn output(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success(),
        "{command:?} ended with {status}\n{stdout}\n{stderr}"
    );
    stdout
}

#[test]
fn psql_connects_and_queries() {
    if !exists("psql", &["--version"]) {
        return skip("psql");
    }
    for auth in ["trust", "cleartext", "md5", "scram-sha-256"] {
        let server = server(json!({"auth": auth, "password": "secret", "preload": ["items"]}));
        let mut psql = command("psql", &server);
        psql.args([
            "-X",
            "-A",
            "-c",
            "\\conninfo",
            "-c",
            "SELECT name, quantity FROM items WHERE id = 42",
        ]);
        let said = output(&mut psql);
        for expected in ["as user \"tester\"", "name|quantity\nitem 42|94\n(1 row)"] {
            assert!(
                said.contains(expected),
                "no {expected:?} under {auth} in\n{said}"
            );
        }
        server.stop().unwrap();
    }
}

/// Goal: libpq verifies the certificate of the ready line, name included, and everything after is encrypted.
#[test]
fn psql_connects_over_tls_and_verifies_the_server() {
    if !exists("psql", &["--version"]) {
        return skip("psql");
    }
    let options = ServeOptions {
        tls: true,
        ..ServeOptions::default()
    };
    let server = Server::start_with("postgres", options);
    let file = std::env::temp_dir().join(format!("photofinish-{}.pem", std::process::id()));
    let certificate = server.ready.certificate.as_deref().unwrap();
    std::fs::write(&file, certificate).unwrap();
    let mut psql = command("psql", &server);
    psql.env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", &file);
    psql.args(["-X", "-A", "-c", "\\conninfo", "-c", "SELECT 1 AS one"]);
    let said = output(&mut psql);
    std::fs::remove_file(&file).unwrap();
    for expected in ["SSL connection (protocol: TLSv1.3", "one\n1\n(1 row)"] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
    server.stop().unwrap();
}

#[test]
fn pgbench_runs_in_its_three_modes_and_the_counts_are_its_own() {
    if !exists("pgbench", &["--version"]) {
        return skip("pgbench");
    }
    for mode in ["simple", "extended", "prepared"] {
        let mut server = server(json!({"preload": ["pgbench"]}));
        let select = output(
            command("pgbench", &server).args(["-n", "-S", "-M", mode, "-c", "4", "-t", "25"]),
        );
        assert!(select.contains("actually processed: 100/100"), "{select}");
        let counts = server.counts_when(|counts| counts.open_connections == Some(0));
        // One select per transaction, and two queries about its tables before.
        let asked_before = counts.statements.unwrap() - 100;
        assert!(
            (1..=3).contains(&asked_before),
            "{asked_before} statements before the benchmark under {mode}"
        );
        let full =
            output(command("pgbench", &server).args(["-n", "-M", mode, "-c", "4", "-t", "10"]));
        assert!(full.contains("actually processed: 40/40"), "{full}");
        let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), (SELECT count(*) FROM pgbench_history)";
        if exists("psql", &["--version"]) {
            let said = output(command("psql", &server).args(["-X", "-A", "-t", "-c", sums]));
            assert_eq!(said.trim(), "t|40");
        }
        server.stop().unwrap();
    }
}

/// Makes pgbench's tables as pgbench does, with the rows generated on the server.
#[test]
fn pgbench_makes_its_own_tables() {
    if !exists("pgbench", &["--version"]) {
        return skip("pgbench");
    }
    let server = server(json!({}));
    output(command("pgbench", &server).args(["-i", "-I", "dtGvp", "-q"]));
    let full = output(command("pgbench", &server).args(["-c", "2", "-t", "10"]));
    assert!(full.contains("actually processed: 20/20"), "{full}");
    server.stop().unwrap();
}

const PYTHON: &str = r#"
import psycopg
from psycopg import errors
with psycopg.connect("") as c:
    c.execute("create table p(id serial primary key, n text unique, i int8, f float8, b bytea, ok bool, t timestamptz)")
    values = ("name", 2**40, 1.5, b"\x00\xff", True, None)
    for binary in (False, True):
        cursor = c.cursor(binary=binary)
        cursor.execute("delete from p")
        cursor.execute("insert into p(n,i,f,b,ok,t) values (%s,%s,%s,%s,%s,%s) returning id", values)
        id, = cursor.fetchone()
        cursor.execute("select n,i,f,b,ok,t from p where id = %s", (id,))
        assert cursor.fetchone() == values, (binary, values)
        cursor.execute("select count(*), sum(i), 1, 'x', i is null from p group by i")
        assert cursor.fetchone() == (1, 2**40, 1, "x", False)
    c.execute("update p set t = %s", ("2024-01-02 03:04:05+00",))
    assert c.execute("select t from p").fetchone() == ("2024-01-02 03:04:05+00",)
    c.commit()
    try:
        c.execute("insert into p(n) values ('name')")
        raise AssertionError("a duplicate was taken")
    except errors.UniqueViolation as e:
        assert e.diag.constraint_name == "p_n_key", e.diag.constraint_name
    c.rollback()
    try:
        with c.transaction():
            c.execute("delete from p")
            raise KeyError
    except KeyError:
        pass
    for _ in range(8):
        assert c.execute("select count(*) from p where n = %s", ("name",)).fetchone() == (1,)
    with c.transaction(), c.transaction():
        c.execute("update p set n = 'nested'")
    with c.pipeline():
        a, b = c.execute("select 1"), c.execute("select 2")
        assert (a.fetchone(), b.fetchone()) == ((1,), (2,))
    try:
        c.execute("select array[1]")
        raise AssertionError("an array was taken")
    except errors.FeatureNotSupported as e:
        assert "db=local" in e.diag.message_hint
print("fine")
"#;

#[test]
fn psycopg_connects_and_queries() {
    if !exists("python3", &["-c", "import psycopg"]) {
        return skip("python3 with psycopg");
    }
    let server = server(json!({"auth": "scram-sha-256", "password": "secret"}));
    let said = output(command("python3", &server).args(["-c", PYTHON]));
    assert_eq!(said.trim(), "fine");
    server.stop().unwrap();
}

const ASYNCPG: &str = r#"
import asyncio, asyncpg
async def main():
    c = await asyncpg.connect()
    await c.execute("create table a(id int primary key, n float8, s text, b bytea, ok bool)")
    await c.executemany("insert into a values ($1, $2, $3, $4, $5)", [(i, i / 4, str(i), bytes([i]), i > 4) for i in range(10)])
    assert await c.fetchval("select sum(n) from a") == 11.25
    assert await c.fetchval("select count(*) from a where n >= $1 and s <> $2", 1.0, "7") == 5
    row = await c.fetchrow("select * from a where id = $1", 7)
    assert dict(row) == {"id": 7, "n": 1.75, "s": "7", "b": b"\x07", "ok": True}, row
    assert [r["id"] for r in await c.fetch("select id from a where id in ($1, $2) order by 1", 3, 1)] == [1, 3]
    try:
        async with c.transaction():
            await c.execute("delete from a")
            await c.execute("insert into a(id) values (1), (1)")
    except asyncpg.UniqueViolationError as e:
        assert e.table_name == "a"
    async with c.transaction(isolation="serializable"):
        async with c.transaction():
            assert await c.fetchval("select count(*) from a") == 10
    await c.close()
    async with asyncpg.create_pool(min_size=2, max_size=2) as pool:
        assert await asyncio.gather(*(pool.fetchval("select $1::int", i) for i in range(6))) == list(range(6))
    print("fine")
asyncio.run(main())
"#;

#[test]
fn asyncpg_connects_and_queries() {
    if !exists("python3", &["-c", "import asyncpg"]) {
        return skip("python3 with asyncpg");
    }
    let server = server(json!({"auth": "md5", "password": "secret"}));
    let said = output(command("python3", &server).args(["-c", ASYNCPG]));
    assert_eq!(said.trim(), "fine");
    server.stop().unwrap();
}

const NODE: &str = r#"
const assert = require('assert');
const { Client, Pool } = require('pg');
(async () => {
  const c = new Client(); await c.connect();
  await c.query('create table n(id serial primary key, name text, f float8, ok bool, d timestamp, by bytea)');
  const values = ['hi', 1.5, true, '2024-01-02 03:04:05', Buffer.from([1, 255])];
  const { rows: [row] } = await c.query('insert into n(name,f,ok,d,by) values($1,$2,$3,$4,$5) returning *', values);
  assert.deepStrictEqual([row.name, row.f, row.ok, row.d, row.by], values);
  assert.strictEqual(row.id, 1);
  await assert.rejects(c.query('insert into n(id) values(1)'), { code: '23505', constraint: 'n_pkey' });
  await assert.rejects(c.query('select * from nope'), { code: '42P01' });
  await assert.rejects(c.query('listen x'), { code: '0A000', hint: 'use --target db=local for a real PostgreSQL' });
  await c.query('begin'); await c.query('update n set name = $1', ['no']); await c.query('rollback');
  for (const id of [1, 1]) {
    const named = { name: 'by id', text: 'select name from n where id = $1', values: [id] };
    assert.deepStrictEqual((await c.query(named)).rows, [{ name: 'hi' }]);
  }
  await c.end();
  const p = new Pool({ max: 5 });
  const counts = await Promise.all([1, 2, 3].map(() => p.query('select count(*) from n')));
  assert.deepStrictEqual(counts.map(r => r.rows[0].count), ['1', '1', '1']);
  await p.end();
  console.log('fine');
})().catch(e => { console.error(e); process.exit(1); });
"#;

#[test]
fn node_pg_connects_and_queries() {
    if !exists("node", &["-e", "require('pg')"]) {
        return skip("node with pg (found through NODE_PATH)");
    }
    let server = server(json!({"auth": "scram-sha-256", "password": "secret"}));
    let said = output(command("node", &server).args(["-e", NODE]));
    assert_eq!(said.trim(), "fine");
    server.stop().unwrap();
}
