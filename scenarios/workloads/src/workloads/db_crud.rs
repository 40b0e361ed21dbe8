//! `db-crud`: create the table if absent, insert returning the id, select it, then several concurrent inserts.
//!
//! Over a round, ids are unique and, if nothing failed, contiguous from 1, since the schema is new. Each of the
//! concurrent inserts has its own connection.

use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use super::db_connection::{Connection, INT4, Statement, TARGET, TEXT};
use super::db_schema::Schema;
use super::params::{count, params, require_at_most};
use super::parts::each_in_slot;
use super::request_count::wrong_requests;
use super::tallies::ensure;
use crate::protocol::postgres::{Parameter, Row};

#[derive(Debug)]
pub struct DbCrud {
    inserts: NonZeroU32,
    schema: Schema,
    /// [`CREATE_IF_ABSENT`], in the schema.
    create_if_absent: String,
}

params! {
    /// Inserts made at once, each over a connection of its own; 100 at most.
    inserts: NonZeroU32 = count(5),
}

const CREATE_IF_ABSENT: &str = "CREATE TABLE IF NOT EXISTS {schema}.entries \
     (id SERIAL PRIMARY KEY, label TEXT NOT NULL, amount INTEGER NOT NULL)";

const INSERT: Statement = Statement {
    name: "insert_entry",
    sql: "INSERT INTO {schema}.entries (label, amount) VALUES ($1, $2) RETURNING id",
    parameter_oids: &[TEXT, INT4],
};

const SELECT: Statement = Statement {
    name: "entry_by_id",
    sql: "SELECT id, label, amount FROM {schema}.entries WHERE id = $1",
    parameter_oids: &[INT4],
};

const TALLY: &str =
    "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id), SUM(amount) FROM {schema}.entries";

/// One connection for each concurrent insert; the first one does the rest as well.
pub struct Session<R: Runtime> {
    /// `None` only while an insert is in flight, and after one has panicked.
    connections: Vec<Option<Connection<R>>>,
}

impl Workload for DbCrud {
    const ABOUT: About = About {
        name: "db-crud",
        class: "database",
        operation: "create a table if absent, insert, select, concurrent inserts; ids and rows checked",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = ();
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let inserts = params.inserts;
        require_at_most("inserts", inserts.get(), 100)?;
        let schema = Schema::new();
        Ok(Self {
            inserts,
            create_if_absent: schema.qualify(CREATE_IF_ABSENT),
            schema,
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        // "If absent" is not safe against concurrent use in PostgreSQL: one of several simultaneous statements may
        // fail. So the table is created here, and the operations find it.
        self.schema.create(env, &[CREATE_IF_ABSENT]).await
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<Session<R>, Failure> {
        let mut connections = Vec::with_capacity(self.inserts.get() as usize);
        for _ in 0..self.inserts.get() {
            let connection = Connection::open(env, self.schema.name(), &[INSERT, SELECT]).await;
            connections.push(Some(connection.map_err(|failure| self.counted(failure))?));
        }
        Ok(Session { connections })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session<R>,
        op: u64,
    ) -> Result<(), Failure> {
        let connect = || Connection::new(env, self.schema.name(), &[INSERT, SELECT]);
        let first = match &mut session.connections[0] {
            Some(first) => first,
            empty => empty.insert(connect()?),
        };
        first.ensure_connected().await?;
        first.run(&self.create_if_absent).await?;
        let label = format!("operation {op}");
        let id = insert(first, &label, 0).await?;
        select(first, id, &label, 0).await?;
        let part = |mut connection: Connection<R>, amount| {
            let label = label.clone();
            async move {
                let inserted = connect_and_insert(&mut connection, &label, amount).await;
                (connection, inserted)
            }
        };
        each_in_slot(&env.runtime, &mut session.connections, 1.., connect, part)
            .await
            .map(drop)
    }

    async fn close<R: Runtime>(&self, _: &Env<R>, session: &mut Session<R>) {
        for connection in session.connections.iter_mut().flatten() {
            connection.close().await;
        }
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        // In addition to the concurrent inserts: the table, an insert and its select.
        let requests = u64::from(self.inserts.get()) + 3;
        wrong_requests(totals, TARGET, requests)
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let mut connection = Connection::open(env, self.schema.name(), &[]).await?;
        let mut tally = [None; 5];
        let mut keep = |row: Row<'_>| tally = std::array::from_fn(|index| row.number(index));
        connection
            .query(&self.schema.qualify(TALLY), &mut keep)
            .await?;
        connection.close().await;
        self.schema.remove(env).await?;
        Ok(judge(tally, totals, self.inserts.get().into()))
    }

    async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        self.schema.abandon(env).await;
    }
}

impl DbCrud {
    /// Adds the number of connections per session to the advice for a server that has no more connections.
    fn counted(&self, failure: Failure) -> Failure {
        let each = self.inserts;
        match &failure.hint {
            Some(hint) => {
                let hint =
                    format!("each session has {each} connections (--set inserts={each}); {hint}");
                failure.hint(hint)
            }
            None => failure,
        }
    }
}

async fn insert<R: Runtime>(
    connection: &mut Connection<R>,
    label: &str,
    amount: i32,
) -> Result<i32, Failure> {
    let mut id = None;
    let mut keep = |row: Row<'_>| id = row.number(0);
    let parameters = [Parameter::Text(label), Parameter::Int4(amount)];
    connection.execute(&INSERT, &parameters, &mut keep).await?;
    id.ok_or_else(|| Failure::wrong_content("INSERT … RETURNING gave no id"))
}

async fn select<R: Runtime>(
    connection: &mut Connection<R>,
    id: i32,
    label: &str,
    amount: i32,
) -> Result<(), Failure> {
    let expected = [id.to_string(), label.to_owned(), amount.to_string()];
    let mut is_right = false;
    let mut check = |row: Row<'_>| is_right = row.equals(&expected);
    connection
        .execute(&SELECT, &[Parameter::Int4(id)], &mut check)
        .await?;
    ensure(is_right, || format!("entry {id} is not as it was inserted"))
}

async fn connect_and_insert<R: Runtime>(
    connection: &mut Connection<R>,
    label: &str,
    amount: i32,
) -> Result<i32, Failure> {
    connection.ensure_connected().await?;
    insert(connection, label, amount).await
}

/// Violations by the table at the end of a round whose operations each made `at_once` inserts in addition to the first.
fn judge(tally: [Option<u64>; 5], totals: &Totals, at_once: u64) -> Vec<String> {
    let expected = totals.succeeded * (at_once + 1);
    let [Some(count), Some(distinct), lowest, highest, sum] = tally else {
        return vec![format!("the tally of entries cannot be read: {tally:?}")];
    };
    let mut violations = Vec::new();
    if count != distinct {
        violations.push(format!(
            "{count} entries have only {distinct} different ids"
        ));
    }
    if totals.failed == 0 && count != expected {
        violations.push(format!("expected {expected} entries, got {count}"));
    }
    // The first one has the amount 0, the others are numbered from 1.
    let expected_sum = totals.succeeded * at_once * (at_once + 1) / 2;
    if totals.failed == 0 && expected > 0 && sum != Some(expected_sum) {
        violations.push(format!(
            "expected a sum of {expected_sum} over all amounts, got {sum:?}"
        ));
    }
    if totals.failed == 0 && expected > 0 && (lowest, highest) != (Some(1), Some(expected)) {
        violations.push(format!(
            "expected ids from 1 to {expected}, got {lowest:?} to {highest:?}"
        ));
    }
    violations
}

#[cfg(test)]
mod tests {
    use photofinish_record::Traffic;

    use super::super::tallies::totals;
    use super::*;

    #[test]
    fn lost_duplicate_and_skipped_ids_and_changed_amounts_are_caught() {
        let check = |tally: [u64; 5], failed: u64, expected: usize| {
            let totals = totals(2, failed, TARGET, Traffic::default());
            let violations = judge(tally.map(Some), &totals, 2);
            assert_eq!(violations.len(), expected, "{tally:?}: {violations:?}");
        };
        check([6, 6, 1, 6, 6], 0, 0);
        check([5, 5, 1, 5, 6], 0, 2);
        check([6, 5, 1, 6, 6], 0, 1);
        check([6, 6, 1, 7, 6], 0, 1);
        check([6, 6, 2, 7, 6], 0, 1);
        check([6, 6, 1, 6, 4], 0, 1);
        // A failed operation may have inserted some of its rows, or consumed an id.
        check([7, 7, 1, 9, 7], 1, 0);
        check([7, 6, 1, 9, 7], 1, 1);
    }

    #[test]
    fn a_tally_that_cannot_be_read_is_a_violation() {
        let totals = Totals::default();
        assert_eq!(judge([None; 5], &totals, 6).len(), 1);
        let empty = [Some(0), Some(0), None, None, None];
        assert_eq!(judge(empty, &totals, 6), [""; 0]);
    }
}
