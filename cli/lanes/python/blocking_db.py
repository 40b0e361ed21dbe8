"""Workloads with PostgreSQL in blocking code, with psycopg."""

import contextlib
import re

import db_content
from blocking_frame import TIMEOUT_S, Workload
from content import exactly
from db_content import Schema


class Database(Workload):
    PACKAGES = ("psycopg",)
    requests = 1
    keeper = None

    def prepare(self):
        # Statements that were prepared, each with the server's process.
        self.prepared = set()
        self.address = db_content.Address(self.round.planned("db"))
        self.traffic = self.round.traffic["db"]
        self.schema = Schema()
        tables = list(self.statements())
        if tables:
            self.make_schema(tables)

    def statements(self):
        """The statements that make its tables, in its schema."""
        return ()

    def sql(self, statement):
        """A statement in the round's schema, with psycopg's placeholders."""
        return re.sub(r"\$\d", "%s", self.schema.qualify(statement))

    def options(self):
        address = self.address
        # The address saves a look-up of the name in the URL; a directory is that of a socket.
        place = {"host": address.directory} if address.directory else {"hostaddr": address.host}
        return {
            "conninfo": address.url,
            **place,
            "port": address.port,
            "sslmode": "disable",
            "gssencmode": "disable",
            "connect_timeout": TIMEOUT_S,
            "autocommit": True,
        }

    def connect(self):
        import psycopg

        connection = psycopg.connect(**self.options())
        with self.round.lock:
            self.traffic.connections += 1
        return connection

    def counted(self, requests, transactions):
        with self.round.lock:
            self.traffic.requests += requests
            self.traffic.transactions += transactions

    def run(self, connection, sql, arguments=None):
        """Runs a statement and counts it: the one row of its result, if any. With arguments, it is prepared at its first use."""
        cursor = connection.execute(sql, arguments, prepare=arguments is not None)
        with self.round.lock:
            is_new = arguments is not None and (connection.info.backend_pid, sql) not in self.prepared
            self.prepared.add((connection.info.backend_pid, sql))
        # To prepare it is a transaction of its own.
        self.counted(1, 1 + is_new)
        return cursor.fetchone() if cursor.description else None

    def make_schema(self, tables):
        """Creates the schema; the connection that holds its lock does nothing else until it is dropped."""
        import psycopg

        self.keeper = self.connect()
        is_locked = True
        try:
            self.keeper.execute(self.schema.lock())
        except psycopg.DatabaseError:
            # A server without such locks.
            is_locked = False
        self.counted(1, 1)
        self.run(self.keeper, self.schema.create(is_locked))
        connection = self.connect()
        for statement in tables:
            self.run(connection, self.schema.qualify(statement))
        connection.close()

    def open(self):
        return self.connect()

    def close(self, session):
        session.close()

    def abandon(self):
        # What was the matter matters, not that its schema may have to be dropped by a later round.
        with contextlib.suppress(Exception):
            self.drop_schema()

    def drop_schema(self):
        if self.keeper is not None:
            self.run(self.keeper, self.schema.drop())
            self.keeper.close()

    def finish(self, totals):
        self.drop_schema()
        return []

    def violations(self, totals):
        return totals.wrong_requests("db", self.requests)


class DbSelect(Database):
    def statements(self):
        return db_content.items(self.params["rows"])

    def prepare(self):
        super().prepare()
        self.select = self.sql(db_content.SELECT_ITEM)
        self.items = db_content.drawn_items(self.round)

    def operate(self, session, op):
        key = self.items.at(op) + 1
        db_content.check_item(key, self.run(session, self.select, [integer(key)]))


class DbCrud(Database):
    def statements(self):
        self.inserts = self.params["inserts"]
        self.requests = self.inserts + 3
        return [db_content.CREATE_ENTRIES]

    def open(self):
        return [self.connect() for _ in range(self.inserts)], self.lane.AtOnce(self.inserts)

    def close(self, session):
        connections, run = session
        run.close()
        for connection in connections:
            connection.close()

    def operate(self, session, op):
        connections, run = session
        insert, select = map(self.sql, (db_content.INSERT_ENTRY, db_content.SELECT_ENTRY))
        label = f"operation {op}"
        first = connections[0]
        first.execute(self.schema.qualify(db_content.CREATE_ENTRIES), prepare=False)
        self.counted(1, 1)
        (key,) = self.run(first, insert, [label, integer(0)])
        db_content.check_entry(key, label, 0, self.run(first, select, [integer(key)]))
        run(
            [
                (self.run, connection, insert, [label, integer(amount)])
                for amount, connection in enumerate(connections, start=1)
            ]
        )

    def finish(self, totals):
        tally = self.run(self.keeper, self.schema.qualify(db_content.TALLY_ENTRIES))
        self.drop_schema()
        return db_content.wrong_entries(tally, totals, self.inserts)


class DbPool(Database):
    """Three counts at once through a pool, which gives connections back as they are: they are outside of transactions."""

    PACKAGES = ("psycopg", "psycopg_pool")
    requests = len(db_content.COUNTED)
    pool = None

    def statements(self):
        return db_content.counted_tables(self.params["rows"])

    def prepare(self):
        from psycopg_pool import ConnectionPool

        super().prepare()
        self.census = db_content.Census()
        minimum, maximum = self.params["minimum"], self.params["maximum"]
        self.round.facts["pool"] = f"psycopg_pool, {minimum} to {maximum}"
        options = self.options()
        conninfo = options.pop("conninfo")
        self.pool = ConnectionPool(
            conninfo, kwargs=options, min_size=minimum, max_size=maximum, configure=self.opened, open=True
        )
        self.pool.wait()

    def opened(self, connection):
        with self.round.lock:
            self.traffic.connections += 1
            self.census.enter()

    def open(self):
        return self.lane.AtOnce(len(db_content.COUNTED))

    def count(self, table):
        with self.pool.connection() as connection:
            (counted,) = self.run(connection, self.sql(db_content.count_rows(table)), [])
        return counted

    def operate(self, session, op):
        counts = session([(self.count, table) for table in db_content.COUNTED])
        db_content.check_counts(self.params["rows"], counts)

    def abandon(self):
        if self.pool is not None:
            self.pool.close()
        super().abandon()

    def finish(self, totals):
        self.pool.close()
        self.drop_schema()
        return self.census.violations(self.params["minimum"], self.params["maximum"], totals)


class DbConnect(Database):
    def open(self):
        return None

    def close(self, session):
        pass

    def operate(self, session, op):
        with contextlib.closing(self.connect()) as connection:
            exactly((1,), self.run(connection, "SELECT 1"), "from SELECT 1")


class DbTransaction(Database):
    # BEGIN, two UPDATEs, COMMIT.
    requests = 4

    def statements(self):
        self.books = db_content.Books(self.round)
        return db_content.accounts(self.books.count)

    def prepare(self):
        super().prepare()
        self.update = self.sql(db_content.CHANGE_BALANCE)

    def operate(self, session, op):
        changes = self.books.changes(op)
        with session.transaction():
            for account, change in changes:
                cursor = session.execute(self.update, [integer(change), integer(account)], prepare=True)
                db_content.check_changed(account, cursor.rowcount)
        self.counted(4, 1)
        self.books.enter(changes)

    def finish(self, totals):
        cursor = self.keeper.execute(self.schema.qualify(db_content.BALANCES))
        self.counted(1, 1)
        balances = [balance for (balance,) in cursor]
        self.drop_schema()
        return self.books.violations(balances, totals)


def integer(value):
    """A number of the column's type: by itself, psycopg chooses by size, and prepares a statement for each."""
    from psycopg.types.numeric import Int4

    return Int4(value)


IN_TURN = {
    "db-select": DbSelect,
    "db-crud": DbCrud,
    "db-connect": DbConnect,
    "db-transaction": DbTransaction,
}

# One session in turn uses one connection: a pool for it would be no pool.
AT_ONCE = {"db-pool": DbPool}
