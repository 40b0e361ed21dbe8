//! Lanes in other languages beside plain scripts: what the lane adds to its client library.

use super::{Comparison, Contestant, Generator, Group, Role};
use crate::photofinish::Ours;
use crate::scripts::{self, Script};
use crate::work::{
    FileAccess, FileWork, HttpServer, HttpWork, Protocol, SqlServer, SqlWork, Transaction, Work,
    WsWork,
};

/// Sessions of the lanes that have more than one.
const SESSIONS: u32 = 16;

pub(super) fn comparisons() -> Vec<Comparison> {
    let http = |connections| Work::Http(HttpWork::new(HttpServer::Nginx, connections));
    let item = Work::Sql(SqlWork {
        server: SqlServer::Postgres,
        transaction: Transaction::Item,
        protocol: Protocol::Prepared,
        clients: SESSIONS,
    });
    let file = Work::File(FileWork {
        access: FileAccess::Whole { kib: 64 },
        depth: SESSIONS,
    });
    let ws = Work::Ws(WsWork {
        connections: SESSIONS,
    });
    let (get, echo) = ("GET of 13 B from nginx", "A message and its echo");
    vec![
        beside("python-sync", &scripts::HTTP_CLIENT, get, http(1)),
        beside("aiohttp", &scripts::AIOHTTP, get, http(SESSIONS)),
        beside("uvloop", &scripts::UVLOOP, get, http(SESSIONS)),
        beside("aiohttp", &scripts::ASYNCPG, "An item by its key", item),
        beside("aiohttp", &scripts::AIOFILES, "Read a 64 KiB file", file),
        beside("aiohttp", &scripts::WEBSOCKETS, echo, ws),
        beside("node", &scripts::NODE_HTTP, get, http(SESSIONS)),
        beside("go", &scripts::GO_HTTP, get, http(SESSIONS)),
    ]
}

fn beside(lane: &'static str, script: &'static Script, operation: &str, work: Work) -> Comparison {
    let (library, _) = script.name.split_once(' ').unwrap_or((script.name, ""));
    let id = library.replace([':', '/', '.'], "-");
    Comparison {
        group: Group::Lanes,
        id: format!("lane-{id}"),
        title: format!("{operation}: the lane {lane} beside a script with {library}"),
        contestants: vec![
            Contestant::ours(Ours::new(lane), Role::Candidate, work),
            Contestant {
                name: script.name.to_owned(),
                generator: Generator::Script(script),
                work,
                role: Role::Other,
            },
        ],
        note: None,
    }
}
