//! Allocations of a transaction once its buffers have grown: none, under each protocol.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use super::Sql;
use crate::workloads::allocation_count::allocations;
use crate::workloads::db_connection::TARGET;

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
        let counted = allocations::<Sql>(params, TARGET, &url);
        assert_eq!(counted, [0, 0], "{protocol} {pipeline}");
    }
}
