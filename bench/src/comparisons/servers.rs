//! Embedded servers beside real ones, each under the same generator: how far a mock is from what it stands for.

use super::{Comparison, Contestant, Group, Role};
use crate::rivals;
use crate::work::{HttpServer, HttpWork, Page, Protocol, SqlServer, SqlWork, Transaction, Work};

pub(super) fn comparisons() -> Vec<Comparison> {
    let mut all = vec![http()];
    for protocol in [Protocol::Simple, Protocol::Prepared] {
        all.extend([1, 16].map(|clients| sql(protocol, clients)));
    }
    all
}

fn http() -> Comparison {
    let under_wrk = |name, server, role| {
        let work = Work::Http(HttpWork {
            page: Page::Bytes64,
            ..HttpWork::new(server, 64)
        });
        Contestant {
            role,
            ..Contestant::rival(rivals::named("wrk"), work).named(name)
        }
    };
    Comparison {
        group: Group::Servers,
        id: "servers-http".to_owned(),
        title: "The embedded HTTP server and nginx under wrk, 64 B, 64 connections".to_owned(),
        contestants: vec![
            under_wrk("mock `http`", HttpServer::Mock, Role::Candidate),
            under_wrk("nginx", HttpServer::Nginx, Role::Other),
        ],
        note: Some("CPU time is that of the generator"),
    }
}

fn sql(protocol: Protocol, clients: u32) -> Comparison {
    let under_pgbench = |name, server, role| {
        let work = Work::Sql(SqlWork {
            server,
            transaction: Transaction::SelectByKey,
            protocol,
            clients,
        });
        Contestant {
            role,
            ..Contestant::rival(rivals::named("pgbench"), work).named(name)
        }
    };
    let protocol_name = protocol.name();
    Comparison {
        group: Group::Servers,
        id: format!("servers-postgres-{protocol_name}-{clients}"),
        title: format!(
            "The embedded `postgres` and PostgreSQL under pgbench -S, {protocol_name}, {clients} at once"
        ),
        contestants: vec![
            under_pgbench("mock `postgres`", SqlServer::Mock, Role::Candidate),
            under_pgbench("PostgreSQL", SqlServer::Postgres, Role::Other),
        ],
        note: Some(
            "The mock's tables have scale 1, PostgreSQL's scale 10. CPU time is that of the generator",
        ),
    }
}
