//! PostgreSQL clients: pgbench's own transactions, by protocol and number of clients.

use super::{COMPIO, Comparison, FLOORS, Group, beside_rivals};
use crate::work::{Protocol, SqlServer, SqlWork, Transaction, Work};

/// The best of these by its median rate is the reference.
const CANDIDATES: [&str; 3] = ["tokio-current-thread", "threads", COMPIO];

pub(super) fn comparisons() -> Vec<Comparison> {
    let mut all = Vec::new();
    for protocol in [Protocol::Simple, Protocol::Extended, Protocol::Prepared] {
        all.extend(
            [1, 16, 64].map(|clients| comparison(Transaction::SelectByKey, protocol, clients)),
        );
    }
    all.extend(
        [1, 16, 64].map(|clients| comparison(Transaction::Insert, Protocol::Prepared, clients)),
    );
    all.extend([1, 16].map(|clients| comparison(Transaction::TpcB, Protocol::Prepared, clients)));
    all
}

fn comparison(transaction: Transaction, protocol: Protocol, clients: u32) -> Comparison {
    let work = Work::Sql(SqlWork {
        server: SqlServer::Postgres,
        transaction,
        protocol,
        clients,
    });
    let (name, title) = match transaction {
        Transaction::SelectByKey => ("select", "SELECT by key"),
        Transaction::Insert => ("insert", "INSERT of a row"),
        Transaction::TpcB => ("tpcb", "TPC-B"),
        Transaction::Item => ("item", "An item by its key"),
    };
    let plural = if clients == 1 { "client" } else { "clients" };
    Comparison {
        group: Group::Postgres,
        id: format!("postgres-{name}-{}-{clients}", protocol.name()),
        title: format!("{title}, {}, {clients} {plural}", protocol.name()),
        contestants: beside_rivals(work, &CANDIDATES, &FLOORS),
        note: None,
    }
}
