//! `db-select`: one prepared SELECT by a seeded random key.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};
use photofinish_record::draw::draw_below;

use super::db_connection::{Connection, INT4, Statement, TARGET};
use super::db_schema::Schema;
use super::params::{count, params, require_at_most};
use super::request_count::wrong_requests;
use super::tallies::ensure;
use crate::protocol::postgres::{Parameter, Row};

#[derive(Debug)]
pub struct DbSelect {
    rows: NonZeroU32,
    schema: Schema,
}

params! {
    /// Rows of the table, 1,000,000 at most; keys are drawn from all of them.
    rows: NonZeroU32 = count(10_000),
}

/// Number of different quantities.
const QUANTITIES: u32 = 97;

const CREATE: &str = "CREATE TABLE {schema}.items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, quantity INTEGER NOT NULL)";

const SELECT: Statement = Statement {
    name: "item_by_id",
    sql: "SELECT id, name, quantity FROM {schema}.items WHERE id = $1",
    parameter_oids: &[INT4],
};

/// A connection, and the row it expects next.
pub struct Session<R: Runtime> {
    connection: Connection<R>,
    expected: [String; 3],
}

impl Workload for DbSelect {
    const ABOUT: About = About {
        name: "db-select",
        class: "database",
        operation: "one prepared SELECT by key; row checked",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = ();
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let rows = params.rows;
        require_at_most("rows", rows.get(), 1_000_000)?;
        let schema = Schema::new();
        Ok(Self { rows, schema })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        let fill = format!(
            "INSERT INTO {{schema}}.items (id, name, quantity) SELECT n, 'item ' || n, n % {QUANTITIES} \
             FROM generate_series(1, {}) AS n",
            self.rows
        );
        self.schema.create(env, &[CREATE, &fill]).await
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<Session<R>, Failure> {
        let connection = Connection::open(env, self.schema.name(), &[SELECT]).await?;
        Ok(Session {
            connection,
            expected: Default::default(),
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session<R>,
        op: u64,
    ) -> Result<(), Failure> {
        let Session {
            connection,
            expected,
        } = session;
        connection.ensure_connected().await?;
        let below = draw_below(env.seed, op, u64::from(self.rows.get()));
        let id = u32::try_from(below).expect("below a u32") + 1;
        expect_item(expected, id);
        let mut is_right = false;
        let mut check = |row: Row<'_>| is_right = row.equals(expected);
        let key = Parameter::Int4(id.cast_signed());
        let rows = connection.execute(&SELECT, &[key], &mut check).await?.rows;
        ensure(rows == 1 && is_right, || {
            format!("SELECT of id {id} gave {rows} rows, which are not the one that was inserted")
        })
    }

    async fn close<R: Runtime>(&self, _: &Env<R>, session: &mut Session<R>) {
        session.connection.close().await;
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, 1)
    }

    async fn finish<R: Runtime>(&self, env: &Env<R>, _: &Totals) -> Result<Vec<String>, Failure> {
        self.schema.remove(env).await.map(|()| Vec::new())
    }

    async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        self.schema.abandon(env).await;
    }
}

/// Rewrites the expected cells in place, reusing their capacity.
fn expect_item(expected: &mut [String; 3], id: u32) {
    let [id_cell, name, quantity_cell] = expected;
    let rewrite = |cell: &mut String, value: std::fmt::Arguments<'_>| {
        cell.clear();
        cell.write_fmt(value)
            .expect("writing to memory cannot fail");
    };
    rewrite(id_cell, format_args!("{id}"));
    rewrite(name, format_args!("item {id}"));
    rewrite(quantity_cell, format_args!("{}", id % QUANTITIES));
}
