//! What a transaction allocates once its buffers have grown: nothing, under each protocol.
//!
//! Under `sync`, whose sessions run on the thread that counts; the code of an operation is the same under every runtime.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::time::Duration;

use allocation_counter::measure;
use photofinish_harness::observed::Observed;
use photofinish_harness::parts::Parts;
use photofinish_harness::runtime::{Runtime, RuntimeConfig};
use photofinish_harness::runtimes::{Visitor, with_runtime};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Env, RoundEnv, Workload as _};
use photofinish_record::load::Stop;
use photofinish_record::protocol::TargetAddress;
use serde_json::json;

use super::super::db_connection::TARGET;
use super::{Params, Sql};

/// A server that takes every statement for one with an `int4` and a text, and answers that it changed one row.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&client));
        }
    });
    format!("postgres://ann@{address}/shop")
}

fn serve(mut client: &TcpStream) -> Option<()> {
    let body = |mut client: &TcpStream| {
        let mut length = [0; 4];
        client.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        client.read_exact(&mut body).ok().map(|()| body)
    };
    body(client)?;
    let ready = b"Z\0\0\0\x05I";
    client.write_all(b"R\0\0\0\x08\0\0\0\0").ok()?;
    client.write_all(ready).ok()?;
    let mut answer = Vec::new();
    loop {
        let mut tag = [0];
        client.read_exact(&mut tag).ok()?;
        let body = body(client)?;
        answer.extend_from_slice(match tag[0] {
            b'P' => b"1\0\0\0\x04",
            // The second and third of four statements.
            b'D' if body.ends_with(b"_1\0") || body.ends_with(b"_2\0") => {
                b"t\0\0\0\x0e\0\x02\0\0\0\x17\0\0\0\x19n\0\0\0\x04"
            }
            b'D' => b"t\0\0\0\x06\0\0n\0\0\0\x04",
            b'B' => b"2\0\0\0\x04",
            b'E' => b"C\0\0\0\x0dUPDATE 1\0",
            b'Q' => b"C\0\0\0\x0dUPDATE 1\0Z\0\0\0\x05I",
            b'S' => ready,
            _ => return None,
        });
        if matches!(tag[0], b'Q' | b'S') {
            client.write_all(&answer).ok()?;
            answer.clear();
        }
    }
}

struct Count(Params, String);

impl Visitor for Count {
    /// Allocations of one operation, and of a hundred.
    type Output = [u64; 2];

    fn visit<R: Runtime>(self, runtime: R) -> [u64; 2] {
        let Self(params, url) = self;
        let sql = Sql::new(params, Duration::from_millis(1)).expect("sound parameters");
        let address = TargetAddress {
            url,
            address: None,
            mock: false,
            tls: None,
        };
        let env: Env<R> = Env::from(RoundEnv {
            runtime: runtime.clone(),
            seed: 1,
            concurrency: 1,
            targets: [(TARGET.to_owned(), address)].into(),
            work_dir: Default::default(),
            directory: Default::default(),
            run: "a-run".to_owned(),
            round: 1,
            warmup: Stop::after(Duration::from_secs(1)),
            traffic: [(TARGET.to_owned(), TrafficCounter::default())].into(),
            observed: Observed::default(),
            memo: Default::default(),
            parts: Parts::new(sql.parts(), NonZeroU32::MIN).expect("parts"),
        });
        runtime.block_on(async {
            let shared = sql.prepare(&env).await.expect("prepared");
            let env = env.share(shared);
            let mut session = sql.open(&env, 0).await.expect("open");
            let mut op = 0;
            let mut operations = |count: u64| {
                let allocations = measure(|| {
                    for _ in 0..count {
                        runtime
                            .block_on(sql.operate(&env, &mut session, op))
                            .expect("a success");
                        op += 1;
                    }
                });
                allocations.count_total
            };
            operations(100);
            [operations(1), operations(100)]
        })
    }
}

#[test]
fn a_transaction_of_several_statements_allocates_nothing() {
    let url = server();
    for (protocol, pipeline) in [("prepared", false), ("prepared", true), ("simple", false)] {
        let update = "UPDATE a SET b = :id, c = :note";
        let params = json!({
            "sql": { "protocol": protocol },
            "draw": { "id": { "from": 1, "to": 1000 }, "note": { "text": 64 } },
            "transaction": [{
                "statements": ["SELECT 1", update, update, "SELECT 2"], "transaction": pipeline, "pipeline": pipeline,
                "expect": { "rows": [1, 1, 1, 1] },
            }],
        });
        let params: Params = serde_json::from_value(params).expect("parameters");
        let config = RuntimeConfig {
            worker_threads: NonZeroU32::MIN,
        };
        let counted = with_runtime("sync", config, Count(params, url.clone()));
        assert_eq!(counted.expect("it runs"), [0, 0], "{protocol} {pipeline}");
    }
}
