//! `db-transaction`: a transfer between two accounts in a transaction: BEGIN, two UPDATEs, COMMIT, an exchange each.
//!
//! The row with the lower id is changed first, whichever way the money goes: transfers that need the same two rows wait
//! for each other in one order, so they cannot deadlock, and nothing is retried. Under PostgreSQL's default isolation
//! each UPDATE works on the balance as last committed, so none is lost. The worker keeps books of its commits; at the
//! end of the round the server's accounts must agree with them.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};
use photofinish_record::draw::{draw, draw_below};

use super::db_connection::{Connection, INT4, Statement, TARGET};
use super::db_schema::Schema;
use super::params::{count, params, require};
use super::request_count::wrong_requests;
use super::tallies::ensure;
use crate::protocol::postgres::{Outcome, Parameter, Row, TransactionStatus};

#[derive(Debug)]
pub struct DbTransaction {
    accounts: NonZeroU32,
    books: Books,
    schema: Schema,
}

params! {
    /// Accounts, from 2 to 100,000; the fewer there are, the more often transfers wait for one another.
    accounts: NonZeroU32 = count(100),
}

/// BEGIN, two UPDATEs, COMMIT.
const EXCHANGES: u64 = 4;

/// The balance of each account at the start.
const INITIAL_BALANCE: i64 = 1_000;

/// The most that is transferred at once. Balances may become negative: overdrafts are not the subject.
const MOST_TRANSFERRED: u64 = 100;

const CREATE: &str =
    "CREATE TABLE {schema}.accounts (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)";

const CHANGE: Statement = Statement {
    name: "change_balance",
    sql: "UPDATE {schema}.accounts SET balance = balance + $1 WHERE id = $2",
    parameter_oids: &[INT4, INT4],
};

const SUM: &str = "SELECT SUM(balance) FROM {schema}.accounts";

const BALANCES: &str = "SELECT balance FROM {schema}.accounts ORDER BY id";

impl Workload for DbTransaction {
    const ABOUT: About = About {
        name: "db-transaction",
        class: "database",
        operation: "a transfer between two accounts in a transaction; the sum must not change",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = ();
    type Session<R: Runtime> = Connection<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let accounts = params.accounts;
        let sound = (2..=100_000).contains(&accounts.get());
        require(sound, "accounts", || {
            format!("{accounts} is not from 2 to 100,000")
        })?;
        let books = Books::new(accounts);
        Ok(Self {
            accounts,
            books,
            schema: Schema::new(),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        let accounts = self.accounts;
        let fill = format!(
            "INSERT INTO {{schema}}.accounts (id, balance) SELECT n, {INITIAL_BALANCE} FROM generate_series(1, {accounts}) AS n"
        );
        self.schema.create(env, &[CREATE, &fill]).await
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<Connection<R>, Failure> {
        Connection::open(env, self.schema.name(), &[CHANGE]).await
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        connection: &mut Connection<R>,
        op: u64,
    ) -> Result<(), Failure> {
        connection.ensure_connected().await?;
        let transfer = Transfer::drawn(env.seed, op, self.accounts);
        connection.run("BEGIN").await?;
        if let Err(failure) = apply(connection, &transfer).await {
            // If this fails too, the connection is unusable and will not be used again: closing it also rolls back.
            let _ = connection.run("ROLLBACK").await;
            return Err(failure);
        }
        let committed = connection.run("COMMIT").await?;
        check_status("after COMMIT", committed, TransactionStatus::Idle)?;
        self.books.enter(&transfer);
        Ok(())
    }

    async fn close<R: Runtime>(&self, _: &Env<R>, connection: &mut Connection<R>) {
        connection.close().await;
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, EXCHANGES)
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let mut connection = Connection::open(env, self.schema.name(), &[]).await?;
        let sum = numbers(&mut connection, &self.schema.qualify(SUM)).await?;
        let balances = numbers(&mut connection, &self.schema.qualify(BALANCES)).await?;
        connection.close().await;
        self.schema.remove(env).await?;
        Ok(self.books.judge(&sum, &balances, totals))
    }

    async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        self.schema.abandon(env).await;
    }
}

/// Money that goes from one account to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transfer {
    from: u32,
    to: u32,
    amount: i32,
}

impl Transfer {
    /// The transfer of operation `op`: two different accounts, numbered from 1, and an amount.
    fn drawn(seed: u64, op: u64, accounts: NonZeroU32) -> Self {
        let own = draw(seed, op);
        let accounts = u64::from(accounts.get());
        let small = |number: u64| u32::try_from(number).expect("below a u32");
        let from = draw_below(own, 0, accounts);
        // Counted from the neighbour of the first account, modulo their number, so that the two always differ.
        let to = (from + 1 + draw_below(own, 1, accounts - 1)) % accounts;
        let amount = 1 + draw_below(own, 2, MOST_TRANSFERRED);
        Self {
            from: small(from) + 1,
            to: small(to) + 1,
            amount: small(amount).cast_signed(),
        }
    }

    /// The change of each account's balance, the lower id first.
    fn changes(&self) -> [(u32, i32); 2] {
        let mut changes = [(self.from, -self.amount), (self.to, self.amount)];
        changes.sort_unstable();
        changes
    }
}

async fn apply<R: Runtime>(
    connection: &mut Connection<R>,
    transfer: &Transfer,
) -> Result<(), Failure> {
    for (id, change) in transfer.changes() {
        let parameters = [Parameter::Int4(change), Parameter::Int4(id.cast_signed())];
        let outcome = connection
            .execute(&CHANGE, &parameters, &mut |_| ())
            .await?;
        check_status("after an UPDATE", outcome, TransactionStatus::Active)?;
        let rows = outcome.rows_affected;
        ensure(rows == 1, || {
            format!("UPDATE of account {id} changed {rows} rows")
        })?;
    }
    Ok(())
}

/// The first column of the result of `sql`; `None` if it is not a number.
async fn numbers<R: Runtime>(
    connection: &mut Connection<R>,
    sql: &str,
) -> Result<Vec<Option<i64>>, Failure> {
    let mut numbers = Vec::new();
    let mut keep = |row: Row<'_>| numbers.push(row.number(0));
    connection.query(sql, &mut keep).await?;
    Ok(numbers)
}

/// Checks a session's transaction status, as the server reports it: outside of a transaction, changes are committed one by one.
fn check_status(when: &str, outcome: &Outcome, expected: TransactionStatus) -> Result<(), Failure> {
    let status = outcome.transaction_status;
    ensure(status == expected, || {
        format!(
            "expected the session {} {when}, got {}",
            in_words(expected),
            in_words(status)
        )
    })
}

fn in_words(status: TransactionStatus) -> &'static str {
    match status {
        TransactionStatus::Idle => "outside of a transaction",
        TransactionStatus::Active => "inside of a transaction",
        TransactionStatus::Failed => "inside of a transaction that failed",
    }
}

/// The balance of each account, as far as the worker knows about its commits.
#[derive(Debug)]
struct Books {
    balances: Vec<AtomicI64>,
}

impl Books {
    fn new(accounts: NonZeroU32) -> Self {
        Self {
            balances: (0..accounts.get())
                .map(|_| AtomicI64::new(INITIAL_BALANCE))
                .collect(),
        }
    }

    fn enter(&self, transfer: &Transfer) {
        for (id, change) in transfer.changes() {
            let balance = &self.balances[id as usize - 1];
            balance.fetch_add(i64::from(change), Ordering::Relaxed);
        }
    }

    /// Violations by the server's accounts: always of the sum, and of balances if no operation failed, since a failed
    /// one may have been committed all the same.
    fn judge(&self, sum: &[Option<i64>], found: &[Option<i64>], totals: &Totals) -> Vec<String> {
        let expected = self.balances.len() as i64 * INITIAL_BALANCE;
        let mut violations = Vec::new();
        if *sum != [Some(expected)] {
            violations.push(format!(
                "expected a sum of {expected} over all accounts, got {sum:?}"
            ));
        }
        if totals.failed == 0 {
            violations.extend(self.disagreement(found));
        }
        violations
    }

    fn disagreement(&self, found: &[Option<i64>]) -> Option<String> {
        let booked = self.balances.iter();
        let booked: Vec<_> = booked
            .map(|balance| Some(balance.load(Ordering::Relaxed)))
            .collect();
        if found.len() != booked.len() {
            let (found, booked) = (found.len(), booked.len());
            return Some(format!("expected {booked} accounts, got {found}"));
        }
        let differing: Vec<_> = (0..booked.len())
            .filter(|&index| found[index] != booked[index])
            .collect();
        let first = *differing.first()?;
        Some(format!(
            "{} accounts are not as their transfers left them: number {} has {:?}, and should have {:?}",
            differing.len(),
            first + 1,
            found[first],
            booked[first]
        ))
    }
}

#[cfg(test)]
mod tests {
    use photofinish_record::Traffic;

    use super::super::tallies::{detail, totals};
    use super::*;

    const ACCOUNTS: NonZeroU32 = NonZeroU32::new(3).unwrap();

    /// Checks the violations after 100 drawn transfers and a `change` of the server's accounts.
    #[track_caller]
    fn check(change: impl Fn(&mut Vec<i64>), failed: u64, expected: &[&str]) {
        let books = Books::new(ACCOUNTS);
        let mut server = vec![INITIAL_BALANCE; 3];
        for op in 0..100 {
            let transfer = Transfer::drawn(7, op, ACCOUNTS);
            books.enter(&transfer);
            for (id, amount) in transfer.changes() {
                server[id as usize - 1] += i64::from(amount);
            }
        }
        change(&mut server);
        let totals = totals(100, failed, TARGET, Traffic::default());
        let sum = [Some(server.iter().sum())];
        let found: Vec<_> = server.into_iter().map(Some).collect();
        let violations = books.judge(&sum, &found, &totals);
        assert_eq!(violations.len(), expected.len(), "{violations:?}");
        for (violation, start) in violations.iter().zip(expected) {
            assert!(violation.starts_with(start), "{violation}");
        }
    }

    const SUM_CHANGED: &str = "expected a sum of 3000 over all accounts, got";

    #[test]
    fn changes_outside_a_transaction_and_open_transactions_are_caught() {
        let message = |transaction_status, expected| {
            let outcome = Outcome {
                transaction_status,
                ..Outcome::default()
            };
            let verdict = check_status("now", &outcome, expected);
            detail(verdict)
        };
        let (idle, active) = (TransactionStatus::Idle, TransactionStatus::Active);
        assert_eq!(message(active, active), "");
        assert_eq!(
            message(idle, active),
            "expected the session inside of a transaction now, got outside of a transaction"
        );
        assert_eq!(
            message(TransactionStatus::Failed, idle),
            "expected the session outside of a transaction now, got inside of a transaction that failed"
        );
    }

    #[test]
    fn complete_transfers_pass() {
        check(|_| (), 0, &[]);
        check(|_| (), 1, &[]);
    }

    #[test]
    fn a_lost_update_is_caught_by_the_sum_whether_or_not_something_failed() {
        let one_side = |accounts: &mut Vec<i64>| accounts[1] -= 40;
        check(
            one_side,
            0,
            &[
                SUM_CHANGED,
                "1 accounts are not as their transfers left them: number 2 has",
            ],
        );
        check(one_side, 1, &[SUM_CHANGED]);
    }

    #[test]
    fn a_missing_transfer_is_caught_although_the_sum_holds() {
        let both_sides = |accounts: &mut Vec<i64>| {
            accounts[0] += 40;
            accounts[2] -= 40;
        };
        check(
            both_sides,
            0,
            &["2 accounts are not as their transfers left them: number 1 has"],
        );
        // A failed operation may have been committed, with only its answer lost.
        check(both_sides, 1, &[]);
    }

    #[test]
    fn an_account_that_is_gone_and_a_sum_that_cannot_be_read_are_caught() {
        let gone = |accounts: &mut Vec<i64>| accounts.truncate(2);
        check(gone, 0, &[SUM_CHANGED, "expected 3 accounts, got 2"]);
        let totals = totals(0, 1, TARGET, Traffic::default());
        let unread = Books::new(ACCOUNTS).judge(&[None], &[], &totals);
        assert_eq!(unread.len(), 1, "{unread:?}");
    }

    #[test]
    fn a_transfer_is_between_two_accounts_and_locks_the_lower_one_first() {
        let mut seen = std::collections::BTreeSet::new();
        for op in 0..1_000 {
            let transfer = Transfer::drawn(7, op, ACCOUNTS);
            let [(first, one), (second, other)] = transfer.changes();
            assert!((1..=3).contains(&first) && first < second && second <= 3);
            assert_eq!(one + other, 0);
            assert!((1..=100).contains(&transfer.amount), "{transfer:?}");
            seen.insert((transfer.from, transfer.to));
        }
        assert_eq!(seen.len(), 6, "every pair, both ways");
    }
}
