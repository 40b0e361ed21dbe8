"""Workloads with PostgreSQL under an event loop, with asyncpg."""

import contextlib

import db_content
from async_frame import TIMEOUT_S, Workload, gathered
from content import exactly
from db_content import Schema


class Database(Workload):
    PACKAGES = ("asyncpg",)
    requests = 1
    keeper = None

    async def prepare(self):
        self.address = db_content.Address(self.round.planned("db"))
        self.traffic = self.round.traffic["db"]
        self.schema = Schema()
        tables = list(self.statements())
        if tables:
            await self.make_schema(tables)

    def statements(self):
        """The statements that make its tables, in its schema."""
        return ()

    def options(self):
        address = self.address
        return {
            "dsn": address.url,
            "host": address.directory or address.host,
            "port": address.port,
            "ssl": "disable",
            "timeout": TIMEOUT_S,
        }

    async def connect(self):
        import asyncpg

        connection = await asyncpg.connect(**self.options())
        self.traffic.connections += 1
        return connection

    async def asked(self, connection, answer):
        """The answer to one request, counted. Preparing a statement is not one: the server ends no transaction after it."""
        alone = not connection.is_in_transaction()
        result = await answer
        self.traffic.requests += 1
        self.traffic.transactions += alone
        return result

    async def fetchval(self, connection, sql, *arguments):
        return await self.asked(connection, connection.fetchval(sql, *arguments))

    async def run(self, connection, sql):
        """Runs statements without parameters."""
        return await self.asked(connection, connection.execute(sql))

    async def make_schema(self, tables):
        """Creates the schema; the connection that holds its lock does nothing else until it is dropped."""
        import asyncpg

        self.keeper = await self.connect()
        is_locked = True
        try:
            await self.keeper.execute(self.schema.lock())
        except asyncpg.PostgresError:
            # A server without such locks.
            is_locked = False
        self.traffic.requests += 1
        self.traffic.transactions += 1
        await self.run(self.keeper, self.schema.create(is_locked))
        connection = await self.connect()
        for statement in tables:
            await self.run(connection, self.schema.qualify(statement))
        await connection.close()

    async def open(self):
        return await self.connect()

    async def close(self, session):
        await session.close()

    async def abandon(self):
        # What was the matter matters, not that its schema may have to be dropped by a later round.
        with contextlib.suppress(Exception):
            await self.drop_schema()

    async def drop_schema(self):
        if self.keeper is not None:
            await self.run(self.keeper, self.schema.drop())
            await self.keeper.close()

    async def finish(self, totals):
        await self.drop_schema()
        return []

    def violations(self, totals):
        return totals.wrong_requests("db", self.requests)


class DbSelect(Database):
    def statements(self):
        self.items = db_content.drawn_items(self.round)
        return db_content.items(self.params["rows"])

    async def open(self):
        connection = await self.connect()
        return connection, await connection.prepare(self.schema.qualify(db_content.SELECT_ITEM))

    async def close(self, session):
        await session[0].close()

    async def operate(self, session, op):
        _, statement = session
        key = self.items.at(op) + 1
        # Never within a transaction; `asked` would be a coroutine more.
        row = await statement.fetchrow(key)
        traffic = self.traffic
        traffic.requests += 1
        traffic.transactions += 1
        db_content.check_item(key, row)


class DbCrud(Database):
    def statements(self):
        self.inserts = self.params["inserts"]
        self.requests = self.inserts + 3
        return [db_content.CREATE_ENTRIES]

    async def open(self):
        return [await self.connect() for _ in range(self.inserts)]

    async def close(self, session):
        for connection in session:
            await connection.close()

    async def operate(self, session, op):
        insert, select = map(self.schema.qualify, (db_content.INSERT_ENTRY, db_content.SELECT_ENTRY))
        label = f"operation {op}"
        first = session[0]
        await self.run(first, self.schema.qualify(db_content.CREATE_ENTRIES))
        key = await self.fetchval(first, insert, label, 0)
        row = await self.asked(first, first.fetchrow(select, key))
        db_content.check_entry(key, label, 0, row)
        await gathered(
            self.fetchval(connection, insert, label, amount) for amount, connection in enumerate(session, start=1)
        )

    async def finish(self, totals):
        sql = self.schema.qualify(db_content.TALLY_ENTRIES)
        tally = await self.asked(self.keeper, self.keeper.fetchrow(sql))
        await self.drop_schema()
        return db_content.wrong_entries(tally, totals, self.inserts)


class DbPool(Database):
    """Three counts at once through asyncpg's pool, which resets a connection that is given back: a request more for each."""

    requests = 2 * len(db_content.COUNTED)
    pool = None

    def statements(self):
        return db_content.counted_tables(self.params["rows"])

    async def prepare(self):
        import asyncpg

        await super().prepare()
        self.census = db_content.Census()
        minimum, maximum = self.params["minimum"], self.params["maximum"]
        self.round.facts["pool"] = f"asyncpg, {minimum} to {maximum}, reset after each use"
        self.pool = await asyncpg.create_pool(
            **self.options(), min_size=minimum, max_size=maximum, init=self.opened
        )

    async def opened(self, connection):
        self.traffic.connections += 1
        self.census.enter()

    async def open(self):
        return None

    async def close(self, session):
        pass

    async def count(self, table):
        async with self.pool.acquire() as connection:
            counted = await self.fetchval(connection, self.schema.qualify(db_content.count_rows(table)))
        # The reset, answered before the connection is free.
        self.traffic.requests += 1
        self.traffic.transactions += 1
        return counted

    async def operate(self, session, op):
        counts = await gathered(self.count(table) for table in db_content.COUNTED)
        db_content.check_counts(self.params["rows"], counts)

    async def abandon(self):
        if self.pool is not None:
            self.pool.terminate()
        await super().abandon()

    async def finish(self, totals):
        await self.pool.close()
        await self.drop_schema()
        return self.census.violations(self.params["minimum"], self.params["maximum"], totals)


class DbConnect(Database):
    async def open(self):
        return None

    async def close(self, session):
        pass

    async def operate(self, session, op):
        connection = await self.connect()
        try:
            exactly(1, await self.fetchval(connection, "SELECT 1"), "from SELECT 1")
        finally:
            await connection.close()


class DbTransaction(Database):
    # BEGIN, two UPDATEs, COMMIT.
    requests = 4

    def statements(self):
        self.books = db_content.Books(self.round)
        return db_content.accounts(self.books.count)

    async def operate(self, session, op):
        changes = self.books.changes(op)
        update = self.schema.qualify(db_content.CHANGE_BALANCE)
        async with session.transaction():
            for account, change in changes:
                done = await self.asked(session, session.execute(update, change, account))
                db_content.check_changed(account, int(done.split()[-1]))
        self.traffic.requests += 2
        self.traffic.transactions += 1
        self.books.enter(changes)

    async def finish(self, totals):
        sql = self.schema.qualify(db_content.BALANCES)
        rows = await self.asked(self.keeper, self.keeper.fetch(sql))
        await self.drop_schema()
        return self.books.violations([balance for (balance,) in rows], totals)


WORKLOADS = {
    "db-select": DbSelect,
    "db-crud": DbCrud,
    "db-pool": DbPool,
    "db-connect": DbConnect,
    "db-transaction": DbTransaction,
}
