"""The databases of the workloads, the same in every Python lane: addresses, statements, draws, and what must hold at the end.

A round works in a schema of its own, marked and locked as those of the other runtimes are, so that a later round drops it if this one
is killed. Statements have PostgreSQL's own placeholders, $1 and so on.
"""

import os
import secrets
from urllib.parse import parse_qs, urlsplit

import frame
from content import exactly
from frame import Unsupported, wrong_content

PREFIX = "photofinish_"
MARK = ": made by photofinish for one round, and dropped after it"
TABLES = ("accounts", "customers", "entries", "items", "orders", "products")

QUANTITIES = 97
INITIAL_BALANCE = 1_000
MOST_TRANSFERRED = 100

SELECT_ITEM = "SELECT id, name, quantity FROM {schema}.items WHERE id = $1"
CREATE_ENTRIES = (
    "CREATE TABLE IF NOT EXISTS {schema}.entries "
    "(id SERIAL PRIMARY KEY, label TEXT NOT NULL, amount INTEGER NOT NULL)"
)
INSERT_ENTRY = "INSERT INTO {schema}.entries (label, amount) VALUES ($1, $2) RETURNING id"
SELECT_ENTRY = "SELECT id, label, amount FROM {schema}.entries WHERE id = $1"
TALLY_ENTRIES = "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id), SUM(amount) FROM {schema}.entries"
CHANGE_BALANCE = "UPDATE {schema}.accounts SET balance = balance + $1 WHERE id = $2"
BALANCES = "SELECT balance FROM {schema}.accounts ORDER BY id"


class Address:
    """Where and as whom to connect. Encryption is off, as for the other runtimes."""

    def __init__(self, planned):
        self.url = planned["url"]
        url = urlsplit(self.url)
        modes = parse_qs(url.query).get("sslmode", ["disable"])
        if planned.get("tls") or modes[-1] not in ("disable", "allow", "prefer"):
            raise Unsupported("this lane connects to databases without TLS only")
        address = planned.get("address") or f"{url.hostname}:{url.port or 5432}"
        if address.startswith("unix:"):
            self.directory, name = os.path.split(address.removeprefix("unix:"))
            self.host, self.port = None, int(name.rsplit(".", 1)[1])
        else:
            host, port = address.rsplit(":", 1)
            self.directory, self.host, self.port = None, host.strip("[]"), int(port)


class Schema:
    """The statements that make and drop a round's own schema."""

    def __init__(self):
        self.name = PREFIX + secrets.token_hex(16)

    def qualify(self, sql):
        return sql.replace("{schema}", self.name)

    def lock(self):
        """Locks it by the first 64 bits of its random name, as a signed number."""
        digits = self.name.removeprefix(PREFIX)[:16]
        key = int.from_bytes(bytes.fromhex(digits), "big", signed=True)
        return f"SELECT pg_try_advisory_lock({key})"

    def create(self, is_locked):
        mark = f"; COMMENT ON SCHEMA {self.name} IS '{self.name}{MARK}'" if is_locked else ""
        return f"CREATE SCHEMA {self.name}{mark}"

    def drop(self):
        tables = ", ".join(f"{self.name}.{table}" for table in TABLES)
        return f"SET statement_timeout = 0; DROP TABLE IF EXISTS {tables}; DROP SCHEMA {self.name}"


def items(rows):
    return [
        "CREATE TABLE {schema}.items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, quantity INTEGER NOT NULL)",
        f"INSERT INTO {{schema}}.items (id, name, quantity) SELECT n, 'item ' || n, n % {QUANTITIES} "
        f"FROM generate_series(1, {rows}) AS n",
    ]


def drawn_items(round_):
    """The items that operations select, counted from 0."""
    return frame.Draws(round_.seed, round_.params["rows"])


def check_item(key, row):
    if row is None or tuple(row) != (key, f"item {key}", key % QUANTITIES):
        raise wrong_content(f"expected item {key}, got {row and tuple(row)}")


def check_entry(key, label, amount, row):
    exactly((key, label, amount), row and tuple(row), f"as entry {key}")


def wrong_entries(tally, totals, at_once):
    """Violations by the table at the end of operations that each made `at_once` inserts after a first one."""
    count, distinct, lowest, highest, total = tally
    expected = totals.succeeded * (at_once + 1)
    amounts = totals.succeeded * at_once * (at_once + 1) // 2
    found = [] if count == distinct else [f"{count} entries have only {distinct} different ids"]
    if totals.failed == 0 and expected:
        got = (count, lowest, highest, total)
        if got != (expected, 1, expected, amounts):
            found.append(f"expected {expected} entries with ids from 1 and amounts of {amounts}, got {got}")
    return found


# The tables of `db-pool`, and how many times its rows each has.
COUNTED = {"customers": 1, "products": 2, "orders": 3}


def counted_tables(rows):
    for table, times in COUNTED.items():
        yield f"CREATE TABLE {{schema}}.{table} (id INTEGER PRIMARY KEY)"
        yield f"INSERT INTO {{schema}}.{table} (id) SELECT * FROM generate_series(1, {rows * times})"


def count_rows(table):
    return f"SELECT COUNT(*) FROM {{schema}}.{table}"


def check_counts(rows, counts):
    exactly([rows * times for times in COUNTED.values()], list(counts), "as rows of the tables")


class Census:
    """Connections of a pool: now, and at most."""

    def __init__(self):
        self.opened = self.closed = self.most = 0

    def enter(self):
        self.opened += 1
        self.most = max(self.most, self.opened - self.closed)

    def violations(self, minimum, maximum, totals):
        found = []
        if self.most > maximum:
            found.append(f"expected at most {maximum} open connections, got {self.most}")
        if self.opened < minimum:
            found.append(f"expected at least {minimum} open connections, got {self.opened}")
        if not totals.failed and self.opened != self.most:
            found.append(f"the pool opened {self.opened} connections for at most {self.most}, and nothing had failed")
        return found


def accounts(count):
    return [
        "CREATE TABLE {schema}.accounts (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)",
        f"INSERT INTO {{schema}}.accounts (id, balance) SELECT n, {INITIAL_BALANCE} "
        f"FROM generate_series(1, {count}) AS n",
    ]


class Books:
    """The transfers of `db-transaction`, and the balances that they leave."""

    def __init__(self, round_):
        self.round = round_
        self.count = round_.params["accounts"]
        self.balances = [INITIAL_BALANCE] * self.count

    def changes(self, op):
        """The changes of operation `op`: two accounts, the lower id first, so that no two transfers wait for each other."""
        own = frame.draw(self.round.seed, op)
        source = frame.draw_below(own, 0, self.count)
        # Counted from the neighbour of the first account, so that the two always differ.
        to = (source + 1 + frame.draw_below(own, 1, self.count - 1)) % self.count
        amount = 1 + frame.draw_below(own, 2, MOST_TRANSFERRED)
        return sorted([(source + 1, -amount), (to + 1, amount)])

    def enter(self, changes):
        with self.round.lock:
            for account, change in changes:
                self.balances[account - 1] += change

    def violations(self, balances, totals):
        found = []
        if sum(balances) != self.count * INITIAL_BALANCE:
            expected = self.count * INITIAL_BALANCE
            found.append(f"expected a sum of {expected} over all accounts, got {sum(balances)}")
        # A failed transfer may have been committed all the same.
        if not totals.failed and balances != self.balances:
            found.append("the accounts are not as their transfers left them")
        return found


def check_changed(account, rows):
    if rows != 1:
        raise wrong_content(f"UPDATE of account {account} changed {rows} rows")
