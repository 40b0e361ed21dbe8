import asyncio
import random
import sys

import asyncpg
from measured import measure_async

url, clients, seconds = sys.argv[1:]
ROWS = 10_000


async def main():
    connections = [await asyncpg.connect(url, ssl="disable") for _ in range(int(clients))]
    await connections[0].execute("DROP TABLE IF EXISTS script_items")
    await connections[0].execute(
        "CREATE TABLE script_items AS SELECT n AS id, 'item ' || n AS name, n % 100 AS quantity "
        f"FROM generate_series(1, {ROWS}) n"
    )
    await connections[0].execute("ALTER TABLE script_items ADD PRIMARY KEY (id)")
    statement = "SELECT id, name, quantity FROM script_items WHERE id = $1"
    statements = [await connection.prepare(statement) for connection in connections]

    async def operate(statement):
        key = random.randint(1, ROWS)
        row = await statement.fetchrow(key)
        assert row["id"] == key and row["name"] == f"item {key}" and row["quantity"] == key % 100

    await measure_async(operate, statements, float(seconds))
    for connection in connections:
        await connection.close()


asyncio.run(main())
