//! What an operation allocates once its buffers have grown: nothing, with slots, checks, captures and cookies.
//!
//! Under `sync`, whose sessions run on the thread that counts; the code of an operation is the same under every runtime.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
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

use super::super::http_connection::TARGET;
use super::{Http, Params};

/// Answers each request with a token and a cookie, always the same.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || while answer(&client).is_some() {});
        }
    });
    format!("http://{address}")
}

fn answer(mut client: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            None if line == "\r\n" => break,
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let body = r#"{"token": "a \"b\"", "n": [1, 2.5]}"#;
    let head = format!(
        "set-cookie: sid=1; Path=/\r\netag: x\r\ncontent-length: {}",
        body.len()
    );
    client
        .write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes())
        .ok()
}

struct Count(Params, String);

impl Visitor for Count {
    /// Allocations of one operation, and of a hundred.
    type Output = [u64; 2];

    fn visit<R: Runtime>(self, runtime: R) -> [u64; 2] {
        let Self(params, url) = self;
        let http = Http::new(params, Duration::from_millis(1)).expect("sound parameters");
        let address = TargetAddress {
            url,
            address: None,
            mock: false,
            tls: None,
        };
        let one = NonZeroU32::MIN;
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
            memo: Default::default(),
            observed: Observed::default(),
            parts: Parts::new(http.parts(), one).expect("parts"),
        });
        runtime.block_on(async {
            let shared = http.prepare(&env).await.expect("prepared");
            let env = env.share(shared);
            let mut session = http.open(&env, 0).await.expect("open");
            let mut op = 0;
            let mut operations = |count: u64| {
                let allocations = measure(|| {
                    for _ in 0..count {
                        runtime
                            .block_on(http.operate(&env, &mut session, op))
                            .expect("a success");
                        op += 1;
                    }
                });
                allocations.count_total
            };
            operations(300);
            [operations(1), operations(100)]
        })
    }
}

#[test]
fn an_operation_with_slots_checks_captures_and_cookies_allocates_nothing() {
    let params = json!({
        "http": { "cookies": true, "headers": { "x-run": "{{run}}-{{round}}-{{op}}" } },
        "draw": { "id": { "distribution": "zipf", "from": 1, "to": 1000, "exponent": 1.1 }, "note": { "text": 64 } },
        "request": [{ "send": "GET /fixed" }],
        "flow": [{ "weight": 3, "request": [
            { "send": "PUT /{{id}}?n={{note}}", "json": { "note": "{{note}}", "id": "{{id|raw}}" },
              "expect": { "json": { "/n/0": 1, "/token": "a \"b\"" }, "header": { "etag": "x" }, "text": "2.5" },
              "capture": { "token": "json /token", "tag": "header etag", "sid": "cookie sid" } },
            { "send": "POST /x", "headers": { "if-match": "{{tag}}" }, "form": { "t": "{{token}} {{sid}}" }, "expect": { "bytes": 35 } },
        ] }],
    });
    let params: Params = serde_json::from_value(params).expect("parameters");
    let config = RuntimeConfig {
        worker_threads: NonZeroU32::MIN,
    };
    let counted = with_runtime("sync", config, Count(params, server()));
    assert_eq!(counted.expect("it runs"), [0, 0]);
}
